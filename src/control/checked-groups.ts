/** What the health checker is to do about resources that are in force. */

import type { CheckedGroup, Checking, CheckingNode } from '../health/checker.ts'
import type { TargetGroupArn } from '../model/arns.ts'
import { deregistering, groupNotInUse } from '../model/health.ts'
import { forwardedGroups, type LoadBalancer, nodeIpOf, type Resources } from '../model/resources.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { backendPolicyOf, type SslPolicy } from '../model/ssl-policies.ts'
import type { DrainingTarget } from './publisher.ts'

/** @param snapshot made from these resources */
export function checkedGroups(
  { loadBalancers, targetGroups }: Resources,
  snapshot: Snapshot,
  draining: readonly DrainingTarget[],
): CheckedGroup[] {
  const users = usersOf(loadBalancers)
  const registered = targetGroups.map((group, i): CheckedGroup => {
    const { arn, name, healthCheck, protocolVersion, attributes } = group
    const user = users.get(arn)
    const { slowStartSeconds } = attributes
    const checking: Checking =
      user === undefined
        ? { isOn: false, health: groupNotInUse }
        : { isOn: true, ...user, healthCheck, protocolVersion, slowStartSeconds }
    return { arn, name, checking, targets: snapshot.targetGroups[i]!.targets }
  })
  const leaving = draining.map(
    ({ group, groupName, ...target }): CheckedGroup => ({
      arn: group,
      name: groupName,
      checking: { isOn: false, health: deregistering },
      targets: [target],
    }),
  )
  return [...registered, ...leaving]
}

type User = { readonly node: CheckingNode; readonly backendPolicy: SslPolicy }

/** The load balancer that uses each group, or its first node. */
function usersOf(loadBalancers: readonly LoadBalancer[]): Map<TargetGroupArn, User> {
  const users = new Map<TargetGroupArn, User>()
  for (const { name, id, bind, listeners } of loadBalancers) {
    const node = { loadBalancerName: name, loadBalancerId: id, nodeIp: nodeIpOf(bind[0]!) }
    const user = { node, backendPolicy: backendPolicyOf(listeners) }
    for (const arn of listeners.flatMap(forwardedGroups)) users.set(arn, user)
  }
  return users
}
