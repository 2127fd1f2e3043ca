/**
 * Decodes header blocks (HPACK, RFC 7541), one after the other as they come on a connection, straight into the lines of a
 * `FieldBlock`. What a block's bounds do not let in is decoded all the same: later blocks may refer to it.
 */

import { DynamicTable, tableBytesMax } from './dynamic-table.ts'
import type { FieldBlock, FieldBounds } from './field-block.ts'
import { kindOfField, kindOfName } from './field-kind.ts'
import { decode } from './huffman.ts'
import { staticFields, staticLines, staticTable } from './static-table.ts'

const staticCount = staticFields.length
/** No number of more than four further bytes means anything here. */
const integerShiftMax = 21

export class FieldDecoder {
  readonly #table = new DynamicTable()
  /** How far the block is read. */
  #at = 0

  /** @returns false where it is no valid HPACK: nothing that follows on the connection can then be decoded */
  decode(bytes: Buffer, from: number, to: number, block: FieldBlock, bounds: FieldBounds): boolean {
    block.reset()
    this.#at = from
    // Changes of the table's size come first, if at all (RFC 7541, section 4.2).
    while (this.#at < to && (bytes[this.#at]! & 0xe0) === 0x20) if (!this.#readTableSize(bytes, to)) return false
    while (this.#at < to) {
      const first = bytes[this.#at]!
      if (first >= 0x80) {
        if (!this.#readIndexed(bytes, to, block, bounds)) return false
      } else if ((first & 0xe0) === 0x20 || !this.#readLiteral(bytes, to, block, bounds)) return false
    }
    return true
  }

  #readTableSize(bytes: Buffer, to: number): boolean {
    const size = this.#readInteger(bytes, to, 5)
    if (size < 0 || size > tableBytesMax) return false
    this.#table.resize(size)
    return true
  }

  #readIndexed(bytes: Buffer, to: number, block: FieldBlock, bounds: FieldBounds): boolean {
    const index = this.#readInteger(bytes, to, 7)
    if (index <= 0 || index > staticCount + this.#table.count) return false
    // One byte may stand for 4 K: what will not be taken is not copied either.
    if (block.fault !== null) return true
    const from = block.length
    if (index <= staticCount) {
      const field = staticTable[index - 1]!
      copyLine(block, staticLines, field.from, field.valueTo + 2)
      block.add(field.kind, from, from + field.nameTo - field.from, false, bounds)
    } else {
      const table = this.#table
      const place = table.placeOf(index - staticCount - 1)
      const lineFrom = table.lineFrom(place)
      copyLine(block, table.lines, lineFrom, table.valueTo(place) + 2)
      block.add(table.kind(place), from, from + table.nameTo(place) - lineFrom, false, bounds)
    }
    return true
  }

  #readLiteral(bytes: Buffer, to: number, block: FieldBlock, bounds: FieldBounds): boolean {
    const first = bytes[this.#at]!
    const isAdded = first >= 0x40
    const from = block.length
    const nameKind = this.#readName(bytes, to, this.#readInteger(bytes, to, isAdded ? 6 : 4), block)
    if (nameKind < 0) return false
    const nameTo = block.length
    block.reserve(2)
    block.uint16(0x3a20)
    if (!this.#readString(bytes, to, block)) return false
    const kind = kindOfField(nameKind, block.bytes, nameTo + 2, block.length)
    block.reserve(2)
    block.uint16(0x0d0a)
    if (isAdded) this.#table.add(block.bytes, from, nameTo, block.length, nameKind, kind)
    block.add(kind, from, nameTo, first >= 0x10 && !isAdded, bounds)
    return true
  }

  /** @returns the kind of the name, which was written to the block; -1 where there is none */
  #readName(bytes: Buffer, to: number, index: number, block: FieldBlock): number {
    if (index < 0 || index > staticCount + this.#table.count) return -1
    const from = block.length
    if (index === 0) return this.#readString(bytes, to, block) ? kindOfName(block.bytes, from, block.length) : -1
    if (index <= staticCount) {
      const field = staticTable[index - 1]!
      copyLine(block, staticLines, field.from, field.nameTo)
      return field.nameKind
    }
    const table = this.#table
    const place = table.placeOf(index - staticCount - 1)
    copyLine(block, table.lines, table.lineFrom(place), table.nameTo(place))
    return table.nameKind(place)
  }

  /** Writes a string to the block (RFC 7541, section 5.2). */
  #readString(bytes: Buffer, to: number, block: FieldBlock): boolean {
    if (this.#at === to) return false
    const isEncoded = bytes[this.#at]! >= 0x80
    const size = this.#readInteger(bytes, to, 7)
    const from = this.#at
    if (size < 0 || size > to - from) return false
    this.#at += size
    if (!isEncoded) {
      copyLine(block, bytes, from, from + size)
      return true
    }
    block.reserve(2 * size)
    const end = decode(bytes, from, from + size, block.bytes, block.length)
    if (end < 0) return false
    block.length = end
    return true
  }

  /**
   * RFC 7541, section 5.1.
   *
   * @param bits of the first byte that belong to it
   * @returns -1 where it is cut short, or larger than any that is meaningful
   */
  #readInteger(bytes: Buffer, to: number, bits: number): number {
    const most = (1 << bits) - 1
    let value = bytes[this.#at++]! & most
    if (value < most) return value
    for (let shift = 0; shift <= integerShiftMax && this.#at < to; shift += 7) {
      const byte = bytes[this.#at++]!
      value += (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    return -1
  }
}

function copyLine(block: FieldBlock, bytes: Buffer, from: number, to: number): void {
  block.reserve(to - from)
  block.copy(bytes, from, to)
}
