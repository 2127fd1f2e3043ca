/**
 * What several parties write for one connection within a turn of the event loop, and leaves together when all had
 * theirs: one write, and one TLS record, for as many of them as there were. While the socket is full it stays here: how
 * much that may be is for those to bound who write it.
 */

import type { ByteWriter } from '../base/byte-writer.ts'
import { type Connection, lentBytesMin } from './connection.ts'
import type { TurnWaiter } from './turn.ts'

/** Memory for what comes next, where the socket keeps what it was sent. */
const outBytes = 4 * 1024
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

  /** At once, also to a socket that is full. */
  send(): void {
    const out = this.#out
    const size = out.length
    if (size === 0) return
    out.length = 0
    const piece = out.bytes.subarray(0, size)
    // The socket will keep it: a peer that does not read must not hold much memory for each of many small pieces.
    if (size < lentBytesMin && this.#connection.queuedBytes > 0) {
      this.#connection.send(Buffer.from(piece))
      return
    }
    const isOurs = this.#connection.send(piece)
    if (!isOurs || out.bytes.length > keptBytesMax) out.bytes = Buffer.allocUnsafeSlow(outBytes)
  }
}
