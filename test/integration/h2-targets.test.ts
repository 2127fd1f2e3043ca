/**
 * Targets that speak HTTP/2: how requests share their connections, and how those end.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9113
 */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { constants, type ServerHttp2Stream } from 'node:http2'
import { type TestContext, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { askH2, beginH2, connectH2, responseH2 } from '../support/h2-client.ts'
import { startH2Scene } from '../support/h2-scene.ts'
import { answeringH2, bodyOf, echoesH2, type H2Handler, type H2Target } from '../support/h2-target.ts'
import { startTarget } from '../support/misbehaving-target.ts'
import { logFields } from '../support/plane.ts'
import * as scripts from '../support/target-scripts.ts'
import { caughtUp, until } from '../support/turns.ts'

const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = constants

/** Says nothing until the test does. */
const silent: H2Handler = () => {}

/** Resolves with the statuses of that many requests, sent at once. */
function ask(client: Parameters<typeof beginH2>[0], count: number) {
  return Promise.all(Array.from({ length: count }, () => askH2(client)))
}

// --- What goes together ---

const requests = {
  'HTTP/2 GET': { ':method': 'GET' },
  'HTTP/2 POST': { ':method': 'POST' },
  gRPC: { ':method': 'POST', 'content-type': 'application/grpc' },
  'gRPC of a kind': { ':method': 'POST', 'content-type': 'application/grpc+proto' },
  'gRPC with a parameter': { ':method': 'POST', 'content-type': 'Application/GRPC;a=b' },
  'a longer word': { ':method': 'POST', 'content-type': 'application/grpcs' },
  'a shorter word': { ':method': 'POST', 'content-type': 'application/grp' },
}
const grpc = ['gRPC', 'gRPC of a kind', 'gRPC with a parameter'] as const
const posts = ['HTTP/2 POST', 'a longer word', 'a shorter word'] as const

/** By the table of the documentation, that of target groups' protocol versions. */
const served: Readonly<Record<'HTTP1' | 'HTTP2' | 'GRPC', readonly (keyof typeof requests)[]>> = {
  HTTP1: ['HTTP/2 GET', ...posts],
  HTTP2: ['HTTP/2 GET', ...posts, ...grpc],
  GRPC: [...posts, ...grpc],
}

for (const protocolVersion of ['HTTP1', 'HTTP2', 'GRPC'] as const) {
  test(`a group of ${protocolVersion} serves what goes with it, and all else is a 464 that no target sees`, async t => {
    const http1 = protocolVersion === 'HTTP1' ? [await startTarget(scripts.answering())] : []
    t.after(() => Promise.all(http1.map(each => each.close())))
    const addresses = http1.map(({ port }) => ({ id: '127.0.0.1', port }))
    const { scene, client } = await startH2Scene(t, answeringH2(''), {
      protocolVersion,
      ...(addresses.length > 0 && { addresses }),
    })
    let refused = 0
    for (const [i, [what, headers]] of Object.entries(requests).entries()) {
      const isServed = served[protocolVersion].includes(what as keyof typeof requests)
      const { status, body, headers: answer } = await askH2(client, headers)
      assert.equal(status, isServed ? 200 : 464, what)
      await scene.recorded(i + 1)
      const fields = logFields(await scene.line(i))
      assert.deepEqual([fields[1], fields[9]], [what.startsWith('gRPC') ? 'grpcs' : 'h2', `${status}`])
      if (isServed) continue
      refused++
      assert.deepEqual([body.length, answer['content-length']], [0, '0'])
      assert.deepEqual(
        [fields[5], fields[6], fields[7], fields[8], fields[10], fields[23]],
        ['-', '-1', '-1', '-1', '-', 'forward'],
      )
    }
    const http1Client = await secureHttp1(t, scene.plane.port)
    const first = await http1Client('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    assert.match(first, protocolVersion === 'HTTP1' ? /^HTTP\/1\.1 200 / : /^HTTP\/1\.1 464 \r\n/)
    if (protocolVersion !== 'HTTP1') refused++
    const { counters } = scene.plane
    assert.equal(counters.fault(0, 'protocolVersionMismatch'), refused)
    assert.equal(counters.loadBalancer(0, 'HTTPCode_ELB_4XX_Count'), refused)
    assert.equal(counters.loadBalancer(0, 'RequestCount'), Object.keys(requests).length + 1 - refused)
    assert.equal(counters.loadBalancer(0, 'GrpcRequestCount'), protocolVersion === 'HTTP1' ? 0 : grpc.length)
  })
}

/** @returns what brings the first piece of an answer, over HTTP/1.1 in TLS */
async function secureHttp1(t: TestContext, port: number): Promise<(request: string) => Promise<string>> {
  const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, servername: 'a.example' })
  t.after(() => socket.destroy())
  await once(socket, 'secureConnect')
  return async request => {
    socket.write(request)
    const [bytes] = (await once(socket, 'data')) as [Buffer]
    return bytes.toString()
  }
}

