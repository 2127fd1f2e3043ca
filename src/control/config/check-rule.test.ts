import { test } from 'node:test'
import { assertProblems, assertValid, withConditions, withRules } from './marked.test-support.ts'

const values = {
  'path-pattern': '[/a]',
  'host-header': '[a.b]',
  'http-request-method': '[GET]',
  'source-ip': '[10.0.0.0/8]',
}

for (const [field, value] of Object.entries(values)) {
  test(`two ${field} conditions in a rule are refused`, () => {
    const conditions = `[{ field: ${field}, values: ${value} }, { field: «${field}, values: ${value} }]`
    assertProblems(withConditions(conditions), [
      `field must differ within a rule: ${field} is also at openalb.yaml:8:98; give one condition several values`,
    ])
  })
}

test('several conditions on headers, on one header and on the query are fine', () => {
  assertValid(
    withConditions(`[{ field: http-header, httpHeaderName: A, values: ["*a*"] },
            { field: http-header, httpHeaderName: A, values: ["*b*"] },
            { field: http-header, httpHeaderName: B, regexValues: [c] },
            { field: query-string, values: [{ value: a }] }, { field: query-string, values: [{ value: b }] }]`),
  )
})

const six = 'conditions must have at most 5 values in all, not 6'

test('six values in a rule are refused, five are not', () => {
  const conditions = (hosts: string) =>
    withConditions(`«[{ field: path-pattern, values: [/a, /b, /c] }, { field: host-header, values: [${hosts}] }]`)
  assertProblems(conditions('a.b, c.d, e.f'), [six])
  assertValid(conditions('a.b, c.d').replace('«', ''))
})

test('values of every kind count, regular expressions too', () => {
  const conditions = (methods: string) =>
    withConditions(`«[{ field: path-pattern, regexValues: [a] }, { field: query-string, values: [{ value: a }] },
            { field: http-header, httpHeaderName: A, values: [a] }, { field: source-ip, values: [10.0.0.0/8] },
            { field: http-request-method, values: [${methods}] }]`)
  assertProblems(conditions('A, B'), [six])
  assertValid(conditions('A').replace('«', ''))
})

const seven = 'conditions must have at most 6 wildcards (* and ?) in all, not 7'

test('seven wildcards in a rule are refused, six are not', () => {
  const conditions = (host: string) =>
    withConditions(`«[{ field: path-pattern, values: ["/*?*", "/??"] }, { field: host-header, values: ["${host}"] }]`)
  assertProblems(conditions('*.?.b'), [seven])
  assertValid(conditions('*.b').replace('«', ''))
})

test('wildcards in headers and in keys and values of the query count', () => {
  const conditions = (key: string) =>
    withConditions(`«[{ field: http-header, httpHeaderName: A, values: ["*a*"] },
            { field: query-string, values: [{ key: "${key}", value: "?b?" }, { value: "*" }] }]`)
  assertProblems(conditions('a*?'), [seven])
  assertValid(conditions('a*').replace('«', ''))
})

test('what is escaped in the query is no wildcard, but an escaped backslash escapes nothing', () => {
  const conditions = (value: string) => withConditions(`«[{ field: query-string, values: [{ value: '${value}' }] }]`)
  assertValid(conditions('\\*\\?\\*\\?\\*\\?\\*\\?').replace('«', ''))
  assertValid(conditions('\\\\*\\\\?\\\\*\\\\?\\\\*\\\\?').replace('«', ''))
  assertProblems(conditions('\\\\*\\\\?\\\\*\\\\?\\\\*\\\\?\\\\\\\\*'), [seven])
})

test('characters of regular expressions and header names are no wildcards', () => {
  assertValid(
    withConditions(`[{ field: path-pattern, regexValues: ["a*b*c?d?e*f*g*"] },
            { field: http-header, httpHeaderName: "*******", values: [a] }]`),
  )
})

test('transforms are refused where no target would see what they change', () => {
  const rule = (action: string) =>
    withRules(`{ priority: 1, conditions: [{ field: path-pattern, values: [/a] }], actions: [${action}],
            transforms: «[{ type: url-rewrite, urlRewrite: { rewrites: [{ regex: ^/a, replace: /b }] } }] }`)
  for (const [type, action] of [
    ['redirect', '{ type: redirect, redirect: { path: /c, statusCode: HTTP_301 } }'],
    ['fixed-response', '{ type: fixed-response, fixedResponse: { statusCode: 200 } }'],
  ] as const) {
    assertProblems(rule(action), [`transforms serve a forward action only: they would change nothing about a ${type}`])
  }
})
