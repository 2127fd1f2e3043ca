/** What the health checker is to do about resources that are in force. */

import type { CheckedGroup, CheckingNode } from '../health/checker.ts'
import { deregistering, groupNotInUse } from '../model/health.ts'
import { nodeIpOf, type Resources } from '../model/resources.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { backendPolicyOf, type SslPolicy } from '../model/ssl-policies.ts'
import type { DrainingTarget } from './publisher.ts'

/** @param snapshot made from these resources */
export function checkedGroups(
  { targetGroups }: Resources,
  snapshot: Snapshot,
  draining: readonly DrainingTarget[],
): CheckedGroup[] {
  const healthChecks = new Map(targetGroups.map(({ arn, healthCheck }) => [arn, healthCheck]))
  const checkers = checkersOf(snapshot)
  const registered = snapshot.targetGroups.map((nodeGroup): CheckedGroup => {
    const { arn, name, node, protocolVersion, attributes } = nodeGroup
    const group = { arn, name, node, targets: [...nodeGroup.targets, ...nodeGroup.targetsElsewhere] }
    if (node === null) return { ...group, checking: { isOn: false, health: groupNotInUse } }
    const { slowStartSeconds } = attributes
    const healthCheck = healthChecks.get(arn)!
    return {
      ...group,
      checking: { isOn: true, ...checkers.get(node)!, healthCheck, protocolVersion, slowStartSeconds },
    }
  })
  const leaving = draining.map(
    ({ group, groupName, ip, port, slots }): CheckedGroup => ({
      arn: group,
      name: groupName,
      node: null,
      checking: { isOn: false, health: deregistering },
      targets: slots.map(slot => ({ ip, port, slot })),
    }),
  )
  return [...registered, ...leaving]
}

type NodeChecker = { readonly node: CheckingNode; readonly backendPolicy: SslPolicy }

/** By the node's slot. */
function checkersOf({ loadBalancers }: Snapshot): Map<number, NodeChecker> {
  return new Map(
    loadBalancers.flatMap(({ name, id, listeners, nodes }) => {
      const backendPolicy = backendPolicyOf(listeners)
      return nodes.map(({ slot, addresses }) => {
        const node = { loadBalancerName: name, loadBalancerId: id, nodeIp: nodeIpOf(addresses[0]!) }
        return [slot, { node, backendPolicy }] as const
      })
    }),
  )
}
