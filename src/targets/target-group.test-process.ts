/** A worker thread in the tests of target groups: picks targets from the memory that it shares with others. */

import { parentPort, workerData } from 'node:worker_threads'
import type { SnapshotTargetGroup } from '../model/snapshot.ts'
import { TargetStates } from '../model/target-states.ts'
import { Target, TargetGroup } from './target-group.ts'

export type PickingWork = {
  readonly memory: SharedArrayBuffer
  readonly group: SnapshotTargetGroup
  readonly picks: number
  readonly epochMs: number
  /** Requests that stay in flight until newer ones push them out; all end at the end. null: none ever ends. */
  readonly held: number | null
  /** Picks after which all threads wait for each other and look at what is in flight; null: never. */
  readonly roundPicks: number | null
  /** One integer: arrivals at the end of a round. */
  readonly arrivals: SharedArrayBuffer
  readonly threads: number
}

export type PickingReport = {
  /** By slot. */
  readonly picked: readonly number[]
  /** The largest difference of requests in flight between two targets that was seen at the end of a round. */
  readonly spreadMax: number
}

function pick(work: PickingWork): PickingReport {
  const states = new TargetStates(work.memory)
  const group = new TargetGroup(
    work.group,
    work.group.targets.map(target => new Target(target, 0)),
  )
  const picked = group.targets.map(() => 0)
  const heldSlots: number[] = []
  let spreadMax = 0
  for (let done = 1; done <= work.picks; done++) {
    const { slot } = group.takeTarget(states, work.epochMs)!
    picked[slot]!++
    if (work.held !== null) {
      heldSlots.push(slot)
      if (heldSlots.length > work.held) states.removeRequestInFlight(heldSlots.shift()!)
    }
    if (work.roundPicks === null || done % work.roundPicks !== 0) continue
    meet(work)
    const inFlight = group.targets.map(target => states.requestsInFlight(target.slot))
    spreadMax = Math.max(spreadMax, Math.max(...inFlight) - Math.min(...inFlight))
    meet(work)
  }
  for (const slot of heldSlots) states.removeRequestInFlight(slot)
  return { picked, spreadMax }
}

let meetings = 0

/** Returns once all threads came here as often. Spins, so that they go on in the same moment. */
function meet({ arrivals, threads }: PickingWork): void {
  const cells = new Int32Array(arrivals)
  const wanted = ++meetings * threads
  Atomics.add(cells, 0, 1)
  Atomics.notify(cells, 0)
  for (let spins = 0; ; spins++) {
    const arrived = Atomics.load(cells, 0)
    if (arrived >= wanted) return
    if (spins > 10_000) Atomics.wait(cells, 0, arrived, 1)
  }
}

parentPort!.postMessage(pick(workerData as PickingWork))
