import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { listenerArn, ruleArn, targetGroupArn } from '../model/arns.ts'
import {
  type Condition,
  defaultRequestHeaderNames,
  type Listener,
  noTransforms,
  type RoutingAction,
} from '../model/resources.ts'
import { Reading } from './rules/reading.ts'
import { RuleIndex } from './rules/rule-index.ts'
import { compileRules, matchRule, type RuleSubject } from './rules.ts'

function forwardTo(name: string): RoutingAction {
  return {
    type: 'forward',
    targetGroups: [{ arn: targetGroupArn(name, '0123456789abcdef'), weight: 1 }],
    stickinessSeconds: null,
  }
}

function listenerWith(rules: readonly (readonly [priority: number, ...conditions: Condition[]])[]): Listener {
  return {
    arn: listenerArn('web', '0123456789abcdef', '0123456789abcdef'),
    protocol: 'HTTP',
    tls: null,
    port: 80,
    bindPort: 0,
    attributes: { serverHeader: true, responseHeaders: [], requestHeaderNames: defaultRequestHeaderNames },
    defaultAction: forwardTo('default'),
    rules: rules.map(([priority, ...conditions]) => ({
      arn: ruleArn('web', '0123456789abcdef', '0123456789abcdef', `${priority}`.padStart(16, '0')),
      priority,
      conditions,
      action: forwardTo(`rule-${priority}`),
      transforms: noTransforms,
    })),
  }
}

const host = (...values: string[]): Condition => ({ field: 'host-header', values, regexValues: [] })
const path = (...values: string[]): Condition => ({ field: 'path-pattern', values, regexValues: [] })
const hostRegex = (...regexValues: string[]): Condition => ({ field: 'host-header', values: [], regexValues })
const pathRegex = (...regexValues: string[]): Condition => ({ field: 'path-pattern', values: [], regexValues })
const header = (httpHeaderName: string, ...values: string[]): Condition => ({
  field: 'http-header',
  httpHeaderName,
  values,
  regexValues: [],
})
const headerRegex = (httpHeaderName: string, ...regexValues: string[]): Condition => ({
  field: 'http-header',
  httpHeaderName,
  values: [],
  regexValues,
})
const method = (...values: string[]): Condition => ({ field: 'http-request-method', values })
const query = (...values: (readonly [key: string | null, value: string])[]): Condition => ({
  field: 'query-string',
  values: values.map(([key, value]) => ({ key, value })),
})
const source = (...values: string[]): Condition => ({ field: 'source-ip', values })

type Request = {
  readonly clientIp?: string
  readonly host?: string
  readonly path?: string
  readonly query?: string
  readonly method?: string
  readonly headers?: readonly (readonly [name: string, value: string])[]
}

/** A request that notes what it was asked for. */
function subjectOf(request: Request): RuleSubject & { readonly asked: string[] } {
  const asked: string[] = []
  const note = (what: string, answer: string) => () => {
    asked.push(what)
    return answer
  }
  return {
    asked,
    get clientIp() {
      asked.push('clientIp')
      return request.clientIp ?? '192.0.2.1'
    },
    ruleHost: note('host', request.host ?? 'a.example'),
    rulePath: note('path', request.path ?? '/'),
    ruleQuery: note('query', request.query ?? ''),
    ruleMethod: note('method', request.method ?? 'GET'),
    ruleHeader(name, occurrence) {
      asked.push(`${name} ${occurrence}`)
      return (request.headers ?? []).filter(([n]) => n === name)[occurrence]?.[1] ?? null
    },
  }
}

/** The priority of the rule that a request meets. */
function priorityFor(listener: Listener, request: Request): number {
  return matchRule(
    compileRules(listener, action => action),
    subjectOf(request),
  ).priority
}

