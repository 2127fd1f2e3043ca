/**
 * Patterns with `*` (any run of characters, empty included) and `?` (exactly one), as rule conditions use them.
 * Compiled to runs of literal text that are searched for in order, so matching never backtracks.
 */

export type Wildcard = { readonly matches: (text: string) => boolean }

/** @param pattern already lower-cased where the comparison ignores case; so must the text be */
export function compileWildcard(pattern: string): Wildcard {
  if (!pattern.includes('*') && !pattern.includes('?')) return { matches: text => text === pattern }
  const runs = pattern.split('*')
  if (runs.length === 1) return { matches: text => text.length === pattern.length && runMatchesAt(text, 0, pattern) }
  const first = runs[0]!
  const last = runs[runs.length - 1]!
  const middle = runs.slice(1, -1).filter(run => run !== '')
  if (middle.length === 0 && !pattern.includes('?')) {
    if (last === '') return { matches: text => text.startsWith(first) }
    if (first === '') return { matches: text => text.endsWith(last) }
  }
  return { matches: text => matchesRuns(text, first, middle, last) }
}

/** The earliest place for each run leaves the most room for the next, so the first fit decides. */
function matchesRuns(text: string, first: string, middle: readonly string[], last: string): boolean {
  const end = text.length - last.length
  if (end < first.length || !runMatchesAt(text, 0, first) || !runMatchesAt(text, end, last)) return false
  let at = first.length
  for (const run of middle) {
    const found = findRun(text, at, end, run)
    if (found === -1) return false
    at = found + run.length
  }
  return true
}

function findRun(text: string, from: number, end: number, run: string): number {
  if (!run.includes('?')) {
    const found = text.indexOf(run, from)
    return found !== -1 && found + run.length <= end ? found : -1
  }
  for (let at = from; at + run.length <= end; at++) if (runMatchesAt(text, at, run)) return at
  return -1
}

function runMatchesAt(text: string, at: number, run: string): boolean {
  for (let i = 0; i < run.length; i++) {
    const c = run.charCodeAt(i)
    if (c !== 0x3f && c !== text.charCodeAt(at + i)) return false
  }
  return true
}
