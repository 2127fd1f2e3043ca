/**
 * A port whose connections are neither accepted nor refused: the thread that listens sleeps, and its accept queue is
 * full, so the kernel drops every further SYN.
 */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { Worker } from 'node:worker_threads'

const listenAndSleep = `
  const { parentPort, workerData } = require('node:worker_threads')
  const server = require('node:net').createServer(() => {})
  server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
    parentPort.postMessage(server.address().port)
    setImmediate(() => Atomics.wait(workerData, 0, 0))
  })`

/** Connections that a queue of length 1 holds on Linux. */
const queued = 2

export async function fullListener(t: TestContext): Promise<number> {
  const gate = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(listenAndSleep, { eval: true, workerData: gate })
  const fillers: Socket[] = []
  t.after(async () => {
    for (const filler of fillers) filler.destroy()
    Atomics.store(gate, 0, 1)
    Atomics.notify(gate, 0)
    await worker.terminate()
  })
  const [port] = (await once(worker, 'message')) as [number]
  for (let i = 0; i < queued; i++) {
    const filler = connect(port, '127.0.0.1')
    fillers.push(filler)
    await once(filler, 'connect')
  }
  return port
}
