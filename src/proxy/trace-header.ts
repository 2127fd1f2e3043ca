/**
 * The X-Amzn-Trace-Id of a request, made on arrival.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-request-tracing.html
 */

import { Field, type RequestHead } from '../http/h1.ts'
import { traceHeadBytesMax } from '../model/limits.ts'

/** @param element `1-<time>-<id>`, new for this request */
export function traceHeaderFor(head: RequestHead, element: string): string {
  const at = head.indexOf(Field.traceId)
  if (at === -1 || head.length > traceHeadBytesMax) return `Root=${element}`
  const kept: string[] = []
  let hasRoot = false
  for (const part of head.text(head.valueFrom(at), head.valueTo(at)).split(';')) {
    const field = part.trim()
    if (field === '' || /^self=/i.test(field)) continue
    if (/^root=/i.test(field)) hasRoot = true
    kept.push(field)
  }
  return `${[hasRoot ? `Self=${element}` : `Root=${element}`, ...kept].join(';')}`
}
