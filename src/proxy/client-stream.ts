/**
 * One stream of an HTTP/2 connection: a request, to be answered on the stream it came on. To the exchange it is the
 * client, to the target's connection whoever uses it.
 *
 * What the request's body may still send is what was passed on of it: nothing here holds more than the stream's window.
 */

import { ByteWriter } from '../base/byte-writer.ts'
import { Field, type RequestHead, type ResponseHead } from '../http/h1.ts'
import { type FieldBlock, H2Error, type H2Stream, writeField } from '../http/h2.ts'
import { readRequestFields } from '../http/h2-heads.ts'
import type { FaultCode } from '../model/faults.ts'
import { h2GoAwaysMax } from '../model/limits.ts'
import { Pause } from '../net/connection.ts'
import { TargetColumn } from '../observe/counters.ts'
import { acquireStream, type TargetStream, type TargetStreamUser } from '../targets/h2-target-connection.ts'
import type { TargetConnection, TargetUser } from '../targets/target-connection.ts'
import type { Target } from '../targets/target-group.ts'
import { connectToTarget, runAction } from './actions.ts'
import type { OwnAnswer } from './answer.ts'
import { checkRequestHead } from './check-request-head.ts'
import type { ClientTls } from './client-tls.ts'
import type { RunningListener } from './context.ts'
import { faultOfDeregistration, faultOfLeaving, faultOfShutdown, faultOfSilence } from './cut-short.ts'
import { type Client, type Exchange, Side } from './exchange.ts'
import { endResponse, failExchange } from './fail.ts'
import { finishExchange } from './finish.ts'
import type { H2ClientConnection } from './h2-client-connection.ts'
import { relayStreamHead, sendTargetStreamHead } from './h2-relay.ts'
import { writeH2Answer, writeH2ClientHead } from './h2-response.ts'
import { headFaults } from './head-faults.ts'
import { HeldBody } from './held-body.ts'
import {
  flushToTarget,
  pauseWhileFull,
  relayRequestData,
  relayResponse,
  targetClosed,
  targetConnected,
  targetEnded,
  targetLost,
  targetUnreachable,
} from './relay.ts'
import { routeRequest } from './route-request.ts'

const nothing = Buffer.alloc(0)
const grpcType = 'application/grpc'
const plus = 0x2b
const semicolon = 0x3b

export class ClientStream implements Client, TargetUser, TargetStreamUser {
  readonly isHttp2 = true
  readonly stream: H2Stream<ClientStream>
  lastActivity: number
  readonly #connection: H2ClientConnection
  /** Null once it is over. */
  #exchange: Exchange | null = null
  #paused = 0
  /** Bytes of the body that went on while their target was full: the client may send as many more when it is not. */
  #owed = 0
  /** Whole until a target has looked at the request, if it is not too long for that. */
  readonly #body = new HeldBody()
  /** How often the request was sent, or about to be, to a target that never looked at it. */
  #refusals = 0
  /** What ends the request in place of its last byte, for a target that speaks HTTP/2. */
  #trailers: ByteWriter | null = null
  /** What the stream is reset with if it must be. */
  #resetCode: number = H2Error.internalError
  /** Bytes sent as far as is known here. That there are more by now is a sign of life: a window has opened. */
  #sentBefore = 0

  constructor(connection: H2ClientConnection, stream: H2Stream<ClientStream>, now: number) {
    this.#connection = connection
    this.stream = stream
    this.lastActivity = now
  }

  get ip(): string {
    return this.#connection.ip
  }

  get port(): number {
    return this.#connection.port
  }

  get address(): string {
    return this.#connection.address
  }

  get traceId(): string {
    return this.#connection.traceId
  }

  get openedAt(): number {
    return this.#connection.openedAt
  }

  get tls(): ClientTls {
    return this.#connection.tls
  }

  get isCongested(): boolean {
    return this.stream.isCongested
  }

  begin(listener: RunningListener, fields: FieldBlock, isEnd: boolean, now: number): void {
    const { plane } = this.#connection
    const exchange = plane.exchanges.begin(plane, this, listener, now)
    exchange.headAt = now
    exchange.receivedBytes = this.stream.receivedBytes
    this.#exchange = exchange
    const fault = readHead(exchange, fields, isEnd)
    if (fault !== null) {
      failExchange(exchange, fault, now)
      return
    }
    // A target that expects no body there may take it for its next request.
    const { isGet, isHead } = exchange.head.meaning
    if ((isGet || isHead) && !isEnd) exchange.keepsTarget = false
    routeRequest(exchange, now)
    runAction(exchange, now)
  }

