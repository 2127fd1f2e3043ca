/** How long connections live, on both sides, and what they carry. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lingerMs } from '../../src/model/limits.ts'
import type { Script } from '../support/misbehaving-target.ts'
import { logFields } from '../support/plane.ts'
import type { RawClient } from '../support/raw-client.ts'
import { type Scene, startScene } from '../support/scene.ts'
import * as scripts from '../support/target-scripts.ts'
import { caughtUp, until } from '../support/turns.ts'

const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const getPath = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
const answering = { targets: [scripts.answering(200, 'ok')] }
const fixedResponse = { type: 'fixed-response', fixedResponse: { statusCode: 200, messageBody: 'fixed' } }

async function assertClosed(client: RawClient): Promise<void> {
  const { bytes, ending } = await client.readUntilClose()
  assert.equal(bytes.toString(), '')
  assert.equal(ending, 'fin')
}

/** Answers each request when the test says so. */
function answeringLate(): { readonly script: Script; readonly answer: () => void } {
  let gate = Promise.withResolvers<void>()
  return {
    async script(connection) {
      while ((await connection.readRequest()) !== null) {
        await gate.promise
        await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate')
      }
    },
    answer() {
      gate.resolve()
      gate = Promise.withResolvers<void>()
    },
  }
}

// --- Towards targets ---

test('requests of several clients share a connection to the target', async t => {
  const scene = await startScene(t, answering)
  for (let i = 0; i < 5; i++) assert.equal((await scene.ask(get)).status, 200)
  assert.equal(scene.target.connectionCount, 1)
  assert.equal(scene.plane.counters.target(0, 'connectionsOpened'), 1)
})

test('requests at the same time have a connection each, and all of them are kept', async t => {
  const { script, answer } = answeringLate()
  const scene = await startScene(t, { targets: [script] })
  for (let round = 0; round < 2; round++) {
    const asked = [scene.ask(get), scene.ask(get), scene.ask(get)]
    await scene.target.receivedRequests(3 * (round + 1))
    answer()
    await Promise.all(asked)
    assert.equal(scene.target.connectionCount, 3)
  }
})

const unkept: readonly (readonly [what: string, script: Script])[] = [
  ['says that it closes', scripts.answering(200, 'ok', ['Connection: close'])],
  ['speaks HTTP/1.0', scripts.garbage('HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok')],
  ['closes', scripts.answersThenCloses(200, 'ok')],
  ['says more than it was asked', scripts.garbage('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokok')],
  [
    'ends its body with the connection',
    async connection => {
      await connection.readRequest()
      await connection.send('HTTP/1.1 200 OK\r\n\r\nok')
    },
  ],
]

for (const [what, script] of unkept) {
  test(`a target that ${what} is connected to anew`, async t => {
    const scene = await startScene(t, { targets: [script] })
    for (let i = 1; i <= 3; i++) {
      const client = await scene.client()
      await client.send(get)
      assert.equal((await client.readResponse()).body.toString(), 'ok')
      await scene.target.closedConnections()
      await caughtUp()
      assert.equal(scene.target.connectionCount, i)
    }
    assert.deepEqual(scene.plane.faults, [])
  })
}

test('an HTTP/1.0 target that says keep-alive is kept', async t => {
  const script: Script = async connection => {
    while ((await connection.readRequest()) !== null) {
      await connection.send('HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n')
    }
  }
  const scene = await startScene(t, { targets: [script] })
  await scene.ask(get)
  await scene.ask(get)
  assert.equal(scene.target.connectionCount, 1)
})

test('a connection that the target resets as it is used again is a 502, and nothing is tried again', async t => {
  const scene = await startScene(t, { targets: [scripts.resetsWhenReused(200, 'ok')] })
  assert.equal((await scene.ask(get)).status, 200)
  assert.equal((await scene.ask(get)).status, 502)
  assert.deepEqual(scene.plane.faults, ['targetReset'])
  assert.equal(scene.target.connectionCount, 1)
  assert.equal(scene.target.requests.length, 2)
  assert.deepEqual(logFields(await scene.line(1)).slice(6, 11), ['0.000', '0.000', '-1', '502', '-'])
})

test('an idle connection is closed after the idle timeout', async t => {
  const scene = await startScene(t, answering)
  await scene.ask(get)
  scene.plane.clock.advance(59_999)
  await caughtUp()
  assert.equal(scene.target.openConnectionCount, 1)
  scene.plane.clock.advance(1)
  await scene.target.closedConnections()
})

test('bytes that nobody asked for close an idle connection', async t => {
  const gate = Promise.withResolvers<void>()
  const script: Script = async connection => {
    await connection.readRequest()
    await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    await gate.promise
    await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison')
    await connection.drain()
  }
  const scene = await startScene(t, { targets: [scripts.inTurn(script, scripts.answering(200, 'ok'))] })
  await scene.ask(get)
  gate.resolve()
  await scene.target.closedConnections()
  assert.equal((await scene.ask(get)).body.toString(), 'ok')
})

