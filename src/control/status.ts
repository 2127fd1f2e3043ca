/** What is going on, as one value: the status that the display shows, `openalb status` prints and the API serves. */

import type { Clock } from '../base/clock.ts'
import type { AnomalyDetector, AnomalyResult } from '../health/anomaly-detector.ts'
import type { HealthChange, HealthChecker } from '../health/checker.ts'
import type { ProbeEnding, ProbeOutcome, ProbeStage } from '../health/probe.ts'
import type { FaultEvent } from '../model/fault-event.ts'
import { faultRow } from '../model/faults.ts'
import {
  type AdministrativeOverride,
  noOverride,
  type TargetHealth,
  zonalShiftActive,
  zoneNotEnabled,
} from '../model/health.ts'
import { formatAddress, type Listener, type LoadBalancer, type Target, type TargetGroup } from '../model/resources.ts'
import type { SnapshotLoadBalancer, SnapshotNode, SnapshotTargetGroup } from '../model/snapshot.ts'
import type { TargetStates } from '../model/target-states.ts'
import {
  activeConnections,
  type CounterSlab,
  type LoadBalancerCounter,
  type TargetCounter,
} from '../observe/counters.ts'
import { shiftedZoneOf, usersOfGroups } from './nodes.ts'
import type { Publisher } from './publisher.ts'
import type { Totals } from './totals.ts'
import { nodeGroupHealth, nodesInDns } from './zone-health.ts'

export type Status = {
  readonly version: string
  readonly pid: number
  readonly startedAt: string
  readonly workers: number
  /** Number of the configuration in force. */
  readonly snapshot: number
  readonly logFolder: string
  readonly loadBalancers: readonly LoadBalancerStatus[]
  readonly targetGroups: readonly TargetGroupStatus[]
  /** The latest, newest last. */
  readonly faults: readonly FaultStatus[]
}

export type LoadBalancerStatus = {
  readonly name: string
  readonly arn: string
  readonly dnsName: string
  readonly listeners: readonly { protocol: string; port: number; addresses: readonly string[]; rules: number }[]
  readonly availabilityZones: readonly ZoneStatus[]
} & Traffic

/** A node of a load balancer. */
export type ZoneStatus = {
  readonly zoneName: string
  readonly addresses: readonly string[]
  /** DNS leads clients there. */
  readonly isInDns: boolean
  /** A zonal shift moves traffic away from it. */
  readonly isShifted: boolean
} & Traffic

export type Traffic = {
  readonly activeConnections: number
  readonly exchanges: number
  /** Rising for as long as it is in the configuration, by CloudWatch's names. */
  readonly counters: Readonly<Record<string, number>>
}

export type TargetGroupStatus = {
  readonly name: string
  readonly arn: string
  /** Of each node that has the group, by CloudWatch's names; counts rise for as long as it has the group. */
  readonly availabilityZones: readonly {
    readonly zoneName: string
    readonly metrics: Readonly<Record<string, number>>
  }[]
  readonly targets: readonly TargetStatus[]
}

export type TargetStatus = {
  readonly id: string
  readonly port: number
  readonly availabilityZone: string
  readonly administrativeOverride: AdministrativeOverride
  /** What the nodes of the load balancer make of it, each by its own health checks. */
  readonly nodes: readonly ({ readonly zoneName: string } & TargetView)[]
} & TargetView

/** As one node sees a target; or all together: then it is as well as the node says that is worst off with it (assumed). */
export type TargetView = {
  readonly state: TargetHealth['state']
  readonly reason: string | null
  readonly description: string | null
  /** Compared with its peers' share of errors, as DescribeTargetHealth says it. */
  readonly anomaly: AnomalyResult
  /** Less than the peers' share of requests, because of an anomaly. */
  readonly isMitigated: boolean
  readonly isSlowStarting: boolean
  readonly lastCheck: CheckStatus | null
  readonly requests: number
  readonly requestsInFlight: number
  readonly faults: number
  /** Changes of its state, oldest first, the last hundred that each node saw; left out unless asked for. */
  readonly history?: readonly HealthEvent[]
}

export type HealthEvent = {
  readonly at: string
  readonly from: TargetHealth['state']
  readonly to: TargetHealth['state']
  readonly reason: string | null
  readonly description: string | null
  /** The health check that it came of. */
  readonly check: CheckStatus | null
}

