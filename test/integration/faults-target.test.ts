/**
 * What targets do wrong, each through real sockets.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { H2Error } from '../../src/http/h2.ts'
import type { FaultCode } from '../../src/model/faults.ts'
import { connectTimeoutMs, responseHeadBytesMax } from '../../src/model/limits.ts'
import { FaultTests } from '../support/fault-tests.ts'
import { fullListener } from '../support/full-listener.ts'
import {
  data,
  END_STREAM,
  type Fields,
  get as h2Get,
  headers,
  literals,
  ok,
  rstStream,
  settings,
} from '../support/h2-frames.ts'
import { longHeaders, type RawH2Client } from '../support/h2-raw-client.ts'
import { answersFrames, maxConcurrentStreams, speaksHttp2 } from '../support/h2-scripts.ts'
import type { Script } from '../support/misbehaving-target.ts'
import { errorPage } from '../support/pages.ts'
import { refusedPort } from '../support/refused-port.ts'
import { type Scene, startScene } from '../support/scene.ts'
import * as scripts from '../support/target-scripts.ts'
import {
  alert,
  answersHello,
  closesInHandshake,
  greets,
  overTls,
  resetsInHandshake,
  serverHello,
  speakTls,
  stallsInHandshake,
} from '../support/tls-scripts.ts'
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
const noTls = { connectionsOpened: 1, TargetTLSNegotiationErrorCount: 1, faults: 1 }
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

const tlsFailures: readonly (readonly [fault: FaultCode, how: string, script: Script])[] = [
  [
    'targetTlsHandshakeFailure',
    'a target that knows none of our ciphers is a 502, with no time taken',
    overTls(scripts.answering(), { ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305', maxVersion: 'TLSv1.2' }),
  ],
  [
    'targetTlsProtocolVersion',
    'a target that wants TLS 1.3 and is offered 1.2 is a 502',
    overTls(scripts.answering(), { minVersion: 'TLSv1.3' }),
  ],
  ['targetTlsAlert', 'a target that has trouble of its own (internal_error) is a 502', answersHello(alert(80))],
  [
    'targetTlsNotTls',
    'a target that speaks plain HTTP is a 502',
    answersHello('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'),
  ],
  ['targetTlsMalformed', 'a target that picks a cipher nobody offered is a 502', answersHello(serverHello(0x0005))],
  ['targetTlsClosed', 'a target that hangs up on the hello is a 502', closesInHandshake],
]

for (const [fault, how, script] of tlsFailures) {
  tests.provokes(fault, how, { targets: [script] }, async scene => {
    await speakTls(scene)
    const client = await scene.client()
    await client.send(curl)
    await scene.recorded(1)
    await scene.target.closedConnections()
    assert.deepEqual(scene.target.requests, [])
    return {
      client,
      answer: errorPage('502 Bad Gateway'),
      connection: 'keep-alive',
      line: { ...curlLine, target: scene.targetAddress, times: '-1 -1 -1', statuses: '502 -', bytes: '116 277' },
      counters: badGateway,
      targetCounters: noTls,
    }
  })
}

tests.provokes(
  'targetTlsTimeout',
  'a handshake that takes 10 s is a 504, a moment less is none; connecting has 10 s of its own',
  { targets: [stallsInHandshake] },
  async scene => {
    await speakTls(scene)
    const client = await scene.client()
    await client.send(get)
    await scene.target.acceptedConnections(1)
    await caughtUp()
    scene.plane.clock.advance(9_999)
    assert.equal(scene.plane.states.requestsInFlight(0), 1)
    assert.deepEqual(scene.plane.faults, [])
    scene.plane.clock.advance(1)
    await scene.target.closedConnections()
    return {
      client,
      answer: errorPage('504 Gateway Time-out', { time: '12:00:10' }),
      connection: 'keep-alive',
      line: { target: scene.targetAddress, times: '-1 -1 -1', statuses: '504 -', bytes: '27 292', endedMs: 10_000 },
      counters: timedOut,
      targetCounters: noTls,
    }
  },
)

const refusals: readonly (readonly [how: string, script: Script, fault: FaultCode])[] = [
  ['an RST in the handshake', resetsInHandshake, 'targetTlsClosed'],
  ['a FIN behind half a record', answersHello('\x16\x03'), 'targetTlsClosed'],
  ['close_notify in place of a hello', answersHello(Uint8Array.of(21, 3, 3, 0, 2, 1, 0)), 'targetTlsClosed'],
  ['alert handshake_failure', answersHello(alert(40)), 'targetTlsHandshakeFailure'],
  ['alert insufficient_security', answersHello(alert(71)), 'targetTlsHandshakeFailure'],
  ['alert protocol_version', answersHello(alert(70)), 'targetTlsProtocolVersion'],
  ['a hello of SSL 3', answersHello(serverHello(0xc02f, 0x0300)), 'targetTlsProtocolVersion'],
  ['alert unrecognized_name', answersHello(alert(112)), 'targetTlsAlert'],
  ['the banner of another protocol', greets, 'targetTlsNotTls'],
  ['a hello older than RFC 5746, then an alert', answersHello(agedRefusal()), 'targetTlsHandshakeFailure'],
  [
    'want of a client certificate, in TLS 1.2',
    overTls(scripts.answering(), { requestCert: true, maxVersion: 'TLSv1.2' }),
    'targetTlsHandshakeFailure',
  ],
]

/** That hello is no fault: what comes behind it is. */
function agedRefusal(): Uint8Array {
  return Buffer.concat([serverHello(0xc02f), alert(40)])
}

