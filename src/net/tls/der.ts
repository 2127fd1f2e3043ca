/**
 * Reads DER strictly: each value has one encoding, and nothing is longer than what holds it. Knows no structure; who
 * reads one says what comes next. What is not as it must be is a `DerError`.
 *
 * @see https://www.itu.int/rec/T-REC-X.690
 */

export class DerError extends Error {
  override readonly name = 'DerError'
}

export const Tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

/** @param number of a field that has no tag of its own; `constructed` when it holds others */
export function contextTag(number: number, form: 'primitive' | 'constructed'): number {
  return (form === 'primitive' ? 0x80 : 0xa0) + number
}

export class DerReader {
  readonly #bytes: Buffer
  readonly #end: number
  #at: number

  constructor(bytes: Buffer, from = 0, to: number = bytes.length) {
    this.#bytes = bytes
    this.#at = from
    this.#end = to
  }

  get isAtEnd(): boolean {
    return this.#at === this.#end
  }

  /** Where in the bytes the next element begins. */
  get at(): number {
    return this.#at
  }

  /** Of the next element; -1 at the end. */
  get tag(): number {
    return this.isAtEnd ? -1 : this.#bytes[this.#at]!
  }

  /** What is in the next element, which must have this tag. */
  enter(tag: number): DerReader {
    if (this.tag !== tag) throw new DerError(`expected tag ${tag}, not ${this.tag}`)
    const from = this.#contentFrom()
    const end = this.#at
    return new DerReader(this.#bytes, from, end)
  }

  /** As `enter`, or null when the next element has another tag. */
  enterIf(tag: number): DerReader | null {
    return this.tag === tag ? this.enter(tag) : null
  }

  /** As `enter`, as bytes; they are those read from, not a copy. */
  content(tag: number): Buffer {
    return this.enter(tag).rest()
  }

  contentIf(tag: number): Buffer | null {
    return this.tag === tag ? this.content(tag) : null
  }

  /** The next element with its tag and length. */
  element(): Buffer {
    const from = this.#at
    this.#contentFrom()
    return this.#bytes.subarray(from, this.#at)
  }

  skip(): void {
    this.#contentFrom()
  }

  /** Everything that is left. */
  rest(): Buffer {
    const from = this.#at
    this.#at = this.#end
    return this.#bytes.subarray(from, this.#end)
  }

  /** Nothing may be left. */
  finish(): void {
    if (!this.isAtEnd) throw new DerError('something follows that does not belong there')
  }

  /** Two's complement, as short as can be. */
  integer(): Buffer {
    const content = this.content(Tag.integer)
    const [first, second] = content
    if (first === undefined) throw new DerError('an integer has no bytes')
    const sign = second === undefined ? -1 : second & 0x80
    if ((first === 0 && sign === 0) || (first === 0xff && sign === 0x80)) throw new DerError('an integer is padded')
    return content
  }

  /** @returns a number from 0 to `max`; what is more, or negative, is an error */
  smallInteger(max: number): number {
    const content = this.integer()
    const value = content.length > 4 || content[0]! > 0x7f ? -1 : content.readUIntBE(0, content.length)
    if (value < 0 || value > max) throw new DerError(`a number is not between 0 and ${max}`)
    return value
  }

  boolean(tag: number = Tag.boolean): boolean {
    const content = this.content(tag)
    if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) throw new DerError('a boolean is neither')
    return content[0] === 0xff
  }

  /** Bits that fill whole bytes, as signatures and keys do. */
  bytesOfBits(): Buffer {
    const content = this.content(Tag.bitString)
    if (content[0] !== 0) throw new DerError('bits do not fill their bytes')
    return content.subarray(1)
  }

  /** The first sixteen bits: the first of all as 1, the second as 2 and so on. */
  flags(): number {
    const [unused, first = 0, second = 0] = this.content(Tag.bitString)
    if (unused === undefined || unused > 7) throw new DerError('a set of flags is malformed')
    let flags = 0
    for (let bit = 0; bit < 16; bit++) {
      const byte = bit < 8 ? first : second
      if ((byte & (0x80 >> (bit & 7))) !== 0) flags |= 1 << bit
    }
    return flags
  }

  /**
   * Milliseconds since the epoch.
   *
   * @see https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.5
   */
  time(): number {
    const isShort = this.tag === Tag.utcTime
    const text = this.content(isShort ? Tag.utcTime : Tag.generalizedTime).toString('latin1')
    const [, year, ...rest] = (isShort ? shortTime : longTime).exec(text) ?? []
    if (year === undefined) throw new DerError('a time is malformed')
    const century = isShort ? (Number(year) < 50 ? 2000 : 1900) : 0
    const [month, day, hour, minute, second] = rest.map(Number) as [number, number, number, number, number]
    const ms =
      new Date(0).setUTCFullYear(century + Number(year), month - 1, day) + ((hour * 60 + minute) * 60 + second) * 1000
    const date = new Date(ms)
    // What does not exist, such as the 31st of June, would have become another day.
    if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day || hour > 23 || minute > 59 || second > 59) {
      throw new DerError('a time does not exist')
    }
    return ms
  }

  /** Moves behind the next element and says where its content begins. */
  #contentFrom(): number {
    const bytes = this.#bytes
    let at = this.#at
    if (at + 2 > this.#end) throw new DerError('it ends too early')
    if ((bytes[at]! & 0x1f) === 0x1f) throw new DerError('a tag has more than one byte')
    let length = bytes[at + 1]!
    at += 2
    if (length >= 0x80) {
      const size = length - 0x80
      if (size === 0 || size > 4 || at + size > this.#end) throw new DerError('a length is malformed')
      length = bytes.readUIntBE(at, size)
      at += size
      if (length < 0x80 || length < 2 ** (8 * (size - 1))) throw new DerError('a length is padded')
    }
    if (at + length > this.#end) throw new DerError('an element ends behind what holds it')
    this.#at = at + length
    return at
  }
}

const shortTime = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/
const longTime = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/

/** In the usual notation, `2.5.4.3`. */
export function formatOid(content: Buffer): string {
  const arcs: bigint[] = []
  let arc = 0n
  for (const [at, byte] of content.entries()) {
    if (arc === 0n && byte === 0x80) throw new DerError('an object identifier is padded')
    arc = (arc << 7n) | BigInt(byte & 0x7f)
    if (byte >= 0x80) {
      if (at === content.length - 1) throw new DerError('an object identifier ends too early')
      continue
    }
    arcs.push(arc)
    arc = 0n
  }
  const [joined, ...rest] = arcs
  if (joined === undefined) throw new DerError('an object identifier is empty')
  const first = joined < 80n ? joined / 40n : 2n
  return [first, joined - first * 40n, ...rest].join('.')
}
