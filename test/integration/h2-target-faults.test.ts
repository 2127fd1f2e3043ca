/**
 * What targets do wrong in HTTP/2, frame by frame. What each fault shows is in `faults-target.test.ts`.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9113
 */

import assert from 'node:assert/strict'
import { constants } from 'node:http2'
import { type TestContext, test } from 'node:test'
import type { FaultCode } from '../../src/model/faults.ts'
import { h2GoAwaysMax } from '../../src/model/limits.ts'
import { askH2, beginH2, connectH2, responseH2 } from '../support/h2-client.ts'
import {
  data,
  END_HEADERS,
  END_STREAM,
  type Fields,
  frame,
  get,
  goAway,
  headers,
  literals,
  ok,
  rstStream,
  settings,
  u32,
  windowUpdate,
} from '../support/h2-frames.ts'
import { longHeaders } from '../support/h2-raw-client.ts'
import { overHttp2 } from '../support/h2-scene.ts'
import { answersFrames, maxConcurrentStreams, speaksHttp2 } from '../support/h2-scripts.ts'
import type { Script } from '../support/misbehaving-target.ts'
import { startScene } from '../support/scene.ts'
import * as scripts from '../support/target-scripts.ts'
import { caughtUp } from '../support/turns.ts'

const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_PROTOCOL_ERROR, NGHTTP2_REFUSED_STREAM } =
  constants

const largeTrailers: Fields = Array.from({ length: 3 }, (_, i) => [`x-trailer-${i}`, 'a'.repeat(12_000)] as const)

// --- Before the answer ---

/** A scene with one target that follows the script, and a client. */
async function meeting(t: TestContext, script: Script) {
  const scene = await startScene(t, { ...overHttp2, targets: [script] })
  return { scene, client: await connectH2(t, scene.plane.port) }
}

const breaches: readonly (readonly [what: string, framesFor: (id: number) => readonly Buffer[], fault: FaultCode])[] = [
  ['resets the stream without an error', id => [rstStream(id, NGHTTP2_NO_ERROR)], 'targetStreamReset'],
  ['cancels the stream', id => [rstStream(id, NGHTTP2_CANCEL)], 'targetStreamReset'],
  [
    'pushes',
    id => [frame('PUSH_PROMISE', END_HEADERS, id, Buffer.concat([u32(2), literals(get)]))],
    'targetProtocolError',
  ],
  ['begins a stream', () => [headers(2, ok, END_STREAM)], 'targetProtocolError'],
  ['answers what nobody asked', id => [headers(id + 2, ok, END_STREAM)], 'targetProtocolError'],
  ['widens the window of the stream by nothing', id => [windowUpdate(id, 0)], 'targetProtocolError'],
  ['widens that of the connection by nothing', () => [windowUpdate(0, 0)], 'targetProtocolError'],
  ['widens a window beyond all bounds', id => [windowUpdate(id, 0x7fffffff)], 'targetProtocolError'],
  [
    'sends no HPACK',
    id => [frame('HEADERS', END_HEADERS | END_STREAM, id, Buffer.of(0xff, 0xff, 0xff, 0xff, 0xff))],
    'targetProtocolError',
  ],
  ['sends a frame that is too long', id => [frame('DATA', 0, id, Buffer.alloc(16_385))], 'targetProtocolError'],
  ['goes on where it may not', id => [frame('CONTINUATION', END_HEADERS, id, literals(ok))], 'targetProtocolError'],
  ['says it takes pushes', () => [settings([2, 1])], 'targetProtocolError'],
  ['answers without a status', id => [headers(id, [['a', 'b']], END_STREAM)], 'responseHeadMalformed'],
  [
    'answers with a status of two digits',
    id => [headers(id, [[':status', '20']], END_STREAM)],
    'responseHeadMalformed',
  ],
  ['answers with a status beyond 599', id => [headers(id, [[':status', '600']], END_STREAM)], 'responseHeadMalformed'],
  ['switches protocols', id => [headers(id, [[':status', '101']])], 'responseHeadMalformed'],
  ['ends with an interim answer', id => [headers(id, [[':status', '103']], END_STREAM)], 'responseHeadMalformed'],
  ['answers with a name in capitals', id => [headers(id, [...ok, ['Name', 'b']], END_STREAM)], 'responseHeadMalformed'],
  [
    'answers with a field of the connection',
    id => [headers(id, [...ok, ['connection', 'close']], END_STREAM)],
    'responseHeadMalformed',
  ],
  [
    'answers with a line end in a value',
    id => [headers(id, [...ok, ['a', 'b\r\nc: d']], END_STREAM)],
    'responseHeadMalformed',
  ],
  [
    'answers with two lengths',
    id => [headers(id, [...ok, ['content-length', '1'], ['content-length', '2']])],
    'responseHeadMalformed',
  ],
  [
    'says a length and sends nothing',
    id => [headers(id, [...ok, ['content-length', '1']], END_STREAM)],
    'responseHeadMalformed',
  ],
  [
    'answers with a head of more than 32 K',
    id => [longHeaders(id, [...ok, ...largeTrailers], END_STREAM)],
    'responseHeadTooLarge',
  ],
]

for (const [what, framesFor, fault] of breaches) {
  test(`a target that ${what} is a 502, and the next request is none the worse`, async t => {
    const second = answersFrames(id => [headers(id, ok, END_STREAM)])
    const first = speaksHttp2(async peer => {
      const id = await peer.request()
      if (id === null) return
      await peer.send(...framesFor(id))
      const next = await peer.request()
      if (next !== null) await peer.send(headers(next, ok, END_STREAM))
      await peer.connection.drain()
    })
    const { scene, client } = await meeting(t, scripts.inTurn(first, second))
    assert.equal((await askH2(client)).status, 502)
    assert.deepEqual(scene.plane.faults, [fault])
    assert.equal((await askH2(client)).status, 200)
    assert.equal(scene.plane.states.requestsInFlight(0), 0)
  })
}

