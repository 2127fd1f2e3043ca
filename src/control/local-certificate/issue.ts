/**
 * Makes an authority for one machine, and certificates by it. What it may vouch for is written into its own
 * certificate (RFC 5280, 4.2.1.10): who trusts it trusts nobody to be another site, not even who takes its key.
 */

import 'reflect-metadata' // before the library, which asks for it
import { createPrivateKey, KeyObject, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { AsnConvert } from '@peculiar/asn1-schema'
import {
  GeneralName,
  GeneralSubtree,
  GeneralSubtrees,
  id_ce_nameConstraints,
  NameConstraints,
} from '@peculiar/asn1-x509'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  X509Certificate as ParsedCertificate,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'

/** Both as PEM. */
export type Pair = { readonly certificate: string; readonly privateKey: string }

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const dayMs = 24 * 60 * 60 * 1000
export const authorityDays = 3650
/** Clients of Apple take no more than 825 from an authority that users added, and 398 from others. */
export const certificateDays = 397
/** The clock of a virtual machine or a phone may be behind. */
const backdatedMs = 60 * 60 * 1000

/** Addresses of loopback are always permitted. @param names permitted with all names below them */
export async function makeAuthority(commonName: string, names: readonly string[], nowMs: number): Promise<Pair> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const permitted = [
    ...names.map(dNSName => new GeneralName({ dNSName })),
    ...['127.0.0.0/8', '::1/128'].map(iPAddress => new GeneralName({ iPAddress })),
  ]
  const constraints = new NameConstraints({
    permittedSubtrees: new GeneralSubtrees(permitted.map(base => new GeneralSubtree({ base }))),
  })
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [commonName] }],
    keys,
    signingAlgorithm: algorithm,
    ...validity(authorityDays, nowMs),
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      new Extension(id_ce_nameConstraints, true, AsnConvert.serialize(constraints)),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certificate: certificate.toString('pem'), privateKey: pemOf(keys.privateKey) }
}

/** For servers. @param names DNS names or IP addresses; those permitted by the authority, or clients refuse it */
export async function issueCertificate(authority: Pair, names: readonly string[], nowMs: number): Promise<Pair> {
  const issuer = new ParsedCertificate(authority.certificate)
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await X509CertificateGenerator.create({
    subject: [{ CN: [names[0]!] }],
    issuer: issuer.subjectName,
    publicKey: keys.publicKey,
    signingKey: await createPrivateKey(authority.privateKey).toCryptoKey(algorithm, false, ['sign']),
    signingAlgorithm: algorithm,
    ...validity(certificateDays, nowMs),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(names.map(value => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }))),
      await AuthorityKeyIdentifierExtension.create(issuer),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certificate: certificate.toString('pem'), privateKey: pemOf(keys.privateKey) }
}

function validity(days: number, nowMs: number) {
  const from = nowMs - backdatedMs
  return { notBefore: new Date(from), notAfter: new Date(from + days * dayMs) }
}

function pemOf(key: CryptoKey): string {
  return KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' }) as string
}

/** Whether an authority made here may vouch for a DNS name, a wildcard or an IP address. */
export function isPermitted(authority: string, name: string): boolean {
  if (isIP(name) !== 0) return name === '::1' || name.startsWith('127.')
  const extension = new ParsedCertificate(authority).getExtension(id_ce_nameConstraints)
  const subtrees =
    extension === null ? [] : (AsnConvert.parse(extension.value, NameConstraints).permittedSubtrees ?? [])
  const host = name.replace(/^\*\./, '')
  return subtrees.some(({ base: { dNSName } }) => host === dNSName || host.endsWith(`.${dNSName}`))
}

/** The names that a certificate made here is for. */
export function namesOf(certificate: string): string[] {
  const listed = new ParsedCertificate(certificate).getExtension(SubjectAlternativeNameExtension)
  return listed === null ? [] : listed.names.items.map(({ value }) => value)
}

/** @returns null, or what is wrong with it */
export function pairProblem({ certificate, privateKey }: Pair): string | null {
  try {
    const isPair = new X509Certificate(certificate).checkPrivateKey(createPrivateKey(privateKey))
    return isPair ? null : 'its key is that of another certificate'
  } catch {
    return 'its certificate or its key is damaged or missing'
  }
}

export function expiryMs({ certificate }: Pair): number {
  return new X509Certificate(certificate).validToDate.getTime()
}

export function isIssuedBy({ certificate }: Pair, authority: Pair): boolean {
  const issuer = new X509Certificate(authority.certificate)
  const issued = new X509Certificate(certificate)
  return issued.checkIssued(issuer) && issued.verify(issuer.publicKey)
}
