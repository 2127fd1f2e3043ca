/** The health checks of one target in one target group: its schedule, its state, what is remembered of it. */

import { assert } from '../../base/assert.ts'
import type { Clock, Timer } from '../../base/clock.ts'
import type { TargetGroupArn } from '../../model/arns.ts'
import type { TargetHealth } from '../../model/health.ts'
import type { HealthCheck } from '../../model/resources.ts'
import type { SnapshotTarget } from '../../model/snapshot.ts'
import { TargetStateCode, type TargetStates } from '../../model/target-states.ts'
import { Probe, type ProbeOutcome } from '../probe.ts'
import { afterProbe, type CheckedState, registered } from '../state-machine.ts'
import { SlowStart } from './slow-start.ts'

/** How the targets of a group are checked, and what becomes of the healthy ones. */
export type CheckSettings = {
  readonly healthCheck: HealthCheck
  /** False when no listener or rule leads to the group: its targets are then `unused` and not probed. */
  readonly isInUse: boolean
  /** `slow_start.duration_seconds`; 0 for none. */
  readonly slowStartSeconds: number
}

/** A target group as one node has it: each node checks all targets, and has a view of its own of their health. */
export type GroupId = {
  readonly arn: TargetGroupArn
  readonly name: string
  /** The node's slot; null while no node has the group. */
  readonly node: number | null
}

export const groupKey = ({ arn, node }: GroupId): string => `${node} ${arn}`

export type CheckedTarget = Pick<SnapshotTarget, 'ip' | 'port'>

export type HealthChange = {
  readonly slot: number
  readonly group: GroupId
  readonly target: CheckedTarget
  readonly from: TargetHealth
  readonly to: TargetHealth
  /** Wall time. */
  readonly atMs: number
}

export type ProbeReport = {
  readonly slot: number
  readonly group: GroupId
  readonly target: CheckedTarget
  /** Where the probe went, which is not the target's own port when the health check has another. */
  readonly port: number
  readonly outcome: ProbeOutcome
}

export type CheckSurroundings = {
  readonly clock: Clock
  readonly states: TargetStates
  /** Called for a new target and when the state differs; another reason for the same state is no change. */
  readonly onChange: (change: HealthChange) => void
  /** Called after each probe, once its result is in force. */
  readonly onProbe: (report: ProbeReport) => void
  /** From 0 up to 1. */
  readonly random: () => number
  /** Whether some target of the group is healthy and not in slow start. */
  readonly hasTargetAtFullShare: (group: GroupId) => boolean
}

/** Changes remembered per target; older ones are forgotten. */
export const historyChangesMax = 100

export const notRegistered: TargetHealth = { state: 'unused', reason: 'Target.NotRegistered' }
const notInUse: TargetHealth = { state: 'unused', reason: 'Target.NotInUse' }

export class TargetCheck {
  readonly slot: number
  readonly group: GroupId
  readonly target: CheckedTarget
  health: TargetHealth = notRegistered
  lastProbe: ProbeOutcome | null = null
  readonly history: HealthChange[] = []
  readonly #around: CheckSurroundings
  readonly #slowStart: SlowStart
  /** A health check is in force from the next probe on. */
  #settings: CheckSettings
  /** It began together with the whole group: turning healthy for the first time, it gets its full share at once. */
  #isFounder = false
  /** null while nothing is checked. */
  #state: CheckedState | null = null
  #probe: Probe | null = null
  #nextProbe: Timer | null = null

  constructor(around: CheckSurroundings, group: GroupId & CheckSettings, target: SnapshotTarget) {
    this.#around = around
    this.#slowStart = new SlowStart(around.clock, around.states, target.slot)
    this.#settings = group
    this.slot = target.slot
    this.group = { arn: group.arn, name: group.name, node: group.node }
    this.target = { ip: target.ip, port: target.port }
  }

  get isChecking(): boolean {
    return this.#state !== null
  }

  /**
   * Begins, goes on or rests. A target that was at rest begins anew: what was known of it may be long past.
   *
   * @param isGroupNew no target of the group was being checked until now
   */
  configure(settings: CheckSettings, isGroupNew: boolean): void {
    this.#settings = settings
    this.#slowStart.configure(settings.slowStartSeconds)
    if (!settings.isInUse) {
      this.stop()
      this.#moveTo(notInUse)
    } else if (this.#state === null) {
      this.#state = registered
      this.#isFounder = isGroupNew
      this.#startFirstProbe()
      this.#moveTo(registered.health)
    }
  }

  /** No probe starts or ends after this, and the slot is not written any more: it may soon be another target's. */
  stop(): void {
    this.#slowStart.end()
    this.#state = null
    this.#nextProbe?.cancel()
    this.#nextProbe = null
    this.#probe?.cancel()
    this.#probe = null
  }

  /**
   * New targets are probed at once, however many there are. Their second probes are drawn from the second half of
   * the time between timeout and interval, and that sets them apart for good.
   */
  #startFirstProbe(): void {
    const { intervalSeconds, timeoutSeconds } = this.#settings.healthCheck
    this.#startProbe(intervalSeconds - (this.#around.random() * (intervalSeconds - timeoutSeconds)) / 2)
  }

  /** From start to start, so that a slow answer does not delay the next probe. */
  #startProbe(secondsToNext: number): void {
    // The timeout is the shorter, but after a stall of the whole process timers may run in another order.
    this.#probe?.timeOut()
    if (this.#state === null || this.#probe !== null) return // whoever was told of it stopped us, or began anew
    const { clock } = this.#around
    const check = this.#settings.healthCheck
    const { ip, port: targetPort } = this.target
    const port = check.port === 'traffic-port' ? targetPort : check.port
    const request = { ip, port, path: check.path, timeoutMs: check.timeoutSeconds * 1000, matcher: check.matcher }
    this.#nextProbe = clock.after(secondsToNext * 1000, () =>
      this.#startProbe(this.#settings.healthCheck.intervalSeconds),
    )
    this.#probe = new Probe(clock, request, outcome => this.#onOutcome(outcome, check, port))
  }

  /** @param check what the probe was started with */
  #onOutcome(outcome: ProbeOutcome, check: HealthCheck, port: number): void {
    assert(this.#state !== null, 'a stopped probe reports nothing')
    this.#probe = null
    this.lastProbe = outcome
    this.#state = afterProbe(this.#state, outcome, check)
    this.#moveTo(this.#state.health)
    const { slot, group, target } = this
    this.#around.onProbe({ slot, group, target, port, outcome })
  }

  #moveTo(to: TargetHealth): void {
    const from = this.health
    const isChange = from.state !== to.state || from === notRegistered
    // Before the state: no request is to meet a target that is healthy and not yet in slow start.
    if (isChange) this.#startSlowly(from, to)
    this.health = to
    if (!isChange) return
    const { clock, states, onChange } = this.#around
    states.setState(this.slot, TargetStateCode[to.state])
    const { slot, group, target } = this
    const change = { slot, group, target, from, to, atMs: clock.originMs + clock.now() }
    this.history.push(change)
    if (this.history.length > historyChangesMax) this.history.shift()
    onChange(change)
  }

  /** Asked while this target does not count as healthy itself. */
  #startSlowly(from: TargetHealth, to: TargetHealth): void {
    this.#slowStart.end()
    const { slowStartSeconds } = this.#settings
    if (to.state !== 'healthy' || slowStartSeconds === 0) return
    if (from.state === 'initial' && this.#isFounder) return
    if (this.#around.hasTargetAtFullShare(this.group)) this.#slowStart.begin(slowStartSeconds)
  }
}
