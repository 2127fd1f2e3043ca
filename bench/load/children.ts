/**
 * The processes a run starts: each pinned to its core, with enough file descriptors, in a process group of its
 * own, and all of them gone when the run ends. Nothing else on the machine is ever signalled.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

/** Which of the two cores a process is held to. */
export const Core = { proxy: 0, load: 1 } as const
export type Core = (typeof Core)[keyof typeof Core]

/** 10,000 client connections, as many to targets in the worst case, and room for files. */
const openFilesMax = 65536

/** Pins nothing when it cannot pin both: a half-pinned comparison would look exact and be wrong. */
export const canPin = availableParallelism() >= 2 && succeeds('taskset', ['-c', '0,1', 'true'])

/** Raises the limit as far as it goes, then becomes the command. */
const raiseOpenFiles = `ulimit -n ${openFilesMax} 2>/dev/null || ulimit -n "$(ulimit -Hn)"; exec "$@"`

export type LaunchOptions = {
  readonly core: Core
  readonly cwd: string
  /** Where its stdout and stderr go. */
  readonly outputFile: string
  readonly env?: Readonly<Record<string, string>>
  readonly ipc?: boolean
}

export type Child = {
  readonly process: ChildProcess
  readonly pid: number
  readonly outputFile: string
}

export class Children {
  readonly #running = new Set<Child>()

  launch(command: readonly string[], options: LaunchOptions): Child {
    const pinned = canPin ? ['taskset', '-c', String(options.core), ...command] : command
    const output = openSync(options.outputFile, 'a')
    const process_ = spawn('sh', ['-c', raiseOpenFiles, 'sh', ...pinned], {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      detached: true, // a process group of its own: Ctrl-C reaches us first, and a group can be ended whole
      stdio: options.ipc ? ['ignore', output, output, 'ipc'] : ['ignore', output, output],
    })
    closeSync(output)
    if (process_.pid === undefined) throw new Error(`could not start ${command[0]}`)
    const child: Child = { process: process_, pid: process_.pid, outputFile: options.outputFile }
    this.#running.add(child)
    process_.once('exit', () => this.#running.delete(child))
    return child
  }

  /** Asks politely, since a profile is only written on a clean exit; then insists. */
  async stop(child: Child, patienceMs = 5000): Promise<void> {
    if (!this.#running.has(child)) return
    child.process.kill('SIGTERM')
    this.resume(child)
    if (!(await exitedWithin(child, patienceMs))) {
      signalGroup(child, 'SIGKILL')
      await exitedWithin(child, patienceMs)
    }
  }

  /** Holds it still, with all that it runs, until it is resumed: it takes no time from whoever is measured. */
  pause(child: Child): void {
    if (this.#running.has(child)) signalGroup(child, 'SIGSTOP')
  }

  resume(child: Child): void {
    if (this.#running.has(child)) signalGroup(child, 'SIGCONT')
  }

  killAll(): void {
    for (const child of this.#running) signalGroup(child, 'SIGKILL')
    this.#running.clear()
  }
}

function signalGroup(child: Child, signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void {
  try {
    process.kill(-child.pid, signal)
  } catch (error) {
    // ESRCH: it ended by itself a moment ago, and whoever waits for it will see that.
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'ESRCH') throw error
  }
}

export function hasExited(child: Child): boolean {
  return child.process.exitCode !== null || child.process.signalCode !== null
}

/** Whether the child ended in time. */
export function exitedWithin(child: Child, ms: number): Promise<boolean> {
  if (hasExited(child)) return Promise.resolve(true)
  return new Promise(resolve => {
    const timer = setTimeout(() => finish(false), ms)
    const onExit = () => finish(true)
    const finish = (exited: boolean) => {
      clearTimeout(timer)
      child.process.off('exit', onExit)
      resolve(exited)
    }
    child.process.once('exit', onExit)
  })
}

/** Resolves once something accepts connections on the port. */
export async function waitForPort(child: Child, port: number, patienceMs = 15_000): Promise<void> {
  const deadline = Date.now() + patienceMs
  while (!(await accepts(port))) {
    if (hasExited(child)) throw new Error(`ended at start: ${lastWords(child)}`)
    if (Date.now() > deadline) throw new Error(`did not listen on port ${port} within ${patienceMs / 1000} s`)
    await sleep(50)
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** The line of a child's output that most likely says what went wrong. */
export function lastWords(child: Child): string {
  const lines = readFileSync(child.outputFile, 'utf8').split('\n')
  const said = lines.map(line => line.trim()).filter(line => line !== '' && !/^(at |Node\.js v)/.test(line))
  return said.findLast(line => /error|emerg|alert|cannot|invalid/i.test(line)) ?? said.at(-1) ?? 'without a word'
}

/**
 * A free port below the range the kernel takes outgoing ports from (32768 up on Linux), so that no connection of
 * the run itself can be sitting on it.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    if (await canListen(port)) return port
  }
  throw new Error('found no free port between 20000 and 32000')
}

function canListen(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

export function isInstalled(program: string): boolean {
  return succeeds('sh', ['-c', 'command -v "$0"', program])
}

function succeeds(program: string, args: readonly string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' })
    return true
  } catch {
    return false // missing or refusing: the caller asked exactly that
  }
}
