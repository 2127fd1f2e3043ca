/** What the main thread and a worker say to each other. Everything survives structured cloning. */

import type { Pace } from '../base/clock.ts'
import type { FaultEvent } from '../model/fault-event.ts'
import type { Snapshot } from '../model/snapshot.ts'

/** Given to a worker when it starts. */
export type WorkerStart = {
  readonly worker: number
  readonly statesMemory: SharedArrayBuffer
  readonly countersMemory: SharedArrayBuffer
  readonly logFolder: string
  readonly logToken: string
  readonly reusePort: boolean
  readonly pace: Pace
}

export type ToWorker =
  | { readonly type: 'publish'; readonly snapshot: Snapshot }
  | { readonly type: 'cut'; readonly slots: readonly number[] }
  | { readonly type: 'stop'; readonly graceMs: number }

export type FromWorker =
  | { readonly type: 'published'; readonly number: number }
  | { readonly type: 'refused'; readonly number: number; readonly message: string }
  | { readonly type: 'fault'; readonly event: FaultEvent }
  | { readonly type: 'logTrouble'; readonly message: string }
