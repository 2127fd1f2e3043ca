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
    const options = rules.map(keysOf)
    const popularity = new Map<string, number>()
    for (const keys of options.flat(2)) popularity.set(nameOf(keys), (popularity.get(nameOf(keys)) ?? 0) + 1)
    const crowd = (keys: readonly Key[]) => Math.max(...keys.map(key => popularity.get(nameOf(key))!))
    const trees = {
      hostPrefix: this.#hostPrefix,
      hostSuffix: this.#hostSuffix,
      pathPrefix: this.#pathPrefix,
      pathSuffix: this.#pathSuffix,
    }
    options.forEach((conditions, rule) => {
      // A key that many rules share tells them apart badly: a thousand hosts that all have /api/* are filed by host.
      const best = conditions.toSorted((a, b) => crowd(a) - crowd(b))[0]
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

/** For each condition that can be filed, its keys: a request that meets it has at least one of them. */
function keysOf(rule: Rule): readonly (readonly Key[])[] {
  return rule.conditions.flatMap(condition => {
    const keys = conditionKeys(condition)
    return keys === null ? [] : [keys]
  })
}

function conditionKeys(condition: Condition): readonly Key[] | null {
  if (condition.field !== 'host-header' && condition.field !== 'path-pattern') return null
  if (condition.regexValues.length > 0) return null
  const isHost = condition.field === 'host-header'
  const keys: Key[] = []
  for (const { prefix, suffix } of compileValues(condition.values, isHost)) {
    if (prefix === '' && suffix === '') return null
    // Every path begins with `/`: the longer side says more.
    if (prefix.length >= suffix.length) keys.push({ side: isHost ? 'hostPrefix' : 'pathPrefix', literal: prefix })
    else keys.push({ side: isHost ? 'hostSuffix' : 'pathSuffix', literal: suffix })
  }
  return keys
}

function nameOf({ side, literal }: Key): string {
  return `${side} ${literal}`
}
