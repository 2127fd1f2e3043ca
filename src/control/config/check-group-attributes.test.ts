import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '../config.ts'
import { testAccepted, testRefused, withGroup } from './marked.test-support.ts'

const attributes = (text: string) => withGroup(`targets: [{ id: 10.0.0.1 }], attributes: { ${text} }`)
const algorithm = 'load_balancing.algorithm.type'
const mitigation = 'load_balancing.algorithm.anomaly_mitigation'
const slowStart = 'slow_start.duration_seconds'
const dnsFailover = 'target_group_health.dns_failover.minimum_healthy_targets'
const unhealthyRouting = 'target_group_health.unhealthy_state_routing.minimum_healthy_targets'
const appCookie = 'stickiness.enabled: "true", stickiness.type: app_cookie'
const cookieName = 'stickiness.app_cookie.cookie_name'

testRefused([
  ...['least_outstanding_requests', 'weighted_random'].map(
    type =>
      [
        `a slow start with ${type}`,
        attributes(`${algorithm}: ${type}, ${slowStart}: «"30"`),
        `${slowStart} needs ${algorithm} "round_robin", not "${type}"`,
      ] as const,
  ),
  [
    'anomaly mitigation with round_robin, the default',
    attributes(`${mitigation}: «"on"`),
    `${mitigation} needs ${algorithm} "weighted_random", not "round_robin"`,
  ],
  [
    'anomaly mitigation with least_outstanding_requests',
    attributes(`${algorithm}: least_outstanding_requests, ${mitigation}: «"on"`),
    `${mitigation} needs ${algorithm} "weighted_random", not "least_outstanding_requests"`,
  ],
  [
    'stickiness with weighted_random',
    attributes(`${algorithm}: weighted_random, stickiness.enabled: «"true"`),
    `stickiness.enabled must be "false" with ${algorithm} "weighted_random"`,
  ],
  [
    'stickiness where requests stay in their zone',
    attributes('load_balancing.cross_zone.enabled: "false", stickiness.enabled: «"true"'),
    'stickiness.enabled must be "false" with load_balancing.cross_zone.enabled "false"',
  ],
  [
    'DNS failover behind unhealthy state routing, by count',
    attributes(`${dnsFailover}.count: «"1", ${unhealthyRouting}.count: "2"`),
    `${dnsFailover}.count must not be below ${unhealthyRouting}.count, "2", but is "1"`,
  ],
  [
    'DNS failover that is behind by its default',
    attributes(`${unhealthyRouting}.count: «"2"`),
    `${unhealthyRouting}.count must not be above ${dnsFailover}.count, which is "1" by default, but is "2"`,
  ],
  [
    'DNS failover behind unhealthy state routing, by percentage',
    attributes(`${dnsFailover}.percentage: «"49", ${unhealthyRouting}.percentage: "50"`),
    `${dnsFailover}.percentage must not be below ${unhealthyRouting}.percentage, "50", but is "49"`,
  ],
  [
    'app_cookie without a cookie',
    attributes(appCookie).replace('attributes: {', 'attributes: «{'),
    `${cookieName} is missing: stickiness by app_cookie needs the name of the cookie`,
  ],
  [
    'app_cookie with an empty name',
    attributes(`${appCookie}, ${cookieName}: «""`),
    `${cookieName} is missing: stickiness by app_cookie needs the name of the cookie`,
  ],
  [
    'an algorithm that was refused is not taken for the default',
    attributes(`${algorithm}: «random, ${mitigation}: "on", ${slowStart}: "30"`),
    /load_balancing\.algorithm\.type must be .*, not "random"/,
  ],
  [
    'a cookie name that was refused is not called missing as well',
    attributes(`${appCookie}, ${cookieName}: «7`),
    `${cookieName} must be a string: put 7 in quotes, "7"`,
  ],
])

testAccepted([
  [
    'DNS failover before unhealthy state routing, or with it, or not at all',
    attributes(
      `${dnsFailover}.count: "off", ${unhealthyRouting}.count: "2", ` +
        `${dnsFailover}.percentage: "50", ${unhealthyRouting}.percentage: "50"`,
    ),
  ],
  ['thresholds that are off', attributes(`${dnsFailover}.percentage: "off", ${unhealthyRouting}.percentage: "50"`)],
  ['a slow start with round_robin', attributes(`${slowStart}: "30", ${algorithm}: round_robin`)],
  ['no slow start with weighted_random', attributes(`${slowStart}: "0", ${algorithm}: weighted_random`)],
  ['anomaly mitigation with weighted_random', attributes(`${mitigation}: "on", ${algorithm}: weighted_random`)],
  ['anomaly mitigation off with round_robin', attributes(`${mitigation}: "off"`)],
  ['stickiness off with weighted_random', attributes(`stickiness.enabled: "false", ${algorithm}: weighted_random`)],
  ['stickiness with slow start', attributes(`stickiness.enabled: "true", ${slowStart}: "30"`)],
  [
    'stickiness with least_outstanding_requests',
    attributes(`stickiness.enabled: "true", ${algorithm}: least_outstanding_requests`),
  ],
  ['app_cookie with its cookie', attributes(`${appCookie}, ${cookieName}: session`)],
  ['app_cookie that is not enabled', attributes('stickiness.type: app_cookie')],
])

test('warned of: stickiness described, but not enabled', () => {
  const warnings = (text: string) => {
    const result = parseConfig([{ name: 'f', text: attributes(text) }])
    return result.ok && result.config.warnings.map(({ message }) => message)
  }
  assert.deepEqual(warnings(`stickiness.type: app_cookie, ${cookieName}: session`), [
    'stickiness.type has no effect: stickiness.enabled is "false" by default',
  ])
  assert.deepEqual(warnings('stickiness.enabled: "false", stickiness.type: app_cookie'), [])
})
