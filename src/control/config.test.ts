import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { defaultRequestHeaderNames, type Rule } from '../model/resources.ts'
import {
  assertProblems,
  withConditions,
  withForward,
  withGroup,
  withLoadBalancer,
  withTransforms,
} from './config/marked.test-support.ts'
import { type Config, type ConfigOptions, formatProblem, loadConfig, parseConfig } from './config.ts'

function parsed(text: string, options: ConfigOptions = {}): Config {
  const result = parseConfig([{ name: 'openalb.yaml', text }], options)
  assert.ok(result.ok, result.ok ? '' : result.problems.map(formatProblem).join('\n'))
  return result.config
}

const full = `
loadBalancers:
  - name: web
    bind: ["127.0.0.1", "0:0:0:0:0:0:0:1"]
    attributes: { idle_timeout.timeout_seconds: "4", routing.http.xff_header_processing.mode: preserve }
    listeners:
      - protocol: HTTP
        port: 80
        defaultActions: [{ type: forward, targetGroup: app }]
        rules:
          - priority: 20
            conditions: [{ field: host-header, values: [old.example.com] }]
            actions: [{ type: redirect, redirect: { port: 8443, protocol: HTTPS, statusCode: HTTP_301 } }]
          - priority: 10
            conditions: [{ field: path-pattern, values: ["/a/*", /b] }, { field: host-header, values: ["*.b.c"] }]
            actions: [{ type: fixed-response, fixedResponse: { statusCode: "503" } }]
targetGroups:
  - name: app
    protocol: HTTP
    port: 3000
    healthCheck: { port: 81, matcher: { httpCode: "200,300-302" } }
    targets: [{ id: "2001:DB8:0::1" }, { id: "::1", port: 3001 }]
`

test('a file becomes resources, with every default of the service filled in', () => {
  const { resources, lab, warnings } = parsed(full, { portOffset: 8000 })
  const [loadBalancer] = resources.loadBalancers
  const [listener] = loadBalancer!.listeners
  const [group] = resources.targetGroups
  assert.deepEqual(lab, { healthCheckIntervalSecondsMin: null, timeScale: 1 })
  assert.deepEqual(warnings, [])
  assert.deepEqual(loadBalancer!.availabilityZones, [{ zoneName: 'us-east-1a', addresses: ['127.0.0.1', '::1'] }])
  assert.deepEqual(loadBalancer!.attributes, {
    idleTimeoutSeconds: 4,
    clientKeepAliveSeconds: 3600,
    preserveHostHeader: false,
    xffHeaderProcessingMode: 'preserve',
    xffClientPort: false,
    dropInvalidHeaderFields: false,
    tlsHeaders: false,
    desyncMitigationMode: 'defensive',
    http2: true,
  })
  assert.equal(listener!.port, 80)
  assert.equal(listener!.bindPort, 8080)
  assert.deepEqual(listener!.attributes, {
    serverHeader: true,
    responseHeaders: [],
    requestHeaderNames: defaultRequestHeaderNames,
  })
  assert.deepEqual(listener!.defaultAction, {
    type: 'forward',
    targetGroups: [{ arn: group!.arn, weight: 1 }],
    stickinessSeconds: null,
  })
  assert.deepEqual(
    listener!.rules.map(({ arn, ...rule }) => rule),
    [
      {
        priority: 10,
        conditions: [
          { field: 'path-pattern', values: ['/a/*', '/b'], regexValues: [] },
          { field: 'host-header', values: ['*.b.c'], regexValues: [] },
        ],
        action: { type: 'fixed-response', statusCode: 503, messageBody: '', contentType: 'text/plain' },
        transforms: { hostHeaderRewrite: null, urlRewrite: null },
      },
      {
        priority: 20,
        conditions: [{ field: 'host-header', values: ['old.example.com'], regexValues: [] }],
        action: {
          type: 'redirect',
          protocol: 'HTTPS',
          host: '#{host}',
          port: '8443',
          path: '/#{path}',
          query: '#{query}',
          statusCode: 301,
        },
        transforms: { hostHeaderRewrite: null, urlRewrite: null },
      },
    ],
  )
  assert.deepEqual(group, {
    arn: group!.arn,
    name: 'app',
    targetType: 'ip',
    protocol: 'HTTP',
    protocolVersion: 'HTTP1',
    port: 3000,
    healthCheck: {
      protocol: 'HTTP',
      port: 81,
      path: '/',
      intervalSeconds: 30,
      timeoutSeconds: 5,
      healthyThresholdCount: 5,
      unhealthyThresholdCount: 2,
      matcher: [
        { from: 200, to: 200 },
        { from: 300, to: 302 },
      ],
    },
    attributes: {
      deregistrationDelaySeconds: 300,
      algorithm: 'round_robin',
      anomalyMitigation: false,
      slowStartSeconds: 0,
      stickiness: null,
      crossZone: true,
      routingThreshold: { count: 1, percentage: null },
      dnsThreshold: { count: 1, percentage: null },
    },
    targets: [
      { ip: '2001:db8::1', port: 3000, availabilityZone: 'us-east-1a' },
      { ip: '::1', port: 3001, availabilityZone: 'us-east-1a' },
    ],
  })
})

