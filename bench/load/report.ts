/** The finished run as text for people and as JSON for machines. */
import { execFileSync } from 'node:child_process'
import { cpus, release } from 'node:os'
import { canPin } from './children.ts'
import type { Report } from './comparison.ts'
import { idleConnections } from './idle-connections.ts'
import type { Options } from './options.ts'
import { type PeerName, titles } from './peers.ts'
import { rulesTable } from './rules.ts'
import { median } from './statistics.ts'
import { flatTable, idleTable, loadTable, present, type Rounds, sumErrors } from './table.ts'
import { loadCases } from './targets.ts'
import { wrkConnections } from './wrk.ts'

/** Above this share of the proxy's core, other people's work shows in latency and requests/s. */
const foreignShareMax = 0.1

export type Versions = ReadonlyMap<PeerName, string | null>

export function printReport(report: Report, options: Options, versions: Versions): void {
  console.log(`${[...versions].map(([name, version]) => `${titles[name]} ${version ?? 'not installed'}`).join(', ')}`)
  console.log(
    `${machine().cpu}, Linux ${release()}; ${canPin ? 'proxy on CPU 0, target and load on CPU 1' : 'not pinned'}`,
  )
  for (const { name, title } of loadCases) {
    const rounds = withSamples(report.load.get(name) ?? new Map())
    if (rounds.size === 0) continue
    console.log(
      `\n${name}  ${title}; ${wrkConnections} connections; median of ${options.rounds} × ${options.measureSeconds} s`,
    )
    console.log(loadTable(rounds))
  }
  const idle = withSamples(report.idle)
  if (idle.size > 0) {
    console.log(`\nidle  ${idleConnections} keep-alive connections, one request each; median of ${options.idleRounds}`)
    console.log(idleTable(idle))
  }
  if (report.rules !== null)
    console.log(
      `\nrules  the last rule is met; median of ${options.rulesRounds} × ${options.measureSeconds} s\n${rulesTable(report.rules)}`,
    )
  if (report.flat !== null) console.log(`\nflat  OpenALB under 60-byte requests\n${flatTable(report.flat)}`)
  const notes = notesOn(report, options, versions)
  if (notes.length > 0) console.log(`\nNotes\n${notes.map(note => `  - ${note}`).join('\n')}`)
}

/** Whether everything asked for was measured, and without an error. */
export function isClean(report: Report): boolean {
  const loadErrors = [...report.load.values()].flatMap(rounds => [...rounds.values()].flatMap(present))
  if (report.rules !== null) loadErrors.push(...[...report.rules.values()].flatMap(present))
  const errors = sumErrors([...loadErrors, ...(report.flat === null ? [] : [report.flat])])
  const lost = [...report.idle.values()].flatMap(present).some(sample => sample.lost > 0)
  const isGrowing = report.flat !== null && !report.flat.isFlat
  return report.failures.size === 0 && !lost && !isGrowing && Object.values(errors).every(count => count === 0)
}

export function toJson(report: Report, options: Options, versions: Versions): string {
  const load = [...report.load].map(([name, rounds]) => [name, Object.fromEntries(rounds)] as const)
  const document = {
    time: new Date().toISOString(),
    machine: { ...machine(), isPinned: canPin },
    versions: Object.fromEntries(versions),
    options,
    load: Object.fromEntries(load),
    idle: Object.fromEntries(report.idle),
    rules: report.rules === null ? null : Object.fromEntries(report.rules),
    flat: report.flat,
    failures: [...report.failures],
    skips: [...report.skips],
    isClean: isClean(report),
  }
  return `${JSON.stringify(document, null, 2)}\n`
}

function machine() {
  return {
    cpu: `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown CPU'}`,
    kernel: release(),
    wrk: /wrk \S+ ?\S*/.exec(execFileSync('sh', ['-c', 'wrk -v 2>&1 || true'], { encoding: 'utf8' }))?.[0] ?? 'unknown',
  }
}

/** What a reader must know before trusting the tables. */
function notesOn(report: Report, options: Options, versions: Versions): string[] {
  const notes: string[] = []
  for (const [name, version] of versions) if (version === null) notes.push(`${titles[name]} is not installed: skipped`)
  notes.push(...report.failures, ...report.skips)
  if (!canPin) notes.push('processes are not pinned (taskset or a second CPU is missing): figures are rough')
  if (options.profile) notes.push('OpenALB ran with its CPU profiler on, which costs some of what is shown')
  const samples = [...report.load.values()].flatMap(rounds => [...rounds.values()].flatMap(present))
  const disturbed = samples.filter(sample => sample.foreignShare > foreignShareMax)
  if (disturbed.length > 0) {
    const worst = (Math.max(...disturbed.map(sample => sample.foreignShare)) * 100).toFixed(0)
    notes.push(
      `others used up to ${worst} % of the proxy's core in ${disturbed.length} of ${samples.length} measurements: ` +
        'mind the latencies and requests/s there',
    )
  }
  const logs = logSizes(report)
  if (logs !== '') notes.push(`access log, bytes per request: ${logs}`)
  return notes
}

function logSizes(report: Report): string {
  const [first] = report.load.values()
  const rounds = [...withSamples(first ?? new Map())]
  return rounds
    .map(([name, samples]) => {
      const sizes = present(samples).flatMap(sample => sample.logBytesPerRequest ?? [])
      const missing = name === 'haproxy' ? 'by syslog' : 'NONE FOUND'
      return `${titles[name]} ${sizes.length === 0 ? missing : median(sizes).toFixed(0)}`
    })
    .join(', ')
}

function withSamples<Kind>(rounds: Rounds<Kind>): Rounds<Kind> {
  return new Map([...rounds].filter(([, samples]) => present(samples).length > 0))
}
