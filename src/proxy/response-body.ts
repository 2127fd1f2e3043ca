/** Writes the body of a target's response for a client of HTTP/1.1: small pieces together, large ones without a copy. */

import { lentBytesMin } from '../net/connection.ts'
import type { TargetConnection } from '../targets/target-connection.ts'
import type { ClientConnection } from './client-connection.ts'
import type { Exchange } from './exchange.ts'

const lastChunk = '0\r\n\r\n'

export function writeClientBody(
  exchange: Exchange,
  client: ClientConnection,
  from: TargetConnection,
  bytes: Buffer,
  at: number,
  to: number,
): void {
  const { out, shared } = exchange.plane.net.buffers
  const length = to - at
  if (exchange.addsChunks) {
    out.reserve(length + 20)
    out.hexadecimal(length)
    out.ascii('\r\n')
    out.copy(bytes, at, to)
    out.ascii('\r\n')
  } else if (bytes === shared || length < lentBytesMin) {
    out.reserve(length)
    out.copy(bytes, at, to)
  } else {
    flushToClient(exchange, client)
    exchange.sentBytes += length
    from.passOn(bytes, at, to, client)
  }
}

/** A chunked response is only complete with its last chunk, so one that broke off stays recognisable. */
export function writeLastChunk(exchange: Exchange): void {
  if (!exchange.addsChunks) return
  const { out } = exchange.plane.net.buffers
  out.reserve(lastChunk.length)
  out.ascii(lastChunk)
}

export function flushToClient(exchange: Exchange, client: ClientConnection): void {
  const { out } = exchange.plane.net.buffers
  if (out.length === 0) return
  exchange.sentBytes += out.length
  out.sendTo(client)
}
