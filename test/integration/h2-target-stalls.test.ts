/** Targets of HTTP/2 that stop reading: what waits for them is bounded, goes elsewhere where it can, and ends in time. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2'
import { type TestContext, test } from 'node:test'
import { within } from '../support/deadline.ts'
import { askH2, beginH2, connectH2, responseH2 } from '../support/h2-client.ts'
import {
  data,
  END_HEADERS,
  END_STREAM,
  frame,
  get,
  goAway,
  headers,
  integer,
  literals,
  ok,
  rstStream,
  settings,
  windowUpdate,
} from '../support/h2-frames.ts'
import { connectRawH2 } from '../support/h2-raw-client.ts'
import { overHttp2 } from '../support/h2-scene.ts'
import { type H2Peer, speaksHttp2 } from '../support/h2-scripts.ts'
import { answeringH2, startH2Target } from '../support/h2-target.ts'
import { type MisbehavingTarget, type Script, startTarget } from '../support/misbehaving-target.ts'
import { PatternSource } from '../support/pattern.ts'
import { logFields } from '../support/plane.ts'
import { PlaneProcess } from '../support/plane-process.ts'
import { Scene, startScene } from '../support/scene.ts'
import { inTurn } from '../support/target-scripts.ts'
import { overTls } from '../support/tls-scripts.ts'
import { caughtUp, stalled, until } from '../support/turns.ts'

const megabyte = 2 ** 20
const idleTimeoutMs = 60_000
/** Windows that hold nothing up, so that only the socket does. */
const wideOpen = Buffer.concat([settings([4, 2 ** 31 - 1]), windowUpdate(0, 2 ** 31 - 2 ** 16)])

const stalls = speaksHttp2(peer => peer.connection.stall())
const answers = speaksHttp2(async peer => {
  for (let id = await peer.request(); id !== null; id = await peer.request()) {
    await peer.send(headers(id, ok, END_STREAM))
  }
})

// --- Memory ---

/** Where such requests pile up, it grows by 240 MB and more; elsewhere by 5 at most. */
const grownMbMax = 10

/** A head of 42 KB in few bytes: the entry that the first request leaves in the table, ten times. */
function largeHead(id: number, path: string): Buffer {
  const entry = Buffer.concat([Buffer.of(0x40, 1), Buffer.from('a'), integer(0, 7, 4000), Buffer.alloc(4000, 'x')])
  const large = id === 1 ? entry : Buffer.alloc(10, 0xbe)
  const fields = literals([...get.slice(0, 3), [':path', path]])
  return frame('HEADERS', END_HEADERS | END_STREAM, id, Buffer.concat([fields, large]))
}

/** @param atOnce how many requests are sent together */
async function beginAndReset(t: TestContext, port: number, path: string, atOnce: number): Promise<void> {
  for (let clients = 0; clients < 4; clients++) {
    const client = await connectRawH2(t, port)
    for (let i = 0; i < 750; i += atOnce) {
      const ids = Array.from({ length: atOnce }, (_, k) => 2 * (i + k) + 1)
      await client.send(...ids.flatMap(id => [largeHead(id, path), rstStream(id, 8)]))
    }
    await client.send(frame('PING', 0, 0, 'all seen'))
    await client.sees('PING ack all seen')
  }
}

for (const atOnce of [1, 250]) {
  test(`requests that are begun and reset, ${atOnce} at once, pile up nowhere in front of a target that does not read`, async t => {
    const stalling = await startTarget(stalls)
    t.after(() => stalling.close())
    const plane = new PlaneProcess(t, await besideAnother(t, stalling))
    await plane.start()
    const other = await connectH2(t, plane.port)
    await beginAndReset(t, plane.port, '/other', 1)
    const before = await plane.heldBytes()
    for (let i = 0; i < 2; i++) await beginAndReset(t, plane.port, '/', atOnce)
    assert.equal((await askH2(other, { ':path': '/other' })).body.toString(), 'other')
    const grownMb = ((await plane.heldBytes()) - before) / megabyte
    t.diagnostic(`memory in use grew by ${grownMb.toFixed(1)} MB`)
    assert.ok(grownMb < grownMbMax, `grew by ${grownMb.toFixed(1)} MB`)
    assert.equal(stalling.connectionCount, 1)
  })
}

