/**
 * TLS towards targets: what a handshake offers, and what it is called when one fails. A target's certificate is never
 * looked at, whoever it names and however old it is.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html
 */

import { constants } from 'node:crypto'
import { type ConnectionOptions, createSecureContext } from 'node:tls'
import type { SslPolicy } from '../model/ssl-policies.ts'

/** What a TLS connection to a target is opened with. No server name is sent (assumed). */
export type TargetTls = Required<
  Pick<ConnectionOptions, 'secureContext' | 'rejectUnauthorized' | 'checkServerIdentity'>
>

/** To complete a TLS handshake with a target, once it is connected. */
export const tlsHandshakeTimeoutMs = 10_000

/** Key exchange groups (assumed; no page lists them). The hybrid ones, of policies with PQ, double the first flight. */
const groups = 'X25519:P-256:P-384'
const hybridGroups = 'X25519MLKEM768:SecP256r1MLKEM768:SecP384r1MLKEM1024'

const made = new Map<SslPolicy, TargetTls>()

/** The same object for the same policy, for as long as the process lives. */
export function targetTlsOptions(policy: SslPolicy): TargetTls {
  const known = made.get(policy)
  if (known !== undefined) return known
  const secureContext = createSecureContext({
    // OpenSSL refuses TLS 1.1 and older, and short keys, above security level 0.
    ciphers: [...policy.ciphers, '@SECLEVEL=0'].join(':'),
    minVersion: policy.protocols[0]!,
    maxVersion: policy.protocols.at(-1)!,
    ecdhCurve: policy.kind.endsWith('pq') ? `${hybridGroups}:${groups}` : groups,
    // Targets older than RFC 5746 are targets, too.
    secureOptions: constants.SSL_OP_LEGACY_SERVER_CONNECT,
    // Nobody is trusted because nobody is checked; without this, the system's roots would be loaded.
    ca: [],
  })
  const options = { secureContext, rejectUnauthorized: false, checkServerIdentity: () => undefined }
  made.set(policy, options)
  return options
}

/** What TLS with a target failed of, as `TargetUser` is told it. */
export type TlsFailure =
  /** Alert `handshake_failure` or `insufficient_security`: for want of a common cipher, mostly. */
  | 'TLS_HANDSHAKE_FAILURE'
  /** Alert `protocol_version`, or the target chose a version that was not offered. */
  | 'TLS_PROTOCOL_VERSION'
  /** Alert `no_application_protocol`, or no choice where `h2` was offered in ALPN. */
  | 'TLS_NO_HTTP2'
  /** Any other alert. */
  | 'TLS_ALERT'
  /** What came was no TLS at all. */
  | 'TLS_NOT_TLS'
  /** What came was TLS and broke its rules. */
  | 'TLS_MALFORMED'
  /** FIN or RST before the handshake was complete. */
  | 'TLS_CLOSED'
  /** The handshake took too long. */
  | 'TLS_TIMEOUT'

/** @param code why the socket broke before the handshake was complete; null for a FIN */
export function handshakeFailure(code: string | null): TlsFailure {
  if (code === 'ETIMEDOUT') return 'TLS_TIMEOUT'
  return tlsFailure(code) ?? 'TLS_CLOSED'
}

/** Reads OpenSSL's reasons in the form that Node gives them. @returns null where it was not TLS that broke */
export function tlsFailure(code: string | null): TlsFailure | null {
  if (code === null || !code.startsWith('ERR_SSL_')) return null
  if (code.endsWith('_ALERT_HANDSHAKE_FAILURE')) return 'TLS_HANDSHAKE_FAILURE'
  if (code.endsWith('_ALERT_INSUFFICIENT_SECURITY')) return 'TLS_HANDSHAKE_FAILURE'
  if (code.endsWith('_ALERT_PROTOCOL_VERSION') || code === 'ERR_SSL_UNSUPPORTED_PROTOCOL') return 'TLS_PROTOCOL_VERSION'
  if (code.endsWith('_ALERT_NO_APPLICATION_PROTOCOL')) return 'TLS_NO_HTTP2'
  // Alerts that came with extensions, such as unrecognized_name, have names without the word.
  if (code.includes('_ALERT_') || code.startsWith('ERR_SSL_TLSV1_')) return 'TLS_ALERT'
  return code === 'ERR_SSL_WRONG_VERSION_NUMBER' ? 'TLS_NOT_TLS' : 'TLS_MALFORMED'
}

const alertCode = /^ERR_SSL_(?:SSL\/TLS|SSLV3|TLSV1|TLSV13)_(?:ALERT_)?(.+)$/

/** The alert that the target sent, as RFC 8446 calls it, such as `handshake_failure`; null where it sent none. */
export function tlsAlert(code: string | null): string | null {
  return alertCode.exec(code ?? '')?.[1]?.toLowerCase() ?? null
}
