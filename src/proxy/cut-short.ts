/** What it is called when an exchange ends before its time: how far each side had come decides. */

import type { FaultCode } from '../model/faults.ts'
import { type Exchange, Side } from './exchange.ts'

/** Nothing moved for the idle timeout. The response is not complete. */
export function faultOfSilence(exchange: Exchange): FaultCode {
  if (exchange.requestSide === Side.head) return 'clientHeadTimeout'
  if (exchange.responseSide === Side.body) {
    return exchange.client!.isCongested ? 'clientStalledDuringResponse' : 'responseStalled'
  }
  const isClientsTurn = exchange.requestSide === Side.body && exchange.link?.isCongested !== true
  return isClientsTurn ? 'clientBodyTimeout' : 'targetIdle'
}

/** The client is gone. */
export function faultOfLeaving(exchange: Exchange): FaultCode {
  if (exchange.requestSide === Side.head) return 'clientGoneDuringHead'
  if (exchange.responseSide !== Side.head) return 'clientGoneDuringResponse'
  return exchange.requestSide === Side.body ? 'clientGoneDuringBody' : 'clientClosed'
}

/** The deregistration delay of its target is over. */
export function faultOfDeregistration(exchange: Exchange): FaultCode {
  return exchange.responseSide === Side.head ? 'deregistrationExpired' : 'deregistrationExpiredDuringResponse'
}

/** The load balancer stops and will not wait any longer. */
export function faultOfShutdown(exchange: Exchange): FaultCode {
  return exchange.responseSide === Side.head ? 'shutdownBeforeAnswer' : 'shutdownDuringExchange'
}
