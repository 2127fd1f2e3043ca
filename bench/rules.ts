/**
 * What it costs to find the rule of a request: nanoseconds per match, median and spread of rounds. `node bench/rules.ts`
 */

import { listenerArn, ruleArn } from '../src/model/arns.ts'
import {
  type Condition,
  defaultRequestHeaderNames,
  type Listener,
  noTransforms,
  type RoutingAction,
} from '../src/model/resources.ts'
import { compileFinder, compileMatcher, regexProblem } from '../src/routing/regex.ts'
import { type CompiledRules, compileRules, matchRule, type RuleSubject } from '../src/routing/rules.ts'

const rounds = 9
const action: RoutingAction = { type: 'fixed-response', statusCode: 200, messageBody: '', contentType: 'text/plain' }

const host = (...values: string[]): Condition => ({ field: 'host-header', values, regexValues: [] })
const path = (...values: string[]): Condition => ({ field: 'path-pattern', values, regexValues: [] })
const header = (...values: string[]): Condition => ({
  field: 'http-header',
  httpHeaderName: 'x-version',
  values,
  regexValues: [],
})

type Case = {
  readonly name: string
  readonly conditions: (i: number) => readonly Condition[]
  /** A request for the rule that comes last. */
  readonly host: (i: number) => string
  readonly path: (i: number) => string
}

const cases: readonly Case[] = [
  {
    name: 'path prefix',
    conditions: i => [path(`/service-${i}/*`)],
    host: () => 'www.example.com',
    path: i => `/service-${i}/users/42`,
  },
  {
    name: 'host exact',
    conditions: i => [host(`tenant-${i}.example.com`)],
    host: i => `tenant-${i}.example.com`,
    path: () => '/users/42',
  },
  {
    name: 'host prefix',
    conditions: i => [host(`tenant-${i}.*`)],
    host: i => `tenant-${i}.example.com`,
    path: () => '/users/42',
  },
  {
    name: 'host suffix and a path they share',
    conditions: i => [host(`*.tenant-${i}.example`), path('/api/*')],
    host: i => `www.tenant-${i}.example`,
    path: () => '/api/users/42',
  },
  {
    name: 'mixed',
    conditions: i =>
      i % 3 === 0
        ? [host(`tenant-${i}.example.com`), path('/api/*', '/v2/*')]
        : i % 3 === 1
          ? [path(`/service-${i}/*`)]
          : [path(`/files-${i}/*.png`, `/files-${i}/*.jpg`), header('v2*')],
    host: i => `tenant-${i - (i % 3)}.example.com`,
    path: () => '/v2/users/42',
  },
]

function listenerWith(rules: readonly (readonly Condition[])[]): Listener {
  return {
    arn: listenerArn('web', '0123456789abcdef', '0123456789abcdef'),
    protocol: 'HTTP',
    tls: null,
    port: 80,
    bindPort: 0,
    attributes: { serverHeader: true, responseHeaders: [], requestHeaderNames: defaultRequestHeaderNames },
    defaultAction: action,
    rules: rules.map((conditions, i) => ({
      arn: ruleArn('web', '0123456789abcdef', '0123456789abcdef', `${i}`.padStart(16, '0')),
      priority: i + 1,
      conditions,
      action,
      transforms: noTransforms,
    })),
  }
}

function subjectOf(host: string, path: string): RuleSubject {
  return {
    clientIp: '192.0.2.1',
    ruleHost: () => host,
    rulePath: () => path,
    ruleQuery: () => '',
    ruleMethod: () => 'GET',
    ruleHeader: (_, occurrence) => (occurrence === 0 ? 'v2.1' : null),
  }
}

function nanosecondsPer(count: number, run: () => void): string {
  const times = Array.from({ length: rounds }, () => {
    const from = performance.now()
    for (let i = 0; i < count; i++) run()
    return ((performance.now() - from) * 1e6) / count
  }).sort((a, b) => a - b)
  const show = (ns: number) => ns.toFixed(0).padStart(7)
  return `${show(times[rounds >> 1]!)} ns  (${show(times[0]!)} to ${show(times[rounds - 1]!)})`
}

