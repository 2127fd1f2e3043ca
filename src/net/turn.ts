/** Turns of the event loop: what came meanwhile is handled, one socket after the other, then the next begins. */

export type TurnWaiter = {
  /** Everybody had a turn. */
  onTurnOver(): void
}

/** @returns has a waiter called once, when the turn is over in which it asks */
export function turnEnd(): (waiter: TurnWaiter) => void {
  let waiting: TurnWaiter[] = []
  const callAll = () => {
    const waiters = waiting
    waiting = []
    for (const waiter of waiters) waiter.onTurnOver()
  }
  return waiter => {
    if (waiting.length === 0) setImmediate(callAll)
    waiting.push(waiter)
  }
}
