/** The health checks of one target by one node: its schedule, its state, what is remembered of it. */

import { assert } from '../../base/assert.ts'
import type { Clock, Timer } from '../../base/clock.ts'
import type { TargetGroupArn } from '../../model/arns.ts'
import { notRegistered, type RestingHealth, type TargetHealth } from '../../model/health.ts'
import type { HealthCheck, ProtocolVersion } from '../../model/resources.ts'
import type { SnapshotTarget } from '../../model/snapshot.ts'
import type { SslPolicy } from '../../model/ssl-policies.ts'
import { TargetStateCode, type TargetStates } from '../../model/target-states.ts'
import type { LogSource } from '../../observe/log-files.ts'
import { targetTlsOptions } from '../../targets/target-tls.ts'
import type { ProbeOutcome, ProbeRequest, RunningProbe, StartProbe } from '../probe.ts'
import { afterProbe, type CheckedState, checking, registered } from '../state-machine.ts'
import { SlowStart } from './slow-start.ts'

/** How a node checks the targets of a group, or what they show when it does not. */
export type Checking =
  | {
      readonly isOn: true
      readonly node: CheckingNode
      readonly healthCheck: HealthCheck
      readonly protocolVersion: ProtocolVersion
      /** What HTTPS probes offer. */
      readonly backendPolicy: SslPolicy
      /** `slow_start.duration_seconds`; 0 for none. */
      readonly slowStartSeconds: number
    }
  | { readonly isOn: false; readonly health: RestingHealth }

export type CheckingOn = Extract<Checking, { readonly isOn: true }>

/** A load balancer's presence in a zone. */
export type CheckingNode = Omit<LogSource, 'kind'>

/** A target group as one node has it: each node checks all targets, and has a view of its own of their health. */
export type GroupId = {
  readonly arn: TargetGroupArn
  readonly name: string
  /** The node's slot; null where no node has the group, or the targets no more. */
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
  /** The health check that it came of; null where none had to do with it. */
  readonly outcome: ProbeOutcome | null
}

export type ProbeReport = {
  readonly slot: number
  readonly node: CheckingNode
  readonly group: GroupId
  readonly target: CheckedTarget
  /** How it was asked, where it went included, which is another port than the target's if the health check has one. */
  readonly request: ProbeRequest
  readonly outcome: ProbeOutcome
}

export type CheckSurroundings = {
  readonly clock: Clock
  readonly states: TargetStates
  readonly startProbe: StartProbe
  /** Called when a target is new, leaves, or is in another state; another reason for the same state is no change. */
  readonly onChange: (change: HealthChange) => void
  /** Called after each probe, once its result is in force. */
  readonly onProbe: (report: ProbeReport) => void
  /** From 0 up to 1. */
  readonly random: () => number
  /** Whether some target of the group is healthy and not in slow start. */
  readonly hasPeerAtFullShare: (group: GroupId) => boolean
}

/** Changes remembered per target; older ones are forgotten. */
export const historyChangesMax = 100

/**
 * Of an interval, how much earlier than that a probe may start: targets that were probed at the same moment drift
 * apart. The service calls its interval approximate; how far it strays is assumed.
 */
const intervalJitter = 0.05
/**
 * Ours: where they can, probes begin at moments so far apart, and those of a moment share the turns of the event loop
 * that follow: a quarter less CPU with 3,000 checks every 5 s, of which 15 begin together.
 */
const sharedMomentsMs = 25

export class TargetCheck {
  readonly slot: number
  readonly group: GroupId
  readonly target: CheckedTarget
  health: TargetHealth = notRegistered
  lastProbe: ProbeOutcome | null = null
  readonly history: HealthChange[] = []
  readonly #around: CheckSurroundings
  readonly #slowStart: SlowStart
  /** In force from the next probe on; null while nothing is checked, as is the state. */
  #checking: CheckingOn | null = null
  #state: CheckedState | null = null
  /** It began together with the whole group: turning healthy for the first time, it gets its full share at once. */
  #isFounder = false
  #probe: RunningProbe | null = null
  #nextProbe: Timer | null = null

  constructor(around: CheckSurroundings, group: GroupId, target: SnapshotTarget) {
    this.#around = around
    this.#slowStart = new SlowStart(around.clock, around.states, target.slot)
    this.slot = target.slot
    this.group = { arn: group.arn, name: group.name, node: group.node }
    this.target = { ip: target.ip, port: target.port }
  }

  get isChecking(): boolean {
    return this.#checking !== null
  }

  /**
   * A target that was at rest begins anew: what was known of it may be long past.
   *
   * @param isFounder no target of the group was being checked until now
   */
  begin(checking: CheckingOn, isFounder: boolean, firstProbeInMs: number): void {
    this.#checking = checking
    this.#isFounder = isFounder
    this.#state = registered
    if (firstProbeInMs === 0) {
      this.#startFirstProbe()
      return
    }
    this.#nextProbe = this.#around.clock.after(firstProbeInMs, () => this.#startFirstProbe())
    this.#moveTo(registered.health, null)
  }

