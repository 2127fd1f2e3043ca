/** Targets that are Node's own server, for tests of who gets whose bytes. */

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

/** Answers with the body it was sent, under the name that the request has. */
export async function startEcho(t: TestContext): Promise<number> {
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece)
    const body = Buffer.concat(pieces)
    response.setHeader('X-Name', request.headers['x-name'] ?? '')
    if (request.headers['x-answer'] === 'chunked') for (const piece of pieces) response.write(piece)
    else response.setHeader('Content-Length', body.length).write(body)
    response.end()
  }
  const server = createServer((request, response) => void answer(request, response).catch(() => response.destroy()))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** Says at every place whose it is. */
export function bodyOf(name: string, size: number): Buffer<ArrayBuffer> {
  return Buffer.alloc(size, `<${name}>`)
}