for (const [how, script, fault] of refusals) {
  test(`a TLS target that answers with ${how} is a 502`, async t => {
    const scene = await startScene(t, { targets: [script] })
    await speakTls(scene)
    assert.equal((await scene.ask(get)).raw.toString(), errorPage('502 Bad Gateway'))
    assert.deepEqual(scene.plane.faults, [fault])
    await scene.target.closedConnections()
  })
}

test('a refused connection to a TLS target is what it is without TLS', async t => {
  const scene = await startScene(t, { addresses: [{ id: '127.0.0.1', port: refused }] })
  await speakTls(scene)
  assert.equal((await scene.ask(get)).status, 502)
  assert.deepEqual(scene.plane.faults, ['targetRefused'])
})

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

// --- In HTTP/2; variants are in `h2-target-faults.test.ts` ---
const withHttp2 = { protocolVersion: 'HTTP2' } as const
const withHttp2OverTls = { groupProtocol: 'HTTPS', protocolVersion: 'HTTP2' } as const

async function askOnStream(client: RawH2Client): Promise<void> {
  await client.send(headers(1, h2Get, END_STREAM))
}

/** Waits for the answer, and has its line. */
async function streamLine(scene: Scene, client: RawH2Client, times: string, status = 502) {
  const lines = await client.answer(1)
  assert.match(lines[0]!, new RegExp(`^HEADERS 1 :status=${status} server=awselb/2.0 `))
  const bytes = `${9 + literals(h2Get).length} ${client.answerBytes(1)}`
  return { target: scene.targetAddress, times, statuses: `${status} -`, bytes }
}

const withoutHttp2: readonly (readonly [how: string, script: Script])[] = [
  ['a TLS target that chooses nothing in ALPN is a 502', overTls(scripts.answering())],
  [
    'a TLS target that refuses all that it is offered in ALPN is a 502',
    overTls(scripts.answering(), { ALPNProtocols: ['http/1.1'] }),
  ],
  ['the alert no_application_protocol by itself is a 502', answersHello(alert(120))],
]

for (const [how, script] of withoutHttp2) {
  tests.provokesOnStream('targetTlsNoHttp2', how, { ...withHttp2OverTls, targets: [script] }, async (scene, client) => {
    await askOnStream(client)
    return {
      answer: null,
      line: await streamLine(scene, client, '-1 -1 -1'),
      counters: badGateway,
      targetCounters: { ...failed, TargetTLSNegotiationErrorCount: 1 },
    }
  })
}

tests.provokesOnStream(
  'targetHttp2Timeout',
  'a target that accepts the connection and says nothing for 10 s is a 504',
  { ...withHttp2, targets: [connection => connection.drain()] },
  async (scene, client) => {
    await askOnStream(client)
    await scene.target.acceptedConnections(1)
    await caughtUp()
    scene.plane.clock.advance(connectTimeoutMs)
    const line = await streamLine(scene, client, '-1 -1 -1', 504)
    await scene.target.closedConnections()
    return { answer: null, line: { ...line, endedMs: 10_000 }, counters: timedOut, targetCounters: failed }
  },
)

tests.provokesOnStream(
  'targetTakesNoStreams',
  'a target that allows no requests at all is a 502, and its connection is not kept',
  { ...withHttp2, targets: [speaksHttp2(peer => peer.connection.drain(), settings([maxConcurrentStreams, 0]))] },
  async (scene, client) => {
    await askOnStream(client)
    const line = await streamLine(scene, client, '-1 -1 -1')
    await scene.target.closedConnections()
    return { answer: null, line, counters: badGateway, targetCounters: failed }
  },
)

tests.provokesOnStream(
  'targetStreamReset',
  'a target that resets the stream before it answers is a 502',
  { ...withHttp2, targets: [answersFrames(id => [rstStream(id, H2Error.internalError)])] },
  async (scene, client) => {
    await askOnStream(client)
    const line = await streamLine(scene, client, '0.000 0.000 -1')
    return { answer: null, line, counters: badGateway, targetCounters: failed }
  },
)

tests.provokesOnStream(
  'targetProtocolError',
  'a target that sends a body without a head is a 502',
  { ...withHttp2, targets: [answersFrames(id => [data(id, 'body', END_STREAM)])] },
  async (scene, client) => {
    await askOnStream(client)
    const line = await streamLine(scene, client, '0.000 0.000 -1')
    return { answer: null, line, counters: badGateway, targetCounters: failed }
  },
)

const largeTrailers: Fields = Array.from({ length: 3 }, (_, i) => [`x-trailer-${i}`, 'a'.repeat(12_000)] as const)

tests.provokesOnStream(
  'responseTrailersTooLarge',
  'trailers of more than 32 K break the response off: half of them would say something else',
  {
    ...withHttp2,
    targets: [answersFrames(id => [headers(id, ok), data(id, 'body'), longHeaders(id, largeTrailers, END_STREAM)])],
  },
  async (scene, client) => {
    await askOnStream(client)
    const lines = await client.answer(1)
    assert.deepEqual(lines.slice(1), ['DATA 1 "body"', 'RST_STREAM 1 internalError'])
    const bytes = `${9 + literals(h2Get).length} ${client.answerBytes(1)}`
    return {
      answer: null,
      line: { target: scene.targetAddress, times: '0.000 0.000 0.000', statuses: '200 200', bytes },
      counters: { RequestCount: 1 },
      targetCounters: { ...failed, HTTPCode_Target_2XX_Count: 1 },
    }
  },
)

tests.coverSide('target')
