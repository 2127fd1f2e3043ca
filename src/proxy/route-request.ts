/** What a request meets once it may go on: its rule, and what it is called from here on. */

import { LoadBalancerColumn } from '../observe/counters.ts'
import { matchRule } from '../routing/rules.ts'
import type { Exchange } from './exchange.ts'
import { forwardsInvalidNames } from './request-head.ts'
import { ruleSubject } from './rule-subject.ts'
import { traceHeaderFor } from './trace-header.ts'

export function routeRequest(exchange: Exchange, now: number): void {
  const { head, plane } = exchange
  const { rules } = exchange.listener!
  exchange.rule = rules.hasConditions ? matchRule(rules, ruleSubject(exchange)) : rules.rules[0]!
  exchange.traceId = traceHeaderFor(head, plane.ids.traceRoot(plane.clock.originMs + now))
  if (!head.hasPlainNamesOnly) countInvalidNames(exchange)
}

function countInvalidNames({ head, listener, plane }: Exchange): void {
  const { attributes, slot } = listener!.loadBalancer
  const column =
    attributes.dropInvalidHeaderFields || !forwardsInvalidNames(head)
      ? LoadBalancerColumn.DroppedInvalidHeaderRequestCount
      : LoadBalancerColumn.ForwardedInvalidHeaderRequestCount
  plane.counters.countLoadBalancer(slot, column, 1)
}
