/**
 * The health checker: probes every registered target of the target groups in use and writes what it finds into the
 * states that all threads share, slow start included. Knows the groups it was last given and nothing of where they
 * come from; draining and removal are somebody else's to decide.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
 */

import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import type { TargetHealth } from '../model/health.ts'
import type { HealthCheck } from '../model/resources.ts'
import type { SnapshotTarget } from '../model/snapshot.ts'
import type { TargetStates } from '../model/target-states.ts'
import {
  type CheckSettings,
  type CheckSurroundings,
  type GroupId,
  groupKey,
  type HealthChange,
  notRegistered,
  type ProbeReport,
  TargetCheck,
} from './checker/target-check.ts'
import type { ProbeOutcome } from './probe.ts'

export type { CheckSettings, GroupId, HealthChange, ProbeReport } from './checker/target-check.ts'

export type CheckedGroup = GroupId & CheckSettings & { readonly targets: readonly SnapshotTarget[] }

export type HealthCheckerOptions = {
  readonly clock: Clock
  readonly states: TargetStates
  /** A target is new or its state another one. Called from `apply` too, for targets that begin or come to rest. */
  readonly onChange: (change: HealthChange) => void
  /** One health check ended: what a health check log holds. Comes after the change that it may have caused. */
  readonly onProbe?: (report: ProbeReport) => void
  /** From 0 up to 1; spreads the targets over the interval. */
  readonly random?: () => number
}

export class HealthChecker {
  readonly #around: CheckSurroundings
  /** By slot. */
  #checks: ReadonlyMap<number, TargetCheck> = new Map()
  #isClosed = false

  constructor({ clock, states, onChange, onProbe = () => {}, random = Math.random }: HealthCheckerOptions) {
    const hasTargetAtFullShare = (group: GroupId): boolean => this.#hasTargetAtFullShare(group)
    this.#around = { clock, states, onChange, onProbe, random, hasTargetAtFullShare }
  }

  /**
   * Makes `groups` what is checked. A target that stays keeps its state, streak and schedule, and a changed health
   * check governs it from its next probe on; a new one is `initial` and probed at once; one that is gone is
   * forgotten, its slot left as it is.
   */
  apply(groups: readonly CheckedGroup[]): void {
    assert(!this.#isClosed, 'a closed health checker is given nothing to check')
    const before = this.#checks
    const groupsBefore = new Set<string>()
    for (const check of before.values()) if (check.isChecking) groupsBefore.add(groupKey(check.group))
    const after = new Map<number, TargetCheck>()
    for (const group of groups) {
      assertProbeable(group.healthCheck)
      for (const target of group.targets) {
        assert(!after.has(target.slot), 'a slot belongs to one target')
        const check = before.get(target.slot)
        const isSame = check !== undefined && isCheckOf(check, group, target)
        after.set(target.slot, isSame ? check : new TargetCheck(this.#around, group, target))
      }
    }
    this.#checks = after
    // First the old, so that a slot's next owner is the only one that writes it.
    for (const check of before.values()) if (after.get(check.slot) !== check) check.stop()
    for (const group of groups) {
      const isNew = !groupsBefore.has(groupKey(group))
      for (const target of group.targets) {
        if (this.#checks !== after) return // onChange applied something newer, or closed us
        after.get(target.slot)!.configure(group, isNew)
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
    if (!this.#isClosed) this.apply([])
    this.#isClosed = true
  }

  #hasTargetAtFullShare(group: GroupId): boolean {
    const key = groupKey(group)
    for (const check of this.#checks.values()) {
      if (groupKey(check.group) !== key || check.health.state !== 'healthy') continue
      if (!this.#around.states.isSlowStarting(check.slot)) return true
    }
    return false
  }
}

function isCheckOf(check: TargetCheck, group: GroupId, target: SnapshotTarget): boolean {
  return groupKey(check.group) === groupKey(group) && check.target.ip === target.ip && check.target.port === target.port
}

/** Validation has seen to both; without them probes would overlap, or a path could forge a request. */
function assertProbeable(healthCheck: HealthCheck): void {
  assert(healthCheck.timeoutSeconds < healthCheck.intervalSeconds, 'a health check times out before the next begins')
  assert(/^\/[\x21-\x7e]*$/.test(healthCheck.path), 'a health check path is visible ASCII')
}
