/** Bodies over HTTP/2: as fast as the slower side, in bounded memory, and no stream at the cost of another. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { h2StreamWindowBytes } from '../../src/model/limits.ts'
import { readHead, startBareServer } from '../support/bare-server.ts'
import { within } from '../support/deadline.ts'
import { askH2, beginH2, connectH2, responseH2 } from '../support/h2-client.ts'
import { data, END_STREAM, get, headers, post, settings, windowUpdate } from '../support/h2-frames.ts'
import { connectRawH2, type RawH2Client } from '../support/h2-raw-client.ts'
import { PatternCheck, PatternSource } from '../support/pattern.ts'
import { keepsMemory } from '../support/plane-process.ts'
import { Scene, startScene } from '../support/scene.ts'
import { secureListener } from '../support/secure-listener.ts'
import { answering, neverReads, sendsAfterRequest } from '../support/target-scripts.ts'
import { overTls } from '../support/tls-scripts.ts'
import { caughtUp, stalled, until } from '../support/turns.ts'

/** What kernel buffers of two loopback connections may hold together, with room to spare. */
const inKernelMax = 32 * 2 ** 20
const bulkBytes = 2 ** 28
/** Several times what it takes, for machines that are slow or busy. */
const bulkLimitMs = 28_000

const answerHead = (length: number) => `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`

/** The configuration of a load balancer whose only target is that one. */
function secureConfig(port: number): string {
  return new Scene([], { ...secureListener, addresses: [{ id: '127.0.0.1', port }] }).config()
}

/** Reads and checks the pattern until `length` bytes of it have come. */
async function readPattern(stream: AsyncIterable<Buffer>, length: number, check = new PatternCheck()): Promise<void> {
  for await (const bytes of stream) {
    check.take(bytes)
    if (check.byteCount >= length) return
  }
}

test('a quarter of a gibibyte goes down in bounded memory, every byte in its place', async t => {
  let length = 0
  const port = await startBareServer(t, async socket => {
    do {
      socket.write(answerHead(length))
      await new PatternSource().writeTo(socket, length)
    } while ((await readHead(socket)) !== null)
  })
  await keepsMemory(
    t,
    secureConfig(port),
    async (planePort, bytes) => {
      length = bytes
      const session = await connectH2(t, planePort)
      // Node's own windows are too small to go fast.
      session.settings({ initialWindowSize: 2 ** 24 })
      session.setLocalWindowSize(2 ** 25)
      const stream = beginH2(session)
      await within(readPattern(stream, bytes), () => `${bytes} bytes`, bulkLimitMs)
      session.destroy()
    },
    bulkBytes,
  )
})

test('a quarter of a gibibyte goes up in bounded memory, every byte in its place', async t => {
  let length = 0
  const port = await startBareServer(t, async (socket, first) => {
    // The connection may be used again: whether the answer outran the end of the request is a matter of luck.
    for (let rest: Buffer | null = first; rest !== null; rest = await readHead(socket)) {
      const check = new PatternCheck()
      check.take(rest)
      await readPattern(socket.iterator({ destroyOnReturn: false }), length, check)
      socket.write(answerHead(0))
    }
  })
  await keepsMemory(
    t,
    secureConfig(port),
    async (planePort, bytes) => {
      length = bytes
      const session = await connectH2(t, planePort)
      const stream = beginH2(session, { ':method': 'POST', 'content-length': bytes }, null)
      const sent = new PatternSource().writeTo(stream, bytes).then(() => stream.end())
      await within(sent, () => `${bytes} bytes to be taken`, bulkLimitMs)
      assert.equal((await responseH2(stream)).status, 200)
      session.destroy()
    },
    bulkBytes,
  )
})

test('a stream that is not read holds up its target, and no other stream', async t => {
  const length = 2 * inKernelMax
  const source = new PatternSource()
  const port = await startBareServer(t, async socket => {
    socket.write(answerHead(length))
    await source.writeTo(socket, length)
  })
  const scene = await startScene(t, {
    ...secureListener,
    targets: [answering(200, 'quick')],
    groups: [{ name: 'slow', protocol: 'HTTP', port: 80, targets: [{ id: '127.0.0.1', port }] }],
    rules: [
      {
        priority: 1,
        conditions: [{ field: 'path-pattern', values: ['/slow'] }],
        actions: [{ type: 'forward', targetGroup: 'slow' }],
      },
    ],
  })
  const session = await connectH2(t, scene.plane.port)
  const slow = beginH2(session, { ':path': '/slow' })
  await stalled(() => source.byteCount)
  assert.ok(source.byteCount < inKernelMax, `${source.byteCount} bytes were taken from the target`)
  for (let i = 0; i < 10; i++) assert.equal((await askH2(session)).body.toString(), 'quick')
  await within(readPattern(slow, length), () => 'all of it')
  assert.equal(source.byteCount, length)
  assert.deepEqual(scene.plane.faults, [])
})

test('a target that does not read holds up its stream by the window, and no other stream', async t => {
  const length = 2 * inKernelMax
  const resumed = Promise.withResolvers<void>()
  const port = await startBareServer(t, async (socket, first) => {
    await resumed.promise
    // The connection may be used again: whether the answer outran the end of the request is a matter of luck.
    for (let rest: Buffer | null = first; rest !== null; rest = await readHead(socket)) {
      const check = new PatternCheck()
      check.take(rest)
      await readPattern(socket.iterator({ destroyOnReturn: false }), length, check)
      socket.write(answerHead(0))
    }
  })
  const scene = await startScene(t, {
    ...secureListener,
    addresses: [{ id: '127.0.0.1', port }],
    rules: [
      {
        priority: 1,
        conditions: [{ field: 'path-pattern', values: ['/fixed'] }],
        actions: [{ type: 'fixed-response', fixedResponse: { statusCode: 200, messageBody: 'fixed' } }],
      },
    ],
  })
  const session = await connectH2(t, scene.plane.port)
  const stream = beginH2(session, { ':method': 'POST', 'content-length': length }, null)
  const source = new PatternSource()
  const sent = source.writeTo(stream, length)
  await stalled(() => source.byteCount)
  assert.ok(source.byteCount < inKernelMax, `${source.byteCount} bytes were taken from the client`)
  for (let i = 0; i < 10; i++) assert.equal((await askH2(session, { ':path': '/fixed' })).body.toString(), 'fixed')
  resumed.resolve()
  await sent
  stream.end()
  assert.equal((await responseH2(stream)).status, 200)
  assert.deepEqual(scene.plane.faults, [])
})

