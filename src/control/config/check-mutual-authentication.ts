/**
 * Rules on what listeners ask of their clients, and on the trust stores that they do it with.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_MutualAuthenticationAttributes.html
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
 */

import type { Draft, Found, Report } from './draft.ts'
import type { FoundLoadBalancer, Gathered } from './gather.ts'
import { unknownName } from './nearest.ts'
import { type MutualAuthenticationOutput, verifyListenersPerLoadBalancerMax } from './schema.ts'
import type { Reports, TrustStores } from './trust-stores.ts'

export function checkMutualAuthentication(all: Gathered, trustStores: TrustStores, reports: Reports): void {
  const { report, warn } = reports
  const surplus = all.trustStores[all.quotas.trustStores]
  if (surplus !== undefined) {
    const quota = `the quota of ${all.quotas.trustStores} (quotas.trustStores raises it)`
    report(surplus.place, `is one of ${all.trustStores.length} trust stores, more than ${quota}`)
  }
  const unused = new Map(all.trustStores.map(({ place, value }) => [value.name, place]))
  const names = [...unused.keys()].filter(name => name !== undefined)
  for (const each of all.trustStores) trustStores.check(each, all.quotas, reports)
  for (const loadBalancer of all.loadBalancers) {
    checkVerifyQuota(loadBalancer, report)
    for (const { place, value } of loadBalancer.listeners) {
      if (value.mutualAuthentication === undefined) continue
      const settings = { place: place.at('mutualAuthentication'), value: value.mutualAuthentication }
      if (value.protocol === 'HTTP') report(settings.place, 'is for HTTPS listeners, and this one is HTTP')
      else checkSettings(settings, names, report)
      unused.delete(settings.value.trustStore)
    }
  }
  for (const [name, place] of unused) {
    if (name !== undefined) warn(place.at('name'), `"${name}" is not used: no listener verifies clients by it`)
  }
}

function checkSettings(
  { place, value }: Found<Draft<MutualAuthenticationOutput>>,
  names: readonly string[],
  report: Report,
): void {
  const { mode, trustStore } = value
  if (mode === 'verify') {
    if (!('trustStore' in value)) report(place.at('trustStore'), 'is missing: to verify clients takes a trust store')
    if (trustStore !== undefined && !names.includes(trustStore)) {
      report(place.at('trustStore'), unknownName('trust store', trustStore, names))
    }
    return
  }
  if (mode === undefined) return
  for (const key of ['trustStore', 'ignoreClientCertificateExpiry', 'advertiseTrustStoreCaNames'] as const) {
    if (key in value) report(place.at(key), `is for the mode verify, and this one is ${mode}`)
  }
}

function checkVerifyQuota({ place, listeners }: FoundLoadBalancer, report: Report): void {
  const verifying = listeners.filter(({ value }) => value.mutualAuthentication?.mode === 'verify')
  if (verifying.length <= verifyListenersPerLoadBalancerMax) return
  const quota = `the service's ${verifyListenersPerLoadBalancerMax}`
  report(place, `has ${verifying.length} listeners whose mutual authentication verifies, more than ${quota}`)
}
