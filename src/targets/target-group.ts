/** Target groups at run time, in one worker and of one node: who is in them, and who takes the next request. */

import { assertNever } from '../base/assert.ts'
import type { TargetGroupArn } from '../model/arns.ts'
import { meetsThreshold } from '../model/health.ts'
import { h2TargetStreamsMax } from '../model/limits.ts'
import { formatAddress, type ProtocolVersion, type TargetGroupAttributes } from '../model/resources.ts'
import type { SnapshotTarget, SnapshotTargetGroup } from '../model/snapshot.ts'
import { backendPolicy, type SslPolicy } from '../model/ssl-policies.ts'
import { TargetStateCode, type TargetStates, weightParity } from '../model/target-states.ts'
import type { H2TargetConnection } from './h2-target-connection.ts'
import { IdlePool } from './idle-pool.ts'
import type { TargetConnection } from './target-connection.ts'
import { type TargetTls, targetTlsOptions } from './target-tls.ts'
import { pickWeighted } from './weights.ts'

export class Target {
  readonly slot: number
  readonly ip: string
  readonly port: number
  /** As logs write it. */
  readonly address: string
  /** Connections without a request. */
  readonly idle = new IdlePool<TargetConnection>()
  /** Those that speak HTTP/2 and take requests. */
  readonly h2Connections: H2TargetConnection[] = []
  /** How many requests may wait for a new one of those: as many as the latest turned out to take at once. */
  h2StreamsMax = h2TargetStreamsMax
  readonly protocolVersion: ProtocolVersion
  /** False once it was deregistered: what is in flight may end, nothing is kept. */
  isRegistered = true
  /** How long an unused connection is kept. */
  idleTimeoutMs: number
  /** Null: it speaks plain HTTP. */
  readonly tls: TargetTls | null
  /** The session to resume with the next handshake. */
  tlsSession: Buffer | null = null
  /** Copied from the states by its target group, while it is eligible. */
  weight = weightParity

  constructor(
    target: SnapshotTarget,
    idleTimeoutMs: number,
    tls: TargetTls | null = null,
    protocolVersion: ProtocolVersion = 'HTTP1',
  ) {
    this.slot = target.slot
    this.ip = target.ip
    this.port = target.port
    this.address = formatAddress(target.ip, target.port)
    this.idleTimeoutMs = idleTimeoutMs
    this.tls = tls
    this.protocolVersion = protocolVersion
  }
}

/**
 * Of a full share, what a target gets at the very beginning of its slow start (assumed): with nothing at all, an idle
 * target group would never warm it up.
 */
export const slowStartShareMin = 0.01
/** Turns taken per eligible target before one is accepted whatever its slow start says; not met by chance. */
const turnsPerTargetMax = 8
/** Scans for the fewest requests in flight that other threads may spoil before the last one has to do. */
const scansMax = 64

export class TargetGroup {
  readonly arn: TargetGroupArn
  /** The last part of its ARN: how stickiness cookies name it. */
  readonly id: string
  readonly attributes: TargetGroupAttributes
  readonly protocolVersion: ProtocolVersion
  readonly targets: readonly Target[]
  readonly #slot: number
  readonly #random: () => number
  readonly #byAddress: ReadonlyMap<string, Target>
  /** Too few targets are healthy, so that all are used: as of the latest pick. */
  failsOpen = false
  #eligible: readonly Target[] = []
  /** Of the states that `#eligible` was worked out from. */
  #generation = -1

  /** @param random from 0 up to 1 */
  constructor(
    { arn, slot, attributes, protocolVersion }: SnapshotTargetGroup,
    targets: readonly Target[],
    random = Math.random,
  ) {
    this.arn = arn
    this.id = arn.slice(arn.lastIndexOf('/') + 1)
    this.attributes = attributes
    this.protocolVersion = protocolVersion
    this.targets = targets
    this.#slot = slot
    this.#random = random
    this.#byAddress = new Map(targets.map(target => [target.address, target]))
  }

