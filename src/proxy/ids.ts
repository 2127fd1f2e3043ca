/** Identifiers that every request or connection gets. Unique, not secret. */

import { randomFillSync } from 'node:crypto'

const poolBytes = 12 * 512

export class IdSource {
  readonly #pool = Buffer.alloc(poolBytes)
  readonly #fill: (bytes: Buffer) => void
  #at = poolBytes
  #second = -1
  #secondHex = ''

  /** @param fill fills bytes with random ones; tests hand in their own */
  constructor(fill: (bytes: Buffer) => void = randomFillSync) {
    this.#fill = fill
  }

  /** `1-<8 hex digits of epoch seconds>-<24 random hex digits>` */
  traceElement(epochMs: number): string {
    const second = Math.floor(epochMs / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#secondHex = second.toString(16).padStart(8, '0')
    }
    return `1-${this.#secondHex}-${this.#hex(12)}`
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
    if (this.#at + size > poolBytes) {
      this.#fill(this.#pool)
      this.#at = 0
    }
    this.#at += size
    return this.#pool.toString('hex', this.#at - size, this.#at)
  }
}
