/**
 * Which target a client comes back to, and the cookies that see to it.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/sticky-sessions.html
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { TargetStateCode } from '../../src/model/target-states.ts'
import { fieldValue } from '../support/message-reader.ts'
import { startTarget } from '../support/misbehaving-target.ts'
import { logFields } from '../support/plane.ts'
import type { RawResponse } from '../support/raw-client.ts'
import { type Scene, type SceneOptions, startScene } from '../support/scene.ts'
import { answering } from '../support/target-scripts.ts'

const get = (...headers: readonly string[]) => `GET / HTTP/1.1\r\n${['Host: a', ...headers].join('\r\n')}\r\n\r\n`
const withCookies = (...cookies: readonly string[]) => get(`Cookie: ${cookies.join('; ')}`)
const lbCookie = { 'stickiness.enabled': 'true', 'stickiness.type': 'lb_cookie' }
const appCookie = {
  'stickiness.enabled': 'true',
  'stickiness.type': 'app_cookie',
  'stickiness.app_cookie.cookie_name': 'JSESSIONID',
}
const expires = 'Thu, 08 Jan 2026 12:00:00 GMT' // seven days after the clock of a scene begins

/** Two targets that say who they are. */
const pair = (t: TestContext, groupAttributes: Record<string, string>, headers: readonly string[] = []) =>
  startScene(t, { targets: [answering(200, 'one', headers), answering(200, 'two', headers)], groupAttributes })

function setCookies(response: RawResponse): string[] {
  return response.headers.flatMap(line => line.match(/^set-cookie: (.*)$/i)?.[1] ?? [])
}

function cookieValue(response: RawResponse, name: string): string {
  const line = setCookies(response).find(cookie => cookie.startsWith(`${name}=`))
  assert.ok(line !== undefined, `${name} is set`)
  return line.slice(name.length + 1, line.indexOf(';'))
}

const nonSticky = (scene: Scene) => scene.plane.counters.loadBalancer(0, 'NonStickyRequestCount')

test('without stickiness no cookie is set', async t => {
  const scene = await pair(t, {})
  assert.deepEqual(setCookies(await scene.ask(get())), [])
  assert.equal(nonSticky(scene), 0)
})

test('lb_cookie sets two cookies of one value, between Connection and what the target says', async t => {
  const scene = await pair(t, lbCookie, ['Server: own', 'Set-Cookie: a=b'])
  const response = await scene.ask(get())
  const value = cookieValue(response, 'AWSALB')
  assert.match(value, /^[A-Za-z0-9+/]{128}$/)
  assert.deepEqual(response.headers.slice(-5), [
    'Connection: keep-alive',
    `Set-Cookie: AWSALB=${value}; Expires=${expires}; Path=/`,
    `Set-Cookie: AWSALBCORS=${value}; Expires=${expires}; Path=/; SameSite=None`,
    'Server: own',
    'Set-Cookie: a=b',
  ])
})

test('a client comes back to its target, whichever of the two cookies it brings', async t => {
  const scene = await pair(t, lbCookie)
  const first = await scene.ask(get())
  for (const name of ['AWSALB', 'AWSALBCORS']) {
    for (let i = 0; i < 3; i++) {
      const again = await scene.ask(withCookies('x=AWSALB', `${name}=${cookieValue(first, name)}`, 'y=z'))
      assert.equal(again.body.toString(), first.body.toString())
    }
  }
  assert.equal(nonSticky(scene), 1, 'the first request of a client counts')
})

test('of two cookies that differ, AWSALBCORS counts', async t => {
  const scene = await pair(t, lbCookie)
  const [one, two] = [await scene.ask(get()), await scene.ask(get())]
  assert.notEqual(one.body.toString(), two.body.toString())
  const cookies = withCookies(`AWSALB=${cookieValue(one, 'AWSALB')}`, `AWSALBCORS=${cookieValue(two, 'AWSALB')}`)
  for (let i = 0; i < 3; i++) assert.equal((await scene.ask(cookies)).body.toString(), two.body.toString())
})

