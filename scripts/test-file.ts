/**
 * Runs one test file. We start the files ourselves, since `node --test` counts a file as passed when it holds no test
 * or when its process ends with 0 before its tests do, and waits forever for one that does not end.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestLine } from './test-events.ts'

export type Failure = { readonly name: string; readonly text: string }
export type Skip = { readonly name: string; readonly reason: string }
export type Outcome = {
  readonly name: string
  readonly passed: number
  readonly failures: readonly Failure[]
  readonly skips: readonly Skip[]
  /** What the process itself printed; shown beside failures. */
  readonly output: string
}
export type Ended = { readonly code: number | null; readonly output: string; readonly isTimedOut: boolean }

/** `testMs` is Node's own limit for each test; `fileMs` ends a process that hangs, with everything it started. */
export type Limits = { readonly testMs: number; readonly fileMs: number }

const reporter = join(import.meta.dirname, 'test-events.ts')
const running = new Set<number>()

/** Runs one test file in a process of its own and judges it by what its tests said and by how the process ended. */
export async function runFile(root: string, file: string, limits: Limits): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'openalb-test-'))
  const eventsPath = join(folder, 'events')
  const args = [
    `--test-timeout=${limits.testMs}`,
    `--test-reporter=${reporter}`,
    `--test-reporter-destination=${eventsPath}`,
    file,
  ]
  try {
    const ended = await runProcess(root, process.execPath, args, limits.fileMs)
    return judge(file, ended, readLines(eventsPath))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Ends whatever is running, at once. */
export function killAll(): void {
  for (const pid of running) kill(pid)
}

/** Runs a program in a process group of its own, so that whatever it started ends with it. */
export function runProcess(root: string, command: string, args: readonly string[], limitMs: number): Promise<Ended> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env // Set when these scripts are themselves under test.
  const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const pid = child.pid ?? 0
  running.add(pid)
  const chunks: Buffer[] = []
  child.stdout.on('data', chunk => chunks.push(chunk))
  child.stderr.on('data', chunk => chunks.push(chunk))
  let isTimedOut = false
  const timer = setTimeout(() => {
    isTimedOut = true
    kill(pid)
  }, limitMs)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    // What outlives its test would keep our pipes open, and is not to be left behind.
    child.once('exit', () => kill(pid))
    child.once('close', code => {
      clearTimeout(timer)
      running.delete(pid)
      resolve({ code, output: Buffer.concat(chunks).toString('utf8').trim(), isTimedOut })
    })
  })
}

function judge(name: string, ended: Ended, lines: readonly TestLine[]): Outcome {
  let passed = 0
  const failures: Failure[] = []
  const skips: Skip[] = []
  for (const line of lines) {
    if (line.kind === 'pass') passed++
    if (line.kind === 'fail') failures.push({ name: `${name} › ${line.name}`, text: line.error })
    if (line.kind === 'skip') skips.push({ name: `${name} › ${line.name}`, reason: line.reason })
  }
  const trouble = troubleWith(ended, lines, failures.length > 0)
  if (trouble !== null) failures.push({ name, text: trouble })
  return { name, passed, failures, skips, output: ended.output }
}

/** What is wrong with the file as a whole, whatever its tests said. */
function troubleWith({ code, isTimedOut }: Ended, lines: readonly TestLine[], hasFailures: boolean): string | null {
  if (isTimedOut) return `did not end in time; ${lines.length} of its tests had ended`
  if (lines.every(line => line.kind === 'end') && code === 0) return 'reported no test: it holds none, or exits early'
  if (lines.at(-1)?.kind !== 'end') return `the process ended (exit code ${code}) before its tests did`
  if (code !== 0 && !hasFailures) return `the process ended with exit code ${code}, though no test failed`
  return null
}

function readLines(eventsPath: string): readonly TestLine[] {
  if (!existsSync(eventsPath)) return []
  const text = readFileSync(eventsPath, 'utf8')
  // A process that was killed may have left half a line at the end.
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  return whole
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as TestLine)
}

function kill(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error // It had ended by itself.
  }
}
