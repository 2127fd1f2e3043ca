/**
 * Time as a value that is handed in. Everything that waits takes its time from a `Clock`, so a test of a
 * 300 s delay takes milliseconds.
 */

export type Timer = { readonly cancel: () => void }

export type Clock = {
  /** Milliseconds since an arbitrary origin; never goes back. Has a fraction. */
  readonly now: () => number
  /** Milliseconds since the epoch that belong to `now() === 0`, so that wall time is `origin + now()`. */
  readonly originMs: number
  /** Calls `run` once, `delayMs` from now; below 0 is as 0. A timer never keeps the process alive by itself. */
  readonly after: (delayMs: number, run: () => void) => Timer
}

export const systemClock: Clock = {
  now: () => performance.now(),
  originMs: performance.timeOrigin,
  after(delayMs, run) {
    const timer = setTimeout(run, Math.max(0, delayMs)) // of a delay below 0, Node would warn the user
    timer.unref()
    return { cancel: () => clearTimeout(timer) }
  },
}

/** Wall time. */
export function epochMsOf(clock: Clock): number {
  return clock.originMs + clock.now()
}

/** How fast time passes. Threads that are given the same one have the same time. */
export type Pace = {
  /** 10: ten times as fast as it does. */
  readonly scale: number
  /** When it began to: until then, wall time was what it is to others. */
  readonly sinceEpochMs: number
}

export const realTime: Pace = { scale: 1, sinceEpochMs: 0 }

export function pacedClock({ scale, sinceEpochMs }: Pace, clock: Clock = systemClock): Clock {
  if (scale === 1) return clock
  return {
    now: () => clock.now() * scale,
    originMs: sinceEpochMs + (clock.originMs - sinceEpochMs) * scale,
    after: (delayMs, run) => clock.after(delayMs / scale, run),
  }
}

type Waiting = { readonly atMs: number; readonly order: number; readonly run: () => void }

/** A clock that moves only when told to. Timers fire in the order of their times, ties in the order they were set. */
export class ManualClock implements Clock {
  readonly originMs: number
  #nowMs = 0
  #order = 0
  #waiting: Waiting[] = []

  constructor(originMs = Date.UTC(2026, 0, 1)) {
    this.originMs = originMs
  }

  readonly now = (): number => this.#nowMs

  readonly after = (delayMs: number, run: () => void): Timer => {
    const waiting: Waiting = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, run }
    this.#waiting.push(waiting)
    return {
      cancel: () => {
        this.#waiting = this.#waiting.filter(other => other !== waiting)
      },
    }
  }

  /** Moves time forward by `ms`, firing on the way whatever falls due, timers set by timers included. */
  advance(ms: number): void {
    const until = this.#nowMs + ms
    for (let due = this.#nextDue(until); due !== null; due = this.#nextDue(until)) {
      this.#waiting = this.#waiting.filter(other => other !== due)
      this.#nowMs = due.atMs
      due.run()
    }
    this.#nowMs = until
  }

  #nextDue(untilMs: number): Waiting | null {
    let next: Waiting | null = null
    for (const waiting of this.#waiting) {
      if (waiting.atMs > untilMs) continue
      if (next === null || waiting.atMs < next.atMs || (waiting.atMs === next.atMs && waiting.order < next.order)) {
        next = waiting
      }
    }
    return next
  }
}