test('each response begins the duration anew, and once it is over the client is free', async t => {
  const scene = await pair(t, { ...lbCookie, 'stickiness.lb_cookie.duration_seconds': '60' })
  let response = await scene.ask(get())
  const name = response.body.toString()
  const early = cookieValue(response, 'AWSALB')
  for (let i = 0; i < 3; i++) {
    scene.plane.clock.advance(59_999)
    response = await scene.ask(withCookies(`AWSALB=${cookieValue(response, 'AWSALB')}`))
    assert.equal(response.body.toString(), name)
  }
  assert.equal(nonSticky(scene), 1)
  const answers = [
    await scene.ask(withCookies(`AWSALB=${early}`)),
    await scene.ask(withCookies(`AWSALB=${early}`)),
  ].map(({ body }) => body.toString())
  assert.deepEqual(answers.toSorted(), ['one', 'two'])
  assert.equal(nonSticky(scene), 3)
})

for (const [what, change] of [
  ['one of another alphabet', (value: string) => encodeURIComponent(`${value.slice(0, -1)}+`)],
  [
    'one with a bit changed',
    (value: string) => `${value.slice(0, 60)}${value[60] === 'A' ? 'B' : 'A'}${value.slice(61)}`,
  ],
  ['one that is too short', (value: string) => value.slice(4)],
  ['an empty one', () => ''],
] as const) {
  test(`a cookie that is not ours frees the client, and a new one is set: ${what}`, async t => {
    const scene = await pair(t, lbCookie)
    const value = change(cookieValue(await scene.ask(get()), 'AWSALB'))
    const response = await scene.ask(withCookies(`AWSALB=${value}`))
    assert.equal(response.status, 200)
    assert.notEqual(cookieValue(response, 'AWSALB'), value)
    assert.equal(nonSticky(scene), 2)
  })
}

test('when its target is no longer healthy, the client goes to another and stays there', async t => {
  const scene = await pair(t, lbCookie)
  const first = await scene.ask(get())
  const [slot] = scene.plane.slotsOf(scene.targets[first.body.toString() === 'one' ? 0 : 1]!.port)
  const { states } = scene.plane
  states.setState(slot!, TargetStateCode.unhealthy)
  const moved = await scene.ask(withCookies(`AWSALB=${cookieValue(first, 'AWSALB')}`))
  assert.notEqual(moved.body.toString(), first.body.toString())
  assert.equal(nonSticky(scene), 2)
  states.setState(slot!, TargetStateCode.healthy)
  for (let i = 0; i < 3; i++) {
    const again = await scene.ask(withCookies(`AWSALB=${cookieValue(moved, 'AWSALB')}`))
    assert.equal(again.body.toString(), moved.body.toString())
  }
})

test('a deregistered target has no clients left', async t => {
  const scene = await pair(t, lbCookie)
  const first = await scene.ask(get())
  const gone = first.body.toString() === 'one' ? 0 : 1
  await scene.plane.publish(scene.config({ addresses: [{ id: '127.0.0.1', port: scene.targets[1 - gone]!.port }] }))
  const response = await scene.ask(withCookies(`AWSALB=${cookieValue(first, 'AWSALB')}`))
  assert.notEqual(response.body.toString(), first.body.toString())
})

// --- Application cookies ---

const removed = (rest = '') => [0, 1, 2, 3].map(i => `AWSALBAPP-${i}=_remove_; Expires=${expires}; Path=/${rest}`)

test('app_cookie ties nobody before the target sets the cookie', async t => {
  const scene = await pair(t, appCookie, ['Set-Cookie: JSESSIONIDX=1', 'Set-Cookie: other=JSESSIONID=1'])
  assert.deepEqual(setCookies(await scene.ask(get())).slice(0, 4), removed())
})

