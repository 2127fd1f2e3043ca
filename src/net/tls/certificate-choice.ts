/**
 * Which of a listener's certificates a client gets, by the name that it asks for.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/https-listener-certificates.html
 */

import { X509Certificate } from 'node:crypto'
import type { CertificateArn } from '../../model/arns.ts'
import type { Certificate } from '../../model/resources.ts'

export class ServerCertificate {
  readonly arn: CertificateArn
  readonly certificate: string
  readonly privateKey: string
  readonly fingerprint: string
  readonly isEcdsa: boolean
  /** Lower case; a wildcard keeps its `*.`. */
  readonly names: readonly string[]
  readonly expiresAtMs: number
  /** Bits of the hash that it is signed with; 0 for MD5, since any SHA is better. */
  readonly hashBits: number
  readonly keyBits: number

  constructor(from: Certificate) {
    const x509 = new X509Certificate(from.certificate)
    const { asymmetricKeyType, asymmetricKeyDetails } = x509.publicKey
    this.arn = from.arn
    this.certificate = from.certificate
    this.privateKey = from.privateKey
    this.fingerprint = x509.fingerprint256
    this.isEcdsa = asymmetricKeyType === 'ec'
    this.names = namesOf(x509)
    this.expiresAtMs = x509.validToDate.getTime()
    this.hashBits = hashBits(x509.signatureAlgorithm ?? '')
    this.keyBits =
      asymmetricKeyDetails?.modulusLength ?? curveBits[asymmetricKeyDetails?.namedCurve as keyof typeof curveBits] ?? 0
  }
}

const curveBits = { prime256v1: 256, secp384r1: 384, secp521r1: 521 } as const

function namesOf(x509: X509Certificate): string[] {
  const alternatives = x509.subjectAltName?.matchAll(/(?:^|, )DNS:([^,"]+)/g) ?? []
  const names = [...alternatives].map(([, name]) => name!.toLowerCase())
  if (names.length > 0) return names
  const commonName = /^CN=(.+)$/m.exec(x509.subject)?.[1]
  return commonName === undefined ? [] : [commonName.toLowerCase()]
}

/** `sha256WithRSAEncryption`, `ecdsa-with-SHA1` and so on; RSA-PSS does not say, and is not used below SHA-256. */
function hashBits(algorithm: string): number {
  const sha = /sha(\d+)/i.exec(algorithm)?.[1]
  if (sha !== undefined) return sha === '1' ? 160 : Number(sha)
  return /md5/i.test(algorithm) ? 0 : 256
}

/** What a handshake may use: of two, OpenSSL takes the first unless the client cannot use it. */
export type Choice = {
  readonly certificates: readonly [ServerCertificate] | readonly [ServerCertificate, ServerCertificate]
  /** The name is one of a certificate, the default one included. */
  readonly isMatch: boolean
}

export class CertificateChoice {
  readonly #default: ServerCertificate
  /** Of the others than the default: those listed under an exact name, or under `*.` and the rest of one. */
  readonly #byName = new Map<string, ServerCertificate[]>()
  readonly #defaultNames: ReadonlySet<string>

  /** @param certificates the first is the default, which takes part only where no other can */
  constructor(certificates: readonly ServerCertificate[]) {
    this.#default = certificates[0]!
    this.#defaultNames = new Set(this.#default.names)
    for (const certificate of certificates.slice(1)) {
      for (const name of new Set(certificate.names)) {
        const listed = this.#byName.get(name)
        if (listed === undefined) this.#byName.set(name, [certificate])
        else listed.push(certificate)
      }
    }
  }

  get names(): Iterable<string> {
    return this.#byName.keys()
  }

  /** @param serverName in lower case */
  choose(serverName: string | null, nowMs: number): Choice {
    if (serverName === null) return { certificates: [this.#default], isMatch: false }
    const wildcard = `*${serverName.slice(serverName.indexOf('.'))}`
    // Whether an exact name goes before a wildcard is not documented: the rules below do not ask.
    const matching = [...(this.#byName.get(serverName) ?? []), ...(this.#byName.get(wildcard) ?? [])]
    if (matching.length === 0) {
      const isMatch = this.#defaultNames.has(serverName) || this.#defaultNames.has(wildcard)
      return { certificates: [this.#default], isMatch }
    }
    const ecdsa = best(matching, true, nowMs)
    // A client that cannot use the ECDSA certificate finds no match, then, and gets the default one.
    const rsa = best(matching, false, nowMs) ?? (this.#default.isEcdsa ? null : this.#default)
    if (ecdsa === null) return { certificates: [rsa!], isMatch: true }
    return { certificates: rsa === null ? [ecdsa] : [ecdsa, rsa], isMatch: true }
  }
}

/** The best of one kind of key; ECDSA goes before RSA, which is left to the handshake. */
function best(matching: readonly ServerCertificate[], isEcdsa: boolean, nowMs: number): ServerCertificate | null {
  let found: ServerCertificate | null = null
  for (const each of matching) {
    if (each.isEcdsa === isEcdsa && (found === null || isBetter(each, found, nowMs))) found = each
  }
  return found
}

/** By the documented order: not expired, hash, length of the key, validity (assumed: the later end). The first listed wins a tie. */
function isBetter(one: ServerCertificate, other: ServerCertificate, nowMs: number): boolean {
  const validity = Number(one.expiresAtMs >= nowMs) - Number(other.expiresAtMs >= nowMs)
  const order =
    validity || one.hashBits - other.hashBits || one.keyBits - other.keyBits || one.expiresAtMs - other.expiresAtMs
  return order > 0
}