test('a deregistered target keeps no connection: idle ones close at once, others with their answer', async t => {
  const { script, answer } = answeringLate()
  const scene = await startScene(t, { targets: [script] })
  const asked = [scene.ask(get), scene.ask(get)]
  await scene.target.receivedRequests(2)
  answer()
  await Promise.all(asked)
  const late = scene.ask(get)
  await scene.target.receivedRequests(3)
  await scene.plane.publish(scene.config({ addresses: [] }))
  await until(
    () => scene.target.openConnectionCount === 1,
    () => 'the idle connection to close',
  )
  answer()
  assert.equal((await late).body.toString(), 'late')
  await scene.target.closedConnections()
})

// --- Towards clients ---

test('a connection carries request after request, whatever answers them', async t => {
  const rules = [{ priority: 1, conditions: [{ field: 'path-pattern', values: ['/f'] }], actions: [fixedResponse] }]
  const scene = await startScene(t, { ...answering, rules })
  const client = await scene.client()
  for (const [path, body] of [
    ['/', 'ok'],
    ['/f', 'fixed'],
    ['/', 'ok'],
  ] as const) {
    await client.send(getPath(path))
    assert.equal((await client.readResponse()).body.toString(), body)
  }
  assert.equal(scene.plane.counters.loadBalancer(0, 'connectionsOpened'), 1)
})

test('pipelined requests are answered in their order, and reach the target one at a time', async t => {
  const { script, answer } = answeringLate()
  const rules = [{ priority: 1, conditions: [{ field: 'path-pattern', values: ['/f'] }], actions: [fixedResponse] }]
  const scene = await startScene(t, { targets: [script], rules })
  const client = await scene.client()
  await client.send(getPath('/1') + getPath('/f') + getPath('/2') + getPath('/f') + getPath('/3'))
  const bodies: string[] = []
  for (let i = 1; i <= 3; i++) {
    await scene.target.receivedRequests(i)
    await caughtUp()
    assert.equal(scene.target.requests.length, i)
    answer()
    bodies.push((await client.readResponse()).body.toString())
    if (i < 3) bodies.push((await client.readResponse()).body.toString())
  }
  assert.deepEqual(bodies, ['late', 'fixed', 'late', 'fixed', 'late'])
  assert.equal(scene.target.connectionCount, 1)
})

