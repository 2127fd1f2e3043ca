import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect as connectPlain, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import {
  alone,
  type CertificateRequest,
  type MadeCertificate,
  makeCertificate,
  makeRevocationList,
  serverAuth,
} from '../../test/support/certificates.ts'
import { within } from '../../test/support/deadline.ts'
import { distinguishedName, extension, octetString, utf8String } from '../../test/support/der.ts'
import { needs } from '../../test/support/needs.ts'
import { trustStoreArn } from '../model/arns.ts'
import { lingerMs } from '../model/limits.ts'
import type { Certificate, MutualAuthentication } from '../model/resources.ts'
import { type TlsFailure, TlsListener } from './accept-tls.ts'
import { certificateFor, type Ended, madeMs, TlsServer, ticketKeys } from './accept-tls-test-support.ts'

const versions = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const
const ciphers13 = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256']
const certificates: readonly Certificate[] = [certificateFor('server', { names: ['a.test'], keyType: 'p256' })]

const root = makeCertificate({ names: ['root'], keyType: 'p256', isAuthority: true })
const middle = makeCertificate({ names: ['middle'], keyType: 'p256', isAuthority: true, issuer: root })
const stranger = makeCertificate({ names: ['stranger'], keyType: 'p256', isAuthority: true })

function client(changes: Partial<CertificateRequest> = {}): MadeCertificate {
  return makeCertificate({ names: ['client'], keyType: 'p256', issuer: root, ...changes })
}

const good = client()
const expired = client({ notAfter: new Date('2021-01-01') })
const revoked = client({ names: ['revoked'] })
const anybody = client({ issuer: null })

type Verify = Extract<MutualAuthentication, { mode: 'verify' }>

function verifying(changes: Partial<Verify> = {}, authorities = [root], lists: readonly string[] = []): Verify {
  return {
    mode: 'verify',
    trustStore: {
      arn: trustStoreArn('clients', '0123456789abcdef'),
      name: 'clients',
      caCertificates: authorities.map(alone),
      revocationLists: lists.map(list => list.trim()),
    },
    ignoreClientCertificateExpiry: false,
    advertiseTrustStoreCaNames: false,
    ...changes,
  }
}

/** All versions of TLS, unless the policy says otherwise. */
function tlsWith(mutualAuthentication: MutualAuthentication, sslPolicy = 'ELBSecurityPolicy-TLS13-1-0-2021-06') {
  return { sslPolicy, certificates, mutualAuthentication }
}

function start(t: TestContext, mutualAuthentication: MutualAuthentication, sslPolicy?: string): Promise<TlsServer> {
  return TlsServer.start(t, tlsWith(mutualAuthentication, sslPolicy))
}

/** What `node:tls` takes as a client's certificate. */
function shown({ certificate, privateKey }: MadeCertificate): ConnectionOptions {
  return { cert: certificate, key: privateKey }
}

function only(version: (typeof versions)[number]): ConnectionOptions {
  return { minVersion: version, maxVersion: version, ciphers: `${ciphers13.join(':')}:ALL:@SECLEVEL=0` }
}

type Refused = Extract<Ended, { how: 'failed' }>

async function refused(server: TlsServer): Promise<Refused> {
  const ended = await server.ended()
  assert.equal(ended.how, 'failed')
  return ended
}

/** The alert that a client gets, and what it got before. */
async function fate(socket: TLSSocket): Promise<{ alert: string; received: string }> {
  let received = ''
  socket.on('data', bytes => {
    received += String(bytes)
  })
  const [error] = (await within(once(socket, 'error'), () => 'an alert')) as [NodeJS.ErrnoException]
  return { alert: /ALERT_(.*)$/.exec(error.code ?? '')?.[1] ?? `${error.code}`, received }
}

/** Stands between a client and the server. @returns its port */
async function startRelay(
  t: TestContext,
  server: TlsServer,
  options: {
    readonly onClientBytes?: (bytes: Buffer) => void
    readonly onServerBytes?: (bytes: Buffer) => void
    readonly leavesToo?: boolean
  },
): Promise<number> {
  const { onClientBytes = () => {}, onServerBytes = () => {}, leavesToo = true } = options
  const relay = createServer(accepted => {
    const onward = connectPlain({ port: server.port, host: '127.0.0.1', allowHalfOpen: true })
    t.after(() => onward.destroy())
    onward.on('error', () => {}).pipe(accepted.on('error', () => {}))
    onward.on('data', bytes => onServerBytes(bytes as Buffer))
    if (leavesToo) accepted.on('close', () => onward.destroy())
    accepted.on('data', bytes => {
      onClientBytes(bytes as Buffer)
      onward.write(bytes)
    })
  })
  await once(relay.listen(0, '127.0.0.1'), 'listening')
  t.after(() => relay.close())
  return (relay.address() as AddressInfo).port
}

