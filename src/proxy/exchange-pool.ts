/**
 * The exchanges of a worker, each of which carries one request after another. In between it is recorded, and that is
 * for when everybody had a turn: no peer waits for it, and what was asked of targets last in a turn is then answered by
 * the time the next one begins, instead of just missing it.
 */

import { exchangesPooledMax, exchangesUnrecordedMax } from '../model/limits.ts'
import type { TurnWaiter } from '../net/turn.ts'
import type { PlaneContext, RunningListener } from './context.ts'
import { type Client, Exchange } from './exchange.ts'
import { recordExchange } from './record.ts'

export class ExchangePool implements TurnWaiter {
  readonly #unused: Exchange[] = []
  /** Finished, in this order. */
  readonly #unrecorded: Exchange[] = []

  begin(plane: PlaneContext, client: Client, listener: RunningListener, now: number): Exchange {
    const exchange = this.#unused.pop() ?? new Exchange(plane)
    exchange.begin(client, listener, now)
    return exchange
  }

  /** @param exchange is finished, and stays as it is until it was recorded */
  recordSoon(exchange: Exchange): void {
    if (this.#unrecorded.length === exchangesUnrecordedMax) this.recordAll()
    if (this.#unrecorded.length === 0) exchange.plane.net.afterOutput(this)
    this.#unrecorded.push(exchange)
  }

  onTurnOver(): void {
    this.recordAll()
  }

  recordAll(): void {
    for (const exchange of this.#unrecorded) {
      recordExchange(exchange)
      if (this.#unused.length === exchangesPooledMax) continue
      // Not only before it is used again: until then it would hold a large head, a client, an earlier configuration.
      exchange.reset()
      this.#unused.push(exchange)
    }
    this.#unrecorded.length = 0
  }
}
