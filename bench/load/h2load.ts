/** Drives load over HTTP/2 with h2load and reads its figures. */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Children, Core, exitedWithin, lastWords } from './children.ts'
import type { LoadCase } from './targets.ts'
import type { WrkFigures } from './wrk.ts'

/** As many requests at a time as over HTTP/1.1, on enough connections that none has had its 10,000 before a measurement ends. */
const connections = 32
const streamsPerConnection = 2
const patienceMs = 15_000

/** Answers of 400 and above, and whatever h2load calls failed, count as `status`. */
export async function runH2load(
  children: Children,
  folder: string,
  tlsPort: number,
  loadCase: LoadCase,
  seconds: number,
): Promise<WrkFigures> {
  const outputFile = join(folder, 'h2load-output')
  const timesFile = join(folder, 'h2load-times')
  for (const file of [outputFile, timesFile]) rmSync(file, { force: true })
  const size = ['-t1', `-c${connections}`, `-m${streamsPerConnection}`, `--duration=${seconds}`]
  const command = ['h2load', ...size, `--log-file=${timesFile}`, `https://127.0.0.1:${tlsPort}${loadCase.path}`]
  const child = children.launch(command, { core: Core.load, cwd: folder, outputFile })
  if (!(await exitedWithin(child, seconds * 1000 + patienceMs))) {
    await children.stop(child)
    throw new Error(`h2load did not end within ${seconds} s + ${patienceMs / 1000} s`)
  }
  const said = readFileSync(outputFile, 'utf8')
  const numbers = (pattern: RegExp) => pattern.exec(said)?.slice(1).map(Number) ?? null
  const outcome = numbers(/^requests: .*, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout$/m)
  const [bytes] = numbers(/^traffic: .* \(\d+\) total, .* headers .*, .* \((\d+)\) data$/m) ?? []
  if (outcome === null || bytes === undefined) throw new Error(`h2load failed: ${lastWords(child)}`)
  const [requests = 0, failed = 0, , timeout = 0] = outcome
  const times = responseTimes(readFileSync(timesFile, 'utf8'))
  return {
    requests,
    durationUs: seconds * 1e6,
    bytes,
    p50Us: times[Math.floor(times.length * 0.5)] ?? 0,
    p99Us: times[Math.floor(times.length * 0.99)] ?? 0,
    errors: { connect: 0, read: 0, write: 0, timeout, status: failed },
  }
}

/** Each line holds when the request began, the status, and how many microseconds it took. */
function responseTimes(text: string): number[] {
  const times = text.split('\n').flatMap(line => (line === '' ? [] : Number(line.split('\t')[2])))
  return times.sort((one, other) => one - other)
}
