import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeCertificate } from '../../test/support/certificates.ts'
import { fullListener } from '../../test/support/full-listener.ts'
import { refusedPort } from '../../test/support/refused-port.ts'
import * as scripts from '../../test/support/target-scripts.ts'
import * as tlsScripts from '../../test/support/tls-scripts.ts'
import { caughtUp } from '../../test/support/turns.ts'
import { backendPolicy } from '../model/ssl-policies.ts'
import { targetTlsOptions } from '../targets/target-tls.ts'
import { bodyStartBytesMax } from './probe/dialogue.ts'
import { bodyMomentMs, probeAuthority } from './probe.ts'
import { essence, failed, late, probe, Started, scripted, tls } from './probe-test-support.ts'

const answer = (bytes: string) => scripts.sendsAfterRequest(() => bytes)

describe('a health check over HTTP/1.1', () => {
  it('sends the bytes of the service', async t => {
    const target = await scripted(t, scripts.answering(200))
    await new Started(target.port, { path: '/up?deep=1' }).outcome()
    assert.equal(
      target.requests[0]?.raw.toString('latin1'),
      `GET /up?deep=1 HTTP/1.1\r\nHost: 127.0.0.1:${target.port}\r\nConnection: close\r\n` +
        'User-Agent: ELB-HealthChecker/2.0\r\nAccept-Encoding: gzip, compressed\r\n\r\n',
    )
  })

  it('names the port unless it is that of the protocol, and brackets IPv6', () => {
    assert.equal(probeAuthority('10.0.0.1', 80, false), '10.0.0.1')
    assert.equal(probeAuthority('10.0.0.1', 443, false), '10.0.0.1:443')
    assert.equal(probeAuthority('10.0.0.1', 443, true), '10.0.0.1')
    assert.equal(probeAuthority('10.0.0.1', 80, true), '10.0.0.1:80')
    assert.equal(probeAuthority('fd00::80', 80, false), '[fd00::80]')
    assert.equal(probeAuthority('fd00::80', 8080, false), '[fd00::80]:8080')
  })

  it('passes a status that the matcher holds', async t => {
    const matcher = [
      { from: 200, to: 202 },
      { from: 204, to: 204 },
    ]
    const pass = (code: number) => ({
      result: 'pass',
      statusCode: code,
      logReason: null,
      ending: 'answered',
      stage: 'response',
      detail: `answered ${code}`,
    })
    for (const code of [200, 202, 204]) {
      assert.deepEqual(essence(await probe(t, scripts.answering(code), { matcher })), pass(code))
    }
    assert.equal((await probe(t, scripts.answering(203), { matcher })).result, 'fail')
  })

  it('tells a wrong code from an error of the target, and follows no redirect', async t => {
    const matcher = [
      { from: 200, to: 299 },
      { from: 302, to: 302 },
    ]
    for (const [code, logReason] of [
      [301, 'ResponseCodeMismatch'],
      [404, 'ResponseCodeMismatch'],
      [500, 'TargetError'],
      [599, 'TargetError'],
    ] as const) {
      const outcome = await probe(t, scripts.answering(code, '', ['Location: /']), { matcher })
      const detail = `answered ${code}, expected 200-299,302`
      const expected = { result: 'fail', statusCode: code, logReason, ending: 'answered', stage: 'response', detail }
      assert.deepEqual(essence(outcome), expected)
    }
  })

  it('a target that knows only its site answers another page to the address it is asked by', async t => {
    const script = scripts.sendsAfterRequest(({ headers }) =>
      headers.includes('Host: www.example.com')
        ? 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
        : 'HTTP/1.1 400 Bad Request\r\nContent-Length: 13\r\n\r\nInvalid Host\n',
    )
    const outcome = await probe(t, script)
    assert.deepEqual([outcome.logReason, outcome.statusCode], ['ResponseCodeMismatch', 400])
    assert.equal(outcome.bodyStart, 'Invalid Host')
  })

  it('reads past interim responses and takes a 101 for an answer', async t => {
    const hints = await probe(t, answer('HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n'))
    assert.equal(hints.result, 'pass')
    const switching = await probe(t, answer('HTTP/1.1 101 Switching Protocols\r\n\r\n'))
    assert.equal(switching.statusCode, 101)
  })

  it('reads an answer that comes byte by byte', async t => {
    const text =
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nwhy\r\n0\r\n\r\n'
    const outcome = await probe(t, async connection => {
      await connection.readRequest()
      for (const byte of text) await connection.send(byte)
      await connection.drain()
    })
    assert.deepEqual([outcome.statusCode, outcome.bodyStart], [404, 'why'])
  })

  it('closes the connection itself, though the target keeps it open', async t => {
    const target = await scripted(t, answer('HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nthe body goes on'))
    assert.equal((await new Started(target.port).outcome()).result, 'pass')
    await target.closedConnections()
    assert.equal(target.connectionCount, 1)
  })

  describe('keeps the beginning of the body of an answer that failed', () => {
    const notFound = 'HTTP/1.1 404 Not Found\r\n'

    it('also where it comes behind the head', async t => {
      const sent = Promise.withResolvers<void>()
      const more = Promise.withResolvers<void>()
      const target = await scripted(t, async connection => {
        await connection.readRequest()
        await connection.send(`${notFound}Content-Length: 9\r\n\r\n`)
        sent.resolve()
        await more.promise
        await connection.send('not  here')
        await connection.drain()
      })
      const started = new Started(target.port)
      await sent.promise
      await caughtUp()
      assert.deepEqual(started.outcomes, [], 'it waits for a moment')
      started.clock.advance(bodyMomentMs - 1)
      more.resolve()
      const outcome = await started.outcome()
      assert.deepEqual([outcome.statusCode, outcome.bodyStart], [404, 'not here'])
      assert.equal(outcome.latencyMs, 0, 'the wait does not count')
    })

    it('but waits no longer than a moment', async t => {
      const target = await scripted(t, answer(`${notFound}Content-Length: 9\r\n\r\nnot`))
      const started = new Started(target.port)
      await target.receivedRequests(1)
      await caughtUp()
      started.clock.advance(bodyMomentMs)
      assert.equal((await started.outcome()).bodyStart, 'not')
    })

    it('and of a long one no more than that', async t => {
      const outcome = await probe(t, answer(`${notFound}\r\n${'a'.repeat(5000)}`))
      assert.equal(outcome.bodyStart, 'a'.repeat(bodyStartBytesMax))
    })

    it('however the connection ends', async t => {
      const closed = await probe(t, scripts.answersThenCloses(503, 'down'))
      assert.deepEqual([closed.statusCode, closed.bodyStart], [503, 'down'])
      const reset = await probe(t, async connection => {
        await connection.readRequest()
        await connection.send(`${notFound}Content-Length: 9\r\n\r\n`)
        await caughtUp()
        connection.reset()
      })
      assert.deepEqual([reset.ending, reset.statusCode, reset.bodyStart], ['answered', 404, ''])
      const broken = await probe(t, answer(`${notFound}Transfer-Encoding: chunked\r\n\r\n3\r\nwhyX`))
      assert.deepEqual([broken.statusCode, broken.bodyStart], [404, 'why'])
    })

    it('as text that can be shown anywhere', async t => {
      const body = Buffer.from('\u001b[2Jgrün\r\n\u202e\x00 end \xff')
      const head = Buffer.from(`${notFound}Content-Length: ${body.length}\r\n\r\n`)
      const outcome = await probe(
        t,
        scripts.sendsAfterRequest(() => Buffer.concat([head, body])),
      )
      assert.equal(outcome.bodyStart, '[2Jgrün end ÿ')
    })
  })

  it('says that nothing listens', async () => {
    const port = await refusedPort()
    const outcome = await new Started(port).outcome()
    const detail = `connection refused: nothing listens on 127.0.0.1:${port}`
    assert.deepEqual(essence(outcome), { ...failed, ending: 'refused', stage: 'connect', detail })
    assert.deepEqual(outcome.stageMs, { connect: 0, tls: null, firstByte: null, response: null })
  })

  it('says that the target reset the connection', async t => {
    const detail = 'connection reset before a complete response head: no bytes came'
    const outcome = await probe(t, scripts.resetsBeforeAnswer)
    assert.deepEqual(essence(outcome), { ...failed, ending: 'reset', stage: 'firstByte', detail })
  })

  it('says that the target closed, before or within the head', async t => {
    const closed = { ...failed, ending: 'closed' } as const
    const detail = 'closed before a complete response head'
    const before = await probe(t, scripts.closesBeforeAnswer)
    assert.deepEqual(essence(before), { ...closed, stage: 'firstByte', detail: `${detail}: no bytes came` })
    const within = await probe(t, async connection => {
      await connection.readRequest()
      await connection.send('HTTP/1.1 200 OK\r\n')
    })
    assert.deepEqual(essence(within), { ...closed, stage: 'response', detail: `${detail}: 17 bytes came` })
  })

  it('says what is wrong with an answer', async t => {
    for (const [bytes, problem] of [
      ['SSH-2.0-OpenSSH_9.6\r\n', 'expected HTTP/'],
      ['HTTP/2 200 OK\r\n\r\n', 'expected a version such as 1.1'],
      ['HTTP/1.1 600 What\r\n\r\n', 'status code must be 100 to 599'],
      ['HTTP/1.1 200 OK\nA: b\n\n', 'line must end in CRLF'],
      ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 'more than one Content-Length'],
      ['x'.repeat(64 * 1024), 'expected HTTP/'],
      [`HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(8000)}`, 'too many fields'],
      [`HTTP/1.1 200 OK\r\nA: ${'x'.repeat(40_000)}`, 'head is too large'],
      ['HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(2000), 'too many interim responses'],
    ] as const) {
      const outcome = await probe(t, answer(bytes))
      const detail = `malformed response: ${problem}`
      assert.deepEqual(essence(outcome), { ...failed, ending: 'malformed', stage: 'response', detail })
    }
  })

  it('times out while the connection is being made', async t => {
    const started = new Started(await fullListener(t))
    await caughtUp()
    started.clock.advance(2000)
    const outcome = await started.outcome()
    const detail = 'no connection within 2 s: neither accepted nor refused'
    assert.deepEqual(essence(outcome), { ...late, stage: 'connect', detail })
    assert.equal(outcome.latencyMs, 2000)
    assert.deepEqual(outcome.stageMs, { connect: 2000, tls: null, firstByte: null, response: null })
  })

  it('times out when no answer comes, not a millisecond early', async t => {
    const target = await scripted(t, scripts.neverAnswers)
    const started = new Started(target.port)
    await target.receivedRequests(1)
    started.clock.advance(1999)
    await caughtUp()
    assert.deepEqual(started.outcomes, [])
    started.clock.advance(1)
    const detail = 'no answer within 2 s: connected after 0 ms, no bytes came'
    assert.deepEqual(essence(await started.outcome()), { ...late, stage: 'firstByte', detail })
  })

  it('times out when the head stalls', async t => {
    const target = await scripted(t, answer('HTTP/1.1 200 OK\r\nServer:'))
    const started = new Started(target.port)
    await target.receivedRequests(1)
    await caughtUp()
    started.clock.advance(2000)
    const detail = 'no complete response head within 2 s: connected after 0 ms, 24 bytes came'
    assert.deepEqual(essence(await started.outcome()), { ...late, stage: 'response', detail })
  })

  it('a target that stalls behind its head has answered', async t => {
    assert.equal((await probe(t, scripts.stalledBody(100, 40))).result, 'pass')
  })

  it('reports nothing after it was cancelled, and hangs up', async t => {
    const target = await scripted(t, answer('HTTP/1.1 200 OK\r\n\r\n'))
    const started = new Started(target.port)
    started.cancel()
    started.clock.advance(10_000)
    await target.closedConnections()
    await caughtUp()
    assert.deepEqual(started.outcomes, [])
  })

  it('tells how long each stage took', async t => {
    const target = await scripted(t, scripts.answering(200))
    const started = new Started(target.port)
    started.clock.advance(300)
    await target.receivedRequests(1)
    const { stageMs, latencyMs, startedAtMs } = await started.outcome()
    assert.deepEqual(stageMs, { connect: 300, tls: null, firstByte: 0, response: 0 })
    assert.deepEqual([latencyMs, startedAtMs], [300, started.clock.originMs])
  })
})

