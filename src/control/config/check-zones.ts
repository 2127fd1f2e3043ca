/**
 * Rules on the zones of a load balancer, and on the zones of its targets.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html#target-group-cross-zone
 */

import { canonicalAddress } from '../../base/ip-address.ts'
import { allZones, defaultZone } from '../../model/resources.ts'
import { type Found, isWhole, itemsOf, type LoadBalancerDraft, type Report, type TargetGroupDraft } from './draft.ts'
import type { Gathered } from './gather.ts'
import { unknownName } from './nearest.ts'
import { hasNodeAddresses, nodeAddress } from './node-address.ts'
import type { Place } from './source.ts'
import { checkUnique } from './unique.ts'
import { andList } from './wording.ts'

type ZoneDraft = NonNullable<NonNullable<LoadBalancerDraft['availabilityZones']>[number]>

export function checkZones({ place, value }: Found<LoadBalancerDraft>, report: Report): void {
  if ('bind' in value && 'availabilityZones' in value) {
    report(place.at('bind'), 'must be left out: with availabilityZones, each zone has addresses of its own')
  }
  const names = zonesOf({ place, value }).map(zone => ({
    place: zone.place.at('zoneName'),
    value: zone.value.zoneName,
  }))
  checkUnique(names, report, (name, first) => `must be unique in its load balancer: ${name} is also at ${first}`)
  for (const zone of zonesOf({ place, value })) {
    const addresses = itemsOf(zone.place.at('loadBalancerAddresses'), zone.value.loadBalancerAddresses)
    for (const address of addresses) {
      if (isWhole(address.value) && Object.keys(address.value).length === 0) {
        report(address.place, 'must hold an ipAddress, an iPv6Address, or both')
      }
    }
  }
}

/**
 * What the nodes of a load balancer with zones bind, by default the loopback addresses of their own.
 *
 * @param position of the load balancer in the configuration, from 0
 */
export function nodeAddresses(
  loadBalancer: Found<LoadBalancerDraft>,
  position: number,
  { zoneNames, platform }: Pick<Gathered, 'zoneNames' | 'platform'>,
  report: Report,
): Found<string>[] {
  const seen = new Set<string>()
  return zonesOf(loadBalancer).flatMap(({ place, value }) => {
    if ('loadBalancerAddresses' in value) return givenAddresses({ place, value })
    if (value.zoneName === undefined || seen.has(value.zoneName)) return []
    seen.add(value.zoneName)
    const at = place.at('loadBalancerAddresses')
    const address = nodeAddress(zoneNames, value.zoneName, position)
    if (!hasNodeAddresses(platform)) report(at, `is missing: only on Linux are there addresses by default`)
    else if (address === null) report(at, 'is missing: there are too many zones or load balancers for a default')
    else return [{ place: at, value: address }]
    return []
  })
}

function givenAddresses({ place, value }: Found<ZoneDraft>): Found<string>[] {
  return itemsOf(place.at('loadBalancerAddresses'), value.loadBalancerAddresses).flatMap(({ place: at, value }) =>
    (['ipAddress', 'iPv6Address'] as const).flatMap(key => {
      const address = value[key]
      return address === undefined ? [] : [{ place: at.at(key), value: canonicalAddress(address) }]
    }),
  )
}

function zonesOf({ place, value }: Found<LoadBalancerDraft>): Found<ZoneDraft>[] {
  return itemsOf(place.at('availabilityZones'), value.availabilityZones)
}

/** @param loadBalancer uses the group */
export function checkTargetZones(
  group: Found<TargetGroupDraft>,
  loadBalancer: LoadBalancerDraft,
  report: Report,
  warn: Report,
): void {
  const enabled = enabledZones(loadBalancer)
  if (enabled === null) return
  const crossZone = 'load_balancing.cross_zone.enabled'
  const isOwnZoneOnly = group.value.attributes?.[crossZone] === 'false'
  for (const { place, value } of itemsOf(group.place.at('targets'), group.value.targets)) {
    const zone = value.availabilityZone
    const at = place.at('availabilityZone')
    if (isOwnZoneOnly && zone === allZones) {
      report(at, `must be the name of a zone: with ${crossZone} "false", no target is in ${allZones}`)
    } else if (isOwnZoneOnly && enabled.length > 1 && !('availabilityZone' in value)) {
      report(at, `is missing: with ${crossZone} "false", a target is in one zone: ${andList(enabled)}`)
    } else if (zone !== undefined && zone !== allZones && !enabled.includes(zone)) {
      warn(at, `is ${zone}, which is no zone of the load balancer (${andList(enabled)}): the target is not used`)
    }
  }
}

/** Null: what was written there was refused. */
function enabledZones(loadBalancer: LoadBalancerDraft): string[] | null {
  if (!('availabilityZones' in loadBalancer)) return [defaultZone]
  const names = loadBalancer.availabilityZones?.map(zone => zone?.zoneName) ?? [undefined]
  return names.includes(undefined) ? null : (names as string[])
}

/** @see https://docs.aws.amazon.com/r53recovery/latest/dg/arc-zonal-shift.resource-types.app-load-balancers.html */
export function checkZonalShifts({ zonalShifts, loadBalancers }: Gathered, report: Report): void {
  const names = loadBalancers.flatMap(({ value }) => value.name ?? [])
  const shifted = zonalShifts.map(({ place, value }) => ({
    place: place.at('resourceIdentifier'),
    value: value.resourceIdentifier,
  }))
  checkUnique(shifted, report, (name, first) => `"${name}" is already shifted at ${first}: one zone at a time`)
  for (const { place, value } of zonalShifts) {
    const { resourceIdentifier: name, awayFrom } = value
    if (name === undefined) continue
    const loadBalancer = loadBalancers.find(each => each.value.name === name)
    const at = place.at('resourceIdentifier')
    if (loadBalancer === undefined) report(at, unknownName('load balancer', name, names))
    else if (loadBalancer.value.attributes?.[zonalShiftEnabled] !== 'true') {
      report(at, `"${name}" is not prepared: it needs the attribute ${zonalShiftEnabled} "true"`)
    } else checkAwayFrom(place.at('awayFrom'), awayFrom, enabledZones(loadBalancer.value), report)
  }
}

const zonalShiftEnabled = 'zonal_shift.config.enabled'

function checkAwayFrom(at: Place, zone: string | undefined, enabled: string[] | null, report: Report): void {
  if (zone === undefined || enabled === null) return
  if (!enabled.includes(zone)) report(at, `must be a zone of the load balancer (${andList(enabled)}), not "${zone}"`)
  else if (enabled.length === 1) report(at, 'is the only zone of the load balancer: there is none to shift traffic to')
}
