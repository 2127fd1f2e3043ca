/** Keeps the account of what a peer makes us do for nothing. */

import {
  h2OverheadBytesFree,
  h2OverheadRatio,
  h2RepliesWaitingMax,
  h2ResetsBurst,
  h2ResetsPerSecond,
} from '../../model/limits.ts'

export class PeerAccount {
  /** Bytes of all frames received. */
  #received = 0
  /** Those of them that were header blocks and data of streams. */
  #payload = 0
  #repliesWaiting = 0
  #resetsLeft = h2ResetsBurst
  #resetAt = 0

  receive(size: number): void {
    this.#received += size
  }

  credit(size: number): void {
    this.#payload += size
  }

  /** @param sent payload: what the peer says about it in WINDOW_UPDATE is no flood */
  isFlood(sent: number): boolean {
    return this.#received > h2OverheadRatio * (this.#payload + sent + h2OverheadBytesFree)
  }

  /** @returns whether one more stream may end in a reset */
  spendReset(now: number): boolean {
    const gained = ((now - this.#resetAt) / 1000) * h2ResetsPerSecond
    this.#resetsLeft = Math.min(h2ResetsBurst, this.#resetsLeft + gained) - 1
    this.#resetAt = now
    return this.#resetsLeft >= 0
  }

  /** @returns whether one more answer may wait for a peer that does not read */
  spendReply(): boolean {
    return ++this.#repliesWaiting <= h2RepliesWaitingMax
  }

  /** What waited has gone. */
  repliesSent(): void {
    this.#repliesWaiting = 0
  }
}
