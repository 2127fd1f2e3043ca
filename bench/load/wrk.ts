/** Drives load with wrk and reads its figures. */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Children, Core, exitedWithin, lastWords } from './children.ts'
import type { LoadCase } from './targets.ts'

export type WrkFigures = {
  readonly requests: number
  readonly durationUs: number
  readonly bytes: number
  readonly p50Us: number
  readonly p99Us: number
  /** How often each kind of failure happened; `status` counts answers of 400 and above. */
  readonly errors: Readonly<Record<'connect' | 'read' | 'write' | 'timeout' | 'status', number>>
}

export const wrkConnections = 64
/** Beyond its own duration wrk only has answers to wait for. */
const patienceMs = 15_000

/** @param origin such as `http://127.0.0.1:8080` */
export async function runWrk(
  children: Children,
  folder: string,
  origin: string,
  loadCase: LoadCase,
  seconds: number,
): Promise<WrkFigures> {
  const outputFile = join(folder, 'wrk-output')
  rmSync(outputFile, { force: true })
  const script = join(import.meta.dirname, 'wrk.lua')
  const url = `${origin}${loadCase.path}`
  const command = ['wrk', '-t1', `-c${wrkConnections}`, `-d${seconds}s`, '--timeout', '10s', '--latency', '-s', script]
  if (loadCase.host !== undefined) command.push('-H', `Host: ${loadCase.host}`)
  const child = children.launch([...command, url, '--', String(loadCase.postBytes)], {
    core: Core.load,
    cwd: folder,
    outputFile,
  })
  if (!(await exitedWithin(child, seconds * 1000 + patienceMs))) {
    await children.stop(child)
    throw new Error(`wrk did not end within ${seconds} s + ${patienceMs / 1000} s`)
  }
  const figures = /^figures (\{.*\})$/m.exec(readFileSync(outputFile, 'utf8'))
  if (figures === null) throw new Error(`wrk failed: ${lastWords(child)}`)
  return JSON.parse(figures[1]!) as WrkFigures // our own script's line
}

/** "0", or what failed and how often. */
export function describeErrors(errors: WrkFigures['errors']): string {
  const names = { status: 'non-2xx', connect: 'connect', read: 'read', write: 'write', timeout: 'timeout' } as const
  const kinds = Object.keys(names) as (keyof typeof names)[]
  const parts = kinds.filter(kind => errors[kind] > 0).map(kind => `${errors[kind]} ${names[kind]}`)
  return parts.length === 0 ? '0' : parts.join(', ')
}
