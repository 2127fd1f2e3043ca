/** All files as one: what the rules over several values run on. Every value may be missing. */

import {
  type FileDraft,
  type Found,
  itemsOf,
  type ListenerDraft,
  type LoadBalancerDraft,
  type TargetGroupDraft,
  type TrustStoreDraft,
  type ZonalShiftDraft,
} from './draft.ts'
import { quotaDefaults } from './schema.ts'

export type FoundLoadBalancer = Found<LoadBalancerDraft> & { readonly listeners: readonly Found<ListenerDraft>[] }

export type Gathered = {
  readonly loadBalancers: readonly FoundLoadBalancer[]
  readonly targetGroups: readonly Found<TargetGroupDraft>[]
  readonly trustStores: readonly Found<TrustStoreDraft>[]
  readonly zonalShifts: readonly Found<ZonalShiftDraft>[]
  /** Of all load balancers, some perhaps several times. */
  readonly zoneNames: readonly string[]
  readonly platform: NodeJS.Platform
  readonly quotas: Readonly<typeof quotaDefaults>
  /** null when the knob is not turned. */
  readonly healthCheckIntervalSecondsMin: number | null
}

export function gather(files: readonly Found<FileDraft>[], platform: NodeJS.Platform): Gathered {
  const labs = files.flatMap(({ value }) => value.lab?.healthCheckIntervalSecondsMin ?? [])
  const quotas = files.flatMap(({ value }) =>
    Object.entries(value.quotas ?? {}).filter(([, most]) => most !== undefined),
  )
  const loadBalancers = files
    .flatMap(({ place, value }) => itemsOf(place.at('loadBalancers'), value.loadBalancers))
    .map(({ place, value }) => ({ place, value, listeners: itemsOf(place.at('listeners'), value.listeners) }))
  return {
    loadBalancers,
    zoneNames: loadBalancers.flatMap(
      ({ value }) => value.availabilityZones?.flatMap(zone => zone?.zoneName ?? []) ?? [],
    ),
    platform,
    targetGroups: files.flatMap(({ place, value }) => itemsOf(place.at('targetGroups'), value.targetGroups)),
    trustStores: files.flatMap(({ place, value }) => itemsOf(place.at('trustStores'), value.trustStores)),
    zonalShifts: files.flatMap(({ place, value }) => itemsOf(place.at('zonalShifts'), value.zonalShifts)),
    quotas: { ...quotaDefaults, ...Object.fromEntries(quotas) },
    healthCheckIntervalSecondsMin: labs.length > 0 ? Math.min(...labs) : null,
  }
}
