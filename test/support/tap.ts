/** A port that passes everything on, for a look at the bytes on the wire. */

import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import type { TestContext } from 'node:test'

export type Tap = {
  readonly port: number
  /** What was sent to the port that lies behind it, as it came. */
  readonly there: readonly Buffer[]
  readonly back: readonly Buffer[]
}

export async function startTap(t: TestContext, port: () => number): Promise<Tap> {
  const there: Buffer[] = []
  const back: Buffer[] = []
  const server = createServer({ allowHalfOpen: true }, near => {
    const far = connect({ host: '127.0.0.1', port: port(), allowHalfOpen: true })
    near.on('data', bytes => there.push(bytes as Buffer))
    far.on('data', bytes => back.push(bytes as Buffer))
    for (const socket of [near, far]) socket.on('error', () => {})
    near.pipe(far).pipe(near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return { port: (server.address() as AddressInfo).port, there, back }
}
