/**
 * One health check of one target by one node as one line of the health check log.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-health-check-logs.html
 */

import { writeAscii, writeDecimal, writeIsoMicros, writeSecondsToNanos } from './log-text.ts'
import type { LogWriter } from './log-writer.ts'

export type HealthCheckLogRecord = {
  readonly type: 'http' | 'https' | 'h2' | 'grpc'
  /** When it began, in milliseconds since the epoch. */
  readonly timeMs: number
  readonly latencyMs: number
  readonly targetAddress: string
  readonly targetGroupName: string
  /** null: no code came. */
  readonly statusCode: number | null
  /** Why it failed; null when it passed. */
  readonly reasonCode: string | null
  /** `app/<name>/<id>` */
  readonly loadBalancer: string
  readonly nodeIp: string
}

/** Two addresses, two names, numbers. */
const lineBytesMax = 512

export function writeHealthCheckLogLine(log: LogWriter, record: HealthCheckLogRecord): void {
  let at = log.reserve(lineBytesMax)
  const { block } = log
  at = writeAscii(block, at, record.type)
  at = writeIsoMicros(block, space(block, at), record.timeMs)
  at = writeSecondsToNanos(block, space(block, at), record.latencyMs)
  at = writeField(block, at, record.targetAddress)
  at = writeField(block, at, record.targetGroupName)
  at = writeField(block, at, record.reasonCode === null ? 'PASS' : 'FAIL')
  if (record.statusCode === null) at = writeField(block, at, '-')
  else at = writeDecimal(block, space(block, at), record.statusCode)
  at = writeField(block, at, record.reasonCode ?? '-')
  at = writeField(block, at, record.loadBalancer)
  at = writeField(block, at, record.nodeIp)
  block[at++] = 0x0a
  log.commit(at)
}

function space(block: Buffer, at: number): number {
  block[at] = 0x20
  return at + 1
}

function writeField(block: Buffer, at: number, text: string): number {
  return writeAscii(block, space(block, at), text)
}
