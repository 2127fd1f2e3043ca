/** A data plane in the test's own thread, with the clock in the test's hand: what a worker runs, less the thread. */

import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ManualClock } from '../../src/base/clock.ts'
import { formatProblem, parseConfig } from '../../src/control/config.ts'
import { type DrainingTarget, Publisher } from '../../src/control/publisher.ts'
import type { FaultCode } from '../../src/model/faults.ts'
import { TargetStateCode, TargetStates } from '../../src/model/target-states.ts'
import { CounterSlab } from '../../src/observe/counters.ts'
import { WorkerLog } from '../../src/observe/log-writer.ts'
import type { ConnectionFault } from '../../src/proxy/context.ts'
import { DataPlane, stopLookMs } from '../../src/proxy/data-plane.ts'
import { within } from './deadline.ts'
import { caughtUp } from './turns.ts'

export type PlaneOptions = {
  /** YAML as in a config file; listener ports do not matter, the system chooses those that are bound. */
  readonly config: string
  /** Target states to begin with; healthy where nothing is said. */
  readonly state?: TargetStateCode
}

/** Everything binds a port of the system's choice: on 127.0.0.1 in the first zone, on 127.0.0.2 in the second, and so on. */
export async function startPlane(options: PlaneOptions): Promise<TestPlane> {
  const folder = await mkdtemp(join(tmpdir(), 'openalb-plane-'))
  const plane = new TestPlane(folder, options.state ?? TargetStateCode.healthy)
  await plane.publish(options.config)
  return plane
}

/** Whoever reads them finds everything that is over, without waiting for the end of the turn. */
class CurrentCounters extends CounterSlab {
  update: () => void = () => {}

  override loadBalancer(...of: Parameters<CounterSlab['loadBalancer']>): number {
    this.update()
    return super.loadBalancer(...of)
  }

  override fault(...of: Parameters<CounterSlab['fault']>): number {
    this.update()
    return super.fault(...of)
  }

  override target(...of: Parameters<CounterSlab['target']>): number {
    this.update()
    return super.target(...of)
  }
}

export class TestPlane {
  readonly clock: ManualClock = new ManualClock(Date.UTC(2026, 0, 1, 12))
  readonly states: TargetStates = new TargetStates()
  readonly counters = new CurrentCounters()
  readonly connectionFaults: ConnectionFault[] = []
  readonly publisher: Publisher
  readonly plane: DataPlane
  readonly drained: DrainingTarget[] = []
  readonly logFolder: string
  readonly #faults: FaultCode[] = []
  readonly #log: WorkerLog
  readonly #newTargets: TargetStateCode

  constructor(folder: string, newTargets: TargetStateCode) {
    this.logFolder = folder
    this.#newTargets = newTargets
    const { clock, states, counters } = this
    this.#log = new WorkerLog({
      folder,
      token: 'test',
      worker: 0,
      clock,
      onError: (_, error) => {
        throw error
      },
    })
    this.publisher = new Publisher({
      clock,
      machineClock: clock,
      states,
      cookieKeys: () => [{ id: 1, key: new Uint8Array(32).fill(7) }],
      onDrained: target => {
        this.drained.push(target)
        this.plane.cutTargets(new Set(target.slots))
      },
      isSlotBusy: () => false,
      onSlotFreed: () => {},
    })
    this.plane = new DataPlane({
      clock,
      states,
      counters,
      log: this.#log,
      reusePort: false,
      onFault: (_, fault) => this.#faults.push(fault),
      onConnectionFault: event => this.connectionFaults.push(event),
    })
    counters.update = () => this.plane.recordFinished()
  }

  /** Of all exchanges that are over. */
  get faults(): readonly FaultCode[] {
    this.plane.recordFinished()
    return this.#faults
  }

  /** The port of the first listener. */
  get port(): number {
    return this.plane.addresses[0]!.port
  }

  /** The port of the first listener at this address. */
  portAt(address: string): number {
    return this.plane.addresses.find(bound => bound.address === address)!.port
  }

  /** The slots of a registered target of `app`, one for each node, in the order of the zones. */
  slotsOf(targetPort: number): number[] {
    const groups = this.publisher.snapshot.targetGroups.filter(({ name }) => name === 'app')
    return groups.flatMap(({ targets, targetsElsewhere }) =>
      [...targets, ...targetsElsewhere].filter(({ port }) => port === targetPort).map(({ slot }) => slot),
    )
  }

  /** Puts another configuration in force. */
  async publish(config: string): Promise<void> {
    const parsed = parseConfig([{ name: 'test.yaml', text: config }])
    if (!parsed.ok) throw new Error(parsed.problems.map(formatProblem).join('\n'))
    const { loadBalancers, targetGroups } = parsed.config.resources
    const resources = {
      targetGroups,
      loadBalancers: loadBalancers.map(loadBalancer => ({
        ...loadBalancer,
        availabilityZones: loadBalancer.availabilityZones.map((zone, at) => ({
          ...zone,
          addresses: [`127.0.0.${at + 1}`],
        })),
        listeners: loadBalancer.listeners.map(listener => ({ ...listener, bindPort: 0 })),
      })),
    }
    const snapshot = this.publisher.prepare(resources)
    await this.plane.publish(snapshot)
    this.publisher.commit(resources)
    for (const { targets, targetsElsewhere } of snapshot.targetGroups) {
      for (const { slot } of [...targets, ...targetsElsewhere]) {
        if (this.states.state(slot) === TargetStateCode.unused) this.states.setState(slot, this.#newTargets)
      }
    }
  }

  /** The access log so far. */
  async logLines(): Promise<string[]> {
    this.plane.recordFinished()
    await this.#log.close()
    const text = await readFile(join(this.logFolder, 'access.log'), 'utf8').catch(() => '')
    return text.split('\n').slice(0, -1)
  }

  /** The connection log so far. */
  async connectionLines(): Promise<string[]> {
    await this.#log.close()
    const text = await readFile(join(this.logFolder, 'connection.log'), 'utf8').catch(() => '')
    return text.split('\n').slice(0, -1)
  }

  /** Lets `stopped`, a stop of the plane, notice that it has nothing more to wait for: it looks now and then. */
  async letNotice(stopped: Promise<void>): Promise<void> {
    let isOver = false
    const watched = stopped.finally(() => {
      isOver = true
    })
    for (let looks = 0; looks < 50 && !isOver; looks++) {
      await caughtUp()
      this.clock.advance(stopLookMs)
    }
    await within(watched, () => 'the stop')
  }

  async close(): Promise<void> {
    await this.plane.stop(0)
    this.publisher.close()
    await this.#log.close()
    await rm(this.logFolder, { recursive: true, force: true })
  }
}

/** The fields of an access-log line; quoted ones without their quotes. Field 1 is at index 1, as the service counts. */
export function logFields(line: string): string[] {
  return ['', ...(line.match(/"[^"]*"|\S+/g) ?? []).map(field => field.replace(/^"(.*)"$/, '$1'))]
}
