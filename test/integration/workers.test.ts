/** Worker threads: they share a port, and the death of one costs only what it carried. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import type { HeapSpaceInfo } from 'node:v8'
import { Worker } from 'node:worker_threads'
import { ManualClock } from '../../src/base/clock.ts'
import { PublicationRefused, semiSpaceMb } from '../../src/proxy/workers.ts'
import { Crew } from '../support/crew.ts'
import { within } from '../support/deadline.ts'
import { forwardingConfig } from '../support/forwarding.ts'
import { freePort } from '../support/free-port.ts'
import { startTarget } from '../support/misbehaving-target.ts'
import { connectClient, type RawClient } from '../support/raw-client.ts'
import { until } from '../support/turns.ts'

const get = (path = '/fixed') => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`

test('connections to one port are spread over the workers, each of which counts its own', async t => {
  const crew = await Crew.start(t, 2, port => forwardingConfig([], port))
  await crew.clientOfEach()
  assert.equal(crew.workers.threadIds.length, 2)
  assert.ok(crew.connections().every(count => count > 0))
})

test('a worker that dies is told of and replaced, while the other carries on', async t => {
  const crew = await Crew.start(t, 2, port => forwardingConfig([], port))
  const [first, second] = await crew.clientOfEach()
  await crew.threads[0]!.terminate()
  await first!.readUntilClose()
  await crew.says(/^worker 1 died; the others carry on, and it is replaced$/)
  await second!.send(get())
  assert.equal((await second!.readResponse()).body.toString(), 'fixed', 'the connection of the other is untouched')
  await until(
    () => crew.threads.length === 3,
    () => 'a third thread',
  )
  await crew.clientOfEach()
  assert.equal(crew.workers.threadIds.length, 2)
})

test('what a dead worker had in flight is counted out, and only that', async t => {
  const target = await startTarget(connection => connection.drain())
  t.after(() => target.close())
  const crew = await Crew.start(t, 2, port => forwardingConfig([target.port], port))
  const clients = await crew.clientOfEach()
  for (const client of clients) await client.send(get('/never'))
  await until(
    () => crew.states.requestsInFlight(0) === 2,
    () => 'both requests to be in flight',
  )
  await crew.threads[0]!.terminate()
  await crew.says(/worker 1 died/)
  assert.equal(crew.states.requestsInFlight(0), 1)
  const open = crew.workers.slabs[0]!
  assert.equal(open.loadBalancer(0, 'connectionsOpened'), open.loadBalancer(0, 'connectionsClosed'))
})

test('a replaced worker counts on where the one before it stopped', async t => {
  const crew = await Crew.start(t, 1, port => forwardingConfig([], port))
  await crew.clientOfEach()
  const before = crew.connections()[0]!
  await crew.threads[0]!.terminate()
  await until(
    () => crew.threads.length === 2,
    () => 'another thread',
  )
  const client = await within(connectUntilServed(crew.port), () => 'the port to be served again')
  client.close()
  assert.ok(crew.connections()[0]! > before)
})

async function connectUntilServed(port: number): Promise<RawClient> {
  for (;;) {
    try {
      const client = await connectClient(port)
      await client.send(get())
      await client.readResponse()
      return client
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') throw error
    }
  }
}

const changedConfig = ({ port }: Crew) => forwardingConfig([], port).replace('messageBody: fixed', 'messageBody: other')

async function allAnswerOther(crew: Crew): Promise<void> {
  for (const client of await crew.clientOfEach()) {
    await client.send(get())
    assert.equal((await client.readResponse()).body.toString(), 'other')
  }
}

test('a configuration that comes while a worker is being replaced reaches all of them', async t => {
  const crew = await Crew.start(t, 2, port => forwardingConfig([], port))
  await crew.clientOfEach()
  await crew.threads[0]!.terminate()
  await crew.says(/worker 1 died/)
  await within(crew.publish(changedConfig(crew)), () => 'the publication')
  await until(
    () => crew.threads.length === 3,
    () => 'a third thread',
  )
  await allAnswerOther(crew)
})

test('a worker that dies with the new configuration, while another one still prepares it, comes back with the new one', async t => {
  const clock = new ManualClock()
  const crew = await Crew.start(t, 2, port => forwardingConfig([], port), clock)
  const unmute = crew.mute(crew.threads[1]!)
  const acknowledged = once(crew.threads[0]!, 'message')
  const publication = crew.publish(changedConfig(crew))
  await acknowledged
  await crew.threads[0]!.terminate()
  await crew.says(/worker 1 died/)
  clock.advance(1000)
  unmute()
  await within(publication, () => 'the publication')
  await until(
    () => crew.threads.length === 3,
    () => 'a third thread',
  )
  await allAnswerOther(crew)
})

test('a worker that dies while a publication waits for the successor of another one is not waited for', async t => {
  const clock = new ManualClock()
  const crew = await Crew.start(t, 2, port => forwardingConfig([], port), clock)
  await crew.threads[0]!.terminate()
  await crew.says(/worker 1 died/)
  const publication = crew.publish(changedConfig(crew))
  clock.advance(100)
  await crew.threads[1]!.terminate()
  await crew.says(/worker 2 died/)
  clock.advance(200)
  await within(publication, () => 'the publication')
  clock.advance(1000)
  await until(
    () => crew.threads.length === 4,
    () => 'a fourth thread',
  )
  await allAnswerOther(crew)
})

test('a stop does not wait for a worker that is dead', async t => {
  const crew = await Crew.start(t, 2, port => forwardingConfig([], port))
  await crew.threads[0]!.terminate()
  await crew.says(/worker 1 died/)
  await within(crew.workers.stop(60_000), () => 'the workers to stop', 5_000)
})

test('a port that a worker cannot bind refuses the publication, and what was in force is served on', async t => {
  const crew = await Crew.start(t, 2, port => forwardingConfig([], port))
  const clients = await crew.clientOfEach()
  const blocker = createServer().listen(await freePort(), '0.0.0.0')
  await once(blocker, 'listening')
  t.after(() => blocker.close())
  const { port } = blocker.address() as { port: number }
  await assert.rejects(crew.publish(forwardingConfig([], port)), PublicationRefused)
  for (const client of clients) {
    await client.send(get())
    assert.equal((await client.readResponse()).body.toString(), 'fixed')
  }
  await crew.clientOfEach()
})

test('threads have as much room for short-lived objects as is asked for, on the Node that this project brings along', async t => {
  await Crew.start(t, 1, port => forwardingConfig([], port))
  const source = `require('node:worker_threads').parentPort.postMessage(require('node:v8').getHeapSpaceStatistics())`
  const [spaces] = (await once(new Worker(source, { eval: true }), 'message')) as [HeapSpaceInfo[]]
  const young = spaces.find(space => space.space_name === 'new_space')!
  const bytes = young.space_used_size + young.space_available_size
  assert.ok(bytes > 0.95 * semiSpaceMb * 2 ** 20, `${bytes} bytes`)
})
