/**
 * The predefined security policies of HTTPS listeners: which protocol versions and ciphers each allows, in the order
 * in which the load balancer prefers them.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
 */

import type { Listener } from './resources.ts'

export const tlsProtocols = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const
export type TlsProtocol = (typeof tlsProtocols)[number]

/** What decides on key exchange groups, and on the policy towards targets. `tls` and `fs` know no TLS 1.3. */
export type SslPolicyKind =
  | 'tls'
  | 'fs'
  | 'tls13'
  | 'tls13-pq'
  | 'fips'
  | 'fips-pq'
  | 'rfc9151-strict'
  | 'rfc9151-interop'

export type SslPolicy = {
  readonly name: string
  readonly kind: SslPolicyKind
  /** Ascending, without gaps. */
  readonly protocols: readonly TlsProtocol[]
  /** Names as OpenSSL has them; the first that the client offers as well is used. */
  readonly ciphers: readonly string[]
}

/** What a listener has that names none. */
export const defaultSslPolicy = 'ELBSecurityPolicy-2016-08'

const pair = (suffix: string): readonly string[] => [`ECDHE-ECDSA-${suffix}`, `ECDHE-RSA-${suffix}`]

const aes13 = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384']
const all13 = [...aes13, 'TLS_CHACHA20_POLY1305_SHA256']
const cnsa13 = ['TLS_AES_256_GCM_SHA384']
const interop13 = [...cnsa13, 'TLS_AES_128_GCM_SHA256']

const restricted = [...pair('AES128-GCM-SHA256'), ...pair('AES256-GCM-SHA384')]
const standard = [
  ...pair('AES128-GCM-SHA256'),
  ...pair('AES128-SHA256'),
  ...pair('AES256-GCM-SHA384'),
  ...pair('AES256-SHA384'),
]
const nearlyFull = [
  ...pair('AES128-GCM-SHA256'),
  ...pair('AES128-SHA256'),
  ...pair('AES128-SHA'),
  ...pair('AES256-GCM-SHA384'),
  ...pair('AES256-SHA384'),
]
/** `DescribeSSLPolicies` has RSA first in its last pair, for most policies. */
const full = [...nearlyFull, 'ECDHE-RSA-AES256-SHA', 'ECDHE-ECDSA-AES256-SHA']
/** For others it has ECDSA first, or only the user guide's table is known, which always does. */
const fullPaired = [...nearlyFull, ...pair('AES256-SHA')]

const rsaSha2 = ['AES128-GCM-SHA256', 'AES128-SHA256', 'AES256-GCM-SHA384', 'AES256-SHA256']
const rsaAll = ['AES128-GCM-SHA256', 'AES128-SHA256', 'AES128-SHA', 'AES256-GCM-SHA384', 'AES256-SHA256', 'AES256-SHA']

const interop1 = [...interop13, ...pair('AES256-GCM-SHA384'), ...pair('AES128-GCM-SHA256')]
const interop2 = [...interop1, ...pair('AES256-SHA384'), ...pair('AES128-SHA256')]
const interop3 = [
  ...interop13,
  ...pair('AES256-GCM-SHA384'),
  ...pair('AES256-SHA384'),
  ...pair('AES256-SHA'),
  ...pair('AES128-GCM-SHA256'),
  ...pair('AES128-SHA256'),
  ...pair('AES128-SHA'),
]
const interop4 = [
  ...interop3,
  'AES256-GCM-SHA384',
  'AES256-SHA256',
  'AES256-SHA',
  'AES128-GCM-SHA256',
  'AES128-SHA256',
  'AES128-SHA',
]

function policy(
  suffix: string,
  kind: SslPolicyKind,
  lowest: TlsProtocol,
  highest: TlsProtocol,
  ...ciphers: readonly (readonly string[])[]
): SslPolicy {
  const protocols = tlsProtocols.slice(tlsProtocols.indexOf(lowest), tlsProtocols.indexOf(highest) + 1)
  return { name: `ELBSecurityPolicy-${suffix}`, kind, protocols, ciphers: ciphers.flat() }
}

