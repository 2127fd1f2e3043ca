/**
 * Moves a request to its target and the response to its client, both at once, each side pausing the other when full.
 * What the target does wrong becomes a fault here.
 */

import { BodyKind, Field, type ResponseHead, readResponseMeaning } from '../http/h1.ts'
import type { FaultCode } from '../model/faults.ts'
import { bulkBytesMin } from '../model/limits.ts'
import { type Connection, lentBytesMin, Pause } from '../net/connection.ts'
import { LoadBalancerColumn } from '../observe/counters.ts'
import type { Http2Failure } from '../targets/h2-target-connection.ts'
import type { TargetConnection } from '../targets/target-connection.ts'
import type { TlsFailure } from '../targets/target-tls.ts'
import { type Exchange, Side } from './exchange.ts'
import { endResponse, failExchange } from './fail.ts'
import { finishExchange } from './finish.ts'
import { writeTargetHead } from './request-head.ts'

/** A chunk's size, the ends of two lines, and the last chunk. */
const chunkFramingBytesMax = 32

/** Puts the head into the out buffer; it leaves with what follows it in the same read, at `flushToTarget`. */
export function holdTargetHead(exchange: Exchange, now: number): void {
  writeTargetHead(exchange, exchange.plane.net.buffers.out)
  exchange.isHeadHeld = true
  exchange.isOutHeld = true
  exchange.sentAt = now
}

export function flushToTarget(exchange: Exchange): void {
  if (!exchange.isOutHeld) return
  exchange.isHeadHeld = false
  exchange.isOutHeld = false
  const targetConnection = exchange.targetConnection!
  exchange.plane.net.buffers.out.sendTo(targetConnection)
  if (targetConnection.isCongested) exchange.client!.pause(Pause.congestion)
}

/**
 * Passes a piece of the request body on; without a target it is thrown away. Pieces of one read leave together, with
 * the head if that is still here: a client that sends a byte a chunk must not cost a write for each.
 *
 * @param from the connection that the bytes were just read from
 */
export function relayRequestBytes(exchange: Exchange, from: Connection, bytes: Buffer, at: number, to: number): void {
  const { targetConnection } = exchange
  if (targetConnection === null || at === to) return
  const { out, shared } = exchange.plane.net.buffers
  if (exchange.isHeadHeld || bytes === shared || to - at < lentBytesMin) {
    out.reserve(to - at)
    out.copy(bytes, at, to)
    exchange.isOutHeld = true
    return
  }
  flushToTarget(exchange)
  from.passOn(bytes, at, to, targetConnection)
  if (targetConnection.isCongested) exchange.client!.pause(Pause.congestion)
}

/** The same for a body that came without framing: where no length was given, it gets that of HTTP/1.1. */
export function relayRequestData(exchange: Exchange, bytes: Buffer, at: number, to: number, isEnd: boolean): void {
  if (exchange.targetConnection === null) return
  const { out } = exchange.plane.net.buffers
  const isChunked = exchange.head.meaning.bodyKind === BodyKind.chunked
  out.reserve(to - at + chunkFramingBytesMax)
  if (to > at) {
    if (isChunked) {
      out.hexadecimal(to - at)
      out.ascii('\r\n')
    }
    out.copy(bytes, at, to)
    if (isChunked) out.ascii('\r\n')
  }
  if (isEnd && isChunked) out.ascii('0\r\n\r\n')
  exchange.isOutHeld = out.length > 0
}

/** The request was read to its end. */
export function endRequest(exchange: Exchange, now: number): void {
  exchange.moveRequest(Side.done)
  exchange.client!.onRequestRead()
  if (exchange.responseSide === Side.done) finishExchange(exchange, true, now)
}

export function targetConnected(exchange: Exchange, now: number): void {
  exchange.isConnecting = false
  holdTargetHead(exchange, now)
  flushToTarget(exchange)
}

