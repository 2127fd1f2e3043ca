/** A client's certificate as targets and the connection log are told of it. */

import type { X509Certificate } from 'node:crypto'
import { readCertificate } from '../certificate.ts'

export type ClientCertificate = {
  /** Null where they cannot be read: that much of it is broken, which in passthrough mode is for the target to see. */
  readonly details: CertificateDetails | null
  /** PEM of the client's own. */
  readonly leaf: string
  /** PEM of all that it sent, in the order that it sent them in. */
  readonly chain: string
}

export type CertificateDetails = {
  /** By RFC 2253, visible ASCII. */
  readonly subject: string
  readonly issuer: string
  /** Upper case, two digits for each byte. */
  readonly serialNumber: string
  /** `NotBefore=2023-09-21T01:50:17Z;NotAfter=2024-09-20T01:50:17Z` */
  readonly validity: string
}

/** @param sent its own first */
export function describeCertificate(sent: readonly [X509Certificate, ...X509Certificate[]]): ClientCertificate {
  const [own] = sent
  const pems = sent.map(String)
  return { details: detailsOf(own), leaf: pems[0]!, chain: pems.join('') }
}

function detailsOf(x509: X509Certificate): CertificateDetails | null {
  const certificate = readCertificate(x509)
  if (certificate === null) return null
  const { subject, issuer, notBeforeMs, notAfterMs } = certificate
  return {
    subject: subject.text,
    issuer: issuer.text,
    serialNumber: x509.serialNumber,
    validity: `NotBefore=${formatTime(notBeforeMs)};NotAfter=${formatTime(notAfterMs)}`,
  }
}

function formatTime(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z')
}
