/** Targets that speak TLS: whom we take, what a connection carries, and how it ends. What goes wrong is in `faults-target.test.ts`. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { connect as connectTls, createServer as createTlsServer, type SecureVersion, type TLSSocket } from 'node:tls'
import { readBufferBytes } from '../../src/model/limits.ts'
import { backendPolicy, type SslPolicy, sslPolicies } from '../../src/model/ssl-policies.ts'
import { Connection } from '../../src/net/connection.ts'
import { targetTlsOptions } from '../../src/targets/target-tls.ts'
import { openSocket, readHead, readToEnd } from '../support/bare-server.ts'
import { type CertificateRequest, makeCertificate } from '../support/certificates.ts'
import type { Script, TargetConnection } from '../support/misbehaving-target.ts'
import { PatternCheck, patternAt } from '../support/pattern.ts'
import { startTap } from '../support/tap.ts'
import * as scripts from '../support/target-scripts.ts'
import {
  alert,
  answersHello,
  assumeListenerPolicy,
  overTls,
  speakTls,
  stallsInHandshake,
  startTlsScene,
} from '../support/tls-scripts.ts'
import { caughtUp, stalled, until } from '../support/turns.ts'
import { switching, upgradeRequest } from '../support/websocket.ts'

const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const answering = scripts.answering(200, 'ok')
const tls13Policy = 'ELBSecurityPolicy-TLS13-1-2-2021-06'
const megabyte = 2 ** 20
const pieceBytes = megabyte / 4

// --- Whom we take ---

const certificates: readonly (readonly [what: string, request: Omit<CertificateRequest, 'names'>])[] = [
  ['signed by itself', { keyType: 'p256' }],
  ['that has expired', { keyType: 'p256', notBefore: new Date('2020-01-01'), notAfter: new Date('2020-01-02') }],
  ['that is not valid yet', { keyType: 'p256', notBefore: new Date('2048-01-01') }],
  ['with a short key', { keyType: 'rsa1024' }],
  ['signed with SHA-1', { keyType: 'rsa2048', hash: 'sha1' }],
  ['of an authority that nobody knows', { keyType: 'p256', issuer: authority() }],
]

function authority() {
  return makeCertificate({ names: ['authority.example'], keyType: 'p256', isAuthority: true })
}

for (const [what, request] of certificates) {
  test(`a target may have a certificate for another name, ${what}`, async t => {
    const { certificate, privateKey } = makeCertificate({ names: ['other.example'], ...request })
    const ciphers = 'DEFAULT:@SECLEVEL=0' // Or the target itself would refuse some.
    const scene = await startTlsScene(t, {
      targets: [overTls(answering, { cert: certificate, key: privateKey, ciphers })],
    })
    assert.equal((await scene.ask(get)).body.toString(), 'ok')
    assert.deepEqual(scene.plane.faults, [])
    assert.equal(scene.plane.counters.target(0, 'TargetTLSNegotiationErrorCount'), 0)
  })
}

const versions: readonly SecureVersion[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3']
const listenerPolicies = ['none', ...new Map(sslPolicies.map(({ name, kind }) => [kind, name])).values()]

for (const policy of new Set(listenerPolicies.map(name => backendPolicy([name])))) {
  test(`${policy.name} speaks to targets of the versions it has, and with its ciphers only`, async t => {
    for (const version of versions) {
      const agreed = await handshake(t, policy, { minVersion: version, maxVersion: version })
      assert.equal(agreed?.getProtocol() ?? null, policy.protocols.includes(version as never) ? version : null)
    }
    for (const cipher of policy.ciphers) {
      const isTls13 = cipher.startsWith('TLS_')
      const keyType = isTls13 || cipher.includes('ECDSA') ? 'p256' : 'rsa2048'
      // OpenSSL has those of TLS 1.3 in a list apart, and wants the other one not to be empty.
      const offer = isTls13 ? `${cipher}:ALL` : cipher
      const agreed = await handshake(
        t,
        policy,
        { ciphers: offer, maxVersion: isTls13 ? 'TLSv1.3' : 'TLSv1.2' },
        keyType,
      )
      assert.equal(agreed?.getCipher().name, cipher)
    }
    assert.equal(await handshake(t, policy, { ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305', maxVersion: 'TLSv1.2' }), null)
  })
}

type Offer = { readonly minVersion?: SecureVersion; readonly maxVersion?: SecureVersion; readonly ciphers?: string }

/** @returns our side of a handshake with a server that can do no more than this; null when it failed */
async function handshake(
  t: TestContext,
  policy: SslPolicy,
  { minVersion = 'TLSv1', ciphers = 'ALL', ...offer }: Offer,
  keyType: CertificateRequest['keyType'] = 'p256',
): Promise<TLSSocket | null> {
  const { certificate, privateKey } = makeCertificate({ names: ['target.example'], keyType })
  const options = { cert: certificate, key: privateKey, minVersion, ciphers: `${ciphers}:@SECLEVEL=0`, ...offer }
  const server = createTlsServer(options, socket => socket.on('error', () => {}))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const socket = connectTls({ host: '127.0.0.1', port, ...targetTlsOptions(policy) })
  t.after(() => {
    socket.destroy()
    server.close()
  })
  return once(socket, 'secureConnect').then(
    () => socket,
    () => null,
  )
}

