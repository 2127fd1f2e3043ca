/**
 * One stream of an HTTP/2 connection: a request, to be answered on the stream it came on. To the exchange it is the
 * client, to the target's connection whoever uses it.
 *
 * What the request's body may still send is what was passed on of it: nothing here holds more than the stream's window.
 */

import type { ByteWriter } from '../base/byte-writer.ts'
import { Field, type RequestHead, type ResponseHead } from '../http/h1.ts'
import { type FieldBlock, H2Error, type H2Stream, writeField } from '../http/h2.ts'
import { readRequestFields } from '../http/h2-heads.ts'
import type { FaultCode } from '../model/faults.ts'
import { exchangesPooledMax, replayBytesMax } from '../model/limits.ts'
import { Pause } from '../net/connection.ts'
import { acquireStream, type TargetStream, type TargetStreamUser } from '../targets/h2-target-connection.ts'
import type { TargetConnection, TargetUser } from '../targets/target-connection.ts'
import type { Target } from '../targets/target-group.ts'
import { connectToTarget, runAction } from './actions.ts'
import type { OwnAnswer } from './answer.ts'
import { checkRequestHead } from './check-request-head.ts'
import type { ClientTls } from './client-tls.ts'
import type { RunningListener } from './context.ts'
import { faultOfDeregistration, faultOfLeaving, faultOfShutdown, faultOfSilence } from './cut-short.ts'
import { type Client, Exchange, Side } from './exchange.ts'
import { endResponse, failExchange } from './fail.ts'
import { finishExchange } from './finish.ts'
import type { H2ClientConnection } from './h2-client-connection.ts'
import { relayStreamHead, sendTargetStreamHead } from './h2-relay.ts'
import { writeH2Answer, writeH2ClientHead } from './h2-response.ts'
import { headFaults } from './head-faults.ts'
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
  /** What came of the body before there was a connection to send it on. */
  #held: Buffer[] = []
  #isHeldToEnd = false
  /** What goes out before it, for the second time. */
  #again: Buffer[] = []
  #isSentAgain = false
  /** What was sent of it to a target that may yet refuse the whole request; null when that cannot be sent again. */
  #sent: Buffer[] | null = []
  #sentBytes = 0
  /** What the stream is reset with if it must be. */
  #resetCode: number = H2Error.internalError
  /** Bytes sent when the deadline was last looked at: windows that open are a sign of life. */
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
    const exchange = plane.exchanges.pop() ?? new Exchange(plane)
    exchange.reset()
    exchange.begin(this, listener, now)
    exchange.headAt = now
    exchange.receivedBytes = this.stream.receivedBytes
    this.#exchange = exchange
    const fault = readHead(exchange, fields, isEnd)
    if (fault !== null) {
      failExchange(exchange, fault, now)
      return
    }
    routeRequest(exchange, now)
    runAction(exchange, now)
  }

  onData(bytes: Buffer, from: number, to: number, isEnd: boolean, now: number): void {
    const exchange = this.#exchange
    this.lastActivity = now
    if (exchange === null) return
    exchange.receivedBytes = this.stream.receivedBytes
    if (exchange.isConnecting) {
      this.#held.push(Buffer.from(bytes.subarray(from, to)))
      this.#isHeldToEnd = isEnd
    } else {
      this.#relayBody(exchange, bytes, from, to, isEnd)
    }
  }

  /** Towards targets that speak HTTP/1.1 the trailers of a request are dropped (assumed). They end it in any case. */
  onTrailers(fields: FieldBlock, now: number): void {
    const stream = this.#exchange?.targetStream ?? null
    if (stream?.isConnected !== true) {
      this.onData(nothing, 0, 0, true, now)
      return
    }
    copyTrailers(fields, stream.beginHead())
    stream.sendTrailers()
    this.#exchange!.moveRequest(Side.done)
  }

  #relayBody(exchange: Exchange, bytes: Buffer, from: number, to: number, isEnd: boolean): void {
    const { targetStream } = exchange
    if (targetStream === null) relayRequestData(exchange, bytes, from, to, isEnd)
    else this.#sendOnStream(targetStream, bytes, from, to, isEnd)
    if (this.#paused === 0) this.#connection.session.consumed(this.stream, to - from)
    else this.#owed += to - from
    if (isEnd) exchange.moveRequest(Side.done)
  }

  /** What had to wait for the connection; what is sent again comes first, for which the client has its window back. */
  #sendHeld(exchange: Exchange): void {
    const again = this.#again
    const held = this.#held
    this.#again = []
    this.#held = []
    const isEnded = exchange.requestSide === Side.done
    for (const [i, bytes] of again.entries()) {
      this.#sendOnStream(exchange.targetStream!, bytes, 0, bytes.length, isEnded && i === again.length - 1)
    }
    for (const [i, bytes] of held.entries()) {
      this.#relayBody(exchange, bytes, 0, bytes.length, this.#isHeldToEnd && i === held.length - 1)
    }
  }

  #sendOnStream(targetStream: TargetStream, bytes: Buffer, from: number, to: number, isEnd: boolean): void {
    this.#keepForReplay(bytes, from, to)
    targetStream.sendData(bytes, from, to, isEnd)
    if (targetStream.isCongested) this.pause(Pause.congestion)
  }

  /** A request that the target never looked at may be sent again, for as long as all of it is here. */
  #keepForReplay(bytes: Buffer, from: number, to: number): void {
    if (this.#sent === null) return
    this.#sentBytes += to - from
    if (this.#sentBytes > replayBytesMax) this.#sent = null
    else this.#sent.push(Buffer.from(bytes.subarray(from, to)))
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
    exchange.targetStream = acquireStream(this.#connection.net, target, this)
    exchange.isConnecting = !exchange.targetStream.isConnected
    if (!exchange.isConnecting) this.#sendOnNewStream(exchange, now)
  }

  #sendOnNewStream(exchange: Exchange, now: number): void {
    const isWhole = exchange.requestSide === Side.done && this.#again.length === 0
    sendTargetStreamHead(exchange, isWhole, now)
    this.#sendHeld(exchange)
  }

  onRequestRead(): void {}

  sendHead(exchange: Exchange, head: ResponseHead, now: number): void {
    const { session } = this.#connection
    writeH2ClientHead(exchange, head, now, session.beginHead())
    session.endHead(this.stream, exchange.responseBody.isDone)
  }

  sendBody(_exchange: Exchange, _from: TargetConnection, bytes: Buffer, at: number, to: number): void {
    this.#connection.session.sendData(this.stream, bytes, at, to, false)
  }

  endBody(exchange: Exchange): void {
    if (!this.stream.isLocalEnded) this.#connection.session.sendData(this.stream, nothing, 0, 0, true)
    this.flush(exchange)
  }

  flush(exchange: Exchange): void {
    exchange.sentBytes = this.stream.sentBytes
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

  /** The client wants no answer any more, or broke the rules of its stream. */
  onReset(byPeer: boolean, now: number): void {
    const exchange = this.#exchange
    if (exchange === null) return
    const isOurs = !byPeer && exchange.responseSide === Side.head
    failExchange(exchange, isOurs ? 'clientStreamMalformed' : faultOfLeaving(exchange), now)
  }

  onExchangeFinished(_isKept: boolean, now: number): void {
    const exchange = this.#exchange!
    this.#exchange = null
    this.#held = []
    const { plane, session } = this.#connection
    if (plane.exchanges.length < exchangesPooledMax) plane.exchanges.push(exchange)
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
    if (exchange.responseSide === Side.done) finishExchange(exchange, false, now)
    else failExchange(exchange, faultOfSilence(exchange), now)
  }

  cutFromTargets(slots: ReadonlySet<number>, now: number): void {
    const exchange = this.#exchange
    if (exchange === null || exchange.target === null || !slots.has(exchange.target.slot)) return
    failExchange(exchange, faultOfDeregistration(exchange), now)
  }

  endNow(now: number): void {
    if (this.#exchange !== null) failExchange(this.#exchange, faultOfShutdown(this.#exchange), now)
  }

  onTargetConnected(now: number): void {
    const exchange = this.#exchange!
    if (exchange.targetStream === null) {
      targetConnected(exchange, now)
      this.#sendHeld(exchange)
      flushToTarget(exchange)
    } else {
      exchange.isConnecting = false
      this.#sendOnNewStream(exchange, now)
    }
  }

  onTargetUnreachable(code: string, now: number): void {
    targetUnreachable(this.#exchange!, code, now)
  }

  onTargetHead(fields: FieldBlock, isEnd: boolean, now: number): void {
    this.#sent = null
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
    const { session } = this.#connection
    copyTrailers(fields, session.beginHead())
    session.endHead(this.stream, true)
    this.flush(exchange)
    endResponse(exchange, now)
  }

  onTargetReset(code: number, byTarget: boolean, now: number): void {
    const exchange = this.#exchange!
    exchange.targetStream = null
    this.#resetCode = code
    targetLost(exchange, byTarget ? 'targetStreamReset' : 'targetProtocolError', now)
  }

  /** Nothing of the request was looked at, so it is sent again, once; by another connection, as this one takes no more. */
  onTargetRefused(now: number): void {
    const exchange = this.#exchange!
    exchange.targetStream = null
    if (this.#sent === null || this.#isSentAgain) {
      targetLost(exchange, 'targetStreamReset', now)
      return
    }
    this.#isSentAgain = true
    this.#again = this.#sent
    this.#sent = []
    this.#sentBytes = 0
    this.resume(Pause.congestion)
    this.connectTo(exchange, exchange.target!, now)
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
  const at = head.length === 0 ? -1 : head.indexOf(Field.contentType)
  return at !== -1 && /^application\/grpc(?:$|[+;])/i.test(head.text(head.valueFrom(at), head.valueTo(at)))
}

/** As they came: what HTTP/2 forbids in them was refused. */
function copyTrailers(fields: FieldBlock, out: ByteWriter): void {
  for (let i = 0; i < fields.count; i++) {
    writeField(out, fields.bytes, fields.nameFrom(i), fields.nameTo(i), fields.valueFrom(i), fields.valueTo(i))
  }
}

function readHead(exchange: Exchange, fields: FieldBlock, isEnd: boolean): FaultCode | null {
  const { head } = exchange
  if (fields.fault === 'malformed') return 'clientStreamMalformed'
  const isReadable = fields.fault === null && readRequestFields(fields, !isEnd, head)
  exchange.moveRequest(isEnd ? Side.done : Side.body)
  exchange.isGrpc = isReadable && isGrpc(head)
  if (fields.fault === 'tooLarge') return 'clientHeadTooLarge'
  if (!isReadable) return 'clientHeadMalformed'
  return head.fault === null ? checkRequestHead(exchange) : headFaults[head.fault]
}
