/** Compiles the rules of a listener when a snapshot arrives, and answers which one a request meets. */

import { assert } from '../base/assert.ts'
import type { Condition, Listener, RoutingAction } from '../model/resources.ts'
import { compileWildcard, type Wildcard } from './wildcard.ts'

export type CompiledRule<Action> = {
  /** 0 for the default rule, as the access log writes it. */
  readonly priority: number
  /** Any of them must match; null: every host does. */
  readonly hosts: readonly Wildcard[] | null
  readonly paths: readonly Wildcard[] | null
  readonly action: Action
}

export type CompiledRules<Action> = {
  /** By ascending priority; the default rule comes last and always matches. */
  readonly rules: readonly CompiledRule<Action>[]
  /** Whether any rule looks at the host or the path, so that they are made into strings only when needed. */
  readonly hasConditions: boolean
}

/** @param resolve makes of an action what the data plane runs */
export function compileRules<Action>(
  listener: Listener,
  resolve: (action: RoutingAction) => Action,
): CompiledRules<Action> {
  const rules: CompiledRule<Action>[] = listener.rules.map(rule => ({
    priority: rule.priority,
    hosts: compileValues(rule.conditions, 'host-header'),
    paths: compileValues(rule.conditions, 'path-pattern'),
    action: resolve(rule.action),
  }))
  rules.push({ priority: 0, hosts: null, paths: null, action: resolve(listener.defaultAction) })
  return { rules, hasConditions: rules.length > 1 }
}

/** A rule has at most one condition of each of these fields; the values of one condition are alternatives. */
function compileValues(conditions: readonly Condition[], field: Condition['field']): readonly Wildcard[] | null {
  const values: Wildcard[] = []
  for (const condition of conditions) {
    if (condition.field !== field) continue
    switch (condition.field) {
      case 'host-header':
        values.push(...condition.values.map(value => compileWildcard(value.toLowerCase())))
        break
      case 'path-pattern':
        values.push(...condition.values.map(value => compileWildcard(value)))
        break
      default:
        assert(false, `${condition.field} is compiled`)
    }
  }
  return values.length === 0 ? null : values
}

/**
 * The rule that applies: the first, by priority, whose conditions all match.
 *
 * @param host lower-cased, without a port
 * @param path without the query
 */
export function matchRule<Action>(compiled: CompiledRules<Action>, host: string, path: string): CompiledRule<Action> {
  const { rules } = compiled
  const last = rules.length - 1
  for (let i = 0; i < last; i++) {
    const rule = rules[i]!
    if (rule.hosts !== null && !anyMatches(rule.hosts, host)) continue
    if (rule.paths !== null && !anyMatches(rule.paths, path)) continue
    return rule
  }
  return rules[last]!
}

function anyMatches(wildcards: readonly Wildcard[], text: string): boolean {
  for (let i = 0; i < wildcards.length; i++) if (wildcards[i]!.matches(text)) return true
  return false
}
