/**
 * A connection to a target that speaks HTTP/2: many requests share it, each on a stream of its own (`TargetStream`). A
 * further connection is opened when the target takes no more streams on those there are.
 */

import type { ByteWriter } from '../base/byte-writer.ts'
import { type FieldBlock, type H2Bounds, H2Error, type H2Handler, H2Session, type H2Stream } from '../http/h2.ts'
import {
  h2ConnectionWindowBytes,
  h2StreamWindowBytes,
  h2TargetStreamsMax,
  headerFieldsMax,
  responseHeadBytesMax,
} from '../model/limits.ts'
import type { NetContext } from '../net/connection.ts'
import { TurnOutput } from '../net/turn-output.ts'
import type { Target } from './target-group.ts'
import { TargetSocket } from './target-socket.ts'

/** The one request that a stream carries. */
export type TargetStreamUser = {
  /** The head may be sent now. */
  onTargetConnected(now: number): void
  /** No connection could be opened; `code` is the system's, a `TlsFailure`, or `NO_HTTP2`. */
  onTargetUnreachable(code: string, now: number): void
  /** A response's head, interim ones too. */
  onTargetHead(fields: FieldBlock, isEnd: boolean, now: number): void
  /** Must be consumed before this returns. */
  onTargetData(bytes: Buffer, from: number, to: number, isEnd: boolean, now: number): void
  /** They end the response. */
  onTargetTrailers(fields: FieldBlock, now: number): void
  onTargetDrained(now: number): void
  /** The target reset the stream, or broke the rules on it or on the connection. */
  onTargetReset(code: number, byTarget: boolean, now: number): void
  /** The target says that it never looked at the request: it may be sent again. */
  onTargetRefused(now: number): void
  /** The connection broke; `code` is the system's, a `TlsFailure`, or null for an orderly close. */
  onTargetClosed(code: string | null, now: number): void
}

/** Why a target of an HTTPS group cannot be reached that did not choose `h2` in ALPN. */
export const noHttp2 = 'NO_HTTP2'

const bounds: H2Bounds = {
  streamsMax: h2TargetStreamsMax,
  initialWindowBytes: h2StreamWindowBytes,
  connectionWindowBytes: h2ConnectionWindowBytes,
  headerListBytesMax: responseHeadBytesMax,
  fieldBytesMax: responseHeadBytesMax,
  fieldsMax: headerFieldsMax,
  headerBlockBytesMax: responseHeadBytesMax,
  outBytesMax: 64 * 1024,
}

export class H2TargetConnection extends TargetSocket implements H2Handler<TargetStream> {
  readonly session: H2Session<TargetStream> = new H2Session('client', this, bounds)
  /** They begin when the connection is open. */
  readonly #waiting = new Set<TargetStream>()
  readonly #output: TurnOutput
  /** When the last stream ended, or the connection was opened. */
  #unusedSince: number

  constructor(net: NetContext, target: Target) {
    super(net, target)
    this.#unusedSince = this.lastActivity
    this.#output = new TurnOutput(this, this.session.out, () => this.#onSent())
  }

  /** @returns null when this connection takes no more requests, or none at the moment */
  openStream(user: TargetStreamUser): TargetStream | null {
    const { session } = this
    if (this.isClosed || this.isRetired || this.hasEnded || session.isGoingAway) return null
    const max = Math.min(h2TargetStreamsMax, session.peerMaxConcurrentStreams)
    if (session.streams.size + this.#waiting.size >= max) return null
    const stream = new TargetStream(this, user)
    if (!this.isConnected) this.#waiting.add(stream)
    else if (!stream.begin()) return null
    return stream
  }

  protected override onOpened(now: number): void {
    if (this.target.tls !== null && this.alpnProtocol !== 'h2') {
      this.#endWaiting(noHttp2, now)
      this.retire()
      return
    }
    this.session.begin()
    for (const stream of this.#takeWaiting()) {
      if (stream.begin()) stream.user?.onTargetConnected(now)
      else stream.user?.onTargetRefused(now)
    }
  }

  protected override onUnreachable(code: string, now: number): void {
    this.onRetired()
    this.#endWaiting(code, now)
  }

  protected override onBytes(bytes: Buffer, size: number, now: number): void {
    this.session.read(bytes, 0, size, now)
  }

  protected override onEnd(now: number): void {
    if (!this.isConnected) return
    this.#endStreams(null, now)
    this.retire()
  }

  protected override onDrained(): void {
    this.session.isBlocked = false
  }

  protected override onBroken(code: string | null, now: number): void {
    this.onRetired()
    this.#endStreams(code, now)
  }

  protected override openDeadlineMs(): number {
    return this.session.streams.size > 0 ? Infinity : this.#unusedSince + this.target.idleTimeoutMs
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
    this.session.isBlocked = this.isCongested
    const isUnwanted = this.session.isGoingAway || !this.target.isRegistered
    if (isUnwanted && this.session.streams.size === 0) this.retire()
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
    const { user } = stream.user!
    if (code === H2Error.refusedStream) user?.onTargetRefused(now)
    else user?.onTargetReset(code, byPeer, now)
  }

  onStreamDrained(stream: H2Stream<TargetStream>, now: number): void {
    stream.user!.touch(now).user?.onTargetDrained(now)
  }

  onGoAway(): void {
    this.onRetired()
    this.#output.sendSoon()
  }

  onSessionError(): void {
    this.#output.send()
    this.retire()
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

  #endWaiting(code: string, now: number): void {
    for (const { user } of this.#takeWaiting()) user?.onTargetUnreachable(code, now)
  }

  #endStreams(code: string | null, now: number): void {
    for (const { user: stream } of [...this.session.streams.values()]) stream!.user?.onTargetClosed(code, now)
  }
}

/** One request's share of a connection. It may be had before the connection is open; `onTargetConnected` follows then. */
export class TargetStream {
  readonly connection: H2TargetConnection
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

  get isCongested(): boolean {
    return this.#stream?.isCongested === true
  }

  /** @returns whether the connection had a stream for it */
  begin(): boolean {
    this.#stream = this.connection.session.openStream()
    if (this.#stream !== null) this.#stream.user = this
    return this.#stream !== null
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

  sendTrailers(): void {
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

/** Takes a stream of the first connection that has one, or opens a connection. */
export function acquireStream(net: NetContext, target: Target, user: TargetStreamUser): TargetStream {
  for (const connection of target.h2Connections) {
    const stream = connection.openStream(user)
    if (stream !== null) return stream
  }
  const connection = new H2TargetConnection(net, target)
  target.h2Connections.push(connection)
  return connection.openStream(user)!
}
