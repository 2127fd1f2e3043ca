/** Whatever many clients do at once, each gets the answer to its own request, and no byte of another's. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { runSeed } from '../fuzz/random.ts'
import { openSocket, startBareServer } from '../support/bare-server.ts'
import { within } from '../support/deadline.ts'
import { bodyOf, startEcho } from '../support/echo-server.ts'
import { forwardingConfig, forwardTo, forwardToPorts, openClient } from '../support/forwarding.ts'
import { fieldValue } from '../support/message-reader.ts'
import { PatternCheck, PatternSource } from '../support/pattern.ts'
import { answering } from '../support/target-scripts.ts'
import { stalled } from '../support/turns.ts'

const clientCount = 200

type Request = {
  readonly size: number
  readonly isChunked: boolean
  /** Whether the target answers in chunks. */
  readonly isAnswerChunked: boolean
  /** The next request is sent without waiting for the answer to this one. */
  readonly isPipelined: boolean
  /** Where its bytes are cut, as parts of the whole. */
  readonly cuts: readonly number[]
}

const sizes = fc.oneof(
  { weight: 1, arbitrary: fc.constant(0) },
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 2_000 }) },
  { weight: 3, arbitrary: fc.integer({ min: 20_000, max: 70_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 100_000, max: 400_000 }) },
)
const requests: fc.Arbitrary<Request[]> = fc.array(
  fc.record({
    size: sizes,
    isChunked: fc.boolean(),
    isAnswerChunked: fc.boolean(),
    isPipelined: fc.boolean(),
    cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 4 }),
  }),
  { minLength: 1, maxLength: 6 },
)

function bytesOf(name: string, { size, isChunked, isAnswerChunked }: Request): Buffer {
  const head = `POST /${name} HTTP/1.1\r\nHost: a\r\nX-Name: ${name}\r\nX-Answer: ${isAnswerChunked ? 'chunked' : 'length'}\r\n`
  const body = bodyOf(name, size)
  if (!isChunked) return Buffer.concat([Buffer.from(`${head}Content-Length: ${size}\r\n\r\n`), body])
  const pieces = [Buffer.from(`${head}Transfer-Encoding: chunked\r\n\r\n`)]
  const chunk = Math.max(1, Math.ceil(size / 3))
  for (let at = 0; at < size; at += chunk) {
    const piece = body.subarray(at, at + chunk)
    pieces.push(Buffer.from(`${piece.length.toString(16)};of=${name}\r\n`), piece, Buffer.from('\r\n'))
  }
  return Buffer.concat([...pieces, Buffer.from('0\r\n\r\n')])
}

async function runClient(t: TestContext, port: number, number: number, planned: readonly Request[]): Promise<void> {
  const client = await openClient(t, port)
  const expected: { name: string; size: number }[] = []
  for (const [i, request] of planned.entries()) {
    const name = `client-${number}-request-${i}`
    const bytes = bytesOf(name, request)
    expected.push({ name, size: request.size })
    await client.sendCutAt(
      bytes,
      request.cuts.map(part => Math.floor(part * bytes.length)).sort((a, b) => a - b),
    )
    if (request.isPipelined && i < planned.length - 1) continue
    for (const { name, size } of expected.splice(0)) {
      const response = await client.readResponse()
      assert.equal(response.status, 200)
      assert.equal(fieldValue(response.headers, 'x-name'), name)
      assert.equal(response.body.length, size, name)
      assert.ok(response.body.equals(bodyOf(name, size)), `${name} was answered with bytes of another`)
    }
  }
}

test('200 clients at once, of every kind of body and cut, get their own answers', async t => {
  const seed = runSeed()
  t.diagnostic(`FUZZ_SEED=${seed}`)
  const plane = await forwardToPorts(t, [await startEcho(t), await startEcho(t), await startEcho(t)])
  const plans = fc.sample(requests, { seed, numRuns: clientCount })
  const results = await Promise.allSettled(plans.map((plan, number) => runClient(t, plane.port, number, plan)))
  const failure = results.find(result => result.status === 'rejected')
  assert.equal(failure, undefined, `FUZZ_SEED=${seed}: ${failure?.reason}`)
  assert.deepEqual(plane.faults, [])
  const total = plans.reduce((sum, plan) => sum + plan.length, 0)
  assert.equal(plane.counters.loadBalancer(0, 'exchanges'), total)
  for (const slot of [0, 1, 2]) assert.equal(plane.states.requestsInFlight(slot), 0)
})

test('bytes that wait for a slow target are not written over by another client', async t => {
  // Memory that large bodies are read into goes from hand to hand: whoever had it before must have let go of it.
  const length = 48 * 2 ** 20
  const check = new PatternCheck()
  const resumed = Promise.withResolvers<void>()
  const checked = Promise.withResolvers<void>()
  const slowPort = await startBareServer(t, async (socket, first) => {
    await resumed.promise
    check.take(first)
    socket.on('data', (bytes: Buffer) => {
      try {
        check.take(bytes)
      } catch (error) {
        checked.reject(error)
      }
      if (check.byteCount === length) checked.resolve()
    })
  })
  const quick = await forwardTo(t, answering(200, 'ok'))
  const config = forwardingConfig([quick.target.port]).replace(
    'targets: []',
    `targets: [{ id: 127.0.0.1, port: ${slowPort} }]`,
  )
  await quick.plane.publish(config)
  const post = (size: number) => `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n${'x'.repeat(size)}`

  const busy = await quick.client()
  await busy.send(post(40_000))
  assert.equal((await busy.readResponse()).status, 200)

  const slow = await openSocket(t, quick.plane.port)
  slow.write(`POST /empty HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`)
  const source = new PatternSource()
  const sent = source.writeTo(slow, length)
  await stalled(() => source.byteCount)
  for (let i = 0; i < 5; i++) {
    await busy.send(post(60_000))
    assert.equal((await busy.readResponse()).status, 200)
  }
  resumed.resolve()
  await within(checked.promise, () => 'the slow target to have all')
  await sent
})
