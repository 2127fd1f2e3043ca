/**
 * The X-Amzn-Trace-Id of a request, made on arrival.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-request-tracing.html
 */

import { Field, type RequestHead } from '../http/h1.ts'
import { traceHeadBytesMax } from '../model/limits.ts'

/** @param root `Root=1-<time>-<id>`, new for this request */
export function traceHeaderFor(head: RequestHead, root: string): string {
  const at = head.indexOf(Field.traceId)
  if (at === -1 || head.length > traceHeadBytesMax) return root
  const kept: string[] = []
  let hasRoot = false
  for (const part of head.text(head.valueFrom(at), head.valueTo(at)).split(';')) {
    const field = part.trim()
    if (field === '' || /^self=/i.test(field)) continue
    if (/^root=/i.test(field)) hasRoot = true
    kept.push(field)
  }
  return [hasRoot ? root.replace('Root', 'Self') : root, ...kept].join(';')
}
