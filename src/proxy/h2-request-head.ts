/** Writes the head that a target of HTTP/2 is sent; what goes into it, and what does not, is as in HTTP/1.1. */

import type { ByteWriter } from '../base/byte-writer.ts'
import { Field } from '../http/h1.ts'
import {
  StaticName,
  writeContentLength,
  writeField,
  writeFieldText,
  writeKnownText,
  writeMethod,
  writePath,
  writeScheme,
} from '../http/h2.ts'
import { writeTlsFields } from './client-tls.ts'
import type { Exchange } from './exchange.ts'
import { forwardedFor, hostForTarget, keepsRequestField } from './request-head.ts'
import { uriOf } from './request-target.ts'

export function writeH2TargetHead(exchange: Exchange, out: ByteWriter): void {
  const { head, transformedUri, traceId, target } = exchange
  const listener = exchange.listener!
  const { attributes } = listener.loadBalancer
  writeMethod(out, head.bytes, head.methodFrom, head.methodTo)
  writeScheme(out, target!.tls === null ? 'http' : 'https')
  writeKnownText(out, StaticName.authority, authorityForTarget(exchange))
  const path = Buffer.from(transformedUri === '' ? uriOf(exchange) : transformedUri, 'latin1')
  writePath(out, path, 0, path.length)

  if (attributes.xffHeaderProcessingMode === 'append') writeFieldText(out, 'x-forwarded-for', forwardedFor(exchange))
  writeFieldText(out, 'x-forwarded-proto', listener.protocol)
  writeFieldText(out, 'x-forwarded-port', String(listener.port))
  if (listener.requestHeaders !== null) {
    writeTlsFields(exchange.client!.tls, listener.requestHeaders, out, writeFieldText)
  }
  writeFieldText(out, 'x-amzn-trace-id', traceId)
  if (head.meaning.lengthAt !== -1) writeContentLength(out, head.meaning.contentLength)
  for (let i = 0; i < head.fieldCount; i++) {
    if (!isSent(exchange, i)) continue
    writeField(out, head.bytes, head.nameFrom(i), head.nameTo(i), head.valueFrom(i), head.valueTo(i))
  }
}

function authorityForTarget({ listener, head, transformedHost, host, authority }: Exchange): string {
  const { preserveHostHeader } = listener!.loadBalancer.attributes
  if (transformedHost === '' && preserveHostHeader && head.meaning.hostAt !== -1) return authority
  return hostForTarget(transformedHost || host, transformedHost || authority, listener!)
}

/** Whether field `i` goes on as it came. */
function isSent(exchange: Exchange, i: number): boolean {
  switch (exchange.head.field(i)) {
    case Field.host:
    case Field.contentLength:
      return false
    case Field.te:
      // In HTTP/2 it can only say that trailers are taken, and gRPC targets want to hear it.
      return true
    default:
      return keepsRequestField(exchange, exchange.head, i)
  }
}
