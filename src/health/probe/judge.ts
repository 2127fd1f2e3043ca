/** Whether an answer is the one that the health check wants. */

import type { CodeRange } from '../../model/resources.ts'
import type { ProbeVerdict } from '../state-machine.ts'

export type Judged = {
  readonly verdict: ProbeVerdict
  /** What was answered, for a person. */
  readonly text: string
}

export function judgeStatus(statusCode: number, matcher: readonly CodeRange[]): Judged {
  const text = `answered ${statusCode}`
  if (holds(matcher, statusCode)) return { verdict: { result: 'pass', statusCode, logReason: null }, text }
  const logReason = statusCode >= 500 ? 'TargetError' : 'ResponseCodeMismatch'
  return { verdict: { result: 'fail', statusCode, logReason }, text: `${text}, expected ${formatMatcher(matcher)}` }
}

function holds(matcher: readonly CodeRange[], code: number): boolean {
  return matcher.some(({ from, to }) => code >= from && code <= to)
}

function formatMatcher(matcher: readonly CodeRange[]): string {
  return matcher.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(',')
}
