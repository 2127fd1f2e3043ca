/** Identifiers that every request or connection gets. Unique, not secret. */

import { randomFillSync } from 'node:crypto'

const poolBytes = 12 * 512
const hexDigits = Buffer.from('0123456789abcdef')

/** Where its parts stand in `Root=1-<second>-<random>`. */
const rootSecondAt = 7
const rootRandomAt = 16
const rootRandomBytes = 12

export class IdSource {
  readonly #pool = Buffer.alloc(poolBytes)
  readonly #fill: (bytes: Buffer) => void
  #at = poolBytes
  /** The latest one, which the next is written over. */
  readonly #root = Buffer.from(`Root=1-${'0'.repeat(8)}-${'0'.repeat(24)}`)
  #second = -1

  /** @param fill fills bytes with random ones; tests hand in their own */
  constructor(fill: (bytes: Buffer) => void = randomFillSync) {
    this.#fill = fill
  }

  /**
   * `Root=1-<8 hex digits of epoch seconds>-<24 random hex digits>`. Every request gets one, and it is made of bytes
   * because a string put together from others leaves all of those to the garbage collector.
   */
  traceRoot(epochMs: number): string {
    const root = this.#root
    const second = Math.floor(epochMs / 1000)
    if (second !== this.#second) {
      this.#second = second
      root.write(second.toString(16).padStart(8, '0'), rootSecondAt, 'latin1')
    }
    const from = this.#take(rootRandomBytes)
    for (let i = 0; i < rootRandomBytes; i++) {
      const byte = this.#pool[from + i]!
      root[rootRandomAt + 2 * i] = hexDigits[byte >> 4]!
      root[rootRandomAt + 2 * i + 1] = hexDigits[byte & 15]!
    }
    return root.toString('latin1')
  }

  /**
   * `TID_` and 32 hex digits: a random UUID whose first three groups are byte-swapped, so its version digit 4 stands
   * at the 15th hex digit, as observed in real lines.
   */
  connectionTraceId(): string {
    const hex = this.#hex(12) + this.#hex(4)
    const variant = '89ab'[Number.parseInt(hex[16]!, 16) & 3]
    return `TID_${hex.slice(0, 14)}4${hex.slice(15, 16)}${variant}${hex.slice(17)}`
  }

  #hex(size: number): string {
    const from = this.#take(size)
    return this.#pool.toString('hex', from, from + size)
  }

  /** @returns where so many random bytes stand that nobody had before */
  #take(size: number): number {
    if (this.#at + size > poolBytes) {
      this.#fill(this.#pool)
      this.#at = 0
    }
    this.#at += size
    return this.#at - size
  }
}
