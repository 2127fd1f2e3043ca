/**
 * Targets are killed, stopped and started at random, under load, for as long as is asked; then the access log is held
 * against what was done to them. Run by hand: `node test/soak/chaos.ts [minutes] [seed]`. Exit status 1: something that
 * must not happen did.
 */

import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Status } from '../../src/control/status.ts'
import { readLogLines } from '../../src/observe/log-test-support.ts'
import { freePort } from '../support/free-port.ts'
import { logFields } from '../support/plane.ts'

const minutes = Number(process.argv[2] ?? 10)
const seed = Number(process.argv[3] ?? Date.now() % 1_000_000)
const targetCount = 4
const clients = 16
const idleTimeoutMs = 3_000
/** Two probes that fail, each up to its timeout behind an interval; and what two cores may be late by. */
const noticedWithinMs = 2 * (500 + 300) + 3_000

/** When a target answered, and when it did not: `from` to `to`, open-ended while it goes on. */
type Outage = { readonly from: number; to: number }

class Target {
  readonly port: number
  readonly outages: Outage[] = []
  #process: ChildProcess | null = null
  #isStopped = false

  constructor(port: number) {
    this.port = port
  }

  get isUp(): boolean {
    return this.#process !== null && !this.#isStopped
  }

  async start(): Promise<void> {
    this.#process = fork(join(import.meta.dirname, 'target.ts'), [String(this.port)])
    await once(this.#process, 'message')
    this.#recover()
  }

  kill(): void {
    this.#fail()
    this.#process?.kill('SIGKILL')
    this.#process = null
  }

  stop(): void {
    this.#fail()
    this.#isStopped = this.#process?.kill('SIGSTOP') ?? false
  }

  async revive(): Promise<void> {
    if (this.#process === null) return this.start()
    this.#process.kill('SIGCONT')
    this.#isStopped = false
    this.#recover()
  }

  end(): void {
    this.#process?.kill('SIGKILL')
  }

  #fail(): void {
    this.outages.push({ from: Date.now(), to: Number.POSITIVE_INFINITY })
  }

  #recover(): void {
    const last = this.outages.at(-1)
    if (last !== undefined) last.to = Date.now()
  }

  wasDownWithin(from: number, to: number): boolean {
    return this.outages.some(outage => outage.from <= to && outage.to >= from)
  }

  /** Down all the time from `from` to `to`. */
  wasDownThroughout(from: number, to: number): boolean {
    return this.outages.some(outage => outage.from <= from && outage.to >= to)
  }
}

