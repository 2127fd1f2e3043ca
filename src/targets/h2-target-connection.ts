/**
 * A connection to a target that speaks HTTP/2: many requests share it, each on a stream of its own (`TargetStream`). A
 * further connection is opened when the target takes no more streams on those there are.
 *
 * While the target does not read, no request begins: those that come wait, as many as it takes streams, and cost no more
 * than their clients hold already. So what stands before it is bounded by what is in flight, however fast requests end.
 */

import type { ByteWriter } from '../base/byte-writer.ts'
import { type FieldBlock, type H2Bounds, H2Error, type H2Handler, H2Session, type H2Stream } from '../http/h2.ts'
import {
  connectTimeoutMs,
  h2BodyBytesReadyMax,
  h2ConnectionWindowBytes,
  h2StreamWindowBytes,
  h2TargetBytesReadyMax,
  h2TargetStreamsMax,
  headerFieldsMax,
  responseHeadBytesMax,
} from '../model/limits.ts'
import type { NetContext } from '../net/connection.ts'
import { TurnOutput } from '../net/turn-output.ts'
import type { Target } from './target-group.ts'
import { TargetSocket } from './target-socket.ts'
import type { TlsFailure } from './target-tls.ts'

/** The one request that a stream carries. */
export type TargetStreamUser = {
  /** The head may be sent now. */
  onTargetConnected(now: number): void
  /** No connection could be opened; `code` is the system's, a `TlsFailure`, or a `Http2Failure`. */
  onTargetUnreachable(code: string, now: number): void
  /** The connection takes fewer requests at once than wait for it: this one needs another. */
  onTargetFull(now: number): void
  /** A response's head, interim ones too. */
  onTargetHead(fields: FieldBlock, isEnd: boolean, now: number): void
  /** Must be consumed before this returns. */
  onTargetData(bytes: Buffer, from: number, to: number, isEnd: boolean, now: number): void
  /** They end the response. */
  onTargetTrailers(fields: FieldBlock, now: number): void
  onTargetDrained(now: number): void
  /** The target reset the stream, or broke the rules on it or on the connection. */
  onTargetReset(code: number, byTarget: boolean, now: number): void
  /** The target says that it never looked at the request: it may be sent again, not on this connection. */
  onTargetRefused(now: number): void
  /** The connection broke; `code` is the system's, a `TlsFailure`, or null for an orderly close. */
  onTargetClosed(code: string | null, now: number): void
}

/** Why no request can be sent to a target whose connection is open. */
export type Http2Failure =
  /** What came is not HTTP/2, or breaks its rules. */
  | 'HTTP2_BROKEN'
  /** Its SETTINGS, which come first, did not come in time. */
  | 'HTTP2_NO_SETTINGS'
  /** They allow no streams at all. */
  | 'HTTP2_NO_STREAMS'
  /** It has read nothing for the idle timeout. */
  | 'HTTP2_STALLED'

const bounds: H2Bounds = {
  streamsMax: h2TargetStreamsMax,
  initialWindowBytes: h2StreamWindowBytes,
  connectionWindowBytes: h2ConnectionWindowBytes,
  headerListBytesMax: responseHeadBytesMax,
  fieldBytesMax: responseHeadBytesMax,
  fieldsMax: headerFieldsMax,
  // Beyond, nothing can be read on this connection any more; up to there, only the stream is spoilt.
  headerBlockBytesMax: 4 * responseHeadBytesMax,
  outBytesMax: h2BodyBytesReadyMax,
}

export class H2TargetConnection extends TargetSocket implements H2Handler<TargetStream> {
  readonly session: H2Session<TargetStream> = new H2Session('client', this, bounds)
  /** They begin when the target has said how many streams it takes, and as it reads what was sent before. */
  readonly #waiting = new Set<TargetStream>()
  readonly #output: TurnOutput
  /** The target has said it. */
  #isReady = false
  #openedAt = 0
  /** When the last stream ended, or the connection was opened. */
  #unusedSince: number
  /** Since when the socket is full, where it is. */
  #congestedSince = 0

