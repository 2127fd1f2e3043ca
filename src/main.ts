/** Wires the rooms together: the command line, and what a running load balancer is made of. Nothing is decided here. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, hostname } from 'node:os'
import { dirname, join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { Command, InvalidArgumentError } from 'commander'
import { type Clock, epochMsOf, type Pace, pacedClock, systemClock } from './base/clock.ts'
import { cpuShareMeter } from './base/cpu-share.ts'
import { checkedGroups } from './control/checked-groups.ts'
import { type Config, type ConfigProblem, type ConfigResult, formatProblem, loadConfig } from './control/config.ts'
import { quickConfig } from './control/config-quick.ts'
import { CookieKeys } from './control/cookie-keys.ts'
import { claimDataFolder, type DataFolder, DataFolderInUse } from './control/data-folder.ts'
import { DnsPortNotFree, type DnsServer, startDnsServer } from './control/dns-server.ts'
import type { LocalCertificate } from './control/local-certificate.ts'
import { boundPorts, checkPorts, PortNotFree } from './control/ports.ts'
import { Publisher } from './control/publisher.ts'
import { StatusReporter } from './control/status.ts'
import { type StatusServer, startStatusServer } from './control/status-server.ts'
import { openStore } from './control/store.ts'
import { Totals } from './control/totals.ts'
import { FileWatch } from './control/watch-files.ts'
import { addressesInDns } from './control/zone-health.ts'
import { AnomalyDetector, type TargetReading } from './health/anomaly-detector.ts'
import { logHealthCheck } from './health/check-log.ts'
import { HealthChecker } from './health/checker.ts'
import { shutdownGraceMs } from './model/limits.ts'
import type { Resources } from './model/resources.ts'
import { TargetStates } from './model/target-states.ts'
import { activeConnections } from './observe/counters.ts'
import { LogDelivery } from './observe/log-delivery.ts'
import { randomName } from './observe/log-files.ts'
import { WorkerLog } from './observe/log-writer.ts'
import { Workers } from './proxy/workers.ts'
import { announcementLines } from './ui/cli/announcement.ts'
import { Display } from './ui/cli/display.ts'
import { isLocal, localCertificateLines, localUrl, waysToTrust } from './ui/cli/local-certificate-text.ts'
import { runStatus, type StatusOptions } from './ui/cli/status.ts'
import { runValidate } from './ui/cli/validate.ts'

const defaultApiPort = 4580
const defaultDataFolder = '.openalb'

export const version: string = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version

type UpOptions = {
  to: string[]
  listen?: number
  https: boolean
  apiPort: number
  dnsPort?: number
  data: string
  workers?: number
  portOffset: number
  watch: boolean
  quiet: boolean
}

/** @returns the exit code: 0 all well, 1 a problem was found, 2 wrong usage or configuration */
export async function main(argv: readonly string[]): Promise<number> {
  let exitCode = 0
  const program = new Command('openalb')
    .description('An Application Load Balancer that runs anywhere, and says why when something goes wrong.')
    .version(version)
    .exitOverride()
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      'after',
      examples(
        'openalb up --to 127.0.0.1:3000',
        'openalb up openalb.yaml --watch',
        'openalb validate openalb.yaml',
        'openalb status --json',
      ),
    )
  program
    .command('up')
    .description('Serve what the configuration files describe, or one load balancer in front of the targets of --to.')
    .argument('[config...]', 'configuration files; - is standard input')
    .option('--to <host:port>', 'a target; may be given several times', (to: string, all: string[]) => [...all, to], [])
    .option('--listen <port>', 'with --to: the port of the listener (default: 8080, with --https 8443)', parsePort)
    .option('--https', 'with --to: by HTTPS; HTTPS listeners without certificates get one of a local authority', false)
    .option(
      '--api-port <port>',
      'where `openalb status` asks, on 127.0.0.1; 0 takes any',
      parsePortOrAny,
      defaultApiPort,
    )
    .option('--dns-port <port>', 'where DNS answers for the load balancers, on 127.0.0.1; 0 takes any', parsePortOrAny)
    .option('--data <dir>', 'folder for state and access logs', defaultDataFolder)
    .option('--workers <n>', 'threads that carry traffic (default: one per core)', parseCount)
    .option('--port-offset <n>', 'added to listener ports below 1024: 8000 binds 80 as 8080', parseOffset, 0)
    .option('--watch', 'apply changes of the files as they are saved (SIGHUP does so once)', false)
    .option('--quiet', 'show no live state, only faults of our own', false)
    .addHelpText(
      'after',
      examples(
        'openalb up --to 127.0.0.1:3000',
        'openalb up --https --to 127.0.0.1:3000',
        'openalb up --listen 9000 --to 127.0.0.1:3001 --to 127.0.0.1:3002',
        'openalb up openalb.yaml targets.yaml --watch',
        'openalb up openalb.yaml --port-offset 8000',
      ),
    )
    .action(async (files: string[], options: UpOptions) => {
      exitCode = await up(files, options)
    })
  program
    .command('validate')
    .description('Say whether a configuration would be accepted, and what is wrong with it.')
    .argument('<config...>', 'configuration files, read as one; - is standard input')
    .option('--json', 'print problems as JSON', false)
    .option('--https', 'as for `openalb up --https`: HTTPS listeners need no certificates', false)
    .addHelpText(
      'after',
      examples('openalb validate openalb.yaml', 'openalb validate --json openalb.yaml | jq .problems'),
    )
    .action(async (files: string[], { json, https }: { json: boolean; https: boolean }) => {
      const load = (files: readonly string[]) => loadConfig(files, { usesLocalCertificate: https })
      exitCode = await runValidate(files, { json }, { loadConfig: load, formatProblem })
    })
  program
    .command('status')
    .description('Show targets, traffic and the last faults of a running load balancer.')
    .option('--json', 'print everything as JSON', false)
    .option('--history', 'what the targets went through, as well: changes of their state and why', false)
    .option('--api-port <port>', 'the API port it was started with', parsePort, defaultApiPort)
    .addHelpText('after', examples('openalb status', "openalb status --json | jq '.targetGroups[].targets'"))
    .action(async (options: StatusOptions) => {
      exitCode = await runStatus(options)
    })
  try {
    await program.parseAsync([...argv], { from: 'user' })
  } catch (error) {
    if (!(error instanceof Error && 'exitCode' in error)) throw error
    // Commander has printed what was wrong; help and version are no error.
    return error.exitCode === 0 ? 0 : 2
  }
  return exitCode
}

