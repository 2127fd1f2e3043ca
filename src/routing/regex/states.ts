/** States of an automaton while it is built, and the table that is left of them. */

import { type Beside, TooLarge } from './graph.ts'

/** Ours: states of one automaton; real patterns have 5 to 100. With 50 byte classes the table then has 200 KB. */
const statesMax = 2000

/** A state is a set of instructions, and what was read last. */
export type State = { readonly set: readonly number[]; readonly beside: Beside }

export class States {
  readonly list: State[] = []
  readonly #ids = new Map<string, number>()

  /** @param set ascending, so that equal sets are equal texts */
  idOf(set: readonly number[], beside: Beside): number {
    const key = `${beside} ${set}`
    let id = this.#ids.get(key)
    if (id === undefined) {
      if (this.list.length === statesMax) throw new TooLarge()
      id = this.list.push({ set, beside }) - 1
      this.#ids.set(key, id)
    }
    return id
  }
}

export type Table = {
  /**
   * `next state * 2 + (a match is known ? 1 : 0)`, by state and class of the byte that is read; the last column stands
   * for the end of the reading. State 0 begins.
   */
  readonly entries: Uint16Array
  readonly width: number
  /** No byte leads out of it or makes a match; -1 when there is none. */
  readonly deadState: number
}

/** @param rowOf gives the entries of a state, and thereby finds new ones */
export function buildTable(states: States, rowOf: (state: State, id: number) => readonly number[]): Table {
  const rows: (readonly number[])[] = []
  for (let id = 0; id < states.list.length; id++) rows.push(rowOf(states.list[id]!, id))
  return {
    entries: Uint16Array.from(rows.flat()),
    width: rows[0]!.length,
    deadState: rows.findIndex((row, id) => row.every((entry, c) => entry === (c === row.length - 1 ? 0 : id * 2))),
  }
}

/** One bit for each instruction. */
export function bitsOf(set: readonly number[], size: number): Uint32Array {
  const bits = new Uint32Array((size + 31) >>> 5)
  for (const member of set) bits[member >>> 5]! |= 1 << (member & 31)
  return bits
}

export function has(bits: Uint32Array, member: number): boolean {
  return ((bits[member >>> 5]! >>> (member & 31)) & 1) === 1
}
