/** "Did you mean …?" for misspelt keys and names. */

/** The candidate with the fewest edits from `word`, letter case aside; null when none is near enough to be meant. */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  let best: string | null = null
  // A third of the letters may be wrong, or one, but not all.
  let bestEdits = Math.min(Math.max(1, Math.floor(word.length / 3)) + 1, word.length)
  for (const candidate of candidates) {
    const edits = editsBetween(word.toLowerCase(), candidate.toLowerCase())
    if (edits >= bestEdits) continue
    best = candidate
    bestEdits = edits
  }
  return best
}

/** What to say of a name that is none of `names`. */
export function unknownName(kind: string, name: string, names: readonly string[]): string {
  const meant = nearest(name, names)
  if (meant !== null) return `names no ${kind}: "${name}"; did you mean "${meant}"?`
  const known = names.length === 0 ? 'none is defined' : `defined are ${names.join(', ')}`
  return `names no ${kind}: "${name}"; ${known}`
}

/** Levenshtein distance, one row at a time. */
function editsBetween(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, at) => at)
  for (let i = 1; i <= from.length; i++) {
    const row = [i]
    for (let j = 1; j <= to.length; j++) {
      const replaced = previous[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1)
      row.push(Math.min(replaced, previous[j]! + 1, row[j - 1]! + 1))
    }
    previous = row
  }
  return previous[to.length]!
}