describe('a health check over HTTPS', () => {
  it('speaks TLS, and the same HTTP in it', async t => {
    const target = await scripted(t, tlsScripts.overTls(scripts.answering(200)))
    const outcome = await new Started(target.port, { tls }).outcome()
    assert.deepEqual([outcome.result, outcome.stageMs.tls], ['pass', 0])
    assert.match(target.requests[0]!.head, /^GET \/ HTTP\/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\n/)
  })

  for (const [what, dates] of [
    ['has expired', { notBefore: new Date('2020-01-01'), notAfter: new Date('2020-01-02') }],
    ['is not valid yet', { notBefore: new Date('2048-01-01') }],
  ] as const) {
    it(`passes a target whose certificate ${what}`, async t => {
      const made = makeCertificate({ names: ['other.example'], keyType: 'p256', ...dates })
      const options = { cert: made.certificate, key: made.privateKey }
      assert.equal((await probe(t, tlsScripts.overTls(scripts.answering(200), options), { tls })).result, 'pass')
    })
  }

  const inTls = { ...failed, ending: 'tlsFailed', stage: 'tls' } as const

  it('says that target and load balancer have no cipher in common', async t => {
    // Not in the policy towards targets of a load balancer without TLS 1.3 listeners.
    const script = tlsScripts.overTls(scripts.answering(200), {
      ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305',
      maxVersion: 'TLSv1.2',
    })
    const outcome = await probe(t, script, { tls })
    const detail = 'the target refused TLS with the alert handshake_failure: most often no cipher in common'
    assert.deepEqual(essence(outcome), { ...inTls, detail })
    assert.equal(outcome.tlsAlert, 'handshake_failure')
  })

  it('says that there is no TLS version in common', async t => {
    const script = tlsScripts.overTls(scripts.answering(200), { minVersion: 'TLSv1.3' })
    const outcome = await probe(t, script, { tls })
    const detail = 'the target and the load balancer have no TLS version in common'
    assert.deepEqual(essence(outcome), { ...inTls, detail })
    assert.equal(outcome.tlsAlert, 'protocol_version')
  })

  it('says which alert the target refused with', async t => {
    const outcome = await probe(t, tlsScripts.answersHello(tlsScripts.alert(112)), { tls })
    const detail = 'the target refused TLS with the alert unrecognized_name'
    assert.deepEqual(essence(outcome), { ...inTls, detail })
    assert.equal(outcome.tlsAlert, 'unrecognized_name')
  })

  it('says that the target speaks something else', async t => {
    const detail = 'what the target sent in the TLS handshake is not TLS: its port speaks something else'
    const outcome = await probe(t, tlsScripts.answersHello('HTTP/1.1 400 Bad Request\r\n\r\n'), { tls })
    assert.deepEqual(essence(outcome), { ...inTls, detail })
    assert.equal(outcome.tlsAlert, null)
  })

  it('says that the target closed or reset within the handshake', async t => {
    const closed = await probe(t, tlsScripts.closesInHandshake, { tls })
    const detail = 'within the TLS handshake'
    assert.deepEqual(essence(closed), { ...inTls, ending: 'closed', detail: `closed ${detail}` })
    const reset = await probe(t, tlsScripts.resetsInHandshake, { tls })
    assert.deepEqual(essence(reset), { ...inTls, ending: 'reset', detail: `connection reset ${detail}` })
  })

  it('times out in the handshake', async t => {
    const target = await scripted(t, tlsScripts.stallsInHandshake)
    const started = new Started(target.port, { tls })
    await target.acceptedConnections(1)
    await caughtUp()
    started.clock.advance(2000)
    const outcome = await started.outcome()
    const detail = 'no complete TLS handshake within 2 s: connected after 0 ms'
    assert.deepEqual(essence(outcome), { ...late, stage: 'tls', detail })
    assert.deepEqual(outcome.stageMs, { connect: 0, tls: 2000, firstByte: null, response: null })
  })

  it('times out behind the handshake', async t => {
    const target = await scripted(t, tlsScripts.overTls(scripts.neverAnswers))
    const started = new Started(target.port, { tls })
    await target.receivedRequests(1)
    started.clock.advance(2000)
    const detail = 'no answer within 2 s: connected after 0 ms, TLS after 0 ms more, no bytes came'
    assert.deepEqual(essence(await started.outcome()), { ...late, stage: 'firstByte', detail })
  })

  it('says that the target wants a certificate of ours', async t => {
    const made = makeCertificate({ names: ['target.example'], keyType: 'p256' })
    const options = { cert: made.certificate, key: made.privateKey, ca: made.certificate, requestCert: true }
    const outcome = await probe(t, tlsScripts.overTls(scripts.answering(200), options), {
      tls: targetTlsOptions(backendPolicy(['ELBSecurityPolicy-TLS13-1-2-2021-06'])),
    })
    assert.deepEqual([outcome.ending, outcome.stage], ['tlsFailed', 'firstByte'])
    assert.equal(outcome.tlsAlert, 'certificate_required')
  })
})
