/** The certificates of a configuration: checked where they are given, kept for the build. */

import { assert } from '../../base/assert.ts'
import type { Certificate } from '../../model/resources.ts'
import {
  buildCertificate,
  chainProblem,
  nameOf,
  type Readable,
  readChain,
  readLeaf,
  readPrivateKey,
  validityProblem,
} from './certificate.ts'
import type { CertificateDraft, Found, Report } from './draft.ts'
import type { PemTexts } from './pem.ts'
import { readPem } from './read-pem.ts'
import type { CertificateOutput } from './schema.ts'

export class Certificates {
  readonly #pems: PemTexts
  readonly #nowMs: number
  /** Whether listeners get one of this machine's own where they name none. */
  readonly hasLocal: boolean
  readonly #good = new Map<string, Certificate>()

  constructor(pems: PemTexts, nowMs: number, hasLocal: boolean) {
    this.#pems = pems
    this.#nowMs = nowMs
    this.hasLocal = hasLocal
  }

  /** @returns null when something is missing or wrong with it, which is then reported */
  check({ place, value }: Found<CertificateDraft>, report: Report, warn: Report): Certificate | null {
    const read = <T>(key: keyof CertificateDraft, read: (text: string) => Readable<T>) =>
      readPem(this.#pems, place.at(key), value[key], { read }, report)
    const leaf = read('certificate', readLeaf)
    const key = read('privateKey', readPrivateKey)
    const isChained = 'certificateChain' in value
    const chain = isChained ? read('certificateChain', readChain) : []
    const isKeyOfAnother = leaf !== null && key !== null && !leaf.checkPrivateKey(key)
    if (isKeyOfAnother) {
      report(place.at('privateKey'), `does not belong to the certificate, which is ${nameOf(leaf)}`)
    }
    const misplaced = leaf === null || chain === null ? null : chainProblem(leaf, chain)
    if (misplaced !== null) report(place.at('certificateChain'), misplaced)
    if (leaf === null || key === null || chain === null || isKeyOfAnother || misplaced !== null) return null

    const invalid = validityProblem(leaf, this.#nowMs)
    if (invalid !== null) warn(place.at('certificate'), invalid)
    for (const issuer of chain) {
      const invalid = validityProblem(issuer, this.#nowMs)
      if (invalid !== null) warn(place.at('certificateChain'), `holds ${nameOf(issuer)}, which ${invalid}`)
    }
    const certificate = buildCertificate(leaf, chain, key)
    this.#good.set(idOf(place.source.folder, value), certificate)
    return certificate
  }

  /** One that was checked. */
  get(folder: string, from: CertificateOutput): Certificate {
    const certificate = this.#good.get(idOf(folder, from))
    assert(certificate !== undefined, 'a certificate is checked before it is built')
    return certificate
  }
}

function idOf(folder: string, { certificate, privateKey, certificateChain }: CertificateDraft): string {
  return JSON.stringify([folder, certificate, privateKey, certificateChain])
}