test('a load balancer without an HTTPS listener speaks TLS 1.2 at most, and one with TLS 1.3 listeners 1.3', async t => {
  const protocols: (string | null)[] = []
  const script = overTls(answering, { onSecure: socket => protocols.push(socket.getProtocol()) })
  const scene = await startTlsScene(t, { targets: [script] })
  await scene.ask(get)
  assumeListenerPolicy(t, tls13Policy)
  await speakTls(scene)
  await scene.ask(get)
  assert.deepEqual(protocols, ['TLSv1.2', 'TLSv1.3'])
})

test('a handshake names no server and no protocol', async t => {
  const seen: unknown[] = []
  const onSecure = (socket: TLSSocket) => seen.push(socket.alpnProtocol, Reflect.get(socket, 'servername'))
  const scene = await startTlsScene(t, { targets: [overTls(answering, { onSecure })] })
  await scene.ask(get)
  assert.deepEqual(seen, [false, false])
})

// --- What a connection carries ---

test('requests share a connection, and the request is the one that a plain target gets', async t => {
  const scene = await startTlsScene(t, { targets: [overTls(answering)] })
  for (let i = 0; i < 5; i++) assert.equal((await scene.ask(get)).body.toString(), 'ok')
  assert.equal(scene.target.connectionCount, 1)
  const [request] = scene.target.requests
  assert.match(request!.head, /^GET \/ HTTP\/1\.1\r\n.*X-Forwarded-Proto: http\r\n/s)
})

for (const sslPolicy of ['ELBSecurityPolicy-2016-08', tls13Policy]) {
  test(`a further connection resumes the session of the one before (${sslPolicy})`, async t => {
    assumeListenerPolicy(t, sslPolicy)
    const resumed: boolean[] = []
    const ticketKeys = Buffer.alloc(48, 1)
    const close = scripts.answersThenCloses(200, 'ok')
    const script = overTls(close, { ticketKeys, onSecure: socket => resumed.push(socket.isSessionReused()) })
    const scene = await startTlsScene(t, { targets: [scripts.inTurn(script, script, answersHello(alert(80)), script)] })
    for (const status of [200, 200, 502, 200]) {
      assert.equal((await scene.ask(get)).status, status)
      await scene.target.closedConnections()
      await caughtUp()
    }
    assert.deepEqual(resumed, [false, true, false], 'a session that may have been to blame is not tried again')
  })
}

test('a target may negotiate anew between two requests', async t => {
  let secured: TLSSocket | null = null
  const onSecure = (socket: TLSSocket) => {
    secured = socket
  }
  const scene = await startTlsScene(t, { targets: [overTls(answering, { onSecure, maxVersion: 'TLSv1.2' })] })
  await scene.ask(get)
  const renegotiated = Promise.withResolvers<void>()
  secured!.renegotiate({}, error => (error === null ? renegotiated.resolve() : renegotiated.reject(error)))
  await renegotiated.promise
  assert.equal((await scene.ask(get)).body.toString(), 'ok')
  assert.equal(scene.target.connectionCount, 1)
})

/** Sends back the body that it gets. */
const echoesBody: Script = async connection => {
  for (let request = await connection.readRequest(); request !== null; request = await connection.readRequest()) {
    await connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${request.body.length}\r\n\r\n`)
    await connection.send(request.body)
  }
}

for (const sslPolicy of ['ELBSecurityPolicy-2016-08', tls13Policy]) {
  test(`a megabyte goes up and comes back, again and again (${sslPolicy})`, async t => {
    assumeListenerPolicy(t, sslPolicy)
    const scene = await startTlsScene(t, { targets: [overTls(echoesBody)] })
    const client = await scene.client()
    for (let round = 0; round < 3; round++) {
      const body = Buffer.concat([0, 1, 2, 3].map(at => patternAt((round * 4 + at) * pieceBytes, pieceBytes)))
      await client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`)
      const [response] = await Promise.all([client.readResponse(), client.send(body)])
      assert.ok(response.body.equals(body))
    }
    assert.equal(scene.target.connectionCount, 1)
  })
}

