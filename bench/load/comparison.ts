/** The whole run: peers take turns, round after round, and whoever cannot take part is named. */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { makeCertificate } from '../../test/support/certificates.ts'
import type { Child, Children } from './children.ts'
import { whySkipped } from './drivers.ts'
import { type FlatResult, measureFlat } from './flat.ts'
import { type IdleSample, measureIdle } from './idle-connections.ts'
import { checkSameWork, measure, type Sample } from './measure.ts'
import type { Options } from './options.ts'
import { type PeerName, type RunningPeer, startPeer, titles } from './peers.ts'
import { type RulesResult, ruleSets } from './rules.ts'
import { type LoadCase, loadCases, startTarget } from './targets.ts'

export type Report = {
  /** By case, then by peer; one entry per round, null where the peer failed. */
  readonly load: ReadonlyMap<string, ReadonlyMap<PeerName, (Sample | null)[]>>
  readonly idle: ReadonlyMap<PeerName, (IdleSample | null)[]>
  readonly flat: FlatResult | null
  readonly rules: RulesResult | null
  /** What went wrong, by peer. */
  readonly failures: ReadonlySet<string>
  /** What says nothing about a peer, and why. */
  readonly skips: ReadonlySet<string>
}

export type Setting = {
  readonly options: Options
  /** Those asked for and installed. */
  readonly peers: readonly PeerName[]
  readonly children: Children
  readonly folder: string
  readonly profileFolder: string | null
  readonly progress: (text: string) => void
}

/**
 * In seconds. Code that is compiled while it runs is worth what it is once that is over: after some 400,000 requests, and
 * after connections have ended, too. What is compiled before it has seen that is thrown away when it does.
 */
const firstWarmRuns = [5, 5, 5]
const warmRuns = [1]
/** A CPU profile takes a while to write. */
const stopPatienceMs = 20_000

export class Comparison {
  readonly #setting: Setting
  readonly #failures = new Set<string>()
  readonly #skips = new Set<string>()
  readonly #certificate = makeCertificate({ names: ['127.0.0.1', 'localhost'], keyType: 'p256' })
  #targetPort = 0

  constructor(setting: Setting) {
    this.#setting = setting
  }

  async run(): Promise<Report> {
    const { options, children, folder } = this.#setting
    const targetFolder = join(folder, 'target')
    mkdirSync(targetFolder, { recursive: true })
    const target = await startTarget(children, targetFolder)
    this.#targetPort = target.port
    const load = await this.#runLoad()
    const idle = options.cases.includes('idle') ? await this.#runIdle() : new Map<PeerName, (IdleSample | null)[]>()
    const rules = options.cases.includes('rules') ? await this.#runRules() : null
    const flat = options.cases.includes('flat') ? await this.#runFlat() : null
    await children.stop(target.child)
    return { load, idle, flat, rules, failures: this.#failures, skips: this.#skips }
  }

  async #runLoad(): Promise<Report['load']> {
    const { options, peers } = this.#setting
    const cases = loadCases.filter(loadCase => options.cases.includes(loadCase.name))
    const results = new Map(cases.map(loadCase => [loadCase.name, emptyRounds<Sample>(peers, options.rounds)]))
    for (let round = 0; round < options.rounds && cases.length > 0; round++) {
      const running = await this.#startAll(rotate(peers, round), `round-${round + 1}`)
      for (const peer of running) this.#rest(peer)
      for (const [at, loadCase] of cases.entries()) {
        for (const peer of running) {
          this.#setting.progress(`round ${round + 1}/${options.rounds}  ${loadCase.name}  ${titles[peer.name]}`)
          const warm = at === 0 ? firstWarmRuns : warmRuns
          const sample = await this.#whileOthersRest(peer, () => this.#measureLoad(peer, loadCase, warm, round))
          results.get(loadCase.name)!.get(peer.name)![round] = sample
        }
      }
      await this.#stopAll(running, `round-${round + 1}`)
    }
    return results
  }

