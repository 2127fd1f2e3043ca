/**
 * A certificate revocation list, kept as the bytes that it came in with an index over them: half a million entries
 * take no more memory than that, and are found at once.
 *
 * @see https://www.rfc-editor.org/rfc/rfc5280#section-5
 */

import { type Certificate, KeyUsage } from './certificate.ts'
import { contextTag, DerError, DerReader, Tag } from './tls/der.ts'
import { type DistinguishedName, readName } from './tls/distinguished-name.ts'
import { extensionsIn, readDistributionPointName } from './tls/extension.ts'
import { isSignedWith, readSignatureAlgorithm, type SignatureAlgorithm } from './tls/signature.ts'

const begin = '-----BEGIN X509 CRL-----'
const end = '-----END X509 CRL-----'

/** Null when it cannot be read. @param pem one block, and nothing else */
export function readRevocationList(pem: string): RevocationList | null {
  const base64 = pem.slice(begin.length, -end.length)
  if (!pem.startsWith(begin) || !pem.endsWith(end) || /[^A-Za-z0-9+/=\s]/.test(base64)) return null
  try {
    return new RevocationList(Buffer.from(base64, 'base64'))
  } catch (error) {
    if (error instanceof DerError) return null
    throw error
  }
}

/** Ours: issuers that a list remembers whether they signed it; there is one, or an old and a new key of it. */
const signersMax = 16

export class RevocationList {
  readonly issuer: DistinguishedName
  readonly thisUpdateMs: number
  /** Infinity where it does not say. */
  readonly nextUpdateMs: number
  readonly entryCount: number
  /** Null where it has extensions that are not understood, and so means something else than it seems to. */
  readonly #scope: Scope | null
  readonly #serialNumbers: SerialNumbers
  readonly #signed: Buffer
  readonly #algorithm: SignatureAlgorithm | null
  readonly #signature: Buffer
  readonly #signers = new Map<string, boolean>()

