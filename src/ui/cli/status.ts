/** `openalb status`: asks a running load balancer how it is. */

import type { Status } from '../../control/status.ts'
import { historyLines, statusLines, styleFor } from './status-text.ts'

export type StatusOptions = { readonly json: boolean; readonly history: boolean; readonly apiPort: number }

/** @returns the exit code: 0 when all is well, 1 when a target is unhealthy, 2 when nothing answers */
export async function runStatus({ json, history, apiPort }: StatusOptions): Promise<number> {
  const url = `http://127.0.0.1:${apiPort}/_openalb/status${json || history ? '?history' : ''}`
  let status: Status
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(5_000) })
    if (!response.ok) throw new Error(`it answered ${response.status}`)
    const answer: unknown = await response.json().catch(() => null)
    if (!isStatus(answer)) throw new Error('it is no openalb')
    status = answer
  } catch (error) {
    console.error(`openalb: no answer from ${url}: ${reasonOf(error)}`)
    console.error('Is it running? Start it with: openalb up openalb.yaml   (or name its port: --api-port PORT)')
    return 2
  }
  if (json) console.log(JSON.stringify(status, null, 2))
  else {
    const since = status.startedAt.slice(0, 19).replace('T', ' ')
    console.log(
      `openalb ${status.version}, process ${status.pid}, up since ${since} UTC, configuration ${status.snapshot}`,
    )
    const style = styleFor(process.stdout)
    for (const line of statusLines(status, style)) console.log(line)
    if (history) for (const line of ['', ...historyLines(status, style)]) console.log(line)
  }
  const isWell = status.targetGroups.every(group => group.targets.every(target => target.state !== 'unhealthy'))
  return isWell ? 0 : 1
}

/** Enough of a look to tell another server on that port; what an openalb sends is its own business. */
function isStatus(answer: unknown): answer is Status {
  return typeof answer === 'object' && answer !== null && 'startedAt' in answer && 'targetGroups' in answer
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : null
  if (cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED') return 'nothing listens there'
  return error instanceof Error ? error.message : String(error)
}
