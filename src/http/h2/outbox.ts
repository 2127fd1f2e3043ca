/**
 * The sending side of a session: frames are written into `out` as far as the windows of the peer and the socket allow;
 * data beyond waits with its stream, and streams that wait take turns.
 */

import { assert } from '../../base/assert.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import {
  defaultTableBytes,
  defaultWindowBytes,
  Flag,
  FrameType,
  frameHeadBytes,
  framePayloadMax,
  windowBytesMax,
  writeFrameHead,
} from './frames.ts'
import type { H2Stream } from './stream.ts'

/** Enough to be worth a turn, little enough that nobody waits long for theirs. */
const framesPerTurn = 2
/** Says that we use no table at all, which holds for good (RFC 7541, section 6.3). */
const emptyTable = 0x20

export class Outbox<User> {
  readonly out = new ByteWriter(512)
  /** The socket holds enough. */
  isBlocked = false
  /** Payload of all DATA frames. */
  dataBytes = 0
  /** What all streams together may send. */
  window = defaultWindowBytes
  readonly #outBytesMax: number
  /** Those with something queued, in the order of their turns. */
  #waiting: H2Stream<User>[] = []
  #turn = 0
  /** Where the frame of the block begins that is being written, or -1. */
  #headAt = -1
  /** The peer allows a smaller table than its decoder thinks ours to be: the next block must say how large it is. */
  #owesTableSize = false
  #hasSaidTableSize = false

  constructor(outBytesMax: number) {
    this.#outBytesMax = outBytesMax
  }

  get isWriting(): boolean {
    return this.#headAt !== -1
  }

  /** @param size of a table that the peer allows */
  limitTable(size: number): void {
    if (size < defaultTableBytes && !this.#hasSaidTableSize) this.#owesTableSize = true
  }

  /** @returns false where the window would be larger than any may be */
  widen(size: number): boolean {
    this.window += size
    return this.window <= windowBytesMax
  }

  /** Begins a block of fields; the caller writes them behind, and then calls `endBlock`. */
  beginBlock(): ByteWriter {
    this.#headAt = this.out.length
    this.out.reserve(frameHeadBytes)
    this.out.length += frameHeadBytes
    return this.out
  }

  /** Sends the block, or queues it behind the data of the stream, or drops it where the stream is closed. */
  endBlock(stream: H2Stream<User>, isEnd: boolean): void {
    const { out } = this
    const from = this.#headAt
    this.#headAt = -1
    if (stream.isClosed) {
      out.length = from
      return
    }
    stream.isLocalEnded = isEnd
    if (stream.queue === null) {
      this.#sendBlock(stream, from, isEnd)
      return
    }
    assert(isEnd, 'only trailers follow data')
    stream.trailers = Buffer.from(out.bytes.subarray(from + frameHeadBytes, out.length))
    out.length = from
  }

  /** The block stands in `out`, behind room for the head of a frame. */
  #sendBlock(stream: H2Stream<User>, from: number, isEnd: boolean): void {
    const { out } = this
    if (this.#owesTableSize) this.#insertTableSize(from + frameHeadBytes)
    const size = out.length - from - frameHeadBytes
    stream.isHeadSent = true
    stream.isEndSent = isEnd
    const flags = isEnd ? Flag.endStream : 0
    if (size <= framePayloadMax) {
      const end = out.length
      out.length = from
      writeFrameHead(out, size, FrameType.headers, flags | Flag.endHeaders, stream.id)
      out.length = end
    } else this.#splitBlock(stream.id, from, size, flags)
    stream.sentBytes += out.length - from
  }

  #insertTableSize(at: number): void {
    const { out } = this
    this.#owesTableSize = false
    this.#hasSaidTableSize = true
    out.reserve(1)
    out.bytes.copyWithin(at + 1, at, out.length)
    out.bytes[at] = emptyTable
    out.length++
  }

