/** Figures to text: medians, spreads, ratios and columns that line up. */
import type { FlatResult } from './flat.ts'
import type { IdleSample } from './idle-connections.ts'
import type { Sample } from './measure.ts'
import { type PeerName, titles } from './peers.ts'
import { median } from './statistics.ts'
import { describeErrors, type WrkFigures } from './wrk.ts'

/** One peer's samples, by round; null where the round has none. */
export type Rounds<Kind> = ReadonlyMap<PeerName, readonly (Kind | null)[]>

export function loadTable(rounds: Rounds<Sample>): string {
  const subject = rounds.get('openalb')
  const header = ['', 'CPU µs', '(min–max)', 'user', 'system', 'req/s', 'core', 'p50 ms', 'p99 ms', '(min–max)']
  const ratioHeader = subject === undefined ? [] : ['OpenALB÷ CPU', 'p99']
  const rows = [...rounds].map(([name, samples]) => {
    const taken = present(samples)
    const column = (pick: (sample: Sample) => number) => taken.map(pick)
    return [
      titles[name],
      median(column(s => s.cpuUs)).toFixed(1),
      spread(
        column(s => s.cpuUs),
        1,
      ),
      median(column(s => s.userUs)).toFixed(1),
      median(column(s => s.systemUs)).toFixed(1),
      median(column(s => s.requestsPerSecond)).toFixed(0),
      `${(median(column(s => s.coreShare)) * 100).toFixed(0)}%`,
      median(column(s => s.p50Ms)).toFixed(2),
      median(column(s => s.p99Ms)).toFixed(2),
      spread(
        column(s => s.p99Ms),
        2,
      ),
      ...(subject === undefined ? [] : [ratio(subject, samples, s => s.cpuUs), ratio(subject, samples, s => s.p99Ms)]),
      describeErrors(sumErrors(taken)),
    ]
  })
  return align([[...header, ...ratioHeader, 'errors'], ...rows])
}

export function idleTable(rounds: Rounds<IdleSample>): string {
  const subject = rounds.get('openalb')
  const ratioHeader = subject === undefined ? [] : ['OpenALB÷']
  const rows = [...rounds].map(([name, samples]) => {
    const taken = present(samples)
    const lost = Math.max(...taken.map(s => s.lost))
    const perConnection = taken.map(s => s.bytesPerConnection / 1024)
    return [
      titles[name],
      megabytes(median(taken.map(s => s.baseBytes))),
      megabytes(median(taken.map(s => s.growthBytes))),
      median(perConnection).toFixed(2),
      spread(perConnection, 2),
      ...(subject === undefined ? [] : [ratio(subject, samples, s => s.growthBytes)]),
      lost === 0 ? '0' : `${lost} lost${taken.map(s => s.firstFailure && `: ${s.firstFailure}`).find(Boolean) ?? ''}`,
    ]
  })
  return align([['', 'before MB', 'growth MB', 'KB/connection', '(min–max)', ...ratioHeader, 'errors'], ...rows])
}

export function flatTable(flat: FlatResult): string {
  const rows = flat.samples.map(s => [`${(s.requests / 1e6).toFixed(2)} M`, megabytes(s.bytes)])
  const verdict = flat.isFlat ? 'flat' : 'NOT FLAT: it rises steadily and by more than 5 %'
  return `${align([['requests', 'resident MB'], ...rows])}\n${verdict}; errors: ${describeErrors(flat.errors)}`
}

/** Of values taken in the same round, since both saw the same machine. */
function ratio<Kind>(
  subject: readonly (Kind | null)[],
  other: readonly (Kind | null)[],
  pick: (sample: Kind) => number,
): string {
  if (subject === other) return ''
  const ratios: number[] = []
  for (const [round, mine] of subject.entries()) {
    const theirs = other[round] ?? null
    if (mine !== null && theirs !== null) ratios.push(pick(mine) / pick(theirs))
  }
  return ratios.length === 0 ? '-' : `${median(ratios).toFixed(2)}×`
}

export function sumErrors(samples: readonly { readonly errors: WrkFigures['errors'] }[]): WrkFigures['errors'] {
  const sum = { connect: 0, read: 0, write: 0, timeout: 0, status: 0 }
  for (const { errors } of samples) {
    for (const kind of Object.keys(sum) as (keyof typeof sum)[]) sum[kind] += errors[kind]
  }
  return sum
}

export function present<Kind>(samples: readonly (Kind | null)[]): Kind[] {
  return samples.filter(sample => sample !== null)
}

function spread(values: readonly number[], digits: number): string {
  return `(${Math.min(...values).toFixed(digits)}–${Math.max(...values).toFixed(digits)})`
}

function megabytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(1)
}

/** The first column to the left, the rest to the right. */
export function align(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map(row => row[column]!.length)))
  const pad = (cell: string, column: number) =>
    column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
  return rows.map(row => `  ${row.map(pad).join('  ')}`.trimEnd()).join('\n')
}
