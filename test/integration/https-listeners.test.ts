/**
 * HTTPS listeners, from the handshake to the two logs.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/create-https-listener.html
 */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { makeCertificate } from '../support/certificates.ts'
import { within } from '../support/deadline.ts'
import { fieldValue } from '../support/message-reader.ts'
import { padding } from '../support/pages.ts'
import { logFields } from '../support/plane.ts'
import { type Scene, startScene } from '../support/scene.ts'
import { answering, echo, sendsAfterRequest } from '../support/target-scripts.ts'
import { caughtUp, until } from '../support/turns.ts'

const ecdsa = makeCertificate({ names: ['a.example', '*.wild.example'], keyType: 'p256' })
const other = makeCertificate({ names: ['b.example'], keyType: 'rsa2048' })
const get = (...headers: readonly string[]) =>
  `GET / HTTP/1.1\r\n${['Host: a.example', ...headers].join('\r\n')}\r\n\r\n`

async function secure(t: TestContext, scene: Scene, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({
    host: '127.0.0.1',
    port: scene.plane.port,
    rejectUnauthorized: false,
    servername: 'a.example',
    ...options,
  })
  t.after(() => socket.destroy())
  await within(once(socket, 'secureConnect'), () => 'the handshake')
  return socket
}

/** The answer to one request, which ends with `end`. */
async function ask(socket: TLSSocket, request: string, end: string): Promise<string> {
  let text = ''
  const done = new Promise<void>(resolve => {
    const onData = (bytes: Buffer) => {
      text += bytes.toString('latin1')
      if (!text.endsWith(end)) return
      socket.removeListener('data', onData)
      resolve()
    }
    socket.on('data', onData)
  })
  socket.write(request)
  await within(done, () => `an answer that ends with ${JSON.stringify(end)}; there was ${JSON.stringify(text)}`)
  return text
}

test('a request over TLS tells the target so, and both logs how it was secured', async t => {
  const scene = await startScene(t, { targets: [echo], certificates: [ecdsa], port: 443 })
  const socket = await secure(t, scene)
  const answer = await ask(socket, get(), '\r\nConnection: keep-alive')
  assert.match(answer, /\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\nHost: a\.example\r\n/)
  const fields = logFields(await scene.line())
  const [certificate] = scene.loadBalancer.listeners[0]!.tls!.certificates
  assert.deepEqual(
    [fields[1], fields[13], fields[15], fields[16], fields[19], fields[20]],
    ['https', 'GET https://a.example:443/ HTTP/1.1', socket.getCipher().name, 'TLSv1.3', 'a.example', certificate!.arn],
  )
  const [line, ...others] = await scene.plane.connectionLines()
  assert.deepEqual(others, [])
  const [, ip, port, listenerPort, protocol, cipher, latency, subject, validity, serial, status, traceId] =
    line!.split(' ')
  assert.deepEqual(
    [ip, Number(port), listenerPort, protocol, cipher, latency, subject, validity, serial, status, traceId],
    [
      '127.0.0.1',
      socket.localPort,
      '443',
      'TLSv1.3',
      socket.getCipher().name,
      '0.000',
      '"-"',
      '-',
      '-',
      'Success',
      fields[30],
    ],
  )
})

test('the target is told of version and cipher where that is asked for, and never what a client makes up', async t => {
  const attributes = { 'routing.http.x_amzn_tls_version_and_cipher_suite.enabled': 'true' }
  const own = ['x-amzn-tls-version: SSLv2', 'X-Amzn-Tls-Cipher-Suite: none']
  const scene = await startScene(t, { targets: [echo], certificates: [ecdsa], attributes })
  const socket = await secure(t, scene, { maxVersion: 'TLSv1.2' })
  const answer = await ask(socket, get(...own), '\r\nConnection: keep-alive')
  const lines = answer.split('\r\n').filter(line => /^x-amzn-tls/i.test(line))
  assert.deepEqual(lines, ['X-Amzn-Tls-Version: TLSv1.2', 'X-Amzn-Tls-Cipher-Suite: ECDHE-ECDSA-AES128-GCM-SHA256'])
  const plain = await startScene(t, { targets: [echo], attributes })
  assert.doesNotMatch((await plain.ask(get(...own))).body.toString(), /x-amzn-tls/i)
})