// --- Connections ---

for (const isSecure of [false, true]) {
  test(`requests share one connection ${isSecure ? 'in TLS' : 'in the clear'}, at once and in turn`, async t => {
    const { scene, target, client } = await startH2Scene(t, answeringH2('ok'), { target: { isSecure } })
    for (let round = 0; round < 3; round++) {
      for (const { status, body } of await ask(client, 20)) assert.deepEqual([status, `${body}`], [200, 'ok'])
    }
    assert.equal(target.sessions.length, 1)
    assert.equal(target.streams.length, 60)
    await caughtUp()
    for (const { rstCode } of target.streams) assert.equal(rstCode, NGHTTP2_NO_ERROR)
    assert.deepEqual(scene.plane.faults, [])
    assert.equal(scene.plane.states.requestsInFlight(0), 0)
  })
}

for (const isSecure of [false, true]) {
  test(`a target takes no more streams at once than it says (${isSecure ? 'TLS' : 'h2c'}): further connections are opened`, async t => {
    const settings = { maxConcurrentStreams: 10 }
    const { scene, target, client } = await startH2Scene(t, silent, { target: { isSecure, settings } })
    const answers = ask(client, 45)
    await target.begunStreams(45)
    assert.equal(target.sessions.length, 5)
    for (const stream of target.streams) answer(stream)
    for (const { status } of await answers) assert.equal(status, 200)
    assert.deepEqual(scene.plane.faults, [])
  })
}

function answer(stream: ServerHttp2Stream, body = 'ok'): void {
  stream.respond({ ':status': 200 })
  stream.end(body)
}

test('a limit that is lowered later holds from then on, and what is under way goes on', async t => {
  const { scene, target, client } = await startH2Scene(t, silent)
  const first = ask(client, 4)
  await target.begunStreams(4)
  await new Promise<void>(resolve => target.sessions[0]!.settings({ maxConcurrentStreams: 2 }, () => resolve()))
  const second = ask(client, 2)
  await target.begunStreams(6)
  assert.equal(target.sessions.length, 2)
  for (const stream of target.streams) answer(stream)
  for (const { status } of [...(await first), ...(await second)]) assert.equal(status, 200)
  await ask2(client, target)
  assert.deepEqual(scene.plane.faults, [])
})

async function ask2(client: Parameters<typeof beginH2>[0], target: H2Target): Promise<void> {
  const before = target.streams.length
  const answers = ask(client, 4)
  await target.begunStreams(before + 4)
  for (const stream of target.streams.slice(before)) answer(stream)
  for (const { status } of await answers) assert.equal(status, 200)
}

test('a limit lowered to nothing sends what comes to another connection', async t => {
  const { target, client } = await startH2Scene(t, answeringH2('ok'))
  await askH2(client)
  await new Promise<void>(resolve => target.sessions[0]!.settings({ maxConcurrentStreams: 0 }, () => resolve()))
  assert.equal((await askH2(client)).status, 200)
  assert.equal(target.sessions.length, 2)
})

// --- GOAWAY ---

test('a target that goes away finishes what it has, and gets no more on that connection', async t => {
  const { scene, target, client } = await startH2Scene(t, silent)
  const first = ask(client, 2)
  await target.begunStreams(2)
  target.sessions[0]!.close()
  await caughtUp()
  const second = ask(client, 2)
  await target.begunStreams(4)
  assert.equal(target.sessions.length, 2)
  for (const stream of target.streams) answer(stream)
  for (const { status } of [...(await first), ...(await second)]) assert.equal(status, 200)
  await target.openConnections(1)
  assert.deepEqual(scene.plane.faults, [])
})

