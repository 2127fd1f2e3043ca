/** What a process and all its descendants have used, read from /proc. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

export type CpuTime = { readonly userUs: number; readonly systemUs: number }

const tickUs = 1e6 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** User and system time of the process tree; the counters of a process include its threads, also ended ones. */
export function cpuTime(rootPid: number): CpuTime {
  let user = 0
  let system = 0
  for (const pid of processTree(rootPid)) {
    const fields = statFields(`/proc/${pid}/stat`)
    if (fields === null) continue
    user += Number(fields[11])
    system += Number(fields[12])
  }
  return { userUs: user * tickUs, systemUs: system * tickUs }
}

/** Resident memory of the process tree, in bytes. */
export function residentBytes(rootPid: number): number {
  let total = 0
  for (const pid of processTree(rootPid)) total += residentKb(pid) * 1024
  return total
}

/** smaps_rollup is exact; the counters in status lag by some pages per CPU. */
function residentKb(pid: number): number {
  const rollup = /^Rss:\s+(\d+) kB/m.exec(readOrEmpty(`/proc/${pid}/smaps_rollup`))
  const status = rollup ?? /^VmRSS:\s+(\d+) kB/m.exec(readOrEmpty(`/proc/${pid}/status`))
  return status === null ? 0 : Number(status[1])
}

/** Time in which a core was not idle, by whomever; interrupts and time stolen by the hypervisor included. */
export function coreBusyUs(core: number): number {
  const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(readOrEmpty('/proc/stat'))
  if (line === null) return 0
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line[1]!.split(' ').map(Number)
  return (user + nice + system + irq + softirq + steal) * tickUs
}

function processTree(rootPid: number): number[] {
  const childrenOf = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    const fields = Number.isInteger(pid) ? statFields(`/proc/${pid}/stat`) : null
    if (fields === null) continue
    const parent = Number(fields[1])
    childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), pid])
  }
  const tree = [rootPid]
  for (const pid of tree) tree.push(...(childrenOf.get(pid) ?? []))
  return tree
}

/** The fields from `state` (3rd in proc(5)) on: the name before it may itself hold spaces and parentheses. */
function statFields(path: string): string[] | null {
  const text = readOrEmpty(path)
  return text === '' ? null : text.slice(text.lastIndexOf(')') + 2).split(' ')
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // the process has ended, or the kernel lacks the file
  }
}
