/** A worker thread: one data plane, and the conversation with the main thread. */

import { parentPort, workerData } from 'node:worker_threads'
import { assert } from '../base/assert.ts'
import { pacedClock } from '../base/clock.ts'
import type { FaultCode } from '../model/faults.ts'
import { TargetStates } from '../model/target-states.ts'
import { CounterSlab } from '../observe/counters.ts'
import { WorkerLog } from '../observe/log-writer.ts'
import type { ConnectionFault } from './context.ts'
import { DataPlane } from './data-plane.ts'
import type { Exchange } from './exchange.ts'
import { pathOf } from './request-target.ts'
import type { FromWorker, ToWorker, WorkerStart } from './worker-messages.ts'

/** A display needs the latest few; the counters have them all. */
const faultEventsPerSecondMax = 20

assert(parentPort !== null, 'runs as a worker thread')
const port = parentPort
const start = workerData as WorkerStart
const clock = pacedClock(start.pace)
const tell = (message: FromWorker) => port.postMessage(message)

const log = new WorkerLog({
  folder: start.logFolder,
  token: start.logToken,
  worker: start.worker,
  clock,
  onError: (path, error) => tell({ type: 'logTrouble', message: `cannot write ${path}: ${error.message}` }),
})
const plane = new DataPlane({
  clock,
  states: new TargetStates(start.statesMemory),
  counters: new CounterSlab(start.countersMemory),
  log,
  reusePort: start.reusePort,
  onFault: tellFault,
  onConnectionFault: tellConnectionFault,
})

let publications: Promise<void> = Promise.resolve()
port.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'publish':
      publications = publications.then(() => publish(message))
      return
    case 'cut':
      plane.cutTargets(new Set(message.slots))
      return
    case 'stop':
      publications = publications.then(() => stop(message.graceMs))
  }
})

async function publish({ snapshot }: Extract<ToWorker, { type: 'publish' }>): Promise<void> {
  try {
    await plane.publish(snapshot)
    tell({ type: 'published', number: snapshot.number })
  } catch (error) {
    tell({ type: 'refused', number: snapshot.number, message: (error as Error).message })
  }
}

async function stop(graceMs: number): Promise<void> {
  await plane.stop(graceMs)
  await log.close()
  port.close()
}

let eventSecond = 0
let eventsThisSecond = 0

/** Whether one more may be told of in this second. */
function mayTell(atMs: number): boolean {
  const second = Math.floor(atMs / 1000)
  if (second !== eventSecond) {
    eventSecond = second
    eventsThisSecond = 0
  }
  return ++eventsThisSecond <= faultEventsPerSecondMax
}

function tellConnectionFault({ clientAddress, ...event }: ConnectionFault): void {
  if (!mayTell(event.atMs)) return
  const request = `connection of ${clientAddress}`
  tell({ type: 'fault', event: { ...event, targetAddress: null, statusCode: null, request, traceId: '' } })
}

function tellFault(exchange: Exchange, fault: FaultCode): void {
  const atMs = clock.originMs + exchange.finishedAt
  if (!mayTell(atMs)) return
  const { head } = exchange
  const request = head.length === 0 ? '-' : `${head.text(head.methodFrom, head.methodTo)} ${pathOf(exchange)}`
  tell({
    type: 'fault',
    event: {
      fault,
      atMs,
      loadBalancer: exchange.listener!.loadBalancer.resourceId,
      targetAddress: exchange.target?.address ?? null,
      statusCode: exchange.statusCode,
      request: request.slice(0, 200),
      traceId: exchange.traceId,
      detail: null,
    },
  })
}
