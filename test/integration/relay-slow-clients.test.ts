/** Clients that send and do not read: what they were answered waits for them in bounded memory, and is not cut. */
import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { openSocket } from '../support/bare-server.ts'
import { within } from '../support/deadline.ts'
import { type Forwarding, forwardingConfig, forwardTo } from '../support/forwarding.ts'
import { answering } from '../support/target-scripts.ts'
import { stalled } from '../support/turns.ts'

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`
const body = 'b'.repeat(60_000)

/** Everything until the FIN, or until `enough` bytes have come. */
async function readAll(socket: Socket, enough = Number.POSITIVE_INFINITY): Promise<Buffer> {
  const pieces: Buffer[] = []
  let size = 0
  const ended = Promise.withResolvers<void>()
  socket.on('data', (bytes: Buffer) => {
    pieces.push(bytes)
    size += bytes.length
    if (size >= enough) ended.resolve()
  })
  socket.once('end', ended.resolve)
  socket.once('close', ended.resolve)
  await within(ended.promise, () => `the rest of what was sent; ${size} bytes had come`)
  return Buffer.concat(pieces)
}

/** More requests than are answered while nobody reads the answers; returns when nothing moves any more. */
async function floods(t: TestContext, { plane, target }: Forwarding): Promise<Socket> {
  const client = await openSocket(t, plane.port)
  client.write(get('/').repeat(1_000))
  await stalled(() => target.requests.length)
  return client
}

test('a client that pipelines without reading is not answered beyond a bound, and later in full', async t => {
  const { plane } = await forwardTo(t, answering())
  const client = await openSocket(t, plane.port)
  const count = 150_000
  const before = process.memoryUsage().arrayBuffers
  client.write(Buffer.from(get('/fixed').repeat(count)))
  const answered = () => plane.counters.loadBalancer(0, 'exchanges')
  await stalled(answered)
  assert.ok(answered() < count, 'all were answered, though nobody reads')
  const grownMb = (process.memoryUsage().arrayBuffers - before) / 2 ** 20
  assert.ok(grownMb < 32, `memory grew by ${grownMb.toFixed(1)} MB`)
  const sample = /^HTTP[\s\S]*?fixed/.exec((await readAll(client, 1)).toString('latin1'))![0]
  client.end()
  const rest = await readAll(client)
  assert.equal(answered(), count)
  assert.ok(rest.toString('latin1').endsWith(sample))
})

test('answers of targets wait in the same way', async t => {
  const forwarding = await forwardTo(t, answering(200, body))
  const client = await floods(t, forwarding)
  assert.ok(forwarding.target.requests.length < 1_000)
  client.end()
  const received = await readAll(client)
  assert.equal(forwarding.target.requests.length, 1_000)
  assert.ok(received.length > 1_000 * body.length)
})

test('a connection that is to end does so when its client has what it was sent, however slowly it reads', async t => {
  const forwarding = await forwardTo(t, answering(200, body))
  const { plane, target } = forwarding
  const client = await floods(t, forwarding)
  const answered = target.requests.length
  // Another load balancer takes over; the listener of the first is gone.
  await plane.publish(forwardingConfig([target.port]).replace('name: web', 'name: other'))
  for (let second = 0; second < 10; second++) plane.clock.advance(1_000)
  const received = (await readAll(client)).toString('latin1')
  assert.equal(received.split('HTTP/1.1 200 ').length - 1, answered)
  assert.ok(received.endsWith(body))
})

test('a client that never reads what it was sent is not waited for beyond the idle timeout', async t => {
  const forwarding = await forwardTo(t, answering(200, body))
  const { plane, target } = forwarding
  const client = await floods(t, forwarding)
  await plane.publish(forwardingConfig([target.port]).replace('name: web', 'name: other'))
  for (let second = 0; second < 70; second++) plane.clock.advance(1_000)
  const received = (await readAll(client)).toString('latin1')
  assert.ok(received.length < target.requests.length * body.length, 'it was cut')
})

test('a stop waits for a client that is still reading its answer', async t => {
  const forwarding = await forwardTo(t, answering(200, body))
  const { plane, target } = forwarding
  const client = await floods(t, forwarding)
  const answered = target.requests.length
  const stopped = plane.plane.stop(25_000)
  const received = (await readAll(client)).toString('latin1')
  assert.equal(received.split('HTTP/1.1 200 ').length - 1, answered)
  assert.ok(received.endsWith(body))
  await plane.letNotice(stopped)
})
