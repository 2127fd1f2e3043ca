/** Which nodes there are, which target groups each has, and what each may do with their targets. */

import type { LoadBalancerArn, TargetGroupArn } from '../model/arns.ts'
import {
  type AvailabilityZone,
  allZones,
  forwardedGroups,
  type LoadBalancer,
  type Resources,
  type Target,
  type TargetGroup,
} from '../model/resources.ts'

/** A load balancer in one of its zones. */
export type Node = { readonly loadBalancer: LoadBalancer; readonly zone: AvailabilityZone }

/** A target group as a node has it. Registered targets in neither list are in zones that are not enabled. */
export type NodeGroup = {
  /** Null while no listener or rule leads to the group: it is nobody's yet. */
  readonly node: Node | null
  readonly group: TargetGroup
  readonly targets: readonly Target[]
  readonly targetsElsewhere: readonly Target[]
}

export function nodesOf({ loadBalancers }: Resources): Node[] {
  return loadBalancers.flatMap(loadBalancer => loadBalancer.availabilityZones.map(zone => ({ loadBalancer, zone })))
}

/** Unique and the same over publications. */
export function nodeName(loadBalancer: LoadBalancerArn, zoneName: string): string {
  return `${loadBalancer} ${zoneName}`
}

/** Which load balancer forwards to a target group; no other one may. */
export function usersOfGroups(loadBalancers: readonly LoadBalancer[]): ReadonlyMap<TargetGroupArn, LoadBalancer> {
  return new Map(
    loadBalancers.flatMap(loadBalancer =>
      loadBalancer.listeners.flatMap(forwardedGroups).map(arn => [arn, loadBalancer] as const),
    ),
  )
}

/** In the order of the target groups, then of the zones. */
export function nodeGroupsOf({ loadBalancers, targetGroups }: Resources): NodeGroup[] {
  const users = usersOfGroups(loadBalancers)
  return targetGroups.flatMap((group): NodeGroup[] => {
    const loadBalancer = users.get(group.arn)
    if (loadBalancer === undefined) return [{ node: null, group, targets: group.targets, targetsElsewhere: [] }]
    return loadBalancer.availabilityZones.map(zone => nodeGroup({ loadBalancer, zone }, group))
  })
}

function nodeGroup(node: Node, group: TargetGroup): NodeGroup {
  const enabled = group.targets.filter(target => isEnabled(node.loadBalancer, target))
  const shiftedZone = shiftedZoneOf(group, node.loadBalancer)
  const isReached = ({ availabilityZone }: Target) =>
    group.attributes.crossZone
      ? availabilityZone !== shiftedZone
      : [allZones, node.zone.zoneName].includes(availabilityZone)
  return {
    node,
    group,
    targets: enabled.filter(isReached),
    targetsElsewhere: enabled.filter(target => !isReached(target)),
  }
}

/**
 * The zone whose targets a zonal shift leaves out. It does nothing to a group that has no targets elsewhere. Where
 * requests stay in their zone it is DNS that keeps them away from these targets; whoever comes all the same is served
 * (assumed).
 *
 * @returns null for none
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/zonal-shift.html
 */
export function shiftedZoneOf({ targets }: TargetGroup, loadBalancer: LoadBalancer): string | null {
  const { shiftedZone } = loadBalancer
  const hasOthers = targets.some(target => target.availabilityZone !== shiftedZone && isEnabled(loadBalancer, target))
  return hasOthers ? shiftedZone : null
}

/** Whether the target is in a zone of the load balancer, without which nobody uses it or checks its health. */
export function isEnabled({ availabilityZones }: LoadBalancer, { availabilityZone }: Target): boolean {
  return availabilityZone === allZones || availabilityZones.some(({ zoneName }) => zoneName === availabilityZone)
}
