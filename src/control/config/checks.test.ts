import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatProblem, parseConfig } from '../config.ts'
import {
  assertProblems,
  assertValid,
  withDefaultAction,
  withGroup,
  withLoadBalancer,
  withRedirect,
  withRules,
} from './marked.test-support.ts'

const fixed = '{ type: fixed-response, fixedResponse: { statusCode: 200 } }'
const listener = (port: string) => `{ protocol: HTTP, port: ${port}, defaultActions: [${fixed}] }`
const rule = (priority: string, path = '/a') =>
  `{ priority: ${priority}, conditions: [{ field: path-pattern, values: [${path}] }], actions: [${fixed}] }`

test('two load balancers of one name are refused, naming the first', () => {
  assertProblems('loadBalancers:\n  - { name: web }\n  - { name: api }\n  - { name: «web }', [
    'name must be unique: a load balancer "web" is also at openalb.yaml:2:13',
  ])
})

test('two target groups of one name are refused, naming the first', () => {
  assertProblems(
    'targetGroups:\n  - { name: app, protocol: HTTP, port: 1 }\n  - { name: «app, protocol: HTTP, port: 2 }',
    ['name must be unique: a target group "app" is also at openalb.yaml:2:13'],
  )
})

test('a priority used twice in a listener is refused', () => {
  assertProblems(withRules(rule('7'), rule('8'), rule('«7')), [
    'priority must be unique in its listener: 7 is also at openalb.yaml:8:25',
  ])
})

test('the same priority in two listeners is fine', () => {
  const withRule = (port: number) => listener(`${port}, rules: [${rule('1')}]`)
  assertValid(withLoadBalancer(`listeners: [${withRule(80)}, ${withRule(81)}]`))
})

for (const redirect of [
  '{ statusCode: HTTP_301 }',
  '{ query: a=b, statusCode: HTTP_301 }',
  '{ protocol: "#{protocol}", host: "#{host}", port: "#{port}", path: "/#{path}", statusCode: HTTP_302 }',
  '{ protocol: HTTP, port: 8080, statusCode: HTTP_301 }',
  '{ port: "8080", statusCode: HTTP_301 }',
]) {
  test(`the redirect ${redirect} is a loop on an HTTP listener on 8080`, () => {
    assertProblems(withRedirect(`«${redirect}`), [
      'redirect creates a loop: at least one of protocol, host, port and path must change',
    ])
  })
}

test('a redirect that keeps its protocol or leaves it for HTTPS is fine on an HTTP listener', () => {
  for (const protocol of ['HTTP', 'HTTPS', '"#{protocol}"']) {
    assertValid(withRedirect(`{ protocol: ${protocol}, host: a.b, statusCode: HTTP_301 }`))
  }
})

for (const redirect of ['protocol: HTTPS', 'host: a.b', 'port: 81', 'path: /']) {
  test(`a redirect with ${redirect} is no loop`, () => {
    assertValid(withRedirect(`{ ${redirect}, statusCode: HTTP_301 }`))
  })
}

test('a redirect with a part that was refused is not called a loop as well', () => {
  assertProblems(withRedirect('{ port: «0, statusCode: HTTP_301 }'), [/port must be a port .*/])
})

for (const status of ['204', '"205"']) {
  test(`a body is refused for the fixed response ${status}`, () => {
    const action = (body: string) => `{ type: fixed-response, fixedResponse: { statusCode: ${status}${body} } }`
    assertProblems(withDefaultAction(action(', messageBody: «x')), [
      `messageBody must be left out: a ${status.replaceAll('"', '')} has no body`,
    ])
    assertValid(withDefaultAction(action('')))
  })
}

test('a forward to a group that is not there names the nearest', () => {
  assertProblems(withDefaultAction('{ type: forward, targetGroup: «ap }'), [
    'targetGroup names no target group: "ap"; did you mean "app"?',
  ])
})

test('a forward to a group unlike any names those there are', () => {
  assertProblems(withDefaultAction('{ type: forward, targetGroup: «payments }'), [
    'targetGroup names no target group: "payments"; defined are app',
  ])
})

