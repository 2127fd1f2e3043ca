/** Rules within one listener. */

import type { Certificates } from './certificates.ts'
import { checkForward } from './check-forward.ts'
import { checkRule } from './check-rule.ts'
import { checkTls } from './check-tls.ts'
import {
  type ActionDraft,
  type FixedResponseDraft,
  type Found,
  isWhole,
  itemsOf,
  type ListenerDraft,
  type RedirectDraft,
  type Report,
  type RuleDraft,
} from './draft.ts'
import { isRedirectLoop } from './redirect.ts'
import { checkUnique } from './unique.ts'

export function checkListener(
  listener: Found<ListenerDraft>,
  certificates: Certificates,
  report: Report,
  warn: Report,
): void {
  checkTls(listener, certificates, report, warn)
  const rules = rulesOf(listener)
  for (const rule of rules) checkRule(rule, report)
  checkUnique(
    rules.map(({ place, value }) => ({ place: place.at('priority'), value: value.priority })),
    report,
    (priority, first) => `must be unique in its listener: ${priority} is also at ${first}`,
  )
  for (const { place, value } of actionsOf(listener)) {
    if (value.type === 'forward') checkForward({ place, value }, report, warn)
    if (value.type === 'redirect') checkRedirect({ place, value }, listener.value, report)
    if (value.type === 'fixed-response') checkFixedResponse({ place, value }, report)
  }
}

/** What the client is sent behind such a head, it would take for the next response. */
function checkFixedResponse({ place, value }: Found<FixedResponseDraft>, report: Report): void {
  const { statusCode, messageBody } = value.fixedResponse ?? {}
  if (!messageBody || (Number(statusCode) !== 204 && Number(statusCode) !== 205)) return
  report(place.at('fixedResponse').at('messageBody'), `must be left out: a ${statusCode} has no body`)
}

function checkRedirect(action: Found<RedirectDraft>, listener: ListenerDraft, report: Report): void {
  const { redirect } = action.value
  if (redirect === undefined) return
  const place = action.place.at('redirect')
  if (listener.protocol === 'HTTPS' && redirect.protocol === 'HTTP') {
    report(place.at('protocol'), 'must not be HTTP on an HTTPS listener: from there, redirects go to HTTPS only')
  }
  if (!isWhole(redirect) || !isRedirectLoop(redirect, listener)) return
  report(place, 'creates a loop: at least one of protocol, host, port and path must change')
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
