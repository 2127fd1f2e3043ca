/**
 * What ACM takes as a certificate, its private key and its chain. Problems are predicates, as everywhere in this room;
 * none of them shows anything of a key.
 *
 * @see https://docs.aws.amazon.com/acm/latest/userguide/import-certificate-prerequisites.html
 * @see https://docs.aws.amazon.com/acm/latest/userguide/import-certificate-format.html
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/https-listener-certificates.html
 */

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { certificateArn } from '../../model/arns.ts'
import type { Certificate } from '../../model/resources.ts'
import { isCutOff, notPem, type PemBlock, pemBlocks } from './pem.ts'
import { andList } from './wording.ts'

/** A value, or what is wrong with the text it was to be read from. */
export type Readable<T> =
  | { readonly value: T; readonly problem: null }
  | { readonly value: null; readonly problem: string }

/** Of ACM's import. */
const bytesMax = { certificate: 32_768, privateKey: 5_120, certificateChain: 2_097_152 }

/** The certificate of the listener itself. */
export function readLeaf(text: string): Readable<X509Certificate> {
  const { value: blocks, problem } = readBlocks(text, bytesMax.certificate, ['CERTIFICATE'])
  if (problem !== null) return { value: null, problem }
  if (blocks.length > 1) {
    const others = 'the first belongs here, those that issued it in certificateChain'
    return refused(`must hold one certificate, not ${blocks.length}: ${others}`)
  }
  const certificate = parse(blocks[0]!)
  if (certificate === null) return refused('is damaged: its PEM holds no X.509 certificate that can be read')
  const unfit = keyProblem(certificate.publicKey)
  return unfit === null ? { value: certificate, problem: null } : refused(unfit)
}

/** Those above the certificate, each next to the one that it issued. */
export function readChain(text: string): Readable<readonly X509Certificate[]> {
  const { value: blocks, problem } = readBlocks(text, bytesMax.certificateChain, ['CERTIFICATE'])
  if (problem !== null) return { value: null, problem }
  const certificates = blocks.map(parse)
  const damaged = certificates.indexOf(null)
  if (damaged < 0) return { value: certificates as X509Certificate[], problem: null }
  return refused(`is damaged: its PEM block ${damaged + 1} holds no X.509 certificate that can be read`)
}

const keyLabels = ['PRIVATE KEY', 'RSA PRIVATE KEY', 'EC PRIVATE KEY']

export function readPrivateKey(text: string): Readable<KeyObject> {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text)) {
    return refused('is encrypted: take its passphrase off, as with openssl pkey -in key.pem -out plain.pem')
  }
  // `openssl ecparam -genkey` writes the name of the curve before the key, which has it as well.
  const { value, problem } = readBlocks(text, bytesMax.privateKey, [...keyLabels, 'EC PARAMETERS'])
  if (problem !== null) return { value: null, problem }
  const keys = value.filter(({ label }) => label !== 'EC PARAMETERS')
  if (keys.length !== 1) return refused(`must hold one private key, not ${keys.length === 0 ? 'none' : keys.length}`)
  try {
    return { value: createPrivateKey(keys[0]!.text), problem: null }
  } catch {
    return refused('is damaged: its PEM holds no private key')
  }
}

export function refused(problem: string): { readonly value: null; readonly problem: string } {
  return { value: null, problem }
}

/** @returns at least one block */
export function readBlocks(text: string, max: number, labels: readonly string[]): Readable<readonly PemBlock[]> {
  const bytes = Buffer.byteLength(text)
  if (bytes > max) return refused(`must be at most ${max} bytes of PEM, not ${bytes}`)
  const blocks = pemBlocks(text)
  if (blocks.length === 0) return refused(notPem(text))
  if (isCutOff(text, blocks)) return refused('is damaged: one of its PEM blocks has no end')
  const others = blocks.map(({ label }) => label).filter(label => !labels.includes(label))
  if (others.length === 0) return { value: blocks, problem: null }
  return refused(`must hold ${labels[0]} blocks only, not ${andList([...new Set(others)])}`)
}

function parse({ text }: PemBlock): X509Certificate | null {
  try {
    const certificate = new X509Certificate(text)
    // Throws for an algorithm that nobody here knows.
    void certificate.publicKey
    return certificate
  } catch {
    return null
  }
}

const rsaBits = [2048, 3072, 4096]
/** P-256, P-384 and P-521, as OpenSSL calls them. */
const curves = ['prime256v1', 'secp384r1', 'secp521r1']

export function keyProblem(key: KeyObject): string | null {
  const { modulusLength = 0, namedCurve = 'a curve without a name' } = key.asymmetricKeyDetails ?? {}
  let is: string = key.asymmetricKeyType ?? 'a secret'
  if (is === 'rsa') {
    if (rsaBits.includes(modulusLength)) return null
    is = `RSA of ${modulusLength} bits`
  } else if (is === 'ec') {
    if (curves.includes(namedCurve)) return null
    is = `EC on ${namedCurve}`
  }
  return `must have a key of RSA with 2048, 3072 or 4096 bits, or of EC on P-256, P-384 or P-521, not ${is}`
}

/** Each must have issued the one before it. A trusted root is not needed: whether to trust is for clients to say. */
export function chainProblem(leaf: X509Certificate, chain: readonly X509Certificate[]): string | null {
  if (chain[0]?.fingerprint256 === leaf.fingerprint256) {
    return 'must begin with the issuer of the certificate, not with the certificate itself'
  }
  let issued = leaf
  for (const issuer of chain) {
    if (!issued.checkIssued(issuer) || !issued.verify(issuer.publicKey)) {
      const rule = 'each certificate must have issued the one before it'
      return `is in the wrong order or not of this certificate: ${rule}, and ${nameOf(issuer)} did not issue ${nameOf(issued)}`
    }
    issued = issuer
  }
  return null
}

export function nameOf({ subject }: X509Certificate): string {
  return JSON.stringify(subject?.replaceAll('\n', ', ') ?? 'a certificate without a subject')
}

/** The service goes on with a certificate whose time is over, so it is worth a warning only; null in its time. */
export function validityProblem(
  { validFromDate: from, validToDate: to }: X509Certificate,
  nowMs: number,
): string | null {
  if (nowMs > to.getTime()) return `has expired: it was valid until ${formatTime(to)}`
  if (nowMs < from.getTime()) return `is not valid yet: it will be from ${formatTime(from)}`
  return null
}

function formatTime(date: Date): string {
  return date.toISOString().replace('.000Z', 'Z')
}

export function buildCertificate(
  leaf: X509Certificate,
  chain: readonly X509Certificate[],
  privateKey: KeyObject,
): Certificate {
  return {
    arn: certificateArn(idOf(leaf)),
    certificate: [leaf, ...chain].map(String).join(''),
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  }
}

/** In the form of a UUID, from the certificate alone: it stays the same wherever and whenever it is read. */
function idOf({ fingerprint256 }: X509Certificate): string {
  const digits = fingerprint256.replaceAll(':', '').toLowerCase()
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    digits.slice(12, 16),
    digits.slice(16, 20),
    digits.slice(20, 32),
  ].join('-')
}
