/** How much of the machine this process uses. */

import { availableParallelism } from 'node:os'
import type { Clock } from './clock.ts'

/** Over less than this, a single thread that happens to run looks like all of them. */
const windowMinMs = 1_000

/**
 * @param clock the system's: processors keep no other time
 * @returns what this process, with all its threads, uses of all the cores that it may run on, 0 to 1: measured since the
 *   call before, or the one before that if it is not a second ago; 0 within the first second
 */
export function cpuShareMeter(clock: Clock): () => number {
  const cores = availableParallelism()
  let sinceMs = clock.now()
  let sinceCpuMs = cpuMs()
  let share = 0
  return () => {
    const nowMs = clock.now()
    if (nowMs - sinceMs < windowMinMs) return share
    const nowCpuMs = cpuMs()
    share = Math.min(1, (nowCpuMs - sinceCpuMs) / (nowMs - sinceMs) / cores)
    sinceMs = nowMs
    sinceCpuMs = nowCpuMs
    return share
  }
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
