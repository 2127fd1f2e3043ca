/** What is going on, as one value: the status that the display shows, `openalb status` prints and the API serves. */

import type { Clock } from '../base/clock.ts'
import type { AnomalyDetector, AnomalyResult } from '../health/anomaly-detector.ts'
import type { HealthChange, HealthChecker } from '../health/checker.ts'
import type { ProbeEnding, ProbeOutcome, ProbeStage } from '../health/probe.ts'
import type { FaultEvent } from '../model/fault-event.ts'
import { faultRow } from '../model/faults.ts'
import type { TargetHealth } from '../model/health.ts'
import { formatAddress, type Listener, type LoadBalancer, type TargetGroup } from '../model/resources.ts'
import type { SnapshotTarget } from '../model/snapshot.ts'
import type { TargetStates } from '../model/target-states.ts'
import type { CounterSlab, LoadBalancerCounter, TargetCounter } from '../observe/counters.ts'
import type { DrainingTarget, Publisher } from './publisher.ts'

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
  readonly activeConnections: number
  readonly exchanges: number
  /** Rising since the start, by CloudWatch's names. */
  readonly counters: Readonly<Record<string, number>>
}

export type TargetGroupStatus = {
  readonly name: string
  readonly arn: string
  readonly targets: readonly TargetStatus[]
}

export type TargetStatus = {
  readonly id: string
  readonly port: number
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
  /** Changes of its state, oldest first, the last hundred of them; left out unless asked for. */
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
  readonly logFolder: string
}

export class StatusReporter {
  readonly #sources: StatusSources
  readonly #startedAt: string
  readonly #faults: FaultEvent[] = []
  snapshot = 0

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
    const { loadBalancers, targetGroups } = publisher.resources
    const draining = publisher.draining
    return {
      version,
      pid: process.pid,
      startedAt: this.#startedAt,
      workers: slabs().length,
      snapshot: this.snapshot,
      logFolder,
      loadBalancers: loadBalancers.map(loadBalancer => this.#loadBalancer(loadBalancer)),
      targetGroups: targetGroups.map(group =>
        this.#targetGroup(
          group,
          draining.filter(target => target.group === group.arn),
          withHistory,
        ),
      ),
      faults: this.#faults.map(faultStatus),
    }
  }

  #loadBalancer(loadBalancer: LoadBalancer): LoadBalancerStatus {
    const slot = this.#sources.publisher.slotOfLoadBalancer(loadBalancer.arn)
    const sum = (counter: LoadBalancerCounter) =>
      this.#sources.slabs().reduce((total, slab) => total + slab.loadBalancer(slot, counter), 0)
    return {
      name: loadBalancer.name,
      arn: loadBalancer.arn,
      dnsName: loadBalancer.dnsName,
      listeners: loadBalancer.listeners.map(listener => ({
        protocol: listener.protocol,
        port: listener.port,
        addresses: listenerAddresses(loadBalancer, listener),
        rules: listener.rules.length,
      })),
      activeConnections: sum('connectionsOpened') - sum('connectionsClosed'),
      exchanges: sum('exchanges'),
      counters: Object.fromEntries(shownCounters.map(counter => [counter, sum(counter)])),
    }
  }

  #targetGroup(
    { arn, name, targets }: TargetGroup,
    draining: readonly DrainingTarget[],
    withHistory: boolean,
  ): TargetGroupStatus {
    const { publisher } = this.#sources
    const registered = targets.map(target => ({ ...target, slot: publisher.slotOfTarget(arn, target) }))
    return { name, arn, targets: [...registered, ...draining].map(target => this.#target(target, withHistory)) }
  }

  #target({ ip, port, slot }: SnapshotTarget, withHistory: boolean): TargetStatus {
    const { states, checker, detector, slabs } = this.#sources
    const sum = (counter: TargetCounter) => slabs().reduce((total, slab) => total + slab.target(slot, counter), 0)
    const health = checker.health(slot)
    const lastProbe = checker.lastProbe(slot)
    return {
      id: ip,
      port,
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

function explain(health: TargetHealth): { reason: string | null; description: string | null } {
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
export function listenerAddresses(loadBalancer: LoadBalancer, listener: Listener): string[] {
  return loadBalancer.bind.map(ip => formatAddress(ip, listener.bindPort))
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
