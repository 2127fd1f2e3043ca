/**
 * Regular expressions of rules and transforms, in time linear in the text whatever the text: 5 ns per byte, with
 * nothing built while requests pass. `re2js` only parses them.
 *
 * Neither JavaScript's own `RegExp` nor `re2js` runs one. The former backtracks, so a client could stall a worker with a
 * path. The latter builds its automaton while it reads, and a hostile text makes it build a state per byte (130 ms on
 * 16 K of `a` and `b` for `(a|b)a.{300}z`, a second for groups). Here all states are built beforehand, and a pattern with
 * too many of them is refused when it is configured.
 */

import { RE2JS, RE2JSException, RE2JSSyntaxException } from 're2js'
import { assert } from '../base/assert.ts'
import { BackwardFinder } from './regex/backward.ts'
import { dialectProblem, instructionsMax, tooLarge } from './regex/dialect.ts'
import { ForwardMatcher } from './regex/forward.ts'
import { type Program, TooLarge } from './regex/graph.ts'

export type Matcher = {
  /** @param text of bytes, one per character. It is searched, unless the pattern is anchored. */
  matches(text: string): boolean
}

export type Finder = {
  readonly groupCount: number
  /** @returns begin and end of the first match and of each group, -1 where one took no part; valid until the next call */
  find(text: string): Int32Array | null
}

type Problem = { readonly problem: string }

/** Ours: patterns kept across snapshots, so that publishing one does not compile them all again. */
const keptMax = 4096
const matchers = new Map<string, Matcher | Problem>()
const finders = new Map<string, Finder | Problem>()

/** @returns null, or why a condition cannot use the pattern, as a predicate: `must not use lookahead` */
export function regexProblem(pattern: string): string | null {
  return problemOf(matcherFor(pattern, false)) ?? problemOf(matcherFor(pattern, true))
}

/** The same for a transform, whose groups leave fewer ways to run it. */
export function rewriteRegexProblem(pattern: string): string | null {
  return problemOf(finderFor(pattern, false)) ?? problemOf(finderFor(pattern, true))
}

/** @param pattern one that `regexProblem` lets pass */
export function compileMatcher(pattern: string, ignoresCase: boolean): Matcher {
  const matcher = matcherFor(pattern, ignoresCase)
  assert('matches' in matcher, 'a regular expression was checked when it was configured')
  return matcher
}

/** @param pattern one that `rewriteRegexProblem` lets pass */
export function compileFinder(pattern: string, ignoresCase: boolean): Finder {
  const finder = finderFor(pattern, ignoresCase)
  assert('find' in finder, 'a regular expression was checked when it was configured')
  return finder
}

function problemOf(result: Matcher | Finder | Problem): string | null {
  return 'problem' in result ? result.problem : null
}

/** Each direction copes with patterns that the other cannot: `[ab]{50}a` has few states forward, `a[ab]{50}$` backward. */
function matcherFor(pattern: string, ignoresCase: boolean): Matcher | Problem {
  return kept(matchers, pattern, ignoresCase, program => {
    const forward = unlessTooLarge(() => new ForwardMatcher(program))
    return 'problem' in forward ? unlessTooLarge(() => new BackwardFinder(program)) : forward
  })
}

function finderFor(pattern: string, ignoresCase: boolean): Finder | Problem {
  return kept(finders, pattern, ignoresCase, program => unlessTooLarge(() => new BackwardFinder(program)))
}

function kept<Compiled>(
  known: Map<string, Compiled | Problem>,
  pattern: string,
  ignoresCase: boolean,
  build: (program: Program) => Compiled | Problem,
): Compiled | Problem {
  const key = ignoresCase ? `i${pattern}` : `c${pattern}`
  let compiled = known.get(key)
  if (compiled === undefined) {
    const program = parse(pattern, ignoresCase)
    compiled = 'problem' in program ? program : build(program)
  }
  // Entered again as the youngest; the one that was not asked for longest goes first.
  known.delete(key)
  known.set(key, compiled)
  if (known.size > keptMax) known.delete(known.keys().next().value!)
  return compiled
}

function parse(pattern: string, ignoresCase: boolean): Program | Problem {
  const problem = dialectProblem(pattern)
  if (problem !== null) return { problem }
  try {
    const parsed = RE2JS.compile(pattern, ignoresCase ? RE2JS.CASE_INSENSITIVE : 0)
    return parsed.programSize() > instructionsMax ? { problem: tooLarge } : parsed.re2().prog
  } catch (error) {
    if (error instanceof RE2JSSyntaxException) {
      return { problem: `is not a valid regular expression: ${error.getDescription()}` }
    }
    if (error instanceof RE2JSException) return { problem: `is not a valid regular expression: ${error.message}` }
    throw error
  }
}

function unlessTooLarge<Built>(build: () => Built): Built | Problem {
  try {
    return build()
  } catch (error) {
    if (error instanceof TooLarge) return { problem: tooManyStates }
    throw error
  }
}

const tooManyStates = 'takes too much work to match: its counted repetitions must be shorter'
