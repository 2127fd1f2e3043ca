import { test } from 'node:test'
import { assertProblems, assertValid, withGroup, withLoadBalancer } from './marked.test-support.ts'

const ofLoadBalancer = (attributes: string) => withLoadBalancer(`attributes: { ${attributes} }`)
const ofGroup = (attributes: string) => withGroup(`attributes: { ${attributes} }`)

/** Key, values that are taken, values that are not. */
const implemented: readonly [
  frame: (text: string) => string,
  key: string,
  good: string[],
  bad: string[],
  be: string,
][] = [
  [
    ofLoadBalancer,
    'idle_timeout.timeout_seconds',
    ['1', '4000'],
    ['0', '4001', '', '6e1', '060', '-1'],
    '"1" to "4000" seconds',
  ],
  [
    ofLoadBalancer,
    'client_keep_alive.seconds',
    ['60', '604800'],
    ['59', '604801', '99999999'],
    '"60" to "604800" seconds',
  ],
  [
    ofLoadBalancer,
    'routing.http.preserve_host_header.enabled',
    ['true', 'false'],
    ['True', 'yes'],
    '"true" or "false"',
  ],
  [ofLoadBalancer, 'routing.http.xff_client_port.enabled', ['true', 'false'], ['on'], '"true" or "false"'],
  [ofLoadBalancer, 'routing.http.drop_invalid_header_fields.enabled', ['true', 'false'], ['1'], '"true" or "false"'],
  [
    ofLoadBalancer,
    'routing.http.xff_header_processing.mode',
    ['append', 'preserve', 'remove'],
    ['drop'],
    'append, preserve or remove',
  ],
  [ofGroup, 'deregistration_delay.timeout_seconds', ['0', '3600'], ['3601', '1.5'], '"0" to "3600" seconds'],
]

for (const [frame, key, good, bad, be] of implemented) {
  test(`${key} takes what the service takes`, () => {
    for (const value of good) assertValid(frame(`${key}: "${value}"`))
    for (const value of bad) assertProblems(frame(`${key}: «"${value}"`), [`${key} must be ${be}, not "${value}"`])
  })
}

/** Key, the service's default, another value of the service's. */
const onlyDefault: readonly [frame: (text: string) => string, key: string, byDefault: string, other: string][] = [
  [ofLoadBalancer, 'access_logs.s3.enabled', 'false', 'true'],
  [ofLoadBalancer, 'access_logs.s3.bucket', '', 'logs'],
  [ofLoadBalancer, 'access_logs.s3.prefix', '', 'web'],
  [ofLoadBalancer, 'connection_logs.s3.enabled', 'false', 'true'],
  [ofLoadBalancer, 'health_check_logs.s3.enabled', 'false', 'true'],
  [ofLoadBalancer, 'deletion_protection.enabled', 'false', 'true'],
  [ofLoadBalancer, 'ipv6.deny_all_igw_traffic', 'false', 'true'],
  [ofLoadBalancer, 'load_balancing.cross_zone.enabled', 'true', 'false'],
  [ofLoadBalancer, 'routing.http.desync_mitigation_mode', 'defensive', 'monitor'],
  [ofLoadBalancer, 'routing.http.desync_mitigation_mode', 'defensive', 'strictest'],
  [ofLoadBalancer, 'routing.http.x_amzn_tls_version_and_cipher_suite.enabled', 'false', 'true'],
  [ofLoadBalancer, 'routing.http2.enabled', 'true', 'false'],
  [ofLoadBalancer, 'waf.fail_open.enabled', 'false', 'true'],
  [ofLoadBalancer, 'zonal_shift.config.enabled', 'false', 'true'],
  [ofGroup, 'stickiness.enabled', 'false', 'true'],
  [ofGroup, 'stickiness.type', 'lb_cookie', 'app_cookie'],
  [ofGroup, 'stickiness.lb_cookie.duration_seconds', '86400', '60'],
  [ofGroup, 'stickiness.app_cookie.cookie_name', '', 'session'],
  [ofGroup, 'stickiness.app_cookie.duration_seconds', '86400', '60'],
  [ofGroup, 'slow_start.duration_seconds', '0', '30'],
  [ofGroup, 'load_balancing.algorithm.type', 'round_robin', 'least_outstanding_requests'],
  [ofGroup, 'load_balancing.algorithm.anomaly_mitigation', 'off', 'on'],
  [ofGroup, 'load_balancing.cross_zone.enabled', 'use_load_balancer_configuration', 'true'],
  [ofGroup, 'target_group_health.dns_failover.minimum_healthy_targets.count', '1', '2'],
  [ofGroup, 'target_group_health.dns_failover.minimum_healthy_targets.percentage', 'off', '50'],
  [ofGroup, 'target_group_health.unhealthy_state_routing.minimum_healthy_targets.count', '1', '2'],
  [ofGroup, 'target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage', 'off', '50'],
]

for (const [frame, key, byDefault, other] of onlyDefault) {
  test(`${key}: "${other}" is refused as not supported yet, its default taken`, () => {
    assertValid(frame(`${key}: "${byDefault}"`))
    const message = `${key} "${other}" is not supported yet; only its default, "${byDefault}", is accepted`
    assertProblems(frame(`${key}: «"${other}"`), [message])
  })
}

test('a bare number or boolean is to be put in quotes', () => {
  assertProblems(
    ofLoadBalancer(
      'idle_timeout.timeout_seconds: «60, routing.http.xff_client_port.enabled: «true, waf.fail_open.enabled: «false',
    ),
    [
      'idle_timeout.timeout_seconds must be a string: put 60 in quotes, "60"',
      'routing.http.xff_client_port.enabled must be a string: put true in quotes, "true"',
      'waf.fail_open.enabled must be a string: put false in quotes, "false"',
    ],
  )
})

test('a misspelt attribute is answered with the one meant', () => {
  assertProblems(ofLoadBalancer('«idle_timeout.timeout_second: "60"'), [
    'unknown key "idle_timeout.timeout_second": did you mean "idle_timeout.timeout_seconds"?',
  ])
})

test('an attribute of another kind of target group is refused', () => {
  assertProblems(ofGroup('«lambda.multi_value_headers.enabled: "false"'), [
    'lambda.multi_value_headers.enabled is not supported yet',
  ])
})