/** Sends as much of a body as the window lets it, until nothing more is let. @returns how much that was */
async function fill(client: RawH2Client, id: number): Promise<number> {
  const piece = Buffer.alloc(8 * 1024)
  let sent = 0
  const allowed = () =>
    client.frames
      .filter(frame => frame.type === 'WINDOW_UPDATE' && frame.id === id)
      .reduce((sum, { payload }) => sum + payload.readUInt32BE(), h2StreamWindowBytes)
  for (;;) {
    while (allowed() - sent >= piece.length) {
      await client.send(data(id, piece))
      sent += piece.length
    }
    const before = allowed()
    for (let i = 0; i < 10; i++) await caughtUp()
    if (allowed() === before) return sent
  }
}

test('the windows of streams to a target that does not read stay shut', async t => {
  const scene = await startScene(t, { ...secureListener, targets: [neverReads] })
  const client = await connectRawH2(t, scene.plane.port)
  await client.send(headers(1, post), headers(3, post))
  for (const id of [1, 3]) {
    const sent = await fill(client, id)
    assert.ok(sent >= h2StreamWindowBytes && sent < inKernelMax, `${sent} bytes`)
  }
})

test('an early answer is whole, and the rest of the request is not wanted', async t => {
  const early = 'HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 5\r\n\r\nearly'
  const scene = await startScene(t, {
    ...secureListener,
    targets: [async connection => connection.send(early)],
  })
  const client = await connectRawH2(t, scene.plane.port)
  await client.send(headers(1, [...post, ['content-length', '5000000']]), data(1, 'a'.repeat(1000)))
  const [head, ...others] = await client.answer(1)
  assert.match(head!, /^HEADERS 1 :status=413/)
  assert.deepEqual(others, ['DATA 1 end "early"'])
  assert.deepEqual(scene.plane.faults, [])
  // Frames that were on their way are no offence; who goes on beyond them is told to stop.
  await client.send(data(1, 'a'.repeat(1000)), headers(3, get, END_STREAM))
  await client.answer(3)
  assert.deepEqual(client.linesOf(1).slice(1), others)
  for (let i = 0; i < 4; i++) await client.send(data(1, 'a'.repeat(15_000)))
  await client.sees('RST_STREAM 1 noError')
})

test('a client that has to send all before it reads gets its window back once the target is not concerned', async t => {
  const answered = Promise.withResolvers<void>()
  const body = 'a'.repeat(50_000)
  const scene = await startScene(t, {
    ...secureListener,
    targets: [
      async connection => {
        await answered.promise
        await connection.send(answerHead(body.length) + body)
        await connection.stall()
      },
    ],
  })
  const client = await connectRawH2(t, scene.plane.port)
  await client.send(settings([4, 0]), headers(1, post))
  await fill(client, 1)
  const before = client.linesOf(1).length
  answered.resolve()
  await client.sees(/^HEADERS 1 :status=200/)
  await until(
    () => client.linesOf(1).length >= before + 2,
    () => 'the window that the target had held back',
  )
  await client.send(data(1, '', END_STREAM), windowUpdate(1, body.length))
  await client.answer(1)
  assert.equal(client.body(1).length, body.length)
})

test('a body that comes while its target is connected to arrives whole, however finely it is cut', async t => {
  const gate = Promise.withResolvers<void>()
  const slowly = overTls(answering(200, 'ok'))
  const scene = await startScene(t, {
    ...secureListener,
    groupProtocol: 'HTTPS',
    targets: [
      async connection => {
        await gate.promise
        await slowly(connection)
      },
    ],
  })
  const client = await connectRawH2(t, scene.plane.port)
  const length = 20_000
  const body = Buffer.from(Array.from({ length }, (_, i) => i % 251))
  const pieces = Array.from({ length }, (_, i) => data(1, body.subarray(i, i + 1), i === length - 1 ? END_STREAM : 0))
  await client.send(headers(1, post), ...pieces, headers(3, post), data(3, '', END_STREAM))
  await scene.target.acceptedConnections(2)
  await caughtUp()
  gate.resolve()
  await client.answer(1)
  await client.answer(3)
  const bodies = (await scene.target.receivedRequests(2)).map(request => request.body)
  assert.deepEqual(bodies.map(({ length }) => length).sort(), [0, length])
  assert.ok(bodies.some(received => received.equals(body)))
})

test('chunks of a byte each are held for a client without a window in no time worth the name', async t => {
  const chunks = 10_000
  const answer = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${'1\r\na\r\n'.repeat(chunks)}0\r\n\r\n`
  const scene = await startScene(t, { ...secureListener, targets: [sendsAfterRequest(() => answer)] })
  const client = await connectRawH2(t, scene.plane.port)
  await client.send(settings([4, 0]), headers(1, get, END_STREAM))
  await client.sees(/^HEADERS 1 :status=200/)
  await client.send(windowUpdate(1, chunks))
  await client.answer(1)
  assert.equal(client.body(1).toString(), 'a'.repeat(chunks))
})
