/**
 * What clients do wrong, each through real sockets.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { halfClosedGraceMs } from '../../src/model/limits.ts'
import { makeCertificate } from '../support/certificates.ts'
import { FaultTests } from '../support/fault-tests.ts'
import { fullListener } from '../support/full-listener.ts'
import { END_STREAM, frame, post as h2Post, headers } from '../support/h2-frames.ts'
import { assertShape, type LineShape } from '../support/log-line.ts'
import type { Script } from '../support/misbehaving-target.ts'
import { errorPage, type PageOptions } from '../support/pages.ts'
import { type Scene, startScene } from '../support/scene.ts'
import * as scripts from '../support/target-scripts.ts'
import { caughtUp, stalled } from '../support/turns.ts'

const tests = new FaultTests()
const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const answering = { targets: [scripts.answering(200, 'ok')] }
const closing: PageOptions = { connection: 'close' }
const kept: PageOptions = { connection: 'keep-alive' }

const clientError = { HTTPCode_ELB_4XX_Count: 1 }
const routedError = { RequestCount: 1, HTTPCode_ELB_4XX_Count: 1 }

const notRouted = { target: null, times: '-1 -1 -1', action: '' } as const

/** The line of a request that could not be read: nothing was received, and it was for the load balancer itself. */
function unreadable(scene: Scene, statuses: string, sentBytes: number): LineShape {
  return { ...notRouted, statuses, bytes: `0 ${sentBytes}`, request: `- http://${scene.loadBalancer.dnsName}:80- -` }
}

tests.provokes('clientHeadMalformed', 'what is not HTTP is a 400 of 272 bytes', answering, async scene => {
  const client = await scene.client()
  const request = 'GET / HTTP/1.1\r\nno colon\r\n\r\n'
  await client.send(request)
  const answer = errorPage('400 Bad Request', closing)
  assert.equal(answer.length, 272)
  return {
    client,
    answer,
    connection: 'close',
    line: unreadable(scene, '400 -', 272),
    counters: { ...clientError, receivedBytes: request.length },
  }
})