async function up(files: readonly string[], options: UpOptions): Promise<number> {
  if (files.length === 0 && options.to.length === 0) {
    return refuse('nothing to serve. Name a configuration file, or a target: openalb up --to 127.0.0.1:3000')
  }
  if (files.length > 0 && options.to.length > 0)
    return refuse('--to stands for a configuration file: give one or the other')
  if (options.listen !== undefined && options.to.length === 0) return refuse('--listen goes with --to')
  const configOptions = { portOffset: options.portOffset, usesLocalCertificate: options.https }
  const read = () =>
    options.to.length > 0
      ? quickConfig({ to: options.to, listenPort: options.listen, ...configOptions })
      : loadConfig(files, configOptions)
  const result = await read()
  if (!result.ok) return refuse(problemText(result.problems))
  // Whoever reads our output may leave (`| head`): that is no reason to stop serving.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  const running = new Running(options, result.config.lab.timeScale)
  let stopped: Promise<void>
  try {
    await running.start(result.config)
    const watched = (pems: readonly string[]) => (options.watch ? [...files.filter(file => file !== '-'), ...pems] : [])
    stopped = stopSignal(async () => watched(await running.reload(read)), watched(result.files))
  } catch (error) {
    await running.stop(0)
    return refuse(startFailure(error, options))
  }
  // Only now, for it says Ready: from here on a signal is heard.
  running.announce(result.config)
  await stopped
  process.once('SIGINT', () => process.exit(130))
  running.say('stopping: no new connections, requests in flight may finish. Ctrl-C again ends at once')
  await running.stop(shutdownGraceMs)
  return 0
}

