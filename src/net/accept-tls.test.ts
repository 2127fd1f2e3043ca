import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { connect, type TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { within } from '../../test/support/deadline.ts'
import type { Certificate } from '../model/resources.ts'
import { TlsListener, tlsHandshakeTimeoutMs } from './accept-tls.ts'
import { bothKinds, certificateFor, madeMs, TlsServer, ticketKeys } from './accept-tls-test-support.ts'
import { pattern, readBytes } from './net-test-support.ts'

const sslPolicy = 'ELBSecurityPolicy-TLS13-1-2-2021-06'
const versions = ['TLSv1.2', 'TLSv1.3'] as const
const [rsa, ecdsa] = bothKinds as [Certificate, Certificate]

function start(t: TestContext, ...certificates: readonly Certificate[]): Promise<TlsServer> {
  return TlsServer.start(t, {
    mutualAuthentication: { mode: 'off' },
    sslPolicy,
    certificates: certificates.length > 0 ? certificates : bothKinds,
  })
}

/** Resolves with what the socket received until it ended or broke. */
async function receivedUntilClose(socket: Socket): Promise<string> {
  const pieces: Buffer[] = []
  socket.on('data', piece => pieces.push(piece as Buffer))
  const over = new Promise(resolve => socket.once('end', resolve).once('close', resolve))
  await within(over, () => 'the end')
  return String(Buffer.concat(pieces))
}

describe('a handshake', () => {
  it('tells what was agreed on', async t => {
    const server = await start(t)
    await server.connectTls(t, { servername: 'A.test', ALPNProtocols: ['h2', 'http/1.1'] })
    const { session } = await server.secured()
    assert.deepEqual(session, {
      protocol: 'TLSv1.3',
      cipher: 'TLS_AES_128_GCM_SHA256',
      serverName: 'a.test',
      certificateArn: ecdsa.arn,
      alpnProtocol: 'http/1.1',
      keyExchange: 'x25519',
      handshakeMs: 0,
      clientCertificate: null,
    })
  })

  it('goes on without ALPN when the client knows only other protocols', async t => {
    const server = await start(t)
    const client = await server.connectTls(t, { ALPNProtocols: ['h3', 'acme-tls/1'] })
    assert.equal(client.alpnProtocol, false)
    assert.equal((await server.secured()).session.alpnProtocol, null)
  })

  it('takes as long as the clock says, from the first byte', async t => {
    const server = await start(t)
    const recorded = await recordClientHello(t)
    const socket = await server.connect(t)
    await server.accepted(1)
    server.net.clock.advance(3000)
    // A hello in two pieces, so that time can pass between them; the rest of that handshake cannot happen.
    socket.write(recorded.subarray(0, 20))
    await turn()
    server.net.clock.advance(tlsHandshakeTimeoutMs - 3001)
    assert.equal(server.endedCount, 0)
    server.net.clock.advance(1)
    assert.deepEqual(await server.failure(), { reason: 'timeout' })
    assert.equal(await receivedUntilClose(socket), '')
  })

  it('goes on when the first message comes byte by byte', async t => {
    const server = await start(t)
    const hello = await recordClientHello(t)
    const socket = await server.connect(t)
    for (const byte of hello) {
      socket.write(Buffer.of(byte))
      await new Promise(resolve => setImmediate(resolve))
    }
    // A server hello: the record type of handshakes, then the version.
    assert.deepEqual([...(await within(readBytes(socket, 3), () => 'an answer')).subarray(0, 3)], [22, 3, 3])
    assert.equal(server.endedCount, 0)
  })

  it('that is given up tells nobody', async t => {
    const server = await start(t)
    const socket = await server.connect(t)
    socket.write(Buffer.of(22, 3))
    await server.accepted(1)
    server.handshakes[0]!.close()
    assert.equal(await receivedUntilClose(socket), '')
    assert.deepEqual([server.endedCount, server.net.wheel.size], [0, 0])
  })

  it('leaves nothing behind', async t => {
    const server = await start(t)
    const client = await server.connectTls(t)
    const { connection } = await server.secured()
    assert.equal(server.net.wheel.size, 1, 'only the connection')
    client.end()
    await within(connection.saw('end'), () => 'the end')
    connection.socket.end()
    await within(connection.saw('closed'), () => 'the close')
    assert.equal(server.net.wheel.size, 0)
  })
})

describe('what becomes of a handshake that fails', () => {
  const failing = [
    [
      'no protocol in common',
      { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' },
      { reason: 'protocolVersion' },
    ],
    ['no cipher in common', { maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA' }, { reason: 'noCommonCipher' }],
    [
      'no cipher of TLS 1.3 in common',
      { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_CCM_SHA256' },
      { reason: 'noCommonCipher' },
    ],
    ['no group in common', { ecdhCurve: 'P-521' }, { reason: 'noCommonCipher' }],
  ] as const
  for (const [what, options, failure] of failing) {
    it(`${what}: ${failure.reason}`, async t => {
      const server = await start(t)
      const client = server.startTls(t, options)
      const [error] = (await within(once(client, 'error'), () => 'the alert')) as [NodeJS.ErrnoException]
      assert.match(error.code ?? '', /ALERT/)
      assert.deepEqual(await server.failure(), failure)
      assert.equal(server.net.wheel.size, 0)
    })
  }

  it('an untrusted certificate: the alert of curl', async t => {
    const server = await start(t)
    await promisify(execFile)('curl', ['-s', `https://127.0.0.1:${server.port}/`]).catch(() => {})
    assert.deepEqual(await server.failure(), { reason: 'clientAlert', alert: 'unknown ca' })
  })

  const broken = [
    ['garbage', Buffer.from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), 'ERR_SSL_WRONG_VERSION_NUMBER'],
    ['lower-case text', Buffer.from('hello, world\r\n'), 'ERR_SSL_WRONG_VERSION_NUMBER'],
    ['a record of another kind', Buffer.from([23, 3, 3, 0, 2, 1, 2]), 'ERR_SSL_UNEXPECTED_MESSAGE'],
    ['a hello that is none', Buffer.from([22, 3, 1, 0, 5, 1, 0, 0, 1, 0]), 'ERR_SSL_LENGTH_TOO_SHORT'],
  ] as const
  for (const [what, bytes, code] of broken) {
    it(`${what}: ${code}`, async t => {
      const server = await start(t)
      const socket = await server.connect(t)
      socket.write(bytes)
      assert.deepEqual(await server.failure(), { reason: 'other', code })
      await receivedUntilClose(socket)
    })
  }

  const leaving = [
    ['FIN before a word', 0, 'closed', (socket: Socket) => socket.end()],
    ['FIN in the middle of the hello', 50, 'closed', (socket: Socket) => socket.end()],
    ['FIN behind the hello', 10_000, 'closed', (socket: Socket) => socket.end()],
    ['RST before a word', 0, 'reset', (socket: Socket) => reset(socket)],
    ['RST in the middle of the hello', 50, 'reset', (socket: Socket) => reset(socket)],
    ['RST behind the hello', 10_000, 'reset', (socket: Socket) => reset(socket)],
  ] as const
  for (const [what, size, reason, leave] of leaving) {
    it(`${what}: ${reason}`, async t => {
      const server = await start(t)
      const hello = await recordClientHello(t)
      const socket = await server.connect(t)
      await server.accepted(1)
      if (size > 0) await new Promise<void>(resolve => socket.write(hello.subarray(0, size), () => resolve()))
      if (size > hello.length) await within(once(socket.resume(), 'data'), () => "the server's first message")
      else await turn()
      leave(socket)
      assert.deepEqual(await server.failure(), { reason })
      assert.equal(server.net.wheel.size, 0)
    })
  }

  it('a hello and FIN at once: closed', async t => {
    const server = await start(t)
    const hello = await recordClientHello(t)
    const socket = await server.connect(t)
    socket.end(hello)
    assert.deepEqual(await server.failure(), { reason: 'closed' })
  })
})

describe('plain HTTP on a TLS port', () => {
  it('can be read and answered in the clear', async t => {
    const server = await start(t)
    const socket = await server.connect(t)
    socket.write('G')
    await turn()
    socket.write('ET / HTTP/1.1\r\n')
    const ended = await server.ended()
    assert.equal(ended.how, 'plainHttp')
    const { connection } = ended
    socket.write('Host: a\r\n\r\n')
    await within(connection.receivedBytes(27), () => 'the request')
    assert.equal(String(connection.received), 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    connection.send(Buffer.from('sorry'))
    connection.socket.end()
    assert.equal(await receivedUntilClose(socket), 'sorry')
    socket.end()
    await within(connection.saw('closed'), () => 'the close')
    assert.equal(server.net.wheel.size, 0)
  })
})

for (const version of versions) {
  describe(`a connection secured by ${version}`, () => {
    const only = { minVersion: version, maxVersion: version }

    it('carries a megabyte both ways', async t => {
      const server = await start(t)
      const client = await server.connectTls(t, only)
      const { connection } = await server.secured()
      const sent = pattern(1_000_000)
      client.write(sent)
      await within(connection.receivedBytes(sent.length), () => 'a megabyte')
      assert(connection.received.equals(sent))
      connection.send(sent)
      assert((await within(readBytes(client, sent.length), () => 'a megabyte back')).equals(sent))
    })

    it('knows the addresses of both ends', async t => {
      const server = await start(t)
      const client = await server.connectTls(t, only)
      const { remoteAddress, remotePort, localPort } = (await server.secured()).connection.socket
      assert.deepEqual([remoteAddress, remotePort, localPort], ['127.0.0.1', client.localPort, server.port])
    })

    it('may send after the client has ended, and end after that', async t => {
      const server = await start(t)
      const client = await server.connectTls(t, { ...only, ...halfOpen })
      const { connection } = await server.secured()
      client.end('bye')
      await within(connection.saw('end'), () => 'the end')
      assert.deepEqual([String(connection.received), connection.isClosed], ['bye', false])
      connection.send(Buffer.from('late'))
      assert.equal(String(await within(readBytes(client, 4), () => 'late')), 'late')
      connection.socket.end()
      assert.equal(await receivedUntilClose(client), '')
      await within(connection.saw('closed'), () => 'the close')
      assert.equal(connection.errorCode, null)
    })

    it('may end first, and receive after that', async t => {
      const server = await start(t)
      const client = await server.connectTls(t, { ...only, ...halfOpen })
      const { connection } = await server.secured()
      const ended = once(client.resume(), 'end')
      connection.socket.end()
      await within(ended, () => 'close_notify')
      client.end('more')
      await within(connection.receivedBytes(4), () => 'more')
      await within(connection.saw('closed'), () => 'the close')
      assert.deepEqual([String(connection.received), connection.errorCode], ['more', null])
    })

    it('takes a FIN without close_notify for an end', async t => {
      const server = await start(t)
      const raw = await server.connect(t)
      const client = await server.connectTls(t, { ...only, socket: raw })
      const { connection } = await server.secured()
      client.write('x')
      await within(connection.receivedBytes(1), () => 'a byte')
      raw.end()
      await within(connection.saw('end'), () => 'the end')
      assert.deepEqual([connection.isClosed, connection.errorCode], [false, null])
    })

    it('tells of a reset', async t => {
      const server = await start(t)
      const raw = await server.connect(t)
      const client = await server.connectTls(t, { ...only, socket: raw })
      const { connection } = await server.secured()
      // A reset that meets the tickets on their way shows as an end: the write has taken the error with it.
      client.write('x')
      await within(connection.receivedBytes(1), () => 'a byte')
      reset(raw)
      await within(connection.saw('closed'), () => 'the close')
      assert.equal(connection.errorCode, 'ECONNRESET')
    })

    it('breaks on bytes that are no record', async t => {
      const server = await start(t)
      const raw = await server.connect(t)
      await server.connectTls(t, { ...only, socket: raw })
      const { connection } = await server.secured()
      raw.write('GET / HTTP/1.1\r\n\r\n')
      await within(connection.saw('closed'), () => 'the close')
      assert.match(connection.errorCode ?? '', /^ERR_SSL_/)
    })

    it('reads nothing while it is paused, and everything afterwards', async t => {
      const server = await start(t)
      const client = await server.connectTls(t, only)
      const { connection } = await server.secured()
      connection.whenBytes = () => connection.pause(1)
      // Three records in one piece: what the first brings pauses the others.
      client.cork()
      for (const piece of ['a', 'b', 'c']) client.write(piece.repeat(16_384))
      client.uncork()
      await within(connection.receivedBytes(1), () => 'the first')
      const before = connection.received.length
      await turn()
      assert.equal(connection.received.length, before)
      connection.whenBytes = () => {}
      connection.resume(1)
      await within(connection.receivedBytes(3 * 16_384), () => 'the rest')
    })

    it('keeps its certificate when another listener takes over', async t => {
      const server = await start(t, ecdsa)
      const first = await server.connectTls(t, only)
      const before = await server.secured()
      const renewed = certificateFor('renewed', { names: ['a.test'], keyType: 'p256', hash: 'sha384' })
      server.listener = new TlsListener(
        { mutualAuthentication: { mode: 'off' }, sslPolicy, certificates: [renewed] },
        ticketKeys,
        madeMs,
      )
      const second = await server.connectTls(t, only)
      const after = await server.secured()
      assert.deepEqual([before.session.certificateArn, after.session.certificateArn], [ecdsa.arn, renewed.arn])
      for (const [client, { connection }] of [
        [first, before],
        [second, after],
      ] as const) {
        client.write('still here')
        await within(connection.receivedBytes(10), () => 'what was sent')
      }
    })

    it('is resumed by any listener that is configured alike, and by no other', async t => {
      const server = await start(t)
      const session = await sessionOf(await server.connectTls(t, { ...only, servername: 'a.test' }))
      assert.equal((await server.secured()).session.certificateArn, ecdsa.arn)

      server.listener = new TlsListener(
        { mutualAuthentication: { mode: 'off' }, sslPolicy, certificates: bothKinds },
        ticketKeys,
        madeMs,
      )
      const resumed = await server.connectTls(t, { ...only, servername: 'a.test', session })
      assert.equal(resumed.isSessionReused(), true)
      const again = (await server.secured()).session
      assert.deepEqual([again.certificateArn, again.serverName], [null, 'a.test'])

      const others = [
        new TlsListener(
          { mutualAuthentication: { mode: 'off' }, sslPolicy, certificates: [ecdsa] },
          ticketKeys,
          madeMs,
        ),
        new TlsListener(
          {
            mutualAuthentication: { mode: 'off' },
            sslPolicy: 'ELBSecurityPolicy-TLS13-1-2-Res-2021-06',
            certificates: bothKinds,
          },
          ticketKeys,
          madeMs,
        ),
        new TlsListener(
          { mutualAuthentication: { mode: 'off' }, sslPolicy, certificates: bothKinds },
          new Uint8Array(48).fill(8),
          madeMs,
        ),
      ]
      for (const other of others) {
        server.listener = other
        const client = await server.connectTls(t, { ...only, servername: 'a.test', session })
        assert.equal(client.isSessionReused(), false)
        assert.equal((await server.secured()).session.certificateArn, ecdsa.arn)
      }
    })
  })
}

it('renegotiation is refused, and the connection goes on', async t => {
  const server = await start(t)
  const client = await server.connectTls(t, { maxVersion: 'TLSv1.2' })
  const { connection } = await server.secured()
  const refused = new Promise(resolve => client.once('error', resolve))
  client.renegotiate({}, () => {})
  const error = (await within(refused, () => 'no_renegotiation')) as NodeJS.ErrnoException
  assert.match(error.code ?? '', /NO_RENEGOTIATION/)
  assert.equal(connection.errorCode, null)
})

it('compression is not taken up by a client that offers it', async t => {
  const server = await start(t)
  const client = await server.connect(t)
  // A hello of TLS 1.2, in a record: ECDHE-RSA-AES128-GCM-SHA256; DEFLATE or none; P-256, and RSA with SHA-256.
  const offers = '0002c02f 020100 0012 000a 0004 00020017 000d 0006 000404010804'.replaceAll(' ', '')
  client.write(Buffer.from(`160301 0042 01 00003e 0303 ${'5a'.repeat(32)} 00 ${offers}`.replaceAll(' ', ''), 'hex'))
  const answer = await within(readBytes(client, 80), () => 'a hello of the server')
  const sessionIdAt = 5 + 4 + 2 + 32 // Behind the heads of record and message, the version and what is random.
  const cipherAt = sessionIdAt + 1 + answer[sessionIdAt]!
  assert.equal(answer.readUInt16BE(cipherAt), 0xc02f)
  assert.equal(answer[cipherAt + 2], 0)
})

it('a certificate that the library refuses is told when the listener is made', () => {
  const weak = certificateFor('weak', { names: ['a.test'], keyType: 'rsa1024' })
  assert.throws(
    () =>
      new TlsListener(
        { mutualAuthentication: { mode: 'off' }, sslPolicy, certificates: [rsa, weak] },
        ticketKeys,
        madeMs,
      ),
    /too small/,
  )
})

/** The first message of a client, taken from one that gets no answer. */
async function recordClientHello(t: TestContext): Promise<Buffer> {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const accepting = once(server, 'connection')
  const client = connect({ port: (server.address() as AddressInfo).port, servername: 'a.test' }).on('error', () => {})
  const [socket] = (await accepting) as [Socket]
  const [hello] = (await once(socket, 'data')) as [Buffer]
  t.after(() => {
    client.destroy()
    socket.destroy()
    server.close()
  })
  return hello
}

/** `resetAndDestroy` sends a FIN first, which may be all that the other side gets to see. */
function reset(socket: Socket): void {
  const { _handle: handle } = socket as unknown as { _handle: { reset(done: () => void): void } }
  handle.reset(() => {})
}

/** Time enough for what must not happen, or for bytes that are on their way over loopback. */
function turn(): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, 10))
}

/** A TLS client of Node's may be half open only if it is told so. */
const halfOpen = { allowHalfOpen: true } as const

async function sessionOf(client: TLSSocket): Promise<Buffer> {
  const known = client.getProtocol() === 'TLSv1.3' ? null : client.getSession()
  if (known) return known
  const [session] = (await within(once(client, 'session'), () => 'a ticket')) as [Buffer]
  return session
}
