/** Answers that come before the request is complete, and clients that leave or half leave. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { halfClosedGraceMs } from '../../src/model/limits.ts'
import { type Forwarding, forwardTo, forwardToPorts, openClient } from '../support/forwarding.ts'
import { fieldValue } from '../support/message-reader.ts'
import type { Script } from '../support/misbehaving-target.ts'
import { logFields } from '../support/plane.ts'
import type { RawClient } from '../support/raw-client.ts'
import { refusedPort } from '../support/refused-port.ts'
import { answering, neverAnswers, slowBody } from '../support/target-scripts.ts'
import { caughtUp, until } from '../support/turns.ts'

const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const postHead = (length: number, path = '/') => `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`
const fin = { bytes: Buffer.alloc(0), ending: 'fin' as const }

/** The status fields of the only line of the access log. */
async function onlyLine({ plane }: Forwarding) {
  const lines = await plane.logLines()
  assert.equal(lines.length, 1, lines.join('\n'))
  const fields = logFields(lines[0]!)
  return { status: fields[9], targetStatus: fields[10], targetTime: fields[7], received: Number(fields[11]) }
}

/** Answers before it has read anything, and then reads the request after all, or closes. */
function answersEarly(answer: string, readsOn: boolean): Script {
  return async connection => {
    await connection.send(answer)
    if (!readsOn) return
    await connection.readRequest()
    await answering(200, 'next')(connection)
  }
}

/** When the load balancer has seen that its client half closed, and gives it a moment. */
function graceBegan(context: TestContext, { plane }: Forwarding): Promise<void> {
  const after = context.mock.method(plane.clock, 'after')
  const began = () => after.mock.calls.some(call => call.arguments[0] === halfClosedGraceMs)
  return until(began, () => 'the FIN of the client to be seen')
}

const early = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly'

test('a target that answers early and reads on gets the rest; the client keeps its connection, the target does not', async t => {
  const { client, target } = await forwardTo(t, answersEarly(early, true))
  const one = await client()
  await one.send(`${postHead(10)}01234`)
  assert.equal((await one.readResponse()).body.toString(), 'early')
  await one.send(`56789${get}`)
  assert.equal((await one.readResponse()).body.toString(), 'early')
  const requests = await target.receivedRequests(2)
  assert.equal(requests[0]!.body.toString(), '0123456789')
  // It may not have read what it answered, and take the rest for a request.
  assert.equal(target.connectionCount, 2)
})

test('a target that answers early and says close ends the connection of the client after the answer', async t => {
  const { client } = await forwardTo(
    t,
    answersEarly('HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno', false),
  )
  const one = await client()
  await one.send(`${postHead(50_000_000)}${'a'.repeat(1000)}`)
  const response = await one.readResponse()
  assert.equal(response.status, 413)
  assert.equal(fieldValue(response.headers, 'connection'), 'close')
  // A client in the middle of its upload still gets to read all of it.
  await one.send('a'.repeat(500_000))
  assert.deepEqual(await one.readUntilClose(), fin)
})

test('a target that answers early and closes ends the connection of the client after the answer', async t => {
  const { client } = await forwardTo(t, answersEarly(early, false))
  const one = await client()
  await one.send(`${postHead(50_000_000)}${'a'.repeat(1000)}`)
  assert.equal((await one.readResponse()).body.toString(), 'early')
  await one.send('a'.repeat(500_000))
  assert.deepEqual(await one.readUntilClose(), fin)
})

test('an early answer is not lost when the client is still sending as fast as it can', async t => {
  const { client, plane } = await forwardTo(
    t,
    answersEarly('HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno', false),
  )
  const one = await client()
  const upload = one.send(Buffer.concat([Buffer.from(postHead(30_000_000)), Buffer.alloc(30_000_000)])).catch(() => {})
  assert.equal((await one.readResponse()).status, 413)
  assert.deepEqual(await one.readUntilClose(), fin)
  await upload
  assert.deepEqual(plane.faults, [])
})

test('the rest of a refused body is read and dropped, and the connection serves the next request', async t => {
  const { client } = await forwardTo(t, answering(200, 'next'))
  const one = await client()
  const size = 3_000_000
  await one.send(postHead(size, '/empty'))
  assert.equal((await one.readResponse()).status, 503)
  await one.send('a'.repeat(size) + get)
  assert.equal((await one.readResponse()).body.toString(), 'next')
})

test('a body behind a refused connection is read and dropped, and the connection serves the next request', async t => {
  const plane = await forwardToPorts(t, [await refusedPort()])
  const one = await openClient(t, plane.port)
  const size = 3_000_000
  const sent = one.send(postHead(size) + 'a'.repeat(size) + get.replace('/ ', '/fixed '))
  assert.equal((await one.readResponse()).status, 502)
  assert.equal((await one.readResponse()).body.toString(), 'fixed')
  await sent
})