/** What exactly happened in a health check. */
export type CheckStatus = {
  readonly at: string
  readonly latencyMs: number
  readonly result: 'pass' | 'fail'
  readonly statusCode: number | null
  /** As the health check log has it; null of one that passed. */
  readonly reason: string | null
  readonly ending: ProbeEnding
  /** The stage it ended in, and how long each stage lasted. */
  readonly stage: ProbeStage
  readonly stageMs: Readonly<Record<ProbeStage, number | null>>
  readonly tlsAlert: string | null
  /** How the body of an answer that failed begins. */
  readonly bodyStart: string
  readonly detail: string
}

export type FaultStatus = {
  readonly at: string
  readonly fault: string
  readonly text: string
  /** Null: the fault is that of a connection. */
  readonly statusCode: number | null
  readonly request: string
  readonly target: string | null
  readonly loadBalancer: string
  readonly traceId: string | null
}

const shownCounters: readonly LoadBalancerCounter[] = [
  'RequestCount',
  'GrpcRequestCount',
  'NewConnectionCount',
  'HTTP_Fixed_Response_Count',
  'HTTP_Redirect_Count',
  'HTTP_Redirect_Url_Limit_Exceeded_Count',
  'HTTPCode_ELB_3XX_Count',
  'HTTPCode_ELB_4XX_Count',
  'HTTPCode_ELB_5XX_Count',
  'HTTPCode_ELB_502_Count',
  'HTTPCode_ELB_503_Count',
  'HTTPCode_ELB_504_Count',
  'DesyncMitigationMode_NonCompliant_Request_Count',
  'DroppedInvalidHeaderRequestCount',
  'ForwardedInvalidHeaderRequestCount',
  'NonStickyRequestCount',
]

const faultsKept = 100

export type StatusSources = {
  readonly clock: Clock
  readonly version: string
  readonly publisher: Publisher
  readonly checker: HealthChecker
  readonly detector: AnomalyDetector
  readonly states: TargetStates
  readonly slabs: () => readonly CounterSlab[]
  readonly totals: Totals
  readonly logFolder: string
}

export class StatusReporter {
  readonly #sources: StatusSources
  readonly #startedAt: string
  readonly #faults: FaultEvent[] = []

  constructor(sources: StatusSources) {
    this.#sources = sources
    this.#startedAt = new Date(sources.clock.originMs + sources.clock.now()).toISOString()
  }

