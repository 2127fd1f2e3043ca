/** Rules within one target group. */

import { isIP, isIPv6 } from 'node:net'
import { canonicalAddress } from '../../base/ip-address.ts'
import { formatAddress, type ProtocolVersion } from '../../model/resources.ts'
import { checkGroupAttributes } from './check-group-attributes.ts'
import { type Found, isWhole, itemsOf, type Report, type TargetGroupDraft } from './draft.ts'
import { healthCheckDefaults, labSecondsMin } from './health-check.ts'
import type { Place } from './source.ts'

/** @param intervalSecondsMin the knob of `lab`, null when it is not turned */
export function checkTargetGroup(
  { place, value }: Found<TargetGroupDraft>,
  intervalSecondsMin: number | null,
  report: Report,
  warn: Report,
): void {
  warnOfOtherProtocol(place, value, warn)
  checkMatcher(place, value, report)
  checkTimes(place.at('healthCheck'), value.healthCheck ?? {}, intervalSecondsMin, report)
  checkGroupAttributes({ place: place.at('attributes'), value: value.attributes ?? {} }, report, warn)
  checkTargets(place, value, report)
}

type HealthCheckDraft = NonNullable<TargetGroupDraft['healthCheck']>

/** Checks are by HTTP unless said otherwise, in the service too, and who speaks TLS does not answer them. */
function warnOfOtherProtocol(place: Place, { protocol, port, healthCheck = {} }: TargetGroupDraft, warn: Report): void {
  if (protocol === undefined || !isWhole(healthCheck)) return
  const { protocol: probes = 'HTTP', port: probed = 'traffic-port' } = healthCheck
  if (probes === protocol || (probed !== 'traffic-port' && probed !== port)) return
  const what = `${protocol} is what targets serve on the port that is checked by ${probes}, which fails`
  const way = `set healthCheck.protocol to ${protocol}, or healthCheck.port to where targets speak ${probes}`
  warn(place.at('protocol'), `${what}; ${way}`)
}

/** A code of the other kind would never be looked at. */
function checkMatcher(place: Place, group: TargetGroupDraft, report: Report): void {
  const version = versionOf(group)
  if (version === undefined) return
  const [ours, other] = version === 'GRPC' ? (['grpcCode', 'httpCode'] as const) : (['httpCode', 'grpcCode'] as const)
  if (group.healthCheck?.matcher?.[other] === undefined) return
  const rule = `is not for groups of protocolVersion ${version}, whose answers are matched by ${ours}`
  report(place.at('healthCheck', 'matcher', other), rule)
}

/** undefined where it was refused. */
function versionOf(group: TargetGroupDraft): ProtocolVersion | undefined {
  return 'protocolVersion' in group ? group.protocolVersion : 'HTTP1'
}

function checkTimes(
  place: Place,
  healthCheck: HealthCheckDraft,
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
