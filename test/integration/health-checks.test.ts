/** What targets do in the field, and what is made of it: the state and reason that the service shows, and what was seen. */

import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { ManualClock } from '../../src/base/clock.ts'
import { type Checking, HealthChecker } from '../../src/health/checker.ts'
import { targetGroupArn } from '../../src/model/arns.ts'
import { codeMismatch, failedChecks, healthy, type TargetHealth, timedOut } from '../../src/model/health.ts'
import type { HealthCheck, ProtocolVersion } from '../../src/model/resources.ts'
import { backendPolicy } from '../../src/model/ssl-policies.ts'
import { TargetStates } from '../../src/model/target-states.ts'
import { makeCertificate } from '../support/certificates.ts'
import { fullListener } from '../support/full-listener.ts'
import { type Script, startTarget } from '../support/misbehaving-target.ts'
import { refusedPort } from '../support/refused-port.ts'
import * as scripts from '../support/target-scripts.ts'
import * as tlsScripts from '../support/tls-scripts.ts'
import { caughtUp } from '../support/turns.ts'

const healthCheck: HealthCheck = {
  protocol: 'HTTP',
  port: 'traffic-port',
  path: '/',
  intervalSeconds: 5,
  timeoutSeconds: 2,
  healthyThresholdCount: 2,
  unhealthyThresholdCount: 2,
  matcher: [{ from: 200, to: 200 }],
}

type Case = {
  readonly what: string
  /** What it does with each connection; null: `openPort` says where it is. */
  readonly target: Script | null
  readonly openPort?: (t: TestContext) => Promise<number>
  readonly protocol?: HealthCheck['protocol']
  readonly version?: ProtocolVersion
  /** Time must pass for anything to come of it. */
  readonly hangs?: boolean
  readonly health: TargetHealth
  readonly logReason: string | null
  readonly detail: RegExp
}

const expired = makeCertificate({
  names: ['other.example'],
  keyType: 'p256',
  notBefore: new Date('2020-01-01'),
  notAfter: new Date('2020-01-02'),
})
const onlyForSite = scripts.sendsAfterRequest(({ headers }) =>
  headers.includes('Host: www.example.com')
    ? 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
    : 'HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n',
)
const offersOther = tlsScripts.overTls(scripts.answering(200), {
  ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  maxVersion: 'TLSv1.2',
})