  async #measureLoad(
    peer: RunningPeer,
    loadCase: LoadCase,
    warm: readonly number[],
    round: number,
  ): Promise<Sample | null> {
    const { children, folder, options } = this.#setting
    const reason = await whySkipped(peer, loadCase)
    if (reason !== null) {
      this.#skips.add(`${titles[peer.name]} is not in ${loadCase.name}: ${reason}`)
      return null
    }
    return this.#attempt(peer.name, `${loadCase.name}, round ${round + 1}`, () =>
      measure(children, folder, peer, loadCase, warm, options.measureSeconds),
    )
  }

  /** Health checks and the compression of logs go on without traffic, and would be paid by another peer. */
  async #whileOthersRest<Result>(peer: RunningPeer, use: () => Promise<Result>): Promise<Result> {
    for (const child of processesOf(peer)) this.#setting.children.resume(child)
    const result = await use()
    this.#rest(peer)
    return result
  }

  #rest(peer: RunningPeer): void {
    for (const child of processesOf(peer)) this.#setting.children.pause(child)
  }

  async #runIdle(): Promise<Report['idle']> {
    const { options, peers } = this.#setting
    const results = emptyRounds<IdleSample>(peers, options.idleRounds)
    for (let round = 0; round < options.idleRounds; round++) {
      for (const name of rotate(peers, round)) {
        this.#setting.progress(`round ${round + 1}/${options.idleRounds}  idle connections  ${titles[name]}`)
        results.get(name)![round] = await this.#withFresh(name, `idle-${round + 1}`, peer =>
          measureIdle(this.#setting.children, this.#setting.folder, peer),
        )
      }
    }
    return results
  }

  async #runRules(): Promise<RulesResult | null> {
    const { children, folder, options, peers, progress } = this.#setting
    if (!peers.includes('openalb')) return null
    const results = new Map(
      ruleSets.map(({ name }) => [name, new Array<Sample | null>(options.rulesRounds).fill(null)]),
    )
    for (let round = 0; round < options.rulesRounds; round++) {
      for (const { name, rules, loadCase } of rotate(ruleSets, round)) {
        progress(`round ${round + 1}/${options.rulesRounds}  rules: ${name}`)
        const stage = `rules-${round + 1}-${name.replace(' ', '-')}`
        const use = (peer: RunningPeer) =>
          measure(children, folder, peer, loadCase, firstWarmRuns, options.measureSeconds)
        results.get(name)![round] = await this.#withFresh('openalb', stage, use, rules)
      }
    }
    return results
  }

  async #runFlat(): Promise<FlatResult | null> {
    if (!this.#setting.peers.includes('openalb')) return null
    const { flatRequests } = this.#setting.options
    this.#setting.progress(`flat memory  OpenALB, ${flatRequests} requests`)
    return this.#withFresh('openalb', 'flat', peer =>
      measureFlat(this.#setting.children, this.#setting.folder, peer, flatRequests),
    )
  }

  async #withFresh<Result>(
    name: PeerName,
    stage: string,
    use: (peer: RunningPeer) => Promise<Result>,
    rules: readonly string[] = [],
  ): Promise<Result | null> {
    const [peer] = await this.#startAll([name], stage, rules)
    if (peer === undefined) return null
    const result = await this.#attempt(name, stage, () => use(peer))
    await this.#stopAll([peer], stage)
    return result
  }

  async #startAll(names: readonly PeerName[], stage: string, rules: readonly string[] = []): Promise<RunningPeer[]> {
    const { children, folder, options, profileFolder } = this.#setting
    const running: RunningPeer[] = []
    for (const name of names) {
      const peer = await this.#attempt(name, stage, async () => {
        const started = await startPeer(name, {
          children,
          folder: join(folder, stage, name),
          certificate: this.#certificate,
          targetPort: this.#targetPort,
          openalbCommand: options.openalbCommand,
          baseCommand: options.baseCommand,
          rules,
          profileFolder,
        })
        await checkSameWork(started)
        return started
      })
      if (peer !== null) running.push(peer)
    }
    return running
  }

  /** Logs of a round are large, so they go with it. */
  async #stopAll(running: readonly RunningPeer[], stage: string): Promise<void> {
    const { children, folder, options } = this.#setting
    await Promise.all(running.flatMap(processesOf).map(child => children.stop(child, stopPatienceMs)))
    if (!options.keep) rmSync(join(folder, stage), { recursive: true, force: true, maxRetries: 3 })
  }

  /** A peer that fails is reported and does not end the run. */
  async #attempt<Result>(name: PeerName, stage: string, work: () => Promise<Result>): Promise<Result | null> {
    try {
      return await work()
    } catch (error) {
      const failure = `${titles[name]} (${stage}): ${error instanceof Error ? error.message : String(error)}`
      this.#failures.add(failure)
      this.#setting.progress(failure)
      return null
    }
  }
}

function processesOf(peer: RunningPeer): readonly Child[] {
  return [peer.child, ...peer.companions]
}

function emptyRounds<Kind>(peers: readonly PeerName[], rounds: number): Map<PeerName, (Kind | null)[]> {
  return new Map(peers.map(name => [name, new Array<Kind | null>(rounds).fill(null)]))
}

/** Whoever goes first in one round goes last in the next, so that no place in the order is anyone's. */
function rotate<Item>(items: readonly Item[], by: number): Item[] {
  const start = by % Math.max(1, items.length)
  return [...items.slice(start), ...items.slice(0, start)]
}
