/** Ends an exchange that something went wrong with: the fault table says how, this carries it out. */

import { type FaultCode, faultRow } from '../model/faults.ts'
import { Pause } from '../net/connection.ts'
import { sendFaultAnswer } from './answer.ts'
import { type Exchange, Side } from './exchange.ts'
import { endInFlight, finishExchange, settleTarget } from './finish.ts'

/**
 * Where no response has begun, the client is answered as the table says, and the connection lives on if the table lets
 * it: what is left of the request is then read and thrown away. Otherwise the response just ends, and the connection.
 */
export function failExchange(exchange: Exchange, code: FaultCode, now: number): void {
  const row = faultRow(code)
  dropTarget(exchange)
  // Whoever was answered in full was: what spoils the rest of the request, if anything, changes nothing about it. A
  // stream that has its answer is over; one that is not has yet to take some of it.
  if (exchange.responseSide !== Side.done || exchange.client!.isHttp2) exchange.fault ??= code
  if (exchange.responseSide === Side.head && row.status !== null) exchange.statusCode = row.status
  if (exchange.responseSide !== Side.head || row.answer === 'none') {
    finishExchange(exchange, false, now)
    return
  }
  exchange.targetEndedAt = now
  exchange.answeredAt = -1
  exchange.targetStatusCode = -1
  if (row.connection === 'close' || exchange.plane.isStopping) exchange.closesClient = true
  // For what is left of the request, the client has the whole idle timeout again.
  exchange.client!.lastActivity = now
  sendFaultAnswer(exchange, row, exchange.statusCode, exchange.plane.dates.httpDate(now))
  endResponse(exchange, now)
}

/** The response is complete. The exchange is, too, unless more of a request is to come that leaves the connection usable. */
export function endResponse(exchange: Exchange, now: number): void {
  exchange.moveResponse(Side.done)
  // Who answered before it had the whole request may not have read it, and take the rest of it for another one.
  if (exchange.requestSide !== Side.done) exchange.keepsTarget = false
  const { client, requestSide } = exchange
  if (client!.isHttp2) {
    // A stream need not be read to its end, nor a target wait until a slow client has it all.
    if (client!.isCongested) {
      settleTarget(exchange, true)
      client!.resume(Pause.congestion)
    } else finishExchange(exchange, requestSide === Side.done, now)
  } else if (requestSide === Side.done) finishExchange(exchange, true, now)
  else if (exchange.closesClient) finishExchange(exchange, false, now)
}

function dropTarget(exchange: Exchange): void {
  const { link } = exchange
  if (exchange.isOutHeld) {
    exchange.plane.net.buffers.out.length = 0
    if (exchange.isHeadHeld) exchange.sentAt = -1
    exchange.isHeadHeld = false
    exchange.isOutHeld = false
  }
  exchange.targetConnection = null
  exchange.targetStream = null
  exchange.isConnecting = false
  exchange.client!.resume(Pause.congestion)
  endInFlight(exchange)
  if (link !== null) link.discard()
}
