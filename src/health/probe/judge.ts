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

/** The answer to a gRPC call that is none: it is no 200. */
export function judgeGrpc(statusCode: number, matcher: readonly CodeRange[]): Judged {
  const logReason = statusCode >= 500 ? 'TargetError' : 'ResponseCodeMismatch'
  const text = `answered ${statusCode} in HTTP, expected a gRPC status of ${formatMatcher(matcher)}`
  return { verdict: { result: 'fail', statusCode, logReason }, text }
}

/** @param status null: there was none (assumed to be the same as an empty one) */
export function judgeGrpcStatus(status: string | null, matcher: readonly CodeRange[]): Judged {
  const expected = `expected ${formatMatcher(matcher)}`
  if (status === null || !/^\d{1,2}$/.test(status)) {
    const what = status === null ? 'no grpc-status' : `the grpc-status ${JSON.stringify(status)}`
    const verdict = { result: 'fail', statusCode: null, logReason: 'GRPCStatusHeaderEmpty' } as const
    return { verdict, text: `answered with ${what}, ${expected}` }
  }
  const statusCode = Number(status)
  const text = `answered gRPC status ${statusCode}`
  if (holds(matcher, statusCode)) return { verdict: { result: 'pass', statusCode, logReason: null }, text }
  const verdict = { result: 'fail', statusCode, logReason: 'GRPCUnexpectedStatus' } as const
  return { verdict, text: `${text}, ${expected}` }
}

function holds(matcher: readonly CodeRange[], code: number): boolean {
  return matcher.some(({ from, to }) => code >= from && code <= to)
}

function formatMatcher(matcher: readonly CodeRange[]): string {
  return matcher.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(',')
}