function onlyRule(text: string): Rule {
  return parsed(text).resources.loadBalancers[0]!.listeners[0]!.rules[0]!
}

test('each kind of condition becomes its own', () => {
  const { conditions } = onlyRule(
    withConditions(`[
            { field: host-header, regexValues: ["^a[0-9]"] },
            { field: http-header, httpHeaderName: X-Kind, values: ["*Chrome*"] },
            { field: http-header, httpHeaderName: x-kind, regexValues: [b] },
            { field: query-string, values: [{ key: a, value: "b*" }, { value: c }] }]`),
  )
  assert.deepEqual(conditions, [
    { field: 'host-header', values: [], regexValues: ['^a[0-9]'] },
    { field: 'http-header', httpHeaderName: 'X-Kind', values: ['*Chrome*'], regexValues: [] },
    { field: 'http-header', httpHeaderName: 'x-kind', values: [], regexValues: ['b'] },
    {
      field: 'query-string',
      values: [
        { key: 'a', value: 'b*' },
        { key: null, value: 'c' },
      ],
    },
  ])
  const others = onlyRule(
    withConditions(`[
            { field: http-request-method, values: [GET, MY-OWN] },
            { field: source-ip, values: [10.0.0.0/8, "2001:DB8:0:0::/32"] }]`),
  )
  assert.deepEqual(others.conditions, [
    { field: 'http-request-method', values: ['GET', 'MY-OWN'] },
    { field: 'source-ip', values: ['10.0.0.0/8', '2001:db8::/32'] },
  ])
})

test('transforms become one rewrite of each kind', () => {
  const host = '{ type: host-header-rewrite, hostHeaderRewrite: { rewrites: [{ regex: a, replace: "" }] } }'
  const url = '{ type: url-rewrite, urlRewrite: { rewrites: [{ regex: "^/a/(.*)$", replace: "/$1" }] } }'
  const hostHeaderRewrite = { regex: 'a', replace: '' }
  const urlRewrite = { regex: '^/a/(.*)$', replace: '/$1' }
  assert.deepEqual(onlyRule(withTransforms(`[${url}, ${host}]`)).transforms, { hostHeaderRewrite, urlRewrite })
  assert.deepEqual(onlyRule(withTransforms(`[${url}]`)).transforms, { hostHeaderRewrite: null, urlRewrite })
})

for (const [what, action, targetGroups, stickinessSeconds] of [
  [
    'several groups',
    'forward: { targetGroups: [{ targetGroup: b, weight: 0 }, { targetGroup: a, weight: 999 }] }',
    { b: 0, a: 999 },
    null,
  ],
  ['a single group in a list', 'forward: { targetGroups: [{ targetGroup: a }] }', { a: 1 }, null],
  ['both ways', 'targetGroup: a, forward: { targetGroups: [{ targetGroup: a, weight: 7 }] }', { a: 7 }, null],
  [
    'stickiness',
    'forward: { targetGroups: [{ targetGroup: a }], targetGroupStickiness: { enabled: true, durationSeconds: 60 } }',
    { a: 1 },
    60,
  ],
  [
    'stickiness that is off',
    'forward: { targetGroups: [{ targetGroup: a }], targetGroupStickiness: { enabled: false, durationSeconds: 60 } }',
    { a: 1 },
    null,
  ],
] as const) {
  test(`a forward with ${what} is built`, () => {
    const { resources } = parsed(withForward(`{ type: forward, ${action} }`))
    const arns = new Map(resources.targetGroups.map(group => [group.name, group.arn]))
    assert.deepEqual(resources.loadBalancers[0]!.listeners[0]!.defaultAction, {
      type: 'forward',
      targetGroups: Object.entries(targetGroups).map(([name, weight]) => ({ arn: arns.get(name), weight })),
      stickinessSeconds,
    })
  })
}

