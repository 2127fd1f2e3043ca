/**
 * Clients that make work of HTTP/2: their connection ends, memory stays bounded, and nobody else notices.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9113#section-10.5
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { h2ResetsBurst } from '../../src/model/limits.ts'
import { within } from '../support/deadline.ts'
import { askH2, connectH2 } from '../support/h2-client.ts'
import {
  data,
  END_HEADERS,
  END_STREAM,
  type Fields,
  frame,
  get,
  headers,
  integer,
  literals,
  post,
  rstStream,
  settings,
  u32,
  windowUpdate,
} from '../support/h2-frames.ts'
import { connectRawH2, type RawH2Client } from '../support/h2-raw-client.ts'
import { PlaneProcess } from '../support/plane-process.ts'
import { Scene, startScene } from '../support/scene.ts'
import { secureListener } from '../support/secure-listener.ts'
import { answering, neverAnswers } from '../support/target-scripts.ts'
import { caughtUp } from '../support/turns.ts'

const many = (frames: Buffer, count: number) => Buffer.concat(Array.from({ length: count }, () => frames))
const floodBytesMax = 64 * 2 ** 20

/** Goes on sending until the connection is over. */
async function flood(client: RawH2Client, next: (round: number) => Buffer): Promise<void> {
  let sent = 0
  for (let round = 0; !client.isOver && sent < floodBytesMax; round++) {
    const bytes = next(round)
    sent += bytes.length
    await within(client.send(bytes), () => 'the flood to be taken, or refused')
    await caughtUp()
  }
}

const path = (value: string): Fields => [...get.slice(0, 3), [':path', value]]
const odd = (round: number, perRound: number, i: number) => 2 * (round * perRound + i) + 1

type Flood = {
  readonly what: string
  /** Sent once. */
  readonly first?: Buffer
  readonly next: (round: number) => Buffer
  readonly told: string | RegExp
  readonly code?: string
}

const resets = 100
/** Whatever is counted first. */
const tooMany = /^too many (answers wait to be read|frames for what they carry)$/
const floods: readonly Flood[] = [
  {
    what: 'begins streams and resets them (CVE-2023-44487)',
    next: round =>
      Buffer.concat(
        Array.from({ length: resets }, (_, i) => {
          const id = odd(round, resets, i)
          return Buffer.concat([headers(id, path('/waits'), END_STREAM), rstStream(id, 8)])
        }),
      ),
    told: 'streams are reset too often',
  },
  {
    what: 'has its streams reset (CVE-2025-8671)',
    next: round =>
      Buffer.concat(
        Array.from({ length: resets }, (_, i) => {
          const id = odd(round, resets, i)
          return Buffer.concat([headers(id, path('/waits'), END_STREAM), windowUpdate(id, 0)])
        }),
      ),
    told: 'streams are reset too often',
  },
  {
    what: 'begins more streams than it may',
    next: round =>
      Buffer.concat(
        Array.from({ length: resets }, (_, i) => headers(odd(round, resets, i), path('/waits'), END_STREAM)),
      ),
    told: 'streams are reset too often',
  },
  {
    what: 'never ends a head (CVE-2024-27316)',
    first: frame('HEADERS', 0, 1, literals(get)),
    next: () => frame('CONTINUATION', 0, 1, ''),
    told: 'a header block comes in too many frames',
  },
  {
    what: 'sends a head without measure',
    first: frame('HEADERS', 0, 1, literals(get)),
    next: () => frame('CONTINUATION', 0, 1, literals([['a', 'b'.repeat(16_000)]])),
    told: 'a header block is too long',
  },
  {
    what: 'sends SETTINGS (CVE-2019-9515)',
    next: () => many(settings(), 50_000),
    told: tooMany,
  },
  {
    what: 'sends PING (CVE-2019-9512)',
    next: () => many(frame('PING', 0, 0, '12345678'), 50_000),
    told: tooMany,
  },
  {
    what: 'opens windows that nobody needs',
    next: () => many(windowUpdate(0, 1), 50_000),
    told: 'too many frames for what they carry',
  },
  {
    what: 'sends priorities (CVE-2019-9513)',
    next: () => many(frame('PRIORITY', 0, 1, Buffer.concat([u32(0), Buffer.of(1)])), 50_000),
    told: 'too many frames for what they carry',
  },
  {
    what: 'sends data without any (CVE-2019-9518)',
    first: headers(1, [...post.slice(0, 3), [':path', '/waits']]),
    next: () => many(data(1, ''), 50_000),
    told: 'too many frames for what they carry',
  },
  {
    what: 'resets streams that it never began',
    next: () => rstStream(1, 8),
    told: 'a stream must begin with a head',
    code: 'protocolError',
  },
]

