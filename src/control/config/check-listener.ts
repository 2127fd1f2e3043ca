/** Rules within one listener. */

import { checkForward } from './check-forward.ts'
import { checkRule } from './check-rule.ts'
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

export function checkListener(listener: Found<ListenerDraft>, report: Report, warn: Report): void {
  const rules = rulesOf(listener)
  for (const rule of rules) checkRule(rule, report)
  checkUnique(
    rules.map(({ place, value }) => ({ place: place.at('priority'), value: value.priority })),
    report,
    (priority, first) => `must be unique in its listener: ${priority} is also at ${first}`,
  )
  for (const { place, value } of actionsOf(listener)) {
    if (value.type === 'forward') checkForward({ place, value }, report, warn)
    if (value.type !== 'redirect' || value.redirect === undefined) continue
    if (!isWhole(value.redirect) || !isRedirectLoop(value.redirect, listener.value.port)) continue
    report(place.at('redirect'), 'creates a loop: at least one of protocol, host, port and path must change')
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
