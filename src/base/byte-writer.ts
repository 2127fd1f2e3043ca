/** A growing run of bytes that messages are written into. */

/** Native functions cost a call, so up to these lengths a loop is faster (measured). */
const textByHandMax = 16
const bytesByHandMax = 48

export class ByteWriter {
  bytes: Buffer
  length = 0

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafeSlow(size)
  }

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
    if (text.length > textByHandMax) bytes.write(text, length, 'latin1')
    else for (let i = 0; i < text.length; i++) bytes[length + i] = text.charCodeAt(i)
    this.length = length + text.length
  }

  copy(source: Buffer, from: number, to: number): void {
    const size = to - from
    if (size > bytesByHandMax) source.copy(this.bytes, this.length, from, to)
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

  /** In lower case. @param value 0 to 2^32 - 1 */
  hexadecimal(value: number): void {
    if (value >= 16) this.hexadecimal(value >>> 4)
    const digit = value & 15
    this.bytes[this.length++] = digit < 10 ? 0x30 + digit : 0x57 + digit
  }

  /** @param value 0 to 2^32 - 1, in network order as all numbers here */
  uint32(value: number): void {
    this.uint16(value >>> 16)
    this.uint16(value & 0xffff)
  }

  uint24(value: number): void {
    this.bytes[this.length++] = value >>> 16
    this.uint16(value & 0xffff)
  }

  uint16(value: number): void {
    this.bytes[this.length++] = value >>> 8
    this.bytes[this.length++] = value & 0xff
  }

  uint8(value: number): void {
    this.bytes[this.length++] = value
  }
}
