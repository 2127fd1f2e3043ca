import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatProblem, parseConfig } from '../config.ts'
import { assertProblems, testAccepted, testRefused, withForward } from './marked.test-support.ts'

const forward = (members: string) => withForward(`{ type: forward, forward: { ${members} } }`)
const groups = (items: string) => forward(`targetGroups: ${items}`)
const both = (rest: string) =>
  `{ type: forward, forward: { targetGroups: [{ targetGroup: a, weight: 1 }, { targetGroup: b, weight: 1 }]${rest} } }`
const stickiness = (members: string) => withForward(both(`, targetGroupStickiness: { ${members} }`))

testRefused([
  [
    'a forward to nowhere',
    withForward('«{ type: forward }'),
    'targetGroup is missing: it must be the name of a target group, unless forward names several',
  ],
  [
    'members of forward beside it',
    withForward('{ type: forward, targetGroup: a, «targetGroups: [], «targetGroupStickiness: {} }'),
    'targetGroups belongs in a map under forward',
    'targetGroupStickiness belongs in a map under forward',
  ],
  ['no target group', groups('«[]'), 'targetGroups must hold 1 to 5 target groups, not none'],
  [
    'six target groups',
    groups(`«[${['a', 'b', 'c', 'd', 'e', 'f'].map(name => `{ targetGroup: ${name}, weight: 1 }`).join(', ')}]`),
    'targetGroups must hold 1 to 5 target groups, not 6',
  ],
  [
    'a target group by name alone',
    groups('[«a]'),
    'targetGroups[0] must be a map with targetGroup and weight, not "a"',
  ],
  [
    'a weight of 1000',
    groups('[{ targetGroup: a, weight: «1000 }]'),
    'weight must be a whole number from 0 to 999, not 1000',
  ],
  [
    'a weight of -1',
    groups('[{ targetGroup: a, weight: «-1 }]'),
    'weight must be a whole number from 0 to 999, not -1',
  ],
  [
    'a weight left out where there are several groups',
    groups('[{ targetGroup: a, weight: 1 }, «{ targetGroup: b }]'),
    'weight is missing: it must be a whole number from 0 to 999 when there are several groups',
  ],
  [
    'a weight that was refused is not called missing as well',
    groups('[{ targetGroup: a, weight: 1 }, { targetGroup: b, weight: «x }]'),
    'weight must be a whole number from 0 to 999, not "x"',
  ],
  [
    'a target group twice',
    groups('[{ targetGroup: a, weight: 1 }, { targetGroup: «a, weight: 2 }]'),
    /targetGroup must differ within an action: "a" is also at openalb\.yaml:3:\d+/,
  ],
  [
    'targetGroup beside another single group',
    withForward('{ type: forward, targetGroup: «a, forward: { targetGroups: [{ targetGroup: b }] } }'),
    'targetGroup must be left out, or be the one group that forward.targetGroups has',
  ],
  [
    'targetGroup beside several groups',
    withForward(both('').replace('forward: {', 'targetGroup: «a, forward: {')),
    'targetGroup must be left out, or be the one group that forward.targetGroups has',
  ],
  [
    'an unknown group among several',
    groups('[{ targetGroup: a, weight: 1 }, { targetGroup: «zebra, weight: 1 }]'),
    'targetGroup names no target group: "zebra"; defined are a, b, c, d, e, f',
  ],
])

testRefused([
  [
    'stickiness without saying whether',
    stickiness('durationSeconds: 60').replace('Stickiness: {', 'Stickiness: «{'),
    'enabled is missing: it must be true or false',
  ],
  ['stickiness enabled in words', stickiness('enabled: «"true"'), 'enabled must be true or false, not "true"'],
  [
    'stickiness without a duration',
    stickiness('enabled: true').replace('Stickiness: {', 'Stickiness: «{'),
    'durationSeconds is missing: it must be a whole number from 1 to 604800 when target groups are sticky',
  ],
  ...['0', '604801', '1.5'].map(
    duration =>
      [
        `a duration of ${duration}`,
        stickiness(`enabled: true, durationSeconds: «${duration}`),
        `durationSeconds must be a whole number from 1 to 604800, not ${duration}`,
      ] as const,
  ),
])

