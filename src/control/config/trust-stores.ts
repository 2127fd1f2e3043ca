/** The trust stores of a configuration: checked where they are given, kept by their names for the build. */

import { assert } from '../../base/assert.ts'
import { trustStoreArn } from '../../model/arns.ts'
import type { TrustStore } from '../../model/resources.ts'
import type { Certificate } from '../../net/certificate.ts'
import { validityProblem } from './certificate.ts'
import { type Found, itemsOf, type Report, type RevocationListDraft, type TrustStoreDraft } from './draft.ts'
import type { Gathered } from './gather.ts'
import { idOf } from './ids.ts'
import type { PemTexts } from './pem.ts'
import { checkQuota } from './quota.ts'
import { readPem } from './read-pem.ts'
import { revocationListBytesMax } from './schema.ts'
import type { Place } from './source.ts'
import { type ReadList, readCaBundle, readRevocationContent, signatureProblem } from './trust-store.ts'

export type Reports = { readonly report: Report; readonly warn: Report }

const revocationReader = { read: readRevocationContent, bytesMax: revocationListBytesMax }

export class TrustStores {
  readonly #pems: PemTexts
  readonly #nowMs: number
  readonly #good = new Map<string, TrustStore>()

  constructor(pems: PemTexts, nowMs: number) {
    this.#pems = pems
    this.#nowMs = nowMs
  }

  check({ place, value }: Found<TrustStoreDraft>, quotas: Gathered['quotas'], reports: Reports): void {
    const bundle = place.at('caCertificatesBundle')
    const authorities = readPem(this.#pems, bundle, value.caCertificatesBundle, { read: readCaBundle }, reports.report)
    const found = itemsOf(place.at('revocationLists'), value.revocationLists)
    const lists = found.map(each => ({ place: each.place, value: this.#readList(each, authorities, reports) }))
    const read = lists.flatMap(({ value }) => value ?? [])
    checkQuota(place, found.length, 'revocationListsPerTrustStore', quotas, reports.report)
    const entries = read.reduce((sum, { list }) => sum + list.entryCount, 0)
    checkQuota(place, entries, 'revocationEntriesPerTrustStore', quotas, reports.report)
    if (authorities === null) return
    checkQuota(place, authorities.length, 'caCertificatesPerTrustStore', quotas, reports.report)
    const subjectSize = authorities.reduce((sum, each) => sum + each.subjectSize, 0)
    checkQuota(place, subjectSize, 'caCertificateSubjectSizePerTrustStore', quotas, reports.report)
    this.#warnOfAuthorities(bundle, authorities, reports.warn)
    if (read.length > 0 && read.length === found.length) warnOfUncovered(place, authorities, read, reports.warn)
    if (value.name !== undefined) this.#good.set(value.name, buildTrustStore(value.name, authorities, read))
  }

  /** One that was checked. */
  get(name: string): TrustStore {
    const trustStore = this.#good.get(name)
    assert(trustStore !== undefined, 'a trust store is checked before it is built')
    return trustStore
  }

  #readList(
    { place, value }: Found<RevocationListDraft>,
    authorities: readonly Certificate[] | null,
    { report, warn }: Reports,
  ): ReadList | null {
    const content = place.at('revocationContent')
    const read = readPem(this.#pems, content, value.revocationContent, revocationReader, report)
    if (read === null || authorities === null) return read
    const { list } = read
    const problem = signatureProblem(list, authorities)
    if (problem !== null) report(content, problem)
    if (!authorities.some(({ subject }) => subject.key === list.issuer.key)) {
      const who = `${JSON.stringify(list.issuer.text)}, which is not in caCertificatesBundle`
      warn(content, `is of ${who}: it counts for clients that send the certificate of that authority along`)
    }
    if (!list.isCurrent(this.#nowMs)) {
      const when =
        this.#nowMs < list.thisUpdateMs
          ? `begins at ${timeOf(list.thisUpdateMs)}`
          : `ended at ${timeOf(list.nextUpdateMs)}`
      warn(content, `${when}: outside of its time, clients of ${JSON.stringify(list.issuer.text)} are refused`)
    }
    return read
  }

  #warnOfAuthorities(place: Place, authorities: readonly Certificate[], warn: Report): void {
    for (const { x509, subject, extensions } of authorities) {
      const who = `holds ${JSON.stringify(subject.text)}, which`
      const invalid = validityProblem(x509, this.#nowMs)
      if (invalid !== null) warn(place, `${who} ${invalid}`)
      if (!extensions.isAuthority) warn(place, `${who} is no authority: it vouches for nobody but itself`)
    }
  }
}

/** With one list, all need one: without, nobody knows who is not revoked. */
function warnOfUncovered(
  place: Place,
  authorities: readonly Certificate[],
  lists: readonly ReadList[],
  warn: Report,
): void {
  const listed = new Set(lists.map(({ list }) => list.issuer.key))
  const uncovered = authorities.filter(({ subject, extensions }) => extensions.isAuthority && !listed.has(subject.key))
  for (const name of new Set(uncovered.map(({ subject }) => subject.text))) {
    warn(place.at('revocationLists'), `holds no list of ${JSON.stringify(name)}: its clients are refused`)
  }
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z')
}

function buildTrustStore(name: string, authorities: readonly Certificate[], lists: readonly ReadList[]): TrustStore {
  return {
    arn: trustStoreArn(name, idOf('truststore', name)),
    name,
    caCertificates: authorities.map(({ x509 }) => x509.toString()),
    revocationLists: lists.map(({ pem }) => pem),
  }
}
