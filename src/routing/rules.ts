/** Compiles the rules of a listener when a snapshot arrives, and answers which one a request meets. */

import type { Listener, RoutingAction, Transforms } from '../model/resources.ts'
import { type CompiledRewrite, compileRewrite } from './rewrite.ts'
import { type CompiledCondition, compileCondition } from './rules/conditions.ts'
import { Reading, type RuleSubject } from './rules/reading.ts'
import { RuleIndex } from './rules/rule-index.ts'

export type { RuleSubject }

export type CompiledRule<Action> = {
  /** 0 for the default rule, as the access log writes it. */
  readonly priority: number
  /** All of them must be met. */
  readonly conditions: readonly CompiledCondition[]
  readonly action: Action
  /** null: the request goes to its target as it came. */
  readonly transforms: CompiledTransforms | null
}

export type CompiledTransforms = {
  readonly hostHeaderRewrite: CompiledRewrite | null
  readonly urlRewrite: CompiledRewrite | null
}

export type CompiledRules<Action> = {
  /** By ascending priority; the default rule comes last and always matches. */
  readonly rules: readonly CompiledRule<Action>[]
  /** Whether any rule looks at the request; without, the default rule is all there is. */
  readonly hasConditions: boolean
  readonly index: RuleIndex
}

/** @param resolve makes of an action what the data plane runs */
export function compileRules<Action>(
  listener: Listener,
  resolve: (action: RoutingAction) => Action,
): CompiledRules<Action> {
  const rules: CompiledRule<Action>[] = listener.rules.map(rule => ({
    priority: rule.priority,
    conditions: rule.conditions.map(compileCondition),
    action: resolve(rule.action),
    transforms: compileTransforms(rule.transforms),
  }))
  rules.push({ priority: 0, conditions: [], action: resolve(listener.defaultAction), transforms: null })
  return { rules, hasConditions: rules.length > 1, index: new RuleIndex(listener.rules) }
}

/**
 * Does beforehand what takes long about `compileRules`: it builds the regular expressions, which are then known.
 * Between two of them there is time for other things.
 */
export function* prepareRules(listener: Listener): Generator<void> {
  for (const { conditions, transforms } of listener.rules) {
    for (const condition of conditions) {
      if (!('regexValues' in condition) || condition.regexValues.length === 0) continue
      compileCondition(condition)
      yield
    }
    if (compileTransforms(transforms) !== null) yield
  }
}

function compileTransforms({ hostHeaderRewrite, urlRewrite }: Transforms): CompiledTransforms | null {
  if (hostHeaderRewrite === null && urlRewrite === null) return null
  return {
    hostHeaderRewrite: hostHeaderRewrite === null ? null : compileRewrite('host-header-rewrite', hostHeaderRewrite),
    urlRewrite: urlRewrite === null ? null : compileRewrite('url-rewrite', urlRewrite),
  }
}

const reading = new Reading()

/** The rule that applies: the first, by priority, whose conditions are all met. */
export function matchRule<Action>(compiled: CompiledRules<Action>, subject: RuleSubject): CompiledRule<Action> {
  const { rules } = compiled
  reading.begin(subject)
  let best = rules.length - 1
  for (const candidates of compiled.index.candidates(reading)) best = firstMet(rules, candidates, best)
  reading.end()
  return rules[best]!
}

/** Candidates come ascending, so those from `best` on cannot win any more. */
function firstMet<Action>(rules: readonly CompiledRule<Action>[], candidates: readonly number[], best: number): number {
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[i]!
    if (candidate >= best) return best
    if (areMet(rules[candidate]!.conditions)) return candidate
  }
  return best
}

function areMet(conditions: readonly CompiledCondition[]): boolean {
  for (let i = 0; i < conditions.length; i++) if (!conditions[i]!.isMet(reading)) return false
  return true
}