/** Everything that lives between the start and the stop of one load balancer process. */
class Running {
  readonly #options: UpOptions
  readonly #pace: Pace
  /** By which everything happens that a client, a target or a log could notice. */
  readonly #clock: Clock
  readonly #states = new TargetStates()
  readonly #token = randomName()
  readonly #publisher: Publisher
  readonly #totals = new Totals(() => this.#workers!.slabs)
  readonly #checker: HealthChecker
  readonly #detector: AnomalyDetector
  #folder: DataFolder | null = null
  #store: DatabaseSync | null = null
  #cookieKeys: CookieKeys | null = null
  #delivery: LogDelivery | null = null
  #checkLog: WorkerLog | null = null
  #workers: Workers | null = null
  #server: StatusServer | null = null
  #dns: DnsServer | null = null
  #reporter: StatusReporter | null = null
  #display: Display | null = null
  /** Of the listeners that name none, with `--https`. */
  #localCertificate: LocalCertificate | null = null
  /** In force. */
  #config: Config | null = null
  /** One change at a time. */
  #changes: Promise<void> = Promise.resolve()

  constructor(options: UpOptions, timeScale: number) {
    this.#options = options
    this.#pace = { scale: timeScale, sinceEpochMs: epochMsOf(systemClock) }
    this.#clock = pacedClock(this.#pace)
    this.#checker = new HealthChecker({
      clock: this.#clock,
      states: this.#states,
      onChange: () => {},
      onProbe: report => logHealthCheck(this.#checkLog!, report),
    })
    this.#detector = new AnomalyDetector({
      clock: this.#clock,
      states: this.#states,
      read: slot => this.#readTarget(slot),
    })
    this.#publisher = new Publisher({
      clock: this.#clock,
      machineClock: systemClock,
      states: this.#states,
      cookieKeys: () => this.#cookieKeys!.keys,
      onDrained: ({ slots }) => {
        this.#workers!.cut(slots)
        this.#applyChecks()
      },
      isSlotBusy: (kind, slot) => {
        if (kind === 'target') return this.#states.requestsInFlight(slot) > 0
        return activeConnections(this.#workers!.slabs, slot) > 0
      },
      onSlotFreed: (kind, slot) => {
        if (kind === 'target') this.#states.clearTarget(slot)
        this.#totals.freeSlot(kind, slot)
      },
    })
  }

  async start(config: Config): Promise<void> {
    const { data, workers, apiPort, dnsPort } = this.#options
    await checkPorts([], config.resources)
    this.#folder = await claimDataFolder(data)
    this.#store = openStore(this.#folder.store)
    this.#cookieKeys = new CookieKeys({
      store: this.#store,
      clock: systemClock,
      onRotated: () => this.#publishAgain(),
      onTrouble: message => this.say(message),
    })
    const logs = { folder: this.#folder.logs, token: this.#token, clock: this.#clock }
    this.#delivery = new LogDelivery({
      ...logs,
      cpuShare: cpuShareMeter(systemClock),
      onError: (path, error) => this.say(`cannot deliver ${path}: ${error.message}`),
    })
    await this.#delivery.start()
    this.#checkLog = new WorkerLog({
      ...logs,
      worker: 0, // No worker writes logs of this kind, so its files are not theirs.
      onError: (path, error) => this.say(`cannot write ${path}: ${error.message}`),
    })
    this.#workers = new Workers({
      count: workers ?? availableParallelism(),
      clock: systemClock,
      pace: this.#pace,
      states: this.#states,
      logFolder: logs.folder,
      logToken: this.#token,
      onFault: event => this.#reporter?.addFault(event),
      onTrouble: message => this.say(message),
    })
    const reporter = new StatusReporter({
      clock: this.#clock,
      version,
      publisher: this.#publisher,
      checker: this.#checker,
      detector: this.#detector,
      states: this.#states,
      slabs: () => this.#workers!.slabs,
      totals: this.#totals,
      logFolder: logs.folder,
    })
    this.#reporter = reporter
    this.#server = await startStatusServer(apiPort, withHistory => reporter.status(withHistory))
    if (dnsPort !== undefined) {
      const lookup = (name: string) => addressesInDns(name, this.#publisher.snapshot, this.#states)
      this.#dns = await startDnsServer(dnsPort, lookup, this.#clock)
    }
    await this.#publish(config)
  }

  /**
   * Applies the difference to what is read now; one at a time. What cannot be served leaves all as it is.
   *
   * @returns further files that it was read from
   */
  async reload(read: () => ConfigResult | Promise<ConfigResult>): Promise<readonly string[]> {
    let named: readonly string[] = []
    this.#changes = this.#changes.then(async () => {
      const result = await read()
      named = result.files
      if (!result.ok) {
        this.say(`the changed configuration was refused; the running one stays\n${problemText(result.problems)}`)
        return
      }
      const { config } = result
      if (config.lab.timeScale !== this.#pace.scale) {
        this.say(`the changed configuration was refused; the running one stays: ${timeScaleText(this.#pace)}`)
        return
      }
      try {
        await checkPorts(boundPorts(this.#publisher.resources), config.resources)
        const certificate = this.#localCertificate?.certificate
        await this.#publish(config)
        this.say(`configuration ${this.#publisher.snapshot.number} is in force: ${summary(config.resources)}`)
        for (const warning of config.warnings) this.say(`warning: ${formatProblem(warning)}`)
        if (this.#localCertificate?.certificate.arn !== certificate?.arn) {
          for (const line of this.#certificateLines()) this.say(line)
        }
      } catch (error) {
        this.say(`the changed configuration was refused; the running one stays: ${startFailure(error, this.#options)}`)
      }
    })
    await this.#changes
    return named
  }

  /** The configuration is the same, what it is published with is not. */
  #publishAgain(): void {
    this.#changes = this.#changes.then(async () => {
      try {
        if (this.#config !== null) await this.#publish(this.#config)
      } catch (error) {
        // Not urgent: the new key seals only a day from now, and the next publication hands it out as well.
        this.say(`new keys for stickiness cookies could not be handed out: ${(error as Error).message}`)
      }
    })
  }

  async stop(graceMs: number): Promise<void> {
    await this.#changes
    this.#cookieKeys?.close()
    this.#checker.close()
    this.#detector.close()
    this.#publisher.close()
    await this.#workers?.stop(graceMs)
    await this.#checkLog?.close()
    this.#display?.stop()
    await this.#delivery?.close()
    await this.#dns?.close()
    await this.#server?.close()
    this.#store?.close()
    await this.#folder?.release()
  }

  say(text: string): void {
    if (this.#display !== null) this.#display.say(text)
    else console.error(text)
  }

  async #publish(config: Config): Promise<void> {
    const resources = await this.#withCertificates(config.resources)
    const snapshot = this.#publisher.prepare(resources)
    try {
      await this.#workers!.publish(snapshot)
    } catch (error) {
      this.#publisher.rollBack(resources)
      throw error
    }
    this.#publisher.commit(resources)
    this.#totals.apply(this.#publisher)
    this.#config = config
    this.#applyChecks()
    this.#detector.apply(snapshot.targetGroups)
  }

  /** Comes by daily, so that a certificate is renewed while this runs. */
  async #withCertificates(resources: Resources): Promise<Resources> {
    if (!this.#options.https) return resources
    // Not of a start that has no need of it: its library takes a while to load.
    const { withLocalCertificate } = await import('./control/local-certificate.ts')
    const options = { folder: join(this.#options.data, 'https'), hostName: hostname(), nowMs: epochMsOf(systemClock) }
    const secured = await withLocalCertificate(resources, options)
    this.#localCertificate = secured.local
    return secured.resources
  }

  #applyChecks(): void {
    const { resources, snapshot, draining } = this.#publisher
    this.#checker.apply(checkedGroups(resources, snapshot, draining))
  }

  #readTarget(slot: number): TargetReading {
    let requests = 0
    let errors = 0
    for (const slab of this.#workers!.slabs) {
      requests += slab.target(slot, 'requestsEnded')
      errors += slab.target(slot, 'HTTPCode_Target_5XX_Count') + slab.target(slot, 'faults')
    }
    return { requests, errors }
  }

  /** Says what is served and where; from then on shows what goes on. */
  announce(config: Config): void {
    const lines = announcementLines({
      resources: this.#publisher.resources,
      config,
      local: this.#localCertificate,
      certificateLines: this.#certificateLines(),
      statusPort: this.#server!.port,
      dnsPort: this.#dns?.port ?? null,
      logFolder: this.#folder!.logs,
    })
    console.log(lines.join('\n'))
    if (this.#options.quiet) return
    const reporter = this.#reporter!
    this.#display = new Display({ clock: systemClock, stream: process.stdout, status: () => reporter.status() })
    this.#display.start()
  }

  #certificateLines(): string[] {
    const local = this.#localCertificate
    if (local === null) return []
    const listeners = this.#publisher.resources.loadBalancers.flatMap(({ listeners }) => listeners)
    const ways = waysToTrust(local.authorityFile, localUrl(listeners.find(each => isLocal(each, local))!))
    const waysFile = join(dirname(local.authorityFile), 'how-to-trust.txt')
    writeFileSync(waysFile, `${ways}\n`)
    return localCertificateLines(local, waysFile, ways)
  }
}