const tlsFaults: Readonly<Record<TlsFailure, FaultCode>> = {
  TLS_HANDSHAKE_FAILURE: 'targetTlsHandshakeFailure',
  TLS_PROTOCOL_VERSION: 'targetTlsProtocolVersion',
  TLS_ALERT: 'targetTlsAlert',
  TLS_NOT_TLS: 'targetTlsNotTls',
  TLS_MALFORMED: 'targetTlsMalformed',
  TLS_CLOSED: 'targetTlsClosed',
  TLS_TIMEOUT: 'targetTlsTimeout',
  TLS_NO_HTTP2: 'targetTlsNoHttp2',
}

const http2Faults: Readonly<Record<Http2Failure, FaultCode>> = {
  HTTP2_BROKEN: 'targetProtocolError',
  HTTP2_NO_SETTINGS: 'targetHttp2Timeout',
  HTTP2_NO_STREAMS: 'targetTakesNoStreams',
  HTTP2_STALLED: 'targetIdle',
}

const connectionFaults: Readonly<Record<string, FaultCode>> = { ...tlsFaults, ...http2Faults }

const connectFaults: Readonly<Record<string, FaultCode>> = {
  ...connectionFaults,
  ECONNREFUSED: 'targetRefused',
  ECONNRESET: 'targetRefused',
  ETIMEDOUT: 'connectTimeout',
  EHOSTUNREACH: 'targetUnreachable',
  ENETUNREACH: 'targetUnreachable',
  EHOSTDOWN: 'targetUnreachable',
  ENETDOWN: 'targetUnreachable',
  EACCES: 'targetUnreachable',
  EPERM: 'targetUnreachable',
}

export function targetUnreachable(exchange: Exchange, code: string, now: number): void {
  exchange.isConnecting = false
  exchange.targetConnection = null
  exchange.targetStream = null
  failExchange(exchange, connectFaults[code] ?? 'connectFailed', now)
}

/** The target said FIN: the end of a body that has no other, or the loss of whatever was still to come. */
export function targetEnded(exchange: Exchange, now: number): void {
  if (exchange.responseSide === Side.body && exchange.responseBody.kind === BodyKind.untilClose) {
    exchange.client!.endBody(exchange)
    endResponse(exchange, now)
  } else {
    targetLost(exchange, 'targetClosed', now)
  }
}

export function targetClosed(exchange: Exchange, code: string | null, now: number): void {
  exchange.targetConnection = null
  exchange.targetStream = null
  // In TLS 1.3 a target may refuse when the handshake is over for us; an alert then comes in place of the answer.
  targetLost(exchange, code === null ? 'targetClosed' : (connectionFaults[code] ?? 'targetReset'), now)
}

export function targetLost(exchange: Exchange, beforeAnswer: FaultCode, now: number): void {
  exchange.targetEndedAt = now
  switch (exchange.responseSide) {
    case Side.head:
      failExchange(exchange, beforeAnswer, now)
      return
    case Side.body:
      failExchange(exchange, beforeAnswer === 'targetIdle' ? 'responseStalled' : 'responseTruncated', now)
      return
    case Side.done:
      // It had answered before it had the whole request, and takes no more of it: that is its right.
      finishExchange(exchange, false, now)
  }
}

/** @returns the position after what was read, which is short of `size` where a tunnel begins */
export function relayResponse(exchange: Exchange, bytes: Buffer, size: number, now: number): number {
  const connection = exchange.targetConnection!
  if (exchange.answeredAt === -1) exchange.answeredAt = now
  let at = 0
  if (exchange.responseSide === Side.head) {
    at = readResponseHead(exchange, connection, bytes, size, now)
    if (at === -1) return size
  } else if (exchange.responseSide === Side.done) {
    // More than one answer to one request: the connection is worth nothing any more.
    exchange.keepsTarget = false
    return size
  }
  return relayResponseBody(exchange, connection, bytes, at, size, now)
}