test('what a target that goes away never looked at is sent again, with its body', async t => {
  const bodies: string[] = []
  const { scene, target, client } = await startH2Scene(t, stream => {
    if (target.sessions.length === 1) return
    void bodyOf(stream).then(body => {
      bodies.push(`${body}`)
      answer(stream)
    })
  })
  const answers = [
    askH2(client),
    askH2(client, { ':method': 'POST', ':path': '/whole' }, 'x'.repeat(60_000)),
    askH2(client, { ':method': 'POST' }, 'y'.repeat(100)),
  ]
  const open = beginH2(client, { ':method': 'POST' }, null)
  open.write('begun')
  await target.begunStreams(4)
  await caughtUp()
  target.sessions[0]!.goaway(NGHTTP2_NO_ERROR, 1)
  await target.begunStreams(7)
  open.end(' and ended')
  const { status } = await responseH2(open)
  assert.equal(status, 200)
  answer(target.streams[0]!)
  for (const response of await Promise.all(answers)) assert.equal(response.status, 200)
  assert.deepEqual(bodies.map(body => body.slice(0, 20)).sort(), ['begun and ended', 'x'.repeat(20), 'y'.repeat(20)])
  assert.deepEqual(bodies.map(body => body.length).sort(), [100, 15, 60_000].sort())
  assert.equal(target.sessions.length, 2)
  assert.deepEqual(scene.plane.faults, [])
  assert.equal(scene.plane.counters.target(0, 'requestsBegun'), 4)
})

test('a body of more than 64 KB is not sent again', async t => {
  const { scene, target, client } = await startH2Scene(t, stream => stream.resume())
  const stream = beginH2(client, { ':method': 'POST' }, null)
  stream.write(Buffer.alloc(65_537))
  await target.begunStreams(1)
  let came = 0
  target.streams[0]!.on('data', (bytes: Buffer) => (came += bytes.length))
  await until(
    () => came === 65_537,
    () => 'the body',
  )
  target.streams[0]!.close(NGHTTP2_REFUSED_STREAM)
  const answered = responseH2(stream)
  stream.end()
  assert.equal((await answered).status, 502)
  assert.deepEqual(scene.plane.faults, ['targetStreamReset'])
  assert.equal(target.streams.length, 1)
})

test('a stream that is refused is tried once more, on another connection, and no third time', async t => {
  const { scene, target, client } = await startH2Scene(t, stream => stream.close(NGHTTP2_REFUSED_STREAM))
  assert.equal((await askH2(client)).status, 502)
  assert.equal(target.streams.length, 2)
  assert.equal(target.sessions.length, 2)
  assert.deepEqual(scene.plane.faults, ['targetStreamReset'])
})

test('what was refused may have an answer in the second attempt', async t => {
  const { scene, target, client } = await startH2Scene(t, stream => {
    if (target.streams.length === 1) stream.close(NGHTTP2_REFUSED_STREAM)
    else stream.end(stream.respond())
  })
  assert.equal((await askH2(client, { ':method': 'POST' }, 'abc')).status, 200)
  assert.deepEqual(scene.plane.faults, [])
})

// --- Ends ---

for (const [how, end] of [
  ['FIN', (target: H2Target) => target.sockets[0]!.end()],
  ['RST', (target: H2Target) => target.sockets[0]!.resetAndDestroy()],
] as const) {
  test(`a ${how} with streams under way ends each of them, and the next request is connected anew`, async t => {
    const { scene, target, client } = await startH2Scene(t, (stream, { ':path': path }) => {
      if (path === '/begun') stream.respond({ ':status': 200 })
      if (path === '/begun') stream.write('begin')
      if (path === '/next') answer(stream)
    })
    const waiting = askH2(client)
    const begun = beginH2(client, { ':path': '/begun' })
    await new Promise(resolve => begun.once('data', resolve))
    end(target)
    const [before, after] = await Promise.all([waiting, responseH2(begun)])
    assert.equal(before.status, 502)
    assert.equal(after.code, NGHTTP2_INTERNAL_ERROR)
    assert.equal((await askH2(client, { ':path': '/next' })).status, 200)
    assert.equal(target.sessions.length, 2)
    const fault = how === 'FIN' ? 'targetClosed' : 'targetReset'
    assert.deepEqual([...scene.plane.faults].sort(), ['responseTruncated', fault].sort())
    assert.equal(scene.plane.states.requestsInFlight(0), 0)
  })

  test(`a ${how} between requests is nothing to anybody`, async t => {
    const { scene, target, client } = await startH2Scene(t, answeringH2('ok'))
    await askH2(client)
    end(target)
    await target.openConnections(0)
    await caughtUp()
    assert.equal((await askH2(client)).status, 200)
    assert.deepEqual(scene.plane.faults, [])
  })
}

