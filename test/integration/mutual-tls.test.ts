/**
 * Clients with certificates, from the handshake to what targets and logs are told of them.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/mutual-authentication.html
 */

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import {
  connect as connectH2,
  createServer as createH2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { alone, type MadeCertificate, makeCertificate, makeRevocationList } from '../support/certificates.ts'
import { within } from '../support/deadline.ts'
import { distinguishedName, extension, octetString, utf8String } from '../support/der.ts'
import { fieldValue } from '../support/message-reader.ts'
import { type Scene, type SceneOptions, startScene } from '../support/scene.ts'
import { answering } from '../support/target-scripts.ts'
import { until } from '../support/turns.ts'

const server = makeCertificate({ names: ['a.example'], keyType: 'p256' })
const root = makeCertificate({
  names: ['root'],
  keyType: 'p256',
  isAuthority: true,
  subject: distinguishedName(
    ['2.5.4.6', utf8String('US')],
    ['2.5.4.10', utf8String('mTLS')],
    ['2.5.4.3', utf8String('root, the')],
  ),
})
const client = makeCertificate({
  names: ['client'],
  keyType: 'p256',
  issuer: root,
  serialNumber: Buffer.of(3, 0xa5, 0xb1),
  notBefore: new Date('2023-09-21T01:50:17Z'),
  notAfter: new Date('2040-09-20T01:50:17Z'),
})
const expired = makeCertificate({ names: ['expired'], keyType: 'p256', issuer: root, notAfter: new Date('2021-01-01') })
const revoked = makeCertificate({ names: ['revoked'], keyType: 'p256', issuer: root })
const stranger = makeCertificate({ names: ['stranger'], keyType: 'p256' })

const trustStores = [{ name: 'clients', caCertificatesBundle: root.certificate }]
const verify = { mode: 'verify', trustStore: 'clients' }

function start(t: TestContext, options: SceneOptions): Promise<Scene> {
  return startScene(t, { targets: [answering(200, 'ok')], certificates: [server], port: 443, trustStores, ...options })
}

function open(
  t: TestContext,
  scene: Scene,
  certificate: MadeCertificate | null,
  options: ConnectionOptions = {},
): TLSSocket {
  const shown = certificate === null ? {} : { cert: certificate.certificate, key: certificate.privateKey }
  const socket = connect({ host: '127.0.0.1', port: scene.plane.port, rejectUnauthorized: false, ...shown, ...options })
  socket.on('error', () => {})
  t.after(() => socket.destroy())
  return socket
}

/** Sends a request and returns the fields that the target got. */
async function ask(socket: TLSSocket, scene: Scene, count: number, ...fields: readonly string[]): Promise<string[]> {
  socket.write(`GET / HTTP/1.1\r\n${['Host: a.example', ...fields].join('\r\n')}\r\n\r\n`)
  const requests = await within(scene.target.receivedRequests(count), () => `request ${count}`)
  await within(once(socket, 'data'), () => 'an answer')
  return requests[count - 1]!.head.split('\r\n').slice(1)
}

const aboutClients = (fields: readonly string[]) => fields.filter(field => /mtls|x[-_]my/i.test(field))

/** As the service's documentation has it: nothing but blanks and line ends is encoded. */
function encoded(certificate: MadeCertificate): string {
  return alone(certificate).replaceAll(' ', '%20').replaceAll('\n', '%0A')
}

const told = [
  'X-Amzn-Mtls-Clientcert-Serial-Number: 03A5B1',
  'X-Amzn-Mtls-Clientcert-Issuer: CN=root\\, the,O=mTLS,C=US',
  'X-Amzn-Mtls-Clientcert-Subject: CN=client',
  'X-Amzn-Mtls-Clientcert-Validity: NotBefore=2023-09-21T01:50:17Z;NotAfter=2040-09-20T01:50:17Z',
  `X-Amzn-Mtls-Clientcert-Leaf: ${encoded(client)}`,
]

test('a certificate that was verified is told to the target, with every request', async t => {
  const scene = await start(t, { mutualAuthentication: verify })
  const socket = open(t, scene, client)
  assert.deepEqual(aboutClients(await ask(socket, scene, 1)), told)
  assert.deepEqual(aboutClients(await ask(socket, scene, 2)), told)
})

test('the leaf in the header can be read again', async t => {
  const scene = await start(t, { mutualAuthentication: verify })
  const fields = await ask(open(t, scene, client), scene, 1)
  const pem = decodeURIComponent(fieldValue(fields, 'x-amzn-mtls-clientcert-leaf')!)
  assert.equal(new X509Certificate(pem).fingerprint256, new X509Certificate(client.certificate).fingerprint256)
})

test('what is passed through is the whole chain, in the order that it came in', async t => {
  const scene = await start(t, { mutualAuthentication: { mode: 'passthrough' } })
  const chain = [stranger, root, client].map(alone).join('')
  const fields = aboutClients(await ask(open(t, scene, stranger, { cert: chain }), scene, 1))
  assert.deepEqual(fields, [`X-Amzn-Mtls-Clientcert: ${[stranger, root, client].map(encoded).join('')}`])
})

test('a client without a certificate passes, and tells the target nothing', async t => {
  const scene = await start(t, { mutualAuthentication: { mode: 'passthrough' } })
  assert.deepEqual(aboutClients(await ask(open(t, scene, null), scene, 1)), [])
})

test('a chain as long as may be reaches the target', async t => {
  const scene = await start(t, { mutualAuthentication: { mode: 'passthrough' } })
  const large = makeCertificate({
    names: ['large'],
    keyType: 'p256',
    extensions: [extension('1.2.3.4', octetString(Buffer.alloc(64_000, 0xfb)))],
  })
  const [field] = aboutClients(await ask(open(t, scene, large), scene, 1))
  assert.equal(field, `X-Amzn-Mtls-Clientcert: ${encoded(large)}`)
})

/** What a client would like the target to believe, under every name that it might look at. */
const forged = [
  'X-Amzn-Mtls-Clientcert: forged',
  'x-amzn-mtls-clientcert-leaf: forged',
  'X_Amzn_Mtls_Clientcert_Subject: CN=forged',
  'X-AMZN-MTLS-CLIENTCERT-ISSUER: CN=forged',
  'X-Amzn_Mtls-Clientcert-Serial_Number: 00',
  'X-Amzn-Mtls-Clientcert-Validity: forever',
]

test('what a client makes up about itself never reaches the target, whichever way it is spelt', async t => {
  const verifying = await start(t, { mutualAuthentication: verify })
  assert.deepEqual(aboutClients(await ask(open(t, verifying, client), verifying, 1, ...forged)), told)
  const passing = await start(t, { mutualAuthentication: { mode: 'passthrough' } })
  assert.deepEqual(aboutClients(await ask(open(t, passing, null), passing, 1, ...forged)), [])
})

test('a listener that asks for no certificates leaves such fields alone', async t => {
  const scene = await start(t, { mutualAuthentication: { mode: 'off' } })
  assert.deepEqual(aboutClients(await ask(open(t, scene, client), scene, 1, ...forged)), forged)
})

const renaming = {
  'routing.http.request.x_amzn_mtls_clientcert_serial_number.header_name': 'X-My-Serial',
  'routing.http.request.x_amzn_mtls_clientcert_issuer.header_name': 'X-My-Issuer',
  'routing.http.request.x_amzn_mtls_clientcert_subject.header_name': 'x_my_subject',
  'routing.http.request.x_amzn_mtls_clientcert_validity.header_name': 'X-My-Validity',
  'routing.http.request.x_amzn_mtls_clientcert_leaf.header_name': 'X-My-Leaf',
  'routing.http.request.x_amzn_mtls_clientcert.header_name': 'X-My-Chain',
  'routing.http.request.x_amzn_tls_version.header_name': 'X-My-Tls',
  'routing.http.request.x_amzn_tls_cipher_suite.header_name': 'X-My-Cipher',
}
const renamedForgeries = ['x-my-leaf: forged', 'X-My-Subject: forged', 'X-My-Tls: SSLv2', 'X-Amzn-Tls-Version: SSLv2']

test('headers are renamed, and what a client sends by either name is dropped', async t => {
  const attributes = { 'routing.http.x_amzn_tls_version_and_cipher_suite.enabled': 'true' }
  const scene = await start(t, { mutualAuthentication: verify, listenerAttributes: renaming, attributes })
  const socket = open(t, scene, client, { maxVersion: 'TLSv1.2' })
  const fields = await ask(socket, scene, 1, ...forged, ...renamedForgeries)
  assert.deepEqual(aboutClients(fields), [
    'X-My-Tls: TLSv1.2',
    `X-My-Cipher: ${socket.getCipher().name}`,
    ...['X-My-Serial', 'X-My-Issuer', 'x_my_subject', 'X-My-Validity', 'X-My-Leaf'].map(
      (name, at) => `${name}${told[at]!.slice(told[at]!.indexOf(':'))}`,
    ),
  ])
  assert.equal(fieldValue(fields, 'x-amzn-tls-version'), null)
  const passing = await start(t, { mutualAuthentication: { mode: 'passthrough' }, listenerAttributes: renaming })
  assert.deepEqual(aboutClients(await ask(open(t, passing, stranger), passing, 1)), [
    `X-My-Chain: ${encoded(stranger)}`,
  ])
})

test('new names hold for the next request of a connection that is open', async t => {
  const scene = await start(t, { mutualAuthentication: verify })
  const socket = open(t, scene, client)
  await ask(socket, scene, 1)
  await scene.plane.publish(scene.config({ listenerAttributes: renaming }))
  assert.match(aboutClients(await ask(socket, scene, 2))[0]!, /^X-My-Serial: 03A5B1$/)
})

test('clients and targets of HTTP/2 are told the same', async t => {
  const got: IncomingHttpHeaders[] = []
  const target = createH2Server()
  target.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    got.push(headers)
    stream.respond({ ':status': 200 })
    stream.end('ok')
  })
  await once(target.listen(0, '127.0.0.1'), 'listening')
  t.after(() => target.close())
  const { port } = target.address() as AddressInfo
  const group = { name: 'h2', protocol: 'HTTP', protocolVersion: 'HTTP2', port, targets: [{ id: '127.0.0.1' }] }
  const scene = await start(t, {
    mutualAuthentication: verify,
    groups: [group],
    defaultAction: { type: 'forward', targetGroup: 'h2' },
  })
  const session = connectH2('https://a.example', {
    createConnection: () => open(t, scene, client, { ALPNProtocols: ['h2'] }),
  })
  t.after(() => session.destroy())
  const [name, value] = 'x-amzn-mtls-clientcert-subject: forged'.split(': ') as [string, string]
  const stream = session.request({ ':path': '/', [name]: value, x_amzn_mtls_clientcert_leaf: 'forged' })
  await within(once(stream.resume(), 'close'), () => 'an answer')
  const fields = Object.entries(got[0]!).filter(([name]) => name.includes('mtls'))
  assert.deepEqual(
    fields.map(([name, value]) => `${name}: ${value}`),
    told.map(line => line.replace(/^[^:]*/, name => name.toLowerCase())),
  )
})