describe('in passthrough mode', () => {
  for (const version of versions) {
    test(`what a client sends is told as it came, with ${version}`, async t => {
      const server = await start(t, { mode: 'passthrough' })
      const chain = [anybody, stranger, root].map(alone).join('')
      await server.connectTls(t, { ...only(version), cert: chain, key: anybody.privateKey })
      const { session } = await server.secured()
      const { details, leaf, chain: told } = session.clientCertificate!
      assert.equal(leaf, alone(anybody))
      assert.equal(told, chain)
      assert.deepEqual(details, {
        subject: 'CN=client',
        issuer: 'CN=client',
        serialNumber: new X509Certificate(anybody.certificate).serialNumber,
        validity: 'NotBefore=2020-01-01T00:00:00Z;NotAfter=2049-01-01T00:00:00Z',
      })
    })
  }

  test('a client without a certificate goes on', async t => {
    const server = await start(t, { mode: 'passthrough' })
    await server.connectTls(t)
    assert.equal((await server.secured()).session.clientCertificate, null)
  })

  test('nothing is verified', async t => {
    const server = await start(t, { mode: 'passthrough' })
    for (const certificate of [expired, client({ issuer: stranger }), client({ extendedKeyUsage: [serverAuth] })]) {
      await server.connectTls(t, shown(certificate))
      assert.equal((await server.secured()).session.clientCertificate!.leaf, alone(certificate))
    }
  })

  test('a certificate whose names cannot be read is passed on without them', async t => {
    const server = await start(t, { mode: 'passthrough' })
    const twice = [extension('1.2.3.4', octetString()), extension('1.2.3.4', octetString())]
    const odd = client({ extensions: twice })
    await server.connectTls(t, shown(odd))
    const { clientCertificate } = (await server.secured()).session
    assert.deepEqual([clientCertificate!.details, clientCertificate!.leaf], [null, alone(odd)])
  })

  test('a chain of more than 64 KB is refused', async t => {
    const server = await start(t, { mode: 'passthrough' })
    const socket = server.startTls(
      t,
      shown(client({ extensions: [extension('1.2.3.4', octetString(Buffer.alloc(65_536)))] })),
    )
    assert.equal((await fate(socket)).alert, 'BAD_CERTIFICATE')
    assert.deepEqual((await refused(server)).failure, {
      reason: 'clientCertificate',
      fault: 'ClientCertMaxSizeExceeded',
    })
  })
})