test('a listener sets the headers that have a value, under the names they are sent with', () => {
  const keys = [
    ['x_frame_options', 'DENY'],
    ['x_content_type_options', 'nosniff'],
    ['content_security_policy', "default-src 'self'"],
    ['access_control_max_age', '600'],
    ['access_control_expose_headers', 'X-A'],
    ['access_control_allow_credentials', 'true'],
    ['access_control_allow_headers', 'X-B, X-C'],
    ['access_control_allow_methods', 'GET'],
    ['access_control_allow_origin', ''],
    ['strict_transport_security', 'max-age=31536000; includeSubDomains'],
  ].map(([header, value]) => `routing.http.response.${header}.header_value: "${value}"`)
  const { resources } = parsed(
    withLoadBalancer(`listeners:
      - protocol: HTTP
        port: 80
        defaultActions: [{ type: fixed-response, fixedResponse: { statusCode: 200 } }]
        attributes: { routing.http.response.server.enabled: "false", ${keys.join(', ')} }`),
  )
  assert.deepEqual(resources.loadBalancers[0]!.listeners[0]!.attributes, {
    serverHeader: false,
    responseHeaders: [
      { name: 'Strict-Transport-Security', value: 'max-age=31536000; includeSubDomains' },
      { name: 'Access-Control-Allow-Methods', value: 'GET' },
      { name: 'Access-Control-Allow-Headers', value: 'X-B, X-C' },
      { name: 'Access-Control-Allow-Credentials', value: 'true' },
      { name: 'Access-Control-Expose-Headers', value: 'X-A' },
      { name: 'Access-Control-Max-Age', value: '600' },
      { name: 'Content-Security-Policy', value: "default-src 'self'" },
      { name: 'X-Content-Type-Options', value: 'nosniff' },
      { name: 'X-Frame-Options', value: 'DENY' },
    ],
    requestHeaderNames: defaultRequestHeaderNames,
  })
})

for (const mode of ['monitor', 'defensive', 'strictest']) {
  test(`a load balancer may have the desync mitigation mode ${mode}`, () => {
    const { resources } = parsed(withLoadBalancer(`attributes: { routing.http.desync_mitigation_mode: ${mode} }`))
    assert.equal(resources.loadBalancers[0]!.attributes.desyncMitigationMode, mode)
  })
}

const plainAttributes = {
  deregistrationDelaySeconds: 300,
  algorithm: 'round_robin',
  anomalyMitigation: false,
  slowStartSeconds: 0,
  stickiness: null,
  crossZone: true,
  routingThreshold: { count: 1, percentage: null },
  dnsThreshold: { count: 1, percentage: null },
}
for (const [attributes, expected] of [
  ['slow_start.duration_seconds: "900"', { slowStartSeconds: 900 }],
  [
    'load_balancing.algorithm.type: weighted_random, load_balancing.algorithm.anomaly_mitigation: "on"',
    { algorithm: 'weighted_random', anomalyMitigation: true },
  ],
  ['load_balancing.algorithm.type: least_outstanding_requests', { algorithm: 'least_outstanding_requests' }],
  ['load_balancing.cross_zone.enabled: "false"', { crossZone: false }],
  ['load_balancing.cross_zone.enabled: "use_load_balancer_configuration"', { crossZone: true }],
  [
    'target_group_health.dns_failover.minimum_healthy_targets.count: "off", ' +
      'target_group_health.dns_failover.minimum_healthy_targets.percentage: "50", ' +
      'target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage: "40"',
    { dnsThreshold: { count: null, percentage: 50 }, routingThreshold: { count: 1, percentage: 40 } },
  ],
  ['stickiness.enabled: "true"', { stickiness: { type: 'lb_cookie', durationSeconds: 86400 } }],
  [
    'stickiness.enabled: "true", stickiness.lb_cookie.duration_seconds: "60", stickiness.app_cookie.duration_seconds: "70"',
    { stickiness: { type: 'lb_cookie', durationSeconds: 60 } },
  ],
  [
    'stickiness.enabled: "true", stickiness.type: app_cookie, stickiness.app_cookie.cookie_name: session, stickiness.app_cookie.duration_seconds: "70"',
    { stickiness: { type: 'app_cookie', cookieName: 'session', durationSeconds: 70 } },
  ],
  ['stickiness.enabled: "false", stickiness.type: app_cookie, stickiness.app_cookie.cookie_name: session', {}],
] as const) {
  test(`a target group with ${attributes} is built`, () => {
    const { resources } = parsed(withGroup(`attributes: { ${attributes} }`))
    assert.deepEqual(resources.targetGroups[0]!.attributes, { ...plainAttributes, ...expected })
  })
}

