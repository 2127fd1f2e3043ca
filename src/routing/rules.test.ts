import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { listenerArn, ruleArn, targetGroupArn } from '../model/arns.ts'
import { type Condition, type Listener, noTransforms, type RoutingAction } from '../model/resources.ts'
import { compileRules, matchRule } from './rules.ts'

function forwardTo(name: string): RoutingAction {
  return {
    type: 'forward',
    targetGroups: [{ arn: targetGroupArn(name, '0123456789abcdef'), weight: 1 }],
    stickinessSeconds: null,
  }
}

function listenerWith(rules: readonly (readonly [priority: number, ...conditions: Condition[]])[]): Listener {
  return {
    arn: listenerArn('web', '0123456789abcdef', '0123456789abcdef'),
    protocol: 'HTTP',
    port: 80,
    bindPort: 0,
    attributes: { serverHeader: true, responseHeaders: [] },
    defaultAction: forwardTo('default'),
    rules: rules.map(([priority, ...conditions]) => ({
      arn: ruleArn('web', '0123456789abcdef', '0123456789abcdef', `${priority}`.padStart(16, '0')),
      priority,
      conditions,
      action: forwardTo(`rule-${priority}`),
      transforms: noTransforms,
    })),
  }
}

const host = (...values: string[]): Condition => ({ field: 'host-header', values, regexValues: [] })
const path = (...values: string[]): Condition => ({ field: 'path-pattern', values, regexValues: [] })

/** The priority of the rule that a request meets. */
function priorityFor(listener: Listener, host: string, path: string): number {
  return matchRule(
    compileRules(listener, action => action),
    host,
    path,
  ).priority
}

describe('matching rules', () => {
  it('meets the default rule, priority 0, where there is no other', () => {
    const compiled = compileRules(listenerWith([]), action => action)
    assert.equal(compiled.hasConditions, false)
    const rule = matchRule(compiled, 'a', '/')
    assert.equal(rule.priority, 0)
    assert.deepEqual(rule.action, forwardTo('default'))
  })

  it('meets the first rule by priority that matches', () => {
    const listener = listenerWith([
      [10, path('/a/b')],
      [20, path('/a/*')],
      [30, path('/*')],
    ])
    assert.equal(compileRules(listener, action => action).hasConditions, true)
    assert.equal(priorityFor(listener, 'x', '/a/b'), 10)
    assert.equal(priorityFor(listener, 'x', '/a/c'), 20)
    assert.equal(priorityFor(listener, 'x', '/b'), 30)
    assert.equal(priorityFor(listener, 'x', '*'), 0)
  })

  it('needs all conditions of a rule', () => {
    const listener = listenerWith([[1, host('a.example'), path('/x')]])
    assert.equal(priorityFor(listener, 'a.example', '/x'), 1)
    assert.equal(priorityFor(listener, 'a.example', '/y'), 0)
    assert.equal(priorityFor(listener, 'b.example', '/x'), 0)
  })

  it('needs one value of a condition', () => {
    const listener = listenerWith([[1, host('a.example', '*.b.example')]])
    assert.equal(priorityFor(listener, 'a.example', '/'), 1)
    assert.equal(priorityFor(listener, 'x.b.example', '/'), 1)
    assert.equal(priorityFor(listener, 'b.example', '/'), 0)
  })

  it('ignores case in hosts and minds it in paths', () => {
    const listener = listenerWith([
      [1, host('WWW.Example.COM')],
      [2, path('/Api')],
    ])
    assert.equal(priorityFor(listener, 'www.example.com', '/'), 1)
    assert.equal(priorityFor(listener, 'x', '/Api'), 2)
    assert.equal(priorityFor(listener, 'x', '/api'), 0)
  })

  it('resolves each action once, when the rules are compiled', () => {
    const resolved: RoutingAction[] = []
    const compiled = compileRules(listenerWith([[1, path('/')]]), action => resolved.push(action))
    assert.deepEqual(resolved, [forwardTo('rule-1'), forwardTo('default')])
    assert.equal(matchRule(compiled, 'a', '/').action, 1)
    assert.equal(matchRule(compiled, 'a', '/x').action, 2)
    assert.equal(resolved.length, 2)
  })
})
