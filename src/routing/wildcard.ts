/**
 * Patterns with `*` (any run of characters, empty included) and `?` (exactly one), as rule conditions use them.
 * Compiled to runs of literal text that are searched for in order, so matching never backtracks.
 */

export type Wildcard = {
  /** Literal text that every match begins and ends with; all of the pattern where it has no wildcard. */
  readonly prefix: string
  readonly suffix: string
  matches(text: string): boolean
}

/** Stands for `?` in a run; texts are made of bytes, so no text holds it. */
const anyOne = '\uffff'
const anyOneCode = 0xffff

/** @param pattern already lower-cased where the comparison ignores case; so must the text be */
export function compileWildcard(pattern: string): Wildcard {
  return compileRuns(pattern.replaceAll('?', anyOne).split('*'))
}

/** As `compileWildcard`, but a backslash takes the meaning from the character behind it. */
export function compileEscapedWildcard(pattern: string): Wildcard {
  const runs = ['']
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i]!
    if (c === '*') runs.push('')
    else if (c === '\\' && i + 1 < pattern.length) runs[runs.length - 1] += pattern[++i]!
    else runs[runs.length - 1] += c === '?' ? anyOne : c
  }
  return compileRuns(runs)
}

/** @param runs what stands between the asterisks */
function compileRuns(runs: readonly string[]): Wildcard {
  const first = runs[0]!
  const last = runs[runs.length - 1]!
  const prefix = first.slice(0, lengthBefore(first.indexOf(anyOne), first))
  const suffix = last.slice(last.lastIndexOf(anyOne) + 1)
  if (runs.length === 1) {
    if (prefix === first) return { prefix, suffix, matches: text => text === first }
    return { prefix, suffix, matches: text => text.length === first.length && runMatchesAt(text, 0, first) }
  }
  const middle = runs.slice(1, -1).flatMap(run => (run === '' ? [] : [finderOf(run)]))
  if (middle.length === 0 && prefix === first && suffix === last) {
    if (last === '') return { prefix, suffix, matches: text => text.startsWith(first) }
    if (first === '') return { prefix, suffix, matches: text => text.endsWith(last) }
  }
  return { prefix, suffix, matches: text => matchesRuns(text, first, middle, last) }
}

function lengthBefore(found: number, text: string): number {
  return found === -1 ? text.length : found
}

/** The earliest place for each run leaves the most room for the next, so the first fit decides. */
function matchesRuns(text: string, first: string, middle: readonly RunFinder[], last: string): boolean {
  const end = text.length - last.length
  if (end < first.length || !runMatchesAt(text, 0, first) || !runMatchesAt(text, end, last)) return false
  let at = first.length
  for (const run of middle) {
    const found = run.indexIn(text, at, end)
    if (found === -1) return false
    at = found + run.length
  }
  return true
}

function runMatchesAt(text: string, at: number, run: string): boolean {
  for (let i = 0; i < run.length; i++) {
    const c = run.charCodeAt(i)
    if (c !== anyOneCode && c !== text.charCodeAt(at + i)) return false
  }
  return true
}

type RunFinder = {
  readonly length: number
  /** @returns where the run fits first, between the two bounds, or -1 */
  indexIn(text: string, from: number, end: number): number
}

function finderOf(run: string): RunFinder {
  return run.includes(anyOne) ? new GappedRun(run) : new LiteralRun(run)
}

class LiteralRun implements RunFinder {
  readonly length: number
  readonly #run: string

  constructor(run: string) {
    this.length = run.length
    this.#run = run
  }

  indexIn(text: string, from: number, end: number): number {
    const found = text.indexOf(this.#run, from)
    return found !== -1 && found + this.length <= end ? found : -1
  }
}

/**
 * Shift-And: one bit for each beginning of the run that fits at this place, all moved on together with each byte.
 * Trying the run at every place would take its length times the text's, which a client chooses.
 */
class GappedRun implements RunFinder {
  readonly length: number
  /** By byte and word: the places in the run where that byte may stand. */
  readonly #masks: Int32Array
  readonly #fitting: Int32Array
  readonly #lastBit: number

  constructor(run: string) {
    this.length = run.length
    const words = (run.length + 31) >>> 5
    this.#fitting = new Int32Array(words)
    this.#lastBit = 1 << ((run.length - 1) & 31)
    this.#masks = new Int32Array(256 * words)
    for (let byte = 0; byte < 256; byte++) {
      for (let i = 0; i < run.length; i++) {
        const c = run.charCodeAt(i)
        if (c === anyOneCode || c === byte) this.#masks[byte * words + (i >>> 5)]! |= 1 << (i & 31)
      }
    }
  }

  indexIn(text: string, from: number, end: number): number {
    const masks = this.#masks
    const fitting = this.#fitting.fill(0)
    const words = fitting.length
    for (let at = from; at < end; at++) {
      const row = (text.charCodeAt(at) & 0xff) * words
      let carry = 1
      for (let i = 0; i < words; i++) {
        const word = fitting[i]!
        fitting[i] = ((word << 1) | carry) & masks[row + i]!
        carry = word >>> 31
      }
      if ((fitting[words - 1]! & this.#lastBit) !== 0) return at + 1 - this.length
    }
    return -1
  }
}