test('a client that leaves has its request cancelled at the target, and no other', async t => {
  const { scene, target, client } = await startH2Scene(t, silent)
  const [gone, waits] = [beginH2(client), askH2(client)]
  await target.begunStreams(2)
  const cancelled = new Promise(resolve => target.streams[0]!.once('close', resolve))
  gone.close(NGHTTP2_CANCEL)
  await cancelled
  assert.equal(target.streams[0]!.rstCode, NGHTTP2_CANCEL)
  answer(target.streams[1]!)
  assert.equal((await waits).status, 200)
  assert.deepEqual(scene.plane.faults, ['clientClosed'])
})

test('a connection without requests is closed at the idle timeout, counted from its last one', async t => {
  const { scene, target, client } = await startH2Scene(t, answeringH2('ok'))
  for (let round = 0; round < 2; round++) {
    await askH2(client)
    scene.plane.clock.advance(59_000)
    await caughtUp()
    assert.equal(target.openConnectionCount, 1)
  }
  scene.plane.clock.advance(1_000)
  await target.openConnections(0)
  const again = await connectH2(t, scene.plane.port)
  assert.equal((await askH2(again)).status, 200)
  assert.equal(target.sessions.length, 2)
})

test('a target that is deregistered finishes its streams, and the last takes the connection along', async t => {
  const { scene, target, client } = await startH2Scene(t, silent)
  const answers = ask(client, 2)
  await target.begunStreams(2)
  await scene.plane.publish(scene.config({ addresses: [] }))
  assert.equal((await askH2(client)).status, 503)
  answer(target.streams[0]!)
  await caughtUp()
  assert.equal(target.openConnectionCount, 1)
  answer(target.streams[1]!)
  for (const { status } of await answers) assert.equal(status, 200)
  await target.openConnections(0)
})

test('a target that is deregistered while its connection opens still answers what was on its way', async t => {
  const { scene, target, client } = await startH2Scene(t, answeringH2('ok'), { target: { isSecure: true } })
  const answered = askH2(client)
  await until(
    () => scene.plane.states.requestsInFlight(0) === 1,
    () => 'the request',
  )
  await scene.plane.publish(scene.config({ addresses: [] }))
  assert.equal((await answered).status, 200)
  await target.openConnections(0)
  assert.deepEqual(scene.plane.faults, [])
})

test('streams that outlast the deregistration delay are cut: a 502, or the end of what had begun', async t => {
  const { scene, target, client } = await startH2Scene(
    t,
    (stream, { ':path': path }) => {
      if (path !== '/begun') return
      stream.respond({ ':status': 200 })
      stream.write('begin')
    },
    { groupAttributes: { 'deregistration_delay.timeout_seconds': '30' } },
  )
  const waiting = askH2(client)
  const begun = beginH2(client, { ':path': '/begun' })
  await new Promise(resolve => begun.once('data', resolve))
  await target.begunStreams(2)
  await scene.plane.publish(scene.config({ addresses: [] }))
  scene.plane.clock.advance(30_000)
  assert.equal((await waiting).status, 502)
  assert.equal((await responseH2(begun)).code, NGHTTP2_INTERNAL_ERROR)
  assert.deepEqual([...scene.plane.faults].sort(), ['deregistrationExpired', 'deregistrationExpiredDuringResponse'])
  await target.openConnections(0)
})

test('a group that changes its protocol version is spoken to in the new one from then on', async t => {
  const { scene, target, client } = await startH2Scene(t, silent)
  const before = askH2(client, { ':method': 'POST' })
  await target.begunStreams(1)
  await scene.plane.publish(scene.config({ protocolVersion: 'GRPC' }))
  assert.equal((await askH2(client)).status, 464)
  const after = askH2(client, { ':method': 'POST' })
  await target.begunStreams(2)
  assert.equal(target.sessions.length, 2)
  for (const stream of target.streams) answer(stream)
  assert.equal((await before).status, 200)
  assert.equal((await after).status, 200)
  await target.openConnections(1)
})

test('a target that echoes gets and gives every byte of many bodies at once', async t => {
  const { client } = await startH2Scene(t, echoesH2)
  const bodies = Array.from({ length: 20 }, (_, i) => Buffer.alloc(100_000 + i, `${i},`))
  const responses = await Promise.all(bodies.map(body => askH2(client, { ':method': 'POST' }, body)))
  for (const [i, { body }] of responses.entries()) assert.ok(body.equals(bodies[i]!))
})
