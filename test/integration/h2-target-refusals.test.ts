/**
 * Requests that a target says it never looked at, attempt by attempt and frame by frame: whatever came in between, the
 * last attempt is the whole request.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9113#section-8.7
 */

import assert from 'node:assert/strict'
import { constants, type OutgoingHttpHeaders } from 'node:http2'
import { test } from 'node:test'
import { askH2, beginH2, connectH2, responseH2 } from '../support/h2-client.ts'
import {
  data,
  END_STREAM,
  FrameTeller,
  goAway,
  headers,
  ok,
  rstStream,
  settings,
  windowUpdate,
} from '../support/h2-frames.ts'
import { overHttp2 } from '../support/h2-scene.ts'
import { initialWindowSize, speaksHttp2 } from '../support/h2-scripts.ts'
import type { Script } from '../support/misbehaving-target.ts'
import { startScene } from '../support/scene.ts'
import * as scripts from '../support/target-scripts.ts'
import { caughtUp, until } from '../support/turns.ts'

const { NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = constants

const goesAway = goAway(0, NGHTTP2_NO_ERROR)

/** Windows wide enough for every body here. */
const greeting = Buffer.concat([settings([initialWindowSize, 2 ** 20]), windowUpdate(0, 2 ** 20)])

/** What a target saw of a request, the data in one piece. */
type Seen = { id: number; head: string; body: string; trailers: string | null; isEnded: boolean }

/** Goes away with its SETTINGS: the request that waited for them is not even begun. */
const goesAwayAtOnce = speaksHttp2(peer => peer.connection.drain(), Buffer.concat([settings(), goesAway]))

/** Says `reply` to each request, as soon as it is read to where it `isDue`. */
function says(reply: (id: number) => Buffer, seen: Seen[] = [], isDue = ({ isEnded }: Seen) => isEnded): Script {
  return speaksHttp2(async peer => {
    const teller = new FrameTeller()
    let request: Seen | null = null
    for (let repliedTo = 0; ; ) {
      const frame = await peer.read()
      if (frame === null) return
      if (frame.type !== 'HEADERS' && frame.type !== 'DATA') continue
      const isEnded = (frame.flags & END_STREAM) !== 0
      if (request === null || request.id !== frame.id) {
        request = { id: frame.id, head: teller.tell(frame), body: '', trailers: null, isEnded }
        seen.push(request)
      } else {
        if (frame.type === 'DATA') request.body += frame.payload
        else request.trailers = teller.tell(frame).replace(/^HEADERS \d+ end /, '')
        request.isEnded = isEnded
      }
      if (repliedTo === frame.id || !isDue(request)) continue
      repliedTo = frame.id
      await peer.send(reply(frame.id))
    }
  }, greeting)
}

const refuses = (id: number) => rstStream(id, NGHTTP2_REFUSED_STREAM)
const leaves = () => goesAway
const answers = (id: number) => Buffer.concat([headers(id, ok), data(id, 'ok', END_STREAM)])

const attempts: readonly (readonly [what: string, refusals: readonly Script[]])[] = [
  ['goes away', [says(leaves)]],
  ['refuses the stream', [says(refuses)]],
  ['goes away as it comes', [goesAwayAtOnce]],
  ['goes away, and then as it comes', [says(leaves), goesAwayAtOnce]],
  ['goes away as it comes, then behind the request, and again', [goesAwayAtOnce, says(leaves), goesAwayAtOnce]],
  ['goes away again and again', [says(leaves), says(leaves), goesAwayAtOnce, goesAwayAtOnce, says(leaves)]],
]

const requests: readonly (readonly [
  what: string,
  fields: OutgoingHttpHeaders,
  body: string,
  trailer: string | null,
])[] = [
  ['a request without a body', { ':method': 'GET' }, '', null],
  ['a body of known length', { ':method': 'POST', 'content-length': '1000' }, 'x'.repeat(1000), null],
  ['a body of unknown length', { ':method': 'POST' }, 'x'.repeat(1000), null],
  ['a body of the most that is kept', { ':method': 'POST' }, 'x'.repeat(65_536), null],
  ['a body with trailers', { ':method': 'POST' }, 'x'.repeat(1000), 'behind'],
  ['trailers without a body', { ':method': 'POST' }, '', 'behind'],
]

for (const [how, refusals] of attempts) {
  for (const [what, fields, body, trailer] of requests) {
    test(`behind a target that ${how}, ${what} is whole`, async t => {
      const seen: Seen[] = []
      const [first, ...others] = [...refusals, says(answers, seen)]
      const scene = await startScene(t, { ...overHttp2, targets: [scripts.inTurn(first!, ...others)] })
      const client = await connectH2(t, scene.plane.port)
      const hasTrailers = trailer !== null
      const stream = client.request({ ':authority': 'a', ...fields }, { waitForTrailers: hasTrailers })
      if (hasTrailers) stream.once('wantTrailers', () => stream.sendTrailers({ 'x-trailer': trailer }))
      const answered = responseH2(stream)
      if (!stream.writableEnded) stream.end(body)
      const { status, body: answer } = await answered
      assert.deepEqual([status, `${answer}`], [200, 'ok'])
      const [request] = seen
      assert.equal(request!.body.length, body.length)
      assert.deepEqual([request!.body, request!.trailers], [body, hasTrailers ? `x-trailer=${trailer}` : null])
      assert.equal(/ content-length=(\d+)/.exec(request!.head)?.[1], fields['content-length'])
      assert.equal(request!.head.startsWith('HEADERS 1 end'), body === '' && !hasTrailers)
      assert.equal(scene.target.connectionCount, 1 + refusals.length)
      assert.deepEqual(scene.plane.faults, [])
    })
  }
}

test('a body that is still coming as attempt after attempt is refused arrives whole, each byte once', async t => {
  const gate = Promise.withResolvers<void>()
  const [first, third, last]: Seen[][] = [[], [], []]
  const waits: Script = async connection => {
    await gate.promise
    await goesAwayAtOnce(connection)
  }
  const scene = await startScene(t, {
    ...overHttp2,
    targets: [
      scripts.inTurn(
        says(leaves, first, ({ body }) => body === 'one'),
        waits,
        says(leaves, third, ({ body }) => body.length >= 6),
        goesAwayAtOnce,
        says(answers, last),
      ),
    ],
  })
  const stream = beginH2(await connectH2(t, scene.plane.port), { ':method': 'POST' }, null)
  const answered = responseH2(stream)
  stream.write('one')
  await scene.target.acceptedConnections(2)
  stream.write('two')
  await caughtUp()
  gate.resolve()
  await until(
    () => last!.length > 0,
    () => 'the last attempt',
  )
  stream.end('three')
  assert.equal((await answered).status, 200)
  assert.deepEqual([first![0]!.body, third![0]!.body, last![0]!.body], ['one', 'onetwo', 'onetwothree'])
  assert.deepEqual(scene.plane.faults, [])
})

test('a connection that refused one attempt may get the third', async t => {
  const seen: Seen[] = []
  const refusesFirst = says(id => (id === 1 ? refuses(id) : answers(id)), seen)
  const scene = await startScene(t, { ...overHttp2, targets: [scripts.inTurn(refusesFirst, goesAwayAtOnce)] })
  const client = await connectH2(t, scene.plane.port)
  assert.equal((await askH2(client, { ':method': 'POST' }, 'body')).status, 200)
  assert.deepEqual(
    seen.map(({ id, body }) => [id, body]),
    [
      [1, 'body'],
      [3, 'body'],
    ],
  )
  assert.deepEqual(scene.plane.faults, [])
})

test('a client may send a whole window more while attempts fail, and then no attempt is made again', async t => {
  const gate = Promise.withResolvers<void>()
  const seen: Seen[] = []
  const waits: Script = async connection => {
    await gate.promise
    await says(refuses, seen)(connection)
  }
  const half = 'x'.repeat(40_000)
  const scene = await startScene(t, {
    ...overHttp2,
    targets: [
      scripts.inTurn(
        says(leaves, [], ({ body }) => body === half),
        waits,
      ),
    ],
  })
  const stream = beginH2(await connectH2(t, scene.plane.port), { ':method': 'POST' }, null)
  const answered = responseH2(stream)
  stream.write(half)
  await scene.target.acceptedConnections(2)
  stream.end(half)
  await caughtUp()
  gate.resolve()
  assert.equal((await answered).status, 502)
  assert.equal(seen[0]!.body.length, 80_000)
  assert.deepEqual(scene.plane.faults, ['targetStreamReset'])
  assert.equal(scene.target.connectionCount, 2)
})
