import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { assertProblems, withGroup, withLoadBalancer } from './config/marked.test-support.ts'
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
  assert.deepEqual(lab, { healthCheckIntervalSecondsMin: null })
  assert.deepEqual(warnings, [])
  assert.deepEqual(loadBalancer!.bind, ['127.0.0.1', '::1'])
  assert.deepEqual(loadBalancer!.attributes, {
    idleTimeoutSeconds: 4,
    clientKeepAliveSeconds: 3600,
    preserveHostHeader: false,
    xffHeaderProcessingMode: 'preserve',
    xffClientPort: false,
    dropInvalidHeaderFields: false,
  })
  assert.equal(listener!.port, 80)
  assert.equal(listener!.bindPort, 8080)
  assert.deepEqual(listener!.defaultAction, { type: 'forward', targetGroup: group!.arn })
  assert.deepEqual(
    listener!.rules.map(({ priority, conditions, action }) => ({ priority, conditions, action })),
    [
      {
        priority: 10,
        conditions: [
          { field: 'path-pattern', values: ['/a/*', '/b'] },
          { field: 'host-header', values: ['*.b.c'] },
        ],
        action: { type: 'fixed-response', statusCode: 503, messageBody: '', contentType: 'text/plain' },
      },
      {
        priority: 20,
        conditions: [{ field: 'host-header', values: ['old.example.com'] }],
        action: {
          type: 'redirect',
          protocol: 'HTTPS',
          host: '#{host}',
          port: '8443',
          path: '/#{path}',
          query: '#{query}',
          statusCode: 301,
        },
      },
    ],
  )
  assert.deepEqual(group, {
    arn: group!.arn,
    name: 'app',
    targetType: 'ip',
    protocol: 'HTTP',
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
    attributes: { deregistrationDelaySeconds: 300 },
    targets: [
      { ip: '2001:db8::1', port: 3000 },
      { ip: '::1', port: 3001 },
    ],
  })
})

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

test('the knob of lab is handed on', () => {
  const { lab } = parsed(`${full}\nlab: { healthCheckIntervalSecondsMin: 0.5 }`)
  assert.deepEqual(lab, { healthCheckIntervalSecondsMin: 0.5 })
})

test('all problems of a file come at once, in the order of the file', () => {
  assertProblems(
    `loadBalancers:
  - name: «_
    «listner: []
    listeners:
      - protocol: «HTTPS
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
      'protocol HTTPS is not supported yet',
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
  ['a list', '«- a', /the file must be a map with loadBalancers, targetGroups, quotas and lab, not a list/],
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
    { name: 'a.yaml', text: withGroup('').split('\ntargetGroups')[0]! },
    { name: 'b.yaml', text: `targetGroups: [${group}]\nlab: { healthCheckIntervalSecondsMin: 1 }` },
  ])
  assert.ok(result.ok)
  assert.equal(result.config.resources.loadBalancers[0]!.listeners.length, 1)
  assert.equal(result.config.resources.targetGroups.length, 1)
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
    { name: 'a.yaml', text: withGroup('').split('\ntargetGroups')[0]! },
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

for (const name of ['quickstart', 'rules']) {
  test(`the example ${name} is valid, without a warning`, async () => {
    const result = await loadConfig([fileURLToPath(new URL(`../../examples/${name}/openalb.yaml`, import.meta.url))])
    assert.ok(result.ok, result.ok ? '' : result.problems.map(formatProblem).join('\n'))
    assert.deepEqual(result.config.warnings, [])
  })
}
