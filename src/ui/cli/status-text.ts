/** Status as text: what the live display shows and `openalb status` prints. */

import type {
  CheckStatus,
  FaultStatus,
  HealthEvent,
  LoadBalancerStatus,
  Status,
  TargetGroupStatus,
  TargetStatus,
  TargetView,
  Traffic,
  ZoneStatus,
} from '../../control/status.ts'

export type Style = {
  readonly good: (text: string) => string
  readonly bad: (text: string) => string
  readonly dim: (text: string) => string
  readonly strong: (text: string) => string
}

export const plainStyle: Style = { good: t => t, bad: t => t, dim: t => t, strong: t => t }

const sgr = (code: number) => (text: string) => `\u001b[${code}m${text}\u001b[0m`
export const colorStyle: Style = { good: sgr(32), bad: sgr(31), dim: sgr(2), strong: sgr(1) }

/** Colour where a person looks, unless they asked for none (https://no-color.org). */
export function styleFor(stream: NodeJS.WriteStream): Style {
  return stream.isTTY && !process.env.NO_COLOR ? colorStyle : plainStyle
}

/** @param rates exchanges per second by load balancer ARN, where they are known */
export function statusLines(
  status: Status,
  style: Style,
  rates: ReadonlyMap<string, number> = new Map(),
  faultsMax = 5,
): string[] {
  const lines: string[] = []
  for (const loadBalancer of status.loadBalancers) {
    lines.push(loadBalancerLine(loadBalancer, status, style, rates))
    for (const zone of zonesToTell(loadBalancer)) lines.push(`  ${zoneLine(zone, status, style)}`)
  }
  for (const group of status.targetGroups) {
    const failsOpen = failOpenText(group)
    const remark = failsOpen === '' ? '' : `  ${style.bad(failsOpen)}`
    lines.push(`${style.strong(group.name)} ${style.dim('target group')}${remark}`)
    if (group.targets.length === 0) lines.push('  no targets are registered: requests get 503')
    for (const target of group.targets) lines.push(`  ${targetLine(target, style)}`)
  }
  const faults = status.faults.slice(-faultsMax)
  if (faults.length > 0) lines.push(style.strong('last faults'))
  for (const fault of faults) lines.push(`  ${faultLine(fault, style)}`)
  return lines
}

function loadBalancerLine(
  loadBalancer: LoadBalancerStatus,
  status: Status,
  style: Style,
  rates: ReadonlyMap<string, number>,
): string {
  const rate = rates.get(loadBalancer.arn)
  const shown = rate === undefined ? '' : `${rate.toFixed(rate < 10 ? 1 : 0)} requests/s, `
  const where = style.dim(whereText(loadBalancer, status))
  return `${style.strong(loadBalancer.name)} ${where}  ${shown}${trafficText(loadBalancer)}`
}

/** How to reach a load balancer: by name where addresses do not lead to all of it, or not to it alone. */
function whereText(loadBalancer: LoadBalancerStatus, status: Status): string {
  const { dnsName, listeners } = loadBalancer
  const hasZones = zonesToTell(loadBalancer).length > 0
  // The addresses of several zones are on the lines of the zones; the port is the same in all of them.
  const ports = listeners.map(({ protocol, addresses }) =>
    hasZones
      ? `${protocol} ${addresses[0]!.slice(addresses[0]!.lastIndexOf(':') + 1)}`
      : `${protocol} ${addresses.join(', ')}`,
  )
  return `${hasZones || sharesPort(loadBalancer, status) ? `${dnsName}: ` : ''}${ports.join('; ')}`
}

function sharesPort(loadBalancer: LoadBalancerStatus, { loadBalancers }: Status): boolean {
  const addressesOf = ({ listeners }: LoadBalancerStatus) => listeners.flatMap(({ addresses }) => addresses)
  const own = new Set(addressesOf(loadBalancer))
  return loadBalancers.some(other => other !== loadBalancer && addressesOf(other).some(address => own.has(address)))
}

/** Of a single zone there is nothing to say that the load balancer's line does not. */
export function zonesToTell({ availabilityZones }: LoadBalancerStatus): readonly ZoneStatus[] {
  return availabilityZones.length > 1 ? availabilityZones : []
}

function zoneLine(zone: ZoneStatus, status: Status, style: Style): string {
  const inDns = dnsText(zone, status)
  const remark = inDns === '' ? '' : `  ${style.bad(inDns)}`
  return `${zone.zoneName} ${style.dim(zone.addresses.join(', '))}  ${trafficText(zone)}${remark}`
}

/** Why DNS does not lead to a zone, or does although nothing speaks for the zone; empty when all is as it should be. */
export function dnsText({ zoneName, isInDns, isShifted }: ZoneStatus, status: Status): string {
  if (!isInDns) return `not in DNS: ${isShifted ? 'zonal shift' : 'too few healthy targets'}`
  if (isShifted) return 'in DNS although traffic is shifted away: no zone is fit'
  return isUnfit(zoneName, status) ? 'in DNS although unfit: no zone is fit' : ''
}

