/** Every predefined policy, asked for everything that any of them has, by clients that insist on one thing. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { describe, it, type TestContext } from 'node:test'
import { type ConnectionOptions, getCiphers } from 'node:tls'
import { promisify } from 'node:util'
import { within } from '../../test/support/deadline.ts'
import { sslPolicies, tlsProtocols } from '../model/ssl-policies.ts'
import { sslPolicyLimits } from './accept-tls.ts'
import { bothKinds, type Ended, TlsServer } from './accept-tls-test-support.ts'

const servername = 'a.test'
/** What the policies have, and some that none has. */
const ciphers = [
  ...new Set(sslPolicies.flatMap(policy => policy.ciphers)),
  'TLS_AES_128_CCM_SHA256',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'DHE-RSA-AES128-GCM-SHA256',
].filter(name => getCiphers().includes(name.toLowerCase()))

async function outcome(server: TlsServer, t: TestContext, options: ConnectionOptions): Promise<Ended> {
  const client = server.startTls(t, { servername, ...options })
  const over = once(client, 'close')
  const ended = await server.ended()
  if (ended.how === 'secure') ended.connection.close()
  client.destroy()
  await within(over, () => 'the close')
  return ended
}

describe('a listener', () => {
  for (const policy of sslPolicies) {
    const tls = { sslPolicy: policy.name, certificates: bothKinds, mutualAuthentication: { mode: 'off' } as const }

    it(`with ${policy.name} speaks its protocols only`, async t => {
      const server = await TlsServer.start(t, tls)
      for (const protocol of tlsProtocols) {
        const options = { minVersion: protocol, maxVersion: protocol, ciphers: 'DEFAULT:@SECLEVEL=0' }
        const ended = await outcome(server, t, options)
        if (policy.protocols.includes(protocol)) {
          assert.equal(ended.how === 'secure' && ended.session.protocol, protocol)
        } else {
          assert.deepEqual(ended, { how: 'failed', session: null, failure: { reason: 'protocolVersion' } }, protocol)
        }
      }
    })

    it(`with ${policy.name} takes its ciphers only`, async t => {
      const server = await TlsServer.start(t, tls)
      for (const cipher of ciphers) {
        const protocol = cipher.startsWith('TLS_') ? 'TLSv1.3' : 'TLSv1.2'
        if (!policy.protocols.includes(protocol)) continue
        const ended = await outcome(server, t, { minVersion: protocol, maxVersion: protocol, ciphers: cipher })
        if (policy.ciphers.includes(cipher)) {
          assert.equal(ended.how === 'secure' && ended.session.cipher, cipher)
        } else {
          assert.deepEqual(ended, { how: 'failed', session: null, failure: { reason: 'noCommonCipher' } }, cipher)
        }
      }
    })

    it(`with ${policy.name} prefers in its own order`, async t => {
      const server = await TlsServer.start(t, tls)
      const offered = policy.ciphers.filter(name => ciphers.includes(name))
      for (const protocol of ['TLSv1.2', 'TLSv1.3'] as const) {
        if (!policy.protocols.includes(protocol)) continue
        const usable = offered.filter(name => name.startsWith('TLS_') === (protocol === 'TLSv1.3'))
        const options = { minVersion: protocol, maxVersion: protocol, ciphers: usable.toReversed().join(':') }
        const ended = await outcome(server, t, options)
        assert.equal(ended.how === 'secure' && ended.session.cipher, usable[0])
      }
    })
  }
})

/** The client says which group it was; what the server tells must be the same. */
async function groups(
  t: TestContext,
  sslPolicy: string,
  options: ConnectionOptions,
): Promise<{ told: string | null; used: string }> {
  const server = await TlsServer.start(t, { mutualAuthentication: { mode: 'off' }, sslPolicy, certificates: bothKinds })
  const client = await server.connectTls(t, { servername, ...options })
  const { name = '' } = client.getEphemeralKeyInfo() as { name?: string }
  const { session } = await server.secured()
  const iana: Readonly<Record<string, string>> = { X25519: 'x25519', prime256v1: 'secp256r1', 'P-256': 'secp256r1' }
  return { told: session.keyExchange, used: iana[name] ?? name }
}