async function startMet(t: TestContext): Promise<Scene> {
  return startScene(t, {
    ...secureListener,
    targets: [neverAnswers],
    groups: [],
    defaultAction: { type: 'fixed-response', fixedResponse: { statusCode: 200, messageBody: 'fixed' } },
    rules: [
      {
        priority: 1,
        conditions: [{ field: 'path-pattern', values: ['/waits'] }],
        actions: [{ type: 'forward', targetGroup: 'app' }],
      },
    ],
  })
}

for (const { what, first = Buffer.alloc(0), next, told, code = 'enhanceYourCalm' } of floods) {
  for (const reads of [true, false]) {
    test(`a client that ${what}${reads ? '' : ', and does not read,'} is closed, and told of; another is served meanwhile`, async t => {
      const scene = await startMet(t)
      const other = await connectH2(t, scene.plane.port)
      const client = await connectRawH2(t, scene.plane.port)
      if (!reads) client.stopReading()
      await client.send(first)
      const over = flood(client, round => {
        if (scene.plane.connectionFaults.length > 0) client.socket.resume()
        return next(round)
      })
      for (let i = 0; i < 5; i++) assert.equal((await askH2(other)).body.toString(), 'fixed')
      await over
      const lines = await client.ends()
      assert.match(lines.findLast(line => line.startsWith('GOAWAY')) ?? '', new RegExp(`^GOAWAY \\d+ ${code}$`))
      const [event, ...others] = scene.plane.connectionFaults
      assert.deepEqual(others, [])
      if (typeof told === 'string') assert.equal(event!.detail, told)
      else assert.match(event!.detail!, told)
      assert.equal((await askH2(other)).body.toString(), 'fixed')
      assert.equal(scene.plane.states.requestsInFlight(0), 0)
    })
  }
}

test('a thousand resets at once are no flood yet, and what they began ends with them', async t => {
  const scene = await startMet(t)
  const client = await connectRawH2(t, scene.plane.port)
  const ids = Array.from({ length: h2ResetsBurst }, (_, i) => 2 * i + 1)
  for (let at = 0; at < ids.length; at += resets) {
    const batch = ids.slice(at, at + resets)
    await client.send(...batch.map(id => headers(id, path('/waits'), END_STREAM)), ...batch.map(id => rstStream(id, 8)))
  }
  await scene.recorded(ids.length)
  await client.send(headers(2001, get, END_STREAM))
  await client.answer(2001)
  assert.equal(scene.plane.states.requestsInFlight(0), 0)
  await scene.target.closedConnections()
})

/** One entry of nearly the whole table, then a byte for each time that it is meant. */
function bomb(id: number): Buffer {
  const entry = Buffer.concat([Buffer.of(0x40, 1), Buffer.from('a'), integer(0, 7, 4000), Buffer.alloc(4000, 'x')])
  const fields = id === 1 ? [literals(get), entry] : [literals(get), Buffer.alloc(16_000, 0xbe)]
  return frame('HEADERS', END_HEADERS | END_STREAM, id, Buffer.concat(fields))
}

test('memory stays bounded, whatever is made work of', async t => {
  const body = 'a'.repeat(200_000)
  const target = await startScene(t, { targets: [answering(200, body)] })
  const options = { ...secureListener, addresses: [{ id: '127.0.0.1', port: target.target.port }] }
  const plane = new PlaneProcess(t, new Scene([], options).config())
  await plane.start()
  const other = await connectH2(t, plane.port)
  for (let i = 0; i < 50; i++) await askH2(other)
  const before = await plane.peakRssBytes()

  const stalled = await connectRawH2(t, plane.port)
  await stalled.send(settings([4, 0]))
  for (let i = 0; i < 128; i++) await stalled.send(headers(2 * i + 1, get, END_STREAM))
  await stalled.sees(/^HEADERS 255 :status=200/)

  const bomber = await connectRawH2(t, plane.port)
  await bomber.send(settings([4, 2 ** 31 - 1]), windowUpdate(0, 2 ** 30))
  for (let i = 0; i < 200; i++) {
    await bomber.send(bomb(2 * i + 1))
    await bomber.answer(2 * i + 1)
  }
  assert.match(bomber.linesOf(399)[0]!, /:status=400/)

  const deaf = await connectRawH2(t, plane.port)
  deaf.stopReading()
  const heads: Fields = [[':method', 'HEAD'], ...get.slice(1)]
  for (let i = 0; i < 10_000 && !deaf.socket.destroyed; i += 100) {
    await deaf.send(...Array.from({ length: 100 }, (_, k) => headers(2 * (i + k) + 1, heads, END_STREAM)))
  }

  for (let i = 0; i < 10; i++) assert.equal((await askH2(other)).body.length, body.length)
  const grownMb = ((await plane.peakRssBytes()) - before) / 2 ** 20
  t.diagnostic(`peak memory grew by ${grownMb.toFixed(1)} MB`)
  assert.ok(grownMb < 100, `grew by ${grownMb.toFixed(1)} MB`)
})
