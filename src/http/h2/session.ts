/** One HTTP/2 connection, in either role (RFC 9113). It knows bytes and time, no sockets and no load balancer. */

import { ByteWriter } from '../../base/byte-writer.ts'
import type { FieldBlock, FieldBounds } from './field-block.ts'
import type { H2Stream } from './stream.ts'

export type H2Bounds = FieldBounds & {
  /** Streams that may be open at once: begun by the peer (server), by us (client; the peer's own bound holds as well). */
  readonly streamsMax: number
  /** What the peer may send on a stream before we say `consumed`; at least the protocol's 65,535. */
  readonly initialWindowBytes: number
  /** The same for all streams together. */
  readonly connectionWindowBytes: number
  /** Compressed bytes of one header block, in all of its frames. */
  readonly headerBlockBytesMax: number
  /** While `out` holds this much, DATA is queued. */
  readonly outBytesMax: number
}

/** What a session tells its owner. Everything that is handed over is valid until the handler returns. */
export type H2Handler<User> = {
  /**
   * Frames stand ready in `session.out`: the owner sends them soon, once per turn of the event loop is fine. After it
   * took them it sets `isBlocked`, be it to false again: only then is more written of what waits.
   */
  onOutput(): void
  /**
   * A request's head, of a new stream (server), or a response's, interim ones too (client). `fields.fault` must be looked
   * at first: after `malformed` the stream is reset already and `onReset` follows, nothing is to be sent.
   */
  onHead(stream: H2Stream<User>, fields: FieldBlock, isEnd: boolean, now: number): void
  /** Always the end of what the peer says on the stream. */
  onTrailers(stream: H2Stream<User>, fields: FieldBlock, now: number): void
  /** Any part of the stream's data, without padding. `isEnd` comes with the last, which may be empty. */
  onData(stream: H2Stream<User>, bytes: Buffer, from: number, to: number, isEnd: boolean, now: number): void
  /**
   * The peer has reset the stream, or broke the rules on it (RST_STREAM is on its way, `stream.resetText` says why), or
   * the session ended. Exactly once per stream, unless that closed normally or was reset by the owner.
   */
  onReset(stream: H2Stream<User>, code: number, byPeer: boolean, now: number): void
  /** All that was queued after `isCongested` is written, END_STREAM included. */
  onStreamDrained(stream: H2Stream<User>, now: number): void
  /** The peer takes no more streams. In client role those above the last one follow with `onReset(refusedStream)`. */
  onGoAway(lastStreamId: number, code: number, now: number): void
  /** The peer broke the rules, or floods us: all streams were told, a GOAWAY stands in `out`, nothing more is read. */
  onSessionError(code: number, text: string, now: number): void
}

export class H2Session<User> {
  /** Frames to be sent. The owner sends them and sets `length` to 0; it may change `bytes` for other memory. */
  readonly out: ByteWriter = new ByteWriter(512)
  /** Open ones. */
  readonly streams: ReadonlyMap<number, H2Stream<User>> = new Map()
  /** Client role: how many the peer takes at once. */
  peerMaxConcurrentStreams = 100
  /** We have said that no more streams are taken, or the peer has. */
  isGoingAway = false
  /** Requests begun on this session. */
  streamsBegun = 0
  /** When HEADERS or DATA came last; frames that only concern the connection are no life. */
  lastActivity = 0
  /** Of the event that is being handled. `read` sets it; whoever acts on another event may set it first. */
  now = 0

  constructor(role: 'server' | 'client', handler: H2Handler<User>, bounds: H2Bounds) {
    void role
    void handler
    void bounds
  }

  /** The socket holds enough: DATA is queued instead of written. Setting it to false writes what waits, in turn. */
  get isBlocked(): boolean {
    return false
  }
  set isBlocked(isBlocked: boolean) {
    void isBlocked
  }

  /** Writes what each side begins with. */
  begin(): void {}

  read(bytes: Buffer, from: number, to: number, now: number): void {
    void [bytes, from, to, now]
  }

  /** Client role. @returns null when no more may be opened: too many are open, the peer goes away, ids are used up */
  openStream(): H2Stream<User> | null {
    return null
  }

  /** The caller writes the fields into what is returned, then calls `endHead`, with nothing else in between. */
  beginHead(): ByteWriter {
    return this.out
  }

  /** Sends them, as a head, or as trailers where `isEnd` follows a head; behind queued data if there is some. */
  endHead(stream: H2Stream<User>, isEnd: boolean): void {
    void [stream, isEnd]
  }

  /** Takes everything: what may not be written now is copied and queued, and `stream.isCongested`. */
  sendData(stream: H2Stream<User>, bytes: Buffer, from: number, to: number, isEnd: boolean): void {
    void [stream, bytes, from, to, isEnd]
  }

  /** So many bytes of the stream's data have gone on: the peer may send as many more. */
  consumed(stream: H2Stream<User>, size: number): void {
    void [stream, size]
  }

  /** RST_STREAM; nothing more is told of it. */
  reset(stream: H2Stream<User>, code: number): void {
    void [stream, code]
  }

  /** GOAWAY: no streams are taken from now on; those open finish. */
  goAway(code: number): void {
    void code
  }

  /** The connection is gone: every open stream is told with `onReset`. */
  close(code: number, now: number): void {
    void [code, now]
  }
}