/** The configuration with a further target that answers on `/other`. */
async function besideAnother(t: TestContext, stalling: MisbehavingTarget): Promise<string> {
  const { address } = await startH2Target(t, answeringH2('other'))
  const scene = new Scene([stalling], {
    ...overHttp2,
    groups: [{ name: 'other', protocol: 'HTTP', protocolVersion: 'HTTP2', port: 80, targets: [address] }],
    rules: [
      {
        priority: 1,
        conditions: [{ field: 'path-pattern', values: ['/other'] }],
        actions: [{ type: 'forward', targetGroup: 'other' }],
      },
    ],
  })
  return scene.config()
}

// --- The end ---

const posts = { ':method': 'POST' }

/** A scene whose target speaks HTTP/2 with its windows wide open. */
async function meeting(t: TestContext, script: (peer: H2Peer) => Promise<void>, isSecure = false) {
  const first = speaksHttp2(script, wideOpen)
  const inTls = (plain: Script) => (isSecure ? overTls(plain, { ALPNProtocols: ['h2'] }) : plain)
  const targets = [inTurn(inTls(first), inTls(answers))]
  const scene = await startScene(t, { ...overHttp2, groupProtocol: isSecure ? 'HTTPS' : 'HTTP', targets })
  return { scene, client: await connectH2(t, scene.plane.port) }
}

/** Sends as much as is taken until nothing more is. */
async function fill(client: ClientHttp2Session): Promise<ClientHttp2Stream> {
  const source = new PatternSource(16_384)
  const stream = beginH2(client, posts, null)
  // It is cut off: what was not taken by then is of no interest.
  source.writeTo(stream, 64 * megabyte).catch(() => {})
  await stalled(() => source.byteCount)
  return stream
}

/** Of a stream whose client has not ended its request yet: the answer does not end it. */
async function statusOf(stream: ClientHttp2Stream): Promise<number> {
  const [fields] = await within(once(stream, 'response'), () => 'an answer')
  return fields[':status']
}

/** Statuses and times of the lines so far, in the order in which the exchanges ended. */
async function endings(scene: Scene): Promise<string[]> {
  const lines = await scene.plane.logLines()
  return lines.map(line => logFields(line)).map(fields => fields.slice(6, 11).join(' '))
}

for (const isSecure of [false, true]) {
  test(`a connection to a target ${isSecure ? 'in TLS ' : ''}that reads nothing for the idle timeout ends, and all that was sent on it`, async t => {
    const { scene, client } = await meeting(
      t,
      async peer => {
        const id = await peer.request()
        await peer.send(headers(id!, ok), data(id!, 'begun'))
        await peer.request()
        await peer.connection.stall()
      },
      isSecure,
    )
    const answered = beginH2(client, posts, null)
    const begun = responseH2(answered)
    await once(answered, 'response')
    const silent = beginH2(client, posts, null)
    const cutOff = [statusOf(silent), statusOf(await fill(client))]
    const { clock } = scene.plane
    const waits = askH2(client)
    await caughtUp()
    clock.advance(idleTimeoutMs / 2)
    // Their clients are not idle, and what comes later was not sent yet.
    answered.write('x')
    silent.write('x')
    const late = askH2(client)
    await caughtUp()
    clock.advance(idleTimeoutMs / 2 - 1)
    await caughtUp()
    assert.deepEqual(scene.plane.faults, [])
    assert.equal(scene.target.connectionCount, 1)
    clock.advance(1)
    assert.deepEqual(await Promise.all(cutOff), [504, 504])
    assert.equal((await waits).status, 504)
    assert.equal((await begun).body.toString(), 'begun')
    assert.equal((await late).status, 200)
    await scene.recorded(5)
    assert.deepEqual(scene.plane.faults.toSorted(), ['responseStalled', 'targetIdle', 'targetIdle', 'targetIdle'])
    assert.deepEqual((await endings(scene)).toSorted(), [
      '-1 -1 -1 504 -',
      '0.000 -1 -1 504 -',
      '0.000 -1 -1 504 -',
      '0.000 0.000 0.000 200 200',
      '30.000 0.000 0.000 200 200',
    ])
    assert.equal(scene.target.connectionCount, 2)
    assert.equal(scene.plane.states.requestsInFlight(0), 0)
  })
}

