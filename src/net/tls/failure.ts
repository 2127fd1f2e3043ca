/** Why a handshake failed, from what the TLS library says. */

export type TlsFailure =
  /** No cipher, key exchange group or signature algorithm is in the policy and on the client's list, too. */
  | { readonly reason: 'noCommonCipher' }
  /** The policy has no protocol version that the client offers. */
  | { readonly reason: 'protocolVersion' }
  /** The client refused: `unknown ca`, `bad certificate` and so on, as RFC 8446 calls them. */
  | { readonly reason: 'clientAlert'; readonly alert: string }
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

/** @param code of the error that the socket broke with */
export function tlsFailure(code: string): TlsFailure {
  const known = byCode[code]
  if (known !== undefined) return known
  // Such as ERR_SSL_TLSV1_ALERT_UNKNOWN_CA, ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE.
  const alert = /(?:SSLV3|TLSV1|TLSV13|TLS)_ALERT_(.+)$/.exec(code)?.[1]
  return alert === undefined
    ? { reason: 'other', code }
    : { reason: 'clientAlert', alert: alert.replaceAll('_', ' ').toLowerCase() }
}
