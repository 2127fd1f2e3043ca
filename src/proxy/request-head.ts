/**
 * Writes the head that a target is sent: the client's fields in their order, less those that end here, behind those
 * that the load balancer sets. Unchanged fields are copied in runs, but no line that came odd leaves as it came: one
 * request goes out, and nobody can read it as another.
 *
 * That ours come first, in this order, is assumed; names and values are documented.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html
 */

import { BodyKind, Field, fieldOf, type RequestHead } from '../http/h1.ts'
import { tokenByte, valueByte } from '../http/tables.ts'
import { formatAddress } from '../model/resources.ts'
import type { OutBuffer } from '../net/buffers.ts'
import { reservable, writeTlsFields } from './client-tls.ts'
import type { RunningListener } from './context.ts'
import type { Client, Exchange } from './exchange.ts'
import { encodedBytesMax, writeEncoded } from './request-target.ts'

/** Room for everything else that is added to a client's head. */
const addedBytesMax = 2048

export function writeTargetHead(exchange: Exchange, out: OutBuffer): void {
  const { head } = exchange
  const listener = exchange.listener!
  const { attributes } = listener.loadBalancer
  const { transformedUri, transformedHost } = exchange
  const { requestHeaders } = listener
  const tls = requestHeaders === null ? null : exchange.client!.tls
  const certificateBytesMax = tls === null ? 0 : tls.certificateBytesMax
  const own = exchange.traceId.length + transformedUri.length + transformedHost.length + certificateBytesMax
  out.reserve(head.length * (1 + encodedBytesMax) + own + addedBytesMax)

  out.copy(head.bytes, head.methodFrom, head.methodTo)
  out.ascii(' ')
  if (transformedUri === '') writePath(exchange, out)
  else out.ascii(transformedUri)
  out.ascii(' HTTP/1.1\r\n')

  if (attributes.xffHeaderProcessingMode === 'append') writeForwardedFor(exchange, out)
  out.ascii(listener.protocol === 'https' ? 'X-Forwarded-Proto: https' : 'X-Forwarded-Proto: http')
  out.ascii('\r\nX-Forwarded-Port: ')
  out.decimal(listener.port)
  if (transformedHost !== '' || !attributes.preserveHostHeader || head.meaning.hostAt === -1) {
    out.ascii('\r\nHost: ')
    const host = transformedHost || exchange.host
    out.ascii(host)
    out.ascii(portBehind(host, transformedHost || exchange.authority, listener))
  }
  if (requestHeaders !== null) writeTlsFields(tls, requestHeaders, out, writeLineBehind)
  out.ascii('\r\nX-Amzn-Trace-Id: ')
  out.ascii(exchange.traceId)
  out.ascii(
    head.meaning.isWebSocketUpgrade
      ? '\r\nConnection: upgrade\r\nUpgrade: websocket\r\n'
      : '\r\nConnection: keep-alive\r\n',
  )
  writeFraming(head, exchange.client!.isHttp2, out)
  if (head.isOdd) writeKeptFields(exchange, out)
  else copyKeptFields(exchange, out)
  out.ascii('\r\n')
}

function writePath({ head, pathFrom }: Exchange, out: OutBuffer): void {
  if (pathFrom === head.targetTo || head.bytes[pathFrom] === 0x3f) out.ascii('/')
  if (head.meaning.hasOddTarget) writeEncoded(head.bytes, pathFrom, head.targetTo, out)
  else out.copy(head.bytes, pathFrom, head.targetTo)
}

/** What follows the host: at ports 80 and 443 nothing, at every other one the port; whichever the client sent. */
export function portBehind(host: string, authority: string, listener: RunningListener): string {
  if (listener.port === 80 || listener.port === 443) return ''
  return authority.length > host.length + 1 ? authority.slice(host.length) : `:${listener.port}`
}

function writeForwardedFor(exchange: Exchange, out: OutBuffer): void {
  const { head } = exchange
  const client = exchange.client!
  out.ascii('X-Forwarded-For: ')
  let isFirst = true
  for (let i = 0; i < head.fieldCount; i++) {
    if (head.field(i) !== Field.forwardedFor || head.valueFrom(i) === head.valueTo(i)) continue
    if (!isFirst) out.ascii(', ')
    out.copy(head.bytes, head.valueFrom(i), head.valueTo(i))
    isFirst = false
  }
  if (!isFirst) out.ascii(', ')
  out.ascii(clientAddress(client, exchange.listener!.loadBalancer.attributes.xffClientPort))
  out.ascii('\r\n')
}

/** The same as one text. */
export function forwardedFor(exchange: Exchange): string {
  const { head } = exchange
  let addresses = ''
  for (let i = 0; i < head.fieldCount; i++) {
    if (head.field(i) !== Field.forwardedFor || head.valueFrom(i) === head.valueTo(i)) continue
    addresses += `${head.text(head.valueFrom(i), head.valueTo(i))}, `
  }
  return addresses + clientAddress(exchange.client!, exchange.listener!.loadBalancer.attributes.xffClientPort)
}

function writeLineBehind(out: OutBuffer, name: string, value: string): void {
  out.ascii('\r\n')
  out.ascii(name)
  out.ascii(': ')
  out.ascii(value)
}

