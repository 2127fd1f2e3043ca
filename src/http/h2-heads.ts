/**
 * Heads of HTTP/2 as the heads of HTTP/1.1 that say the same, so that everything behind the codecs knows one kind. They
 * are written as text and read as such: what is refused in one version is refused in the other, for the same reason.
 */

import { ByteWriter } from '../base/byte-writer.ts'
import { BodyKind, Field, type RequestHead, type ResponseHead, readRequestMeaning, readResponseMeaning } from './h1.ts'
import type { FieldBlock } from './h2.ts'

const text = new ByteWriter(8 * 1024)
/** For everything that is added to the fields. */
const addedBytesMax = 64

/**
 * Reads a request and what it means; `head.fault` says when it is none. Cookies that came in crumbs are one again
 * (RFC 9113, section 8.2.3), and Host is what `:authority` said, if that was said.
 *
 * HTTP/2 frames bodies in one way only: no request is classified as one that could be read differently.
 *
 * @param hasBody whether anything may follow the head
 */
export function readRequestFields(fields: FieldBlock, hasBody: boolean, head: RequestHead): void {
  const method = fields.pseudo(':method')
  const authority = fields.pseudo(':authority')
  const path = fields.pseudo(':path')
  // CONNECT has no path. It is refused, but the log names where it wanted to go.
  const target = path === -1 ? authority : path
  text.length = 0
  text.reserve(fields.length + addedBytesMax)
  copyValue(fields, method)
  text.ascii(' ')
  copyValue(fields, target)
  text.ascii(' HTTP/1.1\r\n')
  if (path !== -1) head.isTargetNeverIndexed = fields.isNeverIndexed(path)
  if (authority !== -1) writeLine('Host: ', fields, authority)
  if (authority !== -1 && fields.isNeverIndexed(authority)) head.markNeverIndexed(0)
  copyRequestFields(fields, authority !== -1, head)
  text.ascii('\r\n')
  head.read(text.bytes, 0, text.length)
  if (head.length === 0) return
  readRequestMeaning(head)
  settleBody(head, hasBody)
}

function copyValue(fields: FieldBlock, i: number): void {
  text.copy(fields.bytes, fields.valueFrom(i), fields.valueTo(i))
}

function copyLine(fields: FieldBlock, i: number): void {
  text.copy(fields.bytes, fields.nameFrom(i), fields.valueTo(i) + 2)
}

function writeLine(name: string, fields: FieldBlock, i: number): void {
  text.ascii(name)
  copyValue(fields, i)
  text.ascii('\r\n')
}

/**
 * Names stay in lower case, save those that the service writes in another way.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/how-elastic-load-balancing-works.html#http-headers
 */
function copyRequestFields(fields: FieldBlock, hasAuthority: boolean, head: RequestHead): void {
  let lines = hasAuthority ? 1 : 0
  let cookieAt = -1
  for (let i = fields.pseudoCount; i < fields.count; i++) {
    let at = lines
    switch (fields.field(i)) {
      case Field.cookie:
        if (cookieAt === -1) joinCookies(fields, i)
        else at = cookieAt
        cookieAt = at
        break
      case Field.host:
        if (hasAuthority) continue
        writeLine('Host: ', fields, i)
        break
      case Field.forwardedFor:
        writeLine('X-Forwarded-For: ', fields, i)
        break
      default:
        copyLine(fields, i)
    }
    // Cookies that are one again are a secret if one of them was.
    if (fields.isNeverIndexed(i)) head.markNeverIndexed(at)
    if (at === lines) lines++
  }
}

function joinCookies(fields: FieldBlock, first: number): void {
  text.ascii('cookie: ')
  copyValue(fields, first)
  for (let i = first + 1; i < fields.count; i++) {
    if (fields.field(i) !== Field.cookie) continue
    text.ascii('; ')
    copyValue(fields, i)
  }
  text.ascii('\r\n')
}

/** A body without a length is sent on in chunks where the next hop knows no other way. */
function settleBody({ meaning }: RequestHead, hasBody: boolean): void {
  meaning.desync = 0
  if (!hasBody) meaning.bodyKind = BodyKind.none
  else if (meaning.lengthAt === -1) meaning.bodyKind = BodyKind.chunked
}

/**
 * Reads a response and what it means; `head.fault` says when it is none.
 *
 * @param hasBody whether anything may follow the head
 */
export function readResponseFields(fields: FieldBlock, hasBody: boolean, head: ResponseHead): void {
  head.reset()
  text.length = 0
  text.reserve(fields.length + addedBytesMax)
  text.ascii('HTTP/1.1 ')
  const status = fields.pseudo(':status')
  if (status !== -1) copyValue(fields, status)
  text.ascii(' \r\n')
  for (let i = fields.pseudoCount; i < fields.count; i++) {
    copyLine(fields, i)
    if (fields.isNeverIndexed(i)) head.markNeverIndexed(i - fields.pseudoCount)
  }
  text.ascii('\r\n')
  head.read(text.bytes, 0, text.length)
  if (head.length > 0) readResponseMeaning(head, !hasBody)
}