async function refusedLine(scene: Scene): Promise<string> {
  const failures = () => scene.plane.counters.loadBalancer(0, 'ClientTLSNegotiationErrorCount')
  await until(
    () => failures() === 1,
    () => 'a handshake that fails',
  )
  assert.deepEqual(await scene.plane.logLines(), [])
  assert.equal(scene.target.connectionCount, 0)
  const [line, ...others] = await scene.plane.connectionLines()
  assert.deepEqual(others, [])
  return line!
}

test('the connection log shows who came, in either mode', async t => {
  for (const mutualAuthentication of [verify, { mode: 'passthrough' }]) {
    const scene = await start(t, { mutualAuthentication })
    await ask(open(t, scene, client), scene, 1)
    const validity = 'NotBefore=2023-09-21T01:50:17Z;NotAfter=2040-09-20T01:50:17Z'
    const [line] = await scene.plane.connectionLines()
    assert.match(line!, new RegExp(` TLSv1\\.3 TLS_\\S+ 0\\.000 "CN=client" ${validity} 03A5B1 Success TID_`))
  }
})

test('a client that is refused is counted, and stands in the connection log alone, with the reason', async t => {
  const scene = await start(t, { mutualAuthentication: verify })
  open(t, scene, expired).write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  const pattern =
    / TLSv1\.3 TLS_\S+ - "CN=expired" NotBefore=\S+;NotAfter=2021-01-01T00:00:00Z [0-9A-F]+ Failed:ClientCertExpired TID_[0-9a-f]{32} \S+ app\/web\//
  assert.match(await refusedLine(scene), pattern)
})

