/**
 * What the service takes as the certificates and revocation lists of a trust store. Problems are predicates, as
 * everywhere in this room.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/mutual-authentication.html
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
 */

import { X509Certificate } from 'node:crypto'
import { type Certificate, readCertificate, unsupportedPart } from '../../net/certificate.ts'
import { type RevocationList, readRevocationList } from '../../net/revocation-list.ts'
import { type Readable, readBlocks, refused } from './certificate.ts'
import { caCertificateBytesMax, revocationListBytesMax } from './schema.ts'

/** Ours: that many certificates of the largest size would be far above any quota. */
const bundleBytesMax = 2_097_152

/** Those who vouch for clients. */
export function readCaBundle(text: string): Readable<readonly Certificate[]> {
  const { value: blocks, problem } = readBlocks(text, bundleBytesMax, ['CERTIFICATE'])
  if (problem !== null) return refused(problem)
  const stray = strayLine(text)
  if (stray !== null) return refused(stray)
  const certificates: Certificate[] = []
  for (const [at, block] of blocks.entries()) {
    const { value, problem } = readAuthority(block.text)
    if (problem !== null) return refused(`holds as number ${at + 1} a certificate that ${problem}`)
    certificates.push(value)
  }
  return { value: certificates, problem: null }
}

/** The service takes nothing around certificates but comments, and not every comment. */
function strayLine(text: string): string | null {
  let isInside = false
  for (const [at, line] of text
    .replace(/\r?\n$/, '')
    .split(/\r?\n/)
    .entries()) {
    if (line.startsWith('-----BEGIN ')) isInside = true
    const isComment = line.startsWith('#') && !line.includes('-')
    if (!isInside && !isComment) {
      const rule = 'around certificates there may be comments only, which start with # and hold no hyphen'
      return `holds in line ${at + 1} ${line.trim() === '' ? 'nothing' : JSON.stringify(line.slice(0, 40))}: ${rule}`
    }
    if (line.startsWith('-----END ')) isInside = false
  }
  return null
}

const unsupported = {
  version: 'is not of X.509 version 3',
  key: 'has a key that is neither RSA with 2048 to 8192 bits nor EC on P-256, P-384 or P-521',
  signature: 'is signed otherwise than with SHA-256, SHA-384 or SHA-512 by RSA, RSASSA-PSS or ECDSA',
}

function readAuthority(pem: string): Readable<Certificate> {
  const certificate = parse(pem)
  if (certificate === null) return refused('cannot be read')
  const { x509, subject, extensions } = certificate
  const name = `is of ${JSON.stringify(subject.text)} and`
  if (x509.raw.length > caCertificateBytesMax) {
    return refused(`${name} has ${x509.raw.length} bytes, more than the service's ${caCertificateBytesMax}`)
  }
  const part = unsupportedPart(certificate)
  if (part !== null) return refused(`${name} ${unsupported[part]}`)
  const { notUnderstood } = extensions
  if (notUnderstood === null) return { value: certificate, problem: null }
  const what = notUnderstood === nameConstraints ? 'name constraints' : `the critical extension ${notUnderstood}`
  return refused(`${name} has ${what}, which is not supported`)
}

const nameConstraints = '2.5.29.30'

function parse(pem: string): Certificate | null {
  try {
    return readCertificate(new X509Certificate(pem))
  } catch {
    // What OpenSSL says about it, such as "asn1 encoding routines::too long", helps nobody.
    return null
  }
}

export type ReadList = { readonly list: RevocationList; readonly pem: string }

export function readRevocationContent(text: string): Readable<ReadList> {
  const { value: blocks, problem } = readBlocks(text, revocationListBytesMax, ['X509 CRL'])
  if (problem !== null) return refused(problem)
  const [block] = blocks
  if (blocks.length > 1) return refused(`must hold one list, not ${blocks.length}: each is an item of its own`)
  const list = readRevocationList(block!.text)
  if (list === null) return refused('is damaged: its PEM holds no X.509 revocation list that can be read')
  if (!list.isUnderstood) {
    return refused(
      'is of a kind that is not supported: indirect, of changes only, or with a critical extension of its own',
    )
  }
  return { value: { list, pem: block!.text }, problem: null }
}

/**
 * Null when one of these has signed it, and when it is of none of them: clients may bring the certificate of who has.
 */
export function signatureProblem(list: RevocationList, authorities: readonly Certificate[]): string | null {
  const issuers = authorities.filter(({ subject }) => subject.key === list.issuer.key)
  if (issuers.length === 0 || issuers.some(issuer => list.isSignedBy(issuer))) return null
  const how = 'with SHA-256, SHA-384 or SHA-512 by RSA, RSASSA-PSS or ECDSA'
  return `must be signed by ${JSON.stringify(list.issuer.text)}, whose name it bears, ${how}`
}
