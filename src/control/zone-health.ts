/**
 * Which zones of a load balancer are well enough for DNS to lead clients there.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health.html
 */

import { dnsDomain } from '../model/arns.ts'
import { meetsThreshold } from '../model/health.ts'
import { nodeIpOf } from '../model/resources.ts'
import type { Snapshot, SnapshotLoadBalancer, SnapshotNode, SnapshotTargetGroup } from '../model/snapshot.ts'
import { TargetStateCode, type TargetStates } from '../model/target-states.ts'

/** How a target group does, as a node sees it. */
export type NodeGroupHealth = {
  readonly healthy: number
  readonly unhealthy: number
  readonly isFitForRouting: boolean
  readonly isFitForDns: boolean
}

export function nodeGroupHealth({ targets, attributes }: SnapshotTargetGroup, states: TargetStates): NodeGroupHealth {
  const count = (code: TargetStateCode) => targets.filter(({ slot }) => states.state(slot) === code).length
  const healthy = count(TargetStateCode.healthy)
  return {
    healthy,
    unhealthy: count(TargetStateCode.unhealthy),
    isFitForRouting: meetsThreshold(attributes.routingThreshold, healthy, targets.length),
    isFitForDns: meetsThreshold(attributes.dnsThreshold, healthy, targets.length),
  }
}

/**
 * The nodes that DNS leads to: of the zones where some target group is fit, and that traffic is not shifted away from.
 * Where that leaves none, all of them.
 */
export function nodesInDns(
  loadBalancer: SnapshotLoadBalancer,
  { targetGroups }: Snapshot,
  states: TargetStates,
): readonly SnapshotNode[] {
  const fit = loadBalancer.nodes.filter(({ slot, zoneName }) => {
    if (zoneName === loadBalancer.shiftedZone) return false
    const groups = targetGroups.filter(({ node }) => node === slot)
    return groups.length === 0 || groups.some(group => nodeGroupHealth(group, states).isFitForDns)
  })
  return fit.length === 0 ? loadBalancer.nodes : fit
}

/** With this before it, a DNS name means the same. */
const dualStack = 'dualstack.'

/**
 * What DNS says of a name.
 *
 * @param name in lower case
 * @returns null when there is no such name; it may exist and have no addresses, as all that names end in
 */
export function addressesInDns(name: string, snapshot: Snapshot, states: TargetStates): readonly string[] | null {
  const asked = name.startsWith(dualStack) ? name.slice(dualStack.length) : name
  const names = snapshot.loadBalancers.map(({ dnsName }) => dnsName.toLowerCase())
  const loadBalancer = snapshot.loadBalancers[names.indexOf(asked)]
  if (loadBalancer !== undefined) {
    return nodesInDns(loadBalancer, snapshot, states).flatMap(({ addresses }) => addresses.map(nodeIpOf))
  }
  return name === dnsDomain || names.some(each => each.endsWith(`.${name}`)) ? [] : null
}
