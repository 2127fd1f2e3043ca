/**
 * Decides whether a client's certificate is good: a path from it to a certificate of the trust store, each part of
 * which is signed, in its time, meant for this and not revoked.
 *
 * OpenSSL would do so inside the handshake, but what it has to know for it Node also tells every client (the names of
 * the authorities); it cannot overlook expiry alone, and of several reasons it reports the last. So paths are built and
 * judged here, and names, keys and signatures are left to it. The order of the reasons, and which is which code, follow
 * s2n-tls, whose errors the service's codes are named after (assumed).
 *
 * @see https://www.rfc-editor.org/rfc/rfc5280#section-6
 * @see https://github.com/aws/s2n-tls/blob/main/tls/s2n_x509_validator.c
 */

import type { X509Certificate } from 'node:crypto'
import type { SslPolicyKind } from '../../model/ssl-policies.ts'
import { type Certificate, isKeySupported, KeyUsage, readCertificate, unsupportedPart } from '../certificate.ts'
import type { RevocationList } from '../revocation-list.ts'
import type { CertificateFault } from './failure.ts'

/** The quota for the depth of a chain (documented; that it is what a client sends which counts is assumed). */
export const sentCertificatesMax = 4

export type ClientTrust = {
  readonly authorities: readonly Certificate[]
  readonly revocationLists: readonly RevocationList[]
  /** Of the client's own certificate, not of those above it. */
  readonly ignoreExpiry: boolean
  readonly policyKind: SslPolicyKind
}

/** From the client's certificate to one of the trust store; that may be itself. */
type Path = readonly [Certificate, ...Certificate[]]

/** @param sent what the client sent, its own first. @returns null: it is good */
export function certificateFault(
  trust: ClientTrust,
  sent: readonly X509Certificate[],
  nowMs: number,
): CertificateFault | null {
  if (sent.length > sentCertificatesMax) return 'ClientCertMaxChainDepthExceeded'
  const certificates = sent.map(readCertificate).filter(certificate => certificate !== null)
  const [leaf, ...others] = certificates
  if (leaf === undefined || certificates.length < sent.length) return 'ClientCertInvalid'
  let firstFault: CertificateFault | null = null
  for (const path of pathsFrom(leaf, others, trust.authorities)) {
    const fault = pathFault(trust, path, nowMs)
    if (fault === null) return null
    firstFault ??= fault
  }
  return firstFault ?? 'ClientCertUntrusted'
}

/**
 * A path ends at the first certificate that is trusted, which need not be a root. There can be several: an authority
 * that has renewed its key has two certificates of one name. What is looked up is kept, so that no client can have a
 * signature verified twice.
 */
function* pathsFrom(
  leaf: Certificate,
  others: readonly Certificate[],
  authorities: readonly Certificate[],
): Iterable<Path> {
  const trusted = new Set(authorities.map(({ x509 }) => x509.fingerprint256))
  const untrusted = others.filter(({ x509 }) => !trusted.has(x509.fingerprint256))
  const known = new Map<Certificate, { readonly trusted: Certificate[]; readonly others: Certificate[] }>()
  const issuersOf = (certificate: Certificate) => {
    const found = known.get(certificate) ?? {
      trusted: authorities.filter(each => isIssuedBy(certificate, each)),
      others: untrusted.filter(each => isIssuedBy(certificate, each)),
    }
    known.set(certificate, found)
    return found
  }
  function* extend(path: Path): Iterable<Path> {
    const issuers = issuersOf(path.at(-1)!)
    for (const issuer of issuers.trusted) yield [...path, issuer]
    for (const issuer of issuers.others) if (!path.includes(issuer)) yield* extend([...path, issuer])
  }
  if (trusted.has(leaf.x509.fingerprint256)) yield [leaf]
  else yield* extend([leaf])
}