  /**
   * Picks an eligible target by the group's algorithm and counts the request in flight there, in one step. All
   * workers share what the choice goes by, so that nobody can tell how many there are.
   *
   * @param epochMs wall time
   * @returns null only for an empty group; the caller answers with fault `groupEmpty`
   * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html
   */
  takeTarget(states: TargetStates, epochMs: number): Target | null {
    if (this.targets.length === 0) return null
    const { algorithm } = this.attributes
    switch (algorithm) {
      case 'round_robin':
        return counted(states, this.#nextInTurn(states, epochMs))
      case 'weighted_random': {
        const eligible = this.eligibleTargets(states)
        return counted(states, eligible[pickWeighted(eligible, this.#random)]!)
      }
      case 'least_outstanding_requests':
        return this.#takeLeastOutstanding(states)
      default:
        return assertNever(algorithm)
    }
  }

  /** For a client that is tied to `target`: counts the request in flight, or says false when it is not eligible. */
  takeThisTarget(states: TargetStates, target: Target): boolean {
    if (!this.eligibleTargets(states).includes(target)) return false
    states.addRequestInFlight(target.slot)
    return true
  }

  /** The registered target of this address, eligible or not. @param ip in canonical form */
  findTarget(ip: string, port: number): Target | null {
    return this.#byAddress.get(formatAddress(ip, port)) ?? null
  }

  /**
   * The healthy targets; with too few of them, all registered ones ("fail open"): an answer from a doubtful target
   * beats no answer, or healthy ones that break under the load of all.
   *
   * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health.html
   */
  eligibleTargets(states: TargetStates): readonly Target[] {
    const { generation } = states
    if (generation !== this.#generation) this.#refresh(states, generation)
    return this.#eligible
  }

  /** Whose turn it is among the eligible targets, as an index. */
  #turn(states: TargetStates): number {
    return states.takeTurn(this.#slot) % this.#eligible.length
  }

  #refresh(states: TargetStates, generation: number): void {
    this.#generation = generation
    const healthy = this.targets.filter(({ slot }) => states.state(slot) === TargetStateCode.healthy)
    const { routingThreshold } = this.attributes
    this.failsOpen = !meetsThreshold(routingThreshold, healthy.length, this.targets.length)
    this.#eligible = this.failsOpen ? this.targets : healthy
    for (const target of this.#eligible) target.weight = states.weight(target.slot)
  }

  /** A turn that a target in slow start does not accept is lost, and the next one is taken. */
  #nextInTurn(states: TargetStates, epochMs: number): Target {
    const eligible = this.eligibleTargets(states)
    const turnsMax = eligible.length * turnsPerTargetMax
    let target = eligible[this.#turn(states)]!
    for (let turns = 1; turns < turnsMax && !this.#accepts(states, target, epochMs); turns++) {
      target = eligible[this.#turn(states)]!
    }
    return target
  }

  /** Over many turns, accepts the share of them that has become the target's: it rises linearly to all. */
  #accepts(states: TargetStates, { slot }: Target, epochMs: number): boolean {
    const durationMs = this.attributes.slowStartSeconds * 1000
    const elapsedMs = states.slowStartElapsedMs(slot, epochMs)
    if (elapsedMs >= durationMs) return true
    return this.#random() < Math.max(elapsedMs / durationMs, slowStartShareMin)
  }

  /**
   * The target with the fewest requests in flight over all workers, ties in turn. It is counted only if it still has
   * as many as the scan saw. What the scan missed elsewhere can have risen, which does not matter, or fallen: a request
   * that ends while the scan runs may count as if it ended behind it.
   */
  #takeLeastOutstanding(states: TargetStates): Target {
    const eligible = this.eligibleTargets(states)
    const first = this.#turn(states)
    let target = eligible[first]!
    for (let scans = 0; scans < scansMax; scans++) {
      let fewest = Infinity
      for (let i = first; i < first + eligible.length; i++) {
        const candidate = eligible[i < eligible.length ? i : i - eligible.length]!
        const inFlight = states.glanceRequestsInFlight(candidate.slot)
        if (inFlight >= fewest) continue
        fewest = inFlight
        target = candidate
      }
      if (states.addRequestInFlightIf(target.slot, fewest)) return target
    }
    return counted(states, target)
  }
}

function counted(states: TargetStates, target: Target): Target {
  states.addRequestInFlight(target.slot)
  return target
}

/** All target groups of a worker's nodes, kept across snapshots so that connections survive a change. */
export class TargetRegistry {
  #groups = new Map<string, TargetGroup>()
  #targets = new Map<number, Target>()

  /** @param node its slot */
  group(node: number, arn: TargetGroupArn): TargetGroup {
    const group = this.#groups.get(groupKey(node, arn))
    if (group === undefined) throw new RangeError(`snapshot names an unknown target group: ${arn}`)
    return group
  }

  /** @param backendPolicyOf by which policy the targets of an HTTPS group are spoken to */
  apply(
    groups: readonly SnapshotTargetGroup[],
    idleTimeoutMsOf: (arn: TargetGroupArn) => number,
    backendPolicyOf: (arn: TargetGroupArn) => SslPolicy = () => backendPolicy([]),
  ): void {
    const before = this.#targets
    this.#targets = new Map()
    this.#groups = new Map(
      groups.map(group => {
        const idleTimeoutMs = idleTimeoutMsOf(group.arn)
        const tls = group.protocol === 'HTTPS' ? targetTlsOptions(backendPolicyOf(group.arn)) : null
        const targets = group.targets.map(target =>
          this.#keepOrAdd(before, target, idleTimeoutMs, tls, group.protocolVersion),
        )
        return [groupKey(group.node, group.arn), new TargetGroup(group, targets)]
      }),
    )
    for (const [slot, target] of before) if (this.#targets.get(slot) !== target) deregister(target)
  }

  /** A target that is spoken to in another way than before counts as another one: no connection may be kept. */
  #keepOrAdd(
    before: ReadonlyMap<number, Target>,
    described: SnapshotTarget,
    idleTimeoutMs: number,
    tls: TargetTls | null,
    protocolVersion: ProtocolVersion,
  ): Target {
    const known = before.get(described.slot)
    const isAlike = known?.tls === tls && known.protocolVersion === protocolVersion
    const target = isAlike ? known : new Target(described, idleTimeoutMs, tls, protocolVersion)
    target.idleTimeoutMs = idleTimeoutMs
    this.#targets.set(described.slot, target)
    return target
  }
}

const groupKey = (node: number | null, arn: TargetGroupArn): string => `${node} ${arn}`

function deregister(target: Target): void {
  target.isRegistered = false
  for (const connection of target.idle.takeAll()) connection.retire()
  for (const connection of target.h2Connections.splice(0)) connection.endSoon()
}
