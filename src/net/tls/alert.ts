/**
 * Alerts that refuse a client's certificate. Node's TLS library accepts any certificate and leaves the judgement to its
 * user, when it has no way left to send one; so they are written here.
 *
 * Before TLS 1.3 the server has not changed to encryption when the client's certificate comes, and an alert goes in the
 * clear. In TLS 1.3 it is the first record under the server's traffic keys.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8446#section-6
 */

import { createCipheriv, createHmac } from 'node:crypto'
import { assert } from '../../base/assert.ts'
import type { TlsProtocol } from '../../model/ssl-policies.ts'
import type { CertificateFault } from './failure.ts'

export type AlertContext = {
  readonly protocol: TlsProtocol
  /** As OpenSSL calls it. */
  readonly cipher: string
  /** SERVER_TRAFFIC_SECRET_0; null before TLS 1.3. */
  readonly trafficSecret: Buffer | null
}

/** What a handshake encrypts with once it is over, of the lines that Node tells about its keys; null: of another key. */
export function trafficSecretIn(keylogLine: Buffer): Buffer | null {
  const [label, , secret = ''] = keylogLine.toString('latin1').trim().split(' ')
  return label === 'SERVER_TRAFFIC_SECRET_0' ? Buffer.from(secret, 'hex') : null
}

/** As s2n-tls has them (assumed). @see https://github.com/aws/s2n-tls/blob/main/tls/s2n_alerts.c */
const alerts: Readonly<Record<CertificateFault, number>> = {
  ClientCertMaxChainDepthExceeded: 42, // bad_certificate
  ClientCertMaxSizeExceeded: 42,
  ClientCertInvalid: 42,
  ClientCertTypeUnsupported: 43, // unsupported_certificate
  ClientCertIncompatible: 43,
  ClientCertCrlHit: 44, // certificate_revoked
  ClientCertExpired: 45, // certificate_expired
  ClientCertNotYetValid: 45,
  ClientCertUntrusted: 46, // certificate_unknown
  ClientCertCrlProcessingError: 46,
  ClientCertPurposeInvalid: 46,
  UnmappedConnectionError: 116, // certificate_required
}
const handshakeFailure = 40

const fatal = 2
const alertRecord = 21
const applicationDataRecord = 23

/** The whole record. */
export function refusal(fault: CertificateFault, { protocol, cipher, trafficSecret }: AlertContext): Buffer {
  const alert = alerts[fault]
  if (protocol === 'TLSv1.3') {
    assert(trafficSecret !== null, 'a handshake of TLS 1.3 tells its keys before it is over')
    return encrypted(Buffer.of(fatal, alert, alertRecord), cipher, trafficSecret)
  }
  // certificate_required came with TLS 1.3 (RFC 8446, section 4.4.2.4).
  const earlier = fault === 'UnmappedConnectionError' ? handshakeFailure : alert
  return Buffer.of(alertRecord, 3, minorVersions[protocol], 0, 2, fatal, earlier)
}

const minorVersions = { TLSv1: 1, 'TLSv1.1': 2, 'TLSv1.2': 3 } as const

type Aead = {
  readonly name: 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305'
  readonly keyBytes: number
  readonly hash: string
}

const aeads: Readonly<Record<string, Aead>> = {
  TLS_AES_128_GCM_SHA256: { name: 'aes-128-gcm', keyBytes: 16, hash: 'sha256' },
  TLS_AES_256_GCM_SHA384: { name: 'aes-256-gcm', keyBytes: 32, hash: 'sha384' },
  TLS_CHACHA20_POLY1305_SHA256: { name: 'chacha20-poly1305', keyBytes: 32, hash: 'sha256' },
}
const nonceBytes = 12
const tagBytes = 16

/** The record with number 0 under this secret. @see https://www.rfc-editor.org/rfc/rfc8446#section-5.2 */
function encrypted(content: Buffer, cipherName: string, secret: Buffer): Buffer {
  const { name, keyBytes, hash } = aeads[cipherName]!
  const header = Buffer.of(applicationDataRecord, 3, 3, 0, content.length + tagBytes)
  // The nonce is the vector with the number of the record over it, which is 0.
  const nonce = expandLabel(hash, secret, 'iv', nonceBytes)
  const options = { authTagLength: tagBytes }
  const key = expandLabel(hash, secret, 'key', keyBytes)
  // Three names in one call are none of the overloads.
  const cipher = createCipheriv(name as 'aes-128-gcm', key, nonce, options).setAAD(header)
  return Buffer.concat([header, cipher.update(content), cipher.final(), cipher.getAuthTag()])
}

/** HKDF-Expand-Label without context, for no more than the hash has. @see https://www.rfc-editor.org/rfc/rfc8446#section-7.1 */
function expandLabel(hash: string, secret: Buffer, label: string, bytes: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`)
  const info = Buffer.concat([Buffer.of(bytes >> 8, bytes & 0xff, name.length), name, Buffer.of(0)])
  return createHmac(hash, secret).update(info).update(Buffer.of(1)).digest().subarray(0, bytes)
}
