/**
 * The rules that compare values over all files: unique names, references, quotas, ports. They run over drafts, in
 * which every value may be missing; what is missing has been reported already.
 */

import { nodeSlotsMax, targetSlotsMax } from '../../model/limits.ts'
import type { Certificates } from './certificates.ts'
import { checkBindings } from './check-bindings.ts'
import { groupsOf } from './check-forward.ts'
import { actionsOf, checkListener } from './check-listener.ts'
import { checkMutualAuthentication } from './check-mutual-authentication.ts'
import { checkReferences } from './check-references.ts'
import { checkTargetGroup } from './check-target-group.ts'
import { checkZonalShifts, checkZones } from './check-zones.ts'
import type { FileDraft, Found, Report } from './draft.ts'
import { type Gathered, gather } from './gather.ts'
import type { TrustStores } from './trust-stores.ts'
import { checkUnique } from './unique.ts'

/** What is not in the files. */
export type Machine = { readonly portOffset: number; readonly platform: NodeJS.Platform }

/** What keeps what is read from PEM. */
export type PemStores = { readonly certificates: Certificates; readonly trustStores: TrustStores }

export function checkDrafts(
  files: readonly Found<FileDraft>[],
  { portOffset, platform }: Machine,
  { certificates, trustStores }: PemStores,
  report: Report,
  warn: Report,
): void {
  checkSettings(files, report)
  const all = gather(files, platform)
  for (const group of all.targetGroups) checkTargetGroup(group, all.healthCheckIntervalSecondsMin, report, warn)
  for (const listener of all.loadBalancers.flatMap(({ listeners }) => listeners)) {
    checkListener(listener, certificates, report, warn)
  }
  for (const loadBalancer of all.loadBalancers) checkZones(loadBalancer, report)
  checkZonalShifts(all, report)
  checkNames('load balancer', all.loadBalancers, report)
  checkNames('target group', all.targetGroups, report)
  checkNames('trust store', all.trustStores, report)
  checkBindings(all, portOffset, report)
  checkReferences(all, report, warn)
  checkMutualAuthentication(all, trustStores, { report, warn })
  checkSlots(all, report)
  if (certificates.hasLocal) checkLocalCertificate(files, all, report, warn)
  warnOfIdle(files, all, warn)
}

/** Quotas and knobs are for all files together, so each is set in one. */
function checkSettings(files: readonly Found<FileDraft>[], report: Report): void {
  for (const section of ['quotas', 'lab'] as const) {
    const keys = files.flatMap(({ place, value }) =>
      Object.keys(value[section] ?? {}).map(key => ({ place: place.at(section, key), value: key })),
    )
    checkUnique(keys, report, (_, first) => `is already set at ${first}`)
  }
}

function checkNames(kind: string, named: readonly Found<{ name?: string | undefined }>[], report: Report): void {
  const names = named.map(({ place, value }) => ({ place: place.at('name'), value: value.name }))
  checkUnique(names, report, (name, first) => `must be unique: a ${kind} "${name}" is also at ${first}`)
}

/** Rows of shared memory; unlike quotas, they cannot be raised. Each zone of a load balancer has rows of its own. */
function checkSlots({ loadBalancers, targetGroups }: Gathered, report: Report): void {
  const zones = new Map<string, number>()
  let nodes = 0
  for (const { place, value, listeners } of loadBalancers) {
    const count = value.availabilityZones?.length ?? 1
    for (const name of listeners.flatMap(actionsOf).flatMap(groupsOf)) zones.set(name.value, count)
    nodes += count
    if (nodes <= nodeSlotsMax) continue
    report(place, `makes ${nodes} zones of load balancers in all; at most ${nodeSlotsMax} are possible`)
    return
  }
  let targets = 0
  for (const { place, value } of targetGroups) {
    targets += (value.targets?.length ?? 0) * (zones.get(value.name ?? '') ?? 1)
    if (targets <= targetSlotsMax) continue
    const each = zones.size > 0 ? ', each counted in every zone of its load balancer' : ''
    report(place.at('targets'), `makes ${targets} targets in all${each}; at most ${targetSlotsMax} are possible`)
    return
  }
}

/** `--https` must find a listener to serve; that all have certificates by now may be the work of a reload. */
function checkLocalCertificate(files: readonly Found<FileDraft>[], all: Gathered, report: Report, warn: Report): void {
  const secure = all.loadBalancers.flatMap(({ listeners }) =>
    listeners.filter(({ value }) => value.protocol === 'HTTPS'),
  )
  if (files[0] === undefined || secure.some(({ value }) => !('certificates' in value))) return
  if (secure.length === 0) report(files[0].place, 'has no listener with protocol HTTPS, which --https is for')
  else warn(files[0].place, 'has certificates for all its HTTPS listeners: --https has no effect')
}

/** What is allowed but cannot do anything. */
function warnOfIdle(files: readonly Found<FileDraft>[], all: Gathered, warn: Report): void {
  if (all.loadBalancers.length === 0 && files[0] !== undefined) warn(files[0].place, 'defines no load balancer')
  for (const { place, value } of all.loadBalancers) {
    if ((value.listeners ?? []).length === 0) warn(place, 'has no listeners and receives nothing')
    const mode = value.attributes?.['routing.http.xff_header_processing.mode'] ?? 'append'
    const key = 'routing.http.xff_client_port.enabled'
    if (value.attributes?.[key] === 'true' && mode !== 'append') {
      warn(place.at('attributes', key), `has no effect while routing.http.xff_header_processing.mode is "${mode}"`)
    }
  }
}
