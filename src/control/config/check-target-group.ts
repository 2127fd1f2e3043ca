/** Rules within one target group. */

import { isIP, isIPv6 } from 'node:net'
import { canonicalAddress } from '../../base/ip-address.ts'
import { formatAddress } from '../../model/resources.ts'
import { checkGroupAttributes } from './check-group-attributes.ts'
import { type Found, isWhole, itemsOf, type Report, type TargetGroupDraft } from './draft.ts'
import { healthCheckDefaults, labSecondsMin } from './schema.ts'
import type { Place } from './source.ts'

/** @param intervalSecondsMin the knob of `lab`, null when it is not turned */
export function checkTargetGroup(
  { place, value }: Found<TargetGroupDraft>,
  intervalSecondsMin: number | null,
  report: Report,
  warn: Report,
): void {
  warnOfPlainProbes(place, value, warn)
  checkTimes(place.at('healthCheck'), value.healthCheck ?? {}, intervalSecondsMin, report)
  checkGroupAttributes({ place: place.at('attributes'), value: value.attributes ?? {} }, report, warn)
  checkTargets(place, value, report)
}

/** In the service too, checks are by HTTP unless said otherwise. They get no answer where targets speak TLS. */
function warnOfPlainProbes(place: Place, { protocol, port, healthCheck = {} }: TargetGroupDraft, warn: Report): void {
  if (protocol !== 'HTTPS' || !isWhole(healthCheck)) return
  const { port: probed = 'traffic-port' } = healthCheck
  if (probed !== 'traffic-port' && probed !== port) return
  const way = 'give healthCheck.port the port of an HTTP server (healthCheck.protocol HTTPS is not supported yet)'
  warn(place.at('protocol'), `HTTPS is what targets serve on the port that is checked by HTTP, which fails; ${way}`)
}

function checkTimes(
  place: Place,
  healthCheck: NonNullable<TargetGroupDraft['healthCheck']>,
  intervalSecondsMin: number | null,
  report: Report,
): void {
  const { intervalSeconds, timeoutSeconds } = healthCheck
  const isIntervalFine = checkSeconds(place.at('intervalSeconds'), intervalSeconds, 5, 300, intervalSecondsMin, report)
  const timeoutSecondsMin = intervalSecondsMin === null ? null : labSecondsMin
  const isTimeoutFine = checkSeconds(place.at('timeoutSeconds'), timeoutSeconds, 2, 120, timeoutSecondsMin, report)
  if (!isIntervalFine || !isTimeoutFine || !isWhole(healthCheck)) return

  const interval = intervalSeconds ?? healthCheckDefaults.intervalSeconds
  const timeout = timeoutSeconds ?? healthCheckDefaults.timeoutSeconds
  if (timeout < interval) return
  if (timeoutSeconds !== undefined) {
    report(place.at('timeoutSeconds'), `must be smaller than intervalSeconds, ${interval}, not ${timeout}`)
  } else {
    report(place.at('intervalSeconds'), `must be greater than timeoutSeconds, which is ${timeout} by default`)
  }
}

/** @param labMin the lower bound that replaces the service's, fractions allowed; null when the service's is in force */
function checkSeconds(
  at: Place,
  value: number | undefined,
  min: number,
  max: number,
  labMin: number | null,
  report: Report,
): boolean {
  if (value === undefined) return true
  if (labMin !== null) {
    if (value < labMin) report(at, `must be a number from ${labMin} to ${max}, not ${value}`)
    return value >= labMin
  }
  if (value >= min && Number.isInteger(value)) return true
  const lab = 'lab.healthCheckIntervalSecondsMin allows less in tests'
  report(at, `must be a whole number from ${min} to ${max}, not ${value} (${lab})`)
  return false
}

function checkTargets(place: Place, group: TargetGroupDraft, report: Report): void {
  const seen = new Map<string, Place>()
  let family = 0
  for (const target of itemsOf(place.at('targets'), group.targets)) {
    const { id, port = group.port } = target.value
    if (id === undefined || isIP(id) === 0) continue
    // In the service a group's `IpAddressType` says which family; here its first target does.
    if (family === 0) family = isIP(id)
    if (family !== isIP(id)) {
      const [is, has] = isIPv6(id) ? ['IPv6', 'IPv4'] : ['IPv4', 'IPv6']
      report(target.place.at('id'), `is ${is}, but the group has ${has} targets: a target group holds one family`)
    }
    if (port === undefined || !isWhole(target.value)) continue
    const address = formatAddress(canonicalAddress(id), port)
    const first = seen.get(address)
    if (first !== undefined) report(target.place, `is registered twice: ${address} is also at ${first}`)
    else seen.set(address, target.place)
  }
}
