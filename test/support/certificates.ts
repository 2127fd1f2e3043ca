/**
 * Keys, certificates and revocation lists for tests, made on the spot: a test that needs one says so in one line, and
 * none is committed, to expire some day. Made with Node alone, since not every machine has openssl.
 */

import { createPrivateKey, createPublicKey, type KeyObject, randomBytes } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'
import {
  commonNameOnly,
  context,
  derOf,
  derTrue,
  extension,
  integer,
  oid,
  pem,
  sequence,
  tagged,
  utcTime,
} from './der.ts'
import { type KeyType, madeUpRsaKey, makeKey, type SignatureHash, signed } from './signing.ts'

export type { KeyType, SignatureHash } from './signing.ts'

export type CertificateRequest = {
  /** Subject alternative names, DNS names or IP addresses; the first is the common name as well. */
  readonly names: readonly string[]
  readonly keyType: KeyType
  /** The certificate gets a key of so many bits that is good for nothing, instead of one of the type. */
  readonly madeUpRsaBits?: number
  /** It has the key of this one instead. */
  readonly sameKeyAs?: MadeCertificate
  /** DER of a SubjectPublicKeyInfo that it has instead. */
  readonly publicKeyInfo?: Buffer
  /** Of the signature; SHA-256 unless given. */
  readonly hash?: SignatureHash
  /** RSASSA-PSS instead of the older kind of RSA signatures. */
  readonly isPss?: boolean
  readonly notBefore?: Date
  /** Before 2050. */
  readonly notAfter?: Date
  /** Null or none: it signs itself. */
  readonly issuer?: MadeCertificate | null
  /** As very old ones are: without alternative names. */
  readonly hasCommonNameOnly?: boolean
  /** Whether it may issue others. */
  readonly isAuthority?: boolean
  readonly pathLength?: number
  /** First bits: 0x80 digitalSignature, 0x04 keyCertSign, 0x02 cRLSign. */
  readonly keyUsage?: number
  /** Dotted. */
  readonly extendedKeyUsage?: readonly string[]
  /** DER of a whole name, in place of the common name. */
  readonly subject?: Buffer
  /** Two's complement. */
  readonly serialNumber?: Buffer
  /** DER of further ones. */
  readonly extensions?: readonly Buffer[]
  /** Instead of the usual ones. */
  readonly hasTheseOnly?: boolean
  /** 3 unless given; version 1 has no extensions. */
  readonly version?: 1 | 3
}

/** PEM, as `Certificate` of the model and the options of `node:tls` have it. */
export type MadeCertificate = {
  /** The certificate, then those above it. */
  readonly certificate: string
  readonly privateKey: string
}

export const clientAuth = '1.3.6.1.5.5.7.3.2'
export const serverAuth = '1.3.6.1.5.5.7.3.1'

const made = new Map<string, MadeCertificate>()
const subjects = new Map<string, Buffer>()

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
  const { names, keyType, hash = 'sha256', isPss = false, issuer = null, version = 3 } = request
  const { notBefore = new Date('2020-01-01'), notAfter = new Date('2049-01-01') } = request
  const key = request.sameKeyAs === undefined ? makeKey(keyType) : keysOf(request.sameKeyAs)
  const publicKey = request.madeUpRsaBits === undefined ? key.publicKey : madeUpRsaKey(request.madeUpRsaBits)
  const subject = request.subject ?? commonNameOnly(names[0]!)
  const der = signed(issuer === null ? key.privateKey : keyOf(issuer), { hash, isPss }, algorithm =>
    sequence(
      ...(version === 3 ? [context(0, integer(Buffer.of(2)))] : []),
      integer(request.serialNumber ?? Buffer.concat([Buffer.of(1), randomBytes(15)])),
      algorithm,
      issuer === null ? subject : subjectOf(issuer),
      sequence(utcTime(notBefore), utcTime(notAfter)),
      subject,
      request.publicKeyInfo ?? publicKey.export({ format: 'der', type: 'spki' }),
      ...(version === 3 ? [context(3, sequence(...extensionsOf(request)))] : []),
    ),
  )
  const certificate = pem('CERTIFICATE', der) + (issuer?.certificate ?? '')
  subjects.set(certificate, subject)
  return { certificate, privateKey: key.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string }
}

