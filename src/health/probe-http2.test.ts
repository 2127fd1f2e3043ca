import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  createSecureServer,
  createServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type SecureServerOptions,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { makeCertificate } from '../../test/support/certificates.ts'
import type { Script } from '../../test/support/misbehaving-target.ts'
import * as scripts from '../../test/support/target-scripts.ts'
import * as tlsScripts from '../../test/support/tls-scripts.ts'
import { caughtUp } from '../../test/support/turns.ts'
import { bodyMomentMs } from './probe.ts'
import { essence, failed, probe, Started, scripted, tls } from './probe-test-support.ts'

/** A target of HTTP/2, without TLS unless it has a certificate. */
async function startHttp2(
  t: TestContext,
  onStream: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void,
  secure: SecureServerOptions | null = null,
): Promise<number> {
  const server = secure === null ? createServer() : createSecureServer(secure)
  const sessions = new Set<ServerHttp2Session>()
  server.on('session', session => sessions.add(session))
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => {}) // a probe resets what it has no use for
    onStream(stream, headers)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.after(() => {
    for (const session of sessions) session.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const certificate = makeCertificate({ names: ['target.example'], keyType: 'p256' })
const ownCertificate = { cert: certificate.certificate, key: certificate.privateKey }

/** A frame of HTTP/2. */
function frame(type: number, flags: number, streamId: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(streamId, 5)
  return Buffer.concat([head, payload])
}

const settings = frame(4, 0, 0)
const endHeaders = 4
const endStream = 1
const status200 = Buffer.of(0x88)

/** Says these frames behind its settings once it was asked. */
const sayingFrames = (...frames: readonly Buffer[]): Script => {
  return async connection => {
    await connection.hears()
    await connection.send(Buffer.concat([settings, ...frames]))
    await connection.drain()
  }
}

describe('a health check over HTTP/2', () => {
  const http2 = { protocolVersion: 'HTTP2' } as const

  for (const [scheme, secure] of [
    ['http', null],
    ['https', ownCertificate],
  ] as const) {
    it(`asks with GET and passes by the status, over ${scheme}`, async t => {
      let asked: IncomingHttpHeaders = {}
      const port = await startHttp2(
        t,
        (stream, headers) => {
          asked = headers
          stream.respond({ ':status': 204 }, { endStream: true })
        },
        secure,
      )
      const request = {
        ...http2,
        tls: secure === null ? null : tls,
        path: '/up?deep=1',
        matcher: [{ from: 204, to: 204 }],
      }
      const outcome = await new Started(port, request).outcome()
      assert.deepEqual([outcome.result, outcome.statusCode, outcome.detail], ['pass', 204, 'answered 204'])
      assert.deepEqual(Object.entries(asked), [
        [':method', 'GET'],
        [':scheme', scheme],
        [':authority', `127.0.0.1:${port}`],
        [':path', '/up?deep=1'],
        ['user-agent', 'ELB-HealthChecker/2.0'],
        ['accept-encoding', 'gzip, compressed'],
      ])
    })
  }

  it('tells a wrong code with the beginning of the body', async t => {
    const port = await startHttp2(t, stream => {
      stream.respond({ ':status': 503, 'content-type': 'text/plain' })
      stream.end('down for lunch')
    })
    const outcome = await new Started(port, http2).outcome()
    const expected = {
      result: 'fail',
      statusCode: 503,
      logReason: 'TargetError',
      ending: 'answered',
      stage: 'response',
    }
    assert.deepEqual(essence(outcome), { ...expected, detail: 'answered 503, expected 200' })
    assert.equal(outcome.bodyStart, 'down for lunch')
  })

  it('waits no longer than a moment for that body', async t => {
    const port = await startHttp2(t, stream => stream.respond({ ':status': 404 }))
    const started = new Started(port, http2)
    const timer = () => started.clock.advance(bodyMomentMs)
    while (started.outcomes.length === 0) {
      await caughtUp()
      timer()
      assert.ok(started.clock.now() < 2000)
    }
    assert.deepEqual([started.outcomes[0]?.statusCode, started.outcomes[0]?.bodyStart], [404, ''])
  })

  it('reads past interim responses', async t => {
    const port = await startHttp2(t, stream => {
      stream.additionalHeaders({ ':status': 103, link: '</a>' })
      stream.respond({ ':status': 200 }, { endStream: true })
    })
    assert.equal((await new Started(port, http2).outcome()).result, 'pass')
  })

  const notHttp2 = { ...failed, ending: 'notHttp2' } as const

  it('says that the target speaks HTTP/1.1', async t => {
    const outcome = await probe(t, tlsScripts.answersHello('HTTP/1.1 400 Bad Request\r\n\r\n'), http2)
    const detail = 'the target does not speak HTTP/2 on this port: what it answers is HTTP/1.1'
    assert.deepEqual(essence(outcome), { ...notHttp2, stage: 'response', detail })
  })

  it('says that the target did not choose HTTP/2 in the handshake', async t => {
    const how = 'in the TLS handshake (ALPN) it was offered h2 and chose nothing'
    const detail = `the target does not speak HTTP/2 on this port: ${how}`
    const outcome = await probe(t, tlsScripts.overTls(scripts.answering(200)), { ...http2, tls })
    assert.deepEqual(essence(outcome), { ...notHttp2, stage: 'tls', detail })
  })

  it('says how the target breaks HTTP/2', async t => {
    for (const script of [
      tlsScripts.answersHello(Buffer.from('SSH-2.0-OpenSSH_9.6\r\n')),
      sayingFrames(frame(1, endHeaders | endStream, 2, status200)), // on a stream that nobody opened
      sayingFrames(frame(1, endHeaders | endStream, 1, Buffer.of(0x84))), // with a path
      sayingFrames(frame(1, endHeaders | endStream, 1)), // without a status
      sayingFrames(frame(0, endStream, 1)), // data without a head
      sayingFrames(frame(1, endHeaders, 1, Buffer.of(0xff, 0xff, 0xff, 0xff, 0xff))), // not HPACK
    ]) {
      const { detail, ...rest } = essence(await probe(t, script, http2))
      assert.match(detail, /^malformed response: \w/)
      assert.deepEqual(rest, { ...failed, ending: 'malformed', stage: 'response' })
    }
  })

  it('says that the target reset the stream, or went away', async t => {
    const reset = { ...failed, ending: 'reset', stage: 'response' } as const
    const detail = (code: string) => `the target reset the stream (${code})`
    const enhanceYourCalm = await probe(t, sayingFrames(frame(3, 0, 1, Buffer.of(0, 0, 0, 11))), http2)
    assert.deepEqual(essence(enhanceYourCalm), { ...reset, detail: detail('ENHANCE_YOUR_CALM') })
    const unknown = await probe(t, sayingFrames(frame(3, 0, 1, Buffer.of(0, 0, 1, 0))), http2)
    assert.equal(unknown.detail, detail('error 256'))
    const away = await probe(t, sayingFrames(frame(7, 0, 0, Buffer.alloc(8))), http2)
    assert.deepEqual(essence(away), { ...reset, detail: detail('REFUSED_STREAM') })
  })

  it('an answer that failed counts, however its stream ends', async t => {
    const outcome = await probe(
      t,
      sayingFrames(frame(1, endHeaders, 1, Buffer.of(0x8d)), frame(3, 0, 1, Buffer.of(0, 0, 0, 2))),
      http2,
    )
    assert.deepEqual([outcome.ending, outcome.statusCode], ['answered', 404])
  })

  it('times out behind the settings', async t => {
    const target = await scripted(t, sayingFrames())
    const started = new Started(target.port, http2)
    await target.acceptedConnections(1)
    await caughtUp()
    started.clock.advance(2000)
    const outcome = await started.outcome()
    assert.deepEqual([outcome.logReason, outcome.stage], ['TimedOut', 'response'])
    assert.match(outcome.detail, /^no complete response head within 2 s: connected after 0 ms, 9 bytes came$/)
  })
})

describe('a health check over gRPC', () => {
  const grpc = { protocolVersion: 'GRPC', path: '/AWS.ALB/healthcheck', matcher: [{ from: 12, to: 12 }] } as const
  const type = { 'content-type': 'application/grpc' }

  /** Answers calls with this status. */
  async function startGrpc(t: TestContext, status: string | null, more: OutgoingHttpHeaders = {}): Promise<number> {
    return startHttp2(t, stream => {
      stream.respond({ ':status': 200, ...type }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers(status === null ? more : { 'grpc-status': status, ...more }))
      stream.end(Buffer.alloc(5))
    })
  }

  const answered = { ending: 'answered', stage: 'response' } as const

  for (const [scheme, secure] of [
    ['http', null],
    ['https', ownCertificate],
  ] as const) {
    it(`calls with an empty message and passes by the status in the only head, over ${scheme}`, async t => {
      let asked: IncomingHttpHeaders = {}
      const said = Promise.withResolvers<Buffer>()
      const port = await startHttp2(
        t,
        async (stream, headers) => {
          asked = headers
          const pieces: Buffer[] = []
          for await (const piece of stream.iterator({ destroyOnReturn: false })) pieces.push(piece)
          said.resolve(Buffer.concat(pieces))
          stream.respond({ ':status': 200, ...type, 'grpc-status': '12' }, { endStream: true })
        },
        secure,
      )
      const outcome = await new Started(port, { ...grpc, tls: secure === null ? null : tls }).outcome()
      const detail = 'answered gRPC status 12'
      assert.deepEqual(essence(outcome), { result: 'pass', statusCode: 12, logReason: null, ...answered, detail })
      assert.deepEqual(await said.promise, Buffer.alloc(5))
      assert.deepEqual(Object.entries(asked), [
        [':method', 'POST'],
        [':scheme', scheme],
        [':authority', `127.0.0.1:${port}`],
        [':path', '/AWS.ALB/healthcheck'],
        ['content-type', 'application/grpc'],
        ['te', 'trailers'],
        ['user-agent', 'ELB-HealthChecker/2.0'],
      ])
    })
  }

  it('passes by the status in trailers', async t => {
    const matcher = [
      { from: 0, to: 1 },
      { from: 12, to: 12 },
    ]
    for (const code of ['0', '1', '12']) {
      const outcome = await new Started(await startGrpc(t, code), { ...grpc, matcher }).outcome()
      assert.deepEqual([outcome.result, outcome.statusCode], ['pass', Number(code)])
    }
  })

  it('tells an unexpected status with its message', async t => {
    const port = await startGrpc(t, '14', { 'grpc-message': 'warming  up' })
    const outcome = await new Started(port, grpc).outcome()
    const detail = 'answered gRPC status 14, expected 12'
    const logReason = 'GRPCUnexpectedStatus'
    assert.deepEqual(essence(outcome), { result: 'fail', statusCode: 14, logReason, ...answered, detail })
    assert.equal(outcome.bodyStart, 'warming up')
  })

  it('tells a missing status, and one that is no number', async t => {
    const empty = { result: 'fail', statusCode: null, logReason: 'GRPCStatusHeaderEmpty', ...answered } as const
    const missing = 'answered with no grpc-status, expected 12'
    assert.deepEqual(essence(await new Started(await startGrpc(t, null), grpc).outcome()), {
      ...empty,
      detail: missing,
    })
    const noTrailers = await startHttp2(t, stream => {
      stream.respond({ ':status': 200, ...type })
      stream.end(Buffer.alloc(5))
    })
    assert.deepEqual(essence(await new Started(noTrailers, grpc).outcome()), { ...empty, detail: missing })
    for (const text of ['', 'OK', '100']) {
      const detail = `answered with the grpc-status "${text}", expected 12`
      assert.deepEqual(essence(await new Started(await startGrpc(t, text), grpc).outcome()), { ...empty, detail })
    }
  })

  it('judges by the status of HTTP where that is no 200', async t => {
    for (const [status, logReason] of [
      [404, 'ResponseCodeMismatch'],
      [503, 'TargetError'],
    ] as const) {
      const port = await startHttp2(t, stream => {
        stream.respond({ ':status': status, 'grpc-status': '12' })
        stream.end('no gRPC here')
      })
      const outcome = await new Started(port, grpc).outcome()
      const detail = `answered ${status} in HTTP, expected a gRPC status of 12`
      assert.deepEqual(essence(outcome), { result: 'fail', statusCode: status, logReason, ...answered, detail })
      assert.equal(outcome.bodyStart, 'no gRPC here')
    }
  })

  it('times out when the status does not come', async t => {
    const responded = Promise.withResolvers<void>()
    const port = await startHttp2(t, stream => {
      stream.respond({ ':status': 200, ...type })
      responded.resolve()
    })
    const started = new Started(port, grpc)
    await responded.promise
    await caughtUp()
    started.clock.advance(2000)
    const outcome = await started.outcome()
    assert.equal(outcome.logReason, 'TimedOut')
    assert.match(outcome.detail, /^no grpc-status within 2 s: connected after 0 ms, \d+ bytes came$/)
  })
})
