/** Endless bytes in which every place can be told from its neighbours, to prove that a long body arrived as it was sent. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Writable } from 'node:stream'

/** Prime, so that bytes that went missing or came twice by the block do not go unseen. */
const periodBytes = 1_000_003
const pieceBytesMax = 256 * 1024
const block = randomBytes(periodBytes)
const endless = Buffer.concat([block, block.subarray(0, pieceBytesMax)])

/** Bytes `from` to `from + length` of the pattern; at most 256 KB at a time. */
export function patternAt(from: number, length: number): Buffer {
  const at = from % periodBytes
  return endless.subarray(at, at + length)
}

export class PatternCheck {
  byteCount = 0

  take(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += pieceBytesMax) {
      const piece = bytes.subarray(at, at + pieceBytesMax)
      if (!piece.equals(patternAt(this.byteCount, piece.length))) assert.fail(`wrong bytes behind ${this.byteCount}`)
      this.byteCount += piece.length
    }
  }
}

/** Writes that many bytes of the pattern, as fast as they are taken. */
export class PatternSource {
  /** What was taken. */
  byteCount = 0
  readonly #pieceBytes: number

  /** @param pieceBytes written at once */
  constructor(pieceBytes = pieceBytesMax) {
    this.#pieceBytes = pieceBytes
  }

  async writeTo(stream: Writable, length: number): Promise<void> {
    while (this.byteCount < length) {
      const piece = patternAt(this.byteCount, Math.min(this.#pieceBytes, length - this.byteCount))
      await new Promise<void>((resolve, reject) => stream.write(piece, error => (error ? reject(error) : resolve())))
      this.byteCount += piece.length
    }
  }
}