/** As `DescribeSSLPolicies` lists them, for `application` load balancers. */
export const sslPolicies: readonly SslPolicy[] = [
  policy('TLS13-1-3-2021-06', 'tls13', 'TLSv1.3', 'TLSv1.3', all13),
  policy('TLS13-1-3-PQ-2025-09', 'tls13-pq', 'TLSv1.3', 'TLSv1.3', all13),
  policy('TLS13-1-2-2021-06', 'tls13', 'TLSv1.2', 'TLSv1.3', all13, standard),
  policy('TLS13-1-2-PQ-2025-09', 'tls13-pq', 'TLSv1.2', 'TLSv1.3', all13, standard),
  policy('TLS13-1-2-Res-2021-06', 'tls13', 'TLSv1.2', 'TLSv1.3', all13, restricted),
  policy('TLS13-1-2-Res-PQ-2025-09', 'tls13-pq', 'TLSv1.2', 'TLSv1.3', all13, restricted),
  policy('TLS13-1-2-Ext2-2021-06', 'tls13', 'TLSv1.2', 'TLSv1.3', all13, fullPaired, rsaAll),
  policy('TLS13-1-2-Ext2-PQ-2025-09', 'tls13-pq', 'TLSv1.2', 'TLSv1.3', all13, fullPaired, rsaAll),
  policy('TLS13-1-2-Ext1-2021-06', 'tls13', 'TLSv1.2', 'TLSv1.3', all13, standard, rsaSha2),
  policy('TLS13-1-2-Ext1-PQ-2025-09', 'tls13-pq', 'TLSv1.2', 'TLSv1.3', all13, standard, rsaSha2),
  policy('TLS13-1-1-2021-06', 'tls13', 'TLSv1.1', 'TLSv1.3', all13, full, rsaAll),
  policy('TLS13-1-0-2021-06', 'tls13', 'TLSv1', 'TLSv1.3', all13, full, rsaAll),
  policy('TLS13-1-0-PQ-2025-09', 'tls13-pq', 'TLSv1', 'TLSv1.3', all13, fullPaired, rsaAll),
  policy('TLS-1-2-Ext-2018-06', 'tls', 'TLSv1.2', 'TLSv1.2', full, rsaAll),
  policy('TLS-1-2-2017-01', 'tls', 'TLSv1.2', 'TLSv1.2', standard, rsaSha2),
  policy('TLS-1-1-2017-01', 'tls', 'TLSv1.1', 'TLSv1.2', full, rsaAll),
  policy('2016-08', 'tls', 'TLSv1', 'TLSv1.2', full, rsaAll),
  // The next two are no longer in the user guide; the API still takes them.
  policy('2015-05', 'tls', 'TLSv1', 'TLSv1.2', full, rsaAll),
  policy('TLS-1-0-2015-04', 'tls', 'TLSv1', 'TLSv1.2', full, rsaAll, ['DES-CBC3-SHA']),
  policy('TLS13-1-3-FIPS-2023-04', 'fips', 'TLSv1.3', 'TLSv1.3', aes13),
  policy('TLS13-1-2-FIPS-2023-04', 'fips', 'TLSv1.2', 'TLSv1.3', aes13, standard),
  policy('TLS13-1-2-Res-FIPS-2023-04', 'fips', 'TLSv1.2', 'TLSv1.3', aes13, restricted),
  policy('TLS13-1-2-Ext2-FIPS-2023-04', 'fips', 'TLSv1.2', 'TLSv1.3', aes13, full, rsaAll),
  policy('TLS13-1-2-Ext1-FIPS-2023-04', 'fips', 'TLSv1.2', 'TLSv1.3', aes13, standard, rsaSha2),
  policy('TLS13-1-2-Ext0-FIPS-2023-04', 'fips', 'TLSv1.2', 'TLSv1.3', aes13, full),
  policy('TLS13-1-1-FIPS-2023-04', 'fips', 'TLSv1.1', 'TLSv1.3', aes13, full, rsaAll),
  policy('TLS13-1-0-FIPS-2023-04', 'fips', 'TLSv1', 'TLSv1.3', aes13, full, rsaAll),
  policy('TLS13-1-3-FIPS-PQ-2025-09', 'fips-pq', 'TLSv1.3', 'TLSv1.3', aes13),
  policy('TLS13-1-2-FIPS-PQ-2025-09', 'fips-pq', 'TLSv1.2', 'TLSv1.3', aes13, standard),
  policy('TLS13-1-2-Res-FIPS-PQ-2025-09', 'fips-pq', 'TLSv1.2', 'TLSv1.3', aes13, restricted),
  policy('TLS13-1-2-Ext2-FIPS-PQ-2025-09', 'fips-pq', 'TLSv1.2', 'TLSv1.3', aes13, full, rsaAll),
  policy('TLS13-1-2-Ext1-FIPS-PQ-2025-09', 'fips-pq', 'TLSv1.2', 'TLSv1.3', aes13, standard, rsaSha2),
  policy('TLS13-1-2-Ext0-FIPS-PQ-2025-09', 'fips-pq', 'TLSv1.2', 'TLSv1.3', aes13, full),
  policy('TLS13-1-0-FIPS-PQ-2025-09', 'fips-pq', 'TLSv1', 'TLSv1.3', aes13, full, rsaAll),
  policy('TLS13-1-3-RFC9151-FIPS-2023-07', 'rfc9151-strict', 'TLSv1.3', 'TLSv1.3', cnsa13),
  policy('TLS13-1-2-RFC9151-FIPS-2023-07', 'rfc9151-strict', 'TLSv1.2', 'TLSv1.3', cnsa13, pair('AES256-GCM-SHA384')),
  policy('TLS13-1-2-Ext0-RFC9151-FIPS-2023-07', 'rfc9151-strict', 'TLSv1.2', 'TLSv1.3', cnsa13, [
    ...pair('AES256-GCM-SHA384'),
    'AES256-GCM-SHA384',
  ]),
  policy('TLS13-1-2-RFC9151-INTEROP1-FIPS-2023-07', 'rfc9151-interop', 'TLSv1.2', 'TLSv1.3', interop1),
  policy('TLS13-1-2-RFC9151-INTEROP2-FIPS-2023-07', 'rfc9151-interop', 'TLSv1.2', 'TLSv1.3', interop2),
  policy('TLS13-1-2-RFC9151-INTEROP3-FIPS-2023-07', 'rfc9151-interop', 'TLSv1.2', 'TLSv1.3', interop3),
  policy('TLS13-1-2-RFC9151-INTEROP4-FIPS-2023-07', 'rfc9151-interop', 'TLSv1.2', 'TLSv1.3', interop4),
  policy('FS-1-2-Res-2020-10', 'fs', 'TLSv1.2', 'TLSv1.2', restricted),
  policy('FS-1-2-Res-2019-08', 'fs', 'TLSv1.2', 'TLSv1.2', standard),
  policy('FS-1-2-2019-08', 'fs', 'TLSv1.2', 'TLSv1.2', full),
  policy('FS-1-1-2019-08', 'fs', 'TLSv1.1', 'TLSv1.2', full),
  policy('FS-2018-06', 'fs', 'TLSv1', 'TLSv1.2', full),
]

