import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { RE2JS } from 're2js'
import { BackwardFinder } from './regex/backward.ts'
import { compileFinder, compileMatcher, regexProblem, rewriteRegexProblem } from './regex.ts'

/** Pieces that lead into every corner of the automaton: groups, reluctance, empty loops, all kinds of edges. */
const pattern = fc.letrec<{ piece: string }>(tie => ({
  piece: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.constantFrom(
      'a',
      'b',
      '.',
      '[ab]',
      '[^a]',
      '\\w',
      '\\W',
      '\\.',
      '^',
      '$',
      '\\b',
      '\\B',
      '(?m:^)',
      '(?m:$)',
      '\\z',
      '',
    ),
    fc.tuple(tie('piece'), tie('piece')).map(([a, b]) => a + b),
    fc.tuple(tie('piece'), tie('piece')).map(([a, b]) => `(${a}|${b})`),
    fc
      .tuple(tie('piece'), fc.constantFrom('*', '+', '?', '*?', '+?', '??', '{2}', '{1,3}', '{0,2}?'))
      .map(([a, repeat]) => `(?:${a})${repeat}`),
    tie('piece').map(a => `(${a})`),
  ),
})).piece
const text = fc.string({ unit: fc.constantFrom('a', 'b', 'A', '.', ' ', '\n', '\xe9'), maxLength: 12 })

describe('a regular expression', () => {
  it('finds what RE2 finds, group by group', t => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    t.diagnostic(`seed ${seed}`)
    let matchCount = 0
    fc.assert(
      fc.property(
        pattern,
        fc.array(text, { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        (pattern, texts, ignoresCase) => {
          const reference = RE2JS.compile(pattern, ignoresCase ? RE2JS.CASE_INSENSITIVE : 0)
          const matcher = compileMatcher(pattern, ignoresCase)
          const finder = compileFinder(pattern, ignoresCase)
          const backward = new BackwardFinder(reference.re2().prog)
          for (const text of texts) {
            const expected = reference.matcher(text)
            const groups: number[] = []
            if (expected.find()) {
              for (let i = 0; i <= reference.groupCount(); i++) groups.push(expected.start(i), expected.end(i))
              matchCount++
            }
            assert.deepEqual(Array.from(finder.find(text) ?? []), groups, text)
            assert.equal(matcher.matches(text), groups.length > 0, text)
            assert.equal(backward.matches(text), groups.length > 0, text)
          }
        },
      ),
      { seed, numRuns: 3000 },
    )
    assert(matchCount > 1000, `only ${matchCount} texts matched`)
  })
})

const accepted = [
  '',
  '^/users/[0-9]+/orders/[a-z]+$',
  '^mywebsite-(.+).com$',
  '^/(?:products|items)/([0-9]{1,12})(?:/(reviews|images))?(?:\\?(.*))?$',
  '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}',
  '(?i)^(?P<name>www\\.)?[a-z]{1,63}\\.example\\.(com|org|net)$',
  'Mozilla/[0-9.]+ .*(iPhone|Android).*Mobile',
  '^/(.{1,36})/orders/(.*)$',
  '\\b(bot|crawler)\\b',
  'a+?b*?c??d{1,2}?',
  '[[:alpha:]\\]?=!]+(?-s:.)',
  'a{,3}{x}',
  '(\\?=a)',
  '(a*)*b',
  '^/[a-z0-9-]{1,40}-[0-9]+',
  // Few states forward only, then backward only.
  '[ab]{50}a',
  'a[ab]{50}$',
]

const refused: readonly (readonly [pattern: string, problem: RegExp | string])[] = [
  ['(a', 'is not a valid regular expression: missing closing )'],
  ['[a', 'is not a valid regular expression: missing closing ]'],
  ['a)', /^is not a valid regular expression: unexpected \)/],
  ['*a', /^is not a valid regular expression: missing argument to repetition operator/],
  ['a**', /^is not a valid regular expression: invalid nested repetition operator/],
  ['a{2,1}', /^is not a valid regular expression: invalid repeat count/],
  ['a\\', /^is not a valid regular expression: trailing backslash/],
  ['(?<n', /^is not a valid regular expression/],
  ['a(?=b)', 'must not use lookahead'],
  ['a(?!b)', 'must not use lookahead'],
  ['(?<=a)b', 'must not use lookbehind'],
  ['(?<!a)b', 'must not use lookbehind'],
  ['(a)\\1', 'must not use the backreference \\1'],
  ['(?P<n>a)(?P=n)', 'must not use backreferences'],
  ['(?<n>a)\\k<n>', 'must not use the backreference \\k'],
  ['(?>a+)b', 'must not use atomic groups'],
  ['a++', 'must not use possessive quantifiers'],
  ['a*+', 'must not use possessive quantifiers'],
  ['a?+', 'must not use possessive quantifiers'],
  ['(ab){1,2}+', 'must not use possessive quantifiers'],
  ['(a)(?1)', 'must not use subroutines'],
  ['(?<n>a)(?&n)', 'must not use subroutines'],
  ['(?<n>a)(?P>n)', 'must not use subroutines'],
  ['a(?R)?b', 'must not use recursion'],
  ['\\pL', 'must not use the class \\p'],
  ['[a\\P{Greek}]', 'must not use the class \\P'],
  ['\\Qa\\E', 'must not quote with \\Q'],
  ['caf\xe9', 'may hold only visible ASCII characters and spaces'],
  ['a\nb', 'may hold only visible ASCII characters and spaces'],
]

