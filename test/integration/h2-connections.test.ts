/**
 * Connections from clients that speak HTTP/2: how they come to, how many requests they carry, and how they end.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-listeners.html
 */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { connect, type TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { h2RequestsMax, h2StreamsMax, lingerMs } from '../../src/model/limits.ts'
import { within } from '../support/deadline.ts'
import { askH2, connectH2 } from '../support/h2-client.ts'
import {
  ACK,
  data,
  END_STREAM,
  type Fields,
  frame,
  get,
  goAway,
  headers,
  post,
  preface,
  settings,
  windowUpdate,
} from '../support/h2-frames.ts'
import { connectRawH2 } from '../support/h2-raw-client.ts'
import type { Script } from '../support/misbehaving-target.ts'
import { needs } from '../support/needs.ts'
import { logFields } from '../support/plane.ts'
import { type Scene, type SceneOptions, startScene } from '../support/scene.ts'
import { secureListener } from '../support/secure-listener.ts'
import { answering, neverAnswers, sendsAfterRequest, slowBody } from '../support/target-scripts.ts'
import { caughtUp, until } from '../support/turns.ts'

const fixed = { type: 'fixed-response', fixedResponse: { statusCode: 200, messageBody: 'fixed' } }

async function startSecure(t: TestContext, options: SceneOptions = {}): Promise<Scene> {
  return startScene(t, { ...secureListener, targets: [answering(200, 'ok')], ...options })
}

/** A target that answers when the test says so. */
function answersWhen(gate: Promise<void>): Script {
  return async connection => {
    while ((await connection.readRequest()) !== null) {
      await gate
      await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate')
    }
  }
}

// --- How HTTP/2 is agreed on ---

async function handshake(t: TestContext, scene: Scene, ALPNProtocols: string[]): Promise<TLSSocket> {
  const { port } = scene.plane
  const socket = connect({ host: '127.0.0.1', port, ALPNProtocols, rejectUnauthorized: false, servername: 'a.example' })
  t.after(() => socket.destroy())
  await within(once(socket, 'secureConnect'), () => 'the handshake')
  return socket
}

async function firstBytes(socket: TLSSocket, request: string | Buffer): Promise<string> {
  socket.write(request)
  const [bytes] = (await within(once(socket, 'data'), () => 'an answer')) as [Buffer]
  return bytes.toString('latin1')
}

const withoutHttp2 = { attributes: { 'routing.http2.enabled': 'false' } }
const agreements: readonly (readonly [offered: string[], options: SceneOptions, chosen: string | false])[] = [
  [['h2', 'http/1.1'], {}, 'h2'],
  [['http/1.1', 'h2'], {}, 'h2'],
  [['spdy/9', 'h2'], {}, 'h2'],
  [['http/1.1'], {}, 'http/1.1'],
  [['h2c', 'spdy/9'], {}, false],
  [['h2', 'http/1.1'], withoutHttp2, 'http/1.1'],
  [['h2'], withoutHttp2, false],
]

for (const [offered, options, chosen] of agreements) {
  const where = options === withoutHttp2 ? ', where HTTP/2 is disabled,' : ''
  test(`a client that offers ${offered.join(' and ')}${where} gets ${chosen || 'no answer, and HTTP/1.1'}`, async t => {
    const scene = await startSecure(t, options)
    const socket = await handshake(t, scene, offered)
    assert.equal(socket.alpnProtocol, chosen)
    const isHttp2 = chosen === 'h2'
    const answer = await firstBytes(
      socket,
      isHttp2 ? Buffer.concat([preface, settings()]) : 'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    )
    assert.match(answer, isHttp2 ? /^\0\0\x0c\x04\0\0\0\0\0/ : /^HTTP\/1\.1 200 /)
  })
}

test('HTTP/2 without an agreement is a 505 on an HTTPS listener, too', async t => {
  const scene = await startSecure(t)
  const socket = await handshake(t, scene, ['http/1.1'])
  assert.match(await firstBytes(socket, preface), /^HTTP\/1\.1 505 /)
})

test('HTTP/2 can be switched off and on; connections that are open go on', async t => {
  const scene = await startSecure(t)
  const before = await connectH2(t, scene.plane.port)
  await scene.plane.publish(scene.config(withoutHttp2))
  assert.equal((await handshake(t, scene, ['h2'])).alpnProtocol, false)
  assert.equal((await askH2(before)).status, 200)
  await scene.plane.publish(scene.config())
  assert.equal((await askH2(await connectH2(t, scene.plane.port))).status, 200)
})

test('curl speaks HTTP/2 up and down', { skip: needs('curl') }, async t => {
  const scene = await startSecure(t)
  const body = 'x'.repeat(300_000)
  const url = `https://127.0.0.1:${scene.plane.port}/`
  const args = [
    '-sSk',
    '--http2',
    '-w',
    ' %{http_version} %{num_connects}',
    '--data-binary',
    '@-',
    url,
    '--next',
    '-sSk',
  ]
  const running = promisify(execFile)('curl', [...args, '-w', ' %{http_version} %{num_connects}', url])
  running.child.stdin!.end(body)
  assert.equal((await running).stdout, 'ok 2 1ok 2 0')
  assert.equal((await scene.target.receivedRequests(2))[0]!.body.toString(), body)
})

// --- How much it carries ---

test('128 streams may be open at once; one more is refused, and nobody else notices', async t => {
  const gate = Promise.withResolvers<void>()
  const scene = await startSecure(t, { targets: [answersWhen(gate.promise)] })
  const client = await connectRawH2(t, scene.plane.port)
  await client.sees('SETTINGS 3=128 4=65536')
  const ids = Array.from({ length: h2StreamsMax }, (_, i) => 2 * i + 1)
  await client.send(...ids.map(id => headers(id, get, END_STREAM)), headers(257, get, END_STREAM))
  assert.deepEqual(await client.answer(257), ['RST_STREAM 257 refusedStream'])
  assert.equal(scene.plane.counters.loadBalancer(0, 'exchanges'), 0)
  await scene.target.receivedRequests(h2StreamsMax)
  gate.resolve()
  for (const id of ids) assert.equal((await client.answer(id)).at(-1), `DATA ${id} end "late"`)
  await client.send(headers(259, get, END_STREAM))
  await client.answer(259)
  await scene.recorded(h2StreamsMax + 1)
  assert.deepEqual(scene.plane.faults, [])
})

test('after 10,000 requests the client is told to go away, and all of them are answered', async t => {
  const scene = await startSecure(t, { defaultAction: fixed })
  const client = await connectRawH2(t, scene.plane.port)
  const batch = 100
  for (let at = 0; at < h2RequestsMax; at += batch) {
    const ids = Array.from({ length: batch }, (_, i) => 2 * (at + i) + 1)
    const tooMany = at + batch === h2RequestsMax ? [headers(2 * h2RequestsMax + 1, get, END_STREAM)] : []
    await client.send(...ids.map(id => headers(id, get, END_STREAM)), ...tooMany)
    await client.answer(ids.at(-1)!)
  }
  await client.ends()
  const ends = client.frames.filter(({ type, flags }) => type === 'DATA' && (flags & END_STREAM) !== 0)
  assert.equal(new Set(ends.map(({ id }) => id)).size, h2RequestsMax)
  assert.deepEqual(
    client.lines.filter(line => line.startsWith('GOAWAY')),
    [`GOAWAY ${2 * h2RequestsMax - 1} noError`],
  )
  assert.deepEqual(client.linesOf(2 * h2RequestsMax + 1), [])
  assert.equal(scene.plane.counters.loadBalancer(0, 'exchanges'), h2RequestsMax)
})

test('a client that says it goes away is answered what it has asked', async t => {
  const gate = Promise.withResolvers<void>()
  const scene = await startSecure(t, { targets: [answersWhen(gate.promise)] })
  const client = await connectRawH2(t, scene.plane.port)
  await client.send(headers(1, get, END_STREAM), goAway(0, 0))
  await scene.target.receivedRequests(1)
  await caughtUp()
  gate.resolve()
  assert.equal((await client.answer(1)).at(-1), 'DATA 1 end "late"')
})

test('an answer is not lost to a FIN right behind the request', async t => {
  const scene = await startSecure(t, { defaultAction: fixed })
  const client = await connectRawH2(t, scene.plane.port)
  const sent = client.send(headers(1, get, END_STREAM))
  client.socket.end()
  await sent
  await client.ends()
  assert.equal(client.body(1).toString(), 'fixed')
})

test('what every stream logs is its own, and what all share', async t => {
  const scene = await startSecure(t)
  const client = await connectH2(t, scene.plane.port)
  await Promise.all([askH2(client, { ':path': '/a' }), askH2(client, { ':path': '/b', ':method': 'POST' }, 'body')])
  const lines = (await scene.plane.logLines()).map(logFields)
  assert.deepEqual(lines.map(fields => fields[13]).sort(), [
    'GET https://a:443/a HTTP/2.0',
    'POST https://a:443/b HTTP/2.0',
  ])
  const shared = lines.map(fields => [fields[1], fields[4], fields[16], fields[19], fields[30]])
  assert.deepEqual(shared[0], shared[1])
  assert.equal(scene.plane.counters.loadBalancer(0, 'NewConnectionCount'), 1)
})

// --- How it ends ---

const alive = [frame('PING', 0, 0, '12345678'), settings([4, 70_000]), windowUpdate(0, 1), frame('SETTINGS', ACK, 0)]

test('a connection without streams ends at the idle timeout, whatever it says of itself', async t => {
  const scene = await startSecure(t)
  const { clock, counters } = scene.plane
  const client = await connectRawH2(t, scene.plane.port)
  await client.sees('SETTINGS ack')
  for (let i = 1; i < 6; i++) {
    clock.advance(10_000)
    await client.send(...alive, frame('PING', 0, 0, `number ${i}`))
    await client.sees(`PING ack number ${i}`)
  }
  clock.advance(9_999)
  await caughtUp()
  assert.ok(!client.isOver)
  clock.advance(1)
  assert.equal((await client.ends()).at(-1), 'GOAWAY 0 noError')
  assert.deepEqual(scene.plane.faults, [])
  assert.deepEqual(await scene.plane.logLines(), [])
  client.socket.end()
  await until(
    () => counters.loadBalancer(0, 'connectionsClosed') === 1,
    () => 'the connection to be gone',
  )
})

test('the idle timeout counts from the end of the last stream', async t => {
  const scene = await startSecure(t)
  const client = await connectRawH2(t, scene.plane.port)
  scene.plane.clock.advance(30_000)
  await client.send(headers(1, get, END_STREAM))
  await client.answer(1)
  scene.plane.clock.advance(59_999)
  await caughtUp()
  assert.ok(!client.isOver)
  scene.plane.clock.advance(1)
  assert.equal((await client.ends()).at(-1), 'GOAWAY 1 noError')
})

test('a client that does not close after the FIN is closed', async t => {
  const scene = await startSecure(t)
  const { clock, counters } = scene.plane
  const client = await connectRawH2(t, scene.plane.port)
  clock.advance(60_000)
  await client.ends()
  await client.send(headers(1, get, END_STREAM))
  await caughtUp()
  clock.advance(lingerMs - 1)
  assert.equal(counters.loadBalancer(0, 'connectionsClosed'), 0)
  clock.advance(1)
  assert.equal(counters.loadBalancer(0, 'connectionsClosed'), 1)
  assert.equal(counters.loadBalancer(0, 'exchanges'), 0)
})

test('once client keep-alive is over one more request is served, and the connection ends', async t => {
  const attributes = { 'client_keep_alive.seconds': '120', 'idle_timeout.timeout_seconds': '4000' }
  const scene = await startSecure(t, { attributes })
  const client = await connectRawH2(t, scene.plane.port)
  scene.plane.clock.advance(119_999)
  await client.send(headers(1, get, END_STREAM))
  await client.answer(1)
  assert.ok(!client.lines.some(line => line.startsWith('GOAWAY')))
  scene.plane.clock.advance(1)
  await client.send(headers(3, get, END_STREAM), headers(5, get, END_STREAM))
  await client.sees('GOAWAY 3 noError')
  await client.ends()
  assert.equal(client.body(3).toString(), 'ok')
  assert.deepEqual(client.linesOf(5), [])
  await scene.recorded(2)
})

const withoutListeners = (scene: Scene) => {
  const config = JSON.parse(scene.config())
  return JSON.stringify({ ...config, loadBalancers: [{ ...config.loadBalancers[0], listeners: [] }] })
}
const endings: readonly (readonly [what: string, end: (scene: Scene) => Promise<void>])[] = [
  ['a listener is removed', scene => scene.plane.publish(withoutListeners(scene))],
  ['the load balancer stops', scene => scene.plane.plane.stop(25_000)],
]

for (const [what, end] of endings) {
  test(`when ${what}, an unused connection ends`, async t => {
    const scene = await startSecure(t)
    const client = await connectRawH2(t, scene.plane.port)
    await client.sees('SETTINGS ack')
    const over = end(scene)
    assert.equal((await client.ends()).at(-1), 'GOAWAY 0 noError')
    await scene.plane.letNotice(over)
  })

  test(`when ${what}, streams in flight finish, and none is begun`, async t => {
    const gate = Promise.withResolvers<void>()
    const scene = await startSecure(t, { targets: [answersWhen(gate.promise)] })
    const client = await connectRawH2(t, scene.plane.port)
    await client.send(headers(1, get, END_STREAM), headers(3, post), data(3, 'a'))
    await scene.target.acceptedConnections(2)
    await caughtUp()
    const over = end(scene)
    await client.sees('GOAWAY 3 noError')
    await client.send(headers(5, get, END_STREAM), data(3, 'b', END_STREAM))
    await scene.target.receivedRequests(2)
    gate.resolve()
    await client.ends()
    await scene.plane.letNotice(over)
    assert.deepEqual(
      [1, 3, 5].map(id => client.body(id).toString()),
      ['late', 'late', ''],
    )
    assert.deepEqual(
      scene.target.requests.map(({ body }) => body.toString()),
      ['', 'ab'],
    )
    assert.deepEqual(scene.plane.faults, [])
  })
}

test('a connection that goes away sends the last of a response that waited for its client before the FIN', async t => {
  const length = 20_000_000
  const body = Buffer.alloc(length, 'pattern')
  const answer = Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`), body])
  const scene = await startSecure(t, { targets: [sendsAfterRequest(() => answer)] })
  const client = await connectRawH2(t, scene.plane.port)
  await client.send(settings([4, 2 ** 31 - 1]), windowUpdate(0, 2 ** 30))
  client.stopReading()
  await client.send(headers(1, get, END_STREAM))
  await until(
    () => scene.plane.counters.loadBalancer(0, 'readingPaused') > 0,
    () => 'the target to be held up',
  )
  const over = scene.plane.plane.stop(25_000)
  client.socket.resume()
  await client.ends()
  await scene.plane.letNotice(over)
  assert.ok(client.body(1).equals(body))
  assert.equal(client.frames.findLast(({ type }) => type === 'DATA')!.flags, END_STREAM)
  assert.deepEqual(scene.plane.faults, [])
})

test('a publication holds for new streams, and not for those that are open', async t => {
  const gate = Promise.withResolvers<void>()
  const scene = await startSecure(t, { targets: [slowBody(['ok'], () => gate.promise)] })
  const client = await connectRawH2(t, scene.plane.port)
  await client.send(headers(1, get, END_STREAM))
  await scene.target.receivedRequests(1)
  const listenerAttributes = { 'routing.http.response.x_frame_options.header_value': 'DENY' }
  await scene.plane.publish(scene.config({ listenerAttributes }))
  await client.send(headers(3, get, END_STREAM))
  await scene.target.receivedRequests(2)
  gate.resolve()
  assert.doesNotMatch((await client.answer(1))[0]!, /x-frame-options/)
  assert.match((await client.answer(3))[0]!, / x-frame-options=DENY$/)
})

test('a head that never becomes complete is no request, and the connection ends at the idle timeout', async t => {
  const scene = await startSecure(t)
  const client = await connectRawH2(t, scene.plane.port)
  const fields: Fields = get
  await client.send(headers(1, fields).fill(0, 4, 5))
  await caughtUp()
  scene.plane.clock.advance(60_000)
  assert.equal((await client.ends()).at(-1), 'GOAWAY 0 noError')
  assert.equal(scene.plane.counters.loadBalancer(0, 'exchanges'), 0)
})

test('a silent target holds no connection open beyond the stream that waits for it', async t => {
  const scene = await startSecure(t, { targets: [neverAnswers] })
  const client = await connectRawH2(t, scene.plane.port)
  await client.send(headers(1, get, END_STREAM))
  await scene.target.receivedRequests(1)
  scene.plane.clock.advance(60_000)
  assert.match((await client.answer(1))[0]!, /:status=504/)
  scene.plane.clock.advance(60_000)
  assert.equal((await client.ends()).at(-1), 'GOAWAY 1 noError')
})
