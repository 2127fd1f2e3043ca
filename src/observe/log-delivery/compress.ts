/**
 * Compresses spool files, in a thread of its own that yields to all others: on a core that is busy with traffic, what
 * it does at the priority of a worker stops that worker for milliseconds at a time.
 */

import { Worker } from 'node:worker_threads'

/** The first `bytes` of a spool file, which are whole lines. */
export type Piece = { readonly path: string; readonly bytes: number }

export type CompressJob = {
  readonly pieces: readonly Piece[]
  readonly to: string
  /** How long to leave the core to others behind each piece of 32 KB; 0: not at all. */
  readonly pauseMs: number
}
/** Null: done. */
export type CompressResult = { readonly error: string | null }

export class Compressor {
  #worker: Worker | null = null

  /** Starts the thread ahead of the first call: doing so takes 50 ms of a core, which is better not busy then. */
  start(): void {
    this.#running()
  }

  /** Writes the pieces, one after the other, as one gzip file that must not be there yet. One call at a time. */
  async compress(job: CompressJob): Promise<void> {
    const worker = this.#running()
    worker.ref()
    try {
      await new Promise<void>((resolve, reject) => {
        const settle = (error: Error | null) => {
          worker.off('message', onMessage).off('error', onError).off('exit', onExit)
          if (error === null) resolve()
          else reject(error)
        }
        const onMessage = ({ error }: CompressResult) => settle(error === null ? null : new Error(error))
        const onError = (error: unknown) => settle(error instanceof Error ? error : new Error(String(error)))
        const onExit = () => settle(new Error('the thread that compresses logs ended'))
        worker.on('message', onMessage).on('error', onError).on('exit', onExit)
        worker.postMessage(job)
      })
    } finally {
      worker.unref()
    }
  }

  async close(): Promise<void> {
    const worker = this.#worker
    this.#worker = null
    await worker?.terminate()
  }

  #running(): Worker {
    if (this.#worker !== null) return this.#worker
    // The extension is this file's own: `.ts` in development, `.js` in the published package.
    const entry = new URL(`./compress-thread${import.meta.filename.slice(-3)}`, import.meta.url)
    const worker = new Worker(entry, { execArgv: [], name: 'log-delivery' })
    worker.unref()
    // One that died between two calls is replaced at the next.
    worker
      .on('error', () => {})
      .on('exit', () => {
        if (this.#worker === worker) this.#worker = null
      })
    this.#worker = worker
    return worker
  }
}
