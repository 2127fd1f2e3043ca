/**
 * Takes log lines from the request path and brings them to disk, in a worker. Lines are written straight into
 * large blocks; a block goes out whole, without anybody waiting for it, to two files: the live `access.log` or
 * `connection.log`, which all workers share, and a spool file of its own, from which the main thread delivers. Knows nothing of what is in a line.
 *
 * Files are opened anew for each block. It costs a few system calls per 256 KB, off the thread, and it buys that a file
 * may be moved, removed or taken at any moment, that a full disk is over when it is over, and that nothing stays open.
 */

import { constants } from 'node:fs'
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { assert } from '../base/assert.ts'
import type { Clock, Timer } from '../base/clock.ts'
import { logBlockBytes, logBlocksMax, logFlushMs } from '../model/limits.ts'
import {
  intervalEndMs,
  type LogKind,
  type LogSource,
  liveLogPath,
  loadBalancerInFileName,
  nodeInFileName,
  type OnLogError,
  Outage,
  type SpoolFile,
  spoolPartBytesMax,
  spoolPath,
  spoolSettleMs,
} from './log-files.ts'

/** Empty blocks kept for reuse: one being filled again for each one on its way to disk, as long as the disk keeps up. */
const spareBlocksMax = 4
const lineEnd = 0x0a
const noBlock = Buffer.alloc(0)

/** Whole lines on their way to disk. */
type FullBlock = {
  readonly writer: LogWriter
  readonly buffer: Buffer
  readonly bytes: number
  readonly lines: number
}

export type WorkerLogOptions = {
  /** `logs/` in the data folder; made when missing. */
  readonly folder: string
  /** Of the process: `randomName()`, made once in main, the same for all workers and for delivery. */
  readonly token: string
  /** No two workers that live at the same time share a number. */
  readonly worker: number
  readonly clock: Clock
  /** Called once per outage of a file; what it costs is in `linesDropped`. */
  readonly onError: OnLogError
}

/** What the writers of one worker share: the timer, the spare blocks, and the queue to the disk. */
export class WorkerLog {
  readonly options: WorkerLogOptions
  readonly #live: Readonly<Record<LogKind, LiveFile>>
  readonly #spoolOutage: Outage
  /** By file name. A writer is kept for good: a second one of its name would meet the first in the spool. */
  readonly #writers = new Map<string, LogWriter>()
  readonly #spareBuffers: Buffer[] = []
  readonly #queue: FullBlock[] = []
  /** Writers whose block holds a line, since the last flush. */
  readonly #withLines = new Set<LogWriter>()
  /** Writers whose block goes out next even though it is not full. */
  readonly #due = new Set<LogWriter>()
  #timer: Timer | null = null
  #isDraining = false
  #drained: Promise<void> = Promise.resolve()

  constructor(options: WorkerLogOptions) {
    this.options = options
    const { folder, onError } = options
    this.#live = {
      access: new LiveFile(liveLogPath(folder, 'access'), onError),
      connection: new LiveFile(liveLogPath(folder, 'connection'), onError),
      'health-check': new LiveFile(liveLogPath(folder, 'health-check'), onError),
    }
    this.#spoolOutage = new Outage(options.onError)
  }

  /** The same writer for the same source. */
  writer(source: LogSource): LogWriter {
    const key = `${source.kind}_${loadBalancerInFileName(source)}_${nodeInFileName(source.nodeIp)}`
    const known = this.#writers.get(key)
    if (known !== undefined) return known
    const writer = new LogWriter(this, source)
    this.#writers.set(key, writer)
    return writer
  }

  /** Brings every line to disk. Holds nothing afterwards, so a straggler's line would still go out by timer. */
  async close(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = null
    this.#flush()
    await this.settled()
  }

  /** Resolves when no block is on its way. */
  async settled(): Promise<void> {
    while (this.#isDraining) await this.#drained
  }

  // What follows is for the writers.

  get isFull(): boolean {
    return this.#queue.length >= logBlocksMax
  }

  takeBuffer(bytesMin: number): Buffer {
    if (bytesMin > logBlockBytes) return Buffer.allocUnsafeSlow(bytesMin)
    return this.#spareBuffers.pop() ?? Buffer.allocUnsafeSlow(logBlockBytes)
  }

  /** One timer for all writers, and none while nobody has a line. */
  noteFirstLine(writer: LogWriter): void {
    this.#withLines.add(writer)
    this.#timer ??= this.options.clock.after(logFlushMs, () => {
      this.#timer = null
      this.#flush()
    })
  }

  enqueue(block: FullBlock): void {
    this.#withLines.delete(block.writer)
    this.#queue.push(block)
    this.#drainQueue()
  }

  flushSoon(writer: LogWriter): void {
    this.#withLines.delete(writer)
    this.#due.add(writer)
    this.#drainQueue()
  }

  #flush(): void {
    for (const writer of this.#withLines) this.flushSoon(writer)
  }

  #drainQueue(): void {
    if (this.#isDraining) return
    this.#isDraining = true
    this.#drained = this.#drain()
  }

  async #drain(): Promise<void> {
    for (let block = this.#next(); block !== null; block = this.#next()) {
      await this.#write(block)
      const isStandard = block.buffer.length === logBlockBytes
      if (isStandard && this.#spareBuffers.length < spareBlocksMax) this.#spareBuffers.push(block.buffer)
    }
    this.#isDraining = false // here, not in a `then`: a block queued in between would wait for the next one
  }

  /**
   * Full blocks first, so that a writer's lines keep their order. Others are fetched only when it is their turn: until
   * then they fill further, and hundreds of writers flushed at once do not count as a slow disk.
   */
  #next(): FullBlock | null {
    const full = this.#queue.shift()
    if (full !== undefined) return full
    for (const writer of this.#due) {
      this.#due.delete(writer)
      const block = writer.takeBlock()
      if (block !== null) return block
    }
    return null
  }

  async #write(block: FullBlock): Promise<void> {
    const { writer, buffer, bytes, lines } = block
    try {
      await writer.spool.append(buffer, bytes)
      this.#spoolOutage.worked()
    } catch (error) {
      writer.linesDropped += lines
      this.#spoolOutage.failed(writer.spool.path, error)
    }
    await this.#live[writer.kind].append(buffer.subarray(0, bytes))
  }
}

