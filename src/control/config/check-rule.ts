/**
 * Rules within one rule of a listener.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html
 */

import { type ConditionDraft, type Found, isWhole, itemsOf, type Report, type RuleDraft } from './draft.ts'
import type { Place } from './source.ts'
import { checkUnique } from './unique.ts'

const valuesPerRuleMax = 5
/** The quota page says 6, the page on conditions still 5. */
const wildcardsPerRuleMax = 6

export function checkRule({ place, value }: Found<RuleDraft>, report: Report): void {
  const conditions = place.at('conditions')
  checkConditions(conditions, itemsOf(conditions, value.conditions), report)
  checkUnique(
    itemsOf(place.at('transforms'), value.transforms).map(transform => ({
      place: transform.place.at('type'),
      value: transform.value.type,
    })),
    report,
    (type, first) => `must differ within a rule: ${type} is also at ${first}`,
  )
  checkTransformsServe({ place, value }, report)
}

/** What the service makes of them without a target is not known, so they are not taken for nothing. */
function checkTransformsServe({ place, value }: Found<RuleDraft>, report: Report): void {
  const [action] = value.actions ?? []
  if (action?.type === undefined || action.type === 'forward' || (value.transforms ?? []).length === 0) return
  report(place.at('transforms'), `serve a forward action only: they would change nothing about a ${action.type}`)
}

function checkConditions(place: Place, all: readonly Found<ConditionDraft>[], report: Report): void {
  checkUnique(
    all.flatMap(({ place, value: { field } }) =>
      isOncePerRule(field) ? { place: place.at('field'), value: field } : [],
    ),
    report,
    (field, first) => `must differ within a rule: ${field} is also at ${first}; give one condition several values`,
  )
  // Without its field a condition's values may be anything.
  const conditions = all.filter(({ value }) => value.field !== undefined)
  for (const condition of conditions) checkAlternatives(condition, report)
  const values = conditions.reduce((sum, { value }) => sum + valueCount(value), 0)
  if (values > valuesPerRuleMax) report(place, `must have at most ${valuesPerRuleMax} values in all, not ${values}`)
  const wildcards = conditions.reduce((sum, { value }) => sum + wildcardCount(value), 0)
  if (wildcards > wildcardsPerRuleMax) {
    report(place, `must have at most ${wildcardsPerRuleMax} wildcards (* and ?) in all, not ${wildcards}`)
  }
}

/** Two conditions on headers or on the query must both match, which several values of one do not say. */
function isOncePerRule(field: ConditionDraft['field']): boolean {
  return field !== 'http-header' && field !== 'query-string'
}

function checkAlternatives({ place, value }: Found<ConditionDraft>, report: Report): void {
  switch (value.field) {
    case 'path-pattern':
    case 'host-header':
    case 'http-header':
      break
    default:
      return
  }
  if (!isWhole(value)) return
  if (value.values === undefined && value.regexValues === undefined) {
    report(place.at('values'), 'is missing: it must be a list of 1 to 3 values, unless there are regexValues')
  } else if (value.values !== undefined && value.regexValues !== undefined) {
    report(place.at('regexValues'), 'cannot stand beside values: a condition is on one or the other')
  }
}

function valueCount(condition: ConditionDraft): number {
  const regexes = 'regexValues' in condition ? (condition.regexValues?.length ?? 0) : 0
  return regexes + (condition.values?.length ?? 0)
}

function wildcardCount(condition: ConditionDraft): number {
  switch (condition.field) {
    case 'path-pattern':
    case 'host-header':
    case 'http-header':
      return countWildcards(condition.values ?? [])
    case 'query-string': {
      const texts = (condition.values ?? []).flatMap(value => [value?.key, value?.value])
      return countWildcards(texts.map(text => text?.replaceAll(/\\./g, '')))
    }
    default:
      return 0
  }
}

function countWildcards(texts: readonly (string | undefined)[]): number {
  return texts.join('').match(/[*?]/g)?.length ?? 0
}
