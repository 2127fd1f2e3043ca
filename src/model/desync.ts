/**
 * How a request may be read differently by two parties, as the access log names it, and what each mitigation mode does
 * about it. The order is the severity within the table; 0 stands for a compliant request.
 *
 * Four reasons of the public library are not among them. MissingUri and MissingHeaderColon stand for heads that have no
 * safe reading: those are malformed, whatever the mode. What PartialHeaderLine and MissingLastEmptyLine miss is waited
 * for.
 *
 * @see https://github.com/aws/http-desync-guardian
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html#desync-mitigation-mode
 */

import type { DesyncMitigationMode } from './resources.ts'

export type DesyncTier = 'Compliant' | 'Acceptable' | 'Ambiguous' | 'Severe'

export type DesyncReason = { readonly tier: DesyncTier; readonly reason: string }

export const desyncReasons = [
  { tier: 'Compliant', reason: '-' },
  { tier: 'Acceptable', reason: 'NonCrLfLineTermination' },
  { tier: 'Acceptable', reason: 'NonCompliantHeader' },
  { tier: 'Acceptable', reason: 'GetHeadZeroContentLength' },
  { tier: 'Acceptable', reason: 'NonCompliantVersion' },
  { tier: 'Acceptable', reason: 'SpaceInUri' },
  { tier: 'Ambiguous', reason: 'MultilineHeader' },
  { tier: 'Ambiguous', reason: 'EmptyHeader' },
  { tier: 'Ambiguous', reason: 'SuspiciousHeader' },
  { tier: 'Ambiguous', reason: 'UndefinedContentLengthSemantics' },
  { tier: 'Ambiguous', reason: 'UndefinedTransferEncodingSemantics' },
  { tier: 'Ambiguous', reason: 'DuplicateContentLength' },
  { tier: 'Ambiguous', reason: 'BothTeClPresent' },
  { tier: 'Ambiguous', reason: 'AmbiguousUri' },
  { tier: 'Severe', reason: 'BadHeader' },
  { tier: 'Severe', reason: 'BadTransferEncoding' },
  { tier: 'Severe', reason: 'MultipleTransferEncodingChunked' },
  { tier: 'Severe', reason: 'BadContentLength' },
  { tier: 'Severe', reason: 'MultipleContentLength' },
  { tier: 'Severe', reason: 'SuspiciousTeClPresent' },
  { tier: 'Severe', reason: 'BadMethod' },
  { tier: 'Severe', reason: 'BadVersion' },
  { tier: 'Severe', reason: 'BadUri' },
] as const satisfies readonly DesyncReason[]

/** Index into `desyncReasons`. */
export const Desync = Object.fromEntries(desyncReasons.map(({ reason }, i) => [reason, i])) as Readonly<
  Record<(typeof desyncReasons)[number]['reason'], number>
>

export function desyncReason(index: number): DesyncReason {
  return desyncReasons[index]!
}

const tiers: readonly DesyncTier[] = ['Compliant', 'Acceptable', 'Ambiguous', 'Severe']
/** The tier of each reason as a number, 0 to 3. */
const ranks = Uint8Array.from(desyncReasons, ({ tier }) => tiers.indexOf(tier))

/** What remains of two reasons found one after the other: the later one only if its tier is strictly higher. */
export function graver(found: number, next: number): number {
  return ranks[next]! > ranks[found]! ? next : found
}

/** From which tier on a request is answered with a 400. */
const blockedFrom: Readonly<Record<DesyncMitigationMode, number>> = {
  monitor: tiers.length,
  defensive: tiers.indexOf('Severe'),
  strictest: tiers.indexOf('Acceptable'),
}

export function isBlocked(reason: number, mode: DesyncMitigationMode): boolean {
  return ranks[reason]! >= blockedFrom[mode]
}

/** Whether a request that is served ends the connections of client and target: nothing that follows it is trusted. */
export function endsConnections(reason: number, mode: DesyncMitigationMode): boolean {
  return mode !== 'monitor' && ranks[reason]! >= tiers.indexOf('Ambiguous')
}
