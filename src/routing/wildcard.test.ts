import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { compileEscapedWildcard, compileWildcard } from './wildcard.ts'

/** The definition, word by word; exponential, and plainly right. */
function matchesNaively(pattern: string, text: string): boolean {
  if (pattern === '') return text === ''
  if (pattern[0] === '*') {
    return matchesNaively(pattern.slice(1), text) || (text !== '' && matchesNaively(pattern, text.slice(1)))
  }
  return (
    text !== '' && (pattern[0] === '?' || pattern[0] === text[0]) && matchesNaively(pattern.slice(1), text.slice(1))
  )
}

const cases: readonly (readonly [pattern: string, matching: readonly string[], others: readonly string[]])[] = [
  ['/a', ['/a'], ['', '/', '/ab', '/A', 'x/a']],
  ['*', ['', 'a', '/a/b'], []],
  ['**', ['', 'a'], []],
  ['?', ['a', '?', '*'], ['', 'ab']],
  ['??*', ['ab', 'abc'], ['', 'a']],
  ['/api/*', ['/api/', '/api/x/y'], ['/api', '/apix/', 'x/api/']],
  ['*.php', ['.php', '/a.php'], ['.php5', '/a.PHP', 'php']],
  ['/a/*/z', ['/a//z', '/a/b/c/z'], ['/a/z', '/a/b/z/', '/a/b/y']],
  ['/img/??.p*g', ['/img/ab.pg', '/img/ab.png'], ['/img/a.png', '/img/abc.png']],
  ['a*a', ['aa', 'aba'], ['a', 'ab']],
  ['ab*ba', ['abba', 'ab-ba'], ['aba', 'ab']],
  ['*ab*ab*', ['abab', 'xabyabz'], ['ab', 'aab']],
  ['*?b*', ['ab', 'bb', 'xxaby'], ['b', 'ba']],
  ['*.example.com', ['a.example.com', '.example.com', 'a.b.example.com'], ['example.com', 'a.example.com.']],
  ['.+(x|y)[a-z]$', ['.+(x|y)[a-z]$'], ['axa', '.+xa']],
]

describe('a wildcard pattern', () => {
  for (const [pattern, matching, others] of cases) {
    it(`${pattern} matches what it should and nothing else`, () => {
      const wildcard = compileWildcard(pattern)
      for (const text of matching) assert.equal(wildcard.matches(text), true, text)
      for (const text of others) assert.equal(wildcard.matches(text), false, text)
    })
  }

  it('matches exactly what the definition says', t => {
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 8 })
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '?', '*'), maxLength: 10 })
    const seed = Math.floor(Math.random() * 2 ** 31)
    t.diagnostic(`seed ${seed}`)
    let matchCount = 0
    fc.assert(
      fc.property(pattern, text, (pattern, text) => {
        const expected = matchesNaively(pattern, text)
        if (expected) matchCount++
        assert.equal(compileWildcard(pattern).matches(text), expected)
      }),
      { seed, numRuns: 20_000 },
    )
    assert(matchCount > 1000, `only ${matchCount} pairs matched`)
  })

  it('finds long runs with gaps wherever they stand', () => {
    for (const length of [31, 32, 33, 64, 120]) {
      const run = `a${'?b'.repeat(length / 2)}c`.slice(-length)
      const wildcard = compileWildcard(`x*${run}*z`)
      const fitting = run.replaceAll('?', '.')
      assert.equal(wildcard.matches(`x${'a.b'.repeat(50)}${fitting}z`), true, `${length}`)
      assert.equal(wildcard.matches(`x${'a.b'.repeat(50)}${fitting.slice(0, -1)}z`), false, `${length}`)
      assert.equal(wildcard.matches(`x${fitting.slice(1)}${fitting.slice(0, -1)}z`), false, `${length}`)
    }
  })

  it('takes no longer for patterns made to cause backtracking', () => {
    // Trying every split would take longer than the universe has lasted.
    assert.equal(compileWildcard(`${'*a'.repeat(60)}b`).matches('a'.repeat(5000)), false)
    assert.equal(compileWildcard(`${'*?a'.repeat(40)}*b`).matches('a'.repeat(5000)), false)
    assert.equal(compileWildcard(`*b?${'a'.repeat(120)}*`).matches('a'.repeat(16_000)), false)
  })

  it('knows the literal text that its matches begin and end with', () => {
    const ends = (pattern: string) => {
      const { prefix, suffix } = compileWildcard(pattern)
      return [prefix, suffix]
    }
    assert.deepEqual(ends('/a/*'), ['/a/', ''])
    assert.deepEqual(ends('*.example.com'), ['', '.example.com'])
    assert.deepEqual(ends('/a?b*c?d'), ['/a', 'd'])
    assert.deepEqual(ends('/a?b'), ['/a', 'b'])
    assert.deepEqual(ends('/a'), ['/a', '/a'])
    assert.deepEqual(ends('?*?'), ['', ''])
  })
})

describe('a wildcard pattern with escapes', () => {
  const escaped: readonly (readonly [pattern: string, matching: readonly string[], others: readonly string[]])[] = [
    ['\\*', ['*'], ['', 'a', '\\*']],
    ['\\?a', ['?a'], ['ba', '\\?a']],
    ['\\\\*', ['\\', '\\ab'], ['*', 'a']],
    ['a\\*b*', ['a*b', 'a*bc'], ['axb', 'ab']],
    ['\\a\\=', ['a='], ['\\a\\=']],
    ['a\\', ['a\\'], ['a']],
    ['*?', ['a', '?'], ['']],
  ]
  for (const [pattern, matching, others] of escaped) {
    it(`${pattern} matches what it should and nothing else`, () => {
      const wildcard = compileEscapedWildcard(pattern)
      for (const text of matching) assert.equal(wildcard.matches(text), true, text)
      for (const text of others) assert.equal(wildcard.matches(text), false, text)
    })
  }
})