const malformed: readonly (readonly [what: string, request: string])[] = [
  ['no target', 'GET HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a field without a colon', 'GET / HTTP/1.1\r\nHost: a\r\nA\r\n\r\n'],
  ['neither a version nor GET', 'POST /\r\n\r\n'],
  ['TLS where none is spoken', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
]

for (const [what, request] of malformed) {
  test(`a request with ${what} is a 400 that closes`, async t => {
    const scene = await startScene(t, answering)
    const client = await scene.client()
    await client.send(request)
    const { bytes, ending } = await client.readUntilClose()
    assert.equal(bytes.toString(), errorPage('400 Bad Request', closing))
    assert.equal(ending, 'fin')
    assertShape(await scene.line(), scene, client, unreadable(scene, '400 -', 272))
    assert.equal(scene.target.connectionCount, 0)
  })
}

const nonCompliant = { ...clientError, DesyncMitigationMode_NonCompliant_Request_Count: 1 }

tests.provokes('clientDesyncBlocked', 'a severe request is a 400, and closes', answering, async scene => {
  const client = await scene.client()
  const request = 'GET /p HTTP/1.1\r\nHost: a\r\nA: 1\r2\r\n\r\n'
  await client.send(request)
  return {
    client,
    answer: errorPage('400 Bad Request', closing),
    connection: 'close',
    line: {
      ...notRouted,
      statuses: '400 -',
      bytes: `${request.length} 272`,
      request: 'GET http://a:80/p HTTP/1.1',
      classification: ['Severe', 'BadHeader'],
    },
    counters: nonCompliant,
  }
})

const monitoring = { ...answering, attributes: { 'routing.http.desync_mitigation_mode': 'monitor' } }

tests.provokes('clientDesyncUnreadable', 'what nobody can tell the end of is a 400', monitoring, async scene => {
  const client = await scene.client()
  const request = 'POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 1,2\r\n\r\n'
  await client.send(request)
  return {
    client,
    answer: errorPage('400 Bad Request', closing),
    connection: 'close',
    line: {
      ...notRouted,
      statuses: '400 -',
      bytes: `${request.length} 272`,
      request: 'POST http://a:80/p HTTP/1.1',
      classification: ['Severe', 'BadContentLength'],
    },
    counters: nonCompliant,
  }
})

const severeRequests: readonly (readonly [reason: string, fields: string, body: string])[] = [
  ['MultipleContentLength', 'Content-Length: 1\r\nContent-Length: 2\r\n', 'ab'],
  ['BadContentLength', 'Content-Length: 1,1\r\n', 'a'],
  ['BadContentLength', 'Content-Length: +1\r\n', 'a'],
  ['MultipleTransferEncodingChunked', 'Transfer-Encoding: chunked, chunked\r\n', '0\r\n\r\n'],
  ['BadTransferEncoding', 'Transfer-Encoding: xchunked\r\n', '0\r\n\r\n'],
]

for (const [reason, fields, body] of severeRequests) {
  test(`a request that is severe by ${JSON.stringify(fields)} is refused, and classified as ${reason}`, async t => {
    const scene = await startScene(t, answering)
    const client = await scene.client()
    const head = `POST /p HTTP/1.1\r\nHost: a\r\n${fields}\r\n`
    await client.send(head + body)
    const { bytes } = await client.readUntilClose()
    assert.equal(bytes.toString(), errorPage('400 Bad Request', closing))
    assertShape(await scene.line(), scene, client, {
      ...notRouted,
      statuses: '400 -',
      bytes: `${head.length} 272`,
      request: 'POST http://a:80/p HTTP/1.1',
      classification: ['Severe', reason],
    })
    assert.equal(scene.target.connectionCount, 0)
    const { counters } = scene.plane
    assert.equal(counters.loadBalancer(0, 'DesyncMitigationMode_NonCompliant_Request_Count'), 1)
  })
}

const fieldOf = (name: string, lineBytes: number) => `${name}: ${'a'.repeat(lineBytes - name.length - 2)}`
const start = 'GET / HTTP/1.1\r\nHost: a\r\n'

tests.provokes('clientHeadTooLarge', 'a field line of more than 16 K is a 400', answering, async scene => {
  const client = await scene.client()
  const request = start + fieldOf('A', 16_385)
  await client.send(request)
  return {
    client,
    answer: errorPage('400 Bad Request', closing),
    connection: 'close',
    line: unreadable(scene, '400 -', 272),
    counters: { ...clientError, receivedBytes: request.length },
  }
})

test('a head of more than 64 K is a 400, one of exactly 64 K is not', async t => {
  const scene = await startScene(t, answering)
  const fields = `${start}${`${fieldOf('A', 16_000)}\r\n`.repeat(4)}`
  const last = 65_536 - fields.length - 4
  assert.equal((await scene.ask(`${fields}${fieldOf('B', last)}\r\n\r\n`)).status, 200)
  const client = await scene.client()
  await client.send(`${fields}${fieldOf('B', last + 1)}\r\n\r\n`)
  const { bytes, ending } = await client.readUntilClose()
  assert.equal(bytes.toString(), errorPage('400 Bad Request', closing))
  assert.equal(ending, 'fin')
  assert.deepEqual(scene.plane.faults, ['clientHeadTooLarge'])
})

test('a field line of exactly 16 K is served', async t => {
  const scene = await startScene(t, answering)
  assert.equal((await scene.ask(`${start}${fieldOf('A', 16_384)}\r\n\r\n`)).status, 200)
})

tests.provokes('clientUriTooLarge', 'a request line of more than 16 K is a 414', answering, async scene => {
  const client = await scene.client()
  const request = `GET /${'a'.repeat(16_385 - 5)}`
  await client.send(request)
  const answer = errorPage('414 Request-URI Too Large', closing)
  return {
    client,
    answer,
    connection: 'close',
    line: unreadable(scene, '414 -', answer.length),
    counters: { ...clientError, receivedBytes: request.length },
  }
})

test('a request line of exactly 16 K is served', async t => {
  const scene = await startScene(t, answering)
  const request = `GET /${'a'.repeat(16_384 - 14)} HTTP/1.1`
  assert.equal(request.length, 16_384)
  assert.equal((await scene.ask(`${request}\r\nHost: a\r\n\r\n`)).status, 200)
})

tests.provokes('clientHostMissing', 'HTTP/1.1 without a Host is a 400', answering, async scene => {
  const client = await scene.client()
  const request = 'GET /p HTTP/1.1\r\nA: 1\r\n\r\n'
  await client.send(request)
  return {
    client,
    answer: errorPage('400 Bad Request', closing),
    connection: 'close',
    line: {
      ...notRouted,
      statuses: '400 -',
      bytes: `${request.length} 272`,
      request: `GET http://${scene.loadBalancer.dnsName}:80/p HTTP/1.1`,
    },
    counters: clientError,
  }
})

const uselessHosts = ['', 'a b', 'a/b', 'a:b', '[::1', 'a\xe4', 'user@a', '[]', '[[::1]]', '[::1]x', 'a]', 'a[::1]']
const usefulHosts = ['a', 'A-b_c.d', 'a:', 'a:0', 'a:65535', '[::1]', '[::1]:80', '[::ffff:1.2.3.4]:8080']

for (const host of usefulHosts) {
  test(`a Host of ${host} is one`, async t => {
    const scene = await startScene(t, answering)
    assert.equal((await scene.ask(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).status, 200)
  })
}

for (const host of [...uselessHosts, 'a:65536', `a:${'9'.repeat(30)}`]) {
  test(`a Host of ${JSON.stringify(host)} is as good as none`, async t => {
    const scene = await startScene(t, answering)
    assert.equal((await scene.ask(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).status, 400)
    assert.deepEqual(scene.plane.faults, ['clientHostMissing'])
  })
}

tests.provokes('clientConnectMethod', 'CONNECT is a 400', answering, async scene => {
  const client = await scene.client()
  const request = 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n'
  await client.send(request)
  const { bytes } = await client.readUntilClose()
  assert.equal(bytes.toString(), errorPage('400 Bad Request', closing))
  const dnsName = scene.loadBalancer.dnsName
  return {
    client,
    answer: null,
    connection: 'close',
    line: {
      ...notRouted,
      statuses: '400 -',
      bytes: `${request.length} 272`,
      request: `CONNECT http://${dnsName}:80a:443 HTTP/1.1`,
    },
    counters: clientError,
  }
})

tests.provokes(
  'clientPlainHttp',
  'plain HTTP to an HTTPS listener is a 400 with a page of its own',
  { certificates: [makeCertificate({ names: ['a'], keyType: 'p256' })] },
  async scene => {
    const client = await scene.client()
    await client.send(get)
    const { bytes } = await client.readUntilClose()
    assert.match(bytes.toString(), /<center>The plain HTTP request was sent to HTTPS port<\/center>/)
    return {
      client,
      answer: null,
      connection: 'close',
      line: {
        ...notRouted,
        type: 'https',
        statuses: '400 -',
        bytes: `${get.length} 370`,
        request: 'GET https://a:80/ HTTP/1.1',
      },
      counters: { ...clientError, ClientTLSNegotiationErrorCount: 1 },
    }
  },
)

tests.provokes('clientTraceMethod', 'TRACE is a 405 that keeps the connection', answering, async scene => {
  const client = await scene.client()
  const request = 'TRACE / HTTP/1.1\r\nHost: a\r\n\r\n'
  await client.send(request)
  const answer = errorPage('405 Not Allowed', kept)
  assert.equal(answer.length, 277)
  return {
    client,
    answer,
    connection: 'keep-alive',
    line: {
      ...notRouted,
      statuses: '405 -',
      bytes: `${request.length} 277`,
      request: 'TRACE http://a:80/ HTTP/1.1',
    },
    counters: clientError,
  }
})

tests.provokes('clientTransferEncoding', 'a coding other than chunked is a 501', answering, async scene => {
  const client = await scene.client()
  const request = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n'
  await client.send(request)
  const answer = errorPage('501 Not Implemented', closing)
  return {
    client,
    answer,
    connection: 'close',
    line: {
      ...notRouted,
      statuses: '501 -',
      bytes: `${request.length} ${answer.length}`,
      request: 'POST http://a:80/ HTTP/1.1',
    },
    counters: { HTTPCode_ELB_5XX_Count: 1 },
  }
})

tests.provokes('clientVersion', 'HTTP/2 without an agreement on it is a 505', answering, async scene => {
  const client = await scene.client()
  const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
  await client.send(preface)
  const answer = errorPage('505 HTTP Version Not Supported', closing)
  return {
    client,
    answer,
    connection: 'close',
    line: unreadable(scene, '505 -', answer.length),
    counters: { HTTPCode_ELB_5XX_Count: 1, receivedBytes: preface.length },
  }
})

const addresses = (count: number) => Array.from({ length: count }, (_, i) => `10.0.0.${i}`).join(', ')

tests.provokes('clientForwardedForTooLong', '31 addresses are a 463 without a body', answering, async scene => {
  const client = await scene.client()
  const request = `GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: ${addresses(31)}\r\n\r\n`
  await client.send(request)
  const answer = [
    'HTTP/1.1 463 ',
    'Server: awselb/2.0',
    'Date: Thu, 01 Jan 2026 12:00:00 GMT',
    'Content-Length: 0',
    'Connection: keep-alive',
    '\r\n',
  ].join('\r\n')
  return {
    client,
    answer,
    connection: 'keep-alive',
    line: { ...notRouted, statuses: '463 -', bytes: `${request.length} ${answer.length}` },
    counters: clientError,
  }
})

test('addresses are counted over all fields, and 30 are not too many', async t => {
  const scene = await startScene(t, answering)
  const field = (count: number) => `X-Forwarded-For: ${addresses(count)}\r\n`
  assert.equal((await scene.ask(`${start}${field(30)}\r\n`)).status, 200)
  assert.equal((await scene.ask(`${start}${field(15)}${field(15)}\r\n`)).status, 200)
  assert.equal((await scene.ask(`${start}${field(15)}${field(16)}\r\n`)).status, 463)
})

tests.provokes(
  'clientHeadTimeout',
  'a head that is not complete in the idle timeout is a 408',
  answering,
  async scene => {
    const client = await scene.client()
    await client.send('GET / HT')
    await caughtUp()
    scene.plane.clock.advance(59_999)
    assert.deepEqual(scene.plane.faults, [])
    scene.plane.clock.advance(1)
    const answer = errorPage('408 Request Time-out', { ...closing, time: '12:01:00' })
    return {
      client,
      answer,
      connection: 'close',
      line: { ...unreadable(scene, '408 -', answer.length), endedMs: 60_000 },
      counters: { ...clientError, receivedBytes: 8 },
    }
  },
)

tests.provokes(
  'clientGoneDuringHead',
  'whoever leaves in the middle of a head is logged as a 400',
  answering,
  async scene => {
    const client = await scene.client()
    await client.send('GET / HT')
    client.halfClose()
    return {
      client,
      answer: null,
      connection: 'close',
      line: unreadable(scene, '400 -', 0),
      counters: { ...clientError, receivedBytes: 8 },
    }
  },
)

test('empty lines are no request: neither an answer nor a log line comes of them', async t => {
  const scene = await startScene(t, answering)
  for (const end of ['leaves', 'stays'] as const) {
    const client = await scene.client()
    await client.send(`${get}\r\n`)
    assert.equal((await client.readResponse()).status, 200)
    if (end === 'leaves') client.halfClose()
    else {
      await caughtUp()
      scene.plane.clock.advance(60_000)
    }
    assert.equal((await client.readUntilClose()).bytes.length, 0)
  }
  assert.deepEqual(scene.plane.faults, [])
  assert.equal((await scene.plane.logLines()).length, 2)
})

const upload = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n'
const chunked = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
const post = { request: 'POST http://a:80/ HTTP/1.1' }
const waiting = { targets: [scripts.neverAnswers] }

/** Sends the beginning of a request that its target is shown, too. */
async function begin(scene: Scene, request: string) {
  const client = await scene.client()
  await client.send(request)
  await scene.target.acceptedConnections(1)
  await caughtUp()
  return client
}

tests.provokes('clientBodyMalformed', 'chunks that cannot be read are a 400', waiting, async scene => {
  const client = await begin(scene, `${chunked}3\r\nabc\r\n`)
  await client.send('xyz')
  return {
    client,
    answer: errorPage('400 Bad Request', closing),
    connection: 'close',
    line: {
      ...post,
      target: scene.targetAddress,
      times: '0.000 -1 -1',
      statuses: '400 -',
      bytes: `${chunked.length + 8} 272`,
    },
    counters: routedError,
    targetCounters: { connectionsOpened: 1 },
  }
})

tests.provokes(
  'clientBodyTimeout',
  'a body that is not complete in the idle timeout is a 408',
  waiting,
  async scene => {
    const client = await begin(scene, `${upload}abc`)
    scene.plane.clock.advance(59_999)
    assert.deepEqual(scene.plane.faults, [])
    scene.plane.clock.advance(1)
    const answer = errorPage('408 Request Time-out', { ...closing, time: '12:01:00' })
    return {
      client,
      answer,
      connection: 'close',
      line: {
        ...post,
        target: scene.targetAddress,
        times: '0.000 -1 -1',
        statuses: '408 -',
        bytes: `${upload.length + 3} ${answer.length}`,
        endedMs: 60_000,
      },
      counters: routedError,
      targetCounters: { connectionsOpened: 1 },
    }
  },
)

tests.provokes(
  'clientGoneDuringBody',
  'whoever leaves in the middle of a body is logged as a 400',
  waiting,
  async scene => {
    const client = await begin(scene, `${upload}abc`)
    client.halfClose()
    return {
      client,
      answer: null,
      connection: 'close',
      line: {
        ...post,
        target: scene.targetAddress,
        times: '0.000 -1 -1',
        statuses: '400 -',
        bytes: `${upload.length + 3} 0`,
      },
      counters: routedError,
      targetCounters: { connectionsOpened: 1 },
    }
  },
)

tests.provokes('clientClosed', 'whoever leaves while the target works is logged as a 460', waiting, async scene => {
  const client = await begin(scene, get)
  client.halfClose()
  await caughtUp()
  scene.plane.clock.advance(halfClosedGraceMs - 1)
  assert.deepEqual(scene.plane.faults, [])
  scene.plane.clock.advance(1)
  return {
    client,
    answer: null,
    connection: 'close',
    line: {
      target: scene.targetAddress,
      times: '0.000 -1 -1',
      statuses: '460 -',
      bytes: '27 0',
      endedMs: halfClosedGraceMs,
    },
    counters: routedError,
    targetCounters: { connectionsOpened: 1 },
  }
})

test('a client that resets while the target works is a 460 at once, and the target hears of it', async t => {
  const scene = await startScene(t, waiting)
  const client = await begin(scene, get)
  client.reset()
  await scene.recorded(1)
  assert.deepEqual(scene.plane.faults, ['clientClosed'])
  await scene.target.closedConnections()
})

test('a client that leaves while its target is being connected to is a 460 without any time', async t => {
  const port = await fullListener(t)
  const scene = await startScene(t, { addresses: [{ id: '127.0.0.1', port }] })
  const client = await scene.client()
  await client.send(get)
  await caughtUp()
  scene.plane.clock.advance(5_700)
  client.reset()
  await scene.recorded(1)
  const target = `127.0.0.1:${port}`
  assertShape(await scene.line(), scene, client, { target, times: '-1 -1 -1', statuses: '460 -', bytes: '27 0' })
  assert.equal(scene.plane.states.requestsInFlight(0), 0)
})

test('a client that only says that it has no more to say still gets its answer', async t => {
  const gate = Promise.withResolvers<void>()
  const answersLate: Script = async connection => {
    await connection.readRequest()
    await gate.promise
    await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    await connection.drain()
  }
  const scene = await startScene(t, { targets: [answersLate] })
  const client = await begin(scene, get)
  client.halfClose()
  await caughtUp()
  scene.plane.clock.advance(halfClosedGraceMs - 1)
  gate.resolve()
  assert.equal((await client.readResponse()).body.toString(), 'ok')
  assert.equal((await client.readUntilClose()).ending, 'fin')
  assert.deepEqual(scene.plane.faults, [])
})

tests.provokes(
  'clientGoneDuringResponse',
  'whoever leaves before the response is complete is logged with the status that was relayed',
  { targets: [scripts.stalledBody(100, 40)] },
  async scene => {
    const client = await begin(scene, get)
    const head =
      'HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 12:00:00 GMT\r\nContent-Length: 100\r\nConnection: keep-alive\r\n\r\n'
    client.reset()
    return {
      client,
      answer: null,
      connection: 'gone',
      line: {
        target: scene.targetAddress,
        times: '0.000 0.000 0.000',
        statuses: '200 200',
        bytes: `27 ${head.length + 40}`,
      },
      counters: { RequestCount: 1 },
      targetCounters: { connectionsOpened: 1, HTTPCode_Target_2XX_Count: 1 },
    }
  },
)

const pieces = 64
const piece = Buffer.alloc(1024 * 1024)
let piecesSent = 0

const answersAtLength: Script = async connection => {
  await connection.readRequest()
  await connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${pieces * piece.length}\r\n\r\n`)
  for (piecesSent = 0; piecesSent < pieces; piecesSent++) await connection.send(piece)
  await connection.drain()
}

tests.provokes(
  'clientStalledDuringResponse',
  'whoever stops reading for the idle timeout is cut off',
  { targets: [answersAtLength] },
  async scene => {
    const client = await begin(scene, get)
    await stalled(() => piecesSent)
    assert.ok(piecesSent < pieces)
    scene.plane.clock.advance(60_000)
    assert.deepEqual(scene.plane.faults, ['clientStalledDuringResponse'])
    const { counters } = scene.plane
    assert.equal(counters.loadBalancer(0, 'connectionsClosed'), 1)
    await scene.target.closedConnections()
    return {
      client,
      answer: null,
      connection: 'gone',
      line: {
        target: scene.targetAddress,
        times: '0.000 0.000 0.000',
        statuses: '200 200',
        bytes: `27 ${counters.loadBalancer(0, 'sentBytes')}`,
        endedMs: 60_000,
      },
      counters: { RequestCount: 1, readingPaused: counters.loadBalancer(0, 'readingPaused') },
      targetCounters: { connectionsOpened: 1, HTTPCode_Target_2XX_Count: 1 },
    }
  },
)

test('whoever leaves after the answer, in the middle of a body that nobody wants, changes nothing about it', async t => {
  const scene = await startScene(t, {})
  for (const leave of ['halfClose', 'reset'] as const) {
    const client = await scene.client()
    await client.send(`${upload}abc`)
    assert.equal((await client.readResponse()).status, 503)
    client[leave]()
  }
  await scene.recorded(2)
  assert.deepEqual(scene.plane.faults, ['groupEmpty', 'groupEmpty'])
})

test('chunks that go wrong behind the beginning of the answer do not change its status', async t => {
  const answersEarly: Script = async connection => {
    await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n')
    await connection.drain()
  }
  const scene = await startScene(t, { targets: [answersEarly] })
  const client = await begin(scene, chunked)
  await client.send('xyz')
  await client.readUntilClose()
  assert.deepEqual(scene.plane.faults, ['clientBodyMalformed'])
  assert.match(await scene.line(), / 0\.000 0\.000 0\.000 200 200 /)
})

tests.provokesOnStream(
  'clientStreamMalformed',
  'a head without a method is reset',
  answering,
  async (scene, client) => {
    const request = headers(1, [[':path', '/']], END_STREAM)
    await client.send(request)
    return {
      answer: ['RST_STREAM 1 protocolError'],
      line: {
        ...notRouted,
        statuses: '400 -',
        bytes: '0 0',
        request: `- https://${scene.loadBalancer.dnsName}:443- -`,
      },
      counters: { ...clientError, receivedBytes: request.length },
    }
  },
)

tests.provokesOnConnection(
  'clientProtocolError',
  'a connection that breaks the rules ends, and that is told of',
  [frame('PING', 0, 0, '12345678')],
  'SETTINGS must come first',
)

tests.provokesOnStream(
  'protocolVersionMismatch',
  'gRPC for a group of HTTP/1.1 is a 464, told as gRPC has it',
  answering,
  async (_scene, client) => {
    const request = headers(1, [...h2Post, ['content-type', 'application/grpc']], END_STREAM)
    await client.send(request)
    await client.answer(1)
    const own = 'server=awselb/2.0 date=Thu, 01 Jan 2026 12:00:00 GMT content-length=0'
    return {
      answer: [`HEADERS 1 end :status=464 ${own} grpc-status=2 grpc-message=unknown`],
      line: {
        type: 'grpcs',
        target: null,
        times: '-1 -1 -1',
        statuses: '464 -',
        bytes: `${request.length} ${client.answerBytes(1)}`,
        request: 'POST https://a:443/ HTTP/2.0',
      },
      counters: clientError,
    }
  },
)

tests.coverSide('client')
