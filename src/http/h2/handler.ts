/** What a session is given by its owner, and what it tells it. */

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
  /** Always the end of what the peer says on the stream. They may be `tooLarge`. */
  onTrailers(stream: H2Stream<User>, fields: FieldBlock, now: number): void
  /** Any part of the stream's data, without padding. `isEnd` comes with the last, which may be empty. */
  onData(stream: H2Stream<User>, bytes: Buffer, from: number, to: number, isEnd: boolean, now: number): void
  /**
   * The peer has reset the stream, or broke the rules on it (RST_STREAM is on its way, `stream.resetText` says why), or
   * the session ended. Exactly once per stream, unless that closed normally or was reset by the owner.
   */
  onReset(stream: H2Stream<User>, code: number, byPeer: boolean, now: number): void
  /** All that was queued after `isCongested` is written, END_STREAM included; that may have closed the stream. */
  onStreamDrained(stream: H2Stream<User>, now: number): void
  /** Client role: the peer takes no more streams. Those above the last one follow with `onReset(refusedStream)`. */
  onGoAway(lastStreamId: number, code: number, now: number): void
  /** The peer broke the rules, or floods us: all streams were told, a GOAWAY stands in `out`, nothing more is read. */
  onSessionError(code: number, text: string, now: number): void
}