test('app_cookie ties the client once the target sets the cookie, whatever its value and age', async t => {
  const scene = await pair(t, appCookie, ['Set-Cookie: JSESSIONID=; Max-Age=0'])
  const first = await scene.ask(get())
  const value = cookieValue(first, 'AWSALBAPP-0')
  assert.match(value, /^[A-Za-z0-9+/]{128}$/)
  assert.deepEqual(setCookies(first).slice(1, 4), removed().slice(1))
  const both = withCookies('JSESSIONID=', `AWSALBAPP-0=${value}`, 'AWSALBAPP-1=_remove_')
  for (let i = 0; i < 3; i++) assert.equal((await scene.ask(both)).body.toString(), first.body.toString())
})

test('app_cookie needs both cookies to come back', async t => {
  const scene = await pair(t, appCookie, ['Set-Cookie: JSESSIONID=1'])
  const value = cookieValue(await scene.ask(get()), 'AWSALBAPP-0')
  const answers = [
    await scene.ask(withCookies(`AWSALBAPP-0=${value}`)),
    await scene.ask(withCookies(`AWSALBAPP-0=${value}`)),
  ].map(({ body }) => body.toString())
  assert.deepEqual(answers.toSorted(), ['one', 'two'])
})

test('an app_cookie session is renewed by responses that do not set the cookie', async t => {
  const scene = await pair(t, appCookie)
  const ticketOf = async (headers: readonly string[]) => {
    const target = await startTarget(answering(200, 'one', headers))
    t.after(() => target.close())
    return target
  }
  const setting = await ticketOf(['Set-Cookie: JSESSIONID=1'])
  await scene.plane.publish(scene.config({ addresses: [{ id: '127.0.0.1', port: setting.port }] }))
  const value = cookieValue(await scene.ask(get()), 'AWSALBAPP-0')
  const silent = await ticketOf([])
  await scene.plane.publish(scene.config({ addresses: [{ id: '127.0.0.1', port: silent.port }] }))
  const response = await scene.ask(withCookies('JSESSIONID=1', `AWSALBAPP-0=${value}`))
  assert.match(cookieValue(response, 'AWSALBAPP-0'), /^[A-Za-z0-9+/]{128}$/)
})

for (const [agent, origin, rest] of [
  [
    'Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/80.0.1 Safari/537.36',
    true,
    '; SameSite=None; Secure',
  ],
  ['Chromium/120', true, '; SameSite=None; Secure'],
  ['Mozilla/5.0 Chrome/79.0', true, ''],
  ['Mozilla/5.0 Firefox/120.0', true, ''],
  ['Mozilla/5.0 Chrome/120.0', false, ''],
] as const) {
  test(`app_cookie for ${agent.slice(0, 25)}${origin ? ' across sites' : ''} says "${rest}"`, async t => {
    const scene = await pair(t, appCookie)
    const headers = [`User-Agent: ${agent}`, ...(origin ? ['Origin: http://b'] : [])]
    assert.deepEqual(setCookies(await scene.ask(get(...headers))), removed(rest))
  })
}

// --- Target groups ---

type Weights = Readonly<Record<string, number>>

/** A forward to `app` and `other`, whose targets are `one` and `two`. */
async function weighted(t: TestContext, weights: Weights, more: SceneOptions = {}, seconds = 0): Promise<Scene> {
  const two = await startTarget(answering(200, 'two'))
  t.after(() => two.close())
  const targetGroups = Object.entries(weights).map(([targetGroup, weight]) => ({ targetGroup, weight }))
  const stickiness = seconds === 0 ? {} : { targetGroupStickiness: { enabled: true, durationSeconds: seconds } }
  return startScene(t, {
    targets: [answering(200, 'one')],
    groups: [
      { name: 'other', protocol: 'HTTP', port: 80, targets: [{ id: '127.0.0.1', port: two.port }] },
      { name: 'empty', protocol: 'HTTP', port: 80, targets: [] },
    ],
    defaultAction: { type: 'forward', forward: { targetGroups, ...stickiness } },
    ...more,
  })
}

