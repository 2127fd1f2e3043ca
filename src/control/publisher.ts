/**
 * Turns resources into snapshots: gives each load balancer and target its slot in shared memory, numbers what is
 * published, and keeps deregistered targets draining for their delay.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html
 */

import { randomBytes } from 'node:crypto'
import type { Clock, Timer } from '../base/clock.ts'
import type { LoadBalancerArn, TargetGroupArn } from '../model/arns.ts'
import { loadBalancerSlotsMax, targetGroupSlotsMax, targetSlotsMax } from '../model/limits.ts'
import type { Resources, TargetGroup } from '../model/resources.ts'
import { formatAddress } from '../model/resources.ts'
import type { CookieKey, Snapshot, SnapshotTarget } from '../model/snapshot.ts'
import { TargetStateCode, type TargetStates } from '../model/target-states.ts'

export type DrainingTarget = SnapshotTarget & {
  readonly group: TargetGroupArn
  readonly groupName: string
  /** By the clock's `now`. */
  readonly endsAtMs: number
}

export type PublisherOptions = {
  readonly clock: Clock
  readonly states: TargetStates
  /** Newest first. */
  readonly cookieKeys: () => readonly CookieKey[]
  /** The deregistration delay of this target is over: what it still works on is to be cut. */
  readonly onDrained: (target: DrainingTarget) => void
  /** The slot is about to serve another resource. */
  readonly onSlotFreed: (kind: 'loadBalancer' | 'target', slot: number) => void
}

/** As `node:tls` takes them. */
const tlsTicketKeysBytes = 48
/** After a cut, workers still take a moment to count the requests out. */
const slotRestMs = 5_000

export class OutOfSlots extends Error {
  override readonly name = 'OutOfSlots'
}

type Draining = DrainingTarget & { timer: Timer }

export class Publisher {
  readonly #options: PublisherOptions
  readonly #loadBalancerSlots = new Slots('load balancers', loadBalancerSlotsMax)
  readonly #targetSlots = new Slots('targets', targetSlotsMax)
  readonly #groupSlots = new Slots('target groups', targetGroupSlotsMax)
  readonly #draining = new Map<string, Draining>()
  readonly #tlsTicketKeys: Uint8Array = randomBytes(tlsTicketKeysBytes)
  #resources: Resources = { loadBalancers: [], targetGroups: [] }
  #number = 0

  constructor(options: PublisherOptions) {
    this.#options = options
  }

  /** What is in force, or was last prepared. */
  get resources(): Resources {
    return this.#resources
  }

