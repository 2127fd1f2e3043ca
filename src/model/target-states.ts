/**
 * What all threads know of every target, in shared memory: the health checker writes the state, the workers read it
 * at each pick and count what they have in flight. A slot is one target's row.
 */

import { targetGroupSlotsMax, targetSlotsMax } from './limits.ts'

/** As numbers, because that is what shared memory holds. 0 is what fresh memory reads. */
export const TargetStateCode = { unused: 0, initial: 1, healthy: 2, unhealthy: 3, draining: 4 } as const
export type TargetStateCode = (typeof TargetStateCode)[keyof typeof TargetStateCode]

const column = { state: 0, requestsInFlight: 1 } as const
const columns = 2
const turnsAt = targetSlotsMax * columns
const generationAt = turnsAt + targetGroupSlotsMax
const cellCount = generationAt + 1

export class TargetStates {
  readonly memory: SharedArrayBuffer
  readonly #cells: Int32Array

  constructor(memory = new SharedArrayBuffer(cellCount * Int32Array.BYTES_PER_ELEMENT)) {
    this.memory = memory
    this.#cells = new Int32Array(memory)
  }

  state(slot: number): TargetStateCode {
    return Atomics.load(this.#cells, slot * columns + column.state) as TargetStateCode
  }

  setState(slot: number, state: TargetStateCode): void {
    Atomics.store(this.#cells, slot * columns + column.state, state)
    Atomics.add(this.#cells, generationAt, 1)
  }

  /** Another number after every `setState`, so that what follows from the states need not be worked out for each request. */
  get generation(): number {
    return Atomics.load(this.#cells, generationAt)
  }

  /** The next turn of a target group, over all workers: 0, 1, 2 and so on; after 2^32 it begins again. */
  takeTurn(groupSlot: number): number {
    return Atomics.add(this.#cells, turnsAt + groupSlot, 1) >>> 0
  }

  /** Requests handed to the target's connections and not yet finished, over all workers. */
  requestsInFlight(slot: number): number {
    return Atomics.load(this.#cells, slot * columns + column.requestsInFlight)
  }

  addRequestInFlight(slot: number): void {
    Atomics.add(this.#cells, slot * columns + column.requestsInFlight, 1)
  }

  removeRequestInFlight(slot: number): void {
    Atomics.sub(this.#cells, slot * columns + column.requestsInFlight, 1)
  }
}