/** Lines of one load balancer's node, from one worker. */
export class LogWriter {
  /** Where the caller writes; another one after each `reserve`. */
  block: Buffer = noBlock
  /** Lines that no delivered file will hold. */
  linesDropped = 0
  readonly kind: LogKind
  readonly spool: Spool
  readonly #log: WorkerLog
  /** Where the last whole line in the block ends. */
  #end = 0
  #lines = 0

  /** By `WorkerLog.writer` only. */
  constructor(log: WorkerLog, source: LogSource) {
    this.#log = log
    this.kind = source.kind
    this.spool = new Spool(log.options, source)
  }

  /** Makes sure of room for a line of so many bytes, and returns the position in `block` where it begins. */
  reserve(bytesMax: number): number {
    if (this.block.length - this.#end < bytesMax) this.#makeRoom(bytesMax)
    return this.#end
  }

  /** @param end behind the line's last byte, which is its line end */
  commit(end: number): void {
    // Writes beyond a buffer's end are lost without an error; this is where it shows.
    assert(end > this.#end && end <= this.block.length, 'a line ends within what was reserved')
    assert(this.block[end - 1] === lineEnd, 'a line ends in a line end')
    this.#end = end
    this.#lines++
    if (this.#lines === 1) this.#log.noteFirstLine(this)
  }

  /** Sends what there is, without waiting for the block to fill. */
  flush(): void {
    if (this.#lines > 0) this.#log.flushSoon(this)
  }

  /** Resolves when all lines so far are on disk, or counted as dropped. */
  async close(): Promise<void> {
    this.flush()
    await this.#log.settled()
  }

  /** The lines so far, which are the taker's from now on; null when there are none. */
  takeBlock(): FullBlock | null {
    if (this.#lines === 0) return null
    const taken: FullBlock = { writer: this, buffer: this.block, bytes: this.#end, lines: this.#lines }
    this.block = noBlock // an idle writer holds no memory
    this.#end = 0
    this.#lines = 0
    return taken
  }

  #makeRoom(bytesMax: number): void {
    if (this.#log.isFull) {
      // Access logs are best effort, as in the service: neither memory nor a request's time is spent on a slow disk.
      this.linesDropped += this.#lines
      this.#end = 0
      this.#lines = 0
    } else {
      const full = this.takeBlock()
      if (full !== null) this.#log.enqueue(full)
    }
    if (this.block.length < bytesMax) this.block = this.#log.takeBuffer(bytesMax)
  }
}

/** The file that all workers append to, for people to follow. */
class LiveFile {
  readonly #path: string
  readonly #outage: Outage
  /** It ends in a line that did not fit. */
  #isCut = false

  constructor(path: string, onError: OnLogError) {
    this.#path = path
    this.#outage = new Outage(onError)
  }

  /** Never rejects. What is lost here is not counted: the spool has it, and is the record of the two. */
  async append(lines: Buffer): Promise<void> {
    try {
      await this.#appendWhole(lines)
      this.#outage.worked()
    } catch (error) {
      this.#outage.failed(this.#path, error)
    }
  }

  /**
   * One write per block: the kernel appends each as a whole, so lines of several workers never mix. Only a full disk
   * makes a short write; the line it cut begins again on a line of its own, and the piece stays.
   */
  async #appendWhole(lines: Buffer): Promise<void> {
    const file = await openForAppend(this.#path, constants.O_CREAT)
    try {
      for (let rest = lines; rest.length > 0; ) {
        const bytes = this.#isCut ? Buffer.concat([Buffer.of(lineEnd), rest]) : rest
        const { bytesWritten } = await file.write(bytes)
        const wholeBytes = bytes.subarray(0, bytesWritten).lastIndexOf(lineEnd) + 1
        this.#isCut = wholeBytes < bytesWritten
        rest = bytes.subarray(wholeBytes)
      }
    } finally {
      await file.close()
    }
  }
}

/**
 * The spool files of one writer, one after the other: plain text that is complete up to the last write, whenever the
 * process dies. Only this object appends to them, and only the main thread's delivery removes them.
 *
 * Delivery takes a file when `spoolSettleMs` have passed since its interval ended, or when a next part exists. Here
 * that means: the file is chosen by the time at which its write begins; a write that ended too late to be sure is
 * repeated in the current file (a line delivered twice beats a lost one); a part is never written after its successor
 * was made; and an existing part is opened without O_CREAT, so that what was taken never comes back to life.
 */
class Spool {
  readonly #folder: string
  readonly #clock: Clock
  #file: SpoolFile
  /** Of whole blocks in the current file; -1 when it has not been made yet. */
  #bytes = -1

  constructor(options: WorkerLogOptions, source: LogSource) {
    this.#folder = options.folder
    this.#clock = options.clock
    this.#file = {
      kind: source.kind,
      loadBalancer: loadBalancerInFileName(source),
      node: nodeInFileName(source.nodeIp),
      intervalEndMs: 0,
      token: options.token,
      worker: options.worker,
      part: 0,
    }
  }

  get path(): string {
    return spoolPath(this.#folder, this.#file)
  }

  async append(buffer: Buffer, bytes: number): Promise<void> {
    do {
      this.#chooseFile(bytes)
      const file = await this.#open()
      try {
        await this.#writeWhole(file, buffer, bytes)
      } finally {
        await file.close()
      }
    } while (this.#epochMs() >= this.#file.intervalEndMs + spoolSettleMs / 2)
  }

  #chooseFile(bytes: number): void {
    const endMs = intervalEndMs(this.#epochMs())
    if (endMs !== this.#file.intervalEndMs) this.#startFile(endMs, 0)
    else if (this.#bytes > 0 && this.#bytes + bytes > spoolPartBytesMax) this.#startFile(endMs, this.#file.part + 1)
  }

  #startFile(intervalEndMs: number, part: number): void {
    this.#file = { ...this.#file, intervalEndMs, part }
    this.#bytes = -1
  }

  /** Goes on to the next part when the file was taken already, or is there from a worker that had our number before. */
  async #open(): Promise<FileHandle> {
    for (;;) {
      const isNew = this.#bytes < 0
      try {
        const file = await openForAppend(this.path, isNew ? constants.O_CREAT | constants.O_EXCL : 0)
        if (isNew) this.#bytes = 0
        return file
      } catch (error) {
        if (!hasCode(error, isNew ? 'EEXIST' : 'ENOENT')) throw error
        this.#startFile(this.#file.intervalEndMs, this.#file.part + 1)
      }
    }
  }

  /** All of it or nothing: a block that fits only in part, on a full disk, is cut off again. */
  async #writeWhole(file: FileHandle, buffer: Buffer, bytes: number): Promise<void> {
    try {
      let at = 0
      while (at < bytes) at += (await file.write(buffer, at, bytes - at)).bytesWritten
      this.#bytes += bytes
    } catch (error) {
      await file.truncate(this.#bytes).catch(() => this.#startFile(this.#file.intervalEndMs, this.#file.part + 1))
      throw error
    }
  }

  #epochMs(): number {
    return this.#clock.originMs + this.#clock.now()
  }
}

async function openForAppend(path: string, flags: number): Promise<FileHandle> {
  const appending = constants.O_APPEND | constants.O_WRONLY | flags
  try {
    return await open(path, appending)
  } catch (error) {
    if ((flags & constants.O_CREAT) === 0 || !hasCode(error, 'ENOENT')) throw error
    await mkdir(dirname(path), { recursive: true })
    return open(path, appending)
  }
}

const hasCode = (error: unknown, code: string): boolean => (error as NodeJS.ErrnoException).code === code