test('a connection that is never drained ends also while requests come and go on it', async t => {
  const { scene, client } = await meeting(t, peer => peer.connection.stall())
  const large = await fill(client)
  large.close()
  for (let seconds = 0; seconds < 60; seconds += 10) {
    const stream = beginH2(client)
    await caughtUp()
    stream.close()
    await caughtUp()
    scene.plane.clock.advance(10_000)
  }
  assert.equal((await askH2(client)).status, 200)
  assert.equal(scene.target.connectionCount, 2)
})

test('what waits for a target that does not read goes elsewhere when the target says that it goes away', async t => {
  const leaves = Promise.withResolvers<void>()
  const { scene, client } = await meeting(t, async peer => {
    await leaves.promise
    await peer.send(goAway(1, 0))
    await peer.connection.stall()
  })
  await fill(client)
  const waits = askH2(client)
  await caughtUp()
  assert.equal(scene.target.connectionCount, 1)
  leaves.resolve()
  assert.equal((await waits).status, 200)
  assert.deepEqual(scene.plane.faults, [])
})

test('a request takes a connection that has room before it waits for one that has none', async t => {
  const script: Script = inTurn(
    speaksHttp2(
      peer => peer.connection.stall(),
      Buffer.concat([settings([3, 1], [4, 2 ** 31 - 1]), windowUpdate(0, 2 ** 30)]),
    ),
    answers,
  )
  const scene = await startScene(t, { ...overHttp2, targets: [script] })
  const client = await connectH2(t, scene.plane.port)
  const large = await fill(client)
  assert.equal((await askH2(client)).status, 200)
  large.close()
  await caughtUp()
  assert.equal((await askH2(client)).status, 200)
  assert.equal(scene.target.connectionCount, 2)
})

// --- No end ---

test('a target that reads slowly and steadily gets all of it, also of requests that had to wait for it', async t => {
  let framesLeft = 0
  let wake = () => {}
  const { scene, client } = await meeting(t, async peer => {
    for (;;) {
      while (framesLeft === 0) {
        const granted = Promise.withResolvers<void>()
        wake = granted.resolve
        await granted.promise
      }
      framesLeft--
      const next = await peer.read()
      if (next === null) return
      const isRequestOver = next.id !== 0 && (next.flags & END_STREAM) !== 0
      if (isRequestOver) await peer.send(headers(next.id, ok, END_STREAM))
    }
  })
  const grant = (frames: number) => {
    framesLeft += frames
    wake()
  }
  const source = new PatternSource(16_384)
  const large = beginH2(client, posts, null)
  const uploaded = source.writeTo(large, 24 * megabyte).then(() => large.end())
  await stalled(() => source.byteCount)
  for (let i = 0; i < 5; i++) {
    scene.plane.clock.advance(idleTimeoutMs - 1)
    const before = source.byteCount
    await until(
      () => {
        if (framesLeft === 0) grant(16)
        return source.byteCount > before
      },
      () => 'the client to send more',
    )
    await stalled(() => source.byteCount)
  }
  const waits = askH2(client)
  await caughtUp()
  grant(Infinity)
  await uploaded
  assert.equal((await responseH2(large)).status, 200)
  assert.equal((await waits).status, 200)
  assert.deepEqual(scene.plane.faults, [])
  assert.equal(scene.target.connectionCount, 1)
})