/**
 * Resolves at SIGINT or SIGTERM, or when the terminal is gone that it ran on; meanwhile SIGHUP and saved files reload.
 * A terminal that closes says SIGHUP too, so what tells is that it takes no output any more.
 */
function stopSignal(reload: () => Promise<readonly string[]>, watched: readonly string[]): Promise<void> {
  const watch = new FileWatch(systemClock, watched, onHangUp)
  function onHangUp(): void {
    reload().then(files => {
      // Another configuration may name other files; those in folders that are not there yet come with the next one.
      for (const file of files) if (existsSync(dirname(file))) watch.include(file)
    })
  }
  process.on('SIGHUP', onHangUp)
  return new Promise(resolve => {
    const stop = () => {
      watch.end()
      process.removeListener('SIGHUP', onHangUp)
      process.removeListener('SIGINT', stop)
      process.removeListener('SIGTERM', stop)
      for (const stream of [process.stdout, process.stderr]) stream.removeListener('error', stop)
      resolve()
    }
    process.on('SIGINT', stop)
    process.on('SIGTERM', stop)
    for (const stream of [process.stdout, process.stderr]) if (stream.isTTY) stream.on('error', stop)
  })
}

function startFailure(error: unknown, { apiPort }: UpOptions): string {
  if (error instanceof PortNotFree || error instanceof DnsPortNotFree || error instanceof DataFolderInUse)
    return error.message
  if (!(error instanceof Error)) return String(error)
  const { code, syscall } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE' && syscall === 'listen') {
    return `the API port ${apiPort} is taken, perhaps by another openalb. Choose one with --api-port PORT, or 0 for any`
  }
  return error.message
}

function timeScaleText({ scale }: Pace): string {
  return `lab.timeScale is ${scale} for as long as the process lives; restart it to change that`
}

function summary({ loadBalancers, targetGroups }: Resources): string {
  const targets = targetGroups.reduce((sum, group) => sum + group.targets.length, 0)
  return `load balancers ${loadBalancers.length}, target groups ${targetGroups.length}, targets ${targets}`
}

function problemText(problems: readonly ConfigProblem[]): string {
  return problems.map(formatProblem).join('\n')
}

function refuse(text: string): number {
  console.error(text.includes('\n') ? text : `openalb: ${text}`)
  return 2
}

function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map(line => `  ${line}`).join('\n')}`
}

function parsePort(text: string): number {
  return parseWhole(text, 1, 65_535)
}

function parsePortOrAny(text: string): number {
  return parseWhole(text, 0, 65_535)
}

function parseCount(text: string): number {
  return parseWhole(text, 1, 256)
}

function parseOffset(text: string): number {
  return parseWhole(text, 0, 64_511)
}

function parseWhole(text: string, min: number, max: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= min && value <= max) return value
  throw new InvalidArgumentError(`expected a whole number from ${min} to ${max}, not '${text}'.`)
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2))
