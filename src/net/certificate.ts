/**
 * What of an X.509 certificate decides whether it is good for a client: that which Node's `X509Certificate` tells, and
 * from its bytes what that does not.
 *
 * @see https://www.rfc-editor.org/rfc/rfc5280#section-4
 */

import type { X509Certificate } from 'node:crypto'
import { contextTag, DerError, DerReader, formatOid, Tag } from './tls/der.ts'
import { type DistinguishedName, readName } from './tls/distinguished-name.ts'
import { extensionsIn, readDistributionPointName } from './tls/extension.ts'
import { readSignatureAlgorithm, type SignatureAlgorithm } from './tls/signature.ts'

export type Certificate = {
  readonly x509: X509Certificate
  /** X.509v3 is 3. */
  readonly version: number
  /** As it stands in the certificate: two's complement. */
  readonly serialNumber: Buffer
  /** Null for one that is not supported. */
  readonly signature: SignatureAlgorithm | null
  readonly issuer: DistinguishedName
  readonly subject: DistinguishedName
  /** In bytes. */
  readonly subjectSize: number
  /** In milliseconds since the epoch. */
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly extensions: Extensions
}

export type Extensions = {
  readonly isAuthority: boolean
  /** How many authorities there may be between this one and a client's certificate. */
  readonly pathLength: number
  /** Null: any usage. */
  readonly keyUsage: number | null
  /** Identifiers in hex; null: any. */
  readonly extendedKeyUsage: ReadonlySet<string> | null
  /** Where it says that lists of its issuer are, as GeneralNames in hex. */
  readonly distributionPoints: ReadonlySet<string>
  /** One that must be understood, and is not, as `2.5.29.30`; null when there is none. */
  readonly notUnderstood: string | null
}

/** Bits of `keyUsage`. */
export const KeyUsage = { digitalSignature: 1, keyAgreement: 1 << 4, crlSign: 1 << 6 } as const

/** Null when it cannot be read, though OpenSSL could. */
export function readCertificate(x509: X509Certificate): Certificate | null {
  try {
    return read(x509)
  } catch (error) {
    if (error instanceof DerError) return null
    throw error
  }
}

function read(x509: X509Certificate): Certificate {
  const whole = new DerReader(x509.raw)
  const certificate = whole.enter(Tag.sequence)
  whole.finish()
  const tbs = certificate.enter(Tag.sequence)
  const version = tbs.enterIf(contextTag(0, 'constructed'))?.smallInteger(2) ?? 0
  const serialNumber = tbs.integer()
  const algorithm = tbs.element()
  const issuer = readName(tbs)
  const validity = tbs.enter(Tag.sequence)
  const notBeforeMs = validity.time()
  const notAfterMs = validity.time()
  validity.finish()
  const subjectFrom = tbs.at
  const subject = readName(tbs)
  const subjectSize = tbs.at - subjectFrom
  tbs.skip() // its key
  // Identifiers of issuer and subject, which version 2 brought and nobody uses.
  tbs.contentIf(contextTag(1, 'primitive'))
  tbs.contentIf(contextTag(2, 'primitive'))
  const extensions = readExtensions(tbs.enterIf(contextTag(3, 'constructed')))
  tbs.finish()
  if (!certificate.element().equals(algorithm)) throw new DerError('two algorithms for one signature')
  const names = { serialNumber, issuer, subject, subjectSize, notBeforeMs, notAfterMs }
  return { x509, version: version + 1, signature: readSignatureAlgorithm(algorithm), ...names, extensions }
}

/**
 * What of it the service does not support for clients or for those who vouch for them; null when it does.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/mutual-authentication.html
 */
export function unsupportedPart({ x509, version, signature }: Certificate): 'version' | 'key' | 'signature' | null {
  if (version !== 3) return 'version'
  if (!isKeySupported(x509)) return 'key'
  return signature === null ? 'signature' : null
}

const curves: ReadonlySet<string | undefined> = new Set(['prime256v1', 'secp384r1', 'secp521r1'])

/** RSA or EC, of a usual size and curve. */
export function isKeySupported(x509: X509Certificate): boolean {
  try {
    const { asymmetricKeyType, asymmetricKeyDetails } = x509.publicKey
    const { modulusLength = 0, namedCurve } = asymmetricKeyDetails ?? {}
    if (asymmetricKeyType === 'ec') return curves.has(namedCurve)
    return (
      (asymmetricKeyType === 'rsa' || asymmetricKeyType === 'rsa-pss') && modulusLength >= 2048 && modulusLength <= 8192
    )
  } catch {
    // A kind of key that Node does not know, or one that is broken.
    return false
  }
}

const known = {
  keyUsage: '551d0f',
  basicConstraints: '551d13',
  nameConstraints: '551d1e',
  crlDistributionPoints: '551d1f',
  extendedKeyUsage: '551d25',
}

/** They say nothing against a certificate where nobody asks for a policy or for another name. */
const harmless = new Set([
  '551d11', // subjectAltName
  '551d20', // certificatePolicies
  '551d21', // policyMappings
  '551d24', // policyConstraints
  '551d36', // inhibitAnyPolicy
])

function readExtensions(reader: DerReader | null): Extensions {
  const found: { -readonly [Name in keyof Extensions]: Extensions[Name] } = { ...noExtensions }
  for (const { id, isCritical, value } of reader === null ? [] : extensionsIn(reader)) {
    switch (id) {
      case known.basicConstraints:
        Object.assign(found, readBasicConstraints(value))
        break
      case known.keyUsage:
        found.keyUsage = value.flags()
        break
      case known.extendedKeyUsage:
        found.extendedKeyUsage = readIdentifiers(value)
        break
      case known.crlDistributionPoints:
        found.distributionPoints = readDistributionPoints(value)
        break
      default:
        // That names are constrained means what it says even where it is not marked as critical.
        if ((isCritical && !harmless.has(id)) || id === known.nameConstraints) {
          found.notUnderstood ??= formatOid(Buffer.from(id, 'hex'))
        }
        continue
    }
    value.finish()
  }
  return found
}

const noExtensions: Extensions = {
  isAuthority: false,
  pathLength: Number.POSITIVE_INFINITY,
  keyUsage: null,
  extendedKeyUsage: null,
  distributionPoints: new Set(),
  notUnderstood: null,
}

function readBasicConstraints(value: DerReader): Pick<Extensions, 'isAuthority' | 'pathLength'> {
  const constraints = value.enter(Tag.sequence)
  const isAuthority = constraints.tag === Tag.boolean && constraints.boolean()
  const pathLength = constraints.isAtEnd ? Number.POSITIVE_INFINITY : constraints.smallInteger(pathLengthMax)
  constraints.finish()
  return { isAuthority, pathLength }
}

/** Ours: any length of a path that ends within reason is below. */
const pathLengthMax = 1_000_000

function readIdentifiers(value: DerReader): Set<string> {
  const identifiers = new Set<string>()
  const all = value.enter(Tag.sequence)
  while (!all.isAtEnd) identifiers.add(all.content(Tag.oid).toString('hex'))
  return identifiers
}

function readDistributionPoints(value: DerReader): Set<string> {
  const names = new Set<string>()
  const points = value.enter(Tag.sequence)
  while (!points.isAtEnd) {
    const point = points.enter(Tag.sequence)
    const name = point.enterIf(contextTag(0, 'constructed'))
    // One for some reasons only, or for lists that another issues, is of no use here.
    if (name !== null && point.isAtEnd) for (const each of readDistributionPointName(name)) names.add(each)
  }
  return names
}
