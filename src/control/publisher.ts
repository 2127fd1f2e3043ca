/**
 * Turns resources into snapshots: gives each node and what it knows its slots in shared memory, numbers what is
 * published, and keeps deregistered targets draining for their delay.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html
 */

import { randomBytes } from 'node:crypto'
import { assert } from '../base/assert.ts'
import type { Clock, Timer } from '../base/clock.ts'
import type { TargetGroupArn } from '../model/arns.ts'
import { nodeSlotsMax, targetGroupSlotsMax, targetSlotsMax } from '../model/limits.ts'
import { formatAddress, type Resources, type Target, type TargetGroup } from '../model/resources.ts'
import type { CookieKey, Snapshot } from '../model/snapshot.ts'
import { TargetStateCode, type TargetStates } from '../model/target-states.ts'
import { type Node, type NodeGroup, nodeGroupsOf, nodeName, nodesOf } from './nodes.ts'

export type DrainingTarget = Target & {
  readonly group: TargetGroupArn
  readonly groupName: string
  /** One for each node that knew it. */
  readonly slots: readonly number[]
  /** By the clock's `now`. */
  readonly endsAtMs: number
}

export type SlotKind = 'node' | 'target'

export type PublisherOptions = {
  readonly clock: Clock
  /** What slots rest by: it is the machine that they wait for, so it is not paced. */
  readonly machineClock: Clock
  readonly states: TargetStates
  /** Newest first. */
  readonly cookieKeys: () => readonly CookieKey[]
  /** The deregistration delay of this target is over: what it still works on is to be cut. */
  readonly onDrained: (target: DrainingTarget) => void
  /** Whether something is still counted in, that will be counted out: then its slot rests on. */
  readonly isSlotBusy: (kind: SlotKind, slot: number) => boolean
  /** The slot is about to serve another resource. */
  readonly onSlotFreed: (kind: SlotKind, slot: number) => void
}

/** As `node:tls` takes them. */
const tlsTicketKeysBytes = 48
/** After a cut, workers still take a moment to count the requests out. */
const slotRestMs = 5_000

export class OutOfSlots extends Error {
  override readonly name = 'OutOfSlots'
}

type Draining = DrainingTarget & { readonly sightings: readonly string[]; readonly timer: Timer }

export class Publisher {
  readonly #options: PublisherOptions
  readonly #nodeSlots = new Slots('zones of load balancers', nodeSlotsMax)
  readonly #groupSlots = new Slots('target groups, each counted in every zone,', targetGroupSlotsMax)
  readonly #targetSlots = new Slots('targets, each counted in every zone,', targetSlotsMax)
  /** By `targetName`. */
  readonly #draining = new Map<string, Draining>()
  readonly #tlsTicketKeys: Uint8Array = randomBytes(tlsTicketKeysBytes)
  #resources: Resources = { loadBalancers: [], targetGroups: [] }
  /** Of `#resources`. */
  #snapshot: Snapshot
  #prepared: Snapshot
  #number = 0

