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
import { forwardedFor, keepsRequestField, portBehind } from './request-head.ts'
import { uriOf } from './request-target.ts'

const slash = 0x2f

export function writeH2TargetHead(exchange: Exchange, out: ByteWriter): void {
  const { head, traceId, target } = exchange
  const listener = exchange.listener!
  const { attributes } = listener.loadBalancer
  writeMethod(out, head.bytes, head.methodFrom, head.methodTo)
  writeScheme(out, target!.tls === null ? 'http' : 'https')
  const isHostNeverIndexed = head.meaning.hostAt !== -1 && head.isNeverIndexed(head.meaning.hostAt)
  writeKnownText(out, StaticName.authority, authorityForTarget(exchange), isHostNeverIndexed)
  writeTargetPath(exchange, out)

  if (attributes.xffHeaderProcessingMode === 'append') writeFieldText(out, 'x-forwarded-for', forwardedFor(exchange))
  writeFieldText(out, 'x-forwarded-proto', listener.protocol)
  writeFieldText(out, 'x-forwarded-port', String(listener.port))
  if (listener.requestHeaders !== null) {
    writeTlsFields(exchange.client!.tls, listener.requestHeaders, out, writeFieldText)
  }
  writeFieldText(out, 'x-amzn-trace-id', traceId)
  const { lengthAt, contentLength } = head.meaning
  if (lengthAt !== -1) writeContentLength(out, contentLength, head.isNeverIndexed(lengthAt))
  for (let i = 0; i < head.fieldCount; i++) {
    if (!isSent(exchange, i)) continue
    const isNeverIndexed = head.isNeverIndexed(i)
    writeField(out, head.bytes, head.nameFrom(i), head.nameTo(i), head.valueFrom(i), head.valueTo(i), isNeverIndexed)
  }
}

/** Most are passed on as they came, and no string is made. */
function writeTargetPath(exchange: Exchange, out: ByteWriter): void {
  const { head, pathFrom, transformedUri } = exchange
  if (transformedUri === '' && head.bytes[pathFrom] === slash && !head.meaning.hasOddTarget) {
    writePath(out, head.bytes, pathFrom, head.targetTo, head.isTargetNeverIndexed)
    return
  }
  const path = Buffer.from(transformedUri === '' ? uriOf(exchange) : transformedUri, 'latin1')
  writePath(out, path, 0, path.length, head.isTargetNeverIndexed)
}

function authorityForTarget({ listener, head, transformedHost, host, authority }: Exchange): string {
  const { preserveHostHeader } = listener!.loadBalancer.attributes
  if (transformedHost === '' && preserveHostHeader && head.meaning.hostAt !== -1) return authority
  const hostSent = transformedHost || host
  return hostSent + portBehind(hostSent, transformedHost || authority, listener!)
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