testAccepted([
  [
    'five target groups',
    groups(`[${['a', 'b', 'c', 'd', 'e'].map((name, at) => `{ targetGroup: ${name}, weight: ${at} }`).join(', ')}]`),
  ],
  ['the largest weight', groups('[{ targetGroup: a, weight: 999 }]')],
  ['a single group without a weight', groups('[{ targetGroup: a }]')],
  [
    'targetGroup beside the same single group',
    withForward('{ type: forward, targetGroup: a, forward: { targetGroups: [{ targetGroup: a, weight: 5 }] } }'),
  ],
  ['stickiness of a second', stickiness('enabled: true, durationSeconds: 1')],
  ['stickiness of a week', stickiness('enabled: true, durationSeconds: 604800')],
  ['stickiness turned off', stickiness('enabled: false')],
])

const lbCookie = 'stickiness.enabled: "true"'
const appCookie = `${lbCookie}, stickiness.type: app_cookie, stickiness.app_cookie.cookie_name: session`
const enabled = ', targetGroupStickiness: { enabled: true, durationSeconds: 60 }'

test('a sticky group among several needs sticky target groups', () => {
  const wanted = /targetGroupStickiness must be enabled: the target group "b" has stickiness at openalb\.yaml:6:\d+/
  assertProblems(withForward(both('').replace('forward: {', 'forward: «{'), { b: lbCookie }), [wanted])
  const off = ', targetGroupStickiness: «{ enabled: false }'
  assertProblems(withForward(both(off), { b: lbCookie }), [wanted])
})

test('it is asked for once, however many groups are sticky', () => {
  assertProblems(withForward(both('').replace('forward: {', 'forward: «{'), { a: lbCookie, b: lbCookie }), [/.*"a".*/])
})

test('app_cookie stickiness is refused among several groups, whatever theirs', () => {
  for (const rest of [enabled, '']) {
    assertProblems(withForward(both(rest).replace('targetGroup: b', 'targetGroup: «b'), { b: appCookie }), [
      /targetGroup "b" has app_cookie stickiness at openalb\.yaml:6:\d+, which does not work with several target groups/,
    ])
  }
})

testAccepted([
  ['a sticky group among several sticky ones', withForward(both(enabled), { a: lbCookie })],
  ['a sticky group alone', withForward('{ type: forward, targetGroup: a }', { a: appCookie })],
  [
    'a sticky group alone in a list',
    withForward('{ type: forward, forward: { targetGroups: [{ targetGroup: a }] } }', { a: lbCookie }),
  ],
  ['a group whose stickiness is turned off', withForward(both(''), { a: appCookie.replace('true', 'false') })],
])

test('a target group serves one load balancer, whichever place of a forward names it', () => {
  const listener = (port: number, second: string) =>
    `{ protocol: HTTP, port: ${port}, defaultActions: [{ type: forward, forward: { targetGroups: [{ targetGroup: g${port}, weight: 1 }, { targetGroup: ${second}, weight: 1 }] } }] }`
  const group = (name: string) => `{ name: ${name}, protocol: HTTP, port: 1 }`
  assertProblems(
    `loadBalancers:
  - { name: a, listeners: [${listener(80, 'shared')}] }
  - { name: b, listeners: [${listener(81, '«shared')}] }
targetGroups: [${['g80', 'g81', 'shared'].map(group).join(', ')}]`,
    [/targetGroup "shared" is already used by another load balancer at openalb\.yaml:2:\d+: .*/],
  )
})

function warningsOf(text: string): string[] {
  const result = parseConfig([{ name: 'f', text }])
  assert.ok(result.ok, result.ok ? '' : result.problems.map(formatProblem).join('\n'))
  return result.config.warnings.map(formatProblem).filter(warning => !warning.includes('is not used'))
}

test('warned of: weights that are all 0', () => {
  const zeros = 'targetGroups have no weight but 0: requests are answered with 503'
  const [warning, ...others] = warningsOf(groups('[{ targetGroup: a, weight: 0 }, { targetGroup: b, weight: 0 }]'))
  assert.match(warning ?? '', new RegExp(`^f:3:\\d+: ${zeros}$`))
  assert.deepEqual(others, [])
  assert.deepEqual(warningsOf(groups('[{ targetGroup: a, weight: 0 }]')).length, 1)
  assert.deepEqual(warningsOf(groups('[{ targetGroup: a, weight: 0 }, { targetGroup: b, weight: 1 }]')), [])
})

test('a group that only a list names is not called unused', () => {
  const result = parseConfig([{ name: 'f', text: withForward(both('')) }])
  assert.deepEqual(
    result.ok && result.config.warnings.map(({ message }) => message),
    ['c', 'd', 'e', 'f'].map(name => `name "${name}" is not used: no listener forwards to it`),
  )
})