  onData(bytes: Buffer, from: number, to: number, isEnd: boolean, now: number): void {
    const exchange = this.#exchange
    this.lastActivity = now
    if (exchange === null) return
    exchange.receivedBytes = this.stream.receivedBytes
    if (isEnd) exchange.moveRequest(Side.done)
    if (exchange.isConnecting) this.#body.hold(bytes, from, to)
    else this.#relayBody(exchange, bytes, from, to, isEnd)
  }

  /** Towards targets that speak HTTP/1.1 the trailers of a request are dropped (assumed). They end it in any case. */
  onTrailers(fields: FieldBlock, now: number): void {
    const exchange = this.#exchange
    if (exchange === null || exchange.targetStream === null) {
      this.onData(nothing, 0, 0, true, now)
      return
    }
    this.lastActivity = now
    exchange.receivedBytes = this.stream.receivedBytes
    if (fields.fault !== null) {
      failExchange(exchange, 'clientHeadTooLarge', now)
      return
    }
    this.#trailers = new ByteWriter(fields.length)
    copyTrailers(fields, this.#trailers)
    exchange.moveRequest(Side.done)
    if (exchange.targetStream.isConnected) exchange.targetStream.sendTrailers(this.#trailers)
  }

  #relayBody(exchange: Exchange, bytes: Buffer, from: number, to: number, isEnd: boolean): void {
    const { targetStream } = exchange
    if (targetStream === null) relayRequestData(exchange, bytes, from, to, isEnd)
    else {
      this.#body.keep(bytes, from, to)
      this.#sendOnStream(targetStream, bytes, from, to, isEnd)
    }
    this.#consumed(to - from)
  }

  #sendOnStream(targetStream: TargetStream, bytes: Buffer, from: number, to: number, isEnd: boolean): void {
    targetStream.sendData(bytes, from, to, isEnd)
    if (targetStream.isCongested) this.pause(Pause.congestion)
  }

  /** So many bytes of the body have gone on, for the first time. */
  #consumed(size: number): void {
    if (this.#paused === 0) this.#connection.session.consumed(this.stream, size)
    else this.#owed += size
  }

  flushToTarget(): void {
    if (this.#exchange !== null) flushToTarget(this.#exchange)
  }

  pause(why: number): void {
    this.#paused |= why
  }

  resume(why: number): void {
    this.#paused &= ~why
    if (this.#paused !== 0 || this.#owed === 0) return
    this.#connection.session.consumed(this.stream, this.#owed)
    this.#owed = 0
  }

  connectTo(exchange: Exchange, target: Target, now: number): void {
    if (target.protocolVersion === 'HTTP1') {
      connectToTarget(exchange, target, this, now)
      return
    }
    this.#takeStream(exchange, target, null, now)
  }

  /** @param except where it was refused */
  #takeStream(exchange: Exchange, target: Target, except: TargetStream | null, now: number): void {
    const { net, plane } = this.#connection
    const stream = acquireStream(net, target, this, except === null ? null : except.connection)
    if (stream.isFirst) plane.counters.countTarget(target.slot, TargetColumn.connectionsOpened, 1)
    exchange.targetStream = stream
    exchange.isConnecting = !stream.isConnected
    if (!exchange.isConnecting) this.#sendOnNewStream(exchange, now)
  }

  #sendOnNewStream(exchange: Exchange, now: number): void {
    const targetStream = exchange.targetStream!
    const { bytes, length } = this.#body
    const isEnded = exchange.requestSide === Side.done && this.#trailers === null
    sendTargetStreamHead(exchange, isEnded && length === 0, now)
    if (length > 0) {
      this.#sendOnStream(targetStream, bytes, 0, length, isEnded)
      this.#consumed(this.#body.sent())
    }
    if (this.#trailers !== null) targetStream.sendTrailers(this.#trailers)
  }

  /** The same in HTTP/1.1, where nothing is ever sent again. */
  #sendOnNewConnection(exchange: Exchange, now: number): void {
    const { bytes, length } = this.#body
    targetConnected(exchange, now)
    relayRequestData(exchange, bytes, 0, length, exchange.requestSide === Side.done)
    this.#consumed(this.#body.sent())
    this.#body.letGo()
    flushToTarget(exchange)
  }

  onRequestRead(): void {}

