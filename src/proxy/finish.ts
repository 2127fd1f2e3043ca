/** Where every exchange ends, exactly once: what it used is given back, and it goes where it is counted and logged. */

import { assert } from '../base/assert.ts'
import { TargetColumn } from '../observe/counters.ts'
import type { Exchange } from './exchange.ts'

/**
 * Whether the client connection carries another request; `isComplete` is the first two columns:
 *
 * | request read to its end | response sent whole | Connection: close said | kept |
 * | ----------------------- | ------------------- | ---------------------- | ---- |
 * | yes                     | yes                 | no                     | yes  |
 * | any other combination                                                 | | no   |
 *
 * The target's connection is decided on in `settleTarget`: it needs the same of its own side.
 */
export function finishExchange(exchange: Exchange, isComplete: boolean, now: number): void {
  assert(!exchange.isFinished, 'an exchange finishes once')
  exchange.isFinished = true
  exchange.finishedAt = now
  settleTarget(exchange, isComplete)
  exchange.plane.exchanges.recordSoon(exchange)
  exchange.client!.onExchangeFinished(isComplete && !exchange.closesClient, now)
}

/** Ends the count of the request at its target, once; the client may still be busy with the exchange. */
export function endInFlight(exchange: Exchange): void {
  const { target, plane } = exchange
  if (target === null || !exchange.isInFlight) return
  exchange.isInFlight = false
  plane.states.removeRequestInFlight(target.slot)
  plane.counters.countTarget(target.slot, TargetColumn.requestsEnded, 1)
}

/** Gives the connection back clean, or closes it; once. */
export function settleTarget(exchange: Exchange, isComplete: boolean): void {
  endInFlight(exchange)
  const { link } = exchange
  exchange.targetConnection = null
  exchange.targetStream = null
  if (link === null) return
  if (isComplete && exchange.keepsTarget && !exchange.isTunnel) link.release()
  else link.discard()
}