describe('matching rules', () => {
  it('meets the default rule, priority 0, where there is no other', () => {
    const compiled = compileRules(listenerWith([]), action => action)
    assert.equal(compiled.hasConditions, false)
    const rule = matchRule(compiled, subjectOf({}))
    assert.equal(rule.priority, 0)
    assert.deepEqual(rule.action, forwardTo('default'))
    assert.equal(rule.transforms, null)
  })

  it('meets the first rule by priority that matches', () => {
    const listener = listenerWith([
      [10, path('/a/b')],
      [20, path('/a/*')],
      [30, path('/*')],
    ])
    assert.equal(compileRules(listener, action => action).hasConditions, true)
    assert.equal(priorityFor(listener, { path: '/a/b' }), 10)
    assert.equal(priorityFor(listener, { path: '/a/c' }), 20)
    assert.equal(priorityFor(listener, { path: '/b' }), 30)
    assert.equal(priorityFor(listener, { path: '*' }), 0)
  })

  it('lets a general rule win over an exact one behind it', () => {
    const listener = listenerWith([
      [10, path('/a/*')],
      [20, path('/a/b')],
      [30, host('a.example')],
    ])
    assert.equal(priorityFor(listener, { path: '/a/b' }), 10)
    assert.equal(priorityFor(listener, { path: '/a' }), 30)
  })

  it('needs all conditions of a rule', () => {
    const listener = listenerWith([[1, host('a.example'), path('/x')]])
    assert.equal(priorityFor(listener, { host: 'a.example', path: '/x' }), 1)
    assert.equal(priorityFor(listener, { host: 'a.example', path: '/y' }), 0)
    assert.equal(priorityFor(listener, { host: 'b.example', path: '/x' }), 0)
  })

  it('needs one value of a condition', () => {
    const listener = listenerWith([[1, host('a.example', '*.b.example')]])
    assert.equal(priorityFor(listener, { host: 'a.example' }), 1)
    assert.equal(priorityFor(listener, { host: 'x.b.example' }), 1)
    assert.equal(priorityFor(listener, { host: 'b.example' }), 0)
  })

  it('resolves each action once, when the rules are compiled', () => {
    const resolved: RoutingAction[] = []
    const compiled = compileRules(listenerWith([[1, path('/')]]), action => resolved.push(action))
    assert.deepEqual(resolved, [forwardTo('rule-1'), forwardTo('default')])
    assert.equal(matchRule(compiled, subjectOf({ path: '/' })).action, 1)
    assert.equal(matchRule(compiled, subjectOf({ path: '/x' })).action, 2)
    assert.equal(resolved.length, 2)
  })

  it('compiles the transforms of a rule that has some', () => {
    const listener = listenerWith([[1, path('/*')]])
    const urlRewrite = { regex: '^/a', replace: '/b' }
    const rules = listener.rules.map(rule => ({ ...rule, transforms: { hostHeaderRewrite: null, urlRewrite } }))
    const { transforms } = matchRule(
      compileRules({ ...listener, rules }, action => action),
      subjectOf({}),
    )
    assert.equal(transforms?.hostHeaderRewrite, null)
    assert.equal(transforms?.urlRewrite?.type, 'url-rewrite')
  })
})

