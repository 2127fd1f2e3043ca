/** Keys of tests, and what they sign. */

import { constants, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { bitString, context, derNull, integer, oid, sequence } from './der.ts'

const keyTypes = [
  'rsa1024',
  'rsa2048',
  'rsa3072',
  'rsa4096',
  'rsaPss2048',
  'p256',
  'p384',
  'p521',
  'secp256k1',
  'ed25519',
] as const
export type KeyType = (typeof keyTypes)[number]
export type SignatureHash = 'md5' | 'sha1' | 'sha256' | 'sha384' | 'sha512'

export function makeKey(keyType: KeyType): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  if (keyType === 'ed25519') return generateKeyPairSync('ed25519')
  if (keyType === 'secp256k1') return generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
  if (keyType === 'rsaPss2048') return generateKeyPairSync('rsa-pss', { modulusLength: 2048 })
  return keyType.startsWith('rsa')
    ? generateKeyPairSync('rsa', { modulusLength: Number(keyType.slice(3)) })
    : generateKeyPairSync('ec', { namedCurve: `P-${keyType.slice(1)}` })
}

/** A public key of any size at once, which nobody has the other half of: the modulus is just some odd number. */
export function madeUpRsaKey(bits: number): KeyObject {
  const modulus = randomBytes(bits / 8)
  modulus[0]! |= 0x80
  modulus[modulus.length - 1]! |= 1
  return createPublicKey({ key: { kty: 'RSA', n: modulus.toString('base64url'), e: 'AQAB' }, format: 'jwk' })
}

const ecdsaOids = { md5: null, sha1: '1', sha256: '3.2', sha384: '3.3', sha512: '3.4' } as const
const rsaOids = { md5: 4, sha1: 5, sha256: 11, sha384: 12, sha512: 13 } as const
const hashOids = {
  md5: '1.2.840.113549.2.5',
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
} as const

export type SignatureKind = {
  readonly hash: SignatureHash
  /** RSASSA-PSS with MGF1 and a salt of the length of the hash. */
  readonly isPss: boolean
}

/** @param content what is signed, given the algorithm, which is part of it */
export function signed(key: KeyObject, kind: SignatureKind, content: (algorithm: Buffer) => Buffer): Buffer {
  const algorithm = algorithmOf(key, kind)
  const tbs = content(algorithm)
  return sequence(tbs, algorithm, bitString(signatureOf(key, kind, tbs)))
}

function signatureOf(key: KeyObject, { hash, isPss }: SignatureKind, bytes: Buffer): Buffer {
  if (key.asymmetricKeyType === 'ed25519') return sign(null, bytes, key)
  if (!isPss) return sign(hash, bytes, key)
  const saltLength = constants.RSA_PSS_SALTLEN_DIGEST
  return sign(hash, bytes, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength })
}

const saltLengths = { md5: 16, sha1: 20, sha256: 32, sha384: 48, sha512: 64 } as const

function algorithmOf(key: KeyObject, { hash, isPss }: SignatureKind): Buffer {
  if (key.asymmetricKeyType === 'ed25519') return sequence(oid('1.3.101.112'))
  if (isPss) {
    const digest = sequence(oid(hashOids[hash]), derNull)
    const mask = sequence(oid('1.2.840.113549.1.1.8'), digest)
    const salt = integer(Buffer.of(saltLengths[hash]))
    return sequence(oid('1.2.840.113549.1.1.10'), sequence(context(0, digest), context(1, mask), context(2, salt)))
  }
  if (key.asymmetricKeyType === 'rsa') return sequence(oid(`1.2.840.113549.1.1.${rsaOids[hash]}`), derNull)
  const suffix = ecdsaOids[hash]
  if (suffix === null) throw new Error(`there is no ECDSA signature with ${hash}`)
  return sequence(oid(`1.2.840.10045.4.${suffix}`))
}