  goOn(checking: CheckingOn): void {
    this.#checking = checking
    this.#slowStart.configure(checking.slowStartSeconds)
  }

  rest(health: RestingHealth): void {
    this.stop()
    this.#moveTo(health, null)
  }

  /** No probe starts or ends after this, and the slot is not written any more: it may soon be another target's. */
  stop(): void {
    this.#slowStart.end()
    this.#checking = null
    this.#state = null
    this.#nextProbe?.cancel()
    this.#nextProbe = null
    this.#probe?.cancel()
    this.#probe = null
  }

  /** It was stopped, and is not to be checked again. */
  leave(): void {
    this.#tell(notRegistered, null)
  }

  /**
   * Behind the first probe, the second is drawn from the second half of the interval, which sets targets apart that
   * were registered together.
   */
  #startFirstProbe(): void {
    const { intervalSeconds, timeoutSeconds } = this.#checking!.healthCheck
    this.#state = checking
    this.#startProbe(this.#drawMs(Math.max(timeoutSeconds, intervalSeconds / 2), intervalSeconds))
    this.#moveTo(checking.health, null)
  }

  #startNextProbe(): void {
    const { intervalSeconds, timeoutSeconds } = this.#checking!.healthCheck
    this.#startProbe(this.#drawMs(Math.max(timeoutSeconds, intervalSeconds * (1 - intervalJitter)), intervalSeconds))
  }

  /** How long to wait for some moment in that time from now on. */
  #drawMs(fromSeconds: number, toSeconds: number): number {
    const { clock, random } = this.#around
    const now = clock.now()
    const latest = now + toSeconds * 1000
    const drawn = latest - random() * (toSeconds - fromSeconds) * 1000
    const shared = Math.ceil(drawn / sharedMomentsMs) * sharedMomentsMs
    return (shared <= latest ? shared : drawn) - now
  }

  /** From start to start, so that a slow answer does not delay the next probe. */
  #startProbe(nextInMs: number): void {
    // The timeout is the shorter, but after a stall of the whole process timers may run in another order.
    this.#probe?.timeOut()
    if (this.#checking === null || this.#probe !== null) return // whoever was told of it stopped us, or began anew
    const { clock, startProbe } = this.#around
    const checking = this.#checking
    const request = requestOf(this.target, checking)
    this.#nextProbe = clock.after(nextInMs, () => this.#startNextProbe())
    this.#probe = startProbe(clock, request, outcome => this.#onOutcome(outcome, checking, request))
  }

  /** @param by what the probe was started with */
  #onOutcome(outcome: ProbeOutcome, by: CheckingOn, request: ProbeRequest): void {
    assert(this.#state !== null, 'a stopped probe reports nothing')
    this.#probe = null
    this.lastProbe = outcome
    this.#state = afterProbe(this.#state, outcome, by.healthCheck)
    this.#moveTo(this.#state.health, outcome)
    const { slot, group, target } = this
    this.#around.onProbe({ slot, node: by.node, group, target, request, outcome })
  }

  #moveTo(to: TargetHealth, outcome: ProbeOutcome | null): void {
    const from = this.health
    if (from.state === to.state && from !== notRegistered) {
      this.health = to
      return
    }
    // Before the state: no request is to meet a target that is healthy and not yet in slow start.
    this.#startSlowly(from, to)
    this.#around.states.setState(this.slot, TargetStateCode[to.state])
    this.#tell(to, outcome)
  }

  #tell(to: TargetHealth, outcome: ProbeOutcome | null): void {
    const { clock, onChange } = this.#around
    const { slot, group, target, health: from } = this
    const change = { slot, group, target, from, to, atMs: clock.originMs + clock.now(), outcome }
    this.health = to
    this.history.push(change)
    if (this.history.length > historyChangesMax) this.history.shift()
    onChange(change)
  }

  /** Asked while this target does not count as healthy itself. */
  #startSlowly(from: TargetHealth, to: TargetHealth): void {
    this.#slowStart.end()
    if (to.state !== 'healthy' || this.#checking === null) return
    const { slowStartSeconds } = this.#checking
    if (slowStartSeconds === 0 || (from.state === 'initial' && this.#isFounder)) return
    if (this.#around.hasPeerAtFullShare(this.group)) this.#slowStart.begin(slowStartSeconds)
  }
}

function requestOf(target: CheckedTarget, { healthCheck, protocolVersion, backendPolicy }: CheckingOn): ProbeRequest {
  const { protocol, port, path, timeoutSeconds, matcher } = healthCheck
  return {
    ip: target.ip,
    port: port === 'traffic-port' ? target.port : port,
    tls: protocol === 'HTTPS' ? targetTlsOptions(backendPolicy) : null,
    protocolVersion,
    path,
    timeoutMs: timeoutSeconds * 1000,
    matcher,
  }
}