  /** Moves what does not fit into one frame apart, from the end on, so that heads of CONTINUATION frames fit between. */
  #splitBlock(streamId: number, from: number, size: number, flags: number): void {
    const { out } = this
    const frames = Math.ceil(size / framePayloadMax)
    out.reserve((frames - 1) * frameHeadBytes)
    const end = out.length + (frames - 1) * frameHeadBytes
    for (let i = frames - 1; i >= 0; i--) {
      const offset = i * framePayloadMax
      const length = Math.min(framePayloadMax, size - offset)
      const target = from + offset + i * frameHeadBytes
      const source = from + frameHeadBytes + offset
      out.bytes.copyWithin(target + frameHeadBytes, source, source + length)
      out.length = target
      const type = i === 0 ? FrameType.headers : FrameType.continuation
      const last = i === frames - 1 ? Flag.endHeaders : 0
      writeFrameHead(out, length, type, (i === 0 ? flags : 0) | last, streamId)
    }
    out.length = end
  }

  /** Writes what may be written now and queues the rest. */
  send(stream: H2Stream<User>, bytes: Buffer, from: number, to: number, isEnd: boolean): void {
    stream.isLocalEnded = isEnd
    const at = stream.queue === null ? this.#write(stream, bytes, from, to, isEnd, Number.POSITIVE_INFINITY) : from
    if (at === to) return
    if (stream.queue === null) this.#waiting.push(stream)
    stream.enqueue(bytes, at, to)
    stream.isCongested = true
  }

  /** @returns how far it came */
  #write(stream: H2Stream<User>, bytes: Buffer, from: number, to: number, isEnd: boolean, framesMax: number): number {
    const { out } = this
    let at = from
    let frames = 0
    do {
      const size = at === to ? 0 : Math.min(to - at, framePayloadMax, stream.sendWindow, this.window)
      if (at < to && (size <= 0 || frames === framesMax || !this.#mayWrite())) return at
      const isLast = isEnd && at + size === to
      // Nothing to say is no frame, unless it is the end.
      if (size === 0 && !isLast) return at
      out.reserve(frameHeadBytes + size)
      writeFrameHead(out, size, FrameType.data, isLast ? Flag.endStream : 0, stream.id)
      out.copy(bytes, at, at + size)
      at += size
      frames++
      stream.sendWindow -= size
      this.window -= size
      this.dataBytes += size
      stream.sentBytes += frameHeadBytes + size
      stream.isEndSent = isLast
    } while (at < to)
    return at
  }

  #mayWrite(): boolean {
    return !this.isBlocked && this.out.length < this.#outBytesMax
  }

  /**
   * Writes what waits, in turn, until nothing more may be written or a stream has nothing left.
   *
   * @returns that stream; call again until it is null
   */
  drainNext(): H2Stream<User> | null {
    /** Streams in a row that have no window of their own. */
    let passed = 0
    while (passed < this.#waiting.length && this.window > 0 && this.#mayWrite()) {
      if (this.#turn >= this.#waiting.length) this.#turn = 0
      const stream = this.#waiting[this.#turn]!
      if (stream.sendWindow <= 0) {
        this.#turn++
        passed++
        continue
      }
      passed = 0
      if (this.#sendQueued(stream)) return stream
      this.#turn++
    }
    return null
  }

  /** @returns whether that was all */
  #sendQueued(stream: H2Stream<User>): boolean {
    const isEnd = stream.isLocalEnded && stream.trailers === null
    const { queueTo } = stream
    stream.queueFrom = this.#write(stream, stream.queue!, stream.queueFrom, queueTo, isEnd, framesPerTurn)
    if (stream.queueFrom < queueTo) return false
    const { trailers } = stream
    this.forget(stream)
    if (trailers === null) return true
    const at = this.out.length
    const block = this.beginBlock()
    block.reserve(trailers.length)
    block.copy(trailers, 0, trailers.length)
    this.#headAt = -1
    this.#sendBlock(stream, at, true)
    return true
  }

  /** Drops whatever is queued. */
  forget(stream: H2Stream<User>): void {
    if (stream.queue === null) return
    stream.queue = null
    stream.trailers = null
    stream.isCongested = false
    const place = this.#waiting.indexOf(stream)
    this.#waiting.splice(place, 1)
    if (place < this.#turn) this.#turn--
  }

  /** @param payload the four bytes of it */
  writeWord(type: number, streamId: number, payload: number): void {
    const { out } = this
    out.reserve(frameHeadBytes + 4)
    writeFrameHead(out, 4, type, 0, streamId)
    out.uint32(payload)
  }

  writePingAck(bytes: Buffer, from: number, to: number): void {
    const { out } = this
    out.reserve(frameHeadBytes + 8)
    writeFrameHead(out, 8, FrameType.ping, Flag.ack, 0)
    out.copy(bytes, from, to)
  }

  writeSettingsAck(): void {
    this.out.reserve(frameHeadBytes)
    writeFrameHead(this.out, 0, FrameType.settings, Flag.ack, 0)
  }

  writeGoAway(lastStreamId: number, code: number): void {
    const { out } = this
    out.reserve(frameHeadBytes + 8)
    writeFrameHead(out, 8, FrameType.goAway, 0, 0)
    out.uint32(lastStreamId)
    out.uint32(code)
  }

  /** @param settings pairs of a setting and its value */
  writeSettings(settings: readonly (readonly [setting: number, value: number])[]): void {
    const { out } = this
    out.reserve(frameHeadBytes + settings.length * 6)
    writeFrameHead(out, settings.length * 6, FrameType.settings, 0, 0)
    for (const [setting, value] of settings) {
      out.uint16(setting)
      out.uint32(value)
    }
  }
}
