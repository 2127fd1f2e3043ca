/** Moves a request to a target that speaks HTTP/2, and its response back to a client that does, too. */

import { BodyKind, ResponseHead } from '../http/h1.ts'
import type { FieldBlock } from '../http/h2.ts'
import { readResponseFields } from '../http/h2-heads.ts'
import type { FaultCode } from '../model/faults.ts'
import { type Exchange, Side } from './exchange.ts'
import { endResponse, failExchange } from './fail.ts'
import { writeH2TargetHead } from './h2-request-head.ts'

/** Of the response whose head was read last; looked at before the next. */
const responseHead = new ResponseHead()

/** @param isEnd nothing follows */
export function sendTargetStreamHead(exchange: Exchange, isEnd: boolean, now: number): void {
  const stream = exchange.targetStream!
  writeH2TargetHead(exchange, stream.beginHead())
  stream.sendHead(isEnd, exchange.head.meaning.isHead)
  exchange.sentAt = now
}

/** @param isEnd nothing follows it */
export function relayStreamHead(exchange: Exchange, fields: FieldBlock, isEnd: boolean, now: number): void {
  if (exchange.answeredAt === -1) exchange.answeredAt = now
  const fault = readHead(exchange, fields, isEnd)
  if (fault !== null) {
    failExchange(exchange, fault, now)
    return
  }
  if (responseHead.statusCode < 200) {
    exchange.answeredAt = -1
    return
  }
  exchange.statusCode = responseHead.statusCode
  exchange.targetStatusCode = responseHead.statusCode
  exchange.responseBody.start(isEnd ? BodyKind.none : BodyKind.untilClose, 0, false)
  exchange.client!.sendHead(exchange, responseHead, now)
  exchange.relayedAt = now
  exchange.moveResponse(Side.body)
  if (isEnd) endResponse(exchange, now)
}

function readHead(exchange: Exchange, fields: FieldBlock, isEnd: boolean): FaultCode | null {
  if (fields.fault === 'tooLarge') return 'responseHeadTooLarge'
  if (fields.fault === 'malformed') return 'responseHeadMalformed'
  readResponseFields(fields, !isEnd && !exchange.head.meaning.isHead, responseHead)
  const { fault, statusCode } = responseHead
  if (fault === 'headTooLarge' || fault === 'fieldTooLong') return 'responseHeadTooLarge'
  // HTTP/2 knows no 101, and an interim answer is not the last (RFC 9113, sections 8.1 and 8.6).
  const isMisplaced = statusCode === 101 || (statusCode < 200 && isEnd)
  return fault !== null || isMisplaced ? 'responseHeadMalformed' : null
}
