/**
 * Files rules under literal text that a matching host or path must begin or end with, so that most of a thousand
 * rules are never looked at. It only narrows the choice: whoever asks still checks every condition.
 */

import type { Condition, Rule } from '../../model/resources.ts'
import { compileValues } from './conditions.ts'
import { LiteralTree } from './literal-tree.ts'
import type { Reading } from './reading.ts'

type Side = 'hostPrefix' | 'hostSuffix' | 'pathPrefix' | 'pathSuffix'
type Key = { readonly side: Side; readonly literal: string }

export class RuleIndex {
  readonly #hostPrefix = new LiteralTree(false)
  readonly #hostSuffix = new LiteralTree(true)
  readonly #pathPrefix = new LiteralTree(false)
  readonly #pathSuffix = new LiteralTree(true)
  /** Rules that nothing literal can be said about, ascending. */
  readonly #others: number[] = []
  /** Reused for every request. */
  readonly #found: (readonly number[])[] = []

  /** @param rules known from here on by their places in this list */
  constructor(rules: readonly Rule[]) {
    const options = rules.map(({ conditions }) => conditions.map(keysOf).filter(values => values !== null))
    const crowds = new Map<string, number>()
    for (const key of options.flat(3)) crowds.set(nameOf(key), crowd(key) + 1)
    function crowd(key: Key): number {
      return crowds.get(nameOf(key)) ?? 0
    }
    const trees = {
      hostPrefix: this.#hostPrefix,
      hostSuffix: this.#hostSuffix,
      pathPrefix: this.#pathPrefix,
      pathSuffix: this.#pathSuffix,
    }
    options.forEach((conditions, rule) => {
      // A key that many rules share tells them apart badly: a thousand `api-<name>.*.example.com` are filed by how they
      // begin, a thousand hosts that all have /api/* by host.
      const choices = conditions.map(values => values.map(keys => keys.toSorted((a, b) => crowd(a) - crowd(b))[0]!))
      const worst = (keys: readonly Key[]) => Math.max(...keys.map(crowd))
      const best = choices.toSorted((a, b) => worst(a) - worst(b))[0]
      if (best === undefined) this.#others.push(rule)
      else for (const { side, literal } of best) trees[side].file(literal, rule)
    })
  }

  /**
   * Lists of rules, each ascending, that hold every rule that may match.
   *
   * @returns valid until the next call
   */
  candidates(reading: Reading): readonly (readonly number[])[] {
    const found = this.#found
    found.length = 0
    if (this.#pathPrefix.size > 0) this.#pathPrefix.collect(reading.path, found)
    if (this.#pathSuffix.size > 0) this.#pathSuffix.collect(reading.path, found)
    if (this.#hostPrefix.size > 0) this.#hostPrefix.collect(reading.host, found)
    if (this.#hostSuffix.size > 0) this.#hostSuffix.collect(reading.host, found)
    // Last: what was found before may spare looking at most of them.
    if (this.#others.length > 0) found.push(this.#others)
    return found
  }
}

/**
 * For each value of a condition, the keys that it can be filed under, the longer one first: whatever meets the
 * condition has all keys of one of the values. Null: some value says nothing literal.
 */
function keysOf(condition: Condition): readonly (readonly Key[])[] | null {
  if (condition.field !== 'host-header' && condition.field !== 'path-pattern') return null
  if (condition.regexValues.length > 0) return null
  const of = condition.field === 'host-header' ? 'host' : 'path'
  const values: Key[][] = []
  for (const { prefix, suffix } of compileValues(condition.values, of === 'host')) {
    const sides: Key[] = [
      { side: `${of}Prefix`, literal: prefix },
      { side: `${of}Suffix`, literal: suffix },
    ]
    const keys = sides.filter(({ literal }) => literal !== '')
    if (keys.length === 0) return null
    values.push(keys.toSorted((a, b) => b.literal.length - a.literal.length))
  }
  return values
}

function nameOf({ side, literal }: Key): string {
  return `${side} ${literal}`
}
