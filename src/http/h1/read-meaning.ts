/** Fills in what the fields of a head mean together (RFC 9112, sections 6 and 9). */

import { Desync } from '../../model/desync.ts'
import { HTAB, SP } from '../tables.ts'
import { Field } from './fields.ts'
import type { Head, RequestHead, ResponseHead } from './head.ts'
import { BodyKind, type ConnectionMeaning } from './meaning.ts'

const noLength = -1
const badLength = -2

export function readRequestMeaning(head: RequestHead): void {
  const meaning = head.meaning
  meaning.reset()
  readMethod(head)
  let length = noLength
  let isWebSocket = false
  let hasCoding = false
  let chunkedCount = 0
  for (let i = 0; i < head.fieldCount; i++) {
    switch (head.field(i)) {
      case Field.host:
        if (meaning.hostAt === -1) meaning.hostAt = i
        break
      case Field.connection:
        readConnection(head, i, meaning)
        break
      case Field.contentLength: {
        const next = readLength(head, i)
        if (next === badLength) meaning.classify(Desync.BadContentLength)
        else if (length === noLength) length = next
        else meaning.classify(next === length ? Desync.DuplicateContentLength : Desync.MultipleContentLength)
        break
      }
      case Field.transferEncoding:
        hasCoding = true
        chunkedCount += readCodings(head, i)
        break
      case Field.expect:
        if (valueIs(head, i, '100-continue')) meaning.expectsContinue = true
        break
      case Field.upgrade:
        if (valueIs(head, i, 'websocket')) isWebSocket = true
        break
    }
  }
  if (length !== noLength || hasCoding) settleBody(head, length, hasCoding, chunkedCount)
  if (hasHigherVersion(head)) meaning.classify(Desync.NonCompliantVersion)
  meaning.isWebSocketUpgrade =
    isWebSocket &&
    meaning.wantsUpgrade &&
    meaning.isGet &&
    head.minorVersion === 1 &&
    meaning.bodyKind === BodyKind.none
}

/** @returns how often `chunked` was applied */
function readCodings(head: RequestHead, i: number): number {
  let chunkedCount = 0
  for (const coding of head.text(head.valueFrom(i), head.valueTo(i)).toLowerCase().split(',')) {
    const name = trimBlanks(coding.split(';', 1)[0]!)
    if (name === 'chunked') chunkedCount++
    else if (name === 'gzip' || name === 'deflate' || name === 'compress') head.meaning.hasUnsupportedCoding = true
    else if (name !== 'identity') head.meaning.classify(Desync.BadTransferEncoding)
  }
  return chunkedCount
}

/** `String.trim` would also remove a no-break space (0xa0), by which a coding hides from whoever reads it strictly. */
function trimBlanks(text: string): string {
  let from = 0
  let to = text.length
  while (from < to && isBlank(text.charCodeAt(from))) from++
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--
  return text.slice(from, to)
}

function isBlank(byte: number | undefined): boolean {
  return byte === SP || byte === HTAB
}

/** Transfer-Encoding outweighs Content-Length (RFC 9112, section 6.3); what was ambiguous about it is named. */
function settleBody(head: RequestHead, length: number, hasCoding: boolean, chunkedCount: number): void {
  const meaning = head.meaning
  const isBodyUnexpected = meaning.isGet || meaning.isHead
  if (chunkedCount > 1) meaning.classify(Desync.MultipleTransferEncodingChunked)
  if (isBodyUnexpected && length === 0) meaning.classify(Desync.GetHeadZeroContentLength)
  if (isBodyUnexpected && length > 0) meaning.classify(Desync.UndefinedContentLengthSemantics)
  if (hasCoding && (isBodyUnexpected || head.minorVersion === 0)) {
    meaning.classify(Desync.UndefinedTransferEncodingSemantics)
  }
  if (hasCoding && length !== noLength) meaning.classify(Desync.BothTeClPresent)
  if (chunkedCount > 0) {
    meaning.bodyKind = BodyKind.chunked
  } else if (length > 0) {
    meaning.contentLength = length
    meaning.bodyKind = BodyKind.length
  }
}

