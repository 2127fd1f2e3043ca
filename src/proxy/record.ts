/** What is kept of an exchange that is over: it is counted, and its line is written to the access log. */

import { type FaultRow, faultRow } from '../model/faults.ts'
import { type AccessLogRecord, writeAccessLogLine } from '../observe/access-log.ts'
import { LoadBalancerColumn, TargetColumn } from '../observe/counters.ts'
import type { Exchange } from './exchange.ts'

export function recordExchange(exchange: Exchange): void {
  const { plane, fault } = exchange
  const { loadBalancer } = exchange.listener!
  const row: FaultRow | null = fault === null ? null : faultRow(fault)
  count(exchange, row)
  writeAccessLogLine(loadBalancer.log, logRecord(exchange, row))
  if (fault !== null) plane.onFault(exchange, fault)
}

function count(exchange: Exchange, row: FaultRow | null): void {
  const { counters } = exchange.plane
  const { slot } = exchange.listener!.loadBalancer
  counters.countLoadBalancer(slot, LoadBalancerColumn.exchanges, 1)
  counters.countLoadBalancer(slot, LoadBalancerColumn.receivedBytes, exchange.receivedBytes)
  counters.countLoadBalancer(slot, LoadBalancerColumn.sentBytes, exchange.sentBytes)
  if (exchange.head.meaning.desync !== 0) {
    counters.countLoadBalancer(slot, LoadBalancerColumn.DesyncMitigationMode_NonCompliant_Request_Count, 1)
  }
  const { target } = exchange
  if (target !== null) {
    counters.countLoadBalancer(slot, LoadBalancerColumn.RequestCount, 1)
    // That one without a target counts in neither is documented for RequestCount, and assumed here.
    if (exchange.isGrpc) counters.countLoadBalancer(slot, LoadBalancerColumn.GrpcRequestCount, 1)
  }
  if (exchange.fault !== null) counters.countFault(slot, exchange.fault)
  if (row?.metrics.includes('HTTP_Redirect_Url_Limit_Exceeded_Count')) {
    counters.countLoadBalancer(slot, LoadBalancerColumn.HTTP_Redirect_Url_Limit_Exceeded_Count, 1)
  }
  if (target !== null && row !== null) {
    if (row.side === 'target') counters.countTarget(target.slot, TargetColumn.faults, 1)
    if (row.metrics.includes('TargetConnectionErrorCount')) {
      counters.countTarget(target.slot, TargetColumn.TargetConnectionErrorCount, 1)
    }
    if (row.metrics.includes('TargetTLSNegotiationErrorCount')) {
      counters.countTarget(target.slot, TargetColumn.TargetTLSNegotiationErrorCount, 1)
    }
  }
  if (target !== null && exchange.targetStatusCode >= 200) countTargetStatus(exchange, target.slot)
  else if (exchange.targetStatusCode === -1) countOwnStatus(exchange, slot)
}

function countTargetStatus(exchange: Exchange, slot: number): void {
  const { counters } = exchange.plane
  const hundreds = Math.floor(exchange.targetStatusCode / 100)
  if (hundreds === 2) counters.countTarget(slot, TargetColumn.HTTPCode_Target_2XX_Count, 1)
  else if (hundreds === 3) counters.countTarget(slot, TargetColumn.HTTPCode_Target_3XX_Count, 1)
  else if (hundreds === 4) counters.countTarget(slot, TargetColumn.HTTPCode_Target_4XX_Count, 1)
  else counters.countTarget(slot, TargetColumn.HTTPCode_Target_5XX_Count, 1)
}

