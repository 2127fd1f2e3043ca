/**
 * Automatic Target Weights: finds targets that fail more often than their peers, and has `weighted_random` send them
 * less until they do not. Reads what the workers counted; knows nothing of requests.
 *
 * The service says what it compares (5xx answers and connection errors, each target with the others of its group) and
 * that it adjusts weights every five seconds. How much is too much, how fast weights move and when a target is well
 * again is unpublished: the numbers below are assumed.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html#automatic-target-weights
 */

import type { Clock, Timer } from '../base/clock.ts'
import type { TargetGroupAttributes } from '../model/resources.ts'
import type { SnapshotTargetGroup } from '../model/snapshot.ts'
import { TargetStateCode, type TargetStates, weightParity } from '../model/target-states.ts'

export const detectionIntervalMs = 5_000
/** Healthy targets of a group; with fewer there is nothing to compare with. */
export const healthyTargetsMin = 3

/** Assumed. Of a target, and of its peers together, for a verdict; until there are as many, evidence collects. */
export const requestsJudgedMin = 20
/** Assumed. By how much the share of errors must exceed the peers': 5 errors in 100 requests. */
export const errorRateMargin = 0.05
/**
 * Assumed. By how many standard errors: a well target would get there by chance once in 30,000 verdicts, were the
 * margin not in its way too.
 */
export const standardErrorsMin = 4
/** Assumed. A share of errors that exceeds the peers' by less is near theirs. */
export const errorRateNear = 0.02
/** Assumed. Verdicts in a row that find an anomalous target near its peers before it is normal: half a minute or more. */
export const nearVerdictsMin = 6

/** Assumed. An anomalous target keeps this much, so that there is evidence of its getting well. */
export const weightMin = 50
/** Assumed. What a weight regains in an interval: back at parity after a minute and a half. */
export const weightRise = 50

export type AnomalyResult = 'normal' | 'anomalous'

/** Counted over all workers since some beginning; neither ever falls. */
export type TargetReading = {
  /** Requests that ended. */
  readonly requests: number
  /** 5xx answers of the target, and everything that went wrong on its side: refused, reset, cut off, silent. */
  readonly errors: number
}

export type AnomalyDetectorOptions = {
  readonly clock: Clock
  readonly states: TargetStates
  readonly read: (slot: number) => TargetReading
}

type Evidence = { requests: number; errors: number }

export class AnomalyDetector {
  readonly #options: AnomalyDetectorOptions
  #groups: readonly WatchedGroup[] = []
  #bySlot: ReadonlyMap<number, WatchedTarget> = new Map()
  #next: Timer

  constructor(options: AnomalyDetectorOptions) {
    this.#options = options
    this.#next = this.#schedule()
  }

  /** Makes `groups` what is watched. What was found of a target stays with it, unless its group no longer mitigates. */
  apply(groups: readonly SnapshotTargetGroup[]): void {
    const { states, read } = this.#options
    const before = this.#bySlot
    const after = new Map<number, WatchedTarget>()
    this.#groups = groups.map(({ attributes, targets }) => {
      const watched = targets.map(({ slot }) => before.get(slot) ?? new WatchedTarget(slot, read(slot)))
      for (const target of watched) after.set(target.slot, target)
      return { mitigates: mitigates(attributes), targets: watched }
    })
    this.#bySlot = after
    for (const slot of before.keys()) if (!after.has(slot)) setWeight(states, slot, weightParity)
    for (const group of this.#groups) {
      if (!group.mitigates) for (const { slot } of group.targets) setWeight(states, slot, weightParity)
    }
  }

  result(slot: number): AnomalyResult {
    return this.#bySlot.get(slot)?.result ?? 'normal'
  }

  /** Until the weight is back at parity, also that of a target that is normal again (assumed). */
  isMitigated(slot: number): boolean {
    return this.#options.states.weight(slot) < weightParity
  }

  /** Ends all mitigation. */
  close(): void {
    this.#next.cancel()
    this.apply([])
  }

  #schedule(): Timer {
    return this.#options.clock.after(detectionIntervalMs, () => {
      this.#next = this.#schedule()
      for (const group of this.#groups) this.#inspect(group)
    })
  }

  #inspect({ mitigates, targets }: WatchedGroup): void {
    const { states, read } = this.#options
    for (const target of targets) target.take(read(target.slot))
    const isHealthy = ({ slot }: WatchedTarget): boolean => states.state(slot) === TargetStateCode.healthy
    const isComparable = targets.filter(isHealthy).length >= healthyTargetsMin
    for (const target of targets) if (!isComparable || !isHealthy(target)) target.forget()
    judge(targets)
    if (!mitigates) return
    for (const { slot, result } of targets) setWeight(states, slot, nextWeight(states.weight(slot), result))
  }
}

