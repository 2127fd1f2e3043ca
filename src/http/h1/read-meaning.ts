/** Fills in what the fields of a head mean together (RFC 9112, sections 6 and 9). */

import { Desync } from '../../model/desync.ts'
import { isBlank } from '../tables.ts'
import { Field } from './fields.ts'
import { badLength, equalsFolded, noLength, readLength, settleFraming, settleLength } from './framing.ts'
import type { Head } from './head.ts'
import { BodyKind, type ConnectionMeaning } from './meaning.ts'
import { blankControls, classifyField, classifyLineEnds, classifyRequestLine } from './oddities.ts'
import type { RequestHead } from './request-head.ts'
import type { ResponseHead } from './response-head.ts'

/**
 * Also classifies the request: fields one by one, then what they say together about the body, then the request line.
 * An odd head is blanked behind it (see `oddities.ts`), so this is called once for a head.
 */
export function readRequestMeaning(head: RequestHead): void {
  const meaning = head.meaning
  const { isOdd } = head
  meaning.reset()
  readMethod(head)
  if (isOdd) classifyLineEnds(head)
  let isWebSocket = false
  let hasCoding = false
  let lengthCount = 0
  let lengthAt = -1
  let hasAlike = false
  for (let i = 0; i < head.fieldCount; i++) {
    if (isOdd) classifyField(head, i)
    switch (head.field(i)) {
      case Field.host:
        if (meaning.hostAt === -1) meaning.hostAt = i
        break
      case Field.connection:
        readConnection(head, i, meaning)
        break
      case Field.contentLength:
        lengthCount++
        lengthAt = i
        break
      case Field.transferEncoding:
        hasCoding = true
        break
      case Field.likeContentLength:
        meaning.classify(Desync.SuspiciousHeader)
        lengthCount++
        hasAlike = true
        break
      case Field.likeTransferEncoding:
        meaning.classify(Desync.SuspiciousHeader)
        hasCoding = hasAlike = true
        break
      case Field.expect:
        if (valueIs(head, i, '100-continue')) meaning.expectsContinue = true
        break
      case Field.upgrade:
        if (valueIs(head, i, 'websocket')) isWebSocket = true
        break
    }
  }
  // Nearly every request with a body has a length, once, and nothing else.
  if (lengthCount === 1 && !hasCoding && !hasAlike && !isOdd) settleLength(head, lengthAt)
  else if (lengthCount > 0 || hasCoding) settleFraming(head, hasCoding, lengthCount > 0, hasAlike)
  if (isOdd) {
    classifyRequestLine(head)
    blankControls(head)
  }
  meaning.isWebSocketUpgrade =
    isWebSocket &&
    meaning.wantsUpgrade &&
    meaning.isGet &&
    head.minorVersion === 1 &&
    meaning.bodyKind === BodyKind.none
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
        length = readLength(head.bytes, head.valueFrom(i), head.valueTo(i))
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

function readMethod(head: RequestHead): void {
  const { bytes, methodFrom: from, methodTo: to } = head
  if (to - from === 3) head.meaning.isGet = bytes[from] === 0x47 && bytes[from + 1] === 0x45 && bytes[from + 2] === 0x54
  else if (to - from === 4) head.meaning.isHead = head.text(from, to) === 'HEAD'
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

function valueIs(head: Head, i: number, lower: string): boolean {
  const from = head.valueFrom(i)
  const to = head.valueTo(i)
  return to - from === lower.length && head.text(from, to).toLowerCase() === lower
}