/** Exactly one of the HTTPCode_ELB_* and HTTPCode_Target_* families moves for an exchange. */
function countOwnStatus(exchange: Exchange, slot: number): void {
  const { counters } = exchange.plane
  const { statusCode } = exchange
  if (exchange.rule?.action.type === 'fixed-response' && exchange.fault === null) {
    counters.countLoadBalancer(slot, LoadBalancerColumn.HTTP_Fixed_Response_Count, 1)
  }
  if (statusCode >= 500) counters.countLoadBalancer(slot, LoadBalancerColumn.HTTPCode_ELB_5XX_Count, 1)
  else if (statusCode >= 400) counters.countLoadBalancer(slot, LoadBalancerColumn.HTTPCode_ELB_4XX_Count, 1)
  else if (statusCode >= 300) {
    counters.countLoadBalancer(slot, LoadBalancerColumn.HTTPCode_ELB_3XX_Count, 1)
    counters.countLoadBalancer(slot, LoadBalancerColumn.HTTP_Redirect_Count, 1)
  }
  if (statusCode === 500) counters.countLoadBalancer(slot, LoadBalancerColumn.HTTPCode_ELB_500_Count, 1)
  else if (statusCode === 502) counters.countLoadBalancer(slot, LoadBalancerColumn.HTTPCode_ELB_502_Count, 1)
  else if (statusCode === 503) counters.countLoadBalancer(slot, LoadBalancerColumn.HTTPCode_ELB_503_Count, 1)
  else if (statusCode === 504) counters.countLoadBalancer(slot, LoadBalancerColumn.HTTPCode_ELB_504_Count, 1)
}

/** What is logged of the latest exchange. One object for all of them: a new one each time was a third of the garbage. */
const logged = {} as { -readonly [Name in keyof AccessLogRecord]: AccessLogRecord[Name] }

/**
 * The three times: a target that ended the exchange is charged with the time it took; one that the load balancer gave
 * up on shows -1, and so does everything that never began.
 */
function logRecord(exchange: Exchange, row: FaultRow | null): AccessLogRecord {
  const listener = exchange.listener!
  const { loadBalancer } = listener
  const client = exchange.client!
  const { clock } = exchange.plane
  const wasSent = exchange.sentAt !== -1
  const hasAnswer = exchange.answeredAt !== -1
  let targetMs = -1
  if (wasSent && hasAnswer) targetMs = exchange.answeredAt - exchange.sentAt
  else if (wasSent && row !== null && row.targetTime === 'elapsed') targetMs = exchange.targetEndedAt - exchange.sentAt
  const { rule, target } = exchange
  logged.type = logType(exchange)
  logged.timeMs = clock.originMs + exchange.finishedAt
  logged.creationMs = clock.originMs + exchange.createdAt
  logged.loadBalancer = loadBalancer.resourceId
  logged.clientAddress = client.address
  logged.targetAddress = target === null ? null : target.address
  logged.requestProcessingMs = wasSent ? exchange.sentAt - exchange.headAt : -1
  logged.targetProcessingMs = targetMs
  logged.responseProcessingMs = hasAnswer ? exchange.relayedAt - exchange.answeredAt : -1
  logged.statusCode = exchange.statusCode
  logged.targetStatusCode = exchange.targetStatusCode
  // A head that could not be read counts as nothing received, as captured lines show.
  logged.receivedBytes = exchange.head.length === 0 ? 0 : exchange.receivedBytes
  logged.sentBytes = exchange.sentBytes
  logged.head = exchange.head
  logged.host = exchange.host === '' ? loadBalancer.dnsName : exchange.authority.slice(0, exchange.host.length)
  logged.port = listener.port
  logged.pathFrom = exchange.host === '' ? exchange.head.targetFrom : exchange.pathFrom
  logged.targetGroupArn = exchange.targetGroup === null ? null : exchange.targetGroup.arn
  logged.traceId = exchange.traceId
  logged.rulePriority = rule === null ? -1 : rule.priority
  logged.actions = actionsOf(exchange)
  logged.redirectUrl = exchange.redirectUrl
  logged.errorReason = exchange.errorReason
  logged.transformedHost = exchange.transformedHost
  logged.transformedUri = exchange.transformedUri
  logged.transformStatus = exchange.transformStatus
  logged.desync = exchange.head.meaning.desync
  logged.connectionTraceId = client.traceId
  logged.nodeIp = loadBalancer.nodeIp
  logged.tls = client.tls
  return logged
}

/** A transform that did not get through is the last action; one that did stands before the action it served (assumed). */
function actionsOf({ rule, transformStatus, fault }: Exchange): string {
  if (rule === null) return ''
  if (transformStatus === '') return rule.action.type
  return fault === 'transformFailed' ? 'rewrite' : `rewrite,${rule.action.type}`
}

function logType({ isTunnel, listener, client, isGrpc }: Exchange): AccessLogRecord['type'] {
  if (client!.isHttp2) return isGrpc ? 'grpcs' : 'h2'
  if (listener!.protocol === 'https') return isTunnel ? 'wss' : 'https'
  return isTunnel ? 'ws' : 'http'
}
