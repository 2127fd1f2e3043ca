/**
 * Which rule a request meets, what the rule does, and what a new configuration changes for whom.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-rules.html
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TargetStateCode } from '../../src/model/target-states.ts'
import type { Script } from '../support/misbehaving-target.ts'
import { logFields } from '../support/plane.ts'
import { forwardToApp, type Scene, startScene } from '../support/scene.ts'
import { answering } from '../support/target-scripts.ts'
import { caughtUp } from '../support/turns.ts'

const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const saying = (messageBody: string) => ({
  type: 'fixed-response',
  fixedResponse: { statusCode: 200, messageBody },
})
const rule = (priority: number, conditions: readonly unknown[], body = String(priority)) => ({
  priority,
  conditions,
  actions: [saying(body)],
})
const paths = (...values: string[]) => ({ field: 'path-pattern', values })
const hosts = (...values: string[]) => ({ field: 'host-header', values })
const defaultAction = saying('0')

async function meets(scene: Scene, target: string, host = 'a'): Promise<string> {
  return (await scene.ask(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).body.toString()
}

// --- Matching ---

test('the lowest priority that matches wins, in whatever order the rules are written', async t => {
  const rules = [rule(50_000, [paths('/a/b/*')]), rule(7, [paths('/a/*')]), rule(300, [paths('/*')])]
  const scene = await startScene(t, { defaultAction, rules })
  assert.equal(await meets(scene, '/a/b/c'), '7')
  assert.equal(await meets(scene, '/b'), '300')
  const logged = (await scene.plane.logLines()).map(line => logFields(line)[21])
  assert.deepEqual(logged, ['7', '300'])
})

const matches: readonly (readonly [pattern: string, target: string, isMatch: boolean])[] = [
  ['/img/*', '/img/', true],
  ['/img/*', '/img/a/b.png', true],
  ['/img/*', '/img', false],
  ['/img/*', '/IMG/a', false],
  ['*.php', '/a/b.php', true],
  ['*.php', '/a/b.php?x=1', true],
  ['*.php', '/a/b.phps', false],
  ['/a?c', '/abc', true],
  ['/a?c', '/a/c', true],
  ['/a?c', '/ac', false],
  ['/a*b*c', '/a-c-b-c', true],
  ['/a*b*c', '/acb', false],
  ['/a?', '/a?b', false],
  ['/frag', '/frag#x', true],
  ['/frag', '/frag#x?y', true],
  ['/q', '/q?', true],
  ['/', 'http://x', true],
  ['/', 'http://x?q', true],
  ['/p', 'http://x/p?q', true],
]

for (const [pattern, target, isMatch] of matches) {
  test(`path pattern ${pattern} ${isMatch ? 'matches' : 'does not match'} ${target}`, async t => {
    const scene = await startScene(t, { defaultAction, rules: [rule(1, [paths(pattern)])] })
    assert.equal(await meets(scene, target), isMatch ? '1' : '0')
  })
}

const hostMatches: readonly (readonly [pattern: string, host: string, isMatch: boolean])[] = [
  ['www.example.com', 'www.example.com', true],
  ['WWW.example.COM', 'www.EXAMPLE.com', true],
  ['www.example.com', 'www.example.com:8080', true],
  ['*.example.com', 'a.b.example.com', true],
  ['*.example.com', 'example.com', false],
  ['???.example.com', 'api.example.com', true],
  ['???.example.com', 'app2.example.com', false],
]

for (const [pattern, host, isMatch] of hostMatches) {
  test(`host pattern ${pattern} ${isMatch ? 'matches' : 'does not match'} ${host}`, async t => {
    const scene = await startScene(t, { defaultAction, rules: [rule(1, [hosts(pattern)])] })
    assert.equal(await meets(scene, '/', host), isMatch ? '1' : '0')
  })
}

test('an absolute target outweighs the Host for rules, too', async t => {
  const scene = await startScene(t, { defaultAction, rules: [rule(1, [hosts('b.example')])] })
  assert.equal(await meets(scene, 'http://b.example/', 'a.example'), '1')
  assert.equal(await meets(scene, 'http://a.example/', 'b.example'), '0')
})

test('values of one condition are alternatives, conditions must all match', async t => {
  const rules = [rule(1, [paths('/a', '/b'), hosts('one.example', 'two.example')])]
  const scene = await startScene(t, { defaultAction, rules })
  assert.equal(await meets(scene, '/b', 'two.example'), '1')
  assert.equal(await meets(scene, '/b', 'three.example'), '0')
  assert.equal(await meets(scene, '/c', 'one.example'), '0')
})

test('HTTP/1.0 without Host meets rules for the name of the load balancer', async t => {
  const first = await startScene(t, { defaultAction })
  const { dnsName } = first.loadBalancer
  await first.plane.publish(first.config({ rules: [rule(1, [hosts(dnsName)])] }))
  const client = await first.client()
  await client.send('GET / HTTP/1.0\r\n\r\n')
  assert.equal((await client.readResponse()).body.toString(), '1')
})

// --- Actions that need no target ---

test('a fixed response is sent as it is configured', async t => {
  const fixedResponse = { statusCode: 503, messageBody: '{"wait":"ü"}', contentType: 'application/json' }
  const scene = await startScene(t, { defaultAction: { type: 'fixed-response', fixedResponse } })
  const { raw } = await scene.ask(get)
  const lines = [
    'HTTP/1.1 503 Service Temporarily Unavailable',
    'Server: awselb/2.0',
    'Date: Thu, 01 Jan 2026 12:00:00 GMT',
    'Content-Type: application/json; charset=utf-8',
    'Content-Length: 13',
    'Connection: keep-alive',
    '',
    '{"wait":"ü"}',
  ]
  assert.equal(raw.toString('utf8'), lines.join('\r\n'))
  const { counters } = scene.plane
  assert.equal(counters.loadBalancer(0, 'HTTP_Fixed_Response_Count'), 1)
  assert.equal(counters.loadBalancer(0, 'HTTPCode_ELB_503_Count'), 1)
  assert.equal(counters.loadBalancer(0, 'RequestCount'), 0)
  assert.deepEqual(scene.plane.faults, [])
})

test('a fixed 204 has neither a body nor a length', async t => {
  const defaultAction = { type: 'fixed-response', fixedResponse: { statusCode: 204 } }
  const scene = await startScene(t, { defaultAction })
  const { headers, status } = await scene.ask(get)
  assert.equal(status, 204)
  assert.deepEqual(
    headers.map(line => line.split(':', 1)[0]),
    ['Server', 'Date', 'Connection'],
  )
})

test('with a preserved Host, rules look at the host that the target will see', async t => {
  const scene = await startScene(t, {
    targets: [answering(200, 'public')],
    attributes: { 'routing.http.preserve_host_header.enabled': 'true' },
    defaultAction: saying('other'),
    rules: [{ priority: 1, conditions: [hosts('public.test')], actions: [forwardToApp] }],
  })
  assert.equal(await meets(scene, 'http://admin.test/', 'public.test'), 'public')
  assert.equal(await meets(scene, 'http://public.test/', 'admin.test'), 'other')
  assert.equal((await scene.ask('GET http://public.test/ HTTP/1.1\r\nHost: a b\r\n\r\n')).status, 400)
})

test('a fixed response is not padded for browsers, and has no body for HEAD', async t => {
  const fixedResponse = { statusCode: 404, messageBody: 'no' }
  const scene = await startScene(t, { defaultAction: { type: 'fixed-response', fixedResponse } })
  const browser = await scene.ask('GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: Chrome/143.0\r\n\r\n')
  assert.equal(browser.body.toString(), 'no')
  const head = await scene.ask('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.match(head.raw.toString(), /\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n$/)
})

const request = 'GET /p/q?x=1&y HTTP/1.1\r\nHost: WWW.Example.com:8080\r\n\r\n'
const redirects: readonly (readonly [what: string, redirect: Readonly<Record<string, unknown>>, location: string])[] = [
  ['another protocol and port', { protocol: 'HTTPS', port: 443 }, 'https://www.example.com:443/p/q?x=1&y'],
  ['the same protocol on its usual port', { protocol: 'HTTP', port: 80 }, 'http://www.example.com:80/p/q?x=1&y'],
  ['another host', { host: 'b.example' }, 'http://b.example:8080/p/q?x=1&y'],
  ['another path', { path: '/new' }, 'http://www.example.com:8080/new?x=1&y'],
  ['no query', { path: '/new', query: '' }, 'http://www.example.com:8080/new'],
  [
    'every placeholder',
    {
      protocol: '#{protocol}',
      host: 'new.#{host}',
      port: '#{port}',
      path: '/#{host}/#{port}/#{path}/end',
      query: '#{query}&p=#{protocol}&h=#{host}&o=#{port}&a=#{path}',
    },
    'http://new.www.example.com:8080/www.example.com/8080/p/q/end?x=1&y&p=http&h=www.example.com&o=8080&a=p/q',
  ],
]

for (const [what, redirect, location] of redirects) {
  test(`a redirect to ${what}`, async t => {
    const scene = await startScene(t, {
      port: 8080,
      defaultAction: { type: 'redirect', redirect: { ...redirect, statusCode: 'HTTP_301' } },
    })
    const { raw } = await scene.ask(request)
    const page = [
      '<html>',
      '<head><title>301 Moved Permanently</title></head>',
      '<body>',
      '<center><h1>301 Moved Permanently</h1></center>',
      '</body>',
      '</html>',
      '',
    ]
    const lines = [
      'HTTP/1.1 301 Moved Permanently',
      'Server: awselb/2.0',
      'Date: Thu, 01 Jan 2026 12:00:00 GMT',
      'Content-Type: text/html',
      'Content-Length: 134',
      'Connection: keep-alive',
      `Location: ${location}`,
      '',
      ...page,
    ]
    assert.equal(raw.toString(), lines.join('\r\n'))
    assert.equal(logFields(await scene.line())[24], location)
    const { counters } = scene.plane
    assert.equal(counters.loadBalancer(0, 'HTTP_Redirect_Count'), 1)
    assert.equal(counters.loadBalancer(0, 'HTTPCode_ELB_3XX_Count'), 1)
    assert.equal(counters.loadBalancer(0, 'RequestCount'), 0)
  })
}

test('a 302 has the older status line and the newer page', async t => {
  const redirect = { host: 'b.example', statusCode: 'HTTP_302' }
  const scene = await startScene(t, { defaultAction: { type: 'redirect', redirect } })
  const { startLine, body, headers } = await scene.ask('GET http://x?q HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.equal(startLine, 'HTTP/1.1 302 Moved Temporarily')
  assert.equal(body.length, 110)
  assert.ok(headers.includes('Location: http://b.example:80/?q'))
})

test('a placeholder that a client writes into its request is only text', async t => {
  const redirect = { host: 'b.example', statusCode: 'HTTP_301' }
  const scene = await startScene(t, { defaultAction: { type: 'redirect', redirect } })
  const { headers } = await scene.ask('GET /#{host}$&?#{port} HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.ok(headers.includes('Location: http://b.example:80/#{host}$&?#{port}'))
})

test('a request body is read to its end where nobody wants it', async t => {
  const scene = await startScene(t, { defaultAction })
  const client = await scene.client()
  for (const body of ['Content-Length: 3\r\n\r\nabc', 'Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n']) {
    await client.send(`POST / HTTP/1.1\r\nHost: a\r\n${body}`)
    assert.equal((await client.readResponse()).body.toString(), '0')
  }
  await scene.recorded(2)
})

// --- Which target ---

const three = { targets: [answering(), answering(), answering()] }
const shares = (scene: Scene) => scene.targets.map(({ requests }) => requests.length)

test('targets take turns', async t => {
  const scene = await startScene(t, three)
  for (let i = 0; i < 30; i++) await scene.ask(get)
  assert.deepEqual(shares(scene), [10, 10, 10])
  const targets = (await scene.plane.logLines()).map(line => logFields(line)[5])
  for (let i = 3; i < targets.length; i++) assert.equal(targets[i], targets[i - 3])
})

test('only healthy targets are used as long as there are any', async t => {
  for (const state of [TargetStateCode.unhealthy, TargetStateCode.initial, TargetStateCode.draining]) {
    const scene = await startScene(t, three)
    scene.plane.states.setState(1, state)
    for (let i = 0; i < 12; i++) assert.equal((await scene.ask(get)).status, 200)
    assert.deepEqual(shares(scene), [6, 0, 6])
    scene.plane.states.setState(0, state)
    for (let i = 0; i < 12; i++) await scene.ask(get)
    assert.deepEqual(shares(scene), [6, 0, 18])
  }
})

test('with no healthy target, all of them are used', async t => {
  const scene = await startScene(t, three)
  const states = [TargetStateCode.unhealthy, TargetStateCode.initial, TargetStateCode.unhealthy]
  for (const [slot, state] of states.entries()) scene.plane.states.setState(slot, state)
  for (let i = 0; i < 12; i++) assert.equal((await scene.ask(get)).status, 200)
  assert.deepEqual(shares(scene), [4, 4, 4])
})

test('a target that recovers takes its turn again', async t => {
  const scene = await startScene(t, three)
  scene.plane.states.setState(2, TargetStateCode.unhealthy)
  for (let i = 0; i < 4; i++) await scene.ask(get)
  scene.plane.states.setState(2, TargetStateCode.healthy)
  for (let i = 0; i < 6; i++) await scene.ask(get)
  assert.deepEqual(shares(scene), [4, 4, 2])
})

test('the turn goes on over a new configuration', async t => {
  const scene = await startScene(t, three)
  for (let i = 0; i < 9; i++) {
    await scene.ask(get)
    await scene.plane.publish(scene.config())
  }
  assert.deepEqual(shares(scene), [3, 3, 3])
})

// --- A new configuration ---

function answeringLate(): { readonly script: Script; readonly answer: () => void } {
  const gate = Promise.withResolvers<void>()
  return {
    async script(connection) {
      await connection.readRequest()
      await gate.promise
      await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold')
      await connection.drain()
    },
    answer: gate.resolve,
  }
}

test('a request under way ends as it began, the next one on its connection meets the new rules', async t => {
  const { script, answer } = answeringLate()
  const rules = [{ priority: 5, conditions: [paths('/*')], actions: [forwardToApp] }]
  const scene = await startScene(t, { targets: [script], rules, port: 80 })
  const client = await scene.client()
  await client.send(get + get)
  await scene.target.receivedRequests(1)
  await scene.plane.publish(scene.config({ rules: [rule(9, [paths('/*')], 'new')], port: 8080 }))
  answer()
  assert.equal((await client.readResponse()).body.toString(), 'old')
  assert.equal((await client.readResponse()).body.toString(), 'new')
  const logged = (await scene.plane.logLines()).map(line => {
    const fields = logFields(line)
    return [fields[13], fields[21], fields[23]]
  })
  assert.deepEqual(logged, [
    ['GET http://a:80/ HTTP/1.1', '5', 'forward'],
    ['GET http://a:8080/ HTTP/1.1', '9', 'fixed-response'],
  ])
})

test('a head that takes its time meets what is in force when it is complete, not targets that are gone', async t => {
  const scene = await startScene(t, { targets: [answering(200, 'old')] })
  const client = await scene.client()
  await client.send('GET / HTTP/1.1\r\nHo')
  await caughtUp()
  await scene.plane.publish(scene.config({ rules: [rule(9, [paths('/*')], 'new')], addresses: [] }))
  await client.send('st: a\r\n\r\n')
  assert.equal((await client.readResponse()).body.toString(), 'new')
  assert.equal(logFields(await scene.line())[21], '9')
  assert.equal(scene.target.connectionCount, 0)
})

test('a new idle timeout holds for connections that are open', async t => {
  const scene = await startScene(t, { defaultAction })
  const client = await scene.client()
  await caughtUp()
  await scene.plane.publish(scene.config({ attributes: { 'idle_timeout.timeout_seconds': '10' } }))
  scene.plane.clock.advance(10_000)
  assert.equal((await client.readUntilClose()).ending, 'fin')
})

test('a listener that is removed takes no connection, closes unused ones and ends what is under way', async t => {
  const { script, answer } = answeringLate()
  const scene = await startScene(t, { targets: [script] })
  const idle = await scene.client()
  const busy = await scene.client()
  await busy.send(get + get)
  await scene.target.receivedRequests(1)
  const { port } = scene.plane
  const config = JSON.parse(scene.config())
  config.loadBalancers[0].listeners = []
  await scene.plane.publish(JSON.stringify(config))
  await assert.rejects(scene.client('127.0.0.1', port), { code: 'ECONNREFUSED' })
  assert.equal((await idle.readUntilClose()).bytes.length, 0)
  answer()
  const response = await busy.readResponse()
  assert.equal(response.body.toString(), 'old')
  assert.ok(response.headers.includes('Connection: close'))
  assert.equal((await busy.readUntilClose()).bytes.length, 0)
  assert.equal((await scene.plane.logLines()).length, 1)
})

test('a removed target drains: it gets no request, and what it has may end within the delay', async t => {
  const { script, answer } = answeringLate()
  const groupAttributes = { 'deregistration_delay.timeout_seconds': '30' }
  const scene = await startScene(t, { targets: [script, answering(200, 'new')], groupAttributes })
  const client = await scene.client()
  await client.send(get)
  await scene.target.receivedRequests(1)
  const other = { id: '127.0.0.1', port: scene.targets[1]!.port }
  await scene.plane.publish(scene.config({ addresses: [other] }))
  assert.equal(scene.plane.states.state(0), TargetStateCode.draining)
  for (let i = 0; i < 4; i++) assert.equal((await scene.ask(get)).body.toString(), 'new')
  scene.plane.clock.advance(29_999)
  answer()
  assert.equal((await client.readResponse()).body.toString(), 'old')
  assert.equal(scene.plane.states.state(0), TargetStateCode.draining)
  scene.plane.clock.advance(1)
  assert.equal(scene.plane.states.state(0), TargetStateCode.unused)
  assert.deepEqual(scene.plane.faults, [])
  assert.equal(scene.target.requests.length, 1)
})

test('a target that is put back while it drains is not cut off', async t => {
  const { script, answer } = answeringLate()
  const groupAttributes = { 'deregistration_delay.timeout_seconds': '30' }
  const scene = await startScene(t, { targets: [script], groupAttributes })
  const client = await scene.client()
  await client.send(get)
  await scene.target.receivedRequests(1)
  await scene.plane.publish(scene.config({ addresses: [] }))
  scene.plane.clock.advance(20_000)
  await scene.plane.publish(scene.config())
  scene.plane.clock.advance(20_000)
  assert.deepEqual(scene.plane.drained, [])
  answer()
  assert.equal((await client.readResponse()).body.toString(), 'old')
})
