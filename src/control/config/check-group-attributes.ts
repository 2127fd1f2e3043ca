/**
 * Which attributes of a target group exclude each other.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html
 */

import { isMinimum, minimumsMax } from './attributes.ts'
import type { Found, Report, TargetGroupDraft } from './draft.ts'

type Attributes = NonNullable<TargetGroupDraft['attributes']>

export function checkGroupAttributes({ place, value }: Found<Attributes>, report: Report, warn: Report): void {
  const cookieName = 'stickiness.app_cookie.cookie_name'
  const isSticky = value['stickiness.enabled'] === 'true'
  if (isSticky && value['stickiness.type'] === 'app_cookie' && isEmpty(value, cookieName)) {
    report(place.at(cookieName), 'is missing: stickiness by app_cookie needs the name of the cookie')
  }
  // With `stickiness.enabled: "false"` beside it, it is meant to be off.
  const idle = 'stickiness.enabled' in value ? undefined : Object.keys(value).find(key => key.startsWith('stickiness.'))
  if (idle !== undefined) warn(place.at(idle), 'has no effect: stickiness.enabled is "false" by default')

  if (isSticky && value['load_balancing.cross_zone.enabled'] === 'false') {
    report(place.at('stickiness.enabled'), 'must be "false" with load_balancing.cross_zone.enabled "false"')
  }
  checkThresholds({ place, value }, report)

  const algorithm = 'load_balancing.algorithm.type'
  const type = algorithm in value ? value[algorithm] : 'round_robin'
  if (type === undefined) return
  const needs = (wanted: string) => `needs ${algorithm} "${wanted}", not "${type}"`
  if (type !== 'round_robin' && (value['slow_start.duration_seconds'] ?? '0') !== '0') {
    report(place.at('slow_start.duration_seconds'), needs('round_robin'))
  }
  if (type !== 'weighted_random' && value['load_balancing.algorithm.anomaly_mitigation'] === 'on') {
    report(place.at('load_balancing.algorithm.anomaly_mitigation'), needs('weighted_random'))
  }
  if (type === 'weighted_random' && isSticky) {
    report(place.at('stickiness.enabled'), `must be "false" with ${algorithm} "weighted_random"`)
  }
}

/** Clients are to be led elsewhere by DNS before, or when, nodes begin to use unhealthy targets. */
function checkThresholds({ place, value }: Found<Attributes>, report: Report): void {
  for (const [unit, byDefault] of [
    ['count', '1'],
    ['percentage', 'off'],
  ] as const) {
    const dnsKey = `target_group_health.dns_failover.minimum_healthy_targets.${unit}` as const
    const routingKey = `target_group_health.unhealthy_state_routing.minimum_healthy_targets.${unit}` as const
    const dns = (dnsKey in value ? value[dnsKey] : byDefault) ?? ''
    const routing = (routingKey in value ? value[routingKey] : byDefault) ?? ''
    const areNumbers = [dns, routing].every(text => isMinimum(text, minimumsMax[unit]))
    if (!areNumbers || Number(dns) >= Number(routing)) continue
    if (dnsKey in value) report(place.at(dnsKey), `must not be below ${routingKey}, "${routing}", but is "${dns}"`)
    else report(place.at(routingKey), `must not be above ${dnsKey}, which is "${dns}" by default, but is "${routing}"`)
  }
}

/** Left out, or given as nothing; not so when it was refused. */
function isEmpty(value: Attributes, key: keyof Attributes): boolean {
  return !(key in value) || value[key] === ''
}