  addFault(event: FaultEvent): void {
    this.#faults.push(event)
    if (this.#faults.length > faultsKept) this.#faults.shift()
  }

  /** @param withHistory whether the changes of each target are told, too */
  status(withHistory = false): Status {
    const { version, publisher, slabs, logFolder } = this.#sources
    return {
      version,
      pid: process.pid,
      startedAt: this.#startedAt,
      workers: slabs().length,
      snapshot: publisher.snapshot.number,
      logFolder,
      loadBalancers: publisher.snapshot.loadBalancers.map(loadBalancer => this.#loadBalancer(loadBalancer)),
      targetGroups: publisher.resources.targetGroups.map(group => this.#targetGroup(group, withHistory)),
      faults: this.#faults.map(faultStatus),
    }
  }

  #loadBalancer(loadBalancer: SnapshotLoadBalancer): LoadBalancerStatus {
    const { name, arn, dnsName, listeners, nodes } = loadBalancer
    const { publisher, states, slabs, totals } = this.#sources
    const inDns = nodesInDns(loadBalancer, publisher.snapshot, states)
    return {
      name,
      arn,
      dnsName,
      listeners: listeners.map(listener => ({
        protocol: listener.protocol,
        port: listener.port,
        addresses: listenerAddresses(loadBalancer, listener),
        rules: listener.rules.length,
      })),
      ...this.#traffic(nodes, counter => totals.loadBalancer(arn, counter)),
      availabilityZones: nodes.map(node => ({
        zoneName: node.zoneName,
        addresses: node.addresses,
        isInDns: inDns.includes(node),
        isShifted: node.zoneName === loadBalancer.shiftedZone,
        ...this.#traffic([node], counter => sumOf(slabs(), slab => slab.loadBalancer(node.slot, counter))),
      })),
    }
  }

  #traffic(nodes: readonly SnapshotNode[], count: (counter: LoadBalancerCounter) => number): Traffic {
    const slabs = this.#sources.slabs()
    return {
      activeConnections: sumOf(nodes, ({ slot }) => activeConnections(slabs, slot)),
      exchanges: count('exchanges'),
      counters: Object.fromEntries(shownCounters.map(counter => [counter, count(counter)])),
    }
  }

  #targetGroup(group: TargetGroup, withHistory: boolean): TargetGroupStatus {
    const { publisher } = this.#sources
    const { loadBalancers, targetGroups } = publisher.snapshot
    const zoneNames = new Map(loadBalancers.flatMap(({ nodes }) => nodes.map(node => [node.slot, node.zoneName])))
    const views = targetGroups
      .filter(({ arn }) => arn === group.arn)
      .map(nodeGroup => ({
        nodeGroup,
        zoneName: zoneNames.get(nodeGroup.node ?? -1) ?? null,
        slots: slotsOf(nodeGroup),
      }))
    const user = usersOfGroups(publisher.resources.loadBalancers).get(group.arn)
    const shiftedZone = user === undefined ? null : shiftedZoneOf(group, user)
    const registered = group.targets.map(target => {
      const seen = views.flatMap(({ zoneName, slots }) => {
        const slot = slots.get(formatAddress(target.ip, target.port))
        return slot === undefined ? [] : [{ zoneName, ...this.#view(slot, withHistory) }]
      })
      const override = target.availabilityZone === shiftedZone ? zonalShiftActive : noOverride
      const status = targetStatus(target, override, seen.length === 0 ? [notSeen] : seen, withHistory)
      return { ...status, ...this.#targetCounts(group, target) }
    })
    const leaving = publisher.draining
      .filter(target => target.group === group.arn)
      .map(target => {
        const seen = target.slots.map(slot => ({ zoneName: null, ...this.#view(slot, withHistory) }))
        return targetStatus(target, noOverride, seen, withHistory)
      })
    return {
      name: group.name,
      arn: group.arn,
      availabilityZones: views.flatMap(({ nodeGroup, zoneName }) =>
        zoneName === null ? [] : [{ zoneName, metrics: this.#groupMetrics(nodeGroup) }],
      ),
      targets: [...registered, ...leaving],
    }
  }

  #groupMetrics(nodeGroup: SnapshotTargetGroup): Record<string, number> {
    const { states, totals } = this.#sources
    const { healthy, unhealthy, isFitForDns, isFitForRouting } = nodeGroupHealth(nodeGroup, states)
    const { targetsElsewhere, attributes } = nodeGroup
    return {
      HealthyHostCount: healthy,
      UnHealthyHostCount: unhealthy,
      HealthyStateDNS: Number(isFitForDns),
      UnhealthyStateDNS: Number(!isFitForDns),
      HealthyStateRouting: Number(isFitForRouting),
      UnhealthyStateRouting: Number(!isFitForRouting),
      // With cross-zone, nothing else keeps a node from a target.
      ActiveZonalShiftHostCount: attributes.crossZone ? targetsElsewhere.length : 0,
      RequestCount: totals.nodeGroup(nodeGroup, 'requestsBegun'),
      UnhealthyRoutingRequestCount: totals.nodeGroup(nodeGroup, 'UnhealthyRoutingRequestCount'),
    }
  }

  /** By all nodes that saw it since it was registered, those that are gone included. */
  #targetCounts({ arn }: TargetGroup, target: Target): Pick<TargetView, 'requests' | 'faults'> {
    const { totals } = this.#sources
    return { requests: totals.target(arn, target, 'requestsBegun'), faults: totals.target(arn, target, 'faults') }
  }

  #view(slot: number, withHistory: boolean): TargetView {
    const { states, checker, detector } = this.#sources
    const slabs = this.#sources.slabs()
    const sum = (counter: TargetCounter) => sumOf(slabs, slab => slab.target(slot, counter))
    const health = checker.health(slot)
    const lastProbe = checker.lastProbe(slot)
    return {
      state: health.state,
      ...explain(health),
      anomaly: detector.result(slot),
      isMitigated: detector.isMitigated(slot),
      isSlowStarting: states.isSlowStarting(slot),
      lastCheck: lastProbe === null ? null : checkStatus(lastProbe),
      requests: sum('requestsBegun'),
      requestsInFlight: states.requestsInFlight(slot),
      faults: sum('faults'),
      ...(withHistory ? { history: checker.history(slot).map(healthEvent) } : {}),
    }
  }
}

function sumOf<Item>(items: readonly Item[], of: (item: Item) => number): number {
  return items.reduce((sum, item) => sum + of(item), 0)
}

function slotsOf({ targets, targetsElsewhere }: SnapshotTargetGroup): Map<string, number> {
  return new Map([...targets, ...targetsElsewhere].map(({ ip, port, slot }) => [formatAddress(ip, port), slot]))
}

/** A view, and the zone of the node that has it; null where the node is gone, or there never was one. */
type SeenTarget = { readonly zoneName: string | null } & TargetView

/** Of a target that no node looks at. */
const notSeen: SeenTarget = {
  zoneName: null,
  state: zoneNotEnabled.state,
  ...explain(zoneNotEnabled),
  anomaly: 'normal',
  isMitigated: false,
  isSlowStarting: false,
  lastCheck: null,
  requests: 0,
  requestsInFlight: 0,
  faults: 0,
}

/** Worst first. */
const severity = [
  'draining',
  'unhealthy',
  'initial',
  'healthy',
  'unused',
] as const satisfies readonly TargetHealth['state'][]

function targetStatus(
  { ip, port, availabilityZone }: Target,
  administrativeOverride: AdministrativeOverride,
  seen: readonly SeenTarget[],
  withHistory: boolean,
): TargetStatus {
  const worst = severity.map(state => seen.find(view => view.state === state)).find(view => view !== undefined)!
  const { state, reason, description, lastCheck } = worst
  return {
    id: ip,
    port,
    availabilityZone,
    administrativeOverride,
    state,
    reason,
    description,
    anomaly: seen.some(view => view.anomaly === 'anomalous') ? 'anomalous' : 'normal',
    isMitigated: seen.some(view => view.isMitigated),
    isSlowStarting: seen.some(view => view.isSlowStarting),
    lastCheck,
    requests: sumOf(seen, view => view.requests),
    requestsInFlight: sumOf(seen, view => view.requestsInFlight),
    faults: sumOf(seen, view => view.faults),
    ...(withHistory ? { history: joinedHistory(seen) } : {}),
    nodes: seen.flatMap(({ zoneName, ...view }) => (zoneName === null ? [] : [{ zoneName, ...view }])),
  }
}

/** What all nodes saw, in the order of time. */
function joinedHistory(seen: readonly SeenTarget[]): HealthEvent[] {
  return seen.flatMap(({ history = [] }) => history).sort((one, other) => Date.parse(one.at) - Date.parse(other.at))
}

function explain(health: TargetHealth): Pick<TargetView, 'reason' | 'description'> {
  if (health.state === 'healthy') return { reason: null, description: null }
  return { reason: health.reason, description: health.description }
}

function healthEvent({ atMs, from, to, outcome }: HealthChange): HealthEvent {
  return {
    at: new Date(atMs).toISOString(),
    from: from.state,
    to: to.state,
    ...explain(to),
    check: outcome === null ? null : checkStatus(outcome),
  }
}

function checkStatus({ startedAtMs, logReason, ...outcome }: ProbeOutcome): CheckStatus {
  return { at: new Date(startedAtMs).toISOString(), reason: logReason, ...outcome }
}

/** Where a listener can be reached. */
export function listenerAddresses({ availabilityZones }: LoadBalancer, { bindPort }: Listener): string[] {
  return availabilityZones.flatMap(({ addresses }) => addresses.map(ip => formatAddress(ip, bindPort)))
}

function faultStatus(event: FaultEvent): FaultStatus {
  const { text } = faultRow(event.fault)
  return {
    at: new Date(event.atMs).toISOString(),
    fault: event.fault,
    text: event.detail === null ? text : `${text}: ${event.detail}`,
    statusCode: event.statusCode,
    request: event.request,
    target: event.targetAddress,
    loadBalancer: event.loadBalancer,
    traceId: event.traceId === '' ? null : event.traceId,
  }
}