test('names alone decide ids, ARNs and DNS names', () => {
  const one = parsed(full).resources
  const other = parsed(
    full.replace('idle_timeout.timeout_seconds: "4", ', '').replace('port: 3000', 'port: 3100'),
  ).resources
  const [loadBalancer] = one.loadBalancers
  const { arn, id, dnsName } = loadBalancer!
  assert.match(id, /^[0-9a-f]{16}$/)
  assert.equal(arn, `arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/web/${id}`)
  assert.match(dnsName, /^web-\d{1,10}\.us-east-1\.elb\.localhost$/)
  const arns = (resources: typeof one) => [
    ...resources.loadBalancers.flatMap(each => [each.arn, each.dnsName]),
    ...resources.loadBalancers.flatMap(each =>
      each.listeners.flatMap(({ arn, rules }) => [arn, ...rules.map(r => r.arn)]),
    ),
    ...resources.targetGroups.map(each => each.arn),
  ]
  assert.deepEqual(arns(other), arns(one))
  assert.equal(new Set(arns(one)).size, 6)
})

test('ports from 1024 up are bound as they are', () => {
  const { resources } = parsed(full.replace('port: 80\n', 'port: 1024\n'), { portOffset: 8000 })
  assert.equal(resources.loadBalancers[0]!.listeners[0]!.bindPort, 1024)
})

test('the knobs of lab are handed on', () => {
  const { lab } = parsed(`${full}\nlab: { healthCheckIntervalSecondsMin: 0.5, timeScale: 60 }`)
  assert.deepEqual(lab, { healthCheckIntervalSecondsMin: 0.5, timeScale: 60 })
})

test('all problems of a file come at once, in the order of the file', () => {
  assertProblems(
    `loadBalancers:
  - name: «_
    «listner: []
    listeners:
      - protocol: «HTPS
        port: 8080
        defaultActions: [{ type: forward, targetGroup: «ap }]
targetGroups:
  - name: app
    protocol: HTTP
    port: «0
    targets: [{ id: 10.0.0.1, port: 80 }, «{ id: 10.0.0.1, port: 80 }]
  - name: other
    «name: other
    protocol: HTTP
    port: 1`,
    [
      /name must be .*, not "_"/,
      /unknown key "listner": did you mean "listeners"\? .*/,
      'protocol must be HTTP or HTTPS, not "HTPS"',
      /targetGroup names no target group: "ap"; did you mean "app"\?/,
      'port must be a whole number from 1 to 65535, not 0',
      /targets\[1] is registered twice: .*/,
      'the key is there twice in one map',
    ],
  )
})

test('paths are as in code', () => {
  const result = parseConfig([
    {
      name: 'f',
      text: withLoadBalancer('attributes: { idle_timeout.timeout_seconds: 1 }\n    listeners: [{ port: 0 }]'),
    },
  ])
  assert.deepEqual(result.ok || result.problems.map(problem => problem.path), [
    'loadBalancers[0].attributes["idle_timeout.timeout_seconds"]',
    'loadBalancers[0].listeners[0].protocol',
    'loadBalancers[0].listeners[0].defaultActions',
    'loadBalancers[0].listeners[0].port',
  ])
})

for (const [what, text, message] of [
  ['an empty file', '«', 'the file is empty'],
  ['a file of comments', '«# nothing', 'the file is empty'],
  [
    'a list',
    '«- a',
    /the file must be a map with loadBalancers, targetGroups, trustStores, zonalShifts, quotas and lab, not a list/,
  ],
  ['text', '«hello', /the file must be a map with .*, not "hello"/],
  ['a tab as indentation', 'loadBalancers:\n«\t- name: a', 'not valid YAML: Tabs are not allowed as indentation'],
  [
    'two documents',
    'loadBalancers: []\n«---\nloadBalancers: []',
    'several YAML documents in one file: give each a file',
  ],
  ['a key twice', 'loadBalancers: []\n«loadBalancers: []', 'the key is there twice in one map'],
  ['a tag', 'loadBalancers: «!all []', /not valid YAML: Unresolved tag: !all/],
  [
    'an unquoted wildcard',
    'values: [«*.example.com]',
    '*.example.com is a YAML alias of nothing: quote a value that starts with "*", as in "*.example.com"',
  ],
  [
    'an unquoted placeholder in a flow map',
    'a: { port: #{port} }\n«b: 1',
    /not valid YAML: .* \(quote a value that starts with "#\{", or it is a comment\)/,
  ],
  [
    'aliases that expand to gigabytes',
    `«a0: &a0 [x]\n${[1, 2, 3, 4, 5, 6]
      .map(
        at =>
          `a${at}: &a${at} [${Array(9)
            .fill(`*a${at - 1}`)
            .join(', ')}]`,
      )
      .join('\n')}`,
    'its aliases expand beyond reason',
  ],
] as const) {
  test(`refused: ${what}`, () => assertProblems(text, [message]))
}