describe('key exchange', () => {
  const pq = 'ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09'
  const plain = 'ELBSecurityPolicy-TLS13-1-2-Res-2021-06'
  const cases = [
    ['a PQ policy, a client that can', pq, {}, 'X25519MLKEM768'],
    ['a PQ policy, a client of TLS 1.2', pq, { maxVersion: 'TLSv1.2' }, 'x25519'],
    ['a PQ policy, a client of another hybrid group', pq, { ecdhCurve: 'SecP384r1MLKEM1024' }, 'SecP384r1MLKEM1024'],
    ['a PQ policy, a client that cannot', pq, { ecdhCurve: 'P-256:X25519' }, null],
    ['another policy', plain, { ecdhCurve: 'X25519MLKEM768:X25519' }, 'x25519'],
    ['a policy of TLS 1.2', 'ELBSecurityPolicy-2016-08', {}, 'secp256r1'],
    ['a policy for FIPS', 'ELBSecurityPolicy-TLS13-1-2-FIPS-2023-04', {}, 'secp256r1'],
    ['a strict policy of RFC 9151', 'ELBSecurityPolicy-TLS13-1-3-RFC9151-FIPS-2023-07', {}, 'secp384r1'],
  ] as const
  for (const [what, sslPolicy, options, expected] of cases) {
    it(`${what}: ${expected ?? 'as agreed'}`, async t => {
      const { told, used } = await groups(t, sslPolicy, options)
      assert.equal(told, used)
      if (expected !== null) assert.equal(told, expected)
    })
  }

  it('by RSA names no group', async t => {
    const server = await TlsServer.start(t, {
      mutualAuthentication: { mode: 'off' },
      sslPolicy: 'ELBSecurityPolicy-2016-08',
      certificates: bothKinds,
    })
    await server.connectTls(t, { ciphers: 'AES128-GCM-SHA256', maxVersion: 'TLSv1.2' })
    assert.equal((await server.secured()).session.keyExchange, null)
  })
})

it('other clients are served as well: curl and openssl', async t => {
  const server = await TlsServer.start(t, {
    mutualAuthentication: { mode: 'off' },
    sslPolicy: 'ELBSecurityPolicy-2016-08',
    certificates: bothKinds,
  })
  const run = promisify(execFile)
  const curl = run('curl', ['-sk', '--http0.9', '--tls-max', '1.2', `https://127.0.0.1:${server.port}/`])
  const first = await server.secured()
  await within(first.connection.receivedBytes(1), () => 'the request')
  first.connection.send(Buffer.from('hello curl'))
  first.connection.socket.end()
  assert.equal((await curl).stdout, 'hello curl')

  const options = [
    '-connect',
    `127.0.0.1:${server.port}`,
    '-servername',
    servername,
    '-tls1',
    '-cipher',
    'ALL:@SECLEVEL=0',
  ]
  const openssl = run('openssl', ['s_client', ...options]).catch(error => error as { stdout: string })
  const second = await server.secured()
  assert.deepEqual([second.session.protocol, second.session.serverName], ['TLSv1', servername])
  second.connection.close()
  assert.match((await openssl).stdout, /Protocol {2}: TLSv1\b/)
})

describe('the limits of a policy', () => {
  it('are none for what OpenSSL has', () => {
    assert.deepEqual(sslPolicyLimits('ELBSecurityPolicy-2016-08'), [])
    assert.deepEqual(sslPolicyLimits('ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09'), [])
  })

  it('name a cipher that OpenSSL no longer has', () => {
    assert.match(
      sslPolicyLimits('ELBSecurityPolicy-TLS-1-0-2015-04').join(),
      /^OpenSSL [\d.]+ does not have its cipher DES-CBC3-SHA$/,
    )
  })

  it('say that FIPS is more than ciphers', () => {
    assert.match(
      sslPolicyLimits('ELBSecurityPolicy-TLS13-1-2-FIPS-2023-04').join(),
      /not running as a validated FIPS module/,
    )
  })
})
