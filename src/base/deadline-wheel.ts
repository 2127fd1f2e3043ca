/**
 * Watches many deadlines that keep moving. A request only stamps a field; the wheel looks at each entry once a second
 * and sets a timer of its own for those that would fall due before the next look, so a deadline is met to the
 * millisecond and costs nothing while there is traffic.
 */

import type { Clock } from './clock.ts'

export type Watched = {
  /** When it falls due by the clock's `now`, or Infinity. Must be more than a turn of the wheel away when it is first set. */
  deadlineMs(): number
  /** Must move the deadline or leave the wheel; it may otherwise be told again at once. */
  onDeadline(nowMs: number): void
}

/** One look at every entry takes this long; also the shortest deadline that the wheel can keep. */
export const wheelTurnMs = 1000
const slotCount = 20

export class DeadlineWheel {
  readonly #clock: Clock
  readonly #slots: Set<Watched>[] = Array.from({ length: slotCount }, () => new Set())
  #size = 0
  #nextSlot = 0
  #hand = 0
  #isTurning = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#size
  }

  /** @returns the slot that `forget` needs */
  watch(entry: Watched): number {
    const slot = this.#nextSlot
    this.#nextSlot = (slot + 1) % slotCount
    this.#slots[slot]!.add(entry)
    this.#size++
    if (!this.#isTurning) {
      this.#isTurning = true
      this.#clock.after(wheelTurnMs / slotCount, this.#turn)
    }
    return slot
  }

  forget(entry: Watched, slot: number): void {
    if (this.#slots[slot]!.delete(entry)) this.#size--
  }

  *entries(): Iterable<Watched> {
    for (const slot of this.#slots) yield* slot
  }

  readonly #turn = (): void => {
    if (this.#size === 0) {
      this.#isTurning = false
      return
    }
    this.#clock.after(wheelTurnMs / slotCount, this.#turn)
    const slot = this.#hand
    this.#hand = (slot + 1) % slotCount
    const now = this.#clock.now()
    // A turn may come late, so the next one may too: look twice as far ahead.
    for (const entry of this.#slots[slot]!) {
      const left = entry.deadlineMs() - now
      if (left <= 2 * wheelTurnMs) this.#clock.after(left, () => this.#check(entry, slot))
    }
  }

  #check(entry: Watched, slot: number): void {
    if (!this.#slots[slot]!.has(entry)) return
    const now = this.#clock.now()
    if (entry.deadlineMs() <= now) entry.onDeadline(now)
  }
}
