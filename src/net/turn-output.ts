/**
 * What several parties write for one connection within a turn of the event loop, and leaves together when all had
 * theirs: one write, and one TLS record, for as many of them as there were. While the socket is full it stays here: how
 * much that may be is for those to bound who write it.
 */

import type { ByteWriter } from '../base/byte-writer.ts'
import type { Connection } from './connection.ts'
import type { TurnWaiter } from './turn.ts'

/** Memory for what comes next, where the socket keeps what it was sent. */
const outBytes = 4 * 1024
/** Less than this is not worth keeping: what a turn brings would often outgrow it. */
const outBytesMin = 1024
/** What a large body needed is not kept by a connection that may be idle from now on: there can be many. */
const keptBytesMax = 16 * 1024

export class TurnOutput implements TurnWaiter {
  readonly #connection: Connection
  readonly #out: ByteWriter
  readonly #onSent: () => void
  #isWaiting = false

  /** @param onSent comes behind each turn in which something was to be sent, whether or not the socket had room for it */
  constructor(connection: Connection, out: ByteWriter, onSent: () => void) {
    this.#connection = connection
    this.#out = out
    this.#onSent = onSent
  }

  /** Something stands in the writer, the socket has room again, or the connection has reason to look at itself. */
  sendSoon(): void {
    if (this.#isWaiting) return
    this.#isWaiting = true
    this.#connection.net.afterTurn(this)
  }

  onTurnOver(): void {
    this.#isWaiting = false
    if (!this.#connection.isCongested) this.send()
    this.#onSent()
  }

  /**
   * At once, also to a socket that is full. What the socket still needs is left to it and the memory behind is used on,
   * so that many small pieces to somebody who does not read cost little more than their bytes.
   */
  send(): void {
    const out = this.#out
    const size = out.length
    if (size === 0) return
    out.length = 0
    const isOurs = this.#connection.send(out.bytes.subarray(0, size))
    const left = out.bytes.length - size
    if (out.bytes.length > keptBytesMax || (!isOurs && left < outBytesMin)) out.bytes = Buffer.allocUnsafeSlow(outBytes)
    else if (!isOurs) out.bytes = out.bytes.subarray(size)
  }
}
