/** Says whether a complete request head may go on, before any rule is looked up. */

import type { RequestHead } from '../http/h1.ts'
import { isBlocked } from '../model/desync.ts'
import type { FaultCode } from '../model/faults.ts'
import type { Exchange } from './exchange.ts'
import { hasTooManyForwardedFor, readRequestTarget } from './request-target.ts'

/**
 * Refuses what must not go on, in the order in which the real service is known, or assumed, to look.
 *
 * A request without a single reading is refused in every mode. That `monitor` does so, too, is ours: to pass it on
 * would be to guess where it ends, for every client that shares the connection to the target.
 */
export function checkRequestHead(exchange: Exchange): FaultCode | null {
  const { head } = exchange
  const { meaning } = head
  // First, because the log names the host of refused requests, too.
  const hasHost = readRequestTarget(exchange)
  if (exchange.listener!.protocol === 'https' && exchange.client!.tls === null) return 'clientPlainHttp'
  const mode = exchange.listener!.loadBalancer.attributes.desyncMitigationMode
  if (isBlocked(meaning.desync, mode)) return 'clientDesyncBlocked'
  if (meaning.isUnreadable) return 'clientDesyncUnreadable'
  const methodFault = checkMethod(head)
  if (methodFault !== null) return methodFault
  if (meaning.hasUnsupportedCoding) return 'clientTransferEncoding'
  if (!hasHost) return 'clientHostMissing'
  if (hasTooManyForwardedFor(head)) return 'clientForwardedForTooLong'
  return null
}

function checkMethod(head: RequestHead): FaultCode | null {
  if (head.meaning.isGet || head.meaning.isHead || head.methodTo - head.methodFrom < 5) return null
  const method = head.text(head.methodFrom, head.methodTo)
  if (method === 'TRACE') return 'clientTraceMethod'
  return method === 'CONNECT' ? 'clientConnectMethod' : null
}
