/**
 * The memory that all connections of a worker read into and write from.
 *
 * Every read lands in one shared buffer, consumed before the event ends. Bytes that are not consumed at once must be
 * copied, or the connection must read into a buffer of its own ("bulk"), which then goes with the write.
 */

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
export class OutBuffer {
  bytes: Buffer = Buffer.allocUnsafeSlow(outBytes)
  length = 0

  /** Makes room for `size` more bytes. */
  reserve(size: number): void {
    const needed = this.length + size
    if (needed <= this.bytes.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2))
    this.bytes.copy(grown, 0, 0, this.length)
    this.bytes = grown
  }

  ascii(text: string): void {
    const { bytes, length } = this
    for (let i = 0; i < text.length; i++) bytes[length + i] = text.charCodeAt(i)
    this.length = length + text.length
  }

  /** Native copies cost a call; short runs are faster by hand. */
  copy(source: Buffer, from: number, to: number): void {
    const size = to - from
    if (size > 48) source.copy(this.bytes, this.length, from, to)
    else {
      const { bytes, length } = this
      for (let i = 0; i < size; i++) bytes[length + i] = source[from + i]!
    }
    this.length += size
  }

  decimal(value: number): void {
    if (value >= 10) this.decimal(Math.floor(value / 10))
    this.bytes[this.length++] = 0x30 + (value % 10)
  }

  /**
   * Sends everything and is empty again. What the socket still needs is left to it and the memory behind is used on, so
   * that many small messages to somebody who does not read cost little more than their bytes.
   */
  sendTo(connection: Connection): void {
    const size = this.length
    this.length = 0
    const isOurs = connection.send(this.bytes, 0, size)
    const left = this.bytes.length - size
    if (this.bytes.length > outBytes || (!isOurs && left < outBytesMin)) this.bytes = Buffer.allocUnsafeSlow(outBytes)
    else if (!isOurs) this.bytes = this.bytes.subarray(size)
  }
}
