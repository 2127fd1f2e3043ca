/** A client that speaks HTTP/2: Node's own. */

import { once } from 'node:events'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import type { TestContext } from 'node:test'
import { deadlineMs, within } from './deadline.ts'
import { secureClient } from './secure-listener.ts'

/** It ends with its test. */
export async function connectH2(t: TestContext, port: number): Promise<ClientHttp2Session> {
  const session = connect(`https://127.0.0.1:${port}`, secureClient)
  session.on('error', () => {}) // Whoever waits for a stream hears of it there.
  t.after(() => session.destroy())
  await within(once(session, 'connect'), () => `a session with port ${port}`)
  return session
}

export type H2Response = {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** Null: there were none. */
  readonly trailers: IncomingHttpHeaders | null
  /** What the stream was reset with, or 0. */
  readonly code: number
}

/** Sends a request, whole where it has a body that is given, and open where that is null. */
export function beginH2(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders = {},
  body: string | Buffer | null = '',
): ClientHttp2Stream {
  const stream = session.request({ ':authority': 'a', ...headers }, { endStream: body === '' })
  if (body !== null && body !== '') stream.end(body)
  stream.on('error', () => {}) // `responseH2` tells.
  return stream
}

/** @returns what the stream brought until it closed; of one that was reset before its head, the status is 0 */
export async function responseH2(stream: ClientHttp2Stream, limitMs = deadlineMs): Promise<H2Response> {
  let headers: IncomingHttpHeaders = {}
  let trailers: IncomingHttpHeaders | null = null
  const pieces: Buffer[] = []
  stream.once('response', fields => {
    headers = fields
  })
  stream.once('trailers', fields => {
    trailers = fields
  })
  stream.on('data', (piece: Buffer) => pieces.push(piece))
  const closed = new Promise<void>(resolve => stream.once('close', resolve))
  await within(closed, () => 'a stream to end', limitMs)
  const status = Number((headers as { ':status'?: number })[':status'] ?? 0)
  return { status, headers, body: Buffer.concat(pieces), trailers, code: stream.rstCode ?? 0 }
}

export async function askH2(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders = {},
  body: string | Buffer = '',
): Promise<H2Response> {
  return responseH2(beginH2(session, headers, body))
}
