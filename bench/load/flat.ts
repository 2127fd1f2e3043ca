/** Whether memory stays flat while a proxy serves a great many requests. */
import type { Children } from './children.ts'
import type { RunningPeer } from './peers.ts'
import { residentBytes } from './proc.ts'
import { median } from './statistics.ts'
import { loadCases } from './targets.ts'
import { runWrk, type WrkFigures } from './wrk.ts'

export type FlatResult = {
  /** After how many requests, how much. */
  readonly samples: readonly { readonly requests: number; readonly bytes: number }[]
  readonly errors: WrkFigures['errors']
  readonly isFlat: boolean
}

const sampleCount = 10
/** Mann–Kendall's S for ten samples: this or more comes by chance in under 5 % of runs without a trend. */
const trendScoreMin = 21
/** A rise over the run that matters, as a share of the whole. */
const riseShareMax = 0.05
/** Bounds the run when a proxy is slow; the report shows how many requests there were. */
const partSecondsMax = 20

export async function measureFlat(
  children: Children,
  folder: string,
  peer: RunningPeer,
  requestsTotal: number,
): Promise<FlatResult> {
  const loadCase = loadCases[0]!
  const origin = `http://127.0.0.1:${peer.port}`
  const warm = await runWrk(children, folder, origin, loadCase, 2)
  const perSecond = warm.requests / (warm.durationUs / 1e6)
  const samples: { requests: number; bytes: number }[] = []
  const errors = { ...warm.errors }
  let requests = warm.requests
  for (let part = 1; part <= sampleCount; part++) {
    // wrk counts in whole seconds, so each part aims at the total still to be reached.
    const missing = (requestsTotal * part) / sampleCount - requests
    const seconds = Math.min(partSecondsMax, Math.max(1, Math.ceil(missing / perSecond)))
    const figures = await runWrk(children, folder, origin, loadCase, seconds)
    requests += figures.requests
    for (const kind of Object.keys(errors) as (keyof typeof errors)[]) errors[kind] += figures.errors[kind]
    samples.push({ requests, bytes: residentBytes(peer.child.pid) })
  }
  return { samples, errors, isFlat: isFlat(samples.map(sample => sample.bytes)) }
}

/**
 * Not flat is a rise that is both steady and large. Comparing peaks would not do: a collected heap swings by a tenth
 * from sample to sample. Steady by the Mann–Kendall test, which asks how many pairs of samples rise; large by the
 * median slope of those pairs (Theil–Sen), which single outliers do not move.
 *
 * @param bytes `sampleCount` samples, evenly spaced
 */
export function isFlat(bytes: readonly number[]): boolean {
  let score = 0
  const slopes: number[] = []
  for (const [at, value] of bytes.entries()) {
    for (let earlier = 0; earlier < at; earlier++) {
      score += Math.sign(value - bytes[earlier]!)
      slopes.push((value - bytes[earlier]!) / (at - earlier))
    }
  }
  const rise = median(slopes) * (bytes.length - 1)
  return score < trendScoreMin || rise <= median(bytes) * riseShareMax
}
