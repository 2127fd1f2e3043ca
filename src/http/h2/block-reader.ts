/** Puts the header block of one head together from its HEADERS and CONTINUATION frames (RFC 9113, section 4.3). */

import { h2ContinuationsMax } from '../../model/limits.ts'
import { type H2Fault, h2Faults } from './faults.ts'
import type { FrameReader } from './frame-reader.ts'
import { Flag, frameHeadBytes, readUint31 } from './frames.ts'

const none: Buffer = Buffer.alloc(0)

export class BlockReader {
  /** Begun and not complete: nothing else may come. */
  isOpen = false
  streamId = 0
  /** Whether the head ends its stream. */
  isEnd = false
  dependsOnItself = false
  /** Of all its frames, with their heads and whatever else they hold. */
  frameBytes = 0
  /** Where the block stands, once it is complete; until `release`. */
  bytes: Buffer = none
  from = 0
  to = 0
  readonly #bytesMax: number
  #frames = 0
  /** What came, where that was not all at once. */
  #held: Buffer = none
  #size = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Takes a HEADERS frame. */
  begin(frames: FrameReader): H2Fault | null {
    const { bytes, flags, streamId } = frames
    let at = frames.from
    let end = frames.to
    if ((flags & Flag.padded) !== 0) end -= bytes[at++]!
    this.dependsOnItself = false
    if ((flags & Flag.priority) !== 0) {
      this.dependsOnItself = readUint31(bytes, at) === streamId
      at += 5
    }
    if (at > end) return h2Faults.padding
    this.streamId = streamId
    this.isEnd = (flags & Flag.endStream) !== 0
    this.frameBytes = 0
    this.#frames = 0
    return this.add(frames, at, end)
  }

  /** Takes what a frame holds of the block. One that is complete at once stays where it is. */
  add(frames: FrameReader, from: number, to: number): H2Fault | null {
    const size = this.#size + to - from
    this.frameBytes += frameHeadBytes + frames.length
    this.isOpen = (frames.flags & Flag.endHeaders) === 0
    if (++this.#frames > 1 + h2ContinuationsMax) return h2Faults.blockFrames
    if (size > this.#bytesMax) return h2Faults.blockBytes
    if (this.isOpen || this.#size > 0) this.#hold(frames.bytes, from, to)
    const isHeld = this.#size > 0
    this.bytes = isHeld ? this.#held : frames.bytes
    this.from = isHeld ? 0 : from
    this.to = isHeld ? size : to
    return null
  }

  #hold(bytes: Buffer, from: number, to: number): void {
    const size = this.#size + to - from
    if (size > this.#held.length) {
      const larger = Buffer.allocUnsafeSlow(2 * size)
      this.#held.copy(larger, 0, 0, this.#size)
      this.#held = larger
    }
    bytes.copy(this.#held, this.#size, from, to)
    this.#size = size
  }

  /** The block is read, and so is the memory that it took. */
  release(): void {
    this.bytes = none
    this.#held = none
    this.#size = 0
  }
}