test('a minimum of healthy targets that no group can have is refused', () => {
  const key = 'target_group_health.dns_failover.minimum_healthy_targets.count'
  const text = (mark: string) => withGroup(`targets: [{ id: 10.0.0.1 }], attributes: { ${key}: ${mark}"1001" }`)
  assertProblems(text('«'), [`${key} "1001" is above the quota of 1000 (quotas.targetsPerTargetGroup raises it)`])
  assertValid(`${text('')}\nquotas: { targetsPerTargetGroup: 1001 }`)
})

test('a target group serves one load balancer', () => {
  const text = `loadBalancers:
  - { name: a, listeners: [{ protocol: HTTP, port: 80, defaultActions: [{ type: forward, targetGroup: app }] }] }
  - { name: b, listeners: [{ protocol: HTTP, port: 81, defaultActions: [{ type: forward, targetGroup: «app }] }] }
targetGroups: [{ name: app, protocol: HTTP, port: 1, targets: [{ id: 10.0.0.1 }] }]`
  assertProblems(text, [
    'targetGroup "app" is already used by another load balancer at openalb.yaml:2:103: a target group is used by one load balancer only',
  ])
})

test('a load balancer may use a target group in several rules', () => {
  const forward = '{ type: forward, targetGroup: app }'
  assertValid(withRules(`{ priority: 1, conditions: [{ field: path-pattern, values: [/a] }], actions: [${forward}] }`))
})

test('a port used twice in a load balancer is refused', () => {
  assertProblems(withLoadBalancer(`listeners: [${listener('80')}, ${listener('«80')}]`), [
    'port must be unique in its load balancer: 80 is also at openalb.yaml:3:41',
  ])
})

const twoOn80 = (bind: string, otherBind: string) => `loadBalancers:
  - { name: a, bind: ${bind}, listeners: [${listener('80')}] }
  - { name: b, bind: ${otherBind}, listeners: [${listener('«80')}] }`

for (const [bind, otherBind] of [
  ['0.0.0.0', '127.0.0.1'],
  ['127.0.0.1', '0.0.0.0'],
  ['"::1"', '"::"'],
] as const) {
  test(`load balancers on ${bind} and ${otherBind} cannot share a port`, () => {
    assertProblems(twoOn80(bind, otherBind), [
      /port 80 is already bound on .* by the listener at openalb\.yaml:2:\d+: give both load balancers one address, .*/,
    ])
  })
}

test('load balancers that share a port have one protocol there', () => {
  const https = `{ protocol: HTTPS, port: 80, certificates: [{ certificate: cert.pem, privateKey: key.pem }], defaultActions: [${fixed}] }`
  const text = twoOn80('127.0.0.1', '127.0.0.1').replace(listener('80'), https).replace('«', '')
  const result = parseConfig([{ name: 'f', text }])
  const problems = result.ok ? [] : result.problems.map(({ message }) => message)
  assert.ok(
    problems.some(message =>
      /^port 80 is already bound on 127\.0\.0\.1 by the listener at f:2:\d+, which is HTTPS: .*one protocol/.test(
        message,
      ),
    ),
    problems.join('\n'),
  )
})

for (const [bind, otherBind] of [
  ['127.0.0.1', '127.0.0.2'],
  ['0.0.0.0', '"::"'],
  ['127.0.0.1', '[127.0.0.2, 127.0.0.1]'],
  ['"0:0::1"', '"::1"'],
  ['0.0.0.0', '0.0.0.0'],
] as const) {
  test(`load balancers on ${bind} and ${otherBind} share a port`, () => {
    assertValid(twoOn80(bind, otherBind).replace('«', ''))
  })
}

test('an address that another of the load balancer covers is refused', () => {
  assertProblems(withLoadBalancer('bind: [127.0.0.1, «0.0.0.0]'), [
    'bind[1] is the same socket twice: 0.0.0.0 overlaps with 127.0.0.1',
  ])
})

test('the port offset moves low ports, and must not move them onto another', () => {
  assertProblems(
    withLoadBalancer(`listeners: [${listener('8080')}, ${listener('«80')}]`),
    [/port 80, moved to 8080 by the port offset, is already bound on 0\.0\.0\.0 by the listener at openalb\.yaml:3:41/],
    { portOffset: 8000 },
  )
})

