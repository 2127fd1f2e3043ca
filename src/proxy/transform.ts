/**
 * Carries out the transforms of the matched rule, for a request that is about to be forwarded.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-transforms.html
 */

import { applyRewrite, type CompiledRewrite } from '../routing/rewrite.ts'
import type { CompiledTransforms } from '../routing/rules.ts'
import type { Exchange } from './exchange.ts'
import { uriOf } from './request-target.ts'

/** @returns false when one of them matched and its result cannot be sent; nothing is to be forwarded then */
export function applyTransforms(exchange: Exchange, { hostHeaderRewrite, urlRewrite }: CompiledTransforms): boolean {
  if (hostHeaderRewrite !== null) {
    const host = rewritten(exchange, hostHeaderRewrite, exchange.host)
    if (host === null) return false
    if (host !== exchange.host) exchange.transformedHost = host
  }
  if (urlRewrite !== null) {
    const before = uriOf(exchange)
    const uri = rewritten(exchange, urlRewrite, before)
    if (uri === null) {
      exchange.transformedHost = '' // it does not reach the target, and the log shows what did
      return false
    }
    if (uri !== before) exchange.transformedUri = uri
  }
  return true
}

/** @returns the text as it was when nothing matched; null when the result cannot be sent */
function rewritten(exchange: Exchange, rewrite: CompiledRewrite, before: string): string | null {
  const { status, text } = applyRewrite(rewrite, before)
  if (status === null) return before
  exchange.transformStatus = status
  return status === 'TransformSuccess' ? text : null
}
