/** Remembers how the last streams closed: what still comes for them is judged by that (RFC 9113, section 5.1). */

import { h2ClosedStreamsKept } from '../../model/limits.ts'

export const Closed = {
  /** Not remembered, or never opened. */
  unknown: 0,
  /** Both sides said END_STREAM. */
  ended: 1,
  byPeer: 2,
  /** By a reset of ours, which the peer may not have seen yet. */
  byUs: 3,
} as const
export type Closed = (typeof Closed)[keyof typeof Closed]

/** Streams have odd ids below 2^31: doubled, they leave room for how they closed. */
export class ClosedStreams {
  readonly #ring = new Float64Array(h2ClosedStreamsKept)
  #next = 0

  add(id: number, closed: Closed): void {
    this.#ring[this.#next] = id * 4 + closed
    this.#next = (this.#next + 1) % h2ClosedStreamsKept
  }

  of(id: number): Closed {
    for (const entry of this.#ring) if (Math.floor(entry / 4) === id) return (entry % 4) as Closed
    return Closed.unknown
  }
}