const byName: ReadonlyMap<string, SslPolicy> = new Map(sslPolicies.map(each => [each.name, each]))

export function findSslPolicy(name: string): SslPolicy | null {
  return byName.get(name) ?? null
}

/** The first row of which any listener's policy is, decides. */
const backendRows: readonly { readonly kinds: readonly SslPolicyKind[]; readonly policy: string }[] = [
  { kinds: ['rfc9151-strict', 'rfc9151-interop'], policy: 'ELBSecurityPolicy-TLS13-1-2-RFC9151-INTEROP4-FIPS-2023-07' },
  { kinds: ['fips-pq'], policy: 'ELBSecurityPolicy-TLS13-1-0-FIPS-PQ-2025-09' },
  { kinds: ['fips'], policy: 'ELBSecurityPolicy-TLS13-1-0-FIPS-2023-04' },
  { kinds: ['tls13-pq'], policy: 'ELBSecurityPolicy-TLS13-1-0-PQ-2025-09' },
  { kinds: ['tls13'], policy: 'ELBSecurityPolicy-TLS13-1-0-2021-06' },
]

/**
 * The policy by which a load balancer talks to its HTTPS targets. It cannot be configured: it follows from those of
 * all its listeners.
 *
 * @param names of the policies of its HTTPS listeners; none when it has only HTTP ones
 */
export function backendPolicy(names: readonly string[]): SslPolicy {
  const kinds = new Set(names.map(name => byName.get(name)?.kind))
  const row = backendRows.find(each => each.kinds.some(kind => kinds.has(kind)))
  return byName.get(row?.policy ?? defaultSslPolicy)!
}

/** The same by those listeners. */
export function backendPolicyOf(listeners: readonly Listener[]): SslPolicy {
  return backendPolicy(listeners.flatMap(({ tls }) => (tls === null ? [] : [tls.sslPolicy])))
}
