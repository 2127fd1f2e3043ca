/**
 * Writes what a client of HTTP/2 is sent: the head of a target's response, and answers of the load balancer's own. The
 * order of fields is that of HTTP/1.1 (captured for error pages, assumed for others); names are in lower case.
 */

import type { ByteWriter } from '../base/byte-writer.ts'
import { Field, type ResponseHead } from '../http/h1.ts'
import {
  StaticName,
  writeContentLength,
  writeField,
  writeFieldText,
  writeKnown,
  writeKnownText,
  writeStatus,
} from '../http/h2.ts'
import type { OwnAnswer } from './answer.ts'
import type { Exchange } from './exchange.ts'
import { keepsResponseField } from './response-head.ts'
import { stickyCookies } from './stickiness.ts'

export function writeH2ClientHead(exchange: Exchange, head: ResponseHead, now: number, out: ByteWriter): void {
  const { meaning, bytes } = head
  const { responseHeaders } = exchange.listener!
  writeStatus(out, head.statusCode)
  const { dateAt, contentTypeAt } = meaning
  if (dateAt === -1) writeKnownText(out, StaticName.date, exchange.plane.dates.httpDate(now))
  else writeKnownField(StaticName.date, head, dateAt, out)
  if (contentTypeAt !== -1) writeKnownField(StaticName.contentType, head, contentTypeAt, out)
  // With a 204 it means nothing (RFC 9110, section 8.6), and clients of HTTP/2 take it for malformed.
  const lengthAt = head.statusCode === 204 ? -1 : head.indexOf(Field.contentLength)
  if (lengthAt !== -1) writeContentLength(out, meaning.contentLength, head.isNeverIndexed(lengthAt))
  for (const cookie of stickyCookies(exchange, head, now)) writeKnownText(out, StaticName.setCookie, cookie)
  for (let i = 0; i < head.fieldCount; i++) {
    if (!keepsResponseField(head, i, responseHeaders)) continue
    const isNeverIndexed = head.isNeverIndexed(i)
    writeField(out, bytes, head.nameFrom(i), head.nameTo(i), head.valueFrom(i), head.valueTo(i), isNeverIndexed)
  }
  writeOwnFields(exchange, out)
}

function writeKnownField(name: StaticName, head: ResponseHead, i: number, out: ByteWriter): void {
  writeKnown(out, name, head.bytes, head.valueFrom(i), head.valueTo(i), head.isNeverIndexed(i))
}

export function writeH2Answer(exchange: Exchange, answer: OwnAnswer, out: ByteWriter): void {
  writeStatus(out, answer.status)
  if (exchange.listener!.serverHeader) writeKnownText(out, StaticName.server, 'awselb/2.0')
  writeKnownText(out, StaticName.date, answer.date)
  if (answer.contentType !== '') writeKnownText(out, StaticName.contentType, answer.contentType)
  if (answer.contentLength !== -1) writeContentLength(out, answer.contentLength)
  if (answer.location !== '') writeKnownText(out, StaticName.location, answer.location)
  for (const [name, value] of answer.fields) writeFieldText(out, name, value)
  writeOwnFields(exchange, out)
}

/** Those that the listener sets on every response. */
function writeOwnFields(exchange: Exchange, out: ByteWriter): void {
  const { responseHeaders } = exchange.listener!
  if (responseHeaders === null) return
  for (const [name, value] of responseHeaders.fields) writeFieldText(out, name, value)
}
