/** Streams share a connection, and nothing else: each gets the answer to its own request, and no byte of another's. */

import assert from 'node:assert/strict'
import type { ClientHttp2Session } from 'node:http2'
import { test } from 'node:test'
import { Random, runSeed } from '../fuzz/random.ts'
import { bodyOf, startEcho } from '../support/echo-server.ts'
import { beginH2, connectH2, responseH2 } from '../support/h2-client.ts'
import { data, END_STREAM, type Fields, headers, rstStream } from '../support/h2-frames.ts'
import { connectRawH2 } from '../support/h2-raw-client.ts'
import { type MisbehavingTarget, startTarget } from '../support/misbehaving-target.ts'
import { refusedPort } from '../support/refused-port.ts'
import { startScene } from '../support/scene.ts'
import { secureListener } from '../support/secure-listener.ts'
import { answering } from '../support/target-scripts.ts'

const sessionCount = 8
const requestsPerSession = 60
/** Of each session, at once. */
const atOnce = 20

async function exchange(session: ClientHttp2Session, name: string, random: Random): Promise<void> {
  const size = random.pick([0, 1, 500, 16_384, 16_385, 65_536, 70_000, 300_000]) + random.below(50)
  const body = bodyOf(name, size)
  const leaves = random.below(20) === 0
  const fields = {
    ':method': 'POST',
    ':path': `/${name}`,
    'x-name': name,
    'x-answer': random.pick(['chunked', 'length']),
    // Whoever leaves may seem to say before that this was all.
    ...(!leaves && random.below(2) === 0 ? { 'content-length': size } : {}),
  }
  const stream = beginH2(session, fields, null)
  const answer = responseH2(stream)
  if (leaves) {
    stream.write(body.subarray(0, size / 2))
    stream.close(8)
    await answer
    return
  }
  const pieces = 1 + random.below(4)
  for (let i = 0; i < pieces; i++) {
    stream.write(body.subarray(Math.floor((size * i) / pieces), Math.floor((size * (i + 1)) / pieces)))
    if (random.below(2) === 0) await new Promise(resolve => setImmediate(resolve))
  }
  stream.end()
  const { status, headers, body: received } = await answer
  assert.equal(status, 200, name)
  assert.equal(headers['x-name'], name)
  assert.equal(received.length, size, name)
  assert.ok(received.equals(body), `${name} was answered with bytes of another`)
}

test('8 clients with 20 streams each at once, of every size and cut, get their own answers', async t => {
  const seed = runSeed()
  t.diagnostic(`FUZZ_SEED=${seed}`)
  const ports = [await startEcho(t), await startEcho(t), await startEcho(t)]
  const addresses = ports.map(port => ({ id: '127.0.0.1', port }))
  const scene = await startScene(t, { ...secureListener, addresses })
  const run = async (number: number) => {
    const random = new Random(seed + number)
    const session = await connectH2(t, scene.plane.port)
    let next = 0
    const work = async () => {
      while (next < requestsPerSession) await exchange(session, `client-${number}-request-${next++}`, random)
    }
    await Promise.all(Array.from({ length: atOnce }, work))
  }
  const results = await Promise.allSettled(Array.from({ length: sessionCount }, (_, number) => run(number)))
  const failure = results.find(result => result.status === 'rejected')
  assert.equal(failure, undefined, `FUZZ_SEED=${seed}: ${failure?.reason}`)
  await scene.recorded(sessionCount * requestsPerSession)
  const expected = new Set(['clientGoneDuringBody', 'clientClosed', 'clientGoneDuringResponse'])
  assert.deepEqual(
    scene.plane.faults.filter(fault => !expected.has(fault)),
    [],
  )
  for (const slot of [0, 1, 2]) assert.equal(scene.plane.states.requestsInFlight(slot), 0)
})

const to = (path: string): Fields => [
  [':method', 'POST'],
  [':scheme', 'https'],
  [':authority', 'a'],
  [':path', path],
]

test('what one read brings for several targets reaches each whole, and leaves none the bytes of another', async t => {
  const names = ['a', 'b', 'c'] as const
  const targets = new Map<string, MisbehavingTarget>()
  for (const name of names) {
    const target = await startTarget(answering(200, name))
    t.after(() => target.close())
    targets.set(name, target)
  }
  const group = (name: string, port: number) => ({
    name,
    protocol: 'HTTP',
    port: 80,
    targets: [{ id: '127.0.0.1', port }],
  })
  const scene = await startScene(t, {
    ...secureListener,
    groups: [...names.map(name => group(`group-${name}`, targets.get(name)!.port)), group('none', await refusedPort())],
    rules: [...names.map(name => `group-${name}`), 'none'].map((targetGroup, i) => ({
      priority: i + 1,
      conditions: [{ field: 'path-pattern', values: [`/${targetGroup.replace('group-', '')}`] }],
      actions: [{ type: 'forward', targetGroup }],
    })),
  })
  const client = await connectRawH2(t, scene.plane.port)
  // So that every target has a connection that is open already.
  await client.send(...names.map((name, i) => Buffer.concat([headers(2 * i + 1, to(`/${name}`), END_STREAM)])))
  for (const [i] of names.entries()) await client.answer(2 * i + 1)

  await client.send(
    headers(11, to('/a')),
    headers(13, to('/none')),
    headers(15, to('/b')),
    data(11, 'aaa'),
    data(15, 'bbb'),
    headers(17, to('/c')),
    data(13, 'nobody'),
    data(17, 'to be reset'),
    data(11, 'AAA', END_STREAM),
    headers(19, to('/none')),
    data(17, 'and more'),
    rstStream(17, 8),
    headers(21, to('/c')),
    data(15, 'BBB'),
    data(21, 'ccc', END_STREAM),
    data(15, '', END_STREAM),
    data(19, '', END_STREAM),
    data(13, '', END_STREAM),
  )
  for (const id of [11, 15, 21]) assert.match((await client.answer(id))[0]!, /:status=200/)
  for (const id of [13, 19]) assert.match((await client.answer(id))[0]!, /:status=502/)
  const bodies = names.map(name =>
    targets
      .get(name)!
      .requests.slice(1)
      .map(({ body }) => body.toString()),
  )
  assert.deepEqual(bodies, [['aaaAAA'], ['bbbBBB'], ['ccc']])
  assert.deepEqual(
    [11, 15, 21].map(id => client.body(id).toString()),
    ['a', 'b', 'c'],
  )
  await scene.recorded(names.length + 6)
  assert.deepEqual(scene.plane.faults.toSorted(), ['clientGoneDuringBody', 'targetRefused', 'targetRefused'])
})
