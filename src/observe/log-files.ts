/**
 * Where log files lie and what they are called: the agreement between the workers, which write them, and the main
 * thread, which delivers them. In the folder `logs/`:
 *
 *     access.log, access.log.1    every line as it comes, for `tail -F`; connection.log, health-check.log likewise
 *     spool/                      plain files of one log, worker, node and interval, until they are delivered
 *     AWSLogs/<account>/…         what is delivered, gzipped, under the service's own keys
 */

import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { localAccount, localRegion } from '../model/arns.ts'
import { logDeliveryMinutes } from '../model/limits.ts'

/** A spool file that has this size goes on in its next part, and is delivered without waiting for the interval's end. */
export const spoolPartBytesMax = 64 * 1024 * 1024
/** Above this size the live file moves to `access.log.1`, whose content is dropped. */
export const liveLogBytesMax = 64 * 1024 * 1024
/**
 * How long after an interval's end its spool files are left alone. A worker chooses the file when it starts to write,
 * so this covers the write itself and what the clocks of two threads may differ by, half of it each.
 */
export const spoolSettleMs = 10_000

export const logKinds = ['access', 'connection', 'health-check'] as const
export type LogKind = (typeof logKinds)[number]

/** What the names of a log's files begin with, as delivered. */
const filePrefixes: Readonly<Record<LogKind, string>> = {
  access: '',
  connection: 'conn_log_',
  'health-check': 'health_check_log_',
}

/** A log of a load balancer's node, for which the service delivers files of its own. */
export type LogSource = {
  readonly kind: LogKind
  readonly loadBalancerName: string
  /** 16 hex digits. */
  readonly loadBalancerId: string
  readonly nodeIp: string
}

export type SpoolFile = {
  readonly kind: LogKind
  /** `<name>.<id>` of the load balancer. */
  readonly loadBalancer: string
  /** The node's address as it stands in file names. */
  readonly node: string
  readonly intervalEndMs: number
  /** Of the process that wrote it, so that a restarted one can neither append to it nor take it for its own. */
  readonly token: string
  readonly worker: number
  readonly part: number
}

export const liveLogPath = (folder: string, kind: LogKind): string => join(folder, `${kind}.log`)
export const spoolFolder = (folder: string): string => join(folder, 'spool')
export const spoolPath = (folder: string, file: SpoolFile): string => join(spoolFolder(folder), spoolName(file))

const intervalMs = logDeliveryMinutes * 60_000

export function intervalEndMs(epochMs: number): number {
  return (Math.floor(epochMs / intervalMs) + 1) * intervalMs
}

/** Both parts of a load balancer's resource id, joined as in the service's file names. */
export const loadBalancerInFileName = (source: LogSource): string =>
  `${source.loadBalancerName}.${source.loadBalancerId}`

/** A node's address for file names: the colons of IPv6 become dots, as Windows allows none (assumed; no sample seen). */
export const nodeInFileName = (ip: string): string => ip.replace(/[^0-9A-Za-z.-]/g, '.')

function spoolName(file: SpoolFile): string {
  const written = `${file.token}-${file.worker}-${file.part}`
  return `${filePrefixes[file.kind]}${file.loadBalancer}_${formatEnd(file.intervalEndMs)}_${file.node}_${written}.log`
}

const spoolNamePattern =
  /^(conn_log_|health_check_log_)?([0-9A-Za-z-]+\.[0-9a-f]+)_(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)Z_([0-9A-Za-z.-]+)_([0-9a-z]+)-(\d+)-(\d+)\.log$/

/** null for a name that no worker gave. */
export function parseSpoolName(name: string): SpoolFile | null {
  const parts = spoolNamePattern.exec(name)
  if (parts === null) return null
  const number = (index: number): number => Number(parts[index])
  return {
    kind: logKinds.find(kind => filePrefixes[kind] === (parts[1] ?? ''))!,
    loadBalancer: parts[2]!,
    intervalEndMs: Date.UTC(number(3), number(4) - 1, number(5), number(6), number(7)),
    node: parts[8]!,
    token: parts[9]!,
    worker: number(10),
    part: number(11),
  }
}

/**
 * The key under which lines are delivered, relative to the folder. It is dated by the day of delivery, which the last
 * interval of a day does not share.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html#access-log-file-format
 */
export function objectKey(file: SpoolFile, deliveredMs: number): string {
  const day = new Date(deliveredMs).toISOString().slice(0, 10).replaceAll('-', '/')
  const folder = `AWSLogs/${localAccount}/elasticloadbalancing/${localRegion}/${day}`
  const balancer = `${filePrefixes[file.kind]}${localAccount}_elasticloadbalancing_${localRegion}_app.${file.loadBalancer}`
  return `${folder}/${balancer}_${formatEnd(file.intervalEndMs)}_${file.node}_${randomName()}.log.gz`
}

/** `20251211T1330Z` */
const formatEnd = (epochMs: number): string => `${new Date(epochMs).toISOString().slice(0, 16).replace(/[-:]/g, '')}Z`

/** 8 lowercase alphanumerics, as at the end of the service's file names; also what a process marks its files with. */
export function randomName(): string {
  return Array.from({ length: 8 }, () => randomInt(36).toString(36)).join('')
}

export type OnLogError = (path: string, error: NodeJS.ErrnoException) => void

/** Reports the first error of an outage and keeps quiet until something has worked again. */
export class Outage {
  readonly #report: OnLogError
  #isReported = false

  constructor(report: OnLogError) {
    this.#report = report
  }

  failed(path: string, error: unknown): void {
    if (this.#isReported) return
    this.#isReported = true
    this.#report(path, error as NodeJS.ErrnoException)
  }

  worked(): void {
    this.#isReported = false
  }
}
