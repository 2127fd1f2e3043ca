/**
 * How a request may be read differently by two parties, as the access log names it. The order is the severity within
 * the table; 0 stands for a compliant request.
 *
 * @see https://github.com/aws/http-desync-guardian
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
 */

export type DesyncTier = 'Compliant' | 'Acceptable' | 'Ambiguous' | 'Severe'

export type DesyncReason = { readonly tier: DesyncTier; readonly reason: string }

export const desyncReasons = [
  { tier: 'Compliant', reason: '-' },
  { tier: 'Acceptable', reason: 'NonCompliantVersion' },
  { tier: 'Acceptable', reason: 'GetHeadZeroContentLength' },
  { tier: 'Ambiguous', reason: 'UndefinedContentLengthSemantics' },
  { tier: 'Ambiguous', reason: 'UndefinedTransferEncodingSemantics' },
  { tier: 'Ambiguous', reason: 'DuplicateContentLength' },
  { tier: 'Ambiguous', reason: 'BothTeClPresent' },
  { tier: 'Severe', reason: 'BadVersion' },
  { tier: 'Severe', reason: 'MultipleContentLength' },
  { tier: 'Severe', reason: 'BadContentLength' },
  { tier: 'Severe', reason: 'MultipleTransferEncodingChunked' },
  { tier: 'Severe', reason: 'BadTransferEncoding' },
] as const satisfies readonly DesyncReason[]

/** Index into `desyncReasons`. */
export const Desync = Object.fromEntries(desyncReasons.map(({ reason }, i) => [reason, i])) as Readonly<
  Record<(typeof desyncReasons)[number]['reason'], number>
>

export function desyncReason(index: number): DesyncReason {
  return desyncReasons[index]!
}