test('an upload that a full target held up is read to its end when that target resets', async t => {
  const reset = Promise.withResolvers<void>()
  const { client, plane } = await forwardTo(t, async connection => {
    await reset.promise
    connection.reset()
  })
  const one = await client()
  const size = 40_000_000
  let isTaken = false
  const sent = one.send(Buffer.concat([Buffer.from(postHead(size)), Buffer.alloc(size)])).then(() => {
    isTaken = true
  })
  let turns = 0
  await until(
    () => isTaken || ++turns > 3_000,
    () => 'the upload to be held up',
  )
  assert.equal(isTaken, false, 'the target reads nothing, so the client is held up')
  reset.resolve()
  assert.equal((await one.readResponse()).status, 502)
  await sent
  await one.send(get.replace('/ ', '/fixed '))
  assert.equal((await one.readResponse()).body.toString(), 'fixed')
  assert.deepEqual(plane.faults, ['targetReset'])
})

test('a FIN right behind the request does not cost the answer of a target that is quick', async t => {
  const { client, plane } = await forwardTo(t, answering(200, 'quick'))
  const one = await client()
  await one.send(get)
  one.halfClose()
  assert.equal((await one.readResponse()).body.toString(), 'quick')
  assert.deepEqual(await one.readUntilClose(), fin)
  assert.deepEqual(plane.faults, [])
})

test('a FIN while the target works is a 460 once the grace is over', async t => {
  const forwarding = await forwardTo(t, neverAnswers)
  const { client, target, plane } = forwarding
  const one = await client()
  await one.send(get)
  await target.receivedRequests(1)
  const seen = graceBegan(t, forwarding)
  one.halfClose()
  await seen
  plane.clock.advance(halfClosedGraceMs - 1)
  assert.deepEqual(plane.faults, [])
  plane.clock.advance(1)
  assert.deepEqual(plane.faults, ['clientClosed'])
  assert.deepEqual(await one.readUntilClose(), fin)
  await target.closedConnections()
  const { status, targetStatus, targetTime } = await onlyLine(forwarding)
  assert.deepEqual([status, targetStatus, targetTime], ['460', '-', '-1'])
})

test('a reset while the target works is a 460 at once', async t => {
  const forwarding = await forwardTo(t, neverAnswers)
  const { client, target, plane } = forwarding
  const one = await client()
  await one.send(get)
  await target.receivedRequests(1)
  one.reset()
  await until(
    () => plane.faults.length > 0,
    () => 'the reset to be seen',
  )
  assert.deepEqual(plane.faults, ['clientClosed'])
  assert.equal((await onlyLine(forwarding)).status, '460')
  await target.closedConnections()
})

for (const [how, leave] of [
  ['FIN', (one: RawClient) => one.halfClose()],
  ['reset', (one: RawClient) => one.reset()],
] as const) {
  test(`a ${how} in the middle of a request body is a 400 in the log, and the target hears of it`, async t => {
    const forwarding = await forwardTo(t, neverAnswers)
    const { client, target, plane } = forwarding
    const one = await client()
    await one.send(`${postHead(10)}0123`)
    await target.acceptedConnections(1)
    await until(
      () => plane.states.requestsInFlight(0) === 1,
      () => 'the request to be under way',
    )
    leave(one)
    await until(
      () => plane.faults.length > 0,
      () => 'the end to be seen',
    )
    assert.deepEqual(plane.faults, ['clientGoneDuringBody'])
    await target.closedConnections()
    assert.equal(target.requests.length, 0)
    assert.equal((await onlyLine(forwarding)).status, '400')
    assert.equal(plane.states.requestsInFlight(0), 0)
  })
}

test('a FIN during the response does not cut it', async t => {
  const rest = Promise.withResolvers<void>()
  const { target, plane } = await forwardTo(
    t,
    slowBody(['first ', 'second'], async index => {
      if (index === 1) await rest.promise
    }),
  )
  const socket = await beginReading(t, plane.port)
  socket.end()
  await once(socket, 'finish')
  await caughtUp()
  plane.clock.advance(halfClosedGraceMs * 2)
  rest.resolve()
  let received = ''
  for await (const bytes of socket) received += bytes
  assert.match(received, /second\r\n0\r\n\r\n$/)
  assert.deepEqual(plane.faults, [])
  assert.equal(target.requests.length, 1)
})

test('a client that leaves in the middle of the response is told of under the status of the target', async t => {
  const forwarding = await forwardTo(t, async connection => {
    await connection.readRequest()
    await connection.send('HTTP/1.1 201 Made\r\nContent-Length: 100\r\n\r\nbeginning')
    await connection.drain()
  })
  const { target, plane } = forwarding
  const socket = await beginReading(t, plane.port)
  socket.resetAndDestroy()
  await until(
    () => plane.faults.length > 0,
    () => 'the reset to be seen',
  )
  assert.deepEqual(plane.faults, ['clientGoneDuringResponse'])
  await target.closedConnections()
  const { status, targetStatus } = await onlyLine(forwarding)
  assert.deepEqual([status, targetStatus], ['201', '201'])
})

/** A client whose response has begun. */
async function beginReading(context: TestContext, port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).setEncoding('latin1')
  context.after(() => socket.destroy())
  socket.write(get)
  await once(socket, 'readable')
  return socket
}