  constructor(net: NetContext, target: Target) {
    super(net, target)
    this.#unusedSince = this.lastActivity
    this.#output = new TurnOutput(this, this.session.out, () => this.#onSent())
  }

  /** @returns null when this connection takes no more requests, or none at the moment */
  openStream(user: TargetStreamUser): TargetStream | null {
    if (!this.#takesRequests || this.#waiting.size > 0 || !this.#mayBegin) return null
    const stream = new TargetStream(this, user)
    return stream.begin() ? stream : null
  }

  /** @returns one that begins when it may; null when no more of them may wait */
  awaitStream(user: TargetStreamUser): TargetStream | null {
    const waitingMax = this.#isReady ? this.session.streamsLeft : this.target.h2StreamsMax
    if (!this.#takesRequests || this.#waiting.size >= waitingMax) return null
    const stream = new TargetStream(this, user)
    this.#waiting.add(stream)
    return stream
  }

  get #takesRequests(): boolean {
    return !(this.isClosed || this.isRetired || this.hasEnded || this.session.isGoingAway)
  }

  get #mayBegin(): boolean {
    return this.#isReady && !this.isCongested && this.session.out.length < h2TargetBytesReadyMax
  }

  protected override onOpened(now: number): void {
    this.#openedAt = now
    if (this.target.tls !== null && this.alpnProtocol !== 'h2') this.#giveUp('TLS_NO_HTTP2', now)
    else this.session.begin()
  }