for (const [what, answer] of [
  ['HTTP/1.1', 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'],
  ['nonsense', 'SSH-2.0-OpenSSH_9.9\r\n'],
  ['frames, not beginning with SETTINGS', frame('PING', 0, 0, Buffer.alloc(8))],
] as const) {
  test(`a target that speaks ${what} is a 502`, async t => {
    const { scene, client } = await meeting(t, async connection => {
      await connection.hears()
      await connection.send(answer)
      await connection.drain()
    })
    assert.equal((await askH2(client)).status, 502)
    assert.deepEqual(scene.plane.faults, ['targetProtocolError'])
    await scene.target.closedConnections()
  })
}

for (const [how, fault, end] of [
  ['closes', 'targetClosed', connection => connection.end()],
  ['resets', 'targetReset', connection => connection.reset()],
] as readonly (readonly [string, FaultCode, (connection: Parameters<Script>[0]) => void])[]) {
  test(`a target that ${how} the connection instead of beginning HTTP/2 is a 502`, async t => {
    const { scene, client } = await meeting(t, async connection => {
      await connection.hears()
      end(connection)
      await connection.drain()
    })
    assert.equal((await askH2(client)).status, 502)
    assert.deepEqual(scene.plane.faults, [fault])
  })
}

test('a target that goes away as it comes is not tried for ever', async t => {
  const leaving = speaksHttp2(peer => peer.connection.drain(), Buffer.concat([settings(), goAway(0, NGHTTP2_NO_ERROR)]))
  const { scene, client } = await meeting(t, leaving)
  assert.equal((await askH2(client)).status, 502)
  assert.deepEqual(scene.plane.faults, ['targetStreamReset'])
  assert.equal(scene.target.connectionCount, 1 + h2GoAwaysMax)
  await scene.target.closedConnections()
})

// --- After its beginning ---

test('a target that breaks the protocol spoils the streams of that connection only', async t => {
  const gate = Promise.withResolvers<void>()
  const one = settings([maxConcurrentStreams, 1])
  const breaks = speaksHttp2(async peer => {
    await peer.request()
    await gate.promise
    await peer.send(windowUpdate(0, 0))
    assert.equal((await peer.readTo('GOAWAY'))!.payload.readUInt32BE(4), NGHTTP2_PROTOCOL_ERROR)
    await peer.connection.drain()
  }, one)
  const answers = speaksHttp2(async peer => {
    const id = await peer.request()
    gate.resolve()
    await peer.send(headers(id!, ok))
    await peer.readTo('WINDOW_UPDATE') // Never comes: the client is gone then.
  }, one)
  const { scene, client } = await meeting(t, scripts.inTurn(breaks, answers))
  const first = askH2(client)
  await scene.target.acceptedConnections(1)
  await caughtUp()
  const second = beginH2(client)
  const answered = new Promise(resolve => second.once('response', resolve))
  assert.equal((await first).status, 502)
  await answered
  assert.deepEqual(scene.plane.faults, ['targetProtocolError'])
})

const cuts: readonly (readonly [what: string, framesFor: (id: number) => readonly Buffer[], code: number])[] = [
  ['resets the stream', id => [rstStream(id, NGHTTP2_CANCEL)], NGHTTP2_CANCEL],
  ['resets the stream without an error', id => [rstStream(id, NGHTTP2_NO_ERROR)], NGHTTP2_INTERNAL_ERROR],
  ['refuses what it has begun to answer', id => [rstStream(id, NGHTTP2_REFUSED_STREAM)], NGHTTP2_INTERNAL_ERROR],
  ['sends more than it said', id => [data(id, 'and more', END_STREAM)], NGHTTP2_PROTOCOL_ERROR],
  ['sends less than it said', id => [data(id, 'l', END_STREAM)], NGHTTP2_PROTOCOL_ERROR],
  ['sends trailers in place of the rest', id => [headers(id, [['a', 'b']], END_STREAM)], NGHTTP2_PROTOCOL_ERROR],
  ['sends a second head', id => [headers(id, ok)], NGHTTP2_PROTOCOL_ERROR],
  ['sends trailers with a pseudo-header', id => [data(id, 'll'), headers(id, ok, END_STREAM)], NGHTTP2_PROTOCOL_ERROR],
]

for (const [what, framesFor, code] of cuts) {
  test(`a target that ${what} has the client's stream reset`, async t => {
    const relayed = Promise.withResolvers<void>()
    const script = speaksHttp2(async peer => {
      const id = await peer.request()
      await peer.send(headers(id!, [...ok, ['content-length', '4']]), data(id!, 'be'))
      await relayed.promise
      await peer.send(...framesFor(id!))
      await peer.connection.drain()
    })
    const { scene, client } = await meeting(t, script)
    const stream = beginH2(client)
    stream.once('data', () => relayed.resolve())
    const response = await responseH2(stream)
    assert.deepEqual([response.status, response.code], [200, code])
    assert.deepEqual(scene.plane.faults, ['responseTruncated'])
  })
}

for (const [what, status, method] of [
  ['the answer to a HEAD', '200', 'HEAD'],
  ['a 204', '204', 'GET'],
  ['a 304', '304', 'GET'],
] as const) {
  test(`a body behind ${what} does not reach the client`, async t => {
    const script = answersFrames(id => [headers(id, [[':status', status]]), data(id, 'body', END_STREAM)])
    const { scene, client } = await meeting(t, script)
    const response = await askH2(client, { ':method': method })
    assert.equal(response.body.length, 0)
    assert.deepEqual(scene.plane.faults, ['responseTruncated'])
  })
}
