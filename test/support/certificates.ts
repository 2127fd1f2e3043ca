/**
 * Keys and certificates for tests, made on the spot: a test that needs one says so in one line, and none is committed,
 * to expire some day. Made with Node alone, since not every machine has openssl.
 */

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'

const keyTypes = ['rsa1024', 'rsa2048', 'rsa3072', 'rsa4096', 'p256', 'p384', 'p521'] as const
export type KeyType = (typeof keyTypes)[number]
export type SignatureHash = 'md5' | 'sha1' | 'sha256' | 'sha384' | 'sha512'

export type CertificateRequest = {
  /** Subject alternative names, DNS names or IP addresses; the first is the common name as well. */
  readonly names: readonly string[]
  readonly keyType: KeyType
  /** Of the signature; SHA-256 unless given. */
  readonly hash?: SignatureHash
  readonly notBefore?: Date
  /** Before 2050. */
  readonly notAfter?: Date
  /** Null or none: it signs itself. */
  readonly issuer?: MadeCertificate | null
  /** As very old ones are: without alternative names. */
  readonly hasCommonNameOnly?: boolean
  /** Whether it may issue others. */
  readonly isAuthority?: boolean
}

/** PEM, as `Certificate` of the model and the options of `node:tls` have it. */
export type MadeCertificate = {
  /** The certificate, then those above it. */
  readonly certificate: string
  readonly privateKey: string
}

const made = new Map<string, MadeCertificate>()

/** The same request gets the same certificate for as long as the process lives: RSA keys take their time. */
export function makeCertificate(request: CertificateRequest): MadeCertificate {
  const id = JSON.stringify(request)
  const known = made.get(id)
  if (known !== undefined) return known
  const fresh = issue(request)
  made.set(id, fresh)
  return fresh
}

function issue(request: CertificateRequest): MadeCertificate {
  const { names, keyType, hash = 'sha256', issuer = null, isAuthority = false, hasCommonNameOnly = false } = request
  const { notBefore = new Date('2020-01-01'), notAfter = new Date('2049-01-01') } = request
  const { publicKey, privateKey } = makeKey(keyType)
  const signingKey = issuer === null ? privateKey : createPrivateKey(issuer.privateKey)
  const algorithm = signatureAlgorithm(signingKey, hash)
  const subject = distinguishedName(names[0]!)
  const tbs = sequence(
    context(0, integer(Buffer.of(2))),
    integer(Buffer.concat([Buffer.of(1), randomBytes(15)])),
    algorithm,
    issuer === null ? subject : subjectOf(issuer),
    sequence(utcTime(notBefore), utcTime(notAfter)),
    subject,
    publicKey.export({ format: 'der', type: 'spki' }),
    context(3, sequence(...extensions(hasCommonNameOnly ? [] : names, isAuthority))),
  )
  const der = sequence(tbs, algorithm, bitString(sign(hash, tbs, signingKey)))
  return {
    certificate: pem(der) + (issuer?.certificate ?? ''),
    privateKey: privateKey.export({ format: 'pem', type: 'pkcs8' }) as string,
  }
}

function makeKey(keyType: KeyType): { publicKey: KeyObject; privateKey: KeyObject } {
  return keyType.startsWith('rsa')
    ? generateKeyPairSync('rsa', { modulusLength: Number(keyType.slice(3)) })
    : generateKeyPairSync('ec', { namedCurve: `P-${keyType.slice(1)}` })
}

const ecdsaOids = { md5: null, sha1: [4, 1], sha256: [4, 3, 2], sha384: [4, 3, 3], sha512: [4, 3, 4] } as const
const rsaOids = { md5: 4, sha1: 5, sha256: 11, sha384: 12, sha512: 13 } as const

function signatureAlgorithm(key: KeyObject, hash: SignatureHash): Buffer {
  if (key.asymmetricKeyType === 'rsa') return sequence(oid(1, 2, 840, 113549, 1, 1, rsaOids[hash]), tagged(0x05))
  const suffix = ecdsaOids[hash]
  if (suffix === null) throw new Error(`there is no ECDSA signature with ${hash}`)
  return sequence(oid(1, 2, 840, 10045, ...suffix))
}

function extensions(names: readonly string[], isAuthority: boolean): Buffer[] {
  const constraints = sequence(...(isAuthority ? [tagged(0x01, Buffer.of(0xff))] : []))
  const all = [sequence(oid(2, 5, 29, 19), tagged(0x01, Buffer.of(0xff)), tagged(0x04, constraints))]
  if (names.length > 0) {
    const alternatives = sequence(...names.map(alternativeName))
    all.push(sequence(oid(2, 5, 29, 17), tagged(0x04, alternatives)))
  }
  return all
}

function alternativeName(name: string): Buffer {
  if (isIPv4(name)) return tagged(0x87, Buffer.from(name.split('.').map(Number)))
  if (isIPv6(name)) throw new Error('IPv6 addresses in certificates: not needed by any test so far')
  return tagged(0x82, Buffer.from(name))
}

function distinguishedName(commonName: string): Buffer {
  return sequence(tagged(0x31, sequence(oid(2, 5, 4, 3), tagged(0x0c, Buffer.from(commonName)))))
}

/** All our names hold a common name and nothing else, so it is found by its identifier. */
function subjectOf(issuer: MadeCertificate): Buffer {
  const der = Buffer.from(/-----BEGIN CERTIFICATE-----([^-]*)/.exec(issuer.certificate)?.[1] ?? '', 'base64')
  const at = der.lastIndexOf(oid(2, 5, 4, 3)) + 5
  return distinguishedName(String(der.subarray(at + 2, at + 2 + der[at + 1]!)))
}

/** Its public key, as PEM: to check that a key belongs to a certificate. */
export function publicKeyOf(certificate: MadeCertificate): string {
  return createPublicKey(certificate.privateKey).export({ format: 'pem', type: 'spki' }) as string
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

// DER (X.690), as much of it as a certificate needs.

function tagged(tag: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content)
  // The shortest form is the only one: some clients hold DER to that.
  if (body.length < 0x80) return Buffer.concat([Buffer.of(tag, body.length), body])
  if (body.length < 0x100) return Buffer.concat([Buffer.of(tag, 0x81, body.length), body])
  return Buffer.concat([Buffer.of(tag, 0x82, body.length >> 8, body.length & 0xff), body])
}

function sequence(...content: readonly Buffer[]): Buffer {
  return tagged(0x30, ...content)
}

function context(number: number, content: Buffer): Buffer {
  return tagged(0xa0 + number, content)
}

/** @param bytes positive: the first is below 128 */
function integer(bytes: Buffer): Buffer {
  return tagged(0x02, bytes)
}

function bitString(bytes: Buffer): Buffer {
  return tagged(0x03, Buffer.of(0), bytes)
}

function utcTime(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]|\..*/g, '')
  return tagged(0x17, Buffer.from(`${digits.slice(2)}Z`))
}

function oid(first: number, second: number, ...others: readonly number[]): Buffer {
  return tagged(0x06, Buffer.from([first * 40 + second, ...others.flatMap(base128)]))
}

function base128(value: number): number[] {
  const bytes = [value & 0x7f]
  for (let rest = value >> 7; rest > 0; rest >>= 7) bytes.unshift((rest & 0x7f) | 0x80)
  return bytes
}
