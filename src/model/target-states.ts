/**
 * What all threads know of every target, in shared memory: the main thread writes state, slow start and weight, the
 * workers read them at each pick and count what they have in flight. A slot is the row of one target, as one node of
 * the load balancer sees it.
 */

import { assert } from '../base/assert.ts'
import { targetGroupSlotsMax, targetSlotsMax } from './limits.ts'

/** As numbers, because that is what shared memory holds. 0 is what fresh memory reads. */
export const TargetStateCode = { unused: 0, initial: 1, healthy: 2, unhealthy: 3, draining: 4 } as const
export type TargetStateCode = (typeof TargetStateCode)[keyof typeof TargetStateCode]

/** The weight of a target that nothing holds back. */
export const weightParity = 1000

/**
 * `weightReduction` is what `weightParity` lost, so that fresh memory means parity. `slowStartBegan` is in ticks, 0
 * outside slow start.
 */
const column = { state: 0, requestsInFlight: 1, weightReduction: 2, slowStartBegan: 3 } as const
const columns = 4
const turnsAt = targetSlotsMax * columns
const generationAt = turnsAt + targetGroupSlotsMax
const cellCount = generationAt + 1

/** Tenths of a second wrap after 13 years; only differences are taken, and those stay below 15 minutes. */
const tickMs = 100

export class TargetStates {
  readonly memory: SharedArrayBuffer
  readonly #cells: Int32Array

  constructor(memory = new SharedArrayBuffer(cellCount * Int32Array.BYTES_PER_ELEMENT)) {
    this.memory = memory
    this.#cells = new Int32Array(memory)
  }

  state(slot: number): TargetStateCode {
    return this.#load(slot, column.state) as TargetStateCode
  }

  setState(slot: number, state: TargetStateCode): void {
    this.#store(slot, column.state, state)
  }

  /**
   * Another number after every change of a state, weight or slow start, so that what follows from them need not be
   * worked out for each request.
   */
  get generation(): number {
    return Atomics.load(this.#cells, generationAt)
  }

  /** 1 to `weightParity`: how often `weighted_random` picks the target, relative to the others. */
  weight(slot: number): number {
    return weightParity - this.#load(slot, column.weightReduction)
  }

  setWeight(slot: number, weight: number): void {
    assert(weight >= 1 && weight <= weightParity, 'a weight is above 0 and at most parity')
    this.#store(slot, column.weightReduction, weightParity - weight)
  }

  isSlowStarting(slot: number): boolean {
    return this.#load(slot, column.slowStartBegan) !== 0
  }

  /** @returns to a tenth of a second; Infinity outside slow start. Negative when the threads' clocks disagree. */
  slowStartElapsedMs(slot: number, epochMs: number): number {
    const began = this.#load(slot, column.slowStartBegan)
    return began === 0 ? Infinity : ((tickOf(epochMs) - began) | 0) * tickMs
  }

  beginSlowStart(slot: number, epochMs: number): void {
    this.#store(slot, column.slowStartBegan, tickOf(epochMs) || 1) // the one tick that would mean "not at all"
  }

  endSlowStart(slot: number): void {
    this.#store(slot, column.slowStartBegan, 0)
  }

  /** The next turn of a target group, over all workers: 0, 1, 2 and so on; after 2^32 it begins again. */
  takeTurn(groupSlot: number): number {
    return Atomics.add(this.#cells, turnsAt + groupSlot, 1) >>> 0
  }

  /** Requests handed to the target's connections and not yet finished, over all workers. */
  requestsInFlight(slot: number): number {
    return this.#load(slot, column.requestsInFlight)
  }

  /**
   * The same without synchronization, for scans over many targets: what other threads did in this moment may be
   * missing. With 1000 targets a scan takes 5 µs, and 22 µs if each read is atomic.
   */
  glanceRequestsInFlight(slot: number): number {
    return this.#cells[slot * columns + column.requestsInFlight]!
  }

  addRequestInFlight(slot: number): void {
    Atomics.add(this.#cells, slot * columns + column.requestsInFlight, 1)
  }

  /** Counts one more only if there still are as many as were seen. @returns whether it did */
  addRequestInFlightIf(slot: number, seen: number): boolean {
    return Atomics.compareExchange(this.#cells, slot * columns + column.requestsInFlight, seen, seen + 1) === seen
  }

  removeRequestInFlight(slot: number): void {
    Atomics.sub(this.#cells, slot * columns + column.requestsInFlight, 1)
  }

  /**
   * The slot is about to be another target's. What is in flight stays: whoever counted it in counts it out, and
   * clearing between the two would leave -1 for ever.
   */
  clearTarget(slot: number): void {
    this.setState(slot, TargetStateCode.unused)
    this.setWeight(slot, weightParity)
    this.endSlowStart(slot)
  }

  #load(slot: number, of: number): number {
    return Atomics.load(this.#cells, slot * columns + of)
  }

  #store(slot: number, of: number, value: number): void {
    Atomics.store(this.#cells, slot * columns + of, value)
    Atomics.add(this.#cells, generationAt, 1)
  }
}

function tickOf(epochMs: number): number {
  return Math.floor(epochMs / tickMs) | 0
}
