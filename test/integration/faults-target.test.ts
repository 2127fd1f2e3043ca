/**
 * What targets do wrong, each through real sockets.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { responseHeadBytesMax } from '../../src/model/limits.ts'
import { FaultTests } from '../support/fault-tests.ts'
import { fullListener } from '../support/full-listener.ts'
import type { Script } from '../support/misbehaving-target.ts'
import { errorPage } from '../support/pages.ts'
import { refusedPort } from '../support/refused-port.ts'
import { startScene } from '../support/scene.ts'
import * as scripts from '../support/target-scripts.ts'
import { caughtUp, stalled } from '../support/turns.ts'

const tests = new FaultTests()

/** 116 bytes, as captured requests of this shape. */
const host = 'alb-demo-1027563904.ap-southeast-2.elb.amazonaws.com'
const curl = `GET / HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: curl/8.11.1\r\nAccept: */*\r\n\r\n`
const curlLine = { request: `GET http://${host}:80/ HTTP/1.1`, agent: 'curl/8.11.1' }
const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

const badGateway = { RequestCount: 1, HTTPCode_ELB_5XX_Count: 1, HTTPCode_ELB_502_Count: 1 }
const timedOut = { RequestCount: 1, HTTPCode_ELB_5XX_Count: 1, HTTPCode_ELB_504_Count: 1 }
const relayed = { RequestCount: 1 }
const notConnected = { connectionsOpened: 1, TargetConnectionErrorCount: 1, faults: 1 }
const failed = { connectionsOpened: 1, faults: 1 }
const failedMidway = { ...failed, HTTPCode_Target_2XX_Count: 1 }

const refused = await refusedPort()

tests.provokes(
  'targetRefused',
  'a port where nothing listens is a 502 at once, with no time taken',
  { addresses: [{ id: '127.0.0.1', port: refused }] },
  async scene => {
    const client = await scene.client()
    await client.send(curl)
    const answer = errorPage('502 Bad Gateway')
    assert.equal(answer.length, 277)
    return {
      client,
      answer,
      connection: 'keep-alive',
      line: { ...curlLine, target: `127.0.0.1:${refused}`, times: '-1 -1 -1', statuses: '502 -', bytes: '116 277' },
      counters: badGateway,
      targetCounters: notConnected,
    }
  },
)

tests.provokes(
  'targetUnreachable',
  'what the network cannot reach is a 502 like a refused connection',
  // Nobody can connect to a broadcast address: the kernel says so itself, as it does after an ICMP error.
  { addresses: [{ id: '127.255.255.255', port: 80 }] },
  async scene => {
    const client = await scene.client()
    await client.send(get)
    return {
      client,
      answer: errorPage('502 Bad Gateway'),
      connection: 'keep-alive',
      line: { target: '127.255.255.255:80', times: '-1 -1 -1', statuses: '502 -', bytes: '27 277' },
      counters: badGateway,
      targetCounters: notConnected,
    }
  },
)

tests.provokes(
  'connectTimeout',
  'a target that does not accept within 10 s is a 504, a moment earlier it is not',
  async t => ({ addresses: [{ id: '127.0.0.1', port: await fullListener(t) }] }),
  async scene => {
    const client = await scene.client()
    await client.send(get)
    await caughtUp()
    scene.plane.clock.advance(9_999)
    assert.equal(scene.plane.states.requestsInFlight(0), 1)
    assert.deepEqual(scene.plane.faults, [])
    scene.plane.clock.advance(1)
    return {
      client,
      answer: errorPage('504 Gateway Time-out', { time: '12:00:10' }),
      connection: 'keep-alive',
      line: {
        target: `127.0.0.1:${scene.group.targets[0]!.port}`,
        times: '-1 -1 -1',
        statuses: '504 -',
        bytes: '27 292',
        endedMs: 10_000,
      },
      counters: timedOut,
      targetCounters: notConnected,
    }
  },
)

tests.provokes(
  'targetIdle',
  'a target that says nothing for the idle timeout is a 504, and its time is not taken',
  { targets: [scripts.neverAnswers] },
  async scene => {
    const client = await scene.client()
    await client.send(get)
    await scene.target.receivedRequests(1)
    scene.plane.clock.advance(59_999)
    assert.deepEqual(scene.plane.faults, [])
    scene.plane.clock.advance(1)
    await scene.target.closedConnections()
    const answer = errorPage('504 Gateway Time-out', { time: '12:01:00' })
    assert.equal(answer.length, 292)
    return {
      client,
      answer,
      connection: 'keep-alive',
      line: {
        target: scene.targetAddress,
        times: '0.000 -1 -1',
        statuses: '504 -',
        bytes: '27 292',
        endedMs: 60_000,
      },
      counters: timedOut,
      targetCounters: failed,
    }
  },
)

