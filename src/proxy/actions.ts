/** Runs what the matched rule says. */

import { assertNever } from '../base/assert.ts'
import { TargetColumn } from '../observe/counters.ts'
import { acquireConnection, type TargetUser } from '../targets/target-connection.ts'
import type { TargetGroup } from '../targets/target-group.ts'
import { sendFixedResponse, sendRedirect } from './answer.ts'
import type { Exchange } from './exchange.ts'
import { endResponse, failExchange } from './fail.ts'
import { holdTargetHead } from './relay.ts'

/** @param user hears of the target's connection; it stands for the exchange */
export function runAction(exchange: Exchange, user: TargetUser, now: number): void {
  const { action } = exchange.rule!
  switch (action.type) {
    case 'forward':
      forward(exchange, action.group, user, now)
      return
    case 'redirect':
      sendRedirect(exchange, action, exchange.plane.dates.httpDate(now))
      endResponse(exchange, now)
      return
    case 'fixed-response':
      sendFixedResponse(exchange, action, exchange.plane.dates.httpDate(now))
      endResponse(exchange, now)
      return
    default:
      assertNever(action)
  }
}

function forward(exchange: Exchange, group: TargetGroup, user: TargetUser, now: number): void {
  const { plane } = exchange
  exchange.targetGroup = group
  const target = group.pickTarget(plane.states)
  if (target === null) {
    failExchange(exchange, 'groupEmpty', now)
    return
  }
  exchange.target = target
  plane.states.addRequestInFlight(target.slot)
  plane.counters.countTarget(target.slot, TargetColumn.requestsBegun, 1)
  const connection = acquireConnection(plane.net, target, user)
  exchange.targetConnection = connection
  if (connection.isConnected) {
    holdTargetHead(exchange, now)
  } else {
    exchange.isConnecting = true
    plane.counters.countTarget(target.slot, TargetColumn.connectionsOpened, 1)
  }
}
