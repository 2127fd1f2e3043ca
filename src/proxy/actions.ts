/** Runs what the matched rule says. */

import { assertNever } from '../base/assert.ts'
import { locationBytesMax } from '../model/limits.ts'
import type { RedirectAction } from '../model/resources.ts'
import { TargetColumn } from '../observe/counters.ts'
import { acquireConnection, type TargetUser } from '../targets/target-connection.ts'
import { expandRedirect, sendFixedResponse, sendRedirect } from './answer.ts'
import type { RunningForward } from './context.ts'
import type { Exchange } from './exchange.ts'
import { endResponse, failExchange } from './fail.ts'
import { holdTargetHead } from './relay.ts'
import { chooseTarget, chooseTargetGroup } from './stickiness.ts'
import { applyTransforms } from './transform.ts'

/** @param user hears of the target's connection; it stands for the exchange */
export function runAction(exchange: Exchange, user: TargetUser, now: number): void {
  const { action } = exchange.rule!
  switch (action.type) {
    case 'forward':
      forward(exchange, action, user, now)
      return
    case 'redirect':
      redirect(exchange, action, now)
      return
    case 'fixed-response':
      sendFixedResponse(exchange, action, exchange.plane.dates.httpDate(now))
      endResponse(exchange, now)
      return
    default:
      assertNever(action)
  }
}

function redirect(exchange: Exchange, action: RedirectAction, now: number): void {
  const location = expandRedirect(exchange, action)
  if (location.length > locationBytesMax) {
    failExchange(exchange, 'redirectTooLong', now)
    return
  }
  sendRedirect(exchange, action, location, exchange.plane.dates.httpDate(now))
  endResponse(exchange, now)
}

function forward(exchange: Exchange, action: RunningForward, user: TargetUser, now: number): void {
  const { plane } = exchange
  const { transforms } = exchange.rule!
  if (transforms !== null && !applyTransforms(exchange, transforms)) {
    failExchange(exchange, 'transformFailed', now)
    return
  }
  const group = chooseTargetGroup(exchange, action, now)
  if (group === null) {
    failExchange(exchange, 'weightsZero', now)
    return
  }
  exchange.targetGroup = group
  const target = chooseTarget(exchange, group, now)
  if (target === null) {
    failExchange(exchange, 'groupEmpty', now)
    return
  }
  exchange.target = target
  exchange.isInFlight = true
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
