/** Why a handshake failed, from what the TLS library says, or from what is wrong with the client's certificate. */

/**
 * What the connection log says was wrong with a client's certificate.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-connection-logs.html#connection-error-reason-codes
 */
export type CertificateFault =
  | 'ClientCertMaxChainDepthExceeded'
  | 'ClientCertMaxSizeExceeded'
  | 'ClientCertCrlHit'
  | 'ClientCertCrlProcessingError'
  | 'ClientCertUntrusted'
  | 'ClientCertNotYetValid'
  | 'ClientCertExpired'
  | 'ClientCertTypeUnsupported'
  | 'ClientCertInvalid'
  | 'ClientCertPurposeInvalid'
  | 'ClientCertIncompatible'
  /** There was none. */
  | 'UnmappedConnectionError'

export type TlsFailure =
  /** No cipher, key exchange group or signature algorithm is in the policy and on the client's list, too. */
  | { readonly reason: 'noCommonCipher' }
  /** The policy has no protocol version that the client offers. */
  | { readonly reason: 'protocolVersion' }
  /** The client refused: `unknown ca`, `bad certificate` and so on, as RFC 8446 calls them. */
  | { readonly reason: 'clientAlert'; readonly alert: string }
  /** Its certificate is not good, or missing; the client was told. */
  | { readonly reason: 'clientCertificate'; readonly fault: CertificateFault }
  /** The client left in the middle of it. */
  | { readonly reason: 'closed' }
  | { readonly reason: 'reset' }
  | { readonly reason: 'timeout' }
  /** What came is no TLS, or broken; `code` is the library's. */
  | { readonly reason: 'other'; readonly code: string }

const byCode: Readonly<Record<string, TlsFailure>> = {
  ERR_SSL_NO_SHARED_CIPHER: { reason: 'noCommonCipher' },
  ERR_SSL_NO_SHARED_GROUPS: { reason: 'noCommonCipher' },
  ERR_SSL_NO_SHARED_GROUP: { reason: 'noCommonCipher' },
  ERR_SSL_NO_SUITABLE_KEY_SHARE: { reason: 'noCommonCipher' },
  ERR_SSL_NO_SUITABLE_GROUPS: { reason: 'noCommonCipher' },
  ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM: { reason: 'noCommonCipher' },
  ERR_SSL_NO_SHARED_SIGNATURE_ALGORITHMS: { reason: 'noCommonCipher' },
  ERR_SSL_UNSUPPORTED_PROTOCOL: { reason: 'protocolVersion' },
  ERR_SSL_VERSION_TOO_LOW: { reason: 'protocolVersion' },
  ECONNRESET: { reason: 'reset' },
  EPIPE: { reason: 'reset' },
}

/** What a socket breaks with; of the library's own errors, `library` says which part of it had one. */
export type SocketError = Error & { readonly code?: string; readonly library?: string }

export function tlsFailure({ code = 'UNKNOWN' }: SocketError): TlsFailure {
  const known = byCode[code]
  if (known !== undefined) return known
  // Such as ERR_SSL_TLSV1_ALERT_UNKNOWN_CA, ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE.
  const alert = /(?:SSLV3|TLSV1|TLSV13|TLS)_ALERT_(.+)$/.exec(code)?.[1]
  return alert === undefined
    ? { reason: 'other', code }
    : { reason: 'clientAlert', alert: alert.replaceAll('_', ' ').toLowerCase() }
}

/** As `tlsFailure`, where the client was asked for a certificate: the library could not read what it sent. */
export function failureWithCertificate(error: SocketError): TlsFailure {
  const { code, library } = error
  if (code === 'ERR_SSL_EXCESSIVE_MESSAGE_SIZE') return refused('ClientCertMaxSizeExceeded')
  if (code === 'ERR_SSL_UNKNOWN_CERTIFICATE_TYPE') return refused('ClientCertTypeUnsupported')
  // A key on a curve that the policy has not.
  if (code === 'ERR_SSL_WRONG_CURVE') return refused('ClientCertIncompatible')
  // Of what a client sends, certificates are ASN.1 and hold keys, and hardly anything else.
  const isBroken = library === 'asn1 encoding routines' || library === 'X509 V3 routines'
  const hasBrokenKey = library === 'digital envelope routines' && code === 'ERR_SSL_DECODE_ERROR'
  return isBroken || hasBrokenKey ? refused('ClientCertInvalid') : tlsFailure(error)
}

function refused(fault: CertificateFault): TlsFailure {
  return { reason: 'clientCertificate', fault }
}
