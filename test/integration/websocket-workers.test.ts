/** Tunnels in worker threads: many at once, the death of a worker, the end of all. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Crew } from '../support/crew.ts'
import { within } from '../support/deadline.ts'
import { forwardingConfig } from '../support/forwarding.ts'
import { logFields } from '../support/plane.ts'
import { until } from '../support/turns.ts'
import { closing, type Meeting, meet, nextMessage, type Server, startWebSocketServer } from '../support/websocket.ts'

const tunnelCount = 1000
const isLinux = process.platform === 'linux'

/** Two workers and a server of `ws` behind them. */
async function startCrew(t: TestContext): Promise<{ crew: Crew; server: Server }> {
  const server = await startWebSocketServer(t)
  return { crew: await Crew.start(t, 2, port => forwardingConfig([server.port], port)), server }
}

const total = (crew: Crew, counter: 'connectionsOpened' | 'connectionsClosed' | 'exchanges' | 'RequestCount') =>
  crew.workers.slabs.reduce((sum, slab) => sum + slab.loadBalancer(0, counter), 0)

async function echo({ client, server }: Meeting, text: string): Promise<void> {
  const there = nextMessage(server)
  client.send(text)
  assert.equal((await there).data.toString(), text)
  const back = nextMessage(client)
  server.send(text)
  assert.equal((await back).data.toString(), text)
}

/** Files that this process has open, sockets among them; all threads share them. */
const openFiles = (): number => readdirSync('/proc/self/fd').length

test(`${tunnelCount} tunnels are open at once, and nothing is left of them`, async t => {
  const { crew, server } = await startCrew(t)
  const before = isLinux ? openFiles() : 0
  const meetings: Meeting[] = []
  while (meetings.length < tunnelCount) meetings.push(await meet(t, crew.port, server))
  assert.equal(crew.states.requestsInFlight(0), tunnelCount)
  assert.equal(total(crew, 'exchanges'), 0)
  await Promise.all(meetings.map((meeting, i) => echo(meeting, `message ${i}`)))
  assert.ok(
    crew.connections().every(count => count > tunnelCount / 10),
    'every worker has its share',
  )

  const closed = meetings.map(async ({ client, server: peer }, i) => {
    const [one, other] = i % 2 === 0 ? [client, peer] : [peer, client]
    const heard = closing(other)
    one.close(3000 + (i % 1000))
    assert.equal((await heard).code, 3000 + (i % 1000))
  })
  await Promise.all(closed)
  await until(
    () => total(crew, 'connectionsClosed') === tunnelCount && total(crew, 'exchanges') === tunnelCount,
    () => `all to be closed; ${total(crew, 'connectionsClosed')} were`,
  )
  assert.equal(total(crew, 'connectionsOpened'), tunnelCount)
  assert.equal(total(crew, 'RequestCount'), tunnelCount)
  assert.equal(crew.states.requestsInFlight(0), 0)
  if (isLinux) {
    // The log is open from its first line on.
    await until(
      () => openFiles() <= before + crew.workers.slabs.length,
      () => `the sockets to be closed; ${openFiles()} files were open, ${before} before`,
    )
  }
  await within(crew.workers.stop(0), () => 'the workers to stop')
  const lines = readFileSync(join(crew.logFolder, 'access.log'), 'utf8').trimEnd().split('\n').map(logFields)
  assert.equal(lines.length, tunnelCount)
  assert.ok(lines.every(fields => fields[1] === 'ws' && fields[9] === '101' && fields[10] === '101'))
  assert.equal(new Set(lines.map(fields => fields[30])).size, tunnelCount, 'each has a trace of its own')
  assert.deepEqual(crew.troubles, [])
})

test('a worker that dies takes its tunnels along, and no others', async t => {
  const { crew, server } = await startCrew(t)
  const byWorker: Meeting[][] = [[], []]
  while (byWorker.some(meetings => meetings.length < 2)) {
    const before = crew.connections()
    const meeting = await meet(t, crew.port, server)
    byWorker[crew.connections().findIndex((count, i) => count > before[i]!)]!.push(meeting)
  }
  const [dying, living] = byWorker as [Meeting[], Meeting[]]
  const ends = dying.flatMap(({ client, server: peer }) => [closing(client), closing(peer)])
  await crew.threads[0]!.terminate()
  for (const end of await Promise.all(ends)) assert.equal(end.code, 1006)
  await crew.says(/worker 1 died/)
  assert.equal(crew.states.requestsInFlight(0), living.length)
  const dead = crew.workers.slabs[0]!
  assert.equal(dead.loadBalancer(0, 'connectionsOpened'), dead.loadBalancer(0, 'connectionsClosed'))
  assert.equal(dead.target(0, 'requestsBegun'), dead.target(0, 'requestsEnded'))
  for (const meeting of living) await echo(meeting, 'still here')
})

test('the end of a deregistration delay ends the tunnels of all workers', async t => {
  const { crew, server } = await startCrew(t)
  const meetings: Meeting[] = []
  while (meetings.length < 2 || crew.connections().includes(0)) meetings.push(await meet(t, crew.port, server))
  const ends = meetings.flatMap(({ client, server: peer }) => [closing(client), closing(peer)])
  crew.workers.cut([1])
  for (const meeting of meetings) await echo(meeting, 'not ours')
  crew.workers.cut([0])
  for (const end of await Promise.all(ends)) assert.equal(end.code, 1006)
  await until(
    () => crew.states.requestsInFlight(0) === 0,
    () => 'all to be counted out',
  )
})

test('a stop ends the tunnels of all workers, each with its line', async t => {
  const { crew, server } = await startCrew(t)
  const meetings: Meeting[] = []
  for (let i = 0; i < 8; i++) meetings.push(await meet(t, crew.port, server))
  const ends = meetings.flatMap(({ client, server: peer }) => [closing(client), closing(peer)])
  await within(crew.workers.stop(0), () => 'the workers to stop')
  for (const end of await Promise.all(ends)) assert.equal(end.code, 1006)
  const lines = readFileSync(join(crew.logFolder, 'access.log'), 'utf8').trimEnd().split('\n').map(logFields)
  assert.deepEqual(
    lines.map(fields => [fields[1], fields[9], fields[10]]),
    meetings.map(() => ['ws', '101', '101']),
  )
  assert.equal(crew.states.requestsInFlight(0), 0)
})