test('browsers that hide short error pages get a longer one', async t => {
  const scene = await startScene(t, { targets: [scripts.neverAnswers] })
  const client = await scene.client()
  const agent = 'Mozilla/5.0 (Macintosh) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36'
  await client.send(`GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: ${agent}\r\n\r\n`)
  await scene.target.receivedRequests(1)
  scene.plane.clock.advance(60_000)
  const response = await client.readResponse()
  const page = errorPage('504 Gateway Time-out', { time: '12:01:00', isPadded: true })
  assert.equal(response.raw.toString(), page)
  assert.equal(page.length, 694)
})

for (const [what, end] of [
  ['targetClosed', (connection: Parameters<Script>[0]) => connection.end()],
  ['targetReset', (connection: Parameters<Script>[0]) => connection.reset()],
] as const) {
  const gone = Promise.withResolvers<void>()
  tests.provokes(
    what,
    'the target is charged with the time until it hung up',
    {
      targets: [
        async connection => {
          await connection.readRequest()
          await gone.promise
          end(connection)
          await connection.drain()
        },
      ],
    },
    async scene => {
      const client = await scene.client()
      await client.send(curl)
      await scene.target.receivedRequests(1)
      scene.plane.clock.advance(11_083)
      gone.resolve()
      return {
        client,
        answer: errorPage('502 Bad Gateway', { time: '12:00:11' }),
        connection: 'keep-alive',
        line: {
          ...curlLine,
          target: scene.targetAddress,
          times: '0.000 11.083 -1',
          statuses: '502 -',
          bytes: '116 277',
          endedMs: 11_083,
        },
        counters: badGateway,
        targetCounters: failed,
      }
    },
  )
}

tests.provokes(
  'responseHeadMalformed',
  'an answer that is not HTTP is a 502, and its first byte ends the time of the target',
  { targets: [scripts.garbage()] },
  async scene => {
    const client = await scene.client()
    await client.send(get)
    return {
      client,
      answer: errorPage('502 Bad Gateway'),
      connection: 'keep-alive',
      line: { target: scene.targetAddress, times: '0.000 0.000 -1', statuses: '502 -', bytes: '27 277' },
      counters: badGateway,
      targetCounters: failed,
    }
  },
)

