/**
 * The fields that the peer has said are to be remembered (RFC 7541, sections 2.3.2 and 4), as the lines that blocks hold.
 *
 * A line is four bytes longer than its name and value, and a field counts for 32 more than those, so all lines together
 * are shorter than the table's size, and their positions fit into 16 bits.
 */

import { fieldOverhead } from './field-block.ts'
import { defaultTableBytes } from './frames.ts'

/** We never allow more (SETTINGS_HEADER_TABLE_SIZE is not sent). */
export const tableBytesMax = defaultTableBytes
const fieldsMax = tableBytesMax / fieldOverhead
/** Twice what may live at once: then half of it is free whenever lines are moved to the front. */
const lineBytesMax = 2 * tableBytesMax
const lineBytesMin = 1024

/** Of each field: where its line begins, where its name ends, where its value ends, and both kinds in one. */
const stride = 4

export class DynamicTable {
  lines: Buffer = Buffer.alloc(0)
  count = 0
  readonly #fields = new Uint16Array(fieldsMax * stride)
  /** Place of the oldest field among `#fields`, which are a ring. */
  #oldest = 0
  #size = 0
  #sizeMax = tableBytesMax
  #end = 0

  // Places are what `placeOf` returns.
  lineFrom(place: number): number {
    return this.#fields[place]!
  }
  nameTo(place: number): number {
    return this.#fields[place + 1]!
  }
  valueTo(place: number): number {
    return this.#fields[place + 2]!
  }
  nameKind(place: number): number {
    return this.#fields[place + 3]! >>> 8
  }
  kind(place: number): number {
    return this.#fields[place + 3]! & 0xff
  }

  /** @param age 0 for the field added last; less than `count` */
  placeOf(age: number): number {
    return ((this.#oldest + this.count - 1 - age) % fieldsMax) * stride
  }

  /** @param sizeMax at most `tableBytesMax` */
  resize(sizeMax: number): void {
    this.#sizeMax = sizeMax
    this.#evict(0)
  }

  /** Adds the field whose line stands from `from` to `to`; one that is larger than the table only empties it. */
  add(bytes: Buffer, from: number, nameTo: number, to: number, nameKind: number, kind: number): void {
    const lineLength = to - from
    const size = lineLength - 4 + fieldOverhead
    this.#evict(size)
    if (size > this.#sizeMax) return
    if (this.#end + lineLength > this.lines.length) this.#makeRoom(lineLength)
    const at = this.#end
    bytes.copy(this.lines, at, from, to)
    const place = ((this.#oldest + this.count) % fieldsMax) * stride
    this.#fields[place] = at
    this.#fields[place + 1] = at + nameTo - from
    this.#fields[place + 2] = at + lineLength - 2
    this.#fields[place + 3] = (nameKind << 8) | kind
    this.#end += lineLength
    this.#size += size
    this.count++
  }

  /** Forgets the oldest until `size` more fit, or none is left. */
  #evict(size: number): void {
    while (this.count > 0 && this.#size + size > this.#sizeMax) {
      const place = this.#oldest * stride
      this.#size -= this.valueTo(place) - this.lineFrom(place) - 2 + fieldOverhead
      this.#oldest = (this.#oldest + 1) % fieldsMax
      this.count--
    }
  }

  /** Moves what lives to the front, of larger memory if need be. */
  #makeRoom(size: number): void {
    const from = this.count === 0 ? this.#end : this.lineFrom(this.#oldest * stride)
    const living = this.#end - from
    let target = this.lines
    if (2 * (living + size) > target.length) {
      const wanted = Math.max(lineBytesMin, 2 ** Math.ceil(Math.log2(2 * (living + size))))
      target = Buffer.allocUnsafeSlow(Math.min(wanted, lineBytesMax))
    }
    this.lines.copy(target, 0, from, this.#end)
    this.lines = target
    for (let i = 0; i < this.count; i++) {
      const place = ((this.#oldest + i) % fieldsMax) * stride
      for (let k = 0; k < 3; k++) this.#fields[place + k]! -= from
    }
    this.#end = living
  }
}