function isIssuedBy(certificate: Certificate, issuer: Certificate): boolean {
  // A key of another kind or size could be none at all, or take long to verify with.
  if (certificate.issuer.key !== issuer.subject.key || !isKeySupported(issuer.x509)) return false
  return certificate.x509.checkIssued(issuer.x509) && certificate.x509.verify(issuer.x509.publicKey)
}

function pathFault(trust: ClientTrust, path: Path, nowMs: number): CertificateFault | null {
  const below = path.slice(0, -1)
  if (path.some(({ extensions }) => extensions.notUnderstood !== null)) return 'ClientCertInvalid'
  if (below.some(certificate => unsupportedPart(certificate) !== null)) return 'ClientCertTypeUnsupported'
  if (path.some((certificate, at) => at > 0 && !mayIssue(certificate, path.slice(1, at)))) return 'ClientCertUntrusted'
  if (trust.policyKind === 'rfc9151-strict' && !isOfRfc9151(path)) return 'ClientCertIncompatible'
  return (
    revocationFault(trust.revocationLists, path, nowMs) ??
    timeFault(path, nowMs, trust.ignoreExpiry) ??
    (below.every(isForClients) ? null : 'ClientCertPurposeInvalid')
  )
}

/** @param between it and the client's certificate. @see https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.9 */
function mayIssue({ extensions }: Certificate, between: readonly Certificate[]): boolean {
  const counted = between.filter(({ issuer, subject }) => issuer.key !== subject.key)
  return extensions.isAuthority && counted.length <= extensions.pathLength
}

/**
 * What a strict policy asks of certificates, as s2n-tls has it for RFC 9151; of the trusted one, its key only.
 *
 * @see https://github.com/aws/s2n-tls/blob/main/tls/s2n_security_policies.c
 */
function isOfRfc9151(path: Path): boolean {
  return path.every(({ x509, signature }, at) => {
    const { modulusLength, namedCurve } = x509.publicKey.asymmetricKeyDetails ?? {}
    const isSigned = signature?.hash === 'sha384' && signature.scheme !== 'rsa-pss'
    const hasKey = namedCurve === 'secp384r1' || modulusLength === 3072 || modulusLength === 4096
    return hasKey && (isSigned || at === path.length - 1)
  })
}

/**
 * With any list in the trust store, there must be one for every certificate below the trusted one, as OpenSSL would
 * have it; and a list whose time is over says nothing about those that are not on it (both assumed).
 */
function revocationFault(lists: readonly RevocationList[], path: Path, nowMs: number): CertificateFault | null {
  if (lists.length === 0) return null
  let fault: CertificateFault | null = null
  for (let at = 0; at < path.length - 1; at++) {
    const certificate = path[at]!
    const covering = lists.filter(list => list.covers(certificate, path[at + 1]!))
    if (covering.some(list => list.has(certificate.serialNumber))) return 'ClientCertCrlHit'
    if (!covering.some(list => list.isCurrent(nowMs))) fault = 'ClientCertCrlProcessingError'
  }
  return fault
}

/** Above first; in the last second it is over already. Both as OpenSSL has it. */
function timeFault(path: Path, nowMs: number, ignoreExpiry: boolean): CertificateFault | null {
  for (let at = path.length - 1; at >= 0; at--) {
    const { notBeforeMs, notAfterMs } = path[at]!
    if (nowMs < notBeforeMs) return 'ClientCertNotYetValid'
    if (nowMs >= notAfterMs && (at > 0 || !ignoreExpiry)) return 'ClientCertExpired'
  }
  return null
}

const clientAuth = '2b06010505070302'

/** As OpenSSL has it; "any" is not enough. */
function isForClients({ extensions: { keyUsage, extendedKeyUsage } }: Certificate, at: number): boolean {
  if (extendedKeyUsage !== null && !extendedKeyUsage.has(clientAuth)) return false
  // Those above the first sign certificates, which was looked at when the path was built.
  return at > 0 || keyUsage === null || (keyUsage & (KeyUsage.digitalSignature | KeyUsage.keyAgreement)) !== 0
}
