import { test } from 'node:test'
import {
  assertProblems,
  assertValid,
  type Case,
  testAccepted,
  testRefused,
  withGroup,
  withLoadBalancer,
} from './marked.test-support.ts'

const ofLoadBalancer = (attributes: string) => withLoadBalancer(`attributes: { ${attributes} }`)
const ofListener = (attributes: string) =>
  withLoadBalancer(`listeners:
      - protocol: HTTP
        port: 80
        defaultActions: [{ type: fixed-response, fixedResponse: { statusCode: 200 } }]
        attributes: { ${attributes} }`)
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
  [
    ofLoadBalancer,
    'routing.http.desync_mitigation_mode',
    ['monitor', 'defensive', 'strictest'],
    ['off', 'Monitor'],
    'monitor, defensive or strictest',
  ],
  [ofLoadBalancer, 'routing.http2.enabled', ['true', 'false'], ['on'], '"true" or "false"'],
  [ofLoadBalancer, 'load_balancing.cross_zone.enabled', ['true'], ['false'], '"true": it is always on'],
  [ofLoadBalancer, 'zonal_shift.config.enabled', ['true', 'false'], ['on'], '"true" or "false"'],
  [ofListener, 'routing.http.response.server.enabled', ['true', 'false'], ['no'], '"true" or "false"'],
  [ofGroup, 'stickiness.enabled', ['true', 'false'], ['on'], '"true" or "false"'],
  [ofGroup, 'stickiness.type', ['lb_cookie', 'app_cookie'], ['source_ip'], 'lb_cookie or app_cookie'],
  [
    ofGroup,
    'stickiness.lb_cookie.duration_seconds',
    ['1', '604800'],
    ['0', '604801', '1.5'],
    '"1" to "604800" seconds',
  ],
  [ofGroup, 'stickiness.app_cookie.duration_seconds', ['1', '604800'], ['0', '604801'], '"1" to "604800" seconds'],
  [
    ofGroup,
    'slow_start.duration_seconds',
    ['0', '30', '900'],
    ['1', '29', '901', '00', ''],
    '"30" to "900" seconds, or "0" for none',
  ],
  [
    ofGroup,
    'load_balancing.algorithm.type',
    ['round_robin', 'least_outstanding_requests', 'weighted_random'],
    ['random'],
    'round_robin, least_outstanding_requests or weighted_random',
  ],
  [ofGroup, 'load_balancing.algorithm.anomaly_mitigation', ['off'], ['true'], 'on or off'],
  [
    ofGroup,
    'load_balancing.cross_zone.enabled',
    ['true', 'false', 'use_load_balancer_configuration'],
    ['off'],
    'true, false or use_load_balancer_configuration',
  ],
  [
    ofGroup,
    'target_group_health.dns_failover.minimum_healthy_targets.count',
    ['off', '1', '1000'],
    ['0', '16385', 'OFF', '01', '1.5', ''],
    '"1" to "16384", or "off"',
  ],
  [
    ofGroup,
    'target_group_health.dns_failover.minimum_healthy_targets.percentage',
    ['off', '1', '100'],
    ['0', '101', '50%'],
    '"1" to "100", or "off"',
  ],
  [
    ofGroup,
    'target_group_health.unhealthy_state_routing.minimum_healthy_targets.count',
    ['1'],
    ['off', '0', '16385'],
    '"1" to "16384"',
  ],
  [
    ofGroup,
    'target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage',
    ['off', '1', '100'],
    ['0', '101'],
    '"1" to "100", or "off"',
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
  [ofLoadBalancer, 'waf.fail_open.enabled', 'false', 'true'],
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

const cookieName = 'stickiness.app_cookie.cookie_name'
const ofCookie = (name: string) =>
  ofGroup(`stickiness.enabled: "true", stickiness.type: app_cookie, ${cookieName}: ${name}`)

testRefused([
  ...['AWSALB', 'AWSALBAPP', 'AWSALBAPP-0', 'AWSALBTG', 'AWSALBTGCORS', 'AWSALBX'].map(
    (name): Case => [
      `the cookie ${name}`,
      ofCookie(`«${name}`),
      `${cookieName} must not start with AWSALB: such cookies are the load balancer's own`,
    ],
  ),
  ...['a b', 'a=b', 'a;b', 'é'].map(
    (name): Case => [
      `the cookie ${name}`,
      ofCookie(`«"${name}"`),
      new RegExp(`${cookieName.replaceAll('.', '\\.')} must not hold "${name.replace(/[ab]+/g, '.?')}": .*`),
    ],
  ),
  [
    'a cookie name of 1025',
    ofCookie(`«${'a'.repeat(1025)}`),
    `${cookieName} must be at most 1024 characters, not 1025`,
  ],
])

testAccepted([
  ['every character of a cookie name', ofCookie(`"!#$%&'*+-.^_\`|~aZ9"`)],
  ['a cookie name of 1024', ofCookie('a'.repeat(1024))],
  ['cookies that only resemble those of the load balancer', ofCookie('MYAWSALB')],
])

const headers = [
  'strict_transport_security',
  'access_control_allow_origin',
  'access_control_allow_methods',
  'access_control_allow_headers',
  'access_control_allow_credentials',
  'access_control_expose_headers',
  'access_control_max_age',
  'content_security_policy',
  'x_content_type_options',
  'x_frame_options',
]
const ofHeader = (value: string, header = 'content_security_policy') =>
  ofListener(`routing.http.response.${header}.header_value: ${value}`)
const allowed = "letters, digits, blanks and _ : ; . , \\ / ' ? ! ( ) { } [ ] @ < > = - + * # & ` | ~ ^ %"

testRefused([
  ...headers.map(
    (header): Case => [
      `${header} that would add another header`,
      ofHeader('«"a\\r\\nX: y"', header),
      `routing.http.response.${header}.header_value must not hold "\\r": allowed are ${allowed}`,
    ],
  ),
  ...['"', '$', 'é', '\t'].map(
    (wrong): Case => [
      `a header value with ${JSON.stringify(wrong)}`,
      ofHeader(`«${JSON.stringify(wrong)}`),
      `routing.http.response.content_security_policy.header_value must not hold ${JSON.stringify(wrong)}: allowed are ${allowed}`,
    ],
  ),
  [
    'a header value of 1025',
    ofHeader(`«${'a'.repeat(1025)}`),
    'routing.http.response.content_security_policy.header_value must be at most 1024 characters, not 1025',
  ],
  [
    'a header value that is a number',
    ofHeader('«600', 'access_control_max_age'),
    'routing.http.response.access_control_max_age.header_value must be a string: put 600 in quotes, "600"',
  ],
  [
    'a header that the service does not set',
    ofHeader('x', 'x_powered_by').replace('routing', '«routing'),
    /unknown key "routing\.http\.response\.x_powered_by\.header_value".*/,
  ],
  ...[
    'x_amzn_mtls_clientcert_serial_number',
    'x_amzn_mtls_clientcert_issuer',
    'x_amzn_mtls_clientcert_subject',
    'x_amzn_mtls_clientcert_validity',
    'x_amzn_mtls_clientcert_leaf',
    'x_amzn_mtls_clientcert',
    'x_amzn_tls_version',
    'x_amzn_tls_cipher_suite',
  ].map((header): Case => {
    const key = `routing.http.request.${header}.header_name`
    return [
      `the name of ${header}, which HTTP listeners never send`,
      ofListener(`${key}: «X-A`),
      `${key} is for HTTPS listeners, and this one is HTTP`,
    ]
  }),
])

testAccepted([
  ...headers.map(header => [`${header} empty`, ofHeader('""', header)] as const),
  ['every character of a header value', ofHeader(`"aZ9_ :;.,\\\\/'?!(){}[]@<>=-+*#&\`|~^%"`)],
  ['a header value of 1024', ofHeader('a'.repeat(1024))],
])