test('a session that is resumed shows no certificate', async t => {
  const scene = await startScene(t, { targets: [answering(200, 'ok')], certificates: [ecdsa] })
  const first = await secure(t, scene)
  const ticket = once(first, 'session')
  await ask(first, get(), 'ok')
  const [session] = (await ticket) as [Buffer]
  const again = await secure(t, scene, { session })
  assert.equal(again.isSessionReused(), true)
  await ask(again, get(), 'ok')
  assert.deepEqual(
    (await scene.plane.logLines()).map(line => logFields(line)[20] === 'session-reused'),
    [false, true],
  )
})

test('the certificate is chosen by the name that the client asks for; for another name, or none, the default serves', async t => {
  const scene = await startScene(t, { targets: [answering(200, 'ok')], certificates: [ecdsa, other] })
  for (const [servername, subject, domainName] of [
    ['b.example', 'b.example', 'b.example'],
    ['x.wild.example', 'a.example', 'x.wild.example'],
    ['unknown.example', 'a.example', '-'],
    ['', 'a.example', '-'],
  ] as const) {
    const socket = await secure(t, scene, { servername })
    assert.equal(socket.getPeerCertificate().subject.CN, subject)
    await ask(socket, get(), 'ok')
    assert.equal(logFields((await scene.plane.logLines()).at(-1)!)[19], domainName)
  }
})

test('a new certificate serves new connections, and connections that are open go on', async t => {
  const scene = await startScene(t, { targets: [answering(200, 'ok')], certificates: [ecdsa] })
  const before = await secure(t, scene)
  await ask(before, get(), 'ok')
  await scene.plane.publish(scene.config({ certificates: [other] }))
  await ask(before, get(), 'ok')
  const after = await secure(t, scene)
  assert.equal(after.getPeerCertificate().subject.CN, 'b.example')
})

for (const [agent, bytes] of [
  ['curl/8', 370],
  ['Mozilla/5.0 Chrome/120.0', 772],
] as const) {
  test(`plain HTTP from ${agent} gets the page of its own, ${bytes} bytes in all`, async t => {
    const scene = await startScene(t, { targets: [echo], certificates: [ecdsa], port: 443 })
    const client = await scene.client()
    await client.send(get(`User-Agent: ${agent}`))
    const response = await client.readResponse()
    assert.equal(response.status, 400)
    assert.equal(response.byteCount, bytes)
    assert.equal(fieldValue(response.headers, 'connection'), 'close')
    const text = 'The plain HTTP request was sent to HTTPS port'
    assert.equal(
      response.body.toString(),
      `<html>\r\n<head><title>400 ${text}</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n<center>${text}</center>\r\n</body>\r\n</html>\r\n${bytes === 772 ? padding.repeat(6) : ''}`,
    )
    const fields = logFields(await scene.line())
    assert.deepEqual([fields[1], fields[9], fields[12], fields[15], fields[16]], ['https', '400', `${bytes}`, '-', '-'])
    assert.deepEqual(scene.plane.faults, ['clientPlainHttp'])
    assert.equal(scene.target.connectionCount, 0)
  })
}