  /** A DerError says that it cannot be read. */
  constructor(der: Buffer) {
    const whole = new DerReader(der)
    const list = whole.enter(Tag.sequence)
    whole.finish()
    this.#signed = list.element()
    const algorithm = list.element()
    this.#algorithm = readSignatureAlgorithm(algorithm)
    this.#signature = list.bytesOfBits()
    list.finish()

    const tbs = new DerReader(this.#signed).enter(Tag.sequence)
    const hasVersion = tbs.tag === Tag.integer && tbs.smallInteger(1) === 1
    const isSameAlgorithm = tbs.element().equals(algorithm)
    this.issuer = readName(tbs)
    this.thisUpdateMs = tbs.time()
    this.nextUpdateMs =
      tbs.tag === Tag.utcTime || tbs.tag === Tag.generalizedTime ? tbs.time() : Number.POSITIVE_INFINITY
    const entries = tbs.contentIf(Tag.sequence) ?? Buffer.alloc(0)
    const extensions = tbs.enterIf(contextTag(0, 'constructed'))
    tbs.finish()
    this.#serialNumbers = new SerialNumbers(entries)
    this.entryCount = this.#serialNumbers.count
    const isUnderstood = isSameAlgorithm && (hasVersion || extensions === null) && this.#serialNumbers.areUnderstood
    this.#scope = isUnderstood ? readScope(extensions) : null
  }

  /** Otherwise it covers nothing. */
  get isUnderstood(): boolean {
    return this.#scope !== null
  }

  /** Whether it speaks of this certificate, and that with its issuer's word. @param issuer of the certificate */
  covers(certificate: Certificate, issuer: Certificate): boolean {
    if (this.issuer.key !== certificate.issuer.key || this.#scope === null) return false
    return isInScope(certificate, this.#scope) && this.isSignedBy(issuer)
  }

  /** Whether it is the newest of its kind at this time, as far as can be known. */
  isCurrent(nowMs: number): boolean {
    return this.thisUpdateMs <= nowMs && nowMs < this.nextUpdateMs
  }

  /** @param serialNumber as it stands in the certificate */
  has(serialNumber: Buffer): boolean {
    return this.#serialNumbers.has(serialNumber)
  }

  /** To verify a large list takes a while, so the verdict is kept. */
  isSignedBy({ x509, extensions }: Certificate): boolean {
    const known = this.#signers.get(x509.fingerprint256)
    if (known !== undefined) return known
    const maySign = extensions.keyUsage === null || (extensions.keyUsage & KeyUsage.crlSign) !== 0
    const isSigned =
      maySign &&
      this.#algorithm !== null &&
      isSignedWith(x509.publicKey, this.#algorithm, this.#signed, this.#signature)
    if (this.#signers.size < signersMax) this.#signers.set(x509.fingerprint256, isSigned)
    return isSigned
  }
}

/** Which certificates of its issuer a list speaks of. */
type Scope = {
  readonly certificates: 'all' | 'authorities' | 'others'
  /** Those that name one of these as the place of their list; null: wherever they say it is. */
  readonly distributionPoints: readonly string[] | null
}

const issuingDistributionPoint = '551d1c'

/** Null where it holds what is not understood: indirect lists, those for some reasons only, and those of changes only. */
function readScope(reader: DerReader | null): Scope | null {
  let scope: Scope | null = { certificates: 'all', distributionPoints: null }
  for (const { id, isCritical, value } of reader === null ? [] : extensionsIn(reader)) {
    if (id === issuingDistributionPoint) scope &&= readIssuingDistributionPoint(value)
    else if (isCritical) scope = null
  }
  return scope
}

function readIssuingDistributionPoint(value: DerReader): Scope | null {
  const point = value.enter(Tag.sequence)
  value.finish()
  const name = point.enterIf(contextTag(0, 'constructed'))
  const flag = (number: number) => {
    const tag = contextTag(number, 'primitive')
    return point.tag === tag && point.boolean(tag)
  }
  const distributionPoints = name === null ? null : readDistributionPointName(name)
  const othersOnly = flag(1)
  const authoritiesOnly = flag(2)
  if (!point.isAtEnd || (othersOnly && authoritiesOnly)) return null
  return { certificates: othersOnly ? 'others' : authoritiesOnly ? 'authorities' : 'all', distributionPoints }
}

function isInScope({ extensions }: Certificate, { certificates, distributionPoints }: Scope): boolean {
  if (certificates !== 'all' && extensions.isAuthority !== (certificates === 'authorities')) return false
  return distributionPoints === null || distributionPoints.some(name => extensions.distributionPoints.has(name))
}

/**
 * The serial numbers of all entries: a hash table of where each begins in the bytes. What an entry says besides, such
 * as why and when, changes nothing.
 */
class SerialNumbers {
  readonly count: number
  /** No entry has a critical extension; the one that there is moves it, and all behind it, to another issuer. */
  readonly areUnderstood: boolean
  readonly #entries: Buffer
  /** One more than the place of an entry; 0: free. A power of two of them, half of which stay free. */
  readonly #table: Uint32Array

  constructor(entries: Buffer) {
    this.#entries = entries
    this.count = countElements(entries)
    this.#table = new Uint32Array(2 ** Math.ceil(Math.log2(2 * this.count + 1)))
    let areUnderstood = true
    const reader = new DerReader(entries)
    while (!reader.isAtEnd) {
      const { at } = reader
      const entry = reader.enter(Tag.sequence)
      const serialNumber = entry.integer()
      entry.skip() // since when
      if (!entry.isAtEnd) for (const { isCritical } of extensionsIn(entry)) if (isCritical) areUnderstood = false
      this.#table[this.#slotOf(serialNumber)] = at + 1
    }
    this.areUnderstood = areUnderstood
  }

  has(serialNumber: Buffer): boolean {
    return this.#table[this.#slotOf(serialNumber)] !== 0
  }

  /** Where it is, or would be. */
  #slotOf(serialNumber: Buffer): number {
    const mask = this.#table.length - 1
    let slot = hashOf(serialNumber) & mask
    for (; ; slot = (slot + 1) & mask) {
      const place = this.#table[slot]!
      if (place === 0 || this.#serialNumberAt(place - 1).equals(serialNumber)) return slot
    }
  }

  #serialNumberAt(place: number): Buffer {
    return new DerReader(this.#entries, place).enter(Tag.sequence).integer()
  }
}

function countElements(bytes: Buffer): number {
  const reader = new DerReader(bytes)
  let count = 0
  for (; !reader.isAtEnd; count++) reader.skip()
  return count
}

/** FNV-1a. Authorities choose serial numbers at random; only one that is trusted could choose them badly. */
function hashOf(bytes: Buffer): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < bytes.length; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193)
  return (hash ^ (hash >>> 15)) >>> 0
}