/** What each condition accepts and, of what comes close, refuses. */
const cases: readonly (readonly [what: string, Condition, met: readonly Request[], notMet: readonly Request[]])[] = [
  [
    'a host, in any case',
    host('WWW.Example.COM'),
    [{ host: 'www.example.com' }],
    [{ host: 'www.example.org' }, { host: 'example.com' }, { host: 'www.example.com.' }, { host: '' }],
  ],
  [
    'a wildcard host, which crosses dots and leaves out the apex',
    host('*.example.com'),
    [{ host: 'a.example.com' }, { host: 'a.b.example.com' }],
    [{ host: 'example.com' }, { host: 'aexample.com' }, { host: 'a.example.com.evil' }],
  ],
  [
    'a host with a question mark',
    host('www?.example.com'),
    [{ host: 'www2.example.com' }],
    [{ host: 'www.example.com' }],
  ],
  ['a path, minding case', path('/Api'), [{ path: '/Api' }], [{ path: '/api' }, { path: '/Api/' }, { path: '/' }]],
  [
    'a wildcard path, which crosses slashes',
    path('/a/*/z'),
    [{ path: '/a/b/z' }, { path: '/a/b/c.d/z' }, { path: '/a//z' }],
    [{ path: '/a/z' }, { path: '/a/b/z/' }],
  ],
  ['a path by its end', path('*.php'), [{ path: '/a/b.php' }], [{ path: '/a.php5' }, { path: '/php' }]],
  ['a path with a backslash, which is only itself', path('/a\\*'), [{ path: '/a\\b' }], [{ path: '/a*' }]],
  [
    'a path without what cannot be seen',
    path('/ab'),
    [{ path: '/a\x00\x1f\x7fb' }],
    [{ path: '/a b' }, { path: '/a\x80b' }],
  ],
  [
    'a path by expression, minding case, anywhere in it',
    pathRegex('/v[0-9]+/'),
    [{ path: '/api/v12/x' }],
    [{ path: '/api/V1/x' }, { path: '/api/v/x' }],
  ],
  ['a path by anchored expression', pathRegex('^/v[0-9]+$'), [{ path: '/v1' }], [{ path: '/a/v1' }, { path: '/v1/' }]],
  ['a host by expression, in any case', hostRegex('^API-(a|b)\\.'), [{ host: 'api-a.x' }], [{ host: 'api-c.x' }]],
  [
    'a header, in any case, in any of its occurrences',
    header('X-Version', 'V2*', 'beta?'),
    [
      { headers: [['x-version', 'v2.1']] },
      { headers: [['x-version', 'BETA1']] },
      {
        headers: [
          ['x-version', 'v1'],
          ['x-version', 'v2'],
        ],
      },
      { headers: [['x-version', 'v\x012']] },
    ],
    [
      {},
      { headers: [['x-version', 'beta']] },
      { headers: [['x-version', 'v1, v2']] },
      { headers: [['x-versions', 'v2']] },
    ],
  ],
  [
    'a header by expression, in any case',
    headerRegex('user-agent', 'iphone|android'),
    [{ headers: [['user-agent', 'Mozilla/5.0 (iPhone)']] }],
    [{ headers: [['user-agent', 'curl/8']] }, {}],
  ],
  ['an empty header', header('x-a', ''), [{ headers: [['x-a', '']] }], [{}, { headers: [['x-a', 'b']] }]],
  ['a method, minding case', method('POST', 'PURGE'), [{ method: 'PURGE' }], [{ method: 'post' }, { method: 'POSTS' }]],
  [
    'a pair of the query, in any case',
    query(['Version', 'V?']),
    [{ query: 'version=v1' }, { query: 'a=b&VERSION=V2&c' }],
    [
      { query: '' },
      { query: 'version=v' },
      { query: 'version=v12' },
      { query: 'xversion=v1' },
      { query: 'v1=version' },
    ],
  ],
  [
    'a value of any key',
    query([null, '*shop*']),
    [{ query: 'a=myshop1' }, { query: 'b&a=shop' }],
    [{ query: 'shop' }, { query: 'shop=1' }, { query: '' }],
  ],
  [
    'a pair split at its first equals sign, and not decoded',
    query(['a', 'b=c'], ['d', 'e f']),
    [{ query: 'a=b=c' }],
    [{ query: 'a=b%3Dc' }, { query: 'a%3Db=c' }, { query: 'd=e%20f' }, { query: 'd=e+f' }],
  ],
  [
    'a pair without a value',
    query(['flag', '']),
    [{ query: 'flag' }, { query: 'x&flag=' }],
    [{ query: 'flag=1' }, { query: 'flags' }, { query: '' }],
  ],
  [
    'no pair between two ampersands',
    query([null, '*']),
    [{ query: '&&a&' }],
    [{ query: '' }, { query: '&' }, { query: '&&' }],
  ],
  [
    'wildcards that stand for themselves behind a backslash',
    query(['q', '\\*a\\?\\\\*']),
    [{ query: 'q=*a?\\' }, { query: 'q=*a?\\z' }],
    [{ query: 'q=xa?\\' }, { query: 'q=*ab\\' }, { query: 'q=*a?' }, { query: 'q=\\*a\\?\\' }],
  ],
  [
    'an address within a block',
    source('10.1.0.0/16', '192.0.2.7/32'),
    [{ clientIp: '10.1.0.0' }, { clientIp: '10.1.255.255' }, { clientIp: '192.0.2.7' }],
    [{ clientIp: '10.2.0.0' }, { clientIp: '10.0.255.255' }, { clientIp: '192.0.2.6' }, { clientIp: '::a01:0' }],
  ],
  [
    'an IPv6 address within a block',
    source('2001:db8:0:10::/60'),
    [{ clientIp: '2001:db8:0:10::1' }, { clientIp: '2001:db8:0:1f:ffff::' }],
    [{ clientIp: '2001:db8:0:20::1' }, { clientIp: '2001:db8::1' }, { clientIp: '32.1.13.184' }],
  ],
  ['any IPv4 address, and no other', source('0.0.0.0/0'), [{ clientIp: '203.0.113.9' }], [{ clientIp: '::1' }]],
]