describe('in verify mode', () => {
  for (const version of versions) {
    test(`a good certificate is told, with ${version}`, async t => {
      const server = await start(t, verifying({}, [root]))
      const leaf = client({
        issuer: middle,
        subject: distinguishedName(['2.5.4.6', utf8String('US')], ['2.5.4.3', utf8String('Jürgen')]),
        serialNumber: Buffer.of(3, 0xa5, 0xb1),
        notBefore: new Date('2023-09-21T01:50:17Z'),
        notAfter: new Date('2040-09-20T01:50:17Z'),
      })
      await server.connectTls(t, { ...only(version), ...shown(leaf) })
      const { session, connection } = await server.secured()
      assert.deepEqual(session.clientCertificate!.details, {
        subject: 'CN=J\\C3\\BCrgen,C=US',
        issuer: 'CN=middle',
        serialNumber: '03A5B1',
        validity: 'NotBefore=2023-09-21T01:50:17Z;NotAfter=2040-09-20T01:50:17Z',
      })
      assert.equal(session.protocol, version)
      assert.equal(connection.isClosed, false)
    })
  }

  for (const keyType of ['rsa2048', 'rsa4096', 'rsaPss2048', 'p384', 'p521'] as const) {
    test(`a key of the kind ${keyType} will do`, async t => {
      const server = await start(t, verifying())
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
        await server.connectTls(t, { ...only(version), ...shown(client({ keyType })) })
        await server.secured()
      }
    })
  }

  const lists = [makeRevocationList({ issuer: root, revoked: [revoked] })]
  const bad = [
    ['ClientCertExpired', 'CERTIFICATE_EXPIRED', expired, verifying()],
    ['ClientCertNotYetValid', 'CERTIFICATE_EXPIRED', client({ notBefore: new Date('2045-01-01') }), verifying()],
    ['ClientCertUntrusted', 'CERTIFICATE_UNKNOWN', client({ issuer: stranger }), verifying()],
    ['ClientCertUntrusted', 'CERTIFICATE_UNKNOWN', anybody, verifying()],
    ['ClientCertCrlHit', 'CERTIFICATE_REVOKED', revoked, verifying({}, [root], lists)],
    ['ClientCertCrlProcessingError', 'CERTIFICATE_UNKNOWN', client({ issuer: middle }), verifying({}, [root], lists)],
    ['ClientCertPurposeInvalid', 'CERTIFICATE_UNKNOWN', client({ extendedKeyUsage: [serverAuth] }), verifying()],
    ['ClientCertTypeUnsupported', 'UNSUPPORTED_CERTIFICATE', client({ keyType: 'rsa1024' }), verifying()],
    [
      'ClientCertInvalid',
      'BAD_CERTIFICATE',
      client({ extensions: [extension('1.2.3', octetString(), true)] }),
      verifying(),
    ],
  ] as const
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    for (const [fault, alert, certificate, mode] of bad) {
      test(`${fault}: the client gets ${alert} with ${version}`, async t => {
        const server = await start(t, mode)
        const socket = server.startTls(t, { ...only(version), ...shown(certificate) })
        assert.equal((await fate(socket)).alert, alert)
        const { failure, session } = await refused(server)
        assert.deepEqual(failure, { reason: 'clientCertificate', fault })
        assert.equal(session!.protocol, version)
        assert.equal(session!.clientCertificate!.leaf, alone(certificate))
        socket.destroy()
        await within(server.allClosed(), () => 'the connection to close')
      })
    }
  }

  for (const version of ['TLSv1', 'TLSv1.1'] as const) {
    test(`the alert can be read with ${version}`, async t => {
      const server = await start(t, verifying())
      const socket = server.startTls(t, { ...only(version), ...shown(expired) })
      assert.equal((await fate(socket)).alert, 'CERTIFICATE_EXPIRED')
    })
  }
  for (const cipher of ciphers13) {
    test(`the alert can be read with ${cipher}`, async t => {
      const server = await start(t, verifying())
      const socket = server.startTls(t, { ciphers: cipher, ...shown(expired) })
      assert.equal((await fate(socket)).alert, 'CERTIFICATE_EXPIRED')
      assert.equal((await refused(server)).session!.cipher, cipher)
    })
  }

  for (const [version, alert] of [
    ['TLSv1.2', 'HANDSHAKE_FAILURE'],
    ['TLSv1.3', 'CERTIFICATE_REQUIRED'],
  ] as const) {
    test(`a client without a certificate gets ${alert} with ${version}`, async t => {
      const server = await start(t, verifying())
      const socket = server.startTls(t, only(version))
      assert.equal((await fate(socket)).alert, alert)
      const { failure, session } = await refused(server)
      assert.deepEqual(failure, { reason: 'clientCertificate', fault: 'UnmappedConnectionError' })
      assert.equal(session!.clientCertificate, null)
    })
  }

  test('what a client says at once is not listened to, and the alert is not lost to it', async t => {
    const server = await start(t, verifying())
    const socket = server.startTls(t, { ...only('TLSv1.3'), ...shown(expired) })
    socket.on('secureConnect', () => socket.write('x'.repeat(2 ** 20)))
    assert.deepEqual(await fate(socket), { alert: 'CERTIFICATE_EXPIRED', received: '' })
    await refused(server)
    socket.destroy()
    await within(server.allClosed(), () => 'the connection to close')
  })

  for (const [version, alert] of [
    ['TLSv1.2', /1503030002022d$/],
    // Its content, its kind and its tag, all encrypted.
    ['TLSv1.3', /1703030013[0-9a-f]{38}$/],
  ] as const) {
    test(`nothing follows the alert, with ${version}`, async t => {
      const server = await start(t, verifying())
      let sent = ''
      const port = await startRelay(t, server, {
        onServerBytes: bytes => {
          sent += bytes.toString('hex')
        },
      })
      const socket = server.startTls(t, { ...only(version), ...shown(expired), port })
      await fate(socket)
      socket.destroy()
      await within(server.allClosed(), () => 'the connection to close')
      assert.match(sent, alert)
    })
  }

  for (const [when, end] of [
    ['in the end', server => server.net.clock.advance(lingerMs)],
    ['when everybody is', server => server.handshakes[0]!.close()],
  ] as const satisfies (readonly [string, (server: TlsServer) => void])[]) {
    test(`a client that stays all the same is closed ${when}`, async t => {
      const server = await start(t, verifying())
      // What the relay holds on to when its client has left.
      const port = await startRelay(t, server, { leavesToo: false })
      const socket = server.startTls(t, { ...shown(expired), port })
      await fate(socket)
      await refused(server)
      assert.equal(server.net.wheel.size, 1)
      end(server)
      await within(server.allClosed(), () => 'the connection to close')
      assert.equal(server.endedCount, 0)
    })
  }

  test('expiry can be ignored', async t => {
    const server = await start(t, verifying({ ignoreClientCertificateExpiry: true }))
    await server.connectTls(t, shown(expired))
    assert.equal((await server.secured()).session.clientCertificate!.leaf, alone(expired))
  })

  for (const [version, alert] of [
    ['TLSv1.2', 'ILLEGAL_PARAMETER'],
    ['TLSv1.3', 'UNSUPPORTED_CERTIFICATE'],
  ] as const) {
    test(`a strict policy wants certificates of its kind, with ${version}`, async t => {
      const server = await start(t, verifying(), 'ELBSecurityPolicy-TLS13-1-2-RFC9151-FIPS-2023-07')
      const socket = server.startTls(t, { maxVersion: version, ...shown(good) })
      assert.equal((await fate(socket)).alert, alert)
      assert.deepEqual((await refused(server)).failure, {
        reason: 'clientCertificate',
        fault: 'ClientCertIncompatible',
      })
    })
  }

  for (const [size, alert] of [
    [65_536, 'BAD_CERTIFICATE'],
    [120_000, 'ILLEGAL_PARAMETER'],
  ] as const) {
    test(`a certificate of ${size} bytes is too large`, async t => {
      const server = await start(t, verifying())
      const large = client({ extensions: [extension('1.2.3.4', octetString(Buffer.alloc(size)))] })
      const socket = server.startTls(t, shown(large))
      assert.equal((await fate(socket)).alert, alert)
      assert.deepEqual((await refused(server)).failure, {
        reason: 'clientCertificate',
        fault: 'ClientCertMaxSizeExceeded',
      })
    })
  }

  describe('a certificate that is damaged on the way', () => {
    const der = new X509Certificate(good.certificate).raw
    const key = new X509Certificate(good.certificate).publicKey.export({ format: 'der', type: 'spki' })

    /** @returns what becomes of one whose byte at this place has other bits */
    async function damagedAt(t: TestContext, server: TlsServer, at: number): Promise<TlsFailure> {
      const port = await startRelay(t, server, {
        onClientBytes: bytes => {
          const from = bytes.indexOf(der.subarray(0, 4))
          if (from >= 0) bytes[from + at]! ^= 0x41
        },
      })
      const socket = server.startTls(t, { ...only('TLSv1.2'), ...shown(good), port })
      const { failure } = await refused(server)
      socket.destroy()
      return failure
    }

    for (const [what, at] of [
      ['in its structure', 4],
      ['in its key', der.indexOf(key) + key.length - 1],
    ] as const) {
      test(`${what} is invalid`, async t => {
        const failure = await damagedAt(t, await start(t, verifying()), at)
        assert.deepEqual(failure, { reason: 'clientCertificate', fault: 'ClientCertInvalid' })
      })
    }

    test('is refused, wherever the damage is', async t => {
      const server = await start(t, verifying())
      const reasons = new Set<string>()
      for (let at = 0; at < der.length; at += 5) reasons.add((await damagedAt(t, server, at)).reason)
      // The rest are signatures that do not fit any more what was said.
      assert.deepEqual([...reasons].sort(), ['clientCertificate', 'other'])
      assert.equal(server.net.wheel.size, 0)
    })
  })
})