  sendHead(exchange: Exchange, head: ResponseHead, now: number): void {
    const { session } = this.#connection
    writeH2ClientHead(exchange, head, now, session.beginHead())
    session.endHead(this.stream, exchange.responseBody.isDone)
  }

  sendBody(exchange: Exchange, _from: TargetConnection, bytes: Buffer, at: number, to: number): void {
    this.#connection.session.sendData(this.stream, bytes, at, to, exchange.responseBody.isDone)
  }

  endBody(exchange: Exchange): void {
    if (!this.stream.isLocalEnded) this.#connection.session.sendData(this.stream, nothing, 0, 0, true)
    this.flush(exchange)
  }

  flush(exchange: Exchange): void {
    exchange.sentBytes = this.stream.sentBytes
    this.#sentBefore = exchange.sentBytes
  }

  sendAnswer(exchange: Exchange, answer: OwnAnswer): void {
    if (this.stream.isClosed) return
    const { session } = this.#connection
    const body = exchange.head.meaning.isHead ? nothing : Buffer.from(answer.body, 'latin1')
    writeH2Answer(exchange, answer, session.beginHead())
    session.endHead(this.stream, body.length === 0)
    if (body.length > 0) session.sendData(this.stream, body, 0, body.length, true)
    this.flush(exchange)
  }

  /** All of the response that waited for the client has left. */
  onDrained(now: number): void {
    const exchange = this.#exchange
    this.lastActivity = now
    if (exchange === null) return
    this.flush(exchange)
    if (exchange.responseSide === Side.done) finishExchange(exchange, exchange.requestSide === Side.done, now)
    else exchange.link?.resume(Pause.congestion)
  }

  /** The client wants no answer any more, or is gone, or broke the rules of its stream. */
  onReset(now: number): void {
    const exchange = this.#exchange
    if (exchange === null) return
    exchange.receivedBytes = this.stream.receivedBytes
    const isBreach = this.stream.resetText !== '' && exchange.responseSide === Side.head
    failExchange(exchange, isBreach ? 'clientStreamMalformed' : faultOfLeaving(exchange), now)
  }

