/** What becomes of a request head: what a target is sent, or the fault that refuses it. */

import type { RequestHead } from '../../src/http/h1.ts'
import type { DesyncMitigationMode } from '../../src/model/resources.ts'
import { OutBuffer } from '../../src/net/buffers.ts'
import { checkRequestHead } from '../../src/proxy/check-request-head.ts'
import type { Exchange } from '../../src/proxy/exchange.ts'
import { writeTargetHead } from '../../src/proxy/request-head.ts'

/** @param head whose meaning was read */
export function forwardOrFault(head: RequestHead, mode: DesyncMitigationMode): Buffer | string {
  const exchange = exchangeOf(head, mode)
  const fault = checkRequestHead(exchange)
  if (fault !== null) return fault
  const out = new OutBuffer()
  const roomAtFirst = out.bytes.length
  writeTargetHead(exchange, out)
  if (out.length > out.bytes.length) throw new Error(`${out.length} bytes in room for ${roomAtFirst}`)
  return out.bytes.subarray(0, out.length)
}

const sameForAll = /^(X-Forwarded-(Proto|Port)|X-Amzn-Trace-Id|Connection): /

/** Its lines, less those that every request gets; or the fault, alone. */
export function forwardedHead(head: RequestHead, mode: DesyncMitigationMode): readonly string[] {
  const result = forwardOrFault(head, mode)
  if (typeof result === 'string') return [result]
  const lines = result.toString('latin1').slice(0, -4).split('\r\n')
  return lines.filter((line, i) => i === 0 || !sameForAll.test(line))
}

/** As much of an exchange as the two look at. */
function exchangeOf(head: RequestHead, desyncMitigationMode: DesyncMitigationMode): Exchange {
  const attributes = {
    desyncMitigationMode,
    preserveHostHeader: false,
    xffHeaderProcessingMode: 'remove',
    xffClientPort: false,
    dropInvalidHeaderFields: false,
  }
  const listener = { port: 80, requestHeaders: null, loadBalancer: { dnsName: 'lb.test', attributes } }
  const texts = { host: '', authority: '', seenHost: '', seenAuthority: '', traceId: 'Root=1' }
  const client = { isHttp2: false }
  return {
    head,
    listener,
    client,
    pathFrom: 0,
    ...texts,
    transformedHost: '',
    transformedUri: '',
  } as unknown as Exchange
}