/** Known only where the zone is that of one load balancer: the status does not say whose a target group is. */
function isUnfit(zoneName: string, { loadBalancers, targetGroups }: Status): boolean {
  const isThere = (zone: { readonly zoneName: string }) => zone.zoneName === zoneName
  if (loadBalancers.filter(({ availabilityZones }) => availabilityZones.some(isThere)).length > 1) return false
  const groups = targetGroups.filter(({ availabilityZones }) => availabilityZones.some(isThere))
  const zones = groups.flatMap(({ availabilityZones }) => availabilityZones.filter(isThere))
  // Until the first checks are through, all that can be said is what the lines of the targets say.
  const isChecked = groups.some(({ targets }) => targets.some(({ state }) => state !== 'initial'))
  return isChecked && zones.every(({ metrics }) => metrics.UnhealthyStateDNS === 1)
}

/**
 * Where a group's requests go to unhealthy targets as well; empty when they do not. Targets that are not yet checked
 * speak for themselves, and where there is none at all requests get 503.
 */
export function failOpenText({ availabilityZones }: TargetGroupStatus): string {
  const open = availabilityZones.filter(
    ({ metrics }) => metrics.UnhealthyStateRouting && (metrics.HealthyHostCount || metrics.UnHealthyHostCount),
  )
  if (open.length === 0) return ''
  const where = availabilityZones.length === 1 ? '' : ` in ${open.map(({ zoneName }) => zoneName).join(', ')}`
  return `fails open${where}: too few healthy targets`
}

function trafficText({ exchanges, activeConnections }: Traffic): string {
  return `${exchanges} requests, ${activeConnections} connections`
}

/** What the nodes in other zones make of it, where that is something else. */
export function dissentText({ nodes, state }: TargetStatus): string {
  const others = nodes.filter(node => node.state !== state)
  return others.map(node => ` (${node.state} to ${node.zoneName})`).join('')
}

function overrideText({ administrativeOverride: { state, reason, description } }: TargetStatus, style: Style): string {
  return state === 'no_override' ? '' : ` ${style.bad(`${reason}: ${description}`)}`
}

/** Why a target gets less than its share of the requests. */
function shareText({ anomaly, isMitigated, isSlowStarting }: TargetStatus, style: Style): string {
  if (isSlowStarting) return ' slow start'
  if (anomaly === 'anomalous') return ` ${style.bad('anomalous')}${isMitigated ? ', mitigated' : ''}`
  return isMitigated ? ' mitigated' : ''
}

export function targetLine(target: TargetStatus, style: Style): string {
  const state = stateText(target.state, style)
  const why = target.reason === null ? '' : ` ${target.reason}: ${target.description}`
  const seen =
    target.state === 'unhealthy' && target.lastCheck !== null ? style.dim(` (${seenText(target.lastCheck)})`) : ''
  return `${addressOf(target).padEnd(21)} ${state}${why}${seen}${dissentText(target)}${overrideText(target, style)}${shareText(target, style)}  ${style.dim(`${target.requests} requests, ${target.requestsInFlight} in flight`)}`
}

function addressOf({ id, port }: TargetStatus): string {
  return id.includes(':') ? `[${id}]:${port}` : `${id}:${port}`
}

function stateText(state: string, style: Style): string {
  return state === 'healthy' ? style.good(state) : style.bad(state)
}

/** Enough of a body to know a page by. */
const shownBodyCharacters = 60

function seenText({ detail, bodyStart }: CheckStatus): string {
  if (bodyStart === '') return detail
  const isLong = bodyStart.length > shownBodyCharacters
  return `${detail}: "${isLong ? `${bodyStart.slice(0, shownBodyCharacters)}…` : bodyStart}"`
}

/** What the targets went through, oldest first. */
export function historyLines({ targetGroups }: Status, style: Style): string[] {
  const events = targetGroups.flatMap(({ name, targets }) =>
    targets.flatMap(target =>
      viewsOf(target).flatMap(({ by, history = [] }) =>
        history.map(event => ({ event, who: `${name} ${addressOf(target)}${by}` })),
      ),
    ),
  )
  events.sort((one, other) => (one.event.at < other.event.at ? -1 : one.event.at > other.event.at ? 1 : 0))
  return events.map(({ event, who }) => eventLine(event, who, style))
}

/** Where several nodes look at a target, each tells what it saw. */
function viewsOf(target: TargetStatus): readonly (TargetView & { readonly by: string })[] {
  const { nodes } = target
  return nodes.length > 1 ? nodes.map(node => ({ ...node, by: ` to ${node.zoneName}` })) : [{ ...target, by: '' }]
}

function eventLine({ at, from, to, reason, description, check }: HealthEvent, who: string, style: Style): string {
  const why = reason === null ? '' : ` ${reason}: ${description}`
  const seen = check === null ? '' : style.dim(` (${seenText(check)})`)
  return `${at.slice(0, 19).replace('T', ' ')} ${who} ${from} → ${stateText(to, style)}${why}${seen}`
}

export function faultLine(fault: FaultStatus, style: Style): string {
  const target = fault.target === null ? '' : ` ${fault.target}`
  return `${fault.at.slice(11, 19)} ${style.bad(String(fault.statusCode ?? '-'))} ${fault.fault}${target}: ${fault.text} ${style.dim(fault.request)}`
}
