/**
 * The memory that all connections of a worker read into and write from.
 *
 * Every read lands in one shared buffer, consumed before the event ends. Bytes that are not consumed at once must be
 * copied, or the connection must read into a buffer of its own ("bulk"), which then goes with the write.
 */

import { ByteWriter } from '../base/byte-writer.ts'
import { readBufferBytes } from '../model/limits.ts'
import type { Connection } from './connection.ts'

const pooledMax = 64
const outBytes = 128 * 1024
/** Less than this is not worth keeping: most messages would outgrow it. */
const outBytesMin = 32 * 1024

export class Buffers {
  readonly shared: Buffer = Buffer.allocUnsafeSlow(readBufferBytes)
  readonly out: OutBuffer = new OutBuffer()
  readonly #free: Buffer[] = []

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(readBufferBytes)
  }

  give(buffer: Buffer): void {
    if (this.#free.length < pooledMax) this.#free.push(buffer)
  }
}

/** Where a message is put together, to leave in a single write. */
export class OutBuffer extends ByteWriter {
  constructor() {
    super(outBytes)
  }

  /**
   * Sends everything and is empty again. What the socket still needs is left to it and the memory behind is used on, so
   * that many small messages to somebody who does not read cost little more than their bytes.
   */
  sendTo(connection: Connection): void {
    const size = this.length
    this.length = 0
    const isOurs = connection.send(this.bytes.subarray(0, size))
    const left = this.bytes.length - size
    if (this.bytes.length > outBytes || (!isOurs && left < outBytesMin)) this.bytes = Buffer.allocUnsafeSlow(outBytes)
    else if (!isOurs) this.bytes = this.bytes.subarray(size)
  }
}
