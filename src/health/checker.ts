/**
 * The health checker: probes every registered target of the target groups in use and writes what it finds into the
 * states that all threads share, slow start included. Knows the groups it was last given and nothing of where they
 * come from; draining and removal are somebody else's to decide.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
 */

import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { notRegistered, type TargetHealth } from '../model/health.ts'
import type { HealthCheck } from '../model/resources.ts'
import type { SnapshotTarget } from '../model/snapshot.ts'
import type { TargetStates } from '../model/target-states.ts'
import {
  type Checking,
  type CheckSurroundings,
  type GroupId,
  groupKey,
  type HealthChange,
  type ProbeReport,
  TargetCheck,
} from './checker/target-check.ts'
import { type ProbeOutcome, type StartProbe, startProbe } from './probe.ts'

export type { Checking, CheckingNode, GroupId, HealthChange, ProbeReport } from './checker/target-check.ts'

/**
 * Targets of one group, as one node has them. A group may be there several times: once for each node, each with slots
 * of its own for the targets, and for those of its targets that are not checked.
 */
export type CheckedGroup = GroupId & { readonly checking: Checking; readonly targets: readonly SnapshotTarget[] }

export type HealthCheckerOptions = {
  readonly clock: Clock
  readonly states: TargetStates
  /** A target is new, leaves, or its state is another one. Called from `apply` too. */
  readonly onChange: (change: HealthChange) => void
  /** One health check ended: what a health check log holds. Comes after the change that it may have caused. */
  readonly onProbe?: (report: ProbeReport) => void
  readonly startProbe?: StartProbe
  /** From 0 up to 1; spreads the probes over the interval. */
  readonly random?: () => number
}

/**
 * Ours: of targets that are registered together so many are probed at once, the next ones a little later, all within
 * half of their interval. Their later probes find moments of their own.
 */
const launchedTogetherMax = 20
const launchEveryMs = 40

export class HealthChecker {
  readonly #around: CheckSurroundings
  /** By slot. */
  #checks: ReadonlyMap<number, TargetCheck> = new Map()
  /** What one node checks for one group, by `groupKey`. */
  #peers: ReadonlyMap<string, readonly TargetCheck[]> = new Map()
  #isClosed = false

  constructor(options: HealthCheckerOptions) {
    const hasPeerAtFullShare = (group: GroupId): boolean => this.#hasPeerAtFullShare(group)
    this.#around = { onProbe: () => {}, startProbe, random: Math.random, ...options, hasPeerAtFullShare }
  }

  /**
   * Makes `groups` what is checked. A target that stays keeps its state, streak and schedule, and a changed health
   * check governs it from its next probe on; a new one is `initial` and probed at once, or nearly so when there are
   * many; one that is gone is forgotten, its slot left as it is.
   */
  apply(groups: readonly CheckedGroup[]): void {
    assert(!this.#isClosed, 'a closed health checker is given nothing to check')
    const before = this.#checks
    const peersBefore = this.#peers
    const { checks, peers } = this.#plan(groups)
    const founded = new Set([...peers.keys()].filter(key => !peersBefore.get(key)?.some(check => check.isChecking)))
    const launches = [...peers.values()].flat().filter(check => !check.isChecking).length
    this.#checks = checks
    this.#peers = peers
    // First the old, so that a slot's next owner is the only one that writes it.
    const leaving = [...before.values()].filter(check => checks.get(check.slot) !== check)
    for (const check of leaving) check.stop()
    for (const check of leaving) if (this.#checks === checks) check.leave()
    let launched = 0
    for (const group of groups) {
      const { checking, targets } = group
      for (const { slot } of targets) {
        if (this.#checks !== checks) return // onChange applied something newer, or closed us
        const check = checks.get(slot)!
        if (!checking.isOn) check.rest(checking.health)
        else if (check.isChecking) check.goOn(checking)
        else {
          const isFounder = founded.has(groupKey(group))
          check.begin(checking, isFounder, launchDelayMs(launched++, launches, checking.healthCheck))
        }
      }
    }
  }

  /** A slot that is not checked reads as not registered. */
  health(slot: number): TargetHealth {
    return this.#checks.get(slot)?.health ?? notRegistered
  }

  /** null until the first probe has ended. */
  lastProbe(slot: number): ProbeOutcome | null {
    return this.#checks.get(slot)?.lastProbe ?? null
  }

  /** The changes of a target since it was registered, oldest first; the last hundred of them. */
  history(slot: number): readonly HealthChange[] {
    return this.#checks.get(slot)?.history ?? []
  }

  /** Stops all probes and forgets all targets; the shared states stay as they are. */
  close(): void {
    for (const check of this.#checks.values()) check.stop()
    this.#checks = new Map()
    this.#isClosed = true
  }

  /** Changes nothing yet. */
  #plan(groups: readonly CheckedGroup[]) {
    const checks = new Map<number, TargetCheck>()
    const peers = new Map<string, TargetCheck[]>()
    for (const group of groups) {
      const ofGroup = group.targets.map(target => this.#keepOrAdd(group, target))
      for (const check of ofGroup) {
        assert(!checks.has(check.slot), 'a slot belongs to one target')
        checks.set(check.slot, check)
      }
      if (!group.checking.isOn) continue
      assertProbeable(group.checking.healthCheck)
      const key = groupKey(group)
      peers.set(key, [...(peers.get(key) ?? []), ...ofGroup])
    }
    return { checks, peers }
  }

  #keepOrAdd(group: CheckedGroup, target: SnapshotTarget): TargetCheck {
    const known = this.#checks.get(target.slot)
    return known !== undefined && isCheckOf(known, group, target) ? known : new TargetCheck(this.#around, group, target)
  }

  #hasPeerAtFullShare(group: GroupId): boolean {
    const peers = this.#peers.get(groupKey(group)) ?? []
    return peers.some(({ health, slot }) => health.state === 'healthy' && !this.#around.states.isSlowStarting(slot))
  }
}

/** What no node has is at rest, and stays what its slot was to the one that had it. */
function isCheckOf({ group, target }: TargetCheck, { arn, node }: GroupId, { ip, port }: SnapshotTarget): boolean {
  return group.arn === arn && (node === null || group.node === node) && target.ip === ip && target.port === port
}

function launchDelayMs(index: number, launches: number, { intervalSeconds }: HealthCheck): number {
  const waves = Math.ceil(launches / launchedTogetherMax)
  const wave = Math.floor(index / launchedTogetherMax)
  return wave * Math.min(launchEveryMs, (intervalSeconds * 1000) / 2 / waves)
}

/** Validation has seen to both; without them probes would overlap, or a path could forge a request. */
function assertProbeable(healthCheck: HealthCheck): void {
  assert(healthCheck.timeoutSeconds < healthCheck.intervalSeconds, 'a health check times out before the next begins')
  assert(/^\/[\x21-\x7e]*$/.test(healthCheck.path), 'a health check path is visible ASCII')
}
