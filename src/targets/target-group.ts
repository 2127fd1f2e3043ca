/** Target groups at run time, in one worker: who is in them, and whose turn it is. */

import type { TargetGroupArn } from '../model/arns.ts'
import { formatAddress } from '../model/resources.ts'
import type { SnapshotTarget, SnapshotTargetGroup } from '../model/snapshot.ts'
import { TargetStateCode, type TargetStates } from '../model/target-states.ts'
import type { TargetConnection } from './target-connection.ts'

export class Target {
  readonly slot: number
  readonly ip: string
  readonly port: number
  /** As logs write it. */
  readonly address: string
  /** Connections without a request; the one used last stands last and is taken first. */
  readonly idle: TargetConnection[] = []
  /** False once it was deregistered: what is in flight may end, nothing is kept. */
  isRegistered = true
  /** How long an unused connection is kept. */
  idleTimeoutMs: number

  constructor(target: SnapshotTarget, idleTimeoutMs: number) {
    this.slot = target.slot
    this.ip = target.ip
    this.port = target.port
    this.address = formatAddress(target.ip, target.port)
    this.idleTimeoutMs = idleTimeoutMs
  }
}

export class TargetGroup {
  readonly arn: TargetGroupArn
  readonly targets: readonly Target[]
  #next: number

  /** @param next where the turn stands, so that a new configuration does not send everything to the first target */
  constructor(arn: TargetGroupArn, targets: readonly Target[], next: number) {
    this.arn = arn
    this.targets = targets
    this.#next = next
  }

  get next(): number {
    return this.#next
  }

  /**
   * Picks the next healthy target in turn (`round_robin`).
   *
   * With no healthy target in the group, all registered ones take turns ("fail open"): an answer from a doubtful
   * target beats no answer.
   *
   * @returns null only for an empty group; the caller answers with fault `groupEmpty`
   * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
   */
  pickTarget(states: TargetStates): Target | null {
    const count = this.targets.length
    if (count === 0) return null
    for (let i = 0; i < count; i++) {
      const at = (this.#next + i) % count
      const target = this.targets[at]!
      if (states.state(target.slot) !== TargetStateCode.healthy) continue
      this.#next = (at + 1) % count
      return target
    }
    const at = this.#next % count
    this.#next = (at + 1) % count
    return this.targets[at]!
  }
}

/** All target groups of a worker, kept across snapshots so that connections and turns survive a change. */
export class TargetRegistry {
  #groups = new Map<TargetGroupArn, TargetGroup>()
  #targets = new Map<number, Target>()

  group(arn: TargetGroupArn): TargetGroup {
    const group = this.#groups.get(arn)
    if (group === undefined) throw new RangeError(`snapshot names an unknown target group: ${arn}`)
    return group
  }

  apply(groups: readonly SnapshotTargetGroup[], idleTimeoutMsOf: (arn: TargetGroupArn) => number): void {
    const before = this.#targets
    this.#targets = new Map()
    this.#groups = new Map(
      groups.map(group => {
        const idleTimeoutMs = idleTimeoutMsOf(group.arn)
        const targets = group.targets.map(target => this.#keepOrAdd(before, target, idleTimeoutMs))
        return [group.arn, new TargetGroup(group.arn, targets, this.#groups.get(group.arn)?.next ?? 0)]
      }),
    )
    for (const [slot, target] of before) if (!this.#targets.has(slot)) deregister(target)
  }

  #keepOrAdd(before: ReadonlyMap<number, Target>, described: SnapshotTarget, idleTimeoutMs: number): Target {
    const known = before.get(described.slot)
    const target = known ?? new Target(described, idleTimeoutMs)
    target.idleTimeoutMs = idleTimeoutMs
    this.#targets.set(described.slot, target)
    return target
  }
}

function deregister(target: Target): void {
  target.isRegistered = false
  for (const connection of target.idle.splice(0)) connection.close()
}