type WatchedGroup = { readonly mitigates: boolean; readonly targets: readonly WatchedTarget[] }

class WatchedTarget {
  readonly slot: number
  result: AnomalyResult = 'normal'
  /** The older, the less it counts: it halves with each verdict it was good for. */
  readonly evidence: Evidence = { requests: 0, errors: 0 }
  #nearVerdicts = 0
  #read: TargetReading

  constructor(slot: number, read: TargetReading) {
    this.slot = slot
    this.#read = read
  }

  take(reading: TargetReading): void {
    this.evidence.requests += reading.requests - this.#read.requests
    this.evidence.errors += reading.errors - this.#read.errors
    this.#read = reading
  }

  /** It is out of the comparison: what becomes of it later begins anew (assumed). */
  forget(): void {
    this.result = 'normal'
    this.evidence.requests = 0
    this.evidence.errors = 0
  }

  judge(peers: Evidence): void {
    const excess = errorRate(this.evidence) - errorRate(peers)
    this.#nearVerdicts = excess < errorRateNear ? this.#nearVerdicts + 1 : 0
    if (this.#nearVerdicts >= nearVerdictsMin) this.result = 'normal'
    const isFar = excess >= errorRateMargin && standardErrors(this.evidence, peers) >= standardErrorsMin
    if (isFar) this.result = 'anomalous'
  }

  fade(): void {
    this.evidence.requests /= 2
    this.evidence.errors /= 2
  }
}

/**
 * Compares each target with the others that were normal so far: one that is known to fail would hide the next. All
 * are compared with the same evidence, in whatever order they come. Targets without evidence have no part in it.
 */
function judge(targets: readonly WatchedTarget[]): void {
  const normal: Evidence = { requests: 0, errors: 0 }
  for (const { result, evidence } of targets) if (result === 'normal') add(normal, evidence, 1)
  const ready = targets.filter(({ evidence }) => evidence.requests >= requestsJudgedMin)
  for (const target of ready) {
    const peers = { ...normal }
    if (target.result === 'normal') add(peers, target.evidence, -1)
    if (peers.requests >= requestsJudgedMin) target.judge(peers)
  }
  for (const target of ready) target.fade()
}

function add(to: Evidence, { requests, errors }: Evidence, times: 1 | -1): void {
  to.requests += requests * times
  to.errors += errors * times
}

/** At most 1, though a request can count twice: a 5xx answer whose connection then breaks. */
function errorRate({ requests, errors }: Evidence): number {
  return Math.min(1, errors / requests)
}

/** How far apart two shares of errors are: the statistic of the two-proportion z-test, pooled. They differ. */
function standardErrors(one: Evidence, other: Evidence): number {
  const [rate, otherRate] = [errorRate(one), errorRate(other)]
  const requests = one.requests + other.requests
  const pooled = (rate * one.requests + otherRate * other.requests) / requests
  return (rate - otherRate) / Math.sqrt(pooled * (1 - pooled) * (1 / one.requests + 1 / other.requests))
}

function mitigates({ algorithm, anomalyMitigation }: TargetGroupAttributes): boolean {
  return algorithm === 'weighted_random' && anomalyMitigation
}

/** Down fast, since clients see the errors; up slowly, since a target that just recovered may break under load. */
function nextWeight(weight: number, result: AnomalyResult): number {
  return result === 'anomalous'
    ? Math.max(weightMin, Math.floor(weight / 2))
    : Math.min(weightParity, weight + weightRise)
}

/** Written only when it is another: each write has all workers look at their targets again. */
function setWeight(states: TargetStates, slot: number, weight: number): void {
  if (states.weight(slot) !== weight) states.setWeight(slot, weight)
}
