/**
 * The worker threads, seen from the main thread: started together, told of each snapshot by number, replaced when one
 * dies while the others keep carrying traffic, stopped in good order.
 */

import { setFlagsFromString } from 'node:v8'
import { Worker } from 'node:worker_threads'
import type { Clock, Pace } from '../base/clock.ts'
import type { FaultEvent } from '../model/fault-event.ts'
import type { Snapshot } from '../model/snapshot.ts'
import type { TargetStates } from '../model/target-states.ts'
import { CounterSlab } from '../observe/counters.ts'
import type { FromWorker, ToWorker, WorkerStart } from './worker-messages.ts'

export type WorkersOptions = {
  readonly count: number
  /** What restarts and the end of workers wait by: it is the machine that is waited for, so it is not paced. */
  readonly clock: Clock
  /** How time passes for all that they carry. */
  readonly pace: Pace
  readonly states: TargetStates
  readonly logFolder: string
  readonly logToken: string
  readonly onFault: (event: FaultEvent) => void
  /** Something that an operator should read. */
  readonly onTrouble: (message: string) => void
}

/** A worker that dies at once each time would otherwise be restarted in a tight loop. */
const restartDelayMs = 250
/** Beyond the grace that exchanges in flight are given, to write the log. */
const stopSlackMs = 2_000

/**
 * Short-lived objects that a thread collects before it looks which of them live on, and everybody waits. Left alone, V8
 * takes 3 MB, which only what lives on would make more: a busy worker was held up 8 times a second.
 */
export const semiSpaceMb = 16

/** Only Linux balances connections over several listening sockets; elsewhere there is one worker. */
export const sharesPorts = process.platform === 'linux'

export class PublicationRefused extends Error {
  override readonly name = 'PublicationRefused'
}

type Running = {
  readonly worker: Worker
  readonly slab: CounterSlab
  readonly index: number
  isDead: boolean
}

type Waiting = { readonly number: number; readonly resolve: () => void; readonly reject: (error: Error) => void }

export class Workers {
  readonly #options: WorkersOptions
  readonly #slabs: CounterSlab[]
  #running: Running[] = []
  #waiting = new Map<Running, Waiting>()
  #snapshot: Snapshot | null = null
  #isStopping = false
  #started = 0
  /** Settled when whoever died so far has a successor. */
  #replaced: Promise<void> = Promise.resolve()
  /** Settled when no publication is under way: only then is it certain what a successor is to serve. */
  #publication: Promise<unknown> = Promise.resolve()

  constructor(options: WorkersOptions) {
    this.#options = options
    setFlagsFromString(`--min-semi-space-size=${semiSpaceMb}`) // read when a thread starts; there is no option for one
    this.#slabs = Array.from({ length: sharesPorts ? options.count : 1 }, () => new CounterSlab())
  }

  /** One per worker; a replaced worker counts on where its predecessor stopped. */
  get slabs(): readonly CounterSlab[] {
    return this.#slabs
  }

  get threadIds(): readonly number[] {
    return this.#running.map(({ worker }) => worker.threadId)
  }

  /**
   * Hands a snapshot to every worker; the first call starts them.
   *
   * @throws PublicationRefused when a worker cannot serve it; those that could are told to go back
   */
  async publish(snapshot: Snapshot): Promise<void> {
    await this.#replaced
    if (this.#running.length === 0) this.#running = this.#slabs.map((slab, index) => this.#start(slab, index))
    const publication = this.#publishToAll(snapshot)
    this.#publication = Promise.allSettled([publication])
    await publication
  }

  async #publishToAll(snapshot: Snapshot): Promise<void> {
    const before = this.#snapshot
    const results = await this.#publishToLiving(snapshot)
    const failure = results.find(result => result.status === 'rejected')
    if (failure === undefined) {
      this.#snapshot = snapshot
      return
    }
    if (before !== null) await this.#publishToLiving(before)
    throw failure.reason
  }