test('a client that does not read has the target wait, with little held in between', async t => {
  const scene = await startTlsScene(t, { targets: [overTls(sendsMegabytes(64))] })
  let peak = 0
  const { send } = Connection.prototype
  t.mock.method(Connection.prototype, 'send', function (this: Connection, ...sent: Parameters<typeof send>) {
    const isOurs = send.apply(this, sent)
    peak = Math.max(peak, this.queuedBytes)
    return isOurs
  })
  const client = await openSocket(t, scene.plane.port)
  client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  await stalled(() => scene.plane.counters.loadBalancer(0, 'readingPaused'))
  const rest = await readHead(client)
  const check = new PatternCheck()
  check.take(rest!)
  check.take(await readToEnd(client))
  assert.equal(check.byteCount, 64 * megabyte)
  assert.ok(peak <= 3 * readBufferBytes, `${peak} bytes were waiting`)
})

function sendsMegabytes(count: number): Script {
  const length = count * megabyte
  return async connection => {
    await connection.readRequest()
    await connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`)
    for (let at = 0; at < length; at += pieceBytes) await connection.send(patternAt(at, pieceBytes))
    await connection.drain()
  }
}

test('a target that answers an upload early still gets the rest of it, in however many pieces', async t => {
  const script = overTls(async connection => {
    await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly')
    await connection.readRequest()
  })
  const scene = await startTlsScene(t, { targets: [scripts.inTurn(script, overTls(answering))] })
  const client = await scene.client()
  await client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0')
  assert.equal((await client.readResponse()).body.toString(), 'early')
  await client.sendCutAt(`123456789${get}`, [1, 2, 3, 4, 5, 6, 7, 8])
  assert.equal((await client.readResponse()).body.toString(), 'ok')
  assert.equal((await scene.target.receivedRequests(2))[0]!.body.toString(), '0123456789')
})

/** Switches protocols, sends `hello`, and does what the test says. */
function tunnel(then: (connection: TargetConnection) => Promise<void>): Script {
  return overTls(async connection => {
    await connection.readRequest()
    await connection.send(`${switching()}hello`)
    await then(connection)
  })
}

test('a tunnel carries bytes both ways, and the end of either side on its own', async t => {
  const heard = Promise.withResolvers<string>()
  const scene = await startTlsScene(t, {
    targets: [
      tunnel(async connection => {
        connection.end()
        heard.resolve((await connection.rest()).toString())
      }),
    ],
  })
  const client = await scene.client()
  await client.send(upgradeRequest())
  const { bytes, ending } = await client.readUntilClose()
  assert.match(bytes.toString('latin1'), /^HTTP\/1\.1 101 .*\r\n\r\nhello$/s)
  assert.equal(ending, 'fin')
  const long = Buffer.alloc(megabyte, 'x')
  await client.send(long)
  client.halfClose()
  assert.equal(await heard.promise, long.toString())
  await scene.recorded(1)
  await scene.target.closedConnections()
  assert.deepEqual(scene.plane.faults, [])
})

test('a tunnel whose client says all it has to say first still brings the answer', async t => {
  const scene = await startTlsScene(t, {
    targets: [
      tunnel(async connection => {
        const question = await connection.rest()
        await connection.send(`you said ${question}`)
      }),
    ],
  })
  const client = await scene.client()
  await client.send(upgradeRequest())
  assert.equal((await client.readResponse()).status, 101)
  await client.send('this')
  client.halfClose()
  assert.equal((await client.readUntilClose()).bytes.toString(), 'helloyou said this')
})

// --- How it ends ---

const closings: readonly (readonly [how: string, close: (connection: TargetConnection) => void])[] = [
  ['with close_notify', connection => connection.end()],
  ['with a FIN alone', connection => connection.endBelowTls()],
  ['with an RST', connection => connection.reset()],
]

for (const [how, close] of closings) {
  const fault = how === 'with an RST' ? 'targetReset' : 'targetClosed'

  test(`a target that closes ${how} between requests is connected to anew`, async t => {
    const script = overTls(async connection => {
      await connection.readRequest()
      await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
      close(connection)
      await connection.drain()
    })
    const scene = await startTlsScene(t, { targets: [script] })
    for (let i = 0; i < 2; i++) {
      assert.equal((await scene.ask(get)).status, 200)
      await scene.target.closedConnections()
      await caughtUp()
    }
    assert.deepEqual(scene.plane.faults, [])
  })

  test(`a target that closes ${how} before its answer is a 502`, async t => {
    const script = overTls(async connection => {
      await connection.readRequest()
      close(connection)
      await connection.drain()
    })
    const scene = await startTlsScene(t, { targets: [script] })
    assert.equal((await scene.ask(get)).status, 502)
    assert.deepEqual(scene.plane.faults, [fault])
    assert.equal(scene.plane.counters.target(0, 'TargetTLSNegotiationErrorCount'), 0)
  })

  test(`a target that closes ${how} within its body has the client cut off`, async t => {
    const relayed = Promise.withResolvers<void>()
    const script = overTls(async connection => {
      await connection.readRequest()
      await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin')
      await relayed.promise
      close(connection)
      await connection.drain()
    })
    const scene = await startTlsScene(t, { targets: [script] })
    const client = await scene.client()
    await client.send(get)
    await until(
      () => scene.plane.counters.target(0, 'requestsBegun') === 1,
      () => 'the request to begin',
    )
    await caughtUp()
    relayed.resolve()
    assert.match((await client.readUntilClose()).bytes.toString('latin1'), /\r\n\r\nbegin$/)
    assert.deepEqual(scene.plane.faults, ['responseTruncated'])
  })
}

test('a body without a length ends with the connection', async t => {
  const script = overTls(async connection => {
    await connection.readRequest()
    await connection.send('HTTP/1.1 200 OK\r\n\r\nall of it')
  })
  const scene = await startTlsScene(t, { targets: [script] })
  assert.equal((await scene.ask(get)).body.toString(), 'all of it')
  assert.deepEqual(scene.plane.faults, [])
})

test('in TLS 1.3, a target that wants a client certificate says so behind the handshake: no answer, but an alert', async t => {
  assumeListenerPolicy(t, tls13Policy)
  const scene = await startTlsScene(t, { targets: [overTls(answering, { requestCert: true, minVersion: 'TLSv1.3' })] })
  const response = await scene.ask(get)
  assert.equal(response.status, 502)
  assert.deepEqual(scene.plane.faults, ['targetTlsAlert'])
  assert.equal(scene.plane.counters.target(0, 'TargetTLSNegotiationErrorCount'), 1)
  await scene.target.closedConnections()
})

const recordOfAlert = 21

test('a target is told in TLS when its idle connection is closed after the idle timeout', async t => {
  const scene = await startTlsScene(t, { targets: [overTls(answering)] })
  const tap = await startTap(t, () => scene.target.port)
  await scene.plane.publish(scene.config({ addresses: [{ id: '127.0.0.1', port: tap.port }] }))
  await speakTls(scene)
  await scene.ask(get)
  scene.plane.clock.advance(59_999)
  await caughtUp()
  assert.equal(scene.target.openConnectionCount, 1)
  scene.plane.clock.advance(1)
  await scene.target.closedConnections()
  assert.equal(tap.there.at(-1)![0], recordOfAlert)
})

test('a target that is deregistered, or no longer spoken to in TLS, loses its idle connections', async t => {
  const scene = await startTlsScene(t, { targets: [overTls(answering)] })
  await scene.ask(get)
  assert.equal(scene.target.openConnectionCount, 1)
  await scene.plane.publish(scene.config())
  await scene.target.closedConnections()
  await speakTls(scene)
  assert.equal((await scene.ask(get)).status, 200)
  await scene.plane.publish(scene.config({ addresses: [] }))
  await scene.target.closedConnections()
})

test('a request under way when its group turns to TLS ends as it began, and its connection is not kept', async t => {
  const gate = Promise.withResolvers<void>()
  const plain: Script = async connection => {
    await connection.readRequest()
    await gate.promise
    await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain')
    await connection.drain()
  }
  const scene = await startTlsScene(t, { targets: [scripts.inTurn(plain, overTls(answering))] })
  await scene.plane.publish(scene.config())
  const asked = scene.ask(get)
  await scene.target.receivedRequests(1)
  await speakTls(scene)
  gate.resolve()
  assert.equal((await asked).body.toString(), 'plain')
  await scene.target.closedConnections()
  assert.equal((await scene.ask(get)).body.toString(), 'ok')
  assert.equal(scene.plane.states.requestsInFlight(0), 0)
})

test('a client that leaves during the handshake ends it', async t => {
  const scene = await startTlsScene(t, { targets: [stallsInHandshake] })
  const client = await scene.client()
  await client.send(get)
  await scene.target.acceptedConnections(1)
  await caughtUp()
  client.reset()
  await scene.target.closedConnections()
  assert.deepEqual(scene.plane.faults, ['clientClosed'])
})
