/**
 * Finds a match and its groups in two walks. Backward over the text, a state says which instructions could still reach
 * a match from this place. Forward again, at each fork the first branch that can reach a match is taken, which is the
 * one that a backtracking search would find; so nothing is ever tried in vain.
 *
 * @see https://doi.org/10.1007/978-3-540-27836-8_53 (Frisch and Cardelli, Greedy regular expression matching, 2004)
 */

import { assert } from '../../base/assert.ts'
import { type Beside, Graph, type Program, type Way } from './graph.ts'
import { bitsOf, buildTable, has, States, type Table } from './states.ts'

/** State before each position of the text that is being searched; grows to the longest text ever met. */
let statesAt = new Uint16Array(16 * 1024 + 1)

export class BackwardFinder {
  readonly #graph: Graph
  readonly #states = new States()
  /** By state: the instructions that could reach a match. */
  readonly #live: Uint32Array[] = []
  readonly #table: Table
  readonly #groups: Int32Array
  readonly groupCount: number

  /** Throws `TooLarge`. */
  constructor(program: Program) {
    this.#graph = new Graph(program)
    this.#groups = new Int32Array(program.numCap)
    this.groupCount = program.numCap / 2 - 1
    this.#table = this.#build()
  }

  /** @param text of bytes, one per character */
  matches(text: string): boolean {
    const { entries, width, deadState } = this.#table
    const { classOf } = this.#graph
    let state = 0
    for (let i = text.length - 1; i >= 0; i--) {
      const entry = entries[state * width + classOf[text.charCodeAt(i) & 0xff]!]!
      if ((entry & 1) === 1) return true
      state = entry >> 1
      if (state === deadState) return false
    }
    return (entries[state * width + width - 1]! & 1) === 1
  }

  /**
   * The leftmost match, and of those the one that a backtracking search would find first.
   *
   * @returns begin and end of it and of each group, -1 where one took no part; valid until the next call. Null: no match.
   */
  find(text: string): Int32Array | null {
    const from = this.#leftmost(text)
    if (from === -1) return null
    const { program, classBeside, classOf, edge, match } = this.#graph
    const groups = this.#groups.fill(-1)
    groups[0] = from
    let pc = program.start
    for (let at = from; ; at++) {
      const before = at === 0 ? edge : classBeside[classOf[text.charCodeAt(at - 1) & 0xff]!]!
      const way = this.#firstLiveWay(pc, before, statesAt[at]!)
      for (const slot of way.slots) groups[slot] = at
      if (way.to === match) {
        groups[1] = at
        return groups
      }
      pc = program.inst[way.to]!.out
    }
  }

  /** Notes the state before each position on the way. */
  #leftmost(text: string): number {
    if (statesAt.length <= text.length) statesAt = new Uint16Array(2 * text.length)
    const { entries, width } = this.#table
    const { classOf } = this.#graph
    let found = -1
    let state = 0
    for (let i = text.length; i > 0; i--) {
      statesAt[i] = state
      const entry = entries[state * width + classOf[text.charCodeAt(i - 1) & 0xff]!]!
      if ((entry & 1) === 1) found = i
      state = entry >> 1
    }
    statesAt[0] = state
    return (entries[state * width + width - 1]! & 1) === 1 ? 0 : found
  }

  #firstLiveWay(pc: number, before: Beside, state: number): Way {
    const live = this.#live[state]!
    const conditions = this.#graph.conditionsBetween(before, this.#states.list[state]!.beside)
    for (const way of this.#graph.waysFrom(pc, conditions)) if (has(live, way.to)) return way
    assert(false, 'a state says truly what reaches a match')
  }

  #build(): Table {
    const graph = this.#graph
    const { inst, start } = graph.program
    // A match may end anywhere.
    const ends = graph.match === -1 ? [] : [graph.match]
    this.#states.idOf(ends, graph.edge)
    return buildTable(this.#states, (state, id) => {
      this.#live[id] = bitsOf(state.set, inst.length)
      const known = new Map<number, boolean>()
      const isLive = (pc: number, before: Beside): boolean => {
        const conditions = graph.conditionsBetween(before, state.beside)
        const key = pc * 64 + conditions
        const answer = known.get(key) ?? this.#reachesMatch(pc, conditions, id)
        known.set(key, answer)
        return answer
      }
      const row = graph.takers.map((takers, c) => {
        graph.spend(takers.length)
        const beside = graph.classBeside[c]!
        const set = ends.concat(takers.filter(pc => isLive(inst[pc]!.out, beside)))
        return this.#states.idOf(set, beside) * 2 + (isLive(start, beside) ? 1 : 0)
      })
      row.push(isLive(start, graph.edge) ? 1 : 0)
      return row
    })
  }

  #reachesMatch(pc: number, conditions: number, state: number): boolean {
    const ways = this.#graph.waysFrom(pc, conditions)
    this.#graph.spend(ways.length)
    return ways.some(way => has(this.#live[state]!, way.to))
  }
}