describe('a condition accepts', () => {
  for (const [what, condition, met, notMet] of cases) {
    it(what, () => {
      const listener = listenerWith([[1, condition]])
      for (const request of met) assert.equal(priorityFor(listener, request), 1, JSON.stringify(request))
      for (const request of notMet) assert.equal(priorityFor(listener, request), 0, JSON.stringify(request))
    })
  }

  it('all of several conditions on one header, each from whichever occurrence meets it', () => {
    const listener = listenerWith([[1, header('x-a', 'b*'), header('X-A', '*c')]])
    const both: Request = {
      headers: [
        ['x-a', 'xc'],
        ['x-a', 'bx'],
      ],
    }
    assert.equal(priorityFor(listener, both), 1)
    assert.equal(priorityFor(listener, { headers: [['x-a', 'b-c']] }), 1)
    assert.equal(priorityFor(listener, { headers: [['x-a', 'bx']] }), 0)
  })

  it('all of several conditions on the query', () => {
    const listener = listenerWith([[1, query(['a', '1']), query(['b', '2'], [null, '3'])]])
    assert.equal(priorityFor(listener, { query: 'b=2&a=1' }), 1)
    assert.equal(priorityFor(listener, { query: 'a=1&z=3' }), 1)
    assert.equal(priorityFor(listener, { query: 'a=1' }), 0)
    assert.equal(priorityFor(listener, { query: 'b=2' }), 0)
  })
})

describe('a request is asked', () => {
  it('nothing that no rule needs', () => {
    const compiled = compileRules(listenerWith([[1, method('GET')]]), action => action)
    const subject = subjectOf({})
    matchRule(compiled, subject)
    assert.deepEqual(subject.asked, ['method'])
  })

  it('only by rules that its path or host leaves', () => {
    const listener = listenerWith([
      [1, path('/a/*'), header('x-a', 'b'), source('10.0.0.0/8')],
      [2, host('b.example'), query(['a', 'b'])],
    ])
    const subject = subjectOf({ path: '/b' })
    matchRule(
      compileRules(listener, action => action),
      subject,
    )
    assert.deepEqual(subject.asked, ['path', 'host'])
  })

  it('each thing once, however many rules look at it, and anew for the next request', () => {
    const listener = listenerWith(
      [1, 2, 3].map(
        priority =>
          [
            priority,
            path('*/*'),
            hostRegex('.'),
            method('GET'),
            source('0.0.0.0/0'),
            header('x-a', 'b'),
            query(['a', '1']),
            header('x-a', `c${priority}`),
          ] as const,
      ),
    )
    const compiled = compileRules(listener, action => action)
    for (const value of ['c1', 'c2']) {
      const subject = subjectOf({
        query: 'a=1',
        headers: [
          ['x-a', 'b'],
          ['x-a', value],
        ],
      })
      assert.equal(matchRule(compiled, subject).priority, Number(value[1]))
      assert.deepEqual(subject.asked, ['path', 'host', 'method', 'clientIp', 'x-a 0', 'x-a 1', 'x-a 2', 'query'])
    }
  })
})

