/**
 * What the service's dialect of regular expressions leaves out, found in the text of a pattern, so that it is refused
 * by name; and how large a pattern is, so that nothing enormous is ever parsed. Whether the rest is well formed is the
 * parser's to say.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html
 */

/** Ours: instructions of a compiled pattern. 1024 characters rarely need more unless counted repetitions multiply. */
export const instructionsMax = 1000

export const tooLarge = `is too large: its counted repetitions must unfold to at most ${instructionsMax} steps`

/** @returns a predicate for an error message, or null */
export function dialectProblem(pattern: string): string | null {
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern.charCodeAt(i)
    // Rules compare bytes; a character beyond would silently never match.
    if (c < 0x20 || c > 0x7e) return 'may hold only visible ASCII characters and spaces'
  }
  return new Scanner(pattern).problem()
}

class Scanner {
  readonly pattern: string
  at = 0
  /** Sizes of the groups around this place, the innermost last. */
  readonly sizes: number[] = [0]
  /** Of the piece that a quantifier would repeat. */
  lastSize = 0
  isQuantified = false

  constructor(pattern: string) {
    this.pattern = pattern
  }

  problem(): string | null {
    const { pattern } = this
    while (this.at < pattern.length) {
      const problem = this.#step()
      if (problem !== null) return problem
      if (this.sizes[this.sizes.length - 1]! > instructionsMax) return tooLarge
    }
    return null
  }

  #step(): string | null {
    switch (this.pattern[this.at]) {
      case '\\':
        return this.#escape()
      case '[':
        return this.#bracket()
      case '(':
        return this.#open()
      case ')':
        this.#close()
        return null
      case '*':
      case '+':
      case '?':
        return this.#quantify(1, 1)
      case '{': {
        const count = /^\{(\d{1,4})(,(\d{0,4}))?\}/.exec(this.pattern.slice(this.at, this.at + 12))
        if (count === null) break
        const least = Number(count[1])
        const most = count[2] === undefined ? least : count[3] === '' ? least + 1 : Number(count[3])
        return this.#quantify(count[0].length, Math.max(least, most))
      }
    }
    this.#atom(1)
    return null
  }

  #atom(length: number): void {
    this.at += length
    this.#grow(1)
    this.lastSize = 1
    this.isQuantified = false
  }

  #grow(by: number): void {
    this.sizes[this.sizes.length - 1]! += by
  }

  #escape(): string | null {
    const next = this.pattern[this.at + 1] ?? ''
    if (next === 'p' || next === 'P') return `must not use the class \\${next}`
    if (next === 'Q') return 'must not quote with \\Q'
    if (next === 'g' || next === 'k' || (next >= '1' && next <= '9')) return `must not use the backreference \\${next}`
    this.#atom(2)
    return null
  }

  #bracket(): string | null {
    const { pattern } = this
    let i = this.at + 1
    if (pattern[i] === '^') i++
    if (pattern[i] === ']') i++
    for (; i < pattern.length && pattern[i] !== ']'; i++) {
      if (pattern[i] === '\\') {
        i++
        if (pattern[i] === 'p' || pattern[i] === 'P') return `must not use the class \\${pattern[i]}`
      } else if (pattern.startsWith('[:', i)) {
        const end = pattern.indexOf(':]', i + 2)
        if (end !== -1) i = end + 1
      }
    }
    this.#atom(i + 1 - this.at)
    return null
  }

  #open(): string | null {
    const behind = this.pattern.slice(this.at + 1, this.at + 5)
    for (const [start, name] of exclusions) if (start.test(behind)) return `must not use ${name}`
    this.sizes.push(2)
    this.at++
    // What follows a question mark here are flags or a name, no quantifier.
    if (behind[0] === '?') this.at++
    this.lastSize = 0
    this.isQuantified = false
    return null
  }

  #close(): void {
    this.at++
    this.lastSize = this.sizes.length > 1 ? this.sizes.pop()! : 0
    this.#grow(this.lastSize)
    this.isQuantified = false
  }

  #quantify(length: number, times: number): string | null {
    if (this.isQuantified && this.pattern[this.at] === '+') return 'must not use possessive quantifiers'
    // Behind a quantifier, a question mark only makes it reluctant.
    const isReluctance = this.isQuantified && this.pattern[this.at] === '?'
    if (!isReluctance) {
      const size = this.lastSize * times + 1
      this.#grow(size - this.lastSize)
      this.lastSize = size
    }
    this.at += length
    this.isQuantified = !isReluctance
    return null
  }
}

const exclusions: readonly (readonly [start: RegExp, name: string])[] = [
  [/^\?[=!]/, 'lookahead'],
  [/^\?<[=!]/, 'lookbehind'],
  [/^\?>/, 'atomic groups'],
  [/^\?P=/, 'backreferences'],
  [/^\?(R|0)/, 'recursion'],
  [/^\?([1-9&]|[+-]\d|P>)/, 'subroutines'],
]
