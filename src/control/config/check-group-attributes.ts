/**
 * Which attributes of a target group exclude each other.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html
 */

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

/** Left out, or given as nothing; not so when it was refused. */
function isEmpty(value: Attributes, key: keyof Attributes): boolean {
  return !(key in value) || value[key] === ''
}