  protected override onUnreachable(code: string, now: number): void {
    this.onRetired()
    for (const stream of this.#takeWaiting()) stream.end()?.onTargetUnreachable(code, now)
  }

  protected override onBytes(bytes: Buffer, size: number, now: number): void {
    if (this.isRetired) return
    this.session.read(bytes, 0, size, now)
    if (!this.#isReady && this.session.hasPeerSettings) this.#onReady(now)
  }

  #onReady(now: number): void {
    const { session, target } = this
    this.#isReady = true
    if (session.peerMaxConcurrentStreams === 0) {
      this.#giveUp('HTTP2_NO_STREAMS', now)
      return
    }
    target.h2StreamsMax = Math.min(h2TargetStreamsMax, session.peerMaxConcurrentStreams)
    if (session.isGoingAway) this.#refuseWaiting(now)
    else this.#beginWaiting(now)
  }

  /** In the order in which they came. */
  #beginWaiting(now: number): void {
    for (const stream of this.#waiting) {
      if (!this.#mayBegin) return
      this.#waiting.delete(stream)
      if (stream.begin()) stream.user?.onTargetConnected(now)
      else stream.end()?.onTargetFull(now)
    }
  }

  #refuseWaiting(now: number): void {
    for (const stream of this.#takeWaiting()) stream.end()?.onTargetRefused(now)
  }

  protected override onEnd(now: number): void {
    if (!this.isConnected) return
    this.retire()
    this.#endStreams(null, now)
  }

  protected override onDrained(now: number): void {
    this.session.now = now
    this.session.isBlocked = false
    this.#beginWaiting(now)
    this.#output.sendSoon()
  }

  protected override onBroken(code: string | null, now: number): void {
    this.onRetired()
    this.#endStreams(code, now)
  }

  protected override openDeadlineMs(): number {
    if (!this.#isReady) return this.#openedAt + connectTimeoutMs
    if (this.isCongested) return this.#congestedSince + this.target.idleTimeoutMs
    const isUsed = this.session.streams.size > 0 || this.#waiting.size > 0
    return isUsed ? Infinity : this.#unusedSince + this.target.idleTimeoutMs
  }

  override onDeadline(now: number): void {
    if (this.isConnected && !this.#isReady) this.#giveUp('HTTP2_NO_SETTINGS', now)
    else if (this.isConnected && this.isCongested) this.#onStalled(now)
    else super.onDeadline(now)
  }

  /** Those that wait for it since before it stalled have waited long enough; the others may do better elsewhere. */
  #onStalled(now: number): void {
    const waiting = this.#takeWaiting()
    this.errorCode = 'HTTP2_STALLED' satisfies Http2Failure
    this.abort()
    for (const stream of waiting) {
      if (stream.lastActivity + this.target.idleTimeoutMs > now) stream.end()?.onTargetFull(now)
      else stream.end()?.onTargetUnreachable('HTTP2_STALLED' satisfies Http2Failure, now)
    }
  }

  protected override onRetired(): void {
    const { h2Connections } = this.target
    const at = h2Connections.indexOf(this)
    if (at !== -1) h2Connections.splice(at, 1)
  }

  /** The target was deregistered: the connection closes with its last stream. */
  endSoon(): void {
    this.#output.sendSoon()
  }

  onOutput(): void {
    this.#output.sendSoon()
  }

  #onSent(): void {
    const now = this.net.clock.now()
    this.session.now = now
    if (this.isCongested && !this.session.isBlocked) this.#congestedSince = now
    this.session.isBlocked = this.isCongested
    this.#beginWaiting(now)
    const isUnwanted = this.session.isGoingAway || !this.target.isRegistered
    if (isUnwanted && this.session.streams.size === 0 && this.#waiting.size === 0) this.retire()
  }

  onHead(stream: H2Stream<TargetStream>, fields: FieldBlock, isEnd: boolean, now: number): void {
    stream.user!.touch(now).user?.onTargetHead(fields, isEnd, now)
  }

  onData(stream: H2Stream<TargetStream>, bytes: Buffer, from: number, to: number, isEnd: boolean, now: number): void {
    stream.user!.touch(now).user?.onTargetData(bytes, from, to, isEnd, now)
  }

  onTrailers(stream: H2Stream<TargetStream>, fields: FieldBlock, now: number): void {
    stream.user!.touch(now).user?.onTargetTrailers(fields, now)
  }

  onReset(stream: H2Stream<TargetStream>, code: number, byPeer: boolean, now: number): void {
    const ended = stream.user!
    this.onStreamOver(ended, now)
    if (code === H2Error.refusedStream) ended.end()?.onTargetRefused(now)
    else ended.end()?.onTargetReset(code, byPeer, now)
  }

  onStreamDrained(stream: H2Stream<TargetStream>, now: number): void {
    stream.user!.touch(now).user?.onTargetDrained(now)
  }

  onGoAway(_lastStreamId: number, _code: number, now: number): void {
    this.onRetired()
    if (this.#isReady) this.#refuseWaiting(now)
    this.#output.sendSoon()
  }

  onSessionError(_code: number, _text: string, now: number): void {
    this.#output.send()
    this.#giveUp('HTTP2_BROKEN', now)
  }

  // What follows is for the streams.

  onStreamOver(stream: TargetStream, now: number): void {
    this.#waiting.delete(stream)
    this.#unusedSince = now
    this.#output.sendSoon()
  }

  #takeWaiting(): TargetStream[] {
    const streams = [...this.#waiting]
    this.#waiting.clear()
    return streams
  }

  /** Closes the connection, and those that wait for it are told why it is of no use. */
  #giveUp(failure: TlsFailure | Http2Failure, now: number): void {
    const waiting = this.#takeWaiting()
    this.retire()
    for (const stream of waiting) stream.end()?.onTargetUnreachable(failure, now)
  }

  #endStreams(code: string | null, now: number): void {
    const begun = [...this.session.streams.values()].map(({ user }) => user!)
    for (const stream of [...this.#takeWaiting(), ...begun]) stream.end()?.onTargetClosed(code, now)
  }
}

/** One request's share of a connection. It may be had before the connection is open; `onTargetConnected` follows then. */
export class TargetStream {
  readonly connection: H2TargetConnection
  /** The connection was opened for it. */
  isFirst = false
  user: TargetStreamUser | null
  /** When a byte of the stream last went either way. */
  lastActivity: number
  #stream: H2Stream<TargetStream> | null = null
  #paused = 0
  /** Bytes taken while their receiver was full: the target may send as many more when it is not. */
  #owed = 0

  constructor(connection: H2TargetConnection, user: TargetStreamUser) {
    this.connection = connection
    this.user = user
    this.lastActivity = connection.net.clock.now()
  }

  get isConnected(): boolean {
    return this.#stream !== null
  }

  /** The target takes nothing more on the connection. */
  get isGoingAway(): boolean {
    return this.connection.session.isGoingAway
  }

  get isCongested(): boolean {
    return this.#stream?.isCongested === true
  }

  /** @returns whether the connection had a stream for it */
  begin(): boolean {
    this.#stream = this.connection.session.openStream()
    if (this.#stream !== null) this.#stream.user = this
    return this.#stream !== null
  }

  /** @returns who is to be told that it is over, by whoever asks: nobody hears of it twice */
  end(): TargetStreamUser | null {
    const { user } = this
    this.user = null
    return user
  }

  touch(now: number): this {
    this.lastActivity = now
    return this
  }

  /** What is written there is the head; `sendHead` follows at once. */
  beginHead(): ByteWriter {
    return this.connection.session.beginHead()
  }

  /** @param isHeadRequest its answer has no body, whatever length that names */
  sendHead(isEnd: boolean, isHeadRequest: boolean): void {
    this.#stream!.answersHead = isHeadRequest
    this.connection.session.endHead(this.#stream!, isEnd)
  }

  /** @param trailers fields as they are written, which end the request */
  sendTrailers(trailers: ByteWriter): void {
    const out = this.connection.session.beginHead()
    out.reserve(trailers.length)
    out.copy(trailers.bytes, 0, trailers.length)
    this.connection.session.endHead(this.#stream!, true)
  }

  sendData(bytes: Buffer, from: number, to: number, isEnd: boolean): void {
    this.connection.session.sendData(this.#stream!, bytes, from, to, isEnd)
  }

  /** So many bytes of the response were passed on. */
  consumed(size: number): void {
    if (this.#paused === 0) this.connection.session.consumed(this.#stream!, size)
    else this.#owed += size
  }

  pause(why: number): void {
    this.#paused |= why
  }

  resume(why: number): void {
    this.#paused &= ~why
    if (this.#paused !== 0 || this.#owed === 0) return
    this.connection.session.consumed(this.#stream!, this.#owed)
    this.#owed = 0
  }

  /** The request is over; where the stream is not, it is reset. */
  release(): void {
    this.user = null
    if (this.#stream !== null && !this.#stream.isClosed) this.connection.session.reset(this.#stream, H2Error.cancel)
    this.connection.onStreamOver(this, this.connection.net.clock.now())
  }

  /** The same: what a stream leaves behind spoils no other. */
  discard(): void {
    this.release()
  }
}

/**
 * Takes a stream of the first connection that has one now, else of the first where it may wait for one, or opens a
 * connection.
 *
 * @param except a connection that is of no use for this request
 */
export function acquireStream(
  net: NetContext,
  target: Target,
  user: TargetStreamUser,
  except: H2TargetConnection | null,
): TargetStream {
  for (const connection of target.h2Connections) {
    const stream = connection === except ? null : connection.openStream(user)
    if (stream !== null) return stream
  }
  for (const connection of target.h2Connections) {
    const stream = connection === except ? null : connection.awaitStream(user)
    if (stream !== null) return stream
  }
  const connection = new H2TargetConnection(net, target)
  target.h2Connections.push(connection)
  const stream = connection.awaitStream(user)!
  stream.isFirst = true
  return stream
}