  constructor(options: PublisherOptions) {
    this.#options = options
    this.#snapshot = {
      number: 0,
      loadBalancers: [],
      targetGroups: [],
      cookieKeys: [],
      tlsTicketKeys: this.#tlsTicketKeys,
    }
    this.#prepared = this.#snapshot
  }

  /** What is in force. */
  get resources(): Resources {
    return this.#resources
  }

  get snapshot(): Snapshot {
    return this.#snapshot
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
      this.#prepared = this.#describe(resources)
      return this.#prepared
    } catch (error) {
      this.rollBack(resources)
      throw error
    }
  }

  /** The workers serve what was prepared: targets that are gone begin to drain, slots that nobody needs rest. */
  commit(resources: Resources): void {
    assert(this.#prepared.number === this.#number, 'what is committed was prepared')
    const before = this.#resources
    this.#resources = resources
    this.#snapshot = this.#prepared
    this.#settleTargets(before, resources)
    this.#restNodes(before, resources)
    this.#freeGroups(before, resources)
  }

  /** The workers refused it: slots that only it used rest, since some of the workers may have begun to use them. */
  rollBack(refused: Resources): void {
    this.#restNodes(refused, this.#resources)
    this.#freeGroups(refused, this.#resources)
    const kept = sightingsOf(this.#resources)
    for (const [name, { group, target }] of sightingsOf(refused)) {
      const isDraining = this.#draining.get(targetName(group.arn, target))?.sightings.includes(name)
      if (!kept.has(name) && !isDraining) this.#rest('target', name)
    }
  }

  close(): void {
    for (const { timer } of this.#draining.values()) timer.cancel()
    this.#draining.clear()
  }

  #describe(resources: Resources): Snapshot {
    const nodeSlot = ({ loadBalancer, zone }: Node) => this.#nodeSlots.of(nodeName(loadBalancer.arn, zone.zoneName))
    return {
      number: this.#number,
      loadBalancers: resources.loadBalancers.map(loadBalancer => ({
        ...loadBalancer,
        nodes: loadBalancer.availabilityZones.map(zone => ({ ...zone, slot: nodeSlot({ loadBalancer, zone }) })),
      })),
      targetGroups: nodeGroupsOf(resources).map(nodeGroup => {
        const { node, group } = nodeGroup
        const { arn, name, protocol, protocolVersion, attributes } = group
        const sighted = (target: Target) => ({
          ip: target.ip,
          port: target.port,
          slot: this.#targetSlots.of(sightingName(nodeGroup, target)),
        })
        return {
          slot: this.#groupSlots.of(nodeGroupName(nodeGroup)),
          node: node === null ? null : nodeSlot(node),
          arn,
          name,
          protocol,
          protocolVersion,
          attributes,
          targets: nodeGroup.targets.map(sighted),
          targetsElsewhere: nodeGroup.targetsElsewhere.map(sighted),
        }
      }),
      cookieKeys: this.#options.cookieKeys(),
      tlsTicketKeys: this.#tlsTicketKeys,
    }
  }

  #restNodes(from: Resources, kept: Resources): void {
    const keptNames = new Set(nodesOf(kept).map(({ loadBalancer, zone }) => nodeName(loadBalancer.arn, zone.zoneName)))
    for (const { loadBalancer, zone } of nodesOf(from)) {
      const name = nodeName(loadBalancer.arn, zone.zoneName)
      if (!keptNames.has(name)) this.#rest('node', name)
    }
  }

  /** The slot of a group holds but its turn, so another one may have it at once. */
  #freeGroups(from: Resources, kept: Resources): void {
    const keptNames = new Set(nodeGroupsOf(kept).map(nodeGroupName))
    for (const name of nodeGroupsOf(from).map(nodeGroupName)) if (!keptNames.has(name)) this.#groupSlots.free(name)
  }

  #settleTargets(before: Resources, after: Resources): void {
    const registered = new Set(after.targetGroups.flatMap(({ arn, targets }) => targets.map(t => targetName(arn, t))))
    const sightings = sightingsOf(after)
    // The delay of some may have ended since `prepare`: their slots are not to rest then.
    for (const name of sightings.keys()) this.#targetSlots.of(name)
    for (const [name, draining] of this.#draining) if (registered.has(name)) this.#endDraining(draining, sightings)
    const gone = new Map<string, Sighting & { readonly names: string[] }>()
    for (const [name, sighting] of sightingsOf(before)) {
      if (sightings.has(name)) continue
      const of = targetName(sighting.group.arn, sighting.target)
      if (registered.has(of)) this.#rest('target', name)
      else if (gone.has(of)) gone.get(of)!.names.push(name)
      else gone.set(of, { ...sighting, names: [name] })
    }
    for (const [name, { group, target, names }] of gone) this.#drain(name, group, target, names)
  }

  #drain(name: string, group: TargetGroup, target: Target, sightings: readonly string[]): void {
    const { clock, states, onDrained } = this.#options
    const stillThere = this.#resources.targetGroups.find(({ arn }) => arn === group.arn) ?? group
    const delayMs = stillThere.attributes.deregistrationDelaySeconds * 1000
    const slots = sightings.map(sighting => this.#targetSlots.of(sighting))
    for (const slot of slots) states.setState(slot, TargetStateCode.draining)
    const draining: Draining = {
      ...target,
      slots,
      sightings,
      group: group.arn,
      groupName: group.name,
      endsAtMs: clock.now() + delayMs,
      timer: clock.after(delayMs, () => {
        for (const slot of slots) states.setState(slot, TargetStateCode.unused)
        this.#endDraining(draining)
        onDrained(draining)
      }),
    }
    this.#draining.set(name, draining)
  }

  /** @param inUse what knows it again: registered before its delay was over, a target is simply back */
  #endDraining(draining: Draining, inUse: ReadonlyMap<string, Sighting> = new Map()): void {
    draining.timer.cancel()
    this.#draining.delete(targetName(draining.group, draining))
    for (const name of draining.sightings) if (!inUse.has(name)) this.#rest('target', name)
  }

  #rest(kind: SlotKind, name: string): void {
    const slots = kind === 'target' ? this.#targetSlots : this.#nodeSlots
    const rest = slots.rest(name)
    if (rest === null) return
    const { machineClock, isSlotBusy, onSlotFreed } = this.#options
    const wake = (): void => {
      if (isSlotBusy(kind, rest.slot)) machineClock.after(slotRestMs, wake)
      else if (slots.endRest(name, rest)) onSlotFreed(kind, rest.slot)
    }
    machineClock.after(slotRestMs, wake)
  }
}

/** Unique and the same over publications. */
export function targetName(group: TargetGroupArn, target: { readonly ip: string; readonly port: number }): string {
  return `${group} ${formatAddress(target.ip, target.port)}`
}

function nodeGroupName({ node, group }: NodeGroup): string {
  return node === null ? `- ${group.arn}` : `${nodeName(node.loadBalancer.arn, node.zone.zoneName)} ${group.arn}`
}

/** A target as one node sees it. */
type Sighting = { readonly group: TargetGroup; readonly target: Target }

function sightingName(nodeGroup: NodeGroup, target: Target): string {
  return `${nodeGroupName(nodeGroup)} ${formatAddress(target.ip, target.port)}`
}

function sightingsOf(resources: Resources): Map<string, Sighting> {
  return new Map(
    nodeGroupsOf(resources).flatMap(nodeGroup =>
      [...nodeGroup.targets, ...nodeGroup.targetsElsewhere].map(
        target => [sightingName(nodeGroup, target), { group: nodeGroup.group, target }] as const,
      ),
    ),
  )
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
