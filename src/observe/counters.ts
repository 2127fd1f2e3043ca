/**
 * What every worker counts, in shared memory. Each worker writes a slab of its own, so counting is a plain addition;
 * whoever reads adds the slabs up. Counters only rise; a gauge is the difference of two.
 */

import { type FaultCode, faultCodes } from '../model/faults.ts'
import { nodeSlotsMax, targetSlotsMax } from '../model/limits.ts'

/** Per node of a load balancer. Names are CloudWatch's where it has one (namespace AWS/ApplicationELB). */
export const loadBalancerCounters = [
  'connectionsOpened',
  'connectionsClosed',
  /** Finished exchanges of every kind, refused ones included. */
  'exchanges',
  'RequestCount',
  'GrpcRequestCount',
  'NewConnectionCount',
  'RejectedConnectionCount',
  'receivedBytes',
  'sentBytes',
  'HTTP_Fixed_Response_Count',
  'HTTP_Redirect_Count',
  'HTTP_Redirect_Url_Limit_Exceeded_Count',
  'HTTPCode_ELB_3XX_Count',
  'HTTPCode_ELB_4XX_Count',
  'HTTPCode_ELB_5XX_Count',
  'HTTPCode_ELB_500_Count',
  'HTTPCode_ELB_502_Count',
  'HTTPCode_ELB_503_Count',
  'HTTPCode_ELB_504_Count',
  'DesyncMitigationMode_NonCompliant_Request_Count',
  'DroppedInvalidHeaderRequestCount',
  'ForwardedInvalidHeaderRequestCount',
  'NonStickyRequestCount',
  'ClientTLSNegotiationErrorCount',
  'readingPaused',
] as const
export type LoadBalancerCounter = (typeof loadBalancerCounters)[number]

/** Per target, as one node sees it. */
export const targetCounters = [
  'requestsBegun',
  'requestsEnded',
  'HTTPCode_Target_2XX_Count',
  'HTTPCode_Target_3XX_Count',
  'HTTPCode_Target_4XX_Count',
  'HTTPCode_Target_5XX_Count',
  'TargetConnectionErrorCount',
  'TargetTLSNegotiationErrorCount',
  'UnhealthyRoutingRequestCount',
  'connectionsOpened',
  'faults',
] as const
export type TargetCounter = (typeof targetCounters)[number]

const loadBalancerColumns = loadBalancerCounters.length + faultCodes.length
const targetBase = nodeSlotsMax * loadBalancerColumns
const cellCount = targetBase + targetSlotsMax * targetCounters.length

/** Column numbers, so that counting on the request path is arithmetic. */
export const LoadBalancerColumn = columnsOf(loadBalancerCounters)
export const TargetColumn = columnsOf(targetCounters)
const faultColumn = new Map(faultCodes.map((code, i) => [code, loadBalancerCounters.length + i]))

function columnsOf<Name extends string>(names: readonly Name[]): Readonly<Record<Name, number>> {
  return Object.fromEntries(names.map((name, i) => [name, i])) as Record<Name, number>
}

export class CounterSlab {
  readonly memory: SharedArrayBuffer
  readonly #cells: Float64Array

  constructor(memory = new SharedArrayBuffer(cellCount * Float64Array.BYTES_PER_ELEMENT)) {
    this.memory = memory
    this.#cells = new Float64Array(memory)
  }

  countLoadBalancer(slot: number, column: number, amount: number): void {
    this.#cells[slot * loadBalancerColumns + column]! += amount
  }

  countFault(slot: number, code: FaultCode): void {
    this.#cells[slot * loadBalancerColumns + faultColumn.get(code)!]! += 1
  }

  countTarget(slot: number, column: number, amount: number): void {
    this.#cells[targetBase + slot * targetCounters.length + column]! += amount
  }

  loadBalancer(slot: number, counter: LoadBalancerCounter): number {
    return this.#cells[slot * loadBalancerColumns + LoadBalancerColumn[counter]]!
  }

  fault(slot: number, code: FaultCode): number {
    return this.#cells[slot * loadBalancerColumns + faultColumn.get(code)!]!
  }

  target(slot: number, counter: TargetCounter): number {
    return this.#cells[targetBase + slot * targetCounters.length + TargetColumn[counter]]!
  }

  /** A slot changes hands only when nobody counts in it any more. */
  clearTarget(slot: number): void {
    const from = targetBase + slot * targetCounters.length
    this.#cells.fill(0, from, from + targetCounters.length)
  }

  clearLoadBalancer(slot: number): void {
    this.#cells.fill(0, slot * loadBalancerColumns, (slot + 1) * loadBalancerColumns)
  }

  /** Its worker died: what was open is closed now. @returns requests that were in flight, by target slot */
  settleAfterDeath(): Map<number, number> {
    const inFlight = new Map<number, number>()
    for (let slot = 0; slot < nodeSlotsMax; slot++) {
      const open = this.loadBalancer(slot, 'connectionsOpened') - this.loadBalancer(slot, 'connectionsClosed')
      if (open !== 0) this.countLoadBalancer(slot, LoadBalancerColumn.connectionsClosed, open)
    }
    for (let slot = 0; slot < targetSlotsMax; slot++) {
      const begun = this.target(slot, 'requestsBegun') - this.target(slot, 'requestsEnded')
      if (begun === 0) continue
      inFlight.set(slot, begun)
      this.countTarget(slot, TargetColumn.requestsEnded, begun)
    }
    return inFlight
  }
}

/** Connections of a node's clients that are open now. @param slabs of all workers */
export function activeConnections(slabs: readonly CounterSlab[], slot: number): number {
  return slabs.reduce(
    (sum, slab) => sum + slab.loadBalancer(slot, 'connectionsOpened') - slab.loadBalancer(slot, 'connectionsClosed'),
    0,
  )
}
