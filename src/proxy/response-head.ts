/**
 * Writes the head that a client is sent for a target's response: its status line and fields, less those that end
 * here. That Date, Content-Type, length and Connection come first is assumed, from the order in captured answers of
 * the load balancer itself; so is that stickiness cookies follow, and that the listener's own headers come last.
 */

import { BodyKind, Field, type ResponseHead } from '../http/h1.ts'
import type { OutBuffer } from '../net/buffers.ts'
import type { RunningResponseHeaders } from './context.ts'
import type { Exchange } from './exchange.ts'
import { stickyCookies } from './stickiness.ts'

const addedBytesMax = 256

export function writeClientHead(exchange: Exchange, head: ResponseHead, now: number, out: OutBuffer): void {
  // HTTP/0.9 knows no heads: the body is the response.
  if (exchange.head.isSimple) return
  const { meaning, bytes } = head
  const { responseHeaders } = exchange.listener!
  const cookies = stickyCookies(exchange, head, now)
  out.reserve(head.length * 2 + bytesOf(cookies) + (responseHeaders?.lines.length ?? 0) + addedBytesMax)
  out.ascii('HTTP/1.1 ')
  out.decimal(head.statusCode)
  out.ascii(' ')
  out.copy(bytes, head.reasonFrom, head.reasonTo)
  out.ascii('\r\nDate: ')
  if (meaning.dateAt === -1) out.ascii(exchange.plane.dates.httpDate(now))
  else out.copy(bytes, head.valueFrom(meaning.dateAt), head.valueTo(meaning.dateAt))
  out.ascii('\r\n')
  if (meaning.contentTypeAt !== -1) copyLine(head, meaning.contentTypeAt, out)
  if (exchange.isTunnel) {
    out.ascii('Connection: upgrade\r\nUpgrade: websocket\r\n')
  } else {
    writeFraming(exchange, head, out)
    out.ascii(exchange.closesClient ? 'Connection: close\r\n' : 'Connection: keep-alive\r\n')
  }
  for (const cookie of cookies) out.ascii(`Set-Cookie: ${cookie}\r\n`)
  copyKeptFields(head, responseHeaders, out)
  if (responseHeaders !== null) out.ascii(responseHeaders.lines)
  out.ascii('\r\n')
}

/** As whole lines. */
function bytesOf(cookies: readonly string[]): number {
  let bytes = 0
  for (const cookie of cookies) bytes += 'Set-Cookie: \r\n'.length + cookie.length
  return bytes
}

/** Without a body, the length that the target named still goes out: HEAD and 304 mean something by it. */
function writeFraming(exchange: Exchange, head: ResponseHead, out: OutBuffer): void {
  if (exchange.addsChunks) out.ascii('Transfer-Encoding: chunked\r\n')
  else if (head.meaning.bodyKind === BodyKind.chunked && exchange.head.minorVersion > 0) {
    out.ascii('Transfer-Encoding: chunked\r\n')
  }
  const length = head.indexOf(Field.contentLength)
  if (length !== -1) copyLine(head, length, out)
}

function copyLine(head: ResponseHead, i: number, out: OutBuffer): void {
  out.copy(head.bytes, head.nameFrom(i), head.lineEnd(i))
}

/** @param replaced the listener's own, which stand in place of the target's */
function copyKeptFields(head: ResponseHead, replaced: RunningResponseHeaders | null, out: OutBuffer): void {
  const { bytes } = head
  let runFrom = -1
  for (let i = 0; i < head.fieldCount; i++) {
    const isKept = keepsResponseField(head, i, replaced)
    if (isKept && runFrom === -1) runFrom = head.nameFrom(i)
    if (!isKept && runFrom !== -1) {
      out.copy(bytes, runFrom, head.nameFrom(i))
      runFrom = -1
    }
  }
  if (runFrom !== -1) out.copy(bytes, runFrom, head.length - 2)
}

/** Whether field `i` goes on as it came: no hop-by-hop field does, nor what is written in a place of its own. */
export function keepsResponseField(head: ResponseHead, i: number, replaced: RunningResponseHeaders | null): boolean {
  const { meaning } = head
  switch (head.field(i)) {
    case Field.connection:
    case Field.keepAlive:
    case Field.proxyConnection:
    case Field.transferEncoding:
    case Field.contentLength:
    case Field.upgrade:
    case Field.trailer:
    case Field.te:
      return false
    case Field.date:
      return i !== meaning.dateAt
    case Field.contentType:
      return i !== meaning.contentTypeAt
    default: {
      if (meaning.nominated === null && replaced === null) return true
      const name = head.text(head.nameFrom(i), head.nameTo(i)).toLowerCase()
      return meaning.nominated?.includes(name) !== true && replaced?.names.has(name) !== true
    }
  }
}