describe('sessions', () => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    for (const mode of [verifying(), { mode: 'passthrough' } as const]) {
      test(`are not resumed in ${mode.mode} mode with ${version}`, async t => {
        const server = await start(t, mode)
        const options = { ...only(version), ...shown(good) }
        const session = await sessionOf(t, server, options)
        const again = await server.connectTls(t, { ...options, session })
        await server.secured()
        assert.equal(again.isSessionReused(), false)
      })
    }

    test(`that began without a certificate are not good where one is wanted, with ${version}`, async t => {
      const server = await start(t, { mode: 'off' })
      const session = await sessionOf(t, server, only(version))
      const resumed = await server.connectTls(t, { ...only(version), session })
      assert.equal(resumed.isSessionReused(), true)
      await server.secured()
      server.listener = new TlsListener(tlsWith(verifying()), ticketKeys, madeMs)
      server.startTls(t, { ...only(version), session })
      assert.deepEqual((await refused(server)).failure, {
        reason: 'clientCertificate',
        fault: 'UnmappedConnectionError',
      })
    })
  }
})

async function sessionOf(t: TestContext, server: TlsServer, options: ConnectionOptions): Promise<Buffer> {
  const socket = server.startTls(t, options)
  const [session] = (await within(once(socket, 'session'), () => 'a session')) as [Buffer]
  await server.secured()
  return session
}