function keysOf(certificate: MadeCertificate): ReturnType<typeof makeKey> {
  const privateKey = keyOf(certificate)
  return { publicKey: createPublicKey(privateKey), privateKey }
}

function keyOf({ privateKey }: MadeCertificate): KeyObject {
  return createPrivateKey(privateKey)
}

function subjectOf({ certificate }: MadeCertificate): Buffer {
  const subject = subjects.get(certificate)
  if (subject === undefined) throw new Error('an issuer is made here as well')
  return subject
}

function extensionsOf(request: CertificateRequest): Buffer[] {
  const { names, isAuthority = false, hasCommonNameOnly = false, pathLength, keyUsage, extendedKeyUsage } = request
  if (request.hasTheseOnly) return [...(request.extensions ?? [])]
  const length = pathLength === undefined ? [] : [integer(Buffer.of(pathLength))]
  const all = [extension('2.5.29.19', sequence(...(isAuthority ? [derTrue, ...length] : [])), true)]
  if (!hasCommonNameOnly) all.push(extension('2.5.29.17', sequence(...names.map(alternativeName))))
  if (keyUsage !== undefined) all.push(extension('2.5.29.15', tagged(0x03, Buffer.of(0, keyUsage)), true))
  if (extendedKeyUsage !== undefined) all.push(extension('2.5.29.37', sequence(...extendedKeyUsage.map(oid))))
  return [...all, ...(request.extensions ?? [])]
}

function alternativeName(name: string): Buffer {
  if (isIPv4(name)) return tagged(0x87, Buffer.from(name.split('.').map(Number)))
  if (isIPv6(name)) throw new Error('IPv6 addresses in certificates: not needed by any test so far')
  return tagged(0x82, Buffer.from(name))
}

/** Its public key, as PEM: to check that a key belongs to a certificate. */
export function publicKeyOf(certificate: MadeCertificate): string {
  return keysOf(certificate).publicKey.export({ format: 'pem', type: 'spki' }) as string
}

/** The certificate without those above it. */
export function alone({ certificate }: MadeCertificate): string {
  return pem('CERTIFICATE', derOf(certificate))
}

export type RevocationListRequest = {
  readonly issuer: MadeCertificate
  readonly revoked: readonly (MadeCertificate | Buffer)[]
  readonly hash?: SignatureHash
  readonly isPss?: boolean
  readonly thisUpdate?: Date
  /** Null: it does not say. */
  readonly nextUpdate?: Date | null
  /** DER of them. */
  readonly extensions?: readonly Buffer[]
  /** Of every entry. */
  readonly entryExtensions?: readonly Buffer[]
  /** Who signs it, if not the issuer that it names. */
  readonly signer?: MadeCertificate
}

/** PEM. */
export function makeRevocationList(request: RevocationListRequest): string {
  const { issuer, revoked, signer = issuer, hash = 'sha256', isPss = false } = request
  const { thisUpdate = new Date('2025-01-01'), nextUpdate = new Date('2040-01-01') } = request
  const { extensions = [], entryExtensions = [] } = request
  const entry = (each: MadeCertificate | Buffer) =>
    sequence(
      integer(Buffer.isBuffer(each) ? each : serialNumberOf(each)),
      utcTime(thisUpdate),
      ...(entryExtensions.length > 0 ? [sequence(...entryExtensions)] : []),
    )
  const der = signed(keyOf(signer), { hash, isPss }, algorithm =>
    sequence(
      integer(Buffer.of(1)),
      algorithm,
      subjectOf(issuer),
      utcTime(thisUpdate),
      ...(nextUpdate === null ? [] : [utcTime(nextUpdate)]),
      ...(revoked.length > 0 ? [sequence(...revoked.map(entry))] : []),
      ...(extensions.length > 0 ? [context(0, sequence(...extensions))] : []),
    ),
  )
  return pem('X509 CRL', der)
}

/** The first integer behind the version. */
function serialNumberOf({ certificate }: MadeCertificate): Buffer {
  const der = derOf(certificate)
  const version = context(0, integer(Buffer.of(2)))
  const at = der.indexOf(version) + version.length
  return der.subarray(at + 2, at + 2 + der[at + 1]!)
}