  /** Whoever is dead has a successor once this is over. */
  #publishToLiving(snapshot: Snapshot): Promise<PromiseSettledResult<void>[]> {
    const living = this.#running.filter(({ isDead }) => !isDead)
    return Promise.allSettled(living.map(running => this.#publishTo(running, snapshot)))
  }

  /** The deregistration delay of these targets is over. */
  cut(slots: readonly number[]): void {
    for (const { worker } of this.#running) post(worker, { type: 'cut', slots })
  }

  /** Resolves when all have stopped: at most the grace and a little more. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true
    await Promise.all(
      this.#running.map(async ({ worker, isDead }) => {
        if (isDead) return
        const exited = new Promise(resolve => worker.once('exit', resolve))
        post(worker, { type: 'stop', graceMs })
        const timer = this.#options.clock.after(graceMs + stopSlackMs, () => void worker.terminate())
        await exited
        timer.cancel()
      }),
    )
  }

  #start(slab: CounterSlab, index: number): Running {
    const start: WorkerStart = {
      worker: this.#started++,
      statesMemory: this.#options.states.memory,
      countersMemory: slab.memory,
      logFolder: this.#options.logFolder,
      logToken: this.#options.logToken,
      // Also for one worker alone: a listener may take over the port of one that is still bound.
      reusePort: sharesPorts,
      pace: this.#options.pace,
    }
    // The extension is this file's own: `.ts` in development, `.js` in the published package.
    const entry = new URL(`./worker${import.meta.filename.slice(-3)}`, import.meta.url)
    const worker = new Worker(entry, { workerData: start, execArgv: [], name: `worker-${index + 1}` })
    const running: Running = { worker, slab, index, isDead: false }
    worker.on('message', (message: FromWorker) => this.#onMessage(running, message))
    worker.on('error', error => {
      this.#options.onTrouble(`worker ${index + 1} failed: ${error instanceof Error ? error.message : String(error)}`)
    })
    worker.on('exit', () => this.#onExit(running))
    return running
  }

  #publishTo(running: Running, snapshot: Snapshot): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(running, { number: snapshot.number, resolve, reject })
      post(running.worker, { type: 'publish', snapshot })
    })
  }

  #onMessage(running: Running, message: FromWorker): void {
    switch (message.type) {
      case 'published':
      case 'refused': {
        const waiting = this.#waiting.get(running)
        if (waiting?.number !== message.number) return
        this.#waiting.delete(running)
        if (message.type === 'published') waiting.resolve()
        else waiting.reject(new PublicationRefused(message.message))
        return
      }
      case 'fault':
        this.#options.onFault(message.event)
        return
      case 'logTrouble':
        this.#options.onTrouble(message.message)
    }
  }

  #onExit(running: Running): void {
    running.isDead = true
    this.#waiting.get(running)?.reject(new PublicationRefused(`worker ${running.index + 1} died`))
    this.#waiting.delete(running)
    if (this.#isStopping) return
    for (const [slot, requests] of running.slab.settleAfterDeath()) {
      for (let i = 0; i < requests; i++) this.#options.states.removeRequestInFlight(slot)
    }
    this.#options.onTrouble(`worker ${running.index + 1} died; the others carry on, and it is replaced`)
    this.#replaced = new Promise(resolve => {
      this.#options.clock.after(restartDelayMs, async () => {
        await this.#publication
        this.#replace(running)
        resolve()
      })
    })
  }

  #replace(dead: Running): void {
    if (this.#isStopping || this.#snapshot === null) return
    const fresh = this.#start(dead.slab, dead.index)
    this.#running = this.#running.map(running => (running === dead ? fresh : running))
    this.#publishTo(fresh, this.#snapshot).catch((error: Error) => {
      this.#options.onTrouble(`worker ${dead.index + 1} could not take over: ${error.message}`)
    })
  }
}

function post(worker: Worker, message: ToWorker): void {
  worker.postMessage(message)
}
