/** Says whether a text matches, reading it forward: a state is the set of places where a match in progress may be. */

import { type Beside, Graph, type Program } from './graph.ts'
import { bitsOf, buildTable, has, States, type Table } from './states.ts'

export class ForwardMatcher {
  readonly #classOf: Uint8Array
  readonly #table: Table

  /** Throws `TooLarge`. */
  constructor(program: Program) {
    const graph = new Graph(program)
    this.#classOf = graph.classOf
    this.#table = tableOf(graph)
  }

  /** @param text of bytes, one per character */
  matches(text: string): boolean {
    const { entries, width, deadState } = this.#table
    const classOf = this.#classOf
    let state = 0
    for (let i = 0; i < text.length; i++) {
      const entry = entries[state * width + classOf[text.charCodeAt(i) & 0xff]!]!
      if ((entry & 1) === 1) return true
      state = entry >> 1
      if (state === deadState) return false
    }
    return (entries[state * width + width - 1]! & 1) === 1
  }
}

function tableOf(graph: Graph): Table {
  const { inst, start } = graph.program
  const states = new States()
  states.idOf([start], graph.edge)
  const takes = graph.takers.map(takers => bitsOf(takers, inst.length))
  return buildTable(states, ({ set, beside }) => {
    const reached = new Map<number, readonly number[]>()
    const reachedBefore = (after: Beside): readonly number[] => {
      const conditions = graph.conditionsBetween(beside, after)
      const known = reached.get(conditions) ?? reachableFrom(graph, set, conditions)
      reached.set(conditions, known)
      return known
    }
    const matchesIn = (reached: readonly number[]) => (reached.includes(graph.match) ? 1 : 0)
    const row = takes.map((bits, c) => {
      const reached = reachedBefore(graph.classBeside[c]!)
      graph.spend(reached.length)
      // The start is among them at every place: a match may begin anywhere.
      const next = new Set([start])
      for (const pc of reached) if (has(bits, pc)) next.add(inst[pc]!.out)
      const ascending = Array.from(next).sort((a, b) => a - b)
      return states.idOf(ascending, graph.classBeside[c]!) * 2 + matchesIn(reached)
    })
    row.push(matchesIn(reachedBefore(graph.edge)))
    return row
  })
}

function reachableFrom(graph: Graph, set: readonly number[], conditions: number): readonly number[] {
  const reached = new Set<number>()
  for (const pc of set) {
    const ways = graph.waysFrom(pc, conditions)
    graph.spend(ways.length)
    for (const way of ways) reached.add(way.to)
  }
  return Array.from(reached)
}
