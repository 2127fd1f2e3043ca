/**
 * Every predefined security policy, as a scanner sees it that knows nothing of it: sslscan asks for each version of TLS,
 * each group and each cipher, also for those that TLS libraries no longer have.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
 */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, describe, it } from 'node:test'
import { connect } from 'node:tls'
import { promisify } from 'node:util'
import { findCommand } from '../../scripts/debian-packages.ts'
import { type SslPolicy, sslPolicies, type TlsProtocol } from '../../src/model/ssl-policies.ts'
import { sslPolicyLimits } from '../../src/net/accept-tls.ts'
import { policyOptions } from '../../src/net/tls/policy-options.ts'
import { makeCertificate } from '../support/certificates.ts'
import { deadlineMs, within } from '../support/deadline.ts'
import { needs } from '../support/needs.ts'
import { startPlane, type TestPlane } from '../support/plane.ts'

/** Which of the certificates a client gets that asks for the name: the default one, the second, the second and third. */
const names = { ecdsa: 'ecdsa.example', rsa: 'rsa.example', both: 'both.example' } as const
const certificates = [
  makeCertificate({ names: [names.ecdsa], keyType: 'p256' }),
  makeCertificate({ names: [names.rsa, names.both], keyType: 'rsa2048' }),
  makeCertificate({ names: [names.both], keyType: 'p256' }),
]
/** Not every sslscan knows them: they are asked for by Node. */
const hybridGroups = ['X25519MLKEM768', 'SecP256r1MLKEM768', 'SecP384r1MLKEM1024']

const config = JSON.stringify({
  quotas: { certificatesPerLoadBalancer: 2 * sslPolicies.length },
  loadBalancers: [
    {
      name: 'web',
      listeners: sslPolicies.map((policy, at) => ({
        protocol: 'HTTPS',
        port: 1 + at,
        sslPolicy: policy.name,
        certificates,
        defaultActions: [{ type: 'fixed-response', fixedResponse: { statusCode: 200 } }],
      })),
    },
  ],
})

let plane: TestPlane
before(async () => {
  plane = await startPlane({ config })
})
after(() => plane.close())

const scanning = { skip: needs('sslscan'), concurrency: 2 } as const

describe('sslscan finds exactly what is in', scanning, () => {
  for (const [at, policy] of sslPolicies.entries()) {
    it(policy.name, async () => {
      const port = portOf(at)
      const text = await sslscan(port, names.both)
      assert.deepEqual(protocolsIn(text), protocolsOf(policy))
      assert.deepEqual(ciphersIn(text), ciphersOf(policy))
      assert.deepEqual(groupsIn(text), groupsOf(policy))
      assert.match(text, /^Server supports TLS Fallback SCSV$/m)
      assert.doesNotMatch(text, /^Insecure session renegotiation/m)
      assert.equal(text.match(/^\S+ not vulnerable to heartbleed$/gm)?.length, policy.protocols.length)

      const ofRsa = await sslscan(port, names.rsa, ...ciphersOnly)
      assert.deepEqual(
        ciphersIn(ofRsa),
        ciphersOf(policy, name => !name.startsWith('ECDHE-ECDSA-')),
      )
      const ofEcdsa = await sslscan(port, names.ecdsa, ...ciphersOnly)
      assert.deepEqual(
        ciphersIn(ofEcdsa),
        ciphersOf(policy, name => /^(TLS_|ECDHE-ECDSA-)/.test(name)),
      )
    })
  }
})

describe('the hybrid post-quantum groups are there for the PQ policies alone:', () => {
  for (const [at, policy] of sslPolicies.entries()) {
    if (!policy.protocols.includes('TLSv1.3')) continue
    const has = policy.name.includes('-PQ-')
    it(`${has ? 'all' : 'none'} by ${policy.name}`, async () => {
      const expected = has ? hybridGroups.filter(name => !isBeyondUs(policy, name)) : []
      const agreed: string[] = []
      for (const name of hybridGroups) if (await agreesOn(name, portOf(at))) agreed.push(name)
      assert.deepEqual(agreed, expected)
    })
  }
})

