/**
 * One finished exchange as one line of the access log, written straight into the log's buffer: no string is built.
 * Fields and their order are the service's; which of them are `-` or -1 follows from what the exchange lived through.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
 */

import { Field, type Head, type RequestHead } from '../http/h1.ts'
import { desyncReason } from '../model/desync.ts'
import { loggedUserAgentBytesMax } from '../model/limits.ts'
import {
  escapedBytesMax,
  writeAscii,
  writeDecimal,
  writeEscaped,
  writeEscapedText,
  writeIsoMicros,
  writeIsoMillis,
  writeSeconds,
} from './log-text.ts'
import type { LogWriter } from './log-writer.ts'

export type AccessLogRecord = {
  readonly type: 'http' | 'https' | 'h2' | 'grpcs' | 'ws' | 'wss'
  /** When the exchange ended, and when its first byte came, in milliseconds since the epoch. */
  readonly timeMs: number
  readonly creationMs: number
  /** `app/<name>/<id>` */
  readonly loadBalancer: string
  readonly clientAddress: string
  /** Null: no target was chosen. */
  readonly targetAddress: string | null
  /** In milliseconds, or -1. */
  readonly requestProcessingMs: number
  readonly targetProcessingMs: number
  readonly responseProcessingMs: number
  readonly statusCode: number
  /** -1: no target answered. */
  readonly targetStatusCode: number
  readonly receivedBytes: number
  readonly sentBytes: number
  /** Its method, target and User-Agent are logged if its start line could be read. */
  readonly head: RequestHead
  /** As the client named it, without a port; the load balancer's DNS name where it named none. */
  readonly host: string
  readonly port: number
  /** Where the path begins in the head. */
  readonly pathFrom: number
  readonly targetGroupArn: string | null
  /** '' for a request that was refused before it was routed. */
  readonly traceId: string
  /** -1: no rule was looked up. */
  readonly rulePriority: number
  /** '' for none. */
  readonly actions: string
  readonly redirectUrl: string
  /** '' for none, as with all three of a transform. */
  readonly errorReason: string
  readonly transformedHost: string
  readonly transformedUri: string
  readonly transformStatus: string
  readonly desync: number
  readonly connectionTraceId: string
  readonly nodeIp: string
  /** Null on HTTP listeners, and where no handshake came about. */
  readonly tls: LoggedTls | null
}

/** How the client's connection was secured. */
export type LoggedTls = {
  /** As OpenSSL calls it. */
  readonly cipher: string
  /** Such as `TLSv1.3`. */
  readonly protocol: string
  /** What the client asked for, if a certificate is for it; '' otherwise. */
  readonly domainName: string
  /** An ARN, or `session-reused`. */
  readonly chosenCertificate: string
}

/** Everything but the quoted texts that come from the client: three addresses, two ARNs, a dozen numbers. */
const fixedBytesMax = 1024

const quote = 0x22
const dash = 0x2d
const colon = 0x3a