  get draining(): readonly DrainingTarget[] {
    return [...this.#draining.values()]
  }

  /**
   * Prepares the next snapshot. Nothing else changes until `commit`, so a snapshot that the workers refuse leaves no
   * trace but a gap in the numbers.
   *
   * @throws OutOfSlots
   */
  prepare(resources: Resources): Snapshot {
    this.#number++
    try {
      return this.#describe(resources)
    } catch (error) {
      this.rollBack(resources)
      throw error
    }
  }

  /** The workers serve it: targets that are gone begin to drain, slots that nobody needs rest. */
  commit(resources: Resources): void {
    const before = this.#resources
    this.#resources = resources
    const registered = new Set(resources.targetGroups.flatMap(group => group.targets.map(t => targetKey(group.arn, t))))
    for (const key of registered) {
      this.#cancelDraining(key)
      // Its delay may have ended since `prepare`: its slot is not to rest then.
      this.#targetSlots.of(key)
    }
    for (const group of before.targetGroups) this.#drainRemoved(group, registered)
    const kept = new Set<string>(resources.loadBalancers.map(({ arn }) => arn))
    for (const { arn } of before.loadBalancers) if (!kept.has(arn)) this.#rest('loadBalancer', arn)
    this.#freeGroups(before, resources)
  }

  /** The workers refused it: slots that only it used rest, since some of the workers may have begun to use them. */
  rollBack(refused: Resources): void {
    const kept = new Set<string>(this.#resources.loadBalancers.map(({ arn }) => arn))
    for (const { arn } of refused.loadBalancers) if (!kept.has(arn)) this.#rest('loadBalancer', arn)
    this.#freeGroups(refused, this.#resources)
    const known = new Set(
      this.#resources.targetGroups.flatMap(group => group.targets.map(t => targetKey(group.arn, t))),
    )
    for (const { arn, targets } of refused.targetGroups) {
      for (const target of targets) {
        const key = targetKey(arn, target)
        if (!known.has(key) && !this.#draining.has(key)) this.#rest('target', key)
      }
    }
  }

  slotOfLoadBalancer(arn: LoadBalancerArn): number {
    return this.#loadBalancerSlots.of(arn)
  }

  slotOfTarget(group: TargetGroupArn, target: { readonly ip: string; readonly port: number }): number {
    return this.#targetSlots.of(targetKey(group, target))
  }

  close(): void {
    for (const { timer } of this.#draining.values()) timer.cancel()
    this.#draining.clear()
  }

  #describe(resources: Resources): Snapshot {
    return {
      number: this.#number,
      loadBalancers: resources.loadBalancers.map(loadBalancer => ({
        ...loadBalancer,
        slot: this.#loadBalancerSlots.of(loadBalancer.arn),
      })),
      targetGroups: resources.targetGroups.map(({ arn, name, protocol, protocolVersion, attributes, targets }) => ({
        arn,
        name,
        protocol,
        protocolVersion,
        attributes,
        slot: this.#groupSlots.of(arn),
        targets: targets.map(target => ({ ...target, slot: this.#targetSlots.of(targetKey(arn, target)) })),
      })),
      cookieKeys: this.#options.cookieKeys(),
      tlsTicketKeys: this.#tlsTicketKeys,
    }
  }

  /** A group's slot holds but its turn, so another group may have it at once. */
  #freeGroups(from: Resources, kept: Resources): void {
    const keptArns = new Set(kept.targetGroups.map(({ arn }) => arn))
    for (const { arn } of from.targetGroups) if (!keptArns.has(arn)) this.#groupSlots.free(arn)
  }

  #drainRemoved(group: TargetGroup, registered: ReadonlySet<string>): void {
    const { clock, states } = this.#options
    const stillThere = this.#resources.targetGroups.find(({ arn }) => arn === group.arn) ?? group
    const delayMs = stillThere.attributes.deregistrationDelaySeconds * 1000
    for (const target of group.targets) {
      const key = targetKey(group.arn, target)
      if (registered.has(key)) continue
      const slot = this.#targetSlots.of(key)
      states.setState(slot, TargetStateCode.draining)
      this.#draining.set(key, {
        ...target,
        slot,
        group: group.arn,
        groupName: group.name,
        endsAtMs: clock.now() + delayMs,
        timer: clock.after(delayMs, () => this.#endDraining(key)),
      })
    }
  }

  #endDraining(key: string): void {
    const draining = this.#draining.get(key)
    if (draining === undefined) return
    this.#draining.delete(key)
    const { states, onDrained } = this.#options
    states.setState(draining.slot, TargetStateCode.unused)
    onDrained(draining)
    this.#rest('target', key)
  }

  /** Registered again before its delay was over: it is simply back. */
  #cancelDraining(key: string): void {
    this.#draining.get(key)?.timer.cancel()
    this.#draining.delete(key)
  }

  #rest(kind: 'loadBalancer' | 'target', name: string): void {
    const slots = kind === 'target' ? this.#targetSlots : this.#loadBalancerSlots
    const rest = slots.rest(name)
    if (rest === null) return
    this.#options.clock.after(slotRestMs, () => {
      if (slots.endRest(name, rest)) this.#options.onSlotFreed(kind, rest.slot)
    })
  }
}

function targetKey(group: TargetGroupArn, target: { readonly ip: string; readonly port: number }): string {
  return `${group} ${formatAddress(target.ip, target.port)}`
}

type Rest = { readonly slot: number }

/** Rows of shared memory by the name of what uses them. A row that rests is neither used nor free. */
class Slots {
  readonly #what: string
  readonly #byName = new Map<string, number>()
  readonly #resting = new Map<string, Rest>()
  readonly #free: number[] = []
  readonly #max: number
  #next = 0

  constructor(what: string, max: number) {
    this.#what = what
    this.#max = max
  }

  of(name: string): number {
    this.#resting.delete(name)
    const known = this.#byName.get(name)
    if (known !== undefined) return known
    if (this.#free.length === 0 && this.#next === this.#max) {
      throw new OutOfSlots(`more than ${this.#max} ${this.#what} at once`)
    }
    const slot = this.#free.pop() ?? this.#next++
    this.#byName.set(name, slot)
    return slot
  }

  free(name: string): void {
    const slot = this.#byName.get(name)
    if (slot === undefined) return
    this.#byName.delete(name)
    this.#free.push(slot)
  }

  /** @returns null when nothing of that name has a slot */
  rest(name: string): Rest | null {
    const slot = this.#byName.get(name)
    if (slot === undefined) return null
    const rest = { slot }
    this.#resting.set(name, rest)
    return rest
  }

  /** @returns whether that rest was still going on; a later one of the same slot has its own time */
  endRest(name: string, rest: Rest): boolean {
    if (this.#resting.get(name) !== rest) return false
    this.#resting.delete(name)
    this.free(name)
    return true
  }
}
