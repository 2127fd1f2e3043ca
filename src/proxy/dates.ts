/** Dates as answers write them, formatted once a second. */

import type { Clock } from '../base/clock.ts'

export class Dates {
  readonly #originMs: number
  #second = -1
  #text = ''

  constructor(clock: Clock) {
    this.#originMs = clock.originMs
  }

  /** `Sat, 21 Nov 2026 13:14:00 GMT` (RFC 9110, section 5.6.7). */
  httpDate(nowMs: number): string {
    const second = Math.floor((this.#originMs + nowMs) / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#text = new Date(second * 1000).toUTCString()
    }
    return this.#text
  }
}
