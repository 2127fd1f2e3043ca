/** A security policy in the terms of Node's TLS library, and what of it that library cannot do. */

import { getFips } from 'node:crypto'
import { createSecureContext, getCiphers, type SecureContextOptions } from 'node:tls'
import type { SslPolicy, SslPolicyKind } from '../../model/ssl-policies.ts'

export type PolicyOptions = {
  readonly context: Pick<SecureContextOptions, 'ciphers' | 'ecdhCurve' | 'minVersion' | 'maxVersion'>
  readonly groups: readonly Group[]
  /** Clauses, for the announcement at start. */
  readonly limits: readonly string[]
}

export type Group = {
  /** As IANA has it. */
  readonly name: string
  readonly number: number
}

const x25519 = { name: 'x25519', number: 29 }
const p256 = { name: 'secp256r1', number: 23 }
const p384 = { name: 'secp384r1', number: 24 }
const p521 = { name: 'secp521r1', number: 25 }
const hybrids = [
  { name: 'X25519MLKEM768', number: 0x11ec },
  { name: 'SecP256r1MLKEM768', number: 0x11eb },
  { name: 'SecP384r1MLKEM1024', number: 0x11ed },
]

/**
 * In order of preference. The hybrid groups of the PQ policies are documented; the classical ones are assumed, the
 * `tls` and `fs` ones after what s2n-tls has under the names of the older policies.
 *
 * @see https://github.com/aws/s2n-tls/blob/main/tls/s2n_security_policies.c
 */
const groupsByKind: Readonly<Record<SslPolicyKind, readonly Group[]>> = {
  tls: [p256, p384],
  fs: [p256, p384],
  tls13: [x25519, p256, p384],
  'tls13-pq': [...hybrids, x25519, p256, p384],
  fips: [p256, p384],
  'fips-pq': [...hybrids, p256, p384],
  'rfc9151-strict': [p384],
  'rfc9151-interop': [p384, p256],
}

/**
 * @param isMutual clients show certificates. Before TLS 1.3 their keys must be on one of the curves for key exchange,
 *   and those on P-521 are documented to work; so it is there, behind all others
 */
export function policyOptions(policy: SslPolicy, isMutual = false): PolicyOptions {
  const ofPolicy = groupsByKind[policy.kind]
  const wanted = isMutual && policy.kind !== 'rfc9151-strict' ? [...ofPolicy, p521] : ofPolicy
  const groups = wanted.filter(isGroupKnown)
  const known = new Set(getCiphers())
  const ciphers = policy.ciphers.filter(name => known.has(name.toLowerCase()))
  const lowest = policy.protocols[0]!
  // OpenSSL holds what TLS 1.0 and 1.1 sign with for too weak, unless told not to judge.
  const isOld = lowest === 'TLSv1' || lowest === 'TLSv1.1'
  return {
    context: {
      ciphers: (isOld ? [...ciphers, '@SECLEVEL=0'] : ciphers).join(':'),
      ecdhCurve: groups.map(group => group.name).join(':'),
      minVersion: lowest,
      maxVersion: policy.protocols.at(-1)!,
    },
    groups,
    limits: [
      ...missing('cipher', policy.ciphers, ciphers),
      ...missing(
        'key exchange group',
        wanted.map(group => group.name),
        groups.map(group => group.name),
      ),
      ...(isFips(policy.kind) && getFips() === 0
        ? ['its protocols and ciphers are enforced, by an OpenSSL that is not running as a validated FIPS module']
        : []),
    ],
  }
}

function missing(what: string, wanted: readonly string[], known: readonly string[]): string[] {
  const names = wanted.filter(name => !known.includes(name))
  if (names.length === 0) return []
  return [
    `OpenSSL ${process.versions.openssl} does not have its ${what}${names.length > 1 ? 's' : ''} ${names.join(', ')}`,
  ]
}

function isFips(kind: SslPolicyKind): boolean {
  return kind.startsWith('fips') || kind.startsWith('rfc9151')
}

const knownGroups = new Map<string, boolean>()

/** The library lists elliptic curves only, so it is asked by trying. */
function isGroupKnown(group: Group): boolean {
  let isKnown = knownGroups.get(group.name)
  if (isKnown === undefined) {
    try {
      createSecureContext({ ecdhCurve: group.name })
      isKnown = true
    } catch {
      isKnown = false
    }
    knownGroups.set(group.name, isKnown)
  }
  return isKnown
}