export function writeAccessLogLine(log: LogWriter, record: AccessLogRecord): void {
  const { head } = record
  const size =
    fixedBytesMax +
    escapedBytesMax * (head.length + record.host.length + record.redirectUrl.length + record.transformedUri.length) +
    record.transformedHost.length +
    record.traceId.length
  let at = log.reserve(size)
  const { block } = log
  at = writeAscii(block, at, record.type)
  block[at++] = 0x20
  at = writeIsoMicros(block, at, record.timeMs)
  at = writeField(block, at, record.loadBalancer)
  at = writeField(block, at, record.clientAddress)
  at = writeField(block, at, record.targetAddress ?? '-')
  at = writeSeconds(block, space(block, at), record.requestProcessingMs)
  at = writeSeconds(block, space(block, at), record.targetProcessingMs)
  at = writeSeconds(block, space(block, at), record.responseProcessingMs)
  at = writeDecimal(block, space(block, at), record.statusCode)
  at = writeNumber(block, space(block, at), record.targetStatusCode)
  at = writeDecimal(block, space(block, at), record.receivedBytes)
  at = writeDecimal(block, space(block, at), record.sentBytes)
  at = writeRequestLine(block, openQuote(block, at), record)
  at = closeQuote(block, at)
  at = writeUserAgent(block, openQuote(block, at), head)
  at = closeQuote(block, at)
  const { tls } = record
  at = writeField(block, at, tls === null ? '-' : tls.cipher)
  at = writeField(block, at, tls === null ? '-' : tls.protocol)
  at = writeField(block, at, record.targetGroupArn ?? '-')
  at = writeQuoted(block, at, record.traceId)
  at = writeQuoted(block, at, tls === null ? '' : tls.domainName)
  at = writeQuoted(block, at, tls === null ? '' : tls.chosenCertificate)
  at = writeNumber(block, space(block, at), record.rulePriority)
  at = writeIsoMillis(block, space(block, at), record.creationMs)
  at = writeQuoted(block, at, record.actions)
  at = writeQuoted(block, at, record.redirectUrl)
  at = writeQuoted(block, at, record.errorReason)
  at = writeQuoted(block, at, record.targetAddress ?? '')
  at = writeNumber(block, openQuote(block, at), record.targetStatusCode)
  at = closeQuote(block, at)
  const desync = record.desync === 0 ? null : desyncReason(record.desync)
  at = writeQuoted(block, at, desync === null ? '' : desync.tier)
  at = writeQuoted(block, at, desync === null ? '' : desync.reason)
  at = writeField(block, at, record.connectionTraceId)
  at = writeQuoted(block, at, record.transformedHost)
  at = writeQuoted(block, at, record.transformedUri)
  at = writeQuoted(block, at, record.transformStatus)
  at = writeAscii(block, space(block, at), record.nodeIp)
  block[at++] = 0x0a
  log.commit(at)
}

function space(block: Buffer, at: number): number {
  block[at] = 0x20
  return at + 1
}

function writeField(block: Buffer, at: number, text: string): number {
  return writeAscii(block, space(block, at), text)
}

function openQuote(block: Buffer, at: number): number {
  block[at] = 0x20
  block[at + 1] = quote
  return at + 2
}

function closeQuote(block: Buffer, at: number): number {
  block[at] = quote
  return at + 1
}

/** Writes the text in quotes behind a space; an empty one as `-`. A trace id or redirect may hold what the client sent. */
function writeQuoted(block: Buffer, at: number, text: string): number {
  let next = openQuote(block, at)
  if (text === '') block[next++] = dash
  else next = writeEscapedText(block, next, text)
  return closeQuote(block, next)
}

/** -1 as `-`. */
function writeNumber(block: Buffer, at: number, n: number): number {
  if (n !== -1) return writeDecimal(block, at, n)
  block[at] = dash
  return at + 1
}

/** A request whose head could not be read is logged as going to the load balancer itself, with no method, path or version. */
function writeRequestLine(block: Buffer, at: number, record: AccessLogRecord): number {
  const { head } = record
  const isReadable = head.length > 0
  let next = isReadable
    ? writeEscaped(block, at, head.bytes, head.methodFrom, head.methodTo)
    : writeAscii(block, at, '-')
  const isSecure = record.type !== 'http' && record.type !== 'ws'
  next = writeAscii(block, next, isSecure ? ' https://' : ' http://')
  next = writeEscapedText(block, next, record.host)
  block[next++] = colon
  next = writeDecimal(block, next, record.port)
  if (!isReadable) return writeAscii(block, next, '- -')
  if (record.pathFrom === head.targetTo) next = writeAscii(block, next, '/')
  next = writeEscaped(block, next, head.bytes, record.pathFrom, head.targetTo)
  if (record.type === 'h2' || record.type === 'grpcs') return writeAscii(block, next, ' HTTP/2.0')
  // A request without a version is one of HTTP/0.9; that the log says so is assumed.
  if (head.isSimple) return writeAscii(block, next, ' HTTP/0.9')
  return writeEscaped(block, space(block, next), head.bytes, head.versionFrom, head.versionTo)
}

function writeUserAgent(block: Buffer, at: number, head: Head): number {
  const i = head.length === 0 ? -1 : head.indexOf(Field.userAgent)
  if (i === -1 || head.valueFrom(i) === head.valueTo(i)) return writeAscii(block, at, '-')
  const to = Math.min(head.valueTo(i), head.valueFrom(i) + loggedUserAgentBytesMax)
  return writeEscaped(block, at, head.bytes, head.valueFrom(i), to)
}
