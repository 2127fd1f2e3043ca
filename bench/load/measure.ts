/** One measurement: one case through one running peer, with what it cost. */
import { type Stats, statSync, truncateSync } from 'node:fs'
import { request as requestPlain } from 'node:http'
import { request as requestSecure } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Children, Core, canPin, hasExited, lastWords } from './children.ts'
import { startDriver } from './drivers.ts'
import type { RunningPeer } from './peers.ts'
import { coreBusyUs, cpuTime } from './proc.ts'
import { expectedHeaders, type LoadCase } from './targets.ts'
import type { WrkFigures } from './wrk.ts'

export type Sample = {
  readonly cpuUs: number
  readonly userUs: number
  readonly systemUs: number
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** How much of its core the proxy used; near 1 means requests/s is its limit. */
  readonly coreShare: number
  /** How much of that core anyone else used. */
  readonly foreignShare: number
  /** null where there is no file to look at. */
  readonly logBytesPerRequest: number | null
  readonly requests: number
  readonly errors: WrkFigures['errors']
}

export async function measure(
  children: Children,
  folder: string,
  peer: RunningPeer,
  loadCase: LoadCase,
  warmRuns: readonly number[],
  seconds: number,
): Promise<Sample> {
  const driver = await startDriver(children, folder, peer, loadCase)
  for (const warmSeconds of warmRuns) await driver.run(warmSeconds)
  const logBefore = logFile(peer.logFile)
  const busyBefore = coreBusyUs(Core.proxy)
  const before = cpuTime(peer.child.pid)
  const figures = await driver.run(seconds)
  const after = cpuTime(peer.child.pid)
  const busyUs = coreBusyUs(Core.proxy) - busyBefore
  await driver.stop()
  if (hasExited(peer.child)) throw new Error(`ended under load: ${lastWords(peer.child)}`)
  if (figures.requests === 0) throw new Error('answered no request')
  if (figures.bytes < figures.requests * loadCase.responseBytes) throw new Error('answered with short bodies')
  const sample = {
    ...perRequest(figures, after.userUs - before.userUs, after.systemUs - before.systemUs, busyUs),
    logBytesPerRequest: logGrowth(peer, logBefore, figures.requests),
  }
  // A minute of lines is gigabytes; those that opened the file append to it and do not mind.
  if (peer.logFile !== null && peer.isLogDisposable) truncateSync(peer.logFile)
  return sample
}

function perRequest(figures: WrkFigures, userUs: number, systemUs: number, busyUs: number) {
  const cpuUs = userUs + systemUs
  return {
    cpuUs: cpuUs / figures.requests,
    userUs: userUs / figures.requests,
    systemUs: systemUs / figures.requests,
    requestsPerSecond: figures.requests / (figures.durationUs / 1e6),
    p50Ms: figures.p50Us / 1000,
    p99Ms: figures.p99Us / 1000,
    coreShare: cpuUs / figures.durationUs,
    foreignShare: canPin ? Math.max(0, busyUs - cpuUs) / figures.durationUs : 0,
    requests: figures.requests,
    errors: figures.errors,
  }
}

/** Follows a log that was meanwhile renamed to `….1`; null also when it cannot be followed. */
function logGrowth(peer: RunningPeer, before: Stats | null, requests: number): number | null {
  const now = logFile(peer.logFile)
  if (before === null || now === null) return null
  if (now.ino === before.ino) return (now.size - before.size) / requests
  const old = logFile(`${peer.logFile}.1`)
  return old?.ino === before.ino ? (now.size + old.size - before.size) / requests : null
}

function logFile(path: string | null): Stats | null {
  return path === null ? null : (statSync(path, { throwIfNoEntry: false }) ?? null)
}

/** Waits for the first good answer, then holds the proxy to the headers that all of them must add. */
export async function checkSameWork(peer: RunningPeer): Promise<void> {
  await checkHeaders(peer, 'http')
  await checkHeaders(peer, 'https')
}

async function checkHeaders(peer: RunningPeer, scheme: 'http' | 'https', patienceMs = 15_000): Promise<void> {
  const port = scheme === 'http' ? peer.port : peer.tlsPort
  const deadline = Date.now() + patienceMs
  let answer = await get(scheme, port, '/headers')
  while (answer.status !== 200) {
    if (hasExited(peer.child)) throw new Error(`ended at start: ${lastWords(peer.child)}`)
    if (Date.now() > deadline) throw new Error(`does not forward: ${answer.status} ${answer.body.slice(0, 200)}`)
    await sleep(100)
    answer = await get(scheme, port, '/headers')
  }
  if (!expectedHeaders(scheme).test(answer.body)) {
    throw new Error(`does not send the same headers to the target: ${answer.body.slice(0, 300)}`)
  }
}

/** Status 0 stands for no answer at all, with the reason as body. */
function get(scheme: 'http' | 'https', port: number, path: string): Promise<{ status: number; body: string }> {
  const request = scheme === 'http' ? requestPlain : requestSecure
  const options = { host: '127.0.0.1', port, path, agent: false, timeout: 5000, rejectUnauthorized: false } as const
  return new Promise(resolve => {
    const outgoing = request(options, response => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (piece: string) => {
        body += piece
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
      response.on('error', error => resolve({ status: 0, body: error.message }))
    })
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer within 5 s')))
    outgoing.on('error', error => resolve({ status: 0, body: error.message }))
    outgoing.end()
  })
}
