/** Turns of the event loop: what came meanwhile is handled, one socket after the other, then the next begins. */

export type TurnWaiter = {
  /** Everybody had a turn. */
  onTurnOver(): void
}

/** Each has a waiter called once, when the turn is over in which it asks. */
export type TurnEnd = {
  readonly afterTurn: (waiter: TurnWaiter) => void
  /** Behind all of the others: for what no peer waits for. */
  readonly afterOutput: (waiter: TurnWaiter) => void
}

export function turnEnd(): TurnEnd {
  let first: TurnWaiter[] = []
  let last: TurnWaiter[] = []
  const callAll = () => {
    const firstNow = first
    const lastNow = last
    first = []
    last = []
    for (const waiter of firstNow) waiter.onTurnOver()
    for (const waiter of lastNow) waiter.onTurnOver()
  }
  const callSoon = () => {
    if (first.length === 0 && last.length === 0) setImmediate(callAll)
  }
  return {
    afterTurn: waiter => {
      callSoon()
      first.push(waiter)
    },
    afterOutput: waiter => {
      callSoon()
      last.push(waiter)
    },
  }
}
