/** Rules on who forwards to which target group, and how many of everything there may be. */

import { isMinimum, minimumsMax } from './attributes.ts'
import { checkStickyGroups, groupsOf } from './check-forward.ts'
import { actionsOf } from './check-listener.ts'
import { checkTargetZones } from './check-zones.ts'
import type { Found, ListenerDraft, Report, TargetGroupDraft } from './draft.ts'
import type { FoundLoadBalancer, Gathered } from './gather.ts'
import { unknownName } from './nearest.ts'
import { checkQuota } from './quota.ts'
import { targetGroupsPerLoadBalancerMax } from './schema.ts'
import type { Place } from './source.ts'

export function checkReferences(all: Gathered, report: Report, warn: Report): void {
  const groups = new Map(all.targetGroups.map(group => [group.value.name, group]))
  const names = [...groups.keys()].filter(name => name !== undefined)
  const users = new Map<string, { readonly at: Place; readonly loadBalancer: Place }>()
  for (const loadBalancer of all.loadBalancers) {
    const used = new Set<Found<TargetGroupDraft>>()
    const actions = loadBalancer.listeners.flatMap(actionsOf)
    for (const listener of loadBalancer.listeners) checkProtocolVersions(listener, groups, report)
    for (const { place: at, value: name } of actions.flatMap(groupsOf)) {
      const group = groups.get(name)
      if (group === undefined) {
        report(at, unknownName('target group', name, names))
        continue
      }
      if (!used.has(group)) checkTargetZones(group, loadBalancer.value, report, warn)
      used.add(group)
      const user = users.get(name)
      if (user === undefined) users.set(name, { at, loadBalancer: loadBalancer.place })
      else if (user.loadBalancer !== loadBalancer.place) {
        const rule = 'a target group is used by one load balancer only'
        report(at, `"${name}" is already used by another load balancer at ${user.at}: ${rule}`)
      }
    }
    for (const action of actions) checkStickyGroups(action, groups, report)
    checkQuotas(loadBalancer, [...used], all.quotas, report)
  }
  for (const { place, value } of all.targetGroups) {
    checkQuota(place.at('targets'), value.targets?.length ?? 0, 'targetsPerTargetGroup', all.quotas, report)
    checkMinimums({ place, value }, all.quotas.targetsPerTargetGroup, report)
    if (value.name === undefined) continue
    if (!users.has(value.name)) warn(place.at('name'), `"${value.name}" is not used: no listener forwards to it`)
    else if ((value.targets ?? []).length === 0) {
      warn(place.at('name'), `"${value.name}" has no targets: requests forwarded to it are answered with 503`)
    }
  }
}

/** Over HTTP listeners nobody speaks HTTP/2, so such a target group could only ever answer 464. */
function checkProtocolVersions(
  listener: Found<ListenerDraft>,
  groups: ReadonlyMap<string | undefined, Found<TargetGroupDraft>>,
  report: Report,
): void {
  if (listener.value.protocol !== 'HTTP') return
  for (const { place, value: name } of actionsOf(listener).flatMap(groupsOf)) {
    const version = groups.get(name)?.value.protocolVersion
    if (version !== 'HTTP2' && version !== 'GRPC') continue
    report(place, `has the protocol version ${version}, which needs an HTTPS listener: "${name}"`)
  }
}

/** No target group can have as many healthy targets. */
function checkMinimums({ place, value }: Found<TargetGroupDraft>, quota: number, report: Report): void {
  for (const action of ['dns_failover', 'unhealthy_state_routing'] as const) {
    const key = `target_group_health.${action}.minimum_healthy_targets.count` as const
    const count = value.attributes?.[key] ?? ''
    if (!isMinimum(count, minimumsMax.count) || Number(count) <= quota) continue
    report(
      place.at('attributes', key),
      `"${count}" is above the quota of ${quota} (quotas.targetsPerTargetGroup raises it)`,
    )
  }
}

function checkQuotas(
  { place, listeners }: FoundLoadBalancer,
  groups: readonly Found<TargetGroupDraft>[],
  quotas: Gathered['quotas'],
  report: Report,
): void {
  const rules = listeners.reduce((sum, { value }) => sum + (value.rules?.length ?? 0), 0)
  const targets = groups.reduce((sum, { value }) => sum + (value.targets?.length ?? 0), 0)
  checkQuota(place, listeners.length, 'listenersPerLoadBalancer', quotas, report)
  checkQuota(place, rules, 'rulesPerLoadBalancer', quotas, report)
  checkQuota(place, targets, 'targetsPerLoadBalancer', quotas, report)
  const certificates = listeners.reduce((sum, { value }) => sum + Math.max(0, (value.certificates?.length ?? 0) - 1), 0)
  checkQuota(place, certificates, 'certificatesPerLoadBalancer', quotas, report)
  if (groups.length > targetGroupsPerLoadBalancerMax) {
    report(place, `uses ${groups.length} target groups, more than the service's ${targetGroupsPerLoadBalancerMax}`)
  }
}
