import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  applyRewrite,
  compileRewrite,
  type RewriteType,
  rewriteProblem,
  transformedHostBytesMax,
  transformedUrlBytesMax,
} from './rewrite.ts'

function rewritten(type: RewriteType, regex: string, replace: string, text: string) {
  const rewrite = { regex, replace }
  assert.equal(rewriteProblem(rewrite), null)
  const outcome = applyRewrite(compileRewrite(type, rewrite), text)
  return [outcome.status, outcome.text]
}
const url = (regex: string, replace: string, text: string) => rewritten('url-rewrite', regex, replace, text)
const host = (regex: string, replace: string, text: string) => rewritten('host-header-rewrite', regex, replace, text)

describe('a rewrite', () => {
  it('of the documentation does what the documentation says', () => {
    assert.deepEqual(url('^/dp/([A-Za-z0-9]+)/?$', '/product.php?id=$1', '/dp/B09G3HRMW'), [
      'TransformSuccess',
      '/product.php?id=B09G3HRMW',
    ])
    assert.deepEqual(host('^mywebsite-(.+).com$', 'internal.dev.$1.myweb.com', 'mywebsite-shop.com'), [
      'TransformSuccess',
      'internal.dev.shop.myweb.com',
    ])
  })

  it('that matches nothing changes nothing, not even what it would refuse', () => {
    assert.deepEqual(url('^/dp/', '/x', '/other'), [null, '/other'])
    assert.deepEqual(host('^b$', 'c', 'a_b'), [null, 'a_b'])
  })

  it('replaces the first match only', () => {
    assert.deepEqual(url('a', 'b', '/aaa'), ['TransformSuccess', '/baa'])
    assert.deepEqual(url('', '/v1', '/a'), ['TransformSuccess', '/v1/a'])
  })

  it('sees path and query as one text, and minds case', () => {
    assert.deepEqual(url('^/a\\?(.*)$', '/b?$1&c=1', '/a?x=y'), ['TransformSuccess', '/b?x=y&c=1'])
    assert.deepEqual(url('^/A', '/b', '/a'), [null, '/a'])
  })

  it('of a host may be written in any case', () => {
    assert.deepEqual(host('^WWW\\.', 'api.', 'www.example.com'), ['TransformSuccess', 'api.example.com'])
  })

  it('puts nothing where a group took no part, and a group wherever it is named', () => {
    assert.deepEqual(url('^/(?:(a)|(b))$', '/[$1|$2]', '/b'), ['TransformSuccess', '/[|b]'])
    assert.deepEqual(url('^/(.)(.)$', '/$2$1$2x', '/ab'), ['TransformSuccess', '/babx'])
    assert.deepEqual(url('^/(a|ab)(c|bcd)?(.*)$', '/$1-$2-$3', '/abcd'), ['TransformSuccess', '/a-bcd-'])
  })

  it('refuses a path that is none, or that would end the line', () => {
    for (const [replace, text] of [
      ['', '/a'],
      ['x', '/a'],
      ['/a b', '/a'],
      ['/\r\nX: y', '/a'],
      ['/\n', '/a'],
      ['/\x7f', '/a'],
      ['/\0', '/a'],
    ] as const) {
      assert.deepEqual(url('^.*$', replace, text), ['TransformInvalidPath', text], JSON.stringify(replace))
    }
  })

  it('refuses a host that is none', () => {
    for (const replace of ['', 'a b', 'a\r\nX: y', 'a/b', 'a:80', 'user@a', '\xe9.com']) {
      assert.deepEqual(
        host('^.*$', replace, 'a.example'),
        ['TransformInvalidHost', 'a.example'],
        JSON.stringify(replace),
      )
    }
  })

  it('refuses what outgrows its buffer, to the character', () => {
    const long = `/${'a'.repeat(transformedUrlBytesMax - 1)}`
    assert.deepEqual(url('^/a', '/b', long), ['TransformSuccess', `/b${long.slice(2)}`])
    assert.deepEqual(url('^/', '/b', long), ['TransformBufferTooSmall', long])
    assert.deepEqual(url('^(.*)$', '/$1$1', `/${'a'.repeat(9000)}`)[0], 'TransformBufferTooSmall')
    assert.deepEqual(url('^(.*)$', '$1'.repeat(512), `/${'a'.repeat(16_000)}`)[0], 'TransformBufferTooSmall')
    const name = 'a'.repeat(transformedHostBytesMax)
    assert.deepEqual(host('^a', 'b', name)[0], 'TransformSuccess')
    assert.deepEqual(host('^', 'b', name)[0], 'TransformBufferTooSmall')
  })
})

describe('a rewrite is refused when it is configured', () => {
  for (const [regex, replace, problem] of [
    ['(a', '/', 'regex is not a valid regular expression: missing closing )'],
    ['a(?=b)', '/', 'regex must not use lookahead'],
    ['a', '/$1', 'replace uses $1, but regex has no group'],
    ['(a)', '/$1$2', 'replace uses $2, but regex has only 1 group'],
    ['(a)(?:b)(c)', '/$3', 'replace uses $3, but regex has only 2 groups'],
    ['(a)', '/$0', 'replace may use a dollar sign only in $1 to $9, not as $0'],
    ['(a)', '/$10', 'replace may use a dollar sign only in $1 to $9, not as $10'],
    ['(a)', '/$$1', 'replace may use a dollar sign only in $1 to $9, not as $$1'],
    ['(?P<n>a)', '/${', 'replace may use a dollar sign only in $1 to $9, not as ${'],
    ['(a)', '/$', 'replace may use a dollar sign only in $1 to $9, not as $'],
  ] as const) {
    it(`${regex} to ${replace}`, () => assert.equal(rewriteProblem({ regex, replace }), problem))
  }
})
