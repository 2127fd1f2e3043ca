import type { Report } from './draft.ts'
import type { Gathered } from './gather.ts'
import type { Place } from './source.ts'

type Quota = keyof Gathered['quotas']

/** What is counted, where the name of the quota is not the word for it. */
const counted: Partial<Record<Quota, string>> = {
  certificatesPerLoadBalancer: 'certificates beside the default ones',
  caCertificatesPerTrustStore: 'CA certificates',
  caCertificateSubjectSizePerTrustStore: 'bytes of subjects of CA certificates',
  revocationListsPerTrustStore: 'revocation lists',
  revocationEntriesPerTrustStore: 'revocation entries',
}

/** @param place what has so many of them */
export function checkQuota(
  place: Place,
  count: number,
  quota: Quota,
  quotas: Gathered['quotas'],
  report: Report,
): void {
  if (count <= quotas[quota]) return
  const what = counted[quota] ?? quota.slice(0, quota.indexOf('Per'))
  report(place, `has ${count} ${what}, more than the quota of ${quotas[quota]} (quotas.${quota} raises it)`)
}
