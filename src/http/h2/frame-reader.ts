/**
 * Cuts what arrives into frames, however it was cut before. It only knows how frames are delimited: after each head the
 * caller says whether it wants the payload whole or as it comes.
 */

import { frameHeadBytes, readUint31 } from './frames.ts'

export const Found = {
  /** All was read, more is needed. */
  nothing: 0,
  /** A head; `hold` or `pass` says what is to become of its payload. */
  head: 1,
  /** The whole payload, from `from` to `to` in `bytes`. */
  payload: 2,
  /** Some of the payload, from `from` to `to` in `bytes`; `left` more follow. */
  piece: 3,
} as const
export type Found = (typeof Found)[keyof typeof Found]

const none: Buffer = Buffer.alloc(0)

export class FrameReader {
  length = 0
  type = 0
  flags = 0
  streamId = 0
  found: Found = Found.nothing
  bytes: Buffer = none
  from = 0
  to = 0
  /** Bytes of the payload that have not come yet. */
  left = 0
  #isInPayload = false
  #isHeld = false
  readonly #head = Buffer.alloc(frameHeadBytes)
  #headSize = 0
  /** A payload that came in pieces and is wanted whole. */
  #held: Buffer | null = null
  #heldSize = 0

  hold(): void {
    this.#begin(true)
  }

  pass(): void {
    this.#begin(false)
  }

  #begin(isHeld: boolean): void {
    this.#isInPayload = true
    this.#isHeld = isHeld
    this.left = this.length
  }

  /** @returns the position after what was read; `found` says what that was, even where there was nothing left to read */
  read(bytes: Buffer, at: number, end: number): number {
    this.found = Found.nothing
    this.bytes = none
    if (!this.#isInPayload) return this.#readHead(bytes, at, end)
    return this.#isHeld ? this.#readWhole(bytes, at, end) : this.#readPiece(bytes, at, end)
  }

  #readHead(bytes: Buffer, at: number, end: number): number {
    if (this.#headSize === 0 && end - at >= frameHeadBytes) {
      this.#parseHead(bytes, at)
      return at + frameHeadBytes
    }
    const size = Math.min(frameHeadBytes - this.#headSize, end - at)
    bytes.copy(this.#head, this.#headSize, at, at + size)
    this.#headSize += size
    if (this.#headSize === frameHeadBytes) {
      this.#headSize = 0
      this.#parseHead(this.#head, 0)
    }
    return at + size
  }

  #parseHead(bytes: Buffer, at: number): void {
    this.length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!
    this.type = bytes[at + 3]!
    this.flags = bytes[at + 4]!
    this.streamId = readUint31(bytes, at + 5)
    this.found = Found.head
  }

  #readWhole(bytes: Buffer, at: number, end: number): number {
    const { length } = this
    if (this.#held === null && end - at >= length) {
      this.#find(Found.payload, bytes, at, at + length)
      this.#isInPayload = false
      return at + length
    }
    this.#held ??= Buffer.allocUnsafe(length)
    const size = Math.min(length - this.#heldSize, end - at)
    bytes.copy(this.#held, this.#heldSize, at, at + size)
    this.#heldSize += size
    if (this.#heldSize === length) {
      this.#find(Found.payload, this.#held, 0, length)
      this.#held = null
      this.#heldSize = 0
      this.#isInPayload = false
    }
    return at + size
  }

  #readPiece(bytes: Buffer, at: number, end: number): number {
    const size = Math.min(this.left, end - at)
    if (size === 0 && this.left > 0) return at
    this.left -= size
    this.#isInPayload = this.left > 0
    this.#find(Found.piece, bytes, at, at + size)
    return at + size
  }

  #find(found: Found, bytes: Buffer, from: number, to: number): void {
    this.found = found
    this.bytes = bytes
    this.from = from
    this.to = to
  }
}
