/**
 * What several parties write for one connection within a turn of the event loop, and leaves together when all had
 * theirs: one write, and one TLS record, for as many of them as there were.
 */

import type { ByteWriter } from '../base/byte-writer.ts'
import type { Connection } from './connection.ts'

/** Memory for what comes next, where the socket keeps what it was sent. */
const outBytes = 4 * 1024
/** What a large body needed is not kept by a connection that may be idle from now on: there can be many. */
const keptBytesMax = 16 * 1024

export class TurnOutput {
  readonly #connection: Connection
  readonly #out: ByteWriter
  readonly #onSent: () => void
  #isWaiting = false

  /** @param onSent comes behind each turn in which something was to be sent */
  constructor(connection: Connection, out: ByteWriter, onSent: () => void) {
    this.#connection = connection
    this.#out = out
    this.#onSent = onSent
  }

  /** Something stands in the writer, or the connection has reason to look at itself. */
  sendSoon(): void {
    if (this.#isWaiting) return
    this.#isWaiting = true
    this.#connection.net.sendLater(this)
  }

  /** By `sendLater`. */
  onTurnOver(): void {
    this.#isWaiting = false
    this.send()
    this.#onSent()
  }

  send(): void {
    const out = this.#out
    const size = out.length
    if (size === 0) return
    out.length = 0
    const isOurs = this.#connection.send(out.bytes, 0, size)
    if (!isOurs || out.bytes.length > keptBytesMax) out.bytes = Buffer.allocUnsafeSlow(outBytes)
  }
}

/** Collects who has something to send, and lets them when everybody had a turn. */
export function sendingLater(): (output: TurnOutput) => void {
  let waiting: TurnOutput[] = []
  const sendAll = () => {
    const outputs = waiting
    waiting = []
    for (const output of outputs) output.onTurnOver()
  }
  return output => {
    if (waiting.length === 0) setImmediate(sendAll)
    waiting.push(output)
  }
}