describe('the index of rules', () => {
  const letters = (max: number) => fc.string({ unit: fc.constantFrom('a', 'b', '/', '.'), maxLength: max })
  const wild = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.', '*', '?'), maxLength: 5 })
  const values = fc.array(wild, { minLength: 1, maxLength: 3 })
  const condition: fc.Arbitrary<Condition> = fc.oneof(
    values.map(values => host(...values)),
    values.map(values => path(...values)),
    values.map(values => path(...values.map(value => `/${value}`))),
    fc.constantFrom('a', '^/a', 'b$', 'a.*b').map(value => pathRegex(value)),
    fc.constantFrom('a', '^b', '\\.a$').map(value => hostRegex(value)),
    values.map(values => header('x-a', ...values)),
    fc.constantFrom('GET', 'PUT').map(value => method(value)),
    wild.map(value => query(['a', value])),
    fc.constantFrom('10.0.0.0/8', '10.1.0.0/16', '::/0').map(value => source(value)),
  )
  const conditions = fc.array(condition, { minLength: 1, maxLength: 3 })
  const request: fc.Arbitrary<Request> = fc.record({
    host: letters(6),
    path: letters(6).map(text => `/${text}`),
    query: letters(3).map(text => `a=${text}`),
    method: fc.constantFrom('GET', 'PUT'),
    clientIp: fc.constantFrom('10.0.0.1', '10.1.0.1', '192.0.2.1', '::1'),
    headers: fc.array(fc.tuple(fc.constant('x-a'), letters(3)), { maxLength: 2 }),
  })

  it('never changes which rule wins', t => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    t.diagnostic(`seed ${seed}`)
    let matchCount = 0
    const rules = fc.array(conditions, { maxLength: 30 })
    const requests = fc.array(request, { minLength: 1, maxLength: 10 })
    fc.assert(
      fc.property(rules, requests, (rules, requests) => {
        const listener = listenerWith(rules.map((conditions, i) => [i + 1, ...conditions]))
        const compiled = compileRules(listener, action => action)
        for (const request of requests) {
          const reading = new Reading()
          reading.begin(subjectOf(request))
          const expected = compiled.rules.find(rule => rule.conditions.every(condition => condition.isMet(reading)))
          if (expected?.priority !== 0) matchCount++
          assert.equal(matchRule(compiled, subjectOf(request)), expected, JSON.stringify(request))
        }
      }),
      { seed, numRuns: 1000 },
    )
    assert(matchCount > 1000, `only ${matchCount} requests met a rule`)
  })

  it('leaves one of a thousand rules to check, even where they share their paths or a host', () => {
    const listener = listenerWith(
      Array.from({ length: 1000 }, (_, i) => [
        i + 1,
        ...([
          [host(`tenant-${i}.example`), path('/api/*')],
          [host('shared.example'), path(`/team-${i}/*`)],
          [host(`*.tenant-${i}.example`)],
          [path(`*.type${i}`)],
          [host(`api-${i}-*.shared.example`)],
        ][i % 5] as Condition[]),
      ]),
    )
    const index = new RuleIndex(listener.rules)
    const candidates = (request: Request) => {
      const reading = new Reading()
      reading.begin(subjectOf(request))
      return index.candidates(reading).flat()
    }
    assert.deepEqual(candidates({ host: 'tenant-995.example', path: '/api/x' }), [995])
    assert.deepEqual(candidates({ host: 'shared.example', path: '/team-996/x' }), [996])
    assert.deepEqual(candidates({ host: 'a.tenant-997.example' }), [997])
    assert.deepEqual(candidates({ path: '/a.type998' }), [998])
    assert.deepEqual(candidates({ host: 'api-999-x.shared.example' }), [999])
    assert.deepEqual(candidates({ host: 'other.example', path: `/${'/'.repeat(16_000)}` }), [])
  })
})
