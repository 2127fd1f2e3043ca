/**
 * Delivers logs, in the main thread and a thread beside it that compresses: gathers what the workers left in the spool
 * for one node and interval, and puts it under the service's own key, gzipped. Whatever moment the process dies at, a
 * line is in the spool or in a delivered file, for a while in both. An interval without a line delivers nothing
 * (assumed).
 *
 * While traffic needs the cores, delivery waits, at most an interval and as long as not too much waits with it.
 *
 * Lines of several workers follow one another by worker, not by time; the service promises no order either.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
 */

import { mkdir, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Clock, Timer } from '../base/clock.ts'
import { logDeliveryMinutes } from '../model/limits.ts'
import { type CompressJob, Compressor, type Piece } from './log-delivery/compress.ts'
import {
  type LogKind,
  liveLogBytesMax,
  liveLogPath,
  logKinds,
  type OnLogError,
  Outage,
  objectKey,
  parseSpoolName,
  randomName,
  type SpoolFile,
  spoolFolder,
  spoolPath,
  spoolSettleMs,
} from './log-files.ts'

/** How often the spool is looked through. Reading one small folder costs next to nothing. */
export const deliveryPassMs = 5_000
const temporarySuffix = '.log.gz.tmp'
/** What is read at once, in search of the last line. */
const pieceBytes = 128 * 1024
/** The pause behind each piece of a file that is removed. */
const removalPauseMs = 6
/**
 * What is cut off a file in one go when it is removed. The kernel frees its pages without letting go of the core: 64 MB
 * at a stretch stopped the traffic there for 12 ms.
 */
const removedPieceBytes = 2 * 1024 * 1024
/** From this share of all cores on, traffic needs them: what runs beside it makes requests wait. */
export const busyShareMin = 0.75
/** How much may wait in the spool for a quieter moment. */
export const waitingBytesMax = 512 * 1024 * 1024
const lineEnd = 0x0a

export type LogDeliveryOptions = {
  /** `logs/` in the data folder. */
  readonly folder: string
  /** The one given to this process's workers. */
  readonly token: string
  readonly clock: Clock
  /** What this process uses of all cores, 0 to 1. */
  readonly cpuShare: () => number
  /** Called once per outage; what could not be delivered stays in the spool and is tried again. */
  readonly onError: OnLogError
}

export class LogDelivery {
  readonly #folder: string
  readonly #token: string
  readonly #clock: Clock
  readonly #cpuShare: () => number
  readonly #liveOutages: Readonly<Record<LogKind, Outage>>
  readonly #spoolOutage: Outage
  /** Delivered files that could not be removed: not to be delivered again. */
  readonly #delivered = new Set<string>()
  #timer: Timer | null = null
  #isClosed = false
  readonly #compressor = new Compressor()
  /** The passes so far, one after the other. */
  #passes: Promise<void> = Promise.resolve()

