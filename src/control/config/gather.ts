/** All files as one: what the rules over several values run on. Every value may be missing. */

import {
  type FileDraft,
  type Found,
  itemsOf,
  type ListenerDraft,
  type LoadBalancerDraft,
  type TargetGroupDraft,
  type TrustStoreDraft,
} from './draft.ts'
import { quotaDefaults } from './schema.ts'

export type FoundLoadBalancer = Found<LoadBalancerDraft> & { readonly listeners: readonly Found<ListenerDraft>[] }

export type Gathered = {
  readonly loadBalancers: readonly FoundLoadBalancer[]
  readonly targetGroups: readonly Found<TargetGroupDraft>[]
  readonly trustStores: readonly Found<TrustStoreDraft>[]
  readonly quotas: Readonly<typeof quotaDefaults>
  /** null when the knob is not turned. */
  readonly healthCheckIntervalSecondsMin: number | null
}

export function gather(files: readonly Found<FileDraft>[]): Gathered {
  const labs = files.flatMap(({ value }) => value.lab?.healthCheckIntervalSecondsMin ?? [])
  const quotas = files.flatMap(({ value }) =>
    Object.entries(value.quotas ?? {}).filter(([, most]) => most !== undefined),
  )
  return {
    loadBalancers: files
      .flatMap(({ place, value }) => itemsOf(place.at('loadBalancers'), value.loadBalancers))
      .map(({ place, value }) => ({ place, value, listeners: itemsOf(place.at('listeners'), value.listeners) })),
    targetGroups: files.flatMap(({ place, value }) => itemsOf(place.at('targetGroups'), value.targetGroups)),
    trustStores: files.flatMap(({ place, value }) => itemsOf(place.at('trustStores'), value.trustStores)),
    quotas: { ...quotaDefaults, ...Object.fromEntries(quotas) },
    healthCheckIntervalSecondsMin: labs.length > 0 ? Math.min(...labs) : null,
  }
}
