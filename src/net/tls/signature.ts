/**
 * Which signatures certificates and revocation lists may have: SHA-2 with RSA, ECDSA or RSASSA-PSS.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/mutual-authentication.html
 */

import { constants, type KeyObject, verify } from 'node:crypto'
import { contextTag, DerReader, Tag } from './der.ts'

export type SignatureAlgorithm = {
  readonly scheme: 'rsa' | 'rsa-pss' | 'ecdsa'
  readonly hash: 'sha256' | 'sha384' | 'sha512'
  /** Of RSASSA-PSS. */
  readonly saltLength: number
}

const known: ReadonlyMap<string, SignatureAlgorithm> = new Map([
  ['2a864886f70d01010b', { scheme: 'rsa', hash: 'sha256', saltLength: 0 }],
  ['2a864886f70d01010c', { scheme: 'rsa', hash: 'sha384', saltLength: 0 }],
  ['2a864886f70d01010d', { scheme: 'rsa', hash: 'sha512', saltLength: 0 }],
  ['2a8648ce3d040302', { scheme: 'ecdsa', hash: 'sha256', saltLength: 0 }],
  ['2a8648ce3d040303', { scheme: 'ecdsa', hash: 'sha384', saltLength: 0 }],
  ['2a8648ce3d040304', { scheme: 'ecdsa', hash: 'sha512', saltLength: 0 }],
])
const rsassaPss = '2a864886f70d01010a'
const mgf1 = '2a864886f70d010108'
const hashes: ReadonlyMap<string, SignatureAlgorithm['hash']> = new Map([
  ['608648016503040201', 'sha256'],
  ['608648016503040202', 'sha384'],
  ['608648016503040203', 'sha512'],
])

/** @param element an AlgorithmIdentifier; a DerError says that it is none. @returns null for one that is not supported */
export function readSignatureAlgorithm(element: Buffer): SignatureAlgorithm | null {
  const algorithm = new DerReader(element).enter(Tag.sequence)
  const id = algorithm.content(Tag.oid).toString('hex')
  if (id === rsassaPss) return readPss(algorithm)
  if (!algorithm.isAtEnd && algorithm.content(Tag.null).length > 0) return null
  algorithm.finish()
  return known.get(id) ?? null
}

/**
 * What is left out means SHA-1, which is not supported, and a salt of 20 bytes.
 *
 * @see https://www.rfc-editor.org/rfc/rfc4055#section-3.1
 */
function readPss(algorithm: DerReader): SignatureAlgorithm | null {
  const parameters = algorithm.enterIf(Tag.sequence)
  algorithm.finish()
  if (parameters === null) return null
  const field = (number: number) => parameters.enterIf(contextTag(number, 'constructed'))
  const hash = hashOf(field(0)?.enter(Tag.sequence))
  const mask = field(1)?.enter(Tag.sequence)
  const isMgf1 = mask?.content(Tag.oid).toString('hex') === mgf1
  const isSameHash = hashOf(mask?.enter(Tag.sequence)) === hash
  const saltLength = field(2)?.smallInteger(1024) ?? 20
  if (field(3)?.smallInteger(1) === 0) return null
  parameters.finish()
  return hash === null || !isMgf1 || !isSameHash ? null : { scheme: 'rsa-pss', hash, saltLength }
}

function hashOf(algorithm: DerReader | undefined): SignatureAlgorithm['hash'] | null {
  return (algorithm && hashes.get(algorithm.content(Tag.oid).toString('hex'))) ?? null
}

/** Whether the holder of this key signed these bytes. */
export function isSignedWith(
  key: KeyObject,
  { scheme, hash, saltLength }: SignatureAlgorithm,
  bytes: Buffer,
  signature: Buffer,
): boolean {
  const kind = key.asymmetricKeyType
  const isOfKind = scheme === 'ecdsa' ? kind === 'ec' : kind === 'rsa' || (kind === 'rsa-pss' && scheme === 'rsa-pss')
  if (!isOfKind) return false
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }
  try {
    return verify(hash, bytes, scheme === 'rsa-pss' ? { key, ...pss } : key, signature)
  } catch {
    // A key that is restricted to another hash than this.
    return false
  }
}
