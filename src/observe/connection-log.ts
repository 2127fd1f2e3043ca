/**
 * One connection attempt of a client as one line of the connection log, whether or not anything came of it.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-connection-logs.html
 */

import { loggedCertificateBytesMax } from '../model/limits.ts'
import type { CertificateDetails } from '../net/accept-tls.ts'
import { escapedBytesMax, writeAscii, writeDecimal, writeEscaped, writeIsoMicros, writeSeconds } from './log-text.ts'
import type { LogWriter } from './log-writer.ts'

export type ConnectionLogRecord = {
  /** When it was established, or failed, in milliseconds since the epoch. */
  readonly timeMs: number
  readonly clientIp: string
  readonly clientPort: number
  readonly listenerPort: number
  /** Null on HTTP listeners. */
  readonly tls: ConnectionTls | null
  readonly connectionTraceId: string
  /** `app/<name>/<id>` */
  readonly loadBalancer: string
  readonly nodeIp: string
}

export type ConnectionTls = {
  /** '' where the handshake did not come so far. */
  readonly protocol: string
  readonly cipher: string
  readonly keyExchange: string
  /** -1: it failed. */
  readonly handshakeMs: number
  /** Of the client, if one came and could be read. */
  readonly certificate: CertificateDetails | null
  /** `Success`, or `Failed:` and a code. */
  readonly verifyStatus: string
}

/** Everything but the names and the serial number of a certificate: two addresses, two names, numbers. */
const fixedBytesMax = 1024

export function writeConnectionLogLine(log: LogWriter, record: ConnectionLogRecord): void {
  const { tls } = record
  const certificate = tls?.certificate ?? null
  const subject = Buffer.from((certificate?.subject ?? '').slice(0, loggedCertificateBytesMax), 'latin1')
  const serialNumber = (certificate?.serialNumber ?? '').slice(0, loggedCertificateBytesMax)
  let at = log.reserve(fixedBytesMax + escapedBytesMax * subject.length + serialNumber.length)
  const { block } = log
  at = writeIsoMicros(block, at, record.timeMs)
  at = writeField(block, at, record.clientIp)
  at = writeDecimal(block, space(block, at), record.clientPort)
  at = writeDecimal(block, space(block, at), record.listenerPort)
  at = writeField(block, at, tls === null ? '' : tls.protocol)
  at = writeField(block, at, tls === null ? '' : tls.cipher)
  if (tls === null || tls.handshakeMs === -1) at = writeField(block, at, '')
  else at = writeSeconds(block, space(block, at), tls.handshakeMs)
  at = writeAscii(block, at, ' "')
  at = subject.length === 0 ? writeAscii(block, at, '-') : writeEscaped(block, at, subject, 0, subject.length)
  at = writeAscii(block, at, '"')
  at = writeField(block, at, certificate?.validity ?? '')
  at = writeField(block, at, serialNumber)
  at = writeField(block, at, tls === null ? '' : tls.verifyStatus)
  at = writeField(block, at, record.connectionTraceId)
  at = writeField(block, at, tls === null ? '' : tls.keyExchange)
  at = writeField(block, at, record.loadBalancer)
  at = writeField(block, at, record.nodeIp)
  block[at++] = 0x0a
  log.commit(at)
}

/** Behind a space; an empty text as `-`. */
function writeField(block: Buffer, at: number, text: string): number {
  return writeAscii(block, space(block, at), text === '' ? '-' : text)
}

function space(block: Buffer, at: number): number {
  block[at] = 0x20
  return at + 1
}
