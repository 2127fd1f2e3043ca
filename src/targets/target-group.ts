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
  readonly #slot: number
  #eligible: readonly Target[] = []
  #eligibleGeneration = -1

  /** @param slot of the group in shared memory */
  constructor(arn: TargetGroupArn, slot: number, targets: readonly Target[]) {
    this.arn = arn
    this.#slot = slot
    this.targets = targets
  }

  /**
   * Picks the next eligible target in turn (`round_robin`). The turn is shared by all workers, so that nobody can tell
   * how many there are.
   *
   * @returns null only for an empty group; the caller answers with fault `groupEmpty`
   */
  pickTarget(states: TargetStates): Target | null {
    if (this.targets.length === 0) return null
    const eligible = this.eligibleTargets(states)
    return eligible[states.takeTurn(this.#slot) % eligible.length]!
  }

  /**
   * The healthy targets; with none healthy, all registered ones ("fail open"): an answer from a doubtful target beats
   * no answer.
   *
   * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
   */
  eligibleTargets(states: TargetStates): readonly Target[] {
    const { generation } = states
    if (generation !== this.#eligibleGeneration) {
      this.#eligibleGeneration = generation
      const healthy = this.targets.filter(({ slot }) => states.state(slot) === TargetStateCode.healthy)
      this.#eligible = healthy.length === 0 ? this.targets : healthy
    }
    return this.#eligible
  }
}

/** All target groups of a worker, kept across snapshots so that connections survive a change. */
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
        return [group.arn, new TargetGroup(group.arn, group.slot, targets)]
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
