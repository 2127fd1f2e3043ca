/**
 * Rules within one listener.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html
 */

import {
  type ActionDraft,
  type Found,
  isWhole,
  itemsOf,
  type ListenerDraft,
  type Report,
  type RuleDraft,
} from './draft.ts'
import { isRedirectLoop } from './redirect.ts'
import { checkUnique } from './unique.ts'

const valuesPerRuleMax = 5
/** The quota page says 6, the page on conditions still 5. */
const wildcardsPerRuleMax = 6

export function checkListener(listener: Found<ListenerDraft>, report: Report): void {
  const rules = rulesOf(listener)
  for (const rule of rules) checkConditions(rule, report)
  checkUnique(
    rules.map(({ place, value }) => ({ place: place.at('priority'), value: value.priority })),
    report,
    (priority, first) => `must be unique in its listener: ${priority} is also at ${first}`,
  )
  for (const action of actionsOf(listener)) {
    if (action.value.type !== 'redirect' || action.value.redirect === undefined) continue
    if (!isWhole(action.value.redirect) || !isRedirectLoop(action.value.redirect, listener.value.port)) continue
    report(action.place.at('redirect'), 'creates a loop: at least one of protocol, host, port and path must change')
  }
}

function rulesOf({ place, value }: Found<ListenerDraft>): Found<RuleDraft>[] {
  return itemsOf(place.at('rules'), value.rules)
}

/** The default action and those of all rules. */
export function actionsOf(listener: Found<ListenerDraft>): Found<ActionDraft>[] {
  const { place, value } = listener
  return [
    ...itemsOf(place.at('defaultActions'), value.defaultActions),
    ...rulesOf(listener).flatMap(rule => itemsOf(rule.place.at('actions'), rule.value.actions)),
  ]
}

function checkConditions(rule: Found<RuleDraft>, report: Report): void {
  const place = rule.place.at('conditions')
  const conditions = itemsOf(place, rule.value.conditions)
  checkUnique(
    conditions.map(condition => ({ place: condition.place.at('field'), value: condition.value.field })),
    report,
    (field, first) => `must differ within a rule: ${field} is also at ${first}; give one condition several values`,
  )
  const values = conditions.flatMap(({ value }) => value.values ?? []).filter(value => value !== undefined)
  if (values.length > valuesPerRuleMax) {
    report(place, `must have at most ${valuesPerRuleMax} values in all, not ${values.length}`)
  }
  const wildcards = values.join('').match(/[*?]/g)?.length ?? 0
  if (wildcards > wildcardsPerRuleMax) {
    report(place, `must have at most ${wildcardsPerRuleMax} wildcards (* and ?) in all, not ${wildcards}`)
  }
}