test('the port offset must not move a port out of range', () => {
  assertProblems(
    withLoadBalancer(`listeners: [${listener('«80')}]`),
    ['port 80 plus the port offset 65456 is 65536, above 65535'],
    { portOffset: 65456 },
  )
  assertValid(withLoadBalancer(`listeners: [${listener('80')}]`), { portOffset: 65455 })
})

const lab = '\nlab: { healthCheckIntervalSecondsMin: 0.1 }'
const inTests = '(lab.healthCheckIntervalSecondsMin allows less in tests)'

for (const [what, text, ...messages] of [
  [
    'an interval of 4',
    '{ intervalSeconds: «4, timeoutSeconds: 2 }',
    `intervalSeconds must be a whole number from 5 to 300, not 4 ${inTests}`,
  ],
  ['an interval of 301', '{ intervalSeconds: «301 }', 'intervalSeconds must be a whole number from 5 to 300, not 301'],
  [
    'an interval of 5.5',
    '{ intervalSeconds: «5.5 }',
    `intervalSeconds must be a whole number from 5 to 300, not 5.5 ${inTests}`,
  ],
  [
    'an interval as text',
    '{ intervalSeconds: «"30" }',
    'intervalSeconds must be a whole number from 5 to 300, not "30"',
  ],
  ['a timeout of 1', '{ timeoutSeconds: «1 }', `timeoutSeconds must be a whole number from 2 to 120, not 1 ${inTests}`],
  [
    'a timeout of 121',
    '{ intervalSeconds: 300, timeoutSeconds: «121 }',
    'timeoutSeconds must be a whole number from 2 to 120, not 121',
  ],
  [
    'a timeout as long as the interval',
    '{ intervalSeconds: 10, timeoutSeconds: «10 }',
    'timeoutSeconds must be smaller than intervalSeconds, 10, not 10',
  ],
  [
    'a timeout as long as the default interval',
    '{ timeoutSeconds: «30 }',
    'timeoutSeconds must be smaller than intervalSeconds, 30, not 30',
  ],
  [
    'an interval as short as the default timeout',
    '{ intervalSeconds: «5 }',
    'intervalSeconds must be greater than timeoutSeconds, which is 5 by default',
  ],
] as const) {
  test(`refused: ${what}`, () => assertProblems(withGroup(`healthCheck: ${text}`), messages))
}

test('a refused timeout is not compared with the interval as if it were the default', () => {
  assertProblems(withGroup('healthCheck: { intervalSeconds: 5, timeoutSeconds: «"2" }'), [/timeoutSeconds must be .*/])
})

test('the knob of lab lets intervals and timeouts go below the service, with fractions', () => {
  assertValid(withGroup('healthCheck: { intervalSeconds: 0.1, timeoutSeconds: 0.05 }') + lab)
  assertProblems(withGroup('healthCheck: { intervalSeconds: «0.09, timeoutSeconds: 0.05 }') + lab, [
    'intervalSeconds must be a number from 0.1 to 300, not 0.09',
  ])
  assertProblems(withGroup('healthCheck: { intervalSeconds: 0.1, timeoutSeconds: «0.1 }') + lab, [
    'timeoutSeconds must be smaller than intervalSeconds, 0.1, not 0.1',
  ])
})

test('a target registered twice is refused, however its address is spelt and wherever its port comes from', () => {
  assertProblems(
    withGroup('targets: [{ id: 10.0.0.1 }, «{ id: 10.0.0.1, port: 3000 }, { id: 10.0.0.1, port: 3001 }]'),
    [/targets\[1] is registered twice: 10\.0\.0\.1:3000 is also at openalb\.yaml:5:\d+/],
  )
  assertProblems(withGroup('targets: [{ id: "::1" }, «{ id: "0:0:0:0:0:0:0:1" }]'), [
    /targets\[1] is registered twice: \[::1]:3000 is also at .*/,
  ])
})

test('a target group holds one family of addresses', () => {
  assertProblems(withGroup('targets: [{ id: 10.0.0.1 }, { id: «"::1" }]'), [
    'id is IPv6, but the group has IPv4 targets: a target group holds one family',
  ])
})

const numbered = (count: number, item: (number: number) => string) =>
  Array.from({ length: count }, (_, at) => item(at + 1)).join(', ')