  constructor(options: LogDeliveryOptions) {
    this.#folder = options.folder
    this.#token = options.token
    this.#clock = options.clock
    this.#cpuShare = options.cpuShare
    this.#liveOutages = {
      access: new Outage(options.onError),
      connection: new Outage(options.onError),
      'health-check': new Outage(options.onError),
    }
    this.#spoolOutage = new Outage(options.onError)
  }

  /** Delivers what an earlier process left of intervals that are over, and goes on from there. Never rejects. */
  async start(): Promise<void> {
    this.#compressor.start()
    await this.#attempt(this.#spoolOutage, spoolFolder(this.#folder), () => this.#removeTemporaryFiles())
    await this.deliverDue()
    this.#startTimer()
  }

  /** Delivers what is due now and need not wait. Never rejects. */
  deliverDue(): Promise<void> {
    return this.#startPass(null)
  }

  /** Delivers all that this process logged. To be called when its workers have closed. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await this.#startPass(this.#token)
    await this.#compressor.close()
  }

  #startTimer(): void {
    if (this.#isClosed) return
    this.#timer = this.#clock.after(deliveryPassMs, () => {
      this.deliverDue().then(() => this.#startTimer())
    })
  }

  #startPass(closedToken: string | null): Promise<void> {
    this.#passes = this.#passes.then(() => this.#pass(closedToken))
    return this.#passes
  }

  async #pass(closedToken: string | null): Promise<void> {
    for (const kind of logKinds) {
      const path = liveLogPath(this.#folder, kind)
      await this.#attempt(this.#liveOutages[kind], path, () => this.#rotateLive(path))
    }
    await this.#attempt(this.#spoolOutage, spoolFolder(this.#folder), () => this.#deliverAll(closedToken))
  }

  async #attempt(outage: Outage, path: string, run: () => Promise<void>): Promise<void> {
    try {
      await run()
      outage.worked()
    } catch (error) {
      outage.failed(path, error)
    }
  }

  /**
   * Workers open the live file anew for each block, so one that is just writing ends up in the `.1`, and the
   * next block makes a new file. Nobody else renames it: two who did could drop what was written between.
   */
  async #rotateLive(path: string): Promise<void> {
    const found = await stat(path).catch(ignoreMissing)
    if (found === null || found.size <= liveLogBytesMax) return
    await this.#remove(`${path}.1`)
    await rename(path, `${path}.1`)
  }

  async #removeTemporaryFiles(): Promise<void> {
    const folder = spoolFolder(this.#folder)
    await mkdir(folder, { recursive: true })
    for (const name of await readdir(folder)) {
      if (name.endsWith(temporarySuffix)) await rm(join(folder, name), { force: true })
    }
  }

  async #deliverAll(closedToken: string | null): Promise<void> {
    const names = (await readdir(spoolFolder(this.#folder)).catch(ignoreMissing)) ?? []
    const files = names.map(parseSpoolName).filter(file => file !== null)
    const due = groupsDue(files, this.#epochMs(), closedToken)
    const bytes = await Promise.all(due.map(group => this.#bytesOf(group)))
    let waitingBytes = bytes.reduce((sum, each) => sum + each, 0)
    const errors: unknown[] = []
    for (const [index, group] of due.entries()) {
      if (closedToken === null && mayWait(group, waitingBytes, this.#cpuShare(), this.#epochMs())) continue
      const pauseMs = this.#isClosed ? 0 : compressPauseMs(waitingBytes)
      try {
        await this.#deliver(group, pauseMs)
        waitingBytes -= bytes[index]!
      } catch (error) {
        errors.push(error) // one that fails does not hold up the others
      }
    }
    if (errors.length > 0) throw errors[0]
  }

  async #bytesOf(group: readonly SpoolFile[]): Promise<number> {
    const found = await Promise.all(group.map(file => stat(spoolPath(this.#folder, file)).catch(ignoreMissing)))
    return found.reduce((sum, file) => sum + (file?.size ?? 0), 0)
  }

  /**
   * Crash-safe by its order: the object is complete and on disk before it gets its name, and has its name for good
   * before the spool files go. A crash in between delivers the lines once more at the next start.
   */
  async #deliver(group: readonly SpoolFile[], pauseMs: number): Promise<void> {
    const paths = group.map(file => spoolPath(this.#folder, file))
    const pieces = await Promise.all(paths.filter(path => !this.#delivered.has(path)).map(wholeLines))
    if (pieces.some(piece => piece.bytes > 0)) {
      const object = join(this.#folder, objectKey(group[0]!, this.#epochMs()))
      await this.#compress({ pieces, pauseMs }, object)
      for (const path of paths) this.#delivered.add(path)
      await syncFolder(dirname(object))
    }
    for (const path of paths) {
      await this.#remove(path)
      this.#delivered.delete(path)
    }
  }

  async #compress(job: Omit<CompressJob, 'to'>, object: string): Promise<void> {
    // In the spool, whose leftovers are removed at start, and on the same file system as the folder it moves to.
    const temporary = join(spoolFolder(this.#folder), `${randomName()}${temporarySuffix}`)
    try {
      await this.#compressor.compress({ ...job, to: temporary })
      await mkdir(dirname(object), { recursive: true })
      await rename(temporary, object)
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
  }

  /** A file that is not there is as good as removed. */
  async #remove(path: string): Promise<void> {
    const file = await open(path, 'r+').catch(ignoreMissing)
    if (file === null) return
    try {
      for (let { size } = await file.stat(); size > removedPieceBytes; ) {
        size -= removedPieceBytes
        await file.truncate(size)
        await this.#pause()
      }
    } finally {
      await file.close()
    }
    await unlink(path).catch(ignoreMissing)
  }

  /** Unless the process is about to end: what happens here is in no hurry, and traffic is. */
  async #pause(): Promise<void> {
    // Real time, whatever the clock says: this is about the processor, not about when something falls due.
    if (!this.#isClosed) await setTimeout(removalPauseMs)
  }

  #epochMs(): number {
    return this.#clock.originMs + this.#clock.now()
  }
}

/**
 * What may be delivered, each group as one object: everything of an interval that is settled; of one that runs, each
 * part that its worker has left behind for the next, alone, as the service delivers several objects under load.
 *
 * @param closedToken the process whose workers write no more, so that its files need not settle
 */
export function groupsDue(files: readonly SpoolFile[], epochMs: number, closedToken: string | null): SpoolFile[][] {
  const lastParts = new Map<string, number>()
  for (const file of files) {
    const key = seriesKey(file)
    lastParts.set(key, Math.max(file.part, lastParts.get(key) ?? 0))
  }
  const groups = new Map<string, SpoolFile[]>()
  for (const file of files.toSorted(byWorkerAndPart)) {
    const isSettled = epochMs >= file.intervalEndMs + spoolSettleMs || file.token === closedToken
    const isLeft = file.part < lastParts.get(seriesKey(file))!
    if (!isSettled && !isLeft) continue
    const key = isSettled ? objectName(file) : `${seriesKey(file)}-${file.part}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [file])
    else group.push(file)
  }
  return [...groups.values()]
}

/**
 * Whether what is due may stay in the spool for now.
 *
 * @param waitingBytes it and all else that is due
 */
export function mayWait(group: readonly SpoolFile[], waitingBytes: number, cpuShare: number, epochMs: number): boolean {
  const hasWaited = epochMs >= group[0]!.intervalEndMs + logDeliveryMinutes * 60_000
  return cpuShare >= busyShareMin && waitingBytes <= waitingBytesMax && !hasWaited
}

/** Behind each piece: 15 MB/s, then 28, then as fast as it goes, so that workers that never rest fill no disk. */
export function compressPauseMs(waitingBytes: number): number {
  if (waitingBytes <= waitingBytesMax) return 2
  return waitingBytes <= 2 * waitingBytesMax ? 1 : 0
}

const objectName = (file: SpoolFile): string => `${file.kind}_${file.loadBalancer}_${file.intervalEndMs}_${file.node}`
const seriesKey = (file: SpoolFile): string => `${objectName(file)}_${file.token}-${file.worker}`

function byWorkerAndPart(a: SpoolFile, b: SpoolFile): number {
  if (a.token !== b.token) return a.token < b.token ? -1 : 1
  return a.worker - b.worker || a.part - b.part
}

/** A process killed while it wrote may leave a line without its end, which is of no use to anyone. */
async function wholeLines(path: string): Promise<Piece> {
  const file = await open(path)
  try {
    const buffer = Buffer.alloc(pieceBytes)
    let end = (await file.stat()).size
    while (end > 0) {
      const from = Math.max(0, end - pieceBytes)
      const { bytesRead } = await file.read(buffer, 0, end - from, from)
      const lastLineEnd = buffer.subarray(0, bytesRead).lastIndexOf(lineEnd)
      if (lastLineEnd >= 0) return { path, bytes: from + lastLineEnd + 1 }
      end = from
    }
    return { path, bytes: 0 }
  } finally {
    await file.close()
  }
}

/** Makes a rename last through a power failure. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return // it opens no folders
  const folder = await open(path)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null
  throw error
}