export function readResponseMeaning(head: ResponseHead, isHeadRequest: boolean): void {
  const meaning = head.meaning
  meaning.reset()
  let length = noLength
  let codings = 0
  let isChunked = false
  for (let i = 0; i < head.fieldCount; i++) {
    switch (head.field(i)) {
      case Field.connection:
        readConnection(head, i, meaning)
        break
      case Field.contentLength:
        if (length !== noLength) meaning.fault = 'more than one Content-Length'
        length = readLength(head, i)
        if (length === badLength) meaning.fault = 'Content-Length must be digits'
        break
      case Field.transferEncoding:
        codings++
        isChunked = valueIs(head, i, 'chunked')
        break
      case Field.date:
        if (meaning.dateAt === -1) meaning.dateAt = i
        break
      case Field.contentType:
        if (meaning.contentTypeAt === -1) meaning.contentTypeAt = i
        break
    }
  }
  if (codings > 1 || (codings === 1 && !isChunked)) meaning.fault = 'Transfer-Encoding must be chunked'
  if (codings > 0 && length !== noLength) meaning.fault = 'both Transfer-Encoding and Content-Length'
  if (length >= 0) meaning.contentLength = length
  if (isHeadRequest || head.statusCode < 200 || head.statusCode === 204 || head.statusCode === 304) return
  if (codings > 0) meaning.bodyKind = BodyKind.chunked
  else if (length === noLength) meaning.bodyKind = BodyKind.untilClose
  else meaning.bodyKind = length > 0 ? BodyKind.length : BodyKind.none
}

/** Whether it said HTTP/1.2 to 1.9, which is served as 1.1. The digit stands behind the target, at a fixed distance. */
function hasHigherVersion(head: RequestHead): boolean {
  return head.bytes[head.targetTo + ' HTTP/1.'.length]! > 0x31
}

function readMethod(head: RequestHead): void {
  const { bytes, methodFrom: from, methodTo: to } = head
  if (to - from === 3) head.meaning.isGet = bytes[from] === 0x47 && bytes[from + 1] === 0x45 && bytes[from + 2] === 0x54
  else if (to - from === 4) head.meaning.isHead = head.text(from, to) === 'HEAD'
}

/** @returns the length, or `badLength` for anything but digits, or beyond what a double counts exactly */
function readLength(head: Head, i: number): number {
  const from = head.valueFrom(i)
  const to = head.valueTo(i)
  // 15 digits are always exact; a longer number is the length of no real body.
  if (to === from || to - from > 15) return badLength
  let length = 0
  for (let at = from; at < to; at++) {
    const digit = head.bytes[at]! - 0x30
    if (digit < 0 || digit > 9) return badLength
    length = length * 10 + digit
  }
  return length
}

const closeToken = Buffer.from('close')
const keepAliveToken = Buffer.from('keep-alive')
const upgradeToken = Buffer.from('upgrade')

function readConnection(head: Head, i: number, meaning: ConnectionMeaning): void {
  const bytes = head.bytes
  const end = head.valueTo(i)
  let at = head.valueFrom(i)
  while (at < end) {
    let to = at
    while (to < end && bytes[to] !== 0x2c) to++
    let last = to
    while (last > at && isBlank(bytes[last - 1])) last--
    if (equalsFolded(bytes, at, last, closeToken)) meaning.wantsClose = true
    else if (equalsFolded(bytes, at, last, keepAliveToken)) meaning.wantsKeepAlive = true
    else if (equalsFolded(bytes, at, last, upgradeToken)) meaning.wantsUpgrade = true
    else if (last > at) {
      meaning.nominated ??= []
      meaning.nominated.push(head.text(at, last).toLowerCase())
    }
    at = to + 1
    while (at < end && isBlank(bytes[at])) at++
  }
}

/** @param lower letters and hyphens only */
function equalsFolded(bytes: Uint8Array, from: number, to: number, lower: Uint8Array): boolean {
  if (to - from !== lower.length) return false
  for (let i = 0; i < lower.length; i++) {
    const byte = bytes[from + i]!
    if ((byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte) !== lower[i]) return false
  }
  return true
}

function valueIs(head: Head, i: number, lower: string): boolean {
  const from = head.valueFrom(i)
  const to = head.valueTo(i)
  return to - from === lower.length && head.text(from, to).toLowerCase() === lower
}