test('a new trust store holds for new connections, and those that are open go on', async t => {
  const server = await start(t, verifying())
  const before = await server.connectTls(t, shown(good))
  const { connection } = await server.secured()
  server.listener = new TlsListener(tlsWith(verifying({}, [stranger])), ticketKeys, madeMs)
  server.startTls(t, shown(good))
  assert.deepEqual((await refused(server)).failure, { reason: 'clientCertificate', fault: 'ClientCertUntrusted' })
  await server.connectTls(t, shown(client({ issuer: stranger })))
  await server.secured()
  before.write('still there')
  await within(connection.receivedBytes('still there'.length), () => 'what the first client says')
})

describe('openssl as a client', { skip: needs('openssl') }, () => {
  for (const [version, option] of [
    ['TLSv1.2', '-tls1_2'],
    ['TLSv1.3', '-tls1_3'],
  ] as const) {
    test(`is told the names of the authorities only where they are advertised, with ${version}`, async t => {
      const server = await start(t, verifying({ advertiseTrustStoreCaNames: true }, [root, middle]))
      const told = await sClient(t, server, good, option)
      assert.match(told, /Acceptable client certificate CA names\nCN = root\nCN = middle\n/)
      server.listener = new TlsListener(tlsWith(verifying({}, [root, middle])), ticketKeys, madeMs)
      assert.match(await sClient(t, server, good, option), /No client certificate CA names sent/)
      server.listener = new TlsListener(tlsWith({ mode: 'passthrough' }), ticketKeys, madeMs)
      assert.match(await sClient(t, server, good, option), /No client certificate CA names sent/)
    })

    test(`says which alert it got, with ${version}`, async t => {
      const server = await start(t, verifying())
      assert.match(await sClient(t, server, expired, option), /alert certificate expired/)
      assert.match(await sClient(t, server, client({ issuer: stranger }), option), /alert certificate unknown/)
    })
  }
})

/** Everything that s_client says. */
async function sClient(
  t: TestContext,
  server: TlsServer,
  certificate: MadeCertificate,
  version: string,
): Promise<string> {
  const files = await filesOf(t, certificate)
  const options = ['s_client', '-connect', `127.0.0.1:${server.port}`, version, '-cert', files.cert, '-key', files.key]
  const child = spawn('openssl', options, { stdio: ['pipe', 'pipe', 'pipe'] })
  t.after(() => child.kill())
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', text => (output += text))
  const ended = await server.ended()
  // In TLS 1.3 it has to be made to read, and leaves when there is no more to say.
  child.stdin.end('Q\n')
  if (ended.how === 'secure') ended.connection.whenBytes = () => ended.connection.close()
  await within(once(child, 'close'), () => `the end of openssl, which said ${output}`)
  return output
}

async function filesOf(t: TestContext, { certificate, privateKey }: MadeCertificate) {
  const folder = await mkdtemp(join(tmpdir(), 'openalb-client-'))
  t.after(() => rm(folder, { recursive: true }))
  const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
  await writeFile(files.cert, certificate)
  await writeFile(files.key, privateKey)
  return files
}

for (const version of ['1.2', '1.3']) {
  test(`curl with a certificate that is refused fails in the handshake, with TLS ${version}`, async t => {
    const server = await start(t, verifying())
    const { cert, key } = await filesOf(t, client({ issuer: stranger }))
    const options = ['-sSk', '--tlsv1.2', '--tls-max', version, '--cert', cert, '--key', key]
    const run = promisify(execFile)('curl', [...options, `https://127.0.0.1:${server.port}/`])
    const { code, stderr } = await run.then(
      () => assert.fail('curl got an answer'),
      (error: { code: number; stderr: string }) => error,
    )
    // In TLS 1.3 it has sent its request by then.
    assert.equal(code, version === '1.2' ? 35 : 56)
    assert.match(stderr, /alert certificate unknown/)
  })
}