test('quotas are the service’s, and can be raised', () => {
  const rules = withLoadBalancer(`listeners: [${listener(`80, rules: [${numbered(101, at => rule(String(at)))}]`)}]`)
  assertProblems(rules.replace('- name', '- «name'), [
    'loadBalancers[0] has 101 rules, more than the quota of 100 (quotas.rulesPerLoadBalancer raises it)',
  ])
  assertValid(`${rules}\nquotas: { rulesPerLoadBalancer: 101 }`)

  const listeners = withLoadBalancer(`listeners: [${numbered(51, at => listener(String(1000 + at)))}]`)
  assertProblems(listeners.replace('- name', '- «name'), [
    'loadBalancers[0] has 51 listeners, more than the quota of 50 (quotas.listenersPerLoadBalancer raises it)',
  ])

  const targets = withGroup(`targets: «[${numbered(3, at => `{ id: 10.0.0.${at} }`)}]`)
  assertProblems(`${targets}\nquotas: { targetsPerTargetGroup: 2 }`, [
    'targets has 3 targets, more than the quota of 2 (quotas.targetsPerTargetGroup raises it)',
  ])
  assertProblems(`${targets.replace('«', '').replace('- name', '- «name')}\nquotas: { targetsPerLoadBalancer: 2 }`, [
    'loadBalancers[0] has 3 targets, more than the quota of 2 (quotas.targetsPerLoadBalancer raises it)',
  ])
})

test('a load balancer uses at most 100 target groups, whatever the quotas', () => {
  const rules = numbered(101, at => rule(String(at)).replace(fixed, `{ type: forward, targetGroup: g${at} }`))
  const groups = numbered(101, at => `{ name: g${at}, protocol: HTTP, port: 1, targets: [{ id: 10.0.0.1 }] }`)
  const text = `${withLoadBalancer(`listeners: [${listener(`80, rules: [${rules}]`)}]`)}
targetGroups: [${groups}]
quotas: { rulesPerLoadBalancer: 200 }`
  assertProblems(text.replace('- name', '- «name'), [
    "loadBalancers[0] uses 101 target groups, more than the service's 100",
  ])
})

test('more load balancers or targets than there is shared memory for are refused', () => {
  const loadBalancers = numbered(769, at => `${at === 769 ? '«' : ''}{ name: lb${at} }`)
  assertProblems(`loadBalancers: [${loadBalancers}]`, [
    'loadBalancers[768] makes 769 zones of load balancers in all; at most 768 are possible',
  ])
  const targets = numbered(8193, at => `{ id: 10.0.${at >> 8}.${at & 255} }`)
  const group = (name: string, mark = '') =>
    `\n  - { name: ${name}, protocol: HTTP, port: 1, targets: ${mark}[${targets}] }`
  assertProblems(`targetGroups:${group('a')}${group('b', '«')}\nquotas: { targetsPerTargetGroup: 10000 }`, [
    'targets makes 16386 targets in all; at most 16384 are possible',
  ])
})

const warnings: readonly [what: string, text: string, ...messages: string[]][] = [
  [
    'a target group that nobody forwards to',
    `${withLoadBalancer(`listeners: [${listener('80')}]`)}
targetGroups: [{ name: spare, protocol: HTTP, port: 1 }]`,
    '4:24: name "spare" is not used: no listener forwards to it',
  ],
  [
    'a target group in use without targets',
    withGroup('targets: []'),
    '5:13: name "g" has no targets: requests forwarded to it are answered with 503',
  ],
  [
    'a load balancer without listeners',
    'loadBalancers: [{ name: a }]',
    '1:17: loadBalancers[0] has no listeners and receives nothing',
  ],
  ['a file without load balancers', 'targetGroups: []', '1:1: the file defines no load balancer'],
  [
    'a client port in a header that is removed',
    withLoadBalancer(
      `listeners: [${listener('80')}]
    attributes: { routing.http.xff_client_port.enabled: "true", routing.http.xff_header_processing.mode: remove }`,
    ),
    '4:57: routing.http.xff_client_port.enabled has no effect while routing.http.xff_header_processing.mode is "remove"',
  ],
]

for (const [what, text, ...messages] of warnings) {
  test(`warned of: ${what}`, () => {
    const result = parseConfig([{ name: 'f', text }])
    assert.deepEqual(
      result.ok && result.config.warnings.map(formatProblem),
      messages.map(message => `f:${message}`),
    )
  })
}