test('a handshake that fails is counted, and stands in the connection log alone', async t => {
  const scene = await startScene(t, { targets: [echo], certificates: [ecdsa] })
  const options = { host: '127.0.0.1', port: scene.plane.port, maxVersion: 'TLSv1.1', minVersion: 'TLSv1' } as const
  const socket = connect({ ...options, ciphers: 'DEFAULT@SECLEVEL=0', rejectUnauthorized: false })
  await within(once(socket, 'error'), () => 'a refusal')
  const failures = () => scene.plane.counters.loadBalancer(0, 'ClientTLSNegotiationErrorCount')
  await until(
    () => failures() === 1,
    () => 'the failure to be counted',
  )
  assert.deepEqual(await scene.plane.logLines(), [])
  const [line] = await scene.plane.connectionLines()
  assert.match(line!, / 80 - - - "-" - - Failed:UnmappedConnectionError TID_[0-9a-f]{32} - app\/web\//)
})

test('connections to HTTP listeners stand in the connection log as well', async t => {
  const scene = await startScene(t, { targets: [echo] })
  await scene.ask(get())
  assert.match((await scene.plane.connectionLines())[0]!, / 80 - - - "-" - - - TID_[0-9a-f]{32} - app\/web\//)
})

test('redirects and stickiness cookies know that the listener is secure', async t => {
  const scene = await startScene(t, {
    targets: [answering(200, 'ok')],
    certificates: [ecdsa],
    groupAttributes: { 'stickiness.enabled': 'true' },
    rules: [
      {
        priority: 1,
        conditions: [{ field: 'path-pattern', values: ['/old'] }],
        actions: [{ type: 'redirect', redirect: { path: '/new', statusCode: 'HTTP_302' } }],
      },
    ],
    port: 8443,
  })
  const socket = await secure(t, scene)
  assert.match(await ask(socket, get(), 'ok'), /AWSALBCORS=\S+ Expires=[^;]+; Path=\/; SameSite=None; Secure\r\n/)
  const moved = await ask(socket, get().replace('GET /', 'GET /old'), '</html>\r\n')
  assert.match(moved, /\r\nLocation: https:\/\/a\.example:8443\/new\r\n/)
})

test('a megabyte goes through both ways', async t => {
  const body = 'x'.repeat(2 ** 20)
  const scene = await startScene(t, { targets: [answering(200, `${body}end`)], certificates: [ecdsa] })
  const socket = await secure(t, scene)
  const post = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  assert.ok((await ask(socket, post, 'end')).endsWith(`${body}end`))
  assert.equal((await scene.target.receivedRequests(1))[0]!.body.length, body.length)
})

test('a client that says close_notify behind its request still gets the answer', async t => {
  const scene = await startScene(t, { targets: [answering(200, 'ok')], certificates: [ecdsa] })
  const socket = await secure(t, scene, { allowHalfOpen: true } as ConnectionOptions)
  const answered = ask(socket, get(), 'ok')
  socket.end()
  assert.match(await answered, /^HTTP\/1\.1 200 /)
})

/** The idle timeout begins with the last byte that moved, which on a busy machine may be some seconds of the clock in. */
async function passUntilRecorded(scene: Scene): Promise<void> {
  let isRecorded = false
  const recorded = scene.recorded(1).then(() => {
    isRecorded = true
  })
  for (let second = 0; second < 300 && !isRecorded; second++) {
    await caughtUp()
    scene.plane.clock.advance(1_000)
  }
  await recorded
}

test('a client that never reads its answer is closed at the idle timeout, and nobody else notices', async t => {
  const scene = await startScene(t, { targets: [answering(200, 'x'.repeat(2 ** 24))], certificates: [ecdsa] })
  const deaf = await secure(t, scene)
  deaf.pause()
  deaf.on('error', () => {})
  deaf.write(get())
  await scene.target.receivedRequests(1)
  await passUntilRecorded(scene)
  assert.deepEqual(scene.plane.faults, ['clientStalledDuringResponse'])
  assert.match(await ask(await secure(t, scene), get(), 'xxx'), /^HTTP\/1\.1 200 /)
})

test('a client that never reads what comes through its tunnel is closed at the idle timeout as well', async t => {
  const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n'
  const scene = await startScene(t, {
    targets: [sendsAfterRequest(() => switching + 'x'.repeat(2 ** 24))],
    certificates: [ecdsa],
  })
  const deaf = await secure(t, scene)
  deaf.pause()
  deaf.on('error', () => {})
  deaf.write(get('Connection: upgrade', 'Upgrade: websocket'))
  await scene.target.receivedRequests(1)
  await passUntilRecorded(scene)
  assert.equal(logFields(await scene.line())[1], 'wss')
  await secure(t, scene)
})

test('what has not changed of a listener is used on by the next configuration, and a change is not missed', async t => {
  const scene = await startScene(t, { targets: [answering(200, 'ok')], certificates: [ecdsa] })
  for (const [certificates, name] of [
    [[ecdsa], 'a.example'],
    [[other], 'b.example'],
    [[other, ecdsa], 'a.example'],
  ] as const) {
    await scene.plane.publish(scene.config({ certificates }))
    const socket = await secure(t, scene)
    assert.equal(socket.getPeerCertificate().subject.CN, name)
  }
})