test('bodies of pipelined requests do not mix', async t => {
  const scene = await startScene(t, answering)
  const client = await scene.client()
  const post = (body: string) => `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const chunked = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbb\r\n0\r\n\r\n'
  await client.send(post('aa') + chunked + get + post('cc'))
  for (let i = 0; i < 4; i++) assert.equal((await client.readResponse()).status, 200)
  assert.deepEqual(
    scene.target.requests.map(({ body }) => body.toString()),
    ['aa', 'bb', '', 'cc'],
  )
})

test('whoever sends several requests and a FIN gets all answers and then a FIN', async t => {
  const scene = await startScene(t, answering)
  const client = await scene.client()
  await client.send(get + get + get)
  client.halfClose()
  for (let i = 0; i < 3; i++) assert.equal((await client.readResponse()).body.toString(), 'ok')
  await assertClosed(client)
  assert.deepEqual(scene.plane.faults, [])
})

test('an unused connection is closed after the idle timeout, and no line is logged', async t => {
  const scene = await startScene(t, answering)
  const client = await scene.client()
  await caughtUp()
  scene.plane.clock.advance(59_999)
  assert.equal(scene.plane.counters.loadBalancer(0, 'connectionsClosed'), 0)
  scene.plane.clock.advance(1)
  await assertClosed(client)
  assert.deepEqual(await scene.plane.logLines(), [])
  assert.deepEqual(scene.plane.faults, [])
})

test('the idle timeout begins with the end of an answer, however long that took', async t => {
  const { script, answer } = answeringLate()
  const scene = await startScene(t, { targets: [script] })
  const client = await scene.client()
  await client.send(get)
  await scene.target.receivedRequests(1)
  scene.plane.clock.advance(50_000)
  answer()
  await client.readResponse()
  scene.plane.clock.advance(59_999)
  await client.send(get)
  await scene.target.receivedRequests(2)
  answer()
  await client.readResponse()
  scene.plane.clock.advance(60_000)
  await assertClosed(client)
})

test('another idle timeout is kept as exactly', async t => {
  const scene = await startScene(t, { ...answering, attributes: { 'idle_timeout.timeout_seconds': '1' } })
  const client = await scene.client()
  await caughtUp()
  scene.plane.clock.advance(999)
  await client.send(get)
  assert.equal((await client.readResponse()).status, 200)
  scene.plane.clock.advance(1_000)
  await assertClosed(client)
})

const keepAlive = { 'client_keep_alive.seconds': '60', 'idle_timeout.timeout_seconds': '4000' }

test('behind the client keep-alive duration, one more request is served', async t => {
  const scene = await startScene(t, { ...answering, attributes: keepAlive })
  const client = await scene.client()
  await caughtUp()
  scene.plane.clock.advance(59_999)
  await client.send(get)
  assert.ok((await client.readResponse()).headers.includes('Connection: keep-alive'))
  scene.plane.clock.advance(1)
  await client.send(get + get)
  assert.ok((await client.readResponse()).headers.includes('Connection: close'))
  await assertClosed(client)
})

test('the client keep-alive duration of a connection is the one that it began with', async t => {
  const scene = await startScene(t, { ...answering, attributes: keepAlive })
  const client = await scene.client()
  await caughtUp()
  await scene.plane.publish(scene.config({ attributes: { ...keepAlive, 'client_keep_alive.seconds': '3600' } }))
  const later = await scene.client()
  await caughtUp()
  scene.plane.clock.advance(60_000)
  await client.send(get)
  assert.ok((await client.readResponse()).headers.includes('Connection: close'))
  await later.send(get)
  assert.ok((await later.readResponse()).headers.includes('Connection: keep-alive'))
})

const ambiguous = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab'

test('an ambiguous request is the last one on its connection, and on the connection to its target', async t => {
  const scene = await startScene(t, answering)
  await scene.ask(get)
  const client = await scene.client()
  await client.send(ambiguous + get)
  const response = await client.readResponse()
  assert.equal(response.status, 200)
  assert.ok(response.headers.includes('Connection: close'))
  await assertClosed(client)
  await scene.target.closedConnections()
  assert.equal(scene.target.requests.length, 2)
})

test('that holds as well where the load balancer answers by itself', async t => {
  for (const defaultAction of [fixedResponse, undefined]) {
    const scene = await startScene(t, { defaultAction })
    const client = await scene.client()
    await client.send(ambiguous + get)
    assert.ok((await client.readResponse()).headers.includes('Connection: close'))
    await assertClosed(client)
  }
})

test('an answer that closes is not lost behind what the client still sends', async t => {
  const scene = await startScene(t, answering)
  const client = await scene.client()
  await client.send('GET / HTTP/1.1\r\nBad Name: 1\r\n\r\n')
  await caughtUp()
  await client.send(Buffer.alloc(1024 * 1024))
  const { bytes, ending } = await client.readUntilClose()
  assert.equal(bytes.length, 272)
  assert.equal(ending, 'fin')
  assert.equal((await scene.plane.logLines()).length, 1)
})

test('a client that does not close in turn is closed', async t => {
  const scene = await startScene(t, answering)
  const client = await scene.client()
  await client.send('nonsense\r\n\r\n')
  assert.equal((await client.readUntilClose()).bytes.length, 272)
  const { counters } = scene.plane
  assert.equal(counters.loadBalancer(0, 'connectionsClosed'), 0)
  scene.plane.clock.advance(lingerMs)
  assert.equal(counters.loadBalancer(0, 'connectionsClosed'), 1)
})

test('connections are counted as they open and close', async t => {
  const scene = await startScene(t, answering)
  const { counters } = scene.plane
  const clients = [await scene.client(), await scene.client(), await scene.client()]
  await until(
    () => counters.loadBalancer(0, 'connectionsOpened') === 3,
    () => 'three connections',
  )
  clients[0]!.close()
  clients[1]!.reset()
  await until(
    () => counters.loadBalancer(0, 'connectionsClosed') === 2,
    () => 'two of them to close',
  )
  assert.equal(counters.loadBalancer(0, 'NewConnectionCount'), 3)
})

// --- Stopping ---

test('a stop closes unused connections, lets answers end, and says so in them', async t => {
  const { script, answer } = answeringLate()
  const scene: Scene = await startScene(t, { targets: [script] })
  const idle = await scene.client()
  const busy = await scene.client()
  await busy.send(get)
  await scene.target.receivedRequests(1)
  const { port } = scene.plane
  const stopped = scene.plane.plane.stop(25_000)
  await assertClosed(idle)
  await assert.rejects(scene.client('127.0.0.1', port), { code: 'ECONNREFUSED' })
  answer()
  const response = await busy.readResponse()
  assert.equal(response.body.toString(), 'late')
  assert.ok(response.headers.includes('Connection: close'))
  await assertClosed(busy)
  await scene.plane.letNotice(stopped)
  assert.deepEqual(scene.plane.faults, [])
})

test('empty lines between requests do not keep a connection', async t => {
  const scene = await startScene(t, answering)
  const client = await scene.client()
  await client.send(get)
  await client.readResponse()
  for (let second = 0; second < 59; second++) {
    await client.send('\r\n')
    await caughtUp()
    scene.plane.clock.advance(1_000)
  }
  await client.send(get)
  assert.equal((await client.readResponse()).status, 200, 'they are no harm either')
  for (let second = 0; second < 61; second++) {
    await client.send('\r\n').catch(() => {}) // it is gone at last
    await caughtUp()
    scene.plane.clock.advance(1_000)
  }
  await assertClosed(client)
})
