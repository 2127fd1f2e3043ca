/**
 * What a listener asks of its clients' certificates, and what becomes of those that come.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/mutual-authentication.html
 */

import { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { assert } from '../../base/assert.ts'
import type { MutualAuthentication, TrustStore } from '../../model/resources.ts'
import type { SslPolicyKind } from '../../model/ssl-policies.ts'
import { type Certificate, readCertificate } from '../certificate.ts'
import { type RevocationList, readRevocationList } from '../revocation-list.ts'
import { type ClientCertificate, describeCertificate } from './client-certificate.ts'
import { type ClientTrust, certificateFault } from './client-trust.ts'
import type { CertificateFault } from './failure.ts'

/** The quota for a TLS message, in bytes. */
const messageBytesMax = 64 * 1024

export type Judgement = {
  readonly certificate: ClientCertificate | null
  /** Null: the connection may go on. */
  readonly fault: CertificateFault | null
}

export class ClientAuthentication {
  /** PEM of the certificates whose names clients are told, to choose one of their own by; null: all may try. */
  readonly advertised: readonly string[] | null
  /** Null: whatever comes is passed on, and so is a connection without. */
  readonly #trust: ClientTrust | null

  constructor(settings: Exclude<MutualAuthentication, { mode: 'off' }>, policyKind: SslPolicyKind) {
    const isVerified = settings.mode === 'verify'
    this.advertised = isVerified && settings.advertiseTrustStoreCaNames ? settings.trustStore.caCertificates : null
    this.#trust = isVerified
      ? { ...prepare(settings.trustStore), ignoreExpiry: settings.ignoreClientCertificateExpiry, policyKind }
      : null
  }

  /** Once the client's certificate has come, or its word that it has none. Reads the chain, which can be done once. */
  judge(secure: TLSSocket, nowMs: number): Judgement {
    const [own, ...others] = sentCertificates(secure)
    if (own === undefined) {
      return { certificate: null, fault: this.#trust === null ? null : 'UnmappedConnectionError' }
    }
    const sent = [own, ...others] as const
    const certificate = describeCertificate(sent)
    if (messageBytes(sent) > messageBytesMax) return { certificate, fault: 'ClientCertMaxSizeExceeded' }
    return { certificate, fault: this.#trust === null ? null : certificateFault(this.#trust, sent, nowMs) }
  }
}

/** Node links what was sent as if each had issued the one before it; whether it has, it does not look at. */
function sentCertificates(secure: TLSSocket): X509Certificate[] {
  const sent: X509Certificate[] = []
  for (let next = secure.getPeerX509Certificate(); next !== undefined; next = next.issuerCertificate) sent.push(next)
  return sent
}

/** A message and a list have a length in front, and so has each certificate. */
function messageBytes(sent: readonly X509Certificate[]): number {
  return sent.reduce((sum, { raw }) => sum + 3 + raw.length, 4 + 3)
}

type Prepared = Pick<ClientTrust, 'authorities' | 'revocationLists'>

/** A long revocation list takes a while to read, so listeners of one configuration share what they have in common. */
const preparedStores = new WeakMap<TrustStore, Prepared>()

function prepare(store: TrustStore): Prepared {
  const known = preparedStores.get(store)
  if (known !== undefined) return known
  const prepared = {
    authorities: store.caCertificates.map(pem => checked(readCertificate(new X509Certificate(pem)))),
    revocationLists: store.revocationLists.map(pem => checked(readRevocationList(pem))),
  }
  preparedStores.set(store, prepared)
  return prepared
}

function checked<T extends Certificate | RevocationList>(read: T | null): T {
  assert(read !== null, 'a trust store holds what can be read')
  return read
}