test('so is one that is revoked, or has no certificate', async t => {
  const crl = makeRevocationList({ issuer: root, revoked: [revoked] })
  const stores = [{ ...trustStores[0], revocationLists: [{ revocationContent: crl }] }]
  for (const [certificate, reason] of [
    [revoked, /"CN=revoked" NotBefore=\S+ [0-9A-F]+ Failed:ClientCertCrlHit /],
    [null, / TLSv1\.3 TLS_\S+ - "-" - - Failed:UnmappedConnectionError /],
    [stranger, /"CN=stranger" NotBefore=\S+ [0-9A-F]+ Failed:ClientCertUntrusted /],
  ] as const) {
    const scene = await start(t, { mutualAuthentication: verify, trustStores: stores })
    open(t, scene, certificate)
    assert.match(await refusedLine(scene), reason)
  }
})

test('a revocation holds from its publication on, for new connections', async t => {
  const scene = await start(t, { mutualAuthentication: verify })
  const before = open(t, scene, revoked)
  await ask(before, scene, 1)
  const crl = makeRevocationList({ issuer: root, revoked: [revoked] })
  await scene.plane.publish(
    scene.config({ trustStores: [{ ...trustStores[0], revocationLists: [{ revocationContent: crl }] }] }),
  )
  const after = open(t, scene, revoked)
  const [error] = (await within(once(after, 'error'), () => 'an alert')) as [NodeJS.ErrnoException]
  assert.match(error.code ?? '', /CERTIFICATE_REVOKED/)
  await ask(before, scene, 2)
  await ask(open(t, scene, client), scene, 3)
})
