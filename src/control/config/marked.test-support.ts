/** For tests: config text in which « stands before each place where a problem is expected. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ConfigOptions, formatProblem, parseConfig } from '../config.ts'

/** Asserts that `marked` has exactly these problems, at its marks, in order. A RegExp must match the whole message. */
export function assertProblems(
  marked: string,
  messages: readonly (string | RegExp)[],
  options: ConfigOptions = {},
  name = 'openalb.yaml',
): void {
  const { text, places } = unmark(marked)
  const result = parseConfig([{ name, text }], options)
  const problems = result.ok ? [] : result.problems
  const expected = messages.map((message, at) => `${name}:${places[at] ?? 'no mark'}: ${show(message)}`)
  const actual = problems.map((problem, at) => {
    const message = messages[at]
    const isMatch = message instanceof RegExp && message.exec(problem.message)?.[0] === problem.message
    return isMatch ? formatProblem({ ...problem, message: show(message) }) : formatProblem(problem)
  })
  assert.deepEqual(actual, expected)
  assert.equal(places.length, messages.length, 'one mark for each message')
}

export function assertValid(text: string, options: ConfigOptions = {}): void {
  const result = parseConfig([{ name: 'openalb.yaml', text }], options)
  assert.deepEqual(result.ok ? [] : result.problems.map(formatProblem), [])
}

export type Case = readonly [what: string, text: string, ...messages: (string | RegExp)[]]

export function testRefused(cases: readonly Case[]): void {
  for (const [what, text, ...messages] of cases) test(`refused: ${what}`, () => assertProblems(text, messages))
}

export function testAccepted(cases: readonly (readonly [what: string, text: string])[]): void {
  for (const [what, text] of cases) test(`accepted: ${what}`, () => assertValid(text))
}

function show(message: string | RegExp): string {
  return message instanceof RegExp ? String(message) : message
}

function unmark(marked: string): { text: string; places: string[] } {
  const places: string[] = []
  const lines = marked.split('\n').map((line, row) => {
    let rest = line
    for (let at = rest.indexOf('«'); at >= 0; at = rest.indexOf('«')) {
      places.push(`${row + 1}:${at + 1}`)
      rest = rest.slice(0, at) + rest.slice(at + 1)
    }
    return rest
  })
  return { text: lines.join('\n'), places }
}

// Frames around the part that a test is about. Each is valid as long as what is put in is.

const appGroup = `
targetGroups:
  - { name: app, protocol: HTTP, port: 3000, targets: [{ id: 127.0.0.1 }] }`

export function withLoadBalancer(members: string): string {
  return `loadBalancers:
  - name: web
    ${members}`
}

export function withDefaultAction(action: string): string {
  return withLoadBalancer(`listeners: [{ protocol: HTTP, port: 8080, defaultActions: [${action}] }]${appGroup}`)
}

export function withRules(...rules: readonly string[]): string {
  return withLoadBalancer(`listeners:
      - protocol: HTTP
        port: 8080
        defaultActions: [{ type: forward, targetGroup: app }]
        rules:
          - ${rules.join('\n          - ')}${appGroup}`)
}

export function withConditions(conditions: string): string {
  return withRules(`{ priority: 1, actions: [{ type: forward, targetGroup: app }], conditions: ${conditions} }`)
}

export function withTransforms(transforms: string): string {
  const conditions = '[{ field: path-pattern, values: [/a] }]'
  const actions = '[{ type: forward, targetGroup: app }]'
  return withRules(`{ priority: 1, conditions: ${conditions}, actions: ${actions}, transforms: ${transforms} }`)
}

/** On port 443. @param members with certificates */
export function withHttps(members: string, action = '{ type: forward, targetGroup: app }'): string {
  return withLoadBalancer(`listeners:
      - protocol: HTTPS
        port: 443
        defaultActions: [${action}]
        ${members}${appGroup}`)
}

/** To `a`, `b` and so on. @param attributes of the target group of that name */
export function withForward(action: string, attributes: Readonly<Record<string, string>> = {}): string {
  const groups = ['a', 'b', 'c', 'd', 'e', 'f'].map(
    name =>
      `\n  - { name: ${name}, protocol: HTTP, port: 1, targets: [{ id: 10.0.0.1 }], attributes: { ${attributes[name] ?? ''} } }`,
  )
  const listeners = `listeners: [{ protocol: HTTP, port: 8080, defaultActions: [${action}] }]`
  return `${withLoadBalancer(listeners)}\ntargetGroups:${groups.join('')}`
}

export function withRedirect(redirect: string): string {
  return withDefaultAction(`{ type: redirect, redirect: ${redirect} }`)
}

export function withFixedResponse(fixedResponse: string): string {
  return withDefaultAction(`{ type: fixed-response, fixedResponse: ${fixedResponse} }`)
}

export function withGroup(members: string): string {
  return withLoadBalancer(`listeners: [{ protocol: HTTP, port: 8080, defaultActions: [{ type: forward, targetGroup: g }] }]
targetGroups:
  - { name: g, protocol: HTTP, port: 3000, ${members} }`)
}