const head = 'HTTP/1.1 200 OK\r\n'
const malformedHeads: readonly (readonly [what: string, bytes: string])[] = [
  ['a version of its own', 'HTTP/2.0 200 OK\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['a status beyond 599', 'HTTP/1.1 600 Fine\r\n\r\n'],
  ['a space in a field name', `${head}Bad Name: 1\r\n\r\n`],
  ['a field without a colon', `${head}nonsense\r\n\r\n`],
  ['a folded field', `${head}A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n`],
  ['a control byte in a value', `${head}A: \x01\r\nContent-Length: 0\r\n\r\n`],
  ['a bare LF', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n'],
  ['two lengths', `${head}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`],
  ['a length that is no number', `${head}Content-Length: x\r\n\r\n`],
  ['a length and chunks', `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['a coding it was not asked for', `${head}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
  ['a switch of protocols that nobody wanted', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n'],
]

for (const [what, bytes] of malformedHeads) {
  test(`a response head with ${what} is a 502`, async t => {
    const scene = await startScene(t, { targets: [scripts.garbage(bytes)] })
    const response = await scene.ask(get)
    assert.equal(response.raw.toString(), errorPage('502 Bad Gateway'))
    assert.deepEqual(scene.plane.faults, ['responseHeadMalformed'])
    await scene.target.closedConnections()
  })
}

tests.provokes(
  'responseHeadTooLarge',
  'a response head of more than 32 K is a 502',
  { targets: [scripts.hugeHead(responseHeadBytesMax + 1)] },
  async scene => {
    const client = await scene.client()
    await client.send(get)
    return {
      client,
      answer: errorPage('502 Bad Gateway'),
      connection: 'keep-alive',
      line: { target: scene.targetAddress, times: '0.000 0.000 -1', statuses: '502 -', bytes: '27 277' },
      counters: badGateway,
      targetCounters: failed,
    }
  },
)

test('a response head of exactly 32 K is relayed', async t => {
  const scene = await startScene(t, { targets: [scripts.hugeHead(responseHeadBytesMax)] })
  assert.equal((await scene.ask(get)).status, 200)
  assert.deepEqual(scene.plane.faults, [])
})

tests.provokes(
  'responseTruncated',
  'a target that closes before its body is complete has the client cut off, with the status that was relayed',
  { targets: [scripts.truncatedBody(100, 40)] },
  async scene => {
    const client = await scene.client()
    await client.send(get)
    const { bytes, ending } = await client.readUntilClose()
    const answer = `HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 12:00:00 GMT\r\nContent-Length: 100\r\nConnection: keep-alive\r\n\r\n${'a'.repeat(40)}`
    assert.equal(bytes.toString('latin1'), answer)
    assert.equal(ending, 'fin')
    return {
      client,
      answer: null,
      connection: 'close',
      line: {
        target: scene.targetAddress,
        times: '0.000 0.000 0.000',
        statuses: '200 200',
        bytes: `27 ${answer.length}`,
      },
      counters: relayed,
      targetCounters: failedMidway,
    }
  },
)

test('a chunked response that breaks off is left without its last chunk', async t => {
  const scene = await startScene(t, { targets: [scripts.truncatedChunks(['abc', 'de'])] })
  const client = await scene.client()
  await client.send(get)
  const { bytes, ending } = await client.readUntilClose()
  assert.ok(bytes.toString('latin1').endsWith('\r\n\r\n3\r\nabc\r\n2\r\nde\r\n'))
  assert.equal(ending, 'fin')
  assert.deepEqual(scene.plane.faults, ['responseTruncated'])
})

tests.provokes(
  'responseBodyMalformed',
  'chunks that cannot be read have the client cut off',
  { targets: [scripts.garbage('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n')] },
  async scene => {
    const client = await scene.client()
    await client.send(get)
    const { bytes, ending } = await client.readUntilClose()
    assert.match(bytes.toString('latin1'), /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\n3\r\nabc\r\n$/s)
    assert.equal(ending, 'fin')
    return {
      client,
      answer: null,
      connection: 'close',
      line: {
        target: scene.targetAddress,
        times: '0.000 0.000 0.000',
        statuses: '200 200',
        bytes: `27 ${bytes.length}`,
      },
      counters: relayed,
      targetCounters: failedMidway,
    }
  },
)

tests.provokes(
  'responseStalled',
  'a target that stops midway for the idle timeout has the client cut off, and no 504 is sent',
  { targets: [scripts.stalledBody(100, 40)] },
  async scene => {
    const client = await scene.client()
    await client.send(get)
    await scene.target.receivedRequests(1)
    await caughtUp()
    scene.plane.clock.advance(59_999)
    assert.deepEqual(scene.plane.faults, [])
    scene.plane.clock.advance(1)
    const { bytes, ending } = await client.readUntilClose()
    assert.match(bytes.toString('latin1'), /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\na{40}$/s)
    assert.equal(ending, 'fin')
    return {
      client,
      answer: null,
      connection: 'close',
      line: {
        target: scene.targetAddress,
        times: '0.000 0.000 0.000',
        statuses: '200 200',
        bytes: `27 ${bytes.length}`,
        endedMs: 60_000,
      },
      counters: relayed,
      targetCounters: failedMidway,
    }
  },
)

test('a byte from the target starts the idle timeout anew', async t => {
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const scene = await startScene(t, { targets: [scripts.slowBody(['ab', 'cd'], at => gates[at]!.promise)] })
  const client = await scene.client()
  await client.send(get)
  await scene.target.receivedRequests(1)
  await caughtUp()
  for (const gate of gates) {
    scene.plane.clock.advance(59_999)
    gate.resolve()
    await caughtUp()
  }
  assert.equal((await client.readResponse()).body.toString(), 'abcd')
  assert.deepEqual(scene.plane.faults, [])
})

test('a target that takes no more of a long upload is a 504; the rest is read, and the connection lives on', async t => {
  const scene = await startScene(t, { targets: [scripts.neverReads] })
  const client = await scene.client()
  const piece = Buffer.alloc(256 * 1024)
  const pieces = 256
  let sent = 0
  await client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${pieces * piece.length}\r\n\r\n`)
  const upload = (async () => {
    for (; sent < pieces; sent++) await client.send(piece)
  })()
  await stalled(() => sent)
  assert.ok(sent < pieces)
  scene.plane.clock.advance(60_000)
  assert.equal((await client.readResponse()).status, 504)
  await upload
  await scene.recorded(1)
  assert.deepEqual(scene.plane.faults, ['targetIdle'])
  await scene.plane.publish(scene.config({ addresses: [] }))
  await client.send(get)
  assert.equal((await client.readResponse()).status, 503)
})

tests.coverSide('target')