/** Made to unfold, to have very many states, or to have very many ways from one step to the next. */
const costly = [
  '((a{1,100}){1,10})',
  '((a{1,30}){1,30})z',
  '(a?){330}z',
  '(a?){190}z$',
  'a{1000}'.repeat(146),
  `(${'a'.repeat(1000)}){1000}`,
  `${'('.repeat(500)}a${')*'.repeat(500)}`,
  `${'('.repeat(510)}a${'){2}'.repeat(128)}`,
  `${'(?:a?){2}'.repeat(110)}`,
  'x.{100}z',
  '[ab]{0,60}a[ab]{0,60}b[ab]{0,60}z',
]

describe('a pattern', () => {
  for (const pattern of accepted) {
    it(`such as ${pattern} is accepted`, () => assert.equal(regexProblem(pattern), null))
  }

  for (const [pattern, problem] of refused) {
    it(`such as ${JSON.stringify(pattern)} is refused by name`, () => {
      const found = regexProblem(pattern)
      if (typeof problem === 'string') assert.equal(found, problem)
      else assert.match(found ?? '', problem)
    })
  }

  for (const pattern of costly) {
    it(`that costs too much is refused: ${pattern.slice(0, 40)}`, () => {
      assert.match(regexProblem(pattern) ?? '', /^(is too large|takes too much work)/)
    })
  }

  it('may suit a condition but be too costly for the groups of a transform', () => {
    assert.equal(regexProblem('^/([ab]{50})a'), null)
    assert.match(rewriteRegexProblem('^/([ab]{50})a') ?? '', /^takes too much work/)
    assert.equal(rewriteRegexProblem('^/([ab]{50})a$'), null)
  })

  it('is compiled once for all snapshots', () => {
    assert.equal(compileMatcher('^/once$', false), compileMatcher('^/once$', false))
    assert.notEqual(compileMatcher('^/once$', false), compileMatcher('^/once$', true))
    assert.equal(compileFinder('^/once$', false), compileFinder('^/once$', false))
  })

  it('may cause backtracking elsewhere: a long text costs no more steps than it has bytes', () => {
    // A backtracking engine would not end; an automaton that is built while it reads would build one state per byte.
    const a = 'a'.repeat(16 * 1024)
    assert.equal(compileFinder('(a*)*(a*)*(a*)*b', false).find(a), null)
    assert.equal(compileMatcher('(a|aa|aaa)*$b', false).matches(a), false)
    assert.deepEqual(Array.from(compileFinder('^(a|a?)+$', false).find(a) ?? []).slice(0, 2), [0, a.length])
    assert.deepEqual(Array.from(compileFinder('(.*)(.*)(.*)z$', false).find(`${a}z`) ?? []).slice(0, 4), [
      0,
      a.length + 1,
      0,
      a.length,
    ])
  })

  it('is searched in texts of any length, one after the other', () => {
    const regex = compileFinder('b(a*)$', false)
    for (const length of [0, 100_000, 3, 200_001]) {
      assert.deepEqual(Array.from(regex.find(`xb${'a'.repeat(length)}`) ?? []), [1, 2 + length, 2, 2 + length])
    }
  })
})
