/** Health checks, as their log has them. */

import { formatAddress } from '../model/resources.ts'
import { type HealthCheckLogRecord, writeHealthCheckLogLine } from '../observe/health-check-log.ts'
import type { WorkerLog } from '../observe/log-writer.ts'
import type { ProbeReport } from './checker.ts'
import type { ProbeRequest } from './probe.ts'

export function logHealthCheck(log: WorkerLog, { node, group, target, request, outcome }: ProbeReport): void {
  writeHealthCheckLogLine(log.writer({ kind: 'health-check', ...node }), {
    type: typeOf(request),
    timeMs: outcome.startedAtMs,
    latencyMs: outcome.latencyMs,
    // That it is the target's own port, and not one that only the health check has, is assumed.
    targetAddress: formatAddress(target.ip, target.port),
    targetGroupName: group.name,
    statusCode: outcome.statusCode,
    reasonCode: outcome.logReason,
    loadBalancer: `app/${node.loadBalancerName}/${node.loadBalancerId}`,
    nodeIp: node.nodeIp,
  })
}

/** The page calls h2 "HTTP/2 over TLS" and grpc just that; without TLS they are called the same (assumed). */
function typeOf({ protocolVersion, tls }: ProbeRequest): HealthCheckLogRecord['type'] {
  switch (protocolVersion) {
    case 'HTTP1':
      return tls === null ? 'http' : 'https'
    case 'HTTP2':
      return 'h2'
    case 'GRPC':
      return 'grpc'
  }
}