function portOf(listener: number): number {
  return plane.plane.addresses[listener]!.port
}

const ciphersOnly = ['--tlsall', '--no-cipher-details', '--no-fallback', '--no-groups', '--no-heartbleed']

/** What it prints. Its XML would be easier to read, but leaves out what it found about the fallback. */
async function sslscan(port: number, serverName: string, ...options: readonly string[]): Promise<string> {
  const always = ['--no-colour', '--no-check-certificate', `--sni-name=${serverName}`]
  const args = [...always, ...options, `127.0.0.1:${port}`]
  return (await promisify(execFile)(findCommand('sslscan')!, args, { timeout: deadlineMs })).stdout
}

function protocolsIn(text: string): string[] {
  return [...text.matchAll(/^((?:SSL|TLS)v[\d.]+) +enabled$/gm)].map(([, protocol]) => protocol!)
}

/** In the order in which the server prefers them: whichever it takes is left out of the next offer. */
function ciphersIn(text: string): string[] {
  const lines = text.matchAll(/^(?:Preferred|Accepted) +(\S+) +\S+ bits +(\S+)/gm)
  return [...lines].map(([, protocol, cipher]) => `${protocol} ${cipher}`)
}

/** In no order of ours: each was offered alone. */
function groupsIn(text: string): string[] {
  const lines = [...text.matchAll(/^(TLS\S+) +\d+ bits +(\S+)/gm)].filter(
    ([, , group]) => !hybridGroups.includes(group!),
  )
  return lines.map(([, protocol, group]) => `${protocol} ${group}`).sort()
}

function protocolsOf(policy: SslPolicy): string[] {
  return policy.protocols.map(asScanned)
}

function ciphersOf(policy: SslPolicy, isUsable: (name: string) => boolean = () => true): string[] {
  const ours = policy.ciphers.filter(name => isUsable(name) && !isBeyondUs(policy, name))
  return policy.protocols
    .toReversed()
    .flatMap(protocol => ours.filter(name => isFor(protocol, name)).map(name => `${asScanned(protocol)} ${name}`))
}

/** SHA-2 and AEAD came with TLS 1.2 (RFC 5246, RFC 5288, RFC 5289), and TLS 1.3 has ciphers of its own. */
function isFor(protocol: TlsProtocol, cipher: string): boolean {
  if (protocol === 'TLSv1.3' || cipher.startsWith('TLS_')) return protocol === 'TLSv1.3' && cipher.startsWith('TLS_')
  return protocol === 'TLSv1.2' || cipher.endsWith('-SHA')
}

/** For versions before TLS 1.2, sslscan does not ask. */
function groupsOf(policy: SslPolicy): string[] {
  const groups = policyOptions(policy).groups.filter(({ name }) => !hybridGroups.includes(name))
  const protocols = policy.protocols.filter(protocol => protocol === 'TLSv1.2' || protocol === 'TLSv1.3')
  return protocols.flatMap(protocol => groups.map(({ name }) => `${protocol} ${name}`)).sort()
}

/** Whether the program says at start that it cannot do this part of the policy. */
function isBeyondUs({ name }: SslPolicy, part: string): boolean {
  return sslPolicyLimits(name).some(limit => limit.split(/[ ,]+/).includes(part))
}

function asScanned(protocol: TlsProtocol): string {
  return protocol === 'TLSv1' ? 'TLSv1.0' : protocol
}

async function agreesOn(group: string, port: number): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>()
  const client = connect({ port, ecdhCurve: group, rejectUnauthorized: false }, () => resolve(true))
  client.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE') resolve(false)
    else reject(error)
  })
  try {
    return await within(promise, () => `an answer to a client of ${group}`)
  } finally {
    client.destroy()
  }
}
