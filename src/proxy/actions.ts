/** Runs what the matched rule says. */

import { assertNever } from '../base/assert.ts'
import { locationBytesMax } from '../model/limits.ts'
import type { RedirectAction } from '../model/resources.ts'
import { TargetColumn } from '../observe/counters.ts'
import { acquireConnection, type TargetUser } from '../targets/target-connection.ts'
import type { Target, TargetGroup } from '../targets/target-group.ts'
import { expandRedirect, sendFixedResponse, sendRedirect } from './answer.ts'
import type { RunningForward } from './context.ts'
import type { Exchange } from './exchange.ts'
import { endResponse, failExchange } from './fail.ts'
import { holdTargetHead } from './relay.ts'
import { chooseTarget, chooseTargetGroup } from './stickiness.ts'
import { applyTransforms } from './transform.ts'

export function runAction(exchange: Exchange, now: number): void {
  const { action } = exchange.rule!
  switch (action.type) {
    case 'forward':
      forward(exchange, action, now)
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

function forward(exchange: Exchange, action: RunningForward, now: number): void {
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
  if (!goTogether(exchange, group)) {
    failExchange(exchange, 'protocolVersionMismatch', now)
    return
  }
  const target = chooseTarget(exchange, group, now)
  if (target === null) {
    failExchange(exchange, 'groupEmpty', now)
    return
  }
  exchange.target = target
  exchange.isInFlight = true
  plane.counters.countTarget(target.slot, TargetColumn.requestsBegun, 1)
  if (group.failsOpen) plane.counters.countTarget(target.slot, TargetColumn.UnhealthyRoutingRequestCount, 1)
  exchange.client!.connectTo(exchange, target, now)
}

/**
 * | request           | HTTP1 | HTTP2 | GRPC         |
 * | ----------------- | ----- | ----- | ------------ |
 * | HTTP/1.1          | yes   | no    | no           |
 * | HTTP/2            | yes   | yes   | if it is POST |
 * | gRPC              | no    | yes   | yes          |
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html
 */
function goTogether({ client, head, isGrpc }: Exchange, { protocolVersion }: TargetGroup): boolean {
  switch (protocolVersion) {
    case 'HTTP1':
      return !isGrpc
    case 'HTTP2':
      return client!.isHttp2
    case 'GRPC':
      return client!.isHttp2 && (isGrpc || head.text(head.methodFrom, head.methodTo) === 'POST')
    default:
      return assertNever(protocolVersion)
  }
}

/** Takes a connection of HTTP/1.1 for the request, or opens one. @param user hears of it, for the exchange */
export function connectToTarget(exchange: Exchange, target: Target, user: TargetUser, now: number): void {
  const { plane } = exchange
  const connection = acquireConnection(plane.net, target, user)
  exchange.targetConnection = connection
  if (connection.isConnected) {
    holdTargetHead(exchange, now)
  } else {
    exchange.isConnecting = true
    plane.counters.countTarget(target.slot, TargetColumn.connectionsOpened, 1)
  }
}
