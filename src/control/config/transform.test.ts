import { testAccepted, testRefused, withDefaultAction, withTransforms } from './marked.test-support.ts'

const repeat = (text: string, times: number) => text.repeat(times)
const url = (rewrites: string) => withTransforms(`[{ type: url-rewrite, urlRewrite: { rewrites: ${rewrites} } }]`)
const rewrite = (members: string) => url(`[{ ${members} }]`)

testRefused([
  [
    'a transform of no kind',
    withTransforms('[{ type: «path-rewrite }]'),
    'type must be host-header-rewrite or url-rewrite, not "path-rewrite"',
  ],
  [
    'a transform without what it does',
    withTransforms('[«{ type: url-rewrite }]'),
    'urlRewrite is missing: it must be a map with rewrites',
  ],
  [
    'a transform that does what another does',
    withTransforms('[«{ type: host-header-rewrite, «urlRewrite: {} }]'),
    /hostHeaderRewrite is missing: .*/,
    /unknown key "urlRewrite".*/,
  ],
  [
    'two transforms of one kind',
    withTransforms(`[{ type: url-rewrite, urlRewrite: { rewrites: [{ regex: a, replace: b }] } },
            { type: «url-rewrite, urlRewrite: { rewrites: [{ regex: b, replace: c }] } }]`),
    /type must differ within a rule: url-rewrite is also at openalb\.yaml:8:\d+/,
  ],
  ['no rewrite', url('«[]'), 'rewrites must hold one rewrite, not none'],
  [
    'two rewrites',
    url('«[{ regex: a, replace: b }, { regex: c, replace: d }]'),
    'rewrites must hold one rewrite, not 2',
  ],
  ['a rewrite without a regular expression', url('[«{ replace: a }]'), /regex is missing: .*/],
  ['a rewrite without a replacement', url('[«{ regex: a }]'), /replace is missing: .*/],
  ['an empty regular expression', rewrite('regex: «"", replace: a'), 'regex must not be empty'],
  [
    'a regular expression of 1025',
    rewrite(`regex: «${repeat('a', 1025)}, replace: a`),
    'regex must be at most 1024 characters, not 1025',
  ],
  [
    'a replacement of 1025',
    rewrite(`regex: a, replace: «${repeat('a', 1025)}`),
    'replace must be at most 1024 characters, not 1025',
  ],
  [
    'a regular expression that is none',
    rewrite('regex: «"(a", replace: b'),
    /regex is not a valid regular expression: .+/,
  ],
  [
    'a group that the regular expression has not',
    rewrite('regex: (a), replace: «"$1$2"'),
    'replace uses $2, but regex has only 1 group',
  ],
  ['a dollar sign that is no group', rewrite('regex: (a), replace: «"$10"'), /replace may use a dollar sign only .+/],
  [
    'a transform of the default action',
    withDefaultAction('{ type: forward, targetGroup: app, «transforms: [] }'),
    /unknown key "transforms"; .*/,
  ],
])

testAccepted([
  ['no transforms', withTransforms('[]')],
  ['the longest rewrite', rewrite(`regex: "[${repeat('a', 1022)}]", replace: ${repeat('a', 1024)}`)],
  ['an empty replacement', rewrite('regex: a, replace: ""')],
  [
    'one transform of each kind',
    withTransforms(`[{ type: url-rewrite, urlRewrite: { rewrites: [{ regex: "^/a/(.*)$", replace: "/$1" }] } },
            { type: host-header-rewrite, hostHeaderRewrite: { rewrites: [{ regex: "^a-(.+)$", replace: "$1" }] } }]`),
  ],
])