/** Mulberry32: the same seed does the same things to the same targets. */
function randomFrom(state: number): () => number {
  let at = state
  return () => {
    at = (at + 0x6d2b79f5) | 0
    let mixed = Math.imul(at ^ (at >>> 15), 1 | at)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const random = randomFrom(seed)
const folder = mkdtempSync(join(tmpdir(), 'openalb-chaos-'))
const port = await freePort()
const apiPort = await freePort()
const targets: Target[] = []
for (let i = 0; i < targetCount; i++) targets.push(new Target(await freePort()))
await Promise.all(targets.map(target => target.start()))

writeFileSync(
  join(folder, 'openalb.yaml'),
  JSON.stringify({
    lab: { healthCheckIntervalSecondsMin: 0.2 },
    loadBalancers: [
      {
        name: 'chaos',
        bind: '127.0.0.1',
        attributes: { 'idle_timeout.timeout_seconds': String(idleTimeoutMs / 1000) },
        listeners: [{ protocol: 'HTTP', port, defaultActions: [{ type: 'forward', targetGroup: 'app' }] }],
      },
    ],
    targetGroups: [
      {
        name: 'app',
        protocol: 'HTTP',
        port: 80,
        healthCheck: {
          intervalSeconds: 0.5,
          timeoutSeconds: 0.3,
          healthyThresholdCount: 2,
          unhealthyThresholdCount: 2,
        },
        targets: targets.map(target => ({ id: '127.0.0.1', port: target.port })),
      },
    ],
  }),
)
const main = join(import.meta.dirname, '../../src/main.ts')
const options = ['--workers', '2', '--api-port', String(apiPort), '--data', join(folder, 'data')]
const balancer = spawn(process.execPath, [main, 'up', join(folder, 'openalb.yaml'), ...options])
let output = ''
for (const stream of [balancer.stdout, balancer.stderr]) stream.setEncoding('utf8').on('data', text => (output += text))
const exited = once(balancer, 'exit')
const status = async () => (await fetch(`http://127.0.0.1:${apiPort}/_openalb/status`)).json() as Promise<Status>
while (!output.includes('Ready')) await sleep(50)
await healthyAgain()

const problems: string[] = []
const counts = new Map<string, number>()
let isOver = false
const load = Array.from({ length: clients }, askOn)
console.log(`seed ${seed}: ${minutes} minutes on port ${port}, files in ${folder}`)
const endsAt = Date.now() + minutes * 60_000
while (Date.now() < endsAt) {
  await sleep(300 + random() * 2_000)
  const target = targets[Math.floor(random() * targetCount)]!
  if (!target.isUp) await target.revive()
  else if (random() < 0.6) target.kill()
  else target.stop()
}
isOver = true
await Promise.all(load)
for (const target of targets) if (!target.isUp) await target.revive()
await healthyAgain()
await sleep(1_000)
const after = (await status()).targetGroups[0]!.targets
if (after.some(target => target.requestsInFlight > 0)) problems.push(`in flight at the end: ${JSON.stringify(after)}`)
balancer.kill('SIGTERM')
const [code] = await exited
judge(await readLogLines(join(folder, 'data/logs/AWSLogs'), name => /^\d/.test(name)))
if (code !== 0) problems.push(`the load balancer ended with ${code}`)
if (/worker \d+ (died|failed)/.test(output)) problems.push(`a worker died:\n${output}`)
for (const target of targets) target.end()

console.log(
  [...counts]
    .sort()
    .map(([what, count]) => `${what}: ${count}`)
    .join(', '),
)
if (problems.length === 0) {
  rmSync(folder, { recursive: true })
  console.log('nothing happened that must not')
} else console.log(`${problems.length} problems; files are kept in ${folder}\n${problems.slice(0, 20).join('\n')}`)
process.exit(problems.length === 0 ? 0 : 1)

/** Asks one request after the other on a connection of its own. */
async function askOn(): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  while (!isOver) {
    const answer = await ask(agent)
    counts.set(answer, (counts.get(answer) ?? 0) + 1)
    if (!['200', '502', '504'].includes(answer)) problems.push(`a client got ${answer}`)
    await sleep(10)
  }
  agent.destroy()
}

function ask(agent: Agent): Promise<string> {
  return new Promise(resolve => {
    const asked = request({ host: '127.0.0.1', port, agent }, response => {
      response.resume().once('end', () => resolve(String(response.statusCode)))
      response.once('error', error => resolve(`a broken answer: ${error.message}`))
    })
    asked.once('error', error => resolve(`no answer: ${error.message}`))
    asked.end()
  })
}

async function healthyAgain(): Promise<void> {
  const until = Date.now() + 30_000
  for (;;) {
    const seen = (await status()).targetGroups[0]!.targets
    if (seen.every(target => target.state === 'healthy')) return
    if (Date.now() > until) throw new Error(`targets that are up for 30 s are not healthy: ${JSON.stringify(seen)}`)
    await sleep(200)
  }
}

/** Holds every line that was delivered against what was done to the targets. */
function judge(lines: readonly string[]): void {
  const asked = [...counts.values()].reduce((sum, count) => sum + count, 0)
  if (lines.length !== asked) problems.push(`${asked} requests were answered, and ${lines.length} logged`)
  for (const line of lines) {
    const fields = logFields(line)
    const endedAt = Date.parse(fields[2]!)
    const begunAt = Date.parse(fields[22]!)
    const target = targets.find(each => fields[5] === `127.0.0.1:${each.port}`)
    if (target === undefined) problems.push(`no target: ${line}`)
    else if (fields[9] !== '200' && !target.wasDownWithin(begunAt - 1, endedAt + 1))
      problems.push(`for no reason: ${line}`)
    else if (isKnownToBeDown(target, begunAt)) problems.push(`to a target known to be down: ${line}`)
  }
}

/** Down for long enough to be noticed, while another was up for long enough to be noticed. */
function isKnownToBeDown(target: Target, at: number): boolean {
  if (!target.wasDownThroughout(at - noticedWithinMs, at)) return false
  return targets.some(other => !other.wasDownWithin(at - noticedWithinMs, at))
}