/** @returns where the body begins, its head standing in the out buffer; -1 when there is nothing to go on with */
function readResponseHead(
  exchange: Exchange,
  connection: TargetConnection,
  bytes: Buffer,
  size: number,
  now: number,
): number {
  const head = connection.responseHead
  let at = 0
  for (;;) {
    at = head.read(bytes, at, size)
    if (head.fault !== null) {
      const isTooLarge = head.fault !== 'malformed' && head.fault !== 'version'
      failExchange(exchange, isTooLarge ? 'responseHeadTooLarge' : 'responseHeadMalformed', now)
      return -1
    }
    if (head.length === 0) return -1
    if (head.statusCode >= 200 || head.statusCode === 101) break
    // Interim answers end here: the client had its 100 from us.
    head.reset()
    exchange.answeredAt = at < size ? now : -1
    if (at === size) return -1
  }
  readResponseMeaning(head, exchange.head.meaning.isHead)
  if (head.meaning.fault !== null || (head.statusCode === 101 && !isUpgradeAsked(exchange, head))) {
    failExchange(exchange, 'responseHeadMalformed', now)
    return -1
  }
  beginResponse(exchange, connection, head, now)
  return at
}

/** That a 101 need not name its protocol is assumed; one that names another than was asked for is no answer. */
function isUpgradeAsked(exchange: Exchange, head: ResponseHead): boolean {
  if (!exchange.head.meaning.isWebSocketUpgrade) return false
  const at = head.indexOf(Field.upgrade)
  return at === -1 || head.text(head.valueFrom(at), head.valueTo(at)).toLowerCase() === 'websocket'
}

function beginResponse(exchange: Exchange, connection: TargetConnection, head: ResponseHead, now: number): void {
  const { meaning } = head
  exchange.statusCode = head.statusCode
  exchange.targetStatusCode = head.statusCode
  exchange.isTunnel = head.statusCode === 101
  settleConnections(exchange, head)
  const takesChunks = exchange.head.minorVersion > 0 && !exchange.client!.isHttp2
  exchange.addsChunks = meaning.bodyKind === BodyKind.untilClose && takesChunks
  exchange.responseBody.start(meaning.bodyKind, meaning.contentLength, takesChunks)
  exchange.client!.sendHead(exchange, head, now)
  head.reset()
  exchange.relayedAt = now
  exchange.moveResponse(Side.body)
  if (exchange.responseBody.remaining >= bulkBytesMin) connection.startBulk()
}

/** Decides, now that both heads are known, which of the two connections outlive the exchange. */
function settleConnections(exchange: Exchange, head: ResponseHead): void {
  const { meaning } = head
  const hasNoLength = meaning.bodyKind === BodyKind.untilClose
  if (meaning.wantsClose || (head.minorVersion === 0 && !meaning.wantsKeepAlive) || hasNoLength) {
    exchange.keepsTarget = false
  }
  const endsByClosing = exchange.head.minorVersion === 0 && (hasNoLength || meaning.bodyKind === BodyKind.chunked)
  // A target that closes before it has the request will not take the rest of it.
  const cannotFinish = exchange.requestSide !== Side.done && !exchange.keepsTarget
  if (endsByClosing || cannotFinish || exchange.plane.isStopping) exchange.closesClient = true
}

function relayResponseBody(
  exchange: Exchange,
  connection: TargetConnection,
  bytes: Buffer,
  from: number,
  size: number,
  now: number,
): number {
  const body = exchange.responseBody
  const client = exchange.client!
  let at = from
  while (at < size && !body.isDone && body.fault === null) {
    at = body.read(bytes, at, size)
    if (body.spanTo > body.spanFrom) client.sendBody(exchange, connection, bytes, body.spanFrom, body.spanTo)
  }
  if (body.isDone && !exchange.isTunnel) client.endBody(exchange)
  else client.flush(exchange)
  if (body.fault !== null) {
    failExchange(exchange, 'responseBodyMalformed', now)
  } else if (exchange.isTunnel) {
    return at
  } else if (body.isDone) {
    connection.endBulk()
    if (at < size) exchange.keepsTarget = false
    endResponse(exchange, now)
  } else {
    if (size === exchange.plane.net.buffers.shared.length) connection.startBulk()
    pauseWhileFull(exchange, connection)
  }
  return size
}

/** Has a target wait whose client reads more slowly than it sends. */
export function pauseWhileFull(exchange: Exchange, target: { pause(why: number): void }): void {
  if (!exchange.client!.isCongested) return
  target.pause(Pause.congestion)
  exchange.plane.counters.countLoadBalancer(exchange.listener!.loadBalancer.slot, LoadBalancerColumn.readingPaused, 1)
}