test('a value behind an alias is placed where it is written', () => {
  assertProblems(
    `targetGroups:
  - { name: a, protocol: HTTP, port: 1, healthCheck: &check { path: «x } }
  - { name: b, protocol: HTTP, port: 1, healthCheck: *check }`.replace('«x', '««x'),
    ['path must start with "/", not "x"', 'path must start with "/", not "x"'],
  )
})

test('a byte order mark and CRLF do not move places', () => {
  const result = parseConfig([{ name: 'f', text: '\ufeffloadBalancers:\r\n  - name: a\r\n    bind: b\r\n' }])
  assert.deepEqual(result.ok || result.problems.map(({ line, column, sourceLine }) => ({ line, column, sourceLine })), [
    { line: 3, column: 11, sourceLine: '    bind: b' },
  ])
})

test('several files make one configuration', () => {
  const group = '{ name: g, protocol: HTTP, port: 3000, targets: [{ id: 127.0.0.1 }] }'
  const result = parseConfig([
    { name: 'a.yaml', text: `${withGroup('').split('\ntargetGroups')[0]!}\nlab: { timeScale: 2 }` },
    { name: 'b.yaml', text: `targetGroups: [${group}]\nlab: { healthCheckIntervalSecondsMin: 1 }` },
  ])
  assert.ok(result.ok)
  assert.equal(result.config.resources.loadBalancers[0]!.listeners.length, 1)
  assert.equal(result.config.resources.targetGroups.length, 1)
  assert.deepEqual(result.config.lab, { healthCheckIntervalSecondsMin: 1, timeScale: 2 })
  assert.deepEqual(result.config.warnings, [])
})

test('what two files both define is refused, naming both places', () => {
  const text = 'loadBalancers: [{ name: web }]\nquotas: { rulesPerLoadBalancer: 200 }'
  const result = parseConfig([
    { name: 'a.yaml', text },
    { name: 'b.yaml', text },
  ])
  assert.deepEqual(result.ok || result.problems.map(formatProblem), [
    'b.yaml:1:25: name must be unique: a load balancer "web" is also at a.yaml:1:25',
    'b.yaml:2:33: rulesPerLoadBalancer is already set at a.yaml:2:33',
  ])
})

test('with one file unreadable, names that it may define are not called unknown', () => {
  const result = parseConfig([
    { name: 'a.yaml', text: `${withGroup('').split('\ntargetGroups')[0]!}\nlab: { timeScale: 2 }` },
    { name: 'b.yaml', text: 'targetGroups: [' },
  ])
  assert.deepEqual(result.ok || result.problems.map(({ file }) => file), ['b.yaml'])
})

test('files are read, and those that cannot be are all named', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'openalb-config-'))
  try {
    const file = join(folder, 'openalb.yaml')
    await writeFile(file, full)
    assert.equal((await loadConfig([file])).ok, true)
    const result = await loadConfig([file, join(folder, 'none.yaml'), folder])
    assert.deepEqual(result.ok || result.problems.map(formatProblem), [
      `${join(folder, 'none.yaml')}: cannot be read: there is no such file`,
      `${folder}: cannot be read: it is a directory`,
    ])
  } finally {
    await rm(folder, { recursive: true })
  }
})

for (const name of ['quickstart', 'rules', 'canary', 'zones']) {
  test(`the example ${name} is valid, without a warning`, async () => {
    const file = fileURLToPath(new URL(`../../examples/${name}/openalb.yaml`, import.meta.url))
    const result = await loadConfig([file], { platform: 'linux' })
    assert.ok(result.ok, result.ok ? '' : result.problems.map(formatProblem).join('\n'))
    assert.deepEqual(result.config.warnings, [])
  })
}
