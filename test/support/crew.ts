/** Worker threads in the test's own process. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Worker } from 'node:worker_threads'
import { type Clock, realTime, systemClock } from '../../src/base/clock.ts'
import { formatProblem, parseConfig } from '../../src/control/config.ts'
import { Publisher } from '../../src/control/publisher.ts'
import { TargetStates } from '../../src/model/target-states.ts'
import { Workers } from '../../src/proxy/workers.ts'
import { within } from './deadline.ts'
import { freePort } from './free-port.ts'
import { connectClient, type RawClient } from './raw-client.ts'
import { until } from './turns.ts'

/** Workers as `main` has them, with the threads themselves in reach. */
export class Crew {
  readonly port: number
  readonly logFolder: string
  readonly states = new TargetStates()
  readonly troubles: string[] = []
  readonly threads: Worker[] = []
  readonly workers: Workers
  readonly #publisher: Publisher
  readonly #clients: RawClient[] = []
  readonly #onWorker = (thread: Worker) => {
    this.threads.push(thread)
  }

  /**
   * @param config of a load balancer whose first listener has that port
   * @param clock what the workers are restarted by
   */
  static async start(
    t: TestContext,
    count: number,
    config: (port: number) => string,
    clock: Clock = systemClock,
  ): Promise<Crew> {
    const logFolder = mkdtempSync(join(tmpdir(), 'openalb-crew-'))
    const crew = new Crew(await freePort(), count, logFolder, clock)
    t.after(async () => {
      await crew.stop() // which still writes logs
      rmSync(logFolder, { recursive: true, force: true })
    })
    await crew.publish(config(crew.port))
    return crew
  }

  constructor(port: number, count: number, logFolder: string, clock: Clock) {
    const { states } = this
    this.port = port
    this.logFolder = logFolder
    process.on('worker', this.#onWorker)
    this.workers = new Workers({
      count,
      clock,
      pace: realTime,
      states,
      logFolder,
      logToken: 'test',
      onFault: () => {},
      onTrouble: message => this.troubles.push(message),
    })
    this.#publisher = new Publisher({
      clock: systemClock,
      machineClock: systemClock,
      states,
      cookieKeys: () => [{ id: 1, key: new Uint8Array(32).fill(7) }],
      onDrained: () => {},
      isSlotBusy: () => false,
      onSlotFreed: () => {},
    })
  }

  async publish(config: string): Promise<void> {
    const parsed = parseConfig([{ name: 'test.yaml', text: config }])
    if (!parsed.ok) throw new Error(parsed.problems.map(formatProblem).join('\n'))
    const { resources } = parsed.config
    await this.workers.publish(this.#publisher.prepare(resources))
    this.#publisher.commit(resources)
  }

  /** How many connections each worker was given so far. */
  connections(): number[] {
    return this.workers.slabs.map(slab => slab.loadBalancer(0, 'NewConnectionCount'))
  }

  /** Opens connections until each worker has one. @returns one for each worker, in their order */
  async clientOfEach(): Promise<RawClient[]> {
    const found: RawClient[] = []
    const search = async () => {
      while (found.filter(Boolean).length < this.workers.slabs.length) {
        const before = this.connections()
        const client = await connectClient(this.port)
        this.#clients.push(client)
        await client.send('GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n')
        await client.readResponse()
        const worker = this.connections().findIndex((count, i) => count > before[i]!)
        if (found[worker] === undefined) found[worker] = client
        else client.close()
      }
    }
    await within(search(), () => `a connection to each worker; they have ${this.connections()}`)
    return found
  }

  /** Lets nobody hear this thread, as if it were slow. @returns what makes it heard again, what it said meanwhile first */
  mute(thread: Worker): () => void {
    const listeners = thread.rawListeners('message') as ((message: unknown) => void)[]
    const said: unknown[] = []
    const keep = (message: unknown) => said.push(message)
    thread.removeAllListeners('message').on('message', keep)
    return () => {
      thread.off('message', keep)
      for (const listener of listeners) thread.on('message', listener)
      for (const message of said) thread.emit('message', message)
    }
  }

  async says(pattern: RegExp): Promise<void> {
    await until(
      () => this.troubles.some(trouble => pattern.test(trouble)),
      () => `${pattern} to be told; told was ${JSON.stringify(this.troubles)}`,
    )
  }

  async stop(): Promise<void> {
    process.removeListener('worker', this.#onWorker)
    for (const client of this.#clients) client.close()
    this.#publisher.close()
    await within(this.workers.stop(0), () => 'the workers to stop')
  }
}