test('a target group of weight 0 gets nothing', async t => {
  const scene = await weighted(t, { app: 0, other: 1 })
  for (let i = 0; i < 20; i++) assert.equal((await scene.ask(get())).body.toString(), 'two')
})

test('with all weights 0 nobody answers: 503', async t => {
  const scene = await weighted(t, { app: 0, other: 0 })
  assert.equal((await scene.ask(get())).status, 503)
  assert.deepEqual(scene.plane.faults, ['weightsZero'])
})

test('an empty target group keeps its share, and answers it with 503', async t => {
  const scene = await weighted(t, { app: 1, empty: 1 })
  const statuses = new Set<number>()
  for (let i = 0; i < 100; i++) statuses.add((await scene.ask(get())).status) // both, but for 1 run in 2^99
  assert.deepEqual([...statuses].toSorted(), [200, 503])
})

test('target group stickiness sets AWSALBTG and its twin, and brings the client back to the group', async t => {
  const scene = await weighted(t, { app: 1, other: 1 }, {}, 60)
  const first = await scene.ask(get())
  const value = cookieValue(first, 'AWSALBTG')
  assert.deepEqual(setCookies(first), [
    `AWSALBTG=${value}; Expires=${expires}; Path=/`,
    `AWSALBTGCORS=${value}; Expires=${expires}; Path=/; SameSite=None`,
  ])
  for (let i = 0; i < 40; i++) {
    const name = i % 2 === 0 ? 'AWSALBTG' : 'AWSALBTGCORS'
    assert.equal((await scene.ask(withCookies(`${name}=${value}`))).body.toString(), first.body.toString())
  }
  scene.plane.clock.advance(60_000)
  const free = new Set<string>()
  for (let i = 0; i < 100; i++) free.add((await scene.ask(withCookies(`AWSALBTG=${value}`))).body.toString())
  assert.deepEqual([...free].toSorted(), ['one', 'two'])
  assert.equal(logFields((await scene.plane.logLines()).at(-1)!)[25], '-')
})

test('a group cookie that is not ours is named in the log, and the request goes on', async t => {
  const scene = await weighted(t, { app: 1, other: 1 }, {}, 60)
  const value = cookieValue(await scene.ask(get()), 'AWSALBTG')
  const response = await scene.ask(withCookies(`AWSALBTG=${encodeURIComponent(`+${value.slice(1)}`)}`))
  assert.equal(response.status, 200)
  assert.match(cookieValue(response, 'AWSALBTG'), /^[A-Za-z0-9+/]{128}$/)
  assert.deepEqual(
    (await scene.plane.logLines()).map(line => logFields(line)[25]),
    ['-', 'AWSALBTGCookieInvalid'],
  )
})

test('a target cookie does not pass for a group cookie', async t => {
  const scene = await weighted(t, { app: 1, other: 1 }, { groupAttributes: lbCookie }, 60)
  let ticket: string | null = null
  while (ticket === null) {
    const response = await scene.ask(get())
    if (response.body.toString() === 'one') ticket = cookieValue(response, 'AWSALB')
  }
  await scene.ask(withCookies(`AWSALBTG=${ticket}`))
  assert.equal(logFields((await scene.plane.logLines()).at(-1)!)[25], 'AWSALBTGCookieInvalid')
})

test('both kinds together: the group first, then the target in it', async t => {
  const scene = await weighted(t, { app: 1, other: 0 }, { groupAttributes: lbCookie }, 60)
  const names = setCookies(await scene.ask(get())).map(cookie => cookie.slice(0, cookie.indexOf('=')))
  assert.deepEqual(names, ['AWSALBTG', 'AWSALBTGCORS', 'AWSALB', 'AWSALBCORS'])
})

test('answers of the load balancer itself carry no cookies', async t => {
  const scene = await weighted(t, { empty: 1, app: 0 }, {}, 60)
  const response = await scene.ask(get())
  assert.equal(response.status, 503)
  assert.equal(fieldValue(response.headers, 'set-cookie'), null)
})