function clientAddress(client: Client, withPort: boolean): string {
  return withPort ? formatAddress(client.ip, client.port) : client.ip
}

/** A length that the client gave once, alone and as we would write it stays in its place; any other is written anew. */
function writeFraming({ meaning }: RequestHead, isHttp2: boolean, out: OutBuffer): void {
  // Beside those that the load balancer writes itself, the names of an HTTP/2 request are in lower case.
  if (meaning.bodyKind === BodyKind.chunked) {
    out.ascii(isHttp2 ? 'transfer-encoding: chunked\r\n' : 'Transfer-Encoding: chunked\r\n')
  } else if (meaning.needsLength) {
    out.ascii('Content-Length: ')
    out.decimal(meaning.contentLength)
    out.ascii('\r\n')
  }
}

function copyKeptFields(exchange: Exchange, out: OutBuffer): void {
  const { head } = exchange
  const { bytes } = head
  let runFrom = -1
  for (let i = 0; i < head.fieldCount; i++) {
    const isKept = keepsRequestField(exchange, head, i)
    if (isKept && runFrom === -1) runFrom = head.nameFrom(i)
    if (!isKept && runFrom !== -1) {
      out.copy(bytes, runFrom, head.nameFrom(i))
      runFrom = -1
    }
  }
  if (runFrom !== -1) out.copy(bytes, runFrom, head.length - 2)
}

/** Field by field, with the line ends and the white space that they should have had. */
function writeKeptFields(exchange: Exchange, out: OutBuffer): void {
  const { head } = exchange
  for (let i = 0; i < head.fieldCount; i++) {
    const isFolded = head.field(i) === Field.folded
    const isKept = isFolded ? keepsFolded(exchange, head, i) : keepsRequestField(exchange, head, i)
    if (isKept) {
      out.copy(head.bytes, head.nameFrom(i), head.nameTo(i))
      out.ascii(isFolded ? ':' : ': ')
      out.copy(head.bytes, head.valueFrom(i), head.valueTo(i))
    }
    // Only a Content-Type may go on in the next line, and then it goes on in its own here (RFC 9112, section 5.2).
    if (head.field(i) === Field.contentType) {
      while (i + 1 < head.fieldCount && head.field(i + 1) === Field.folded) {
        i++
        if (!isKept) continue
        out.ascii(' ')
        writeBlanked(head.bytes, head.nameFrom(i), head.nameTo(i), out)
      }
    }
    if (isKept) out.ascii('\r\n')
  }
}

/** With spaces for control bytes, as all values have them. */
function writeBlanked(bytes: Buffer, from: number, to: number, out: OutBuffer): void {
  for (let at = from; at < to; at++) {
    if (valueByte[bytes[at]!] === 1) out.copy(bytes, at, at + 1)
    else out.ascii(' ')
  }
}

/**
 * The service makes a field of its own of a folded line, by a colon behind it; here only where that is a field which
 * says nothing to anybody in between.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html
 */
function keepsFolded(exchange: Exchange, head: RequestHead, i: number): boolean {
  const { attributes } = exchange.listener!.loadBalancer
  const from = head.nameFrom(i)
  const to = head.nameTo(i)
  if (from === to) return false
  for (let at = from; at < to; at++) if (tokenByte[head.bytes[at]!] === 0) return false
  if (fieldOf(head.bytes, from, to) !== Field.other || head.meaning.nominated?.includes(nameOf(head, i))) return false
  return !attributes.dropInvalidHeaderFields || isPlainName(head, i)
}

export function keepsRequestField(exchange: Exchange, head: RequestHead, i: number): boolean {
  const { loadBalancer, requestHeaders } = exchange.listener!
  const { attributes } = loadBalancer
  const { meaning } = head
  switch (head.field(i)) {
    case Field.other:
    case Field.userAgent:
    case Field.date:
    case Field.contentType:
    case Field.cookie:
    case Field.setCookie:
    case Field.server:
      if (attributes.dropInvalidHeaderFields && !head.hasPlainNamesOnly && !isPlainName(head, i)) return false
      if (requestHeaders?.reserved.has(reservable(nameOf(head, i)))) return false
      return meaning.nominated === null || !meaning.nominated.includes(nameOf(head, i))
    case Field.host:
      return attributes.preserveHostHeader && exchange.transformedHost === ''
    case Field.contentLength:
      return i === meaning.lengthAt
    case Field.expect:
      return !meaning.expectsContinue
    case Field.forwardedFor:
      return attributes.xffHeaderProcessingMode === 'preserve'
    default:
      // Hop-by-hop fields, those that the load balancer sets itself, and those that somebody may take for another.
      return false
  }
}

/** Whether some name is invalid by the service's rule and yet of a kind that goes on where such names do. */
export function forwardsInvalidNames(head: RequestHead): boolean {
  for (let i = 0; i < head.fieldCount; i++) if (head.field(i) === Field.other && !isPlainName(head, i)) return true
  return false
}

function isPlainName(head: RequestHead, i: number): boolean {
  return /^[-a-z0-9]+$/.test(nameOf(head, i))
}

function nameOf(head: RequestHead, i: number): string {
  return head.text(head.nameFrom(i), head.nameTo(i)).toLowerCase()
}
