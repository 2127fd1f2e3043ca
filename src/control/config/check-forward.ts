/** Rules within one forward action, and between it and its target groups. */

import { stickinessSecondsMax } from '../../model/limits.ts'
import {
  type ActionDraft,
  type ForwardDraft,
  type Found,
  isWhole,
  itemsOf,
  type Report,
  type TargetGroupDraft,
} from './draft.ts'
import { checkUnique } from './unique.ts'

/** @param warn of what is allowed but answers nobody */
export function checkForward(action: Found<ForwardDraft>, report: Report, warn: Report): void {
  const { place, value } = action
  if (value.forward !== undefined) {
    checkWeights({ place: place.at('forward'), value: value.forward }, report, warn)
    checkDuration({ place: place.at('forward'), value: value.forward }, report)
  }
  if (!isWhole(value)) return
  if (value.targetGroup === undefined && value.forward === undefined) {
    report(place.at('targetGroup'), 'is missing: it must be the name of a target group, unless forward names several')
  } else if (value.targetGroup !== undefined && value.forward?.targetGroups !== undefined) {
    const names = value.forward.targetGroups.map(group => group?.targetGroup)
    if (names.every(name => name === value.targetGroup)) return
    report(place.at('targetGroup'), 'must be left out, or be the one group that forward.targetGroups has')
  }
}

type ForwardMap = NonNullable<ForwardDraft['forward']>

function checkWeights({ place, value }: Found<ForwardMap>, report: Report, warn: Report): void {
  const groups = itemsOf(place.at('targetGroups'), value.targetGroups)
  checkUnique(
    groups.map(group => ({ place: group.place.at('targetGroup'), value: group.value.targetGroup })),
    report,
    (name, first) => `must differ within an action: "${name}" is also at ${first}`,
  )
  if (groups.length > 1) {
    for (const group of groups) {
      if (group.value.weight !== undefined || !isWhole(group.value)) continue
      report(
        group.place.at('weight'),
        'is missing: it must be a whole number from 0 to 999 when there are several groups',
      )
    }
  }
  if (groups.length > 0 && groups.every(group => group.value.weight === 0)) {
    warn(place.at('targetGroups'), 'have no weight but 0: requests are answered with 503')
  }
}

function checkDuration({ place, value }: Found<ForwardMap>, report: Report): void {
  const stickiness = value.targetGroupStickiness
  if (stickiness?.enabled !== true || stickiness.durationSeconds !== undefined || !isWhole(stickiness)) return
  const at = place.at('targetGroupStickiness', 'durationSeconds')
  report(at, `is missing: it must be a whole number from 1 to ${stickinessSecondsMax} when target groups are sticky`)
}

/** The target groups that an action names, each at its name. */
export function groupsOf({ place, value }: Found<ActionDraft>): Found<string>[] {
  if (value.type !== 'forward') return []
  const groups = itemsOf(place.at('forward', 'targetGroups'), value.forward?.targetGroups)
  return [
    { place: place.at('targetGroup'), value: value.targetGroup },
    ...groups.map(group => ({ place: group.place.at('targetGroup'), value: group.value.targetGroup })),
  ].flatMap(({ place, value }) => (value === undefined ? [] : { place, value }))
}

/**
 * A client that is tied to a target must be tied to its group too, which the target's own cookie cannot do.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html
 */
export function checkStickyGroups(
  action: Found<ActionDraft>,
  groups: ReadonlyMap<string | undefined, Found<TargetGroupDraft>>,
  report: Report,
): void {
  const named = groupsOf(action)
  if (action.value.type !== 'forward' || new Set(named.map(({ value }) => value)).size < 2) return
  const stickiness = action.value.forward?.targetGroupStickiness
  let isTold = stickiness?.enabled === true || !isWhole(action.value.forward ?? {}) || !isWhole(stickiness ?? {})
  for (const { place, value: name } of named) {
    const group = groups.get(name)
    const attributes = group?.value.attributes
    if (group === undefined || attributes?.['stickiness.enabled'] !== 'true') continue
    const sticky = group.place.at('attributes', 'stickiness.enabled')
    if (attributes['stickiness.type'] === 'app_cookie') {
      report(place, `"${name}" has app_cookie stickiness at ${sticky}, which does not work with several target groups`)
    } else if (!isTold) {
      isTold = true
      const why = `"${name}" has stickiness at ${sticky}`
      report(action.place.at('forward', 'targetGroupStickiness'), `must be enabled: the target group ${why}`)
    }
  }
}
