/**
 * What was counted for whoever is in the configuration. Its slots in shared memory come and go with zones and targets,
 * and are cleared before they serve others; what was counted in them is kept here, so that no total ever falls.
 *
 * Whoever leaves the configuration takes its totals along: if it comes back after its slots were freed, it begins anew.
 */

import type { LoadBalancerArn, TargetGroupArn } from '../model/arns.ts'
import type { SnapshotTargetGroup } from '../model/snapshot.ts'
import {
  type CounterSlab,
  type LoadBalancerCounter,
  loadBalancerCounters,
  type TargetCounter,
  targetCounters,
} from '../observe/counters.ts'
import { type Publisher, type SlotKind, targetName } from './publisher.ts'

export class Totals {
  readonly #slabs: () => readonly CounterSlab[]
  readonly #nodes: Ledger<LoadBalancerCounter>
  readonly #targets: Ledger<TargetCounter>

  /** @param slabs of all workers */
  constructor(slabs: () => readonly CounterSlab[]) {
    const total = (of: (slab: CounterSlab) => number) => slabs().reduce((sum, slab) => sum + of(slab), 0)
    this.#slabs = slabs
    this.#nodes = new Ledger(loadBalancerCounters, (slot, counter) => total(slab => slab.loadBalancer(slot, counter)))
    this.#targets = new Ledger(targetCounters, (slot, counter) => total(slab => slab.target(slot, counter)))
  }

  /** Of a load balancer: of all its zones, those that it has no more included. */
  loadBalancer(arn: LoadBalancerArn, counter: LoadBalancerCounter): number {
    return this.#nodes.total(arn, counter)
  }

  /** Of a target group in one zone: of all its targets, those that it has no more included. */
  nodeGroup(nodeGroup: SnapshotTargetGroup, counter: TargetCounter): number {
    return this.#targets.total(nodeGroupName(nodeGroup), counter)
  }

  /** Of a registered target, by all nodes that saw it. */
  target(
    group: TargetGroupArn,
    target: { readonly ip: string; readonly port: number },
    counter: TargetCounter,
  ): number {
    return this.#targets.total(targetName(group, target), counter)
  }

  /** Another configuration is in force. */
  apply({ resources, snapshot }: Publisher): void {
    this.#nodes.apply(snapshot.loadBalancers.map(({ arn, nodes }) => [arn, slotsOf(nodes)]))
    const sighted = snapshot.targetGroups.flatMap((nodeGroup): Holding[] => {
      const all = [...nodeGroup.targets, ...nodeGroup.targetsElsewhere]
      const each = all.map((target): Holding => [targetName(nodeGroup.arn, target), [target.slot]])
      return [[nodeGroupName(nodeGroup), slotsOf(all)], ...each]
    })
    // Some are in no zone that is enabled.
    const registered = resources.targetGroups.flatMap(({ arn, targets }) =>
      targets.map((target): Holding => [targetName(arn, target), []]),
    )
    this.#targets.apply([...sighted, ...registered])
  }

  /** The slot is about to serve another resource: what was counted in it stays with those that it was counted for. */
  freeSlot(kind: SlotKind, slot: number): void {
    if (kind === 'target') this.#targets.settle(slot)
    else this.#nodes.settle(slot)
    for (const slab of this.#slabs()) {
      if (kind === 'target') slab.clearTarget(slot)
      else slab.clearLoadBalancer(slot)
    }
  }
}

/** Who counts in these slots. */
type Holding = readonly [holder: string, slots: readonly number[]]

type Account<Counter> = {
  /** In use or at rest. */
  readonly slots: Set<number>
  /** What was counted in slots that were freed. */
  readonly settled: Map<Counter, number>
}

class Ledger<Counter extends string> {
  readonly #counters: readonly Counter[]
  readonly #read: (slot: number, counter: Counter) => number
  readonly #accounts = new Map<string, Account<Counter>>()
  /** Those that a slot counts for, until it is freed. */
  readonly #accountsOf = new Map<number, Account<Counter>[]>()

  constructor(counters: readonly Counter[], read: (slot: number, counter: Counter) => number) {
    this.#counters = counters
    this.#read = read
  }

  /** @param holdings all there are; a holder may come up several times */
  apply(holdings: readonly Holding[]): void {
    const gone = new Set(this.#accounts.keys())
    for (const [holder, slots] of holdings) {
      gone.delete(holder)
      const account = this.#accounts.get(holder) ?? { slots: new Set(), settled: new Map() }
      this.#accounts.set(holder, account)
      for (const slot of slots) this.#open(account, slot)
    }
    for (const holder of gone) this.#accounts.delete(holder)
  }

  #open(account: Account<Counter>, slot: number): void {
    if (account.slots.has(slot)) return
    account.slots.add(slot)
    this.#accountsOf.set(slot, [...(this.#accountsOf.get(slot) ?? []), account])
  }

  settle(slot: number): void {
    for (const { slots, settled } of this.#accountsOf.get(slot) ?? []) {
      slots.delete(slot)
      for (const counter of this.#counters) {
        settled.set(counter, (settled.get(counter) ?? 0) + this.#read(slot, counter))
      }
    }
    this.#accountsOf.delete(slot)
  }

  total(holder: string, counter: Counter): number {
    const account = this.#accounts.get(holder)
    if (account === undefined) return 0
    return [...account.slots].reduce((sum, slot) => sum + this.#read(slot, counter), account.settled.get(counter) ?? 0)
  }
}

/** The slot of a node goes to another one only some time after a publication without it. */
function nodeGroupName({ node, arn }: SnapshotTargetGroup): string {
  return `${node} ${arn}`
}

function slotsOf(holders: readonly { readonly slot: number }[]): number[] {
  return holders.map(({ slot }) => slot)
}