let sum = 0
function timeMatches(name: string, rules: CompiledRules<RoutingAction>, subject: RuleSubject, count = 100_000): void {
  const figure = nanosecondsPer(count, () => {
    sum += matchRule(rules, subject).priority
  })
  console.log(`${name.padEnd(52)} ${figure}`)
}

for (const { name, conditions, host, path } of cases) {
  for (const count of [1, 100, 1000]) {
    const listener = listenerWith(Array.from({ length: count }, (_, i) => conditions(i)))
    const rules = compileRules(listener, action => action)
    const last = count - 1
    timeMatches(`${name}, ${count} rules, the last`, rules, subjectOf(host(last), path(last)))
    if (count === 1000) timeMatches(`${name}, ${count} rules, none`, rules, subjectOf('other.example', '/other'))
  }
}

const prefixes = Array.from({ length: 1000 }, (_, i) => [path(`/${'a'.repeat(i % 128)}*z`)])
const nested = compileRules(listenerWith(prefixes), action => action)
timeMatches('1000 rules that all may match 16 K of a', nested, subjectOf('a', `/${'a'.repeat(16_383)}`), 100)
timeMatches('1000 rules that all may match 16 K of /', nested, subjectOf('a', '/'.repeat(16_384)), 100)
const runs = compileRules(listenerWith([[path(`*b?${'a'.repeat(120)}*`, `*${'a'.repeat(120)}?b*`)]]), action => action)
timeMatches('wildcards that nearly match everywhere, 16 K of a', runs, subjectOf('a', 'a'.repeat(16_384)), 10)
const near = `*${'a'.repeat(60)}b${'a'.repeat(60)}*`
const literals = compileRules(listenerWith([[path(near)]]), action => action)
timeMatches('a literal that nearly matches everywhere, 16 K of a', literals, subjectOf('a', 'a'.repeat(16_384)), 10)
const anyPair = { key: null, value: '*b*' }
const pairs = compileRules(
  listenerWith([[{ field: 'query-string', values: [anyPair, anyPair, anyPair] }]]),
  action => action,
)
timeMatches(
  'three values for any key, 8 K pairs',
  pairs,
  { ...subjectOf('a', '/'), ruleQuery: () => 'a&'.repeat(8192) },
  10,
)

const expressions = ['^/users/[0-9]+/orders/[a-z]+$', '^/v[0-9]+/(.*)\\.(png|jpg)$', '(a|b)*a(a|b){9}c', '(.*a){10}z']
const texts: readonly (readonly [string, string])[] = [
  ['30 bytes', '/users/1234567/orders/abcdefg'],
  ['16 K of a and b', 'aabab'.repeat(3277)],
  ['16 K of a, then z', `${'a'.repeat(16_383)}z`],
]
for (const pattern of expressions) {
  const matcher = compileMatcher(pattern, false)
  const finder = compileFinder(pattern, false)
  for (const [name, text] of texts) {
    const count = text.length > 100 ? 200 : 100_000
    console.log(
      `${`${pattern}, ${name}`.padEnd(52)} ${nanosecondsPer(count, () => {
        sum += matcher.matches(text) ? 1 : 0
      })}`,
    )
    console.log(
      `${'  with groups'.padEnd(52)} ${nanosecondsPer(count, () => {
        sum += finder.find(text)?.[0] ?? 0
      })}`,
    )
  }
}

const from = performance.now()
for (let i = 0; i < 1000; i++) compileMatcher(`^/service-${i}/[a-z0-9]+/(.*)$`, false)
console.log(`1000 new expressions are compiled in ${(performance.now() - from).toFixed(0)} ms`)
const costly = ['(a?){100}b$', 'a.{100}z', '[ab]{0,60}a[ab]{0,60}b[ab]{0,60}z', `${'(?:[a-z0-9]{1,40}-?)'.repeat(6)}!`]
for (const pattern of costly) {
  const from = performance.now()
  const problem = regexProblem(pattern)
  const ms = (performance.now() - from).toFixed(1)
  console.log(`${pattern} is ${problem === null ? 'accepted' : 'refused'} in ${ms} ms`)
}
if (sum === 0) console.log('nothing matched')
