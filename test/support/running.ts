/** The whole program in a process of its own, as a user runs it: from a folder, with a config file, told by signals. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Status } from '../../src/control/status.ts'
import { within } from './deadline.ts'

const main = join(import.meta.dirname, '..', '..', 'src', 'main.ts')

export type Exit = { readonly code: number | null; readonly signal: NodeJS.Signals | null }

/** A folder for one test, gone with it. */
export function testFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'openalb-process-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Runs `openalb` to its end. */
export async function runOpenAlb(
  t: TestContext,
  args: readonly string[],
  cwd: string,
): Promise<Exit & { text: string }> {
  const process = new RunningProcess(t, args, cwd)
  const exit = await process.exited()
  return { ...exit, text: process.text }
}

/** `openalb up` with any API port, once it is ready. */
export async function startOpenAlb(t: TestContext, args: readonly string[], cwd: string): Promise<RunningProcess> {
  const process = new RunningProcess(t, ['up', ...args, '--api-port', '0'], cwd)
  await process.says(/^Ready\./m)
  return process
}

export class RunningProcess {
  readonly cwd: string
  /** What it has printed so far, on both of its outputs. */
  text = ''
  readonly #child: ChildProcess
  readonly #exit: Promise<Exit>
  #hasExited = false
  #watchers = new Set<() => void>()

  /** @param command the program, when it is not `openalb` */
  constructor(t: TestContext, args: readonly string[], cwd: string, command = [process.execPath, main]) {
    this.cwd = cwd
    const { NODE_TEST_CONTEXT: _, ...env } = process.env // Set in test files, and it would turn its output into that of a test.
    const [program = '', ...before] = command
    this.#child = spawn(program, [...before, ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.text += text
        this.#notify()
      })
    }
    this.#exit = once(this.#child, 'close').then(([code, signal]) => {
      this.#hasExited = true
      this.#notify()
      return { code, signal } as Exit
    })
    t.after(async () => {
      this.kill('SIGKILL')
      await this.#exit
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get apiPort(): number {
    return Number(/^status and API: http:\/\/127\.0\.0\.1:(\d+)\//m.exec(this.text)?.[1])
  }

  /** Resolves when it has printed that, counted from where `text` was `from` characters long; fails when it ends before. */
  async says(pattern: RegExp, from = 0): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.text.slice(from))
      if (found !== null) return found
      if (this.#hasExited) throw new Error(`it ended without saying ${pattern}; it said:\n${this.text}`)
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#watchers.add(resolve)
      await within(promise, () => `it to say ${pattern}; it said:\n${this.text}`)
      this.#watchers.delete(resolve)
    }
  }

  exited(limitMs?: number): Promise<Exit> {
    return within(this.#exit, () => `it to end; it said:\n${this.text}`, limitMs)
  }

  /** To it alone; a shell's Ctrl-C, which goes to all it started as well, is `interruptGroup`. */
  kill(signal: NodeJS.Signals): void {
    if (!this.#hasExited) this.#child.kill(signal)
  }

  interruptGroup(): void {
    process.kill(-this.pid, 'SIGINT')
  }

  /** Closes the reading ends of its outputs. */
  stopListening(): void {
    this.#child.stdout?.destroy()
    this.#child.stderr?.destroy()
  }

  async status(): Promise<Status> {
    const response = await fetch(`http://127.0.0.1:${this.apiPort}/_openalb/status`)
    return (await response.json()) as Status
  }

  /** Asks for the status until it `holds`. */
  async statusWith(holds: (status: Status) => boolean, awaited: string): Promise<Status> {
    let latest: Status | null = null
    const ask = async () => {
      for (;;) {
        latest = await this.status()
        if (holds(latest)) return latest
      }
    }
    return within(ask(), () => `${awaited}; the status was ${JSON.stringify(latest, null, 1)}`)
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.cwd, name), text)
  }

  read(name: string): string {
    return readFileSync(join(this.cwd, name), 'utf8')
  }

  #notify(): void {
    for (const watcher of this.#watchers) watcher()
  }
}
