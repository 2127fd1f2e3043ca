/**
 * The connections to a target that rest between requests, and which is taken next: of those that were released in this
 * turn of the event loop, the first; otherwise the one that was used last, so that the others may end.
 *
 * The former keeps a busy worker's requests in their order. In a turn, epoll reports the connections with responses
 * first, in the order in which it did in the turn before, and those with requests behind them. Were the last released
 * taken first, what is asked last in one turn would be answered first in the next, and the other way round.
 */

import { assert } from '../base/assert.ts'
import type { TurnEnd, TurnWaiter } from '../net/turn.ts'

export type Pooled<Self> = {
  /** Its neighbours in a pool, which alone sets them. */
  older: Self | null
  newer: Self | null
}

export class IdlePool<Connection extends Pooled<Connection>> implements TurnWaiter {
  #newest: Connection | null = null
  /** The oldest of those released in this turn. */
  #firstOfTurn: Connection | null = null
  #isWaiting = false
  #size = 0

  get size(): number {
    return this.#size
  }

  /** @param connection is in no pool */
  add(connection: Connection, afterTurn: TurnEnd['afterTurn']): void {
    assert(
      connection.older === null && connection.newer === null && connection !== this.#newest,
      'a connection is in its pool once',
    )
    connection.older = this.#newest
    if (this.#newest !== null) this.#newest.newer = connection
    this.#newest = connection
    this.#firstOfTurn ??= connection
    this.#size++
    if (this.#isWaiting) return
    this.#isWaiting = true
    afterTurn(this)
  }

  onTurnOver(): void {
    this.#isWaiting = false
    this.#firstOfTurn = null
  }

  /** Null when there is none. */
  take(): Connection | null {
    const connection = this.#firstOfTurn ?? this.#newest
    if (connection !== null) this.remove(connection)
    return connection
  }

  /** One that is in no pool stays so. */
  remove(connection: Connection): void {
    const { older, newer } = connection
    if (older === null && newer === null && connection !== this.#newest) return
    if (older !== null) older.newer = newer
    if (newer !== null) newer.older = older
    if (connection === this.#newest) this.#newest = older
    if (connection === this.#firstOfTurn) this.#firstOfTurn = newer
    connection.older = null
    connection.newer = null
    this.#size--
  }

  /** All of them. */
  takeAll(): Connection[] {
    const all: Connection[] = []
    for (let next = this.take(); next !== null; next = this.take()) all.push(next)
    return all
  }
}