const cases: readonly Case[] = [
  {
    what: 'where nothing listens',
    target: null,
    openPort: refusedPort,
    health: failedChecks,
    logReason: 'ConnectionReset',
    detail: /^connection refused: nothing listens on 127\.0\.0\.1:\d+$/,
  },
  {
    what: 'that is not accepting',
    target: null,
    openPort: fullListener,
    hangs: true,
    health: timedOut,
    logReason: 'TimedOut',
    detail: /^no connection within 2 s: neither accepted nor refused$/,
  },
  {
    what: 'that accepts and never answers',
    target: scripts.neverAnswers,
    hangs: true,
    health: timedOut,
    logReason: 'TimedOut',
    detail: /^no answer within 2 s: connected after 0 ms, no bytes came$/,
  },
  {
    what: 'that stalls within its head',
    target: scripts.garbage('HTTP/1.1 200 OK\r\n'),
    hangs: true,
    health: timedOut,
    logReason: 'TimedOut',
    detail: /^no complete response head within 2 s: connected after 0 ms, 17 bytes came$/,
  },
  {
    what: 'that stalls behind its head',
    target: scripts.stalledBody(100, 10),
    health: healthy,
    logReason: null,
    detail: /^answered 200$/,
  },
  {
    what: 'that resets',
    target: scripts.resetsBeforeAnswer,
    health: failedChecks,
    logReason: 'ConnectionReset',
    detail: /^connection reset before a complete response head: no bytes came$/,
  },
  {
    what: 'that closes',
    target: scripts.closesBeforeAnswer,
    health: failedChecks,
    logReason: 'ConnectionReset',
    detail: /^closed before a complete response head: no bytes came$/,
  },
  {
    what: 'that answers garbage',
    target: scripts.garbage(),
    health: failedChecks,
    logReason: 'ConnectionReset',
    detail: /^malformed response: expected HTTP\/$/,
  },
  ...([301, 404, 500] as const).map(
    (code): Case => ({
      what: `that answers ${code}`,
      target: scripts.answering(code, '', ['Location: /elsewhere']),
      health: codeMismatch([code]),
      logReason: code === 500 ? 'TargetError' : 'ResponseCodeMismatch',
      detail: new RegExp(`^answered ${code}, expected 200$`),
    }),
  ),
  {
    what: 'that answers only to the name of its site',
    target: onlyForSite,
    health: codeMismatch([421]),
    logReason: 'ResponseCodeMismatch',
    detail: /^answered 421, expected 200$/,
  },
  {
    what: 'whose certificate has expired',
    target: tlsScripts.overTls(scripts.answering(200), { cert: expired.certificate, key: expired.privateKey }),
    protocol: 'HTTPS',
    health: healthy,
    logReason: null,
    detail: /^answered 200$/,
  },
  {
    what: 'that shares no cipher',
    target: offersOther,
    protocol: 'HTTPS',
    health: failedChecks,
    logReason: 'ConnectionReset',
    detail: /^the target refused TLS with the alert handshake_failure: most often no cipher in common$/,
  },
  {
    what: 'that serves HTTP where HTTPS is asked',
    target: tlsScripts.answersHello('HTTP/1.1 400 Bad Request\r\n\r\n'),
    protocol: 'HTTPS',
    health: failedChecks,
    logReason: 'ConnectionReset',
    detail: /^what the target sent in the TLS handshake is not TLS: its port speaks something else$/,
  },
  {
    what: 'that serves HTTPS where HTTP is asked',
    target: tlsScripts.overTls(scripts.answering(200)),
    health: failedChecks,
    logReason: 'ConnectionReset',
    detail: /^(malformed response: expected HTTP\/|(closed|connection reset) before a complete response head: .*)$/,
  },
  {
    what: 'that stalls in the TLS handshake',
    target: tlsScripts.stallsInHandshake,
    protocol: 'HTTPS',
    hangs: true,
    health: timedOut,
    logReason: 'TimedOut',
    detail: /^no complete TLS handshake within 2 s: connected after 0 ms$/,
  },
  {
    what: 'that knows HTTP/1.1 only, of an HTTP2 group',
    target: tlsScripts.answersHello('HTTP/1.1 400 Bad Request\r\n\r\n'),
    version: 'HTTP2',
    health: failedChecks,
    logReason: 'ConnectionReset',
    detail: /^the target does not speak HTTP\/2 on this port: what it answers is HTTP\/1\.1$/,
  },
  {
    what: 'that knows HTTP/1.1 only, of a GRPC group over TLS',
    target: tlsScripts.overTls(scripts.answering(200)),
    protocol: 'HTTPS',
    version: 'GRPC',
    health: failedChecks,
    logReason: 'ConnectionReset',
    detail: /^the target does not speak HTTP\/2 on this port: in the TLS handshake .* chose nothing$/,
  },
  {
    what: 'that speaks HTTP/2 wrongly',
    target: tlsScripts.answersHello(Buffer.alloc(64)),
    version: 'HTTP2',
    health: failedChecks,
    logReason: 'ConnectionReset',
    detail: /^malformed response: \w/,
  },
]

/** Two health checks of a target: enough to call it unhealthy. */
async function checkTwice(t: TestContext, port: number, checking: Checking, hangs: boolean): Promise<HealthChecker> {
  const clock = new ManualClock()
  const events = new EventEmitter()
  let reports = 0
  const checker = new HealthChecker({
    clock,
    states: new TargetStates(),
    random: () => 0,
    onChange: () => {},
    onProbe: () => events.emit('report', ++reports),
  })
  t.after(() => checker.close())
  const arn = targetGroupArn('app', '0123456789abcdef')
  checker.apply([{ arn, name: 'app', node: 0, checking, targets: [{ ip: '127.0.0.1', port, slot: 0 }] }])
  for (let check = 1; check <= 2; check++) {
    if (check === 2) clock.advance(hangs ? 3000 : 5000)
    if (hangs) {
      await caughtUp()
      clock.advance(2000)
    }
    while (reports < check) await once(events, 'report')
  }
  return checker
}

for (const { what, target, openPort, protocol = 'HTTP', version = 'HTTP1', hangs = false, ...expected } of cases) {
  test(`a target ${what} is ${expected.health.state}, with the reason and what was seen`, async t => {
    const port = target === null ? await openPort!(t) : await portOf(t, target)
    const checking: Checking = {
      isOn: true,
      node: { loadBalancerName: 'web', loadBalancerId: '0123456789abcdef', nodeIp: '127.0.0.1' },
      healthCheck: { ...healthCheck, protocol },
      protocolVersion: version,
      backendPolicy: backendPolicy([]),
      slowStartSeconds: 0,
    }
    const checker = await checkTwice(t, port, checking, hangs)
    assert.deepEqual(checker.health(0), expected.health)
    const outcome = checker.lastProbe(0)
    assert.equal(outcome?.logReason, expected.logReason)
    assert.match(outcome.detail, expected.detail)
  })
}

async function portOf(t: TestContext, script: Script): Promise<number> {
  const target = await startTarget(script)
  t.after(() => target.close())
  return target.port
}