  onExchangeFinished(_isKept: boolean, now: number): void {
    this.#exchange = null
    this.#body.letGo()
    const { session } = this.#connection
    this.resume(Pause.congestion)
    if (!this.stream.isClosed) {
      const isAnswered = this.stream.isLocalEnded && !this.stream.isCongested
      // Whoever has the whole answer need not send the rest of the request (RFC 9113, section 8.1).
      if (!isAnswered || !this.stream.hasEnded) {
        session.reset(this.stream, isAnswered ? H2Error.noError : this.#resetCode)
      }
    }
    this.#connection.onStreamFinished(now)
  }

  deadlineMs(now: number): number {
    const exchange = this.#exchange
    if (exchange === null || exchange.isConnecting) return Infinity
    if (this.stream.sentBytes !== this.#sentBefore) {
      this.#sentBefore = this.stream.sentBytes
      this.lastActivity = now
    }
    const last = Math.max(this.lastActivity, exchange.link?.lastActivity ?? 0)
    return last + exchange.listener!.loadBalancer.idleTimeoutMs
  }

  /** Nothing moved for the idle timeout. */
  onDeadline(now: number): void {
    const exchange = this.#exchange!
    const isAllHere = exchange.responseSide === Side.done
    failExchange(exchange, isAllHere ? 'clientStalledDuringResponse' : faultOfSilence(exchange), now)
  }

  cutFromTargets(slots: ReadonlySet<number>, now: number): void {
    const exchange = this.#exchange
    // Behind its whole response, the target has nothing to do with it any more.
    if (exchange === null || exchange.target === null || exchange.responseSide === Side.done) return
    if (!slots.has(exchange.target.slot)) return
    failExchange(exchange, faultOfDeregistration(exchange), now)
  }

  endNow(now: number): void {
    if (this.#exchange !== null) failExchange(this.#exchange, faultOfShutdown(this.#exchange), now)
  }

  onTargetConnected(now: number): void {
    const exchange = this.#exchange!
    if (exchange.targetStream === null) this.#sendOnNewConnection(exchange, now)
    else {
      exchange.isConnecting = false
      this.#sendOnNewStream(exchange, now)
    }
  }

  onTargetUnreachable(code: string, now: number): void {
    targetUnreachable(this.#exchange!, code, now)
  }

  onTargetHead(fields: FieldBlock, isEnd: boolean, now: number): void {
    this.#body.letGo()
    relayStreamHead(this.#exchange!, fields, isEnd, now)
  }

  onTargetData(bytes: Buffer, from: number, to: number, isEnd: boolean, now: number): void {
    const exchange = this.#exchange!
    const stream = exchange.targetStream!
    this.#connection.session.sendData(this.stream, bytes, from, to, isEnd)
    this.flush(exchange)
    pauseWhileFull(exchange, stream)
    stream.consumed(to - from)
    if (isEnd) endResponse(exchange, now)
  }

  onTargetTrailers(fields: FieldBlock, now: number): void {
    const exchange = this.#exchange!
    if (fields.fault !== null) {
      failExchange(exchange, 'responseTrailersTooLarge', now)
      return
    }
    const { session } = this.#connection
    copyTrailers(fields, session.beginHead())
    session.endHead(this.stream, true)
    this.flush(exchange)
    endResponse(exchange, now)
  }

  onTargetReset(code: number, byTarget: boolean, now: number): void {
    const exchange = this.#exchange!
    exchange.targetStream = null
    // Some clients take a reset without an error for the end of a whole response, which this is not.
    if (code !== H2Error.noError) this.#resetCode = code
    targetLost(exchange, byTarget ? 'targetStreamReset' : 'targetProtocolError', now)
  }

  onTargetFull(now: number): void {
    const exchange = this.#exchange!
    this.#takeStream(exchange, exchange.target!, exchange.targetStream, now)
  }

  /**
   * Nothing of the request was looked at, so it is sent again, on another connection: once where the target may have
   * too much to do, and more often where connections merely come to their end.
   */
  onTargetRefused(now: number): void {
    const exchange = this.#exchange!
    const refused = exchange.targetStream!
    const refusalsMax = refused.isGoingAway ? h2GoAwaysMax : 1
    if (!this.#body.isWhole || ++this.#refusals > refusalsMax) {
      exchange.targetStream = null
      targetLost(exchange, 'targetStreamReset', now)
      return
    }
    this.resume(Pause.congestion)
    this.#takeStream(exchange, exchange.target!, refused, now)
  }

  onTargetBytes(bytes: Buffer, size: number, now: number): void {
    relayResponse(this.#exchange!, bytes, size, now)
  }

  onTargetEnd(now: number): void {
    targetEnded(this.#exchange!, now)
  }

  onTargetDrained(): void {
    this.resume(Pause.congestion)
  }

  onTargetClosed(code: string | null, now: number): void {
    targetClosed(this.#exchange!, code, now)
  }
}

/** Not gRPC-Web, which is spoken over either version and has no trailers. */
function isGrpc(head: RequestHead): boolean {
  const at = head.indexOf(Field.contentType)
  if (at === -1 || !head.valueBegins(at, grpcType)) return false
  const end = head.valueFrom(at) + grpcType.length
  return end === head.valueTo(at) || head.bytes[end] === plus || head.bytes[end] === semicolon
}

/** As they came: what HTTP/2 forbids in them was refused. */
function copyTrailers(fields: FieldBlock, out: ByteWriter): void {
  for (let i = 0; i < fields.count; i++) {
    const isNeverIndexed = fields.isNeverIndexed(i)
    const { bytes } = fields
    writeField(out, bytes, fields.nameFrom(i), fields.nameTo(i), fields.valueFrom(i), fields.valueTo(i), isNeverIndexed)
  }
}

function readHead(exchange: Exchange, fields: FieldBlock, isEnd: boolean): FaultCode | null {
  const { head } = exchange
  if (fields.fault === 'malformed') return 'clientStreamMalformed'
  exchange.moveRequest(isEnd ? Side.done : Side.body)
  const fault = faultOfFields(fields, !isEnd, head)
  if (fault === null) {
    exchange.isGrpc = isGrpc(head)
    return checkRequestHead(exchange)
  }
  const method = fields.pseudo(':method')
  head.meaning.isHead = method !== -1 && fields.text(fields.valueFrom(method), fields.valueTo(method)) === 'HEAD'
  return fault
}

function faultOfFields(fields: FieldBlock, hasBody: boolean, head: RequestHead): FaultCode | null {
  if (fields.fault === 'tooLarge') {
    // From the field on that was too much, nothing is kept: without a path, it was one of the request line's parts.
    return fields.pseudo(':path') === -1 ? 'clientUriTooLarge' : 'clientHeadTooLarge'
  }
  readRequestFields(fields, hasBody, head)
  return head.fault === null ? null : headFaults[head.fault]
}
