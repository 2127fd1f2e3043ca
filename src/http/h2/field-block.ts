/**
 * A decoded header list as the lines of an HTTP/1.1 head, `name: value\r\n` each, in the order in which they came. Only
 * fields that are good in themselves become lines, so nothing in them can end a line early.
 */

import { ByteWriter } from '../../base/byte-writer.ts'
import { Field } from '../h1/fields.ts'
import { FieldKind, firstBadKind, firstPseudoKind, pseudoKindCount, pseudoKinds } from './field-kind.ts'

export type FieldBounds = {
  /** Name and value and 32 of every field, together (RFC 9113, section 6.5.2). */
  readonly headerListBytesMax: number
  /** Name and value of one field. */
  readonly fieldBytesMax: number
  readonly fieldsMax: number
}

/** What a field costs beside its name and value (RFC 7541, section 4.1). */
export const fieldOverhead = 32
/** Colon, space and line end. */
const lineOverhead = 4

/** `bytes` holds the lines, from 0 to `length`. */
export class FieldBlock extends ByteWriter {
  /** Fields, pseudo ones included. */
  count = 0
  /** So many of them, the first, are pseudo-headers. */
  pseudoCount = 0
  /** null: usable. `tooLarge`: it breaks a bound, and what came up to there is kept. `malformed`: it breaks the protocol. */
  fault: null | 'tooLarge' | 'malformed' = null
  /** What was expected, a constant. */
  faultText = ''
  /** -1: not said. */
  contentLength = -1
  #listBytes = 0
  #kinds = new Uint8Array(32)
  #isNeverIndexed = new Uint8Array(32)
  #nameFrom = new Int32Array(32)
  #nameTo = new Int32Array(32)
  readonly #pseudoAt = new Int32Array(pseudoKindCount)

  constructor() {
    super(4096)
    this.#pseudoAt.fill(-1)
  }

  reset(): void {
    this.length = 0
    this.count = 0
    this.pseudoCount = 0
    this.fault = null
    this.faultText = ''
    this.contentLength = -1
    this.#listBytes = 0
    this.#pseudoAt.fill(-1)
  }

  /** What a regular field is, by its name. */
  field(i: number): Field {
    return i < this.pseudoCount ? Field.other : (this.#kinds[i] as Field)
  }
  nameFrom(i: number): number {
    return this.#nameFrom[i]!
  }
  nameTo(i: number): number {
    return this.#nameTo[i]!
  }
  valueFrom(i: number): number {
    return this.#nameTo[i]! + 2
  }
  valueTo(i: number): number {
    return (i + 1 < this.count ? this.#nameFrom[i + 1]! : this.length) - 2
  }
  /** Whoever passes the field on must keep it out of all tables (RFC 7541, section 6.2.3). */
  isNeverIndexed(i: number): boolean {
    return this.#isNeverIndexed[i] === 1
  }

  /** Index of a pseudo-header, or -1. */
  pseudo(name: keyof typeof pseudoKinds): number {
    return this.#pseudoAt[pseudoKinds[name] - firstPseudoKind]!
  }

  text(from: number, to: number): string {
    return this.bytes.toString('latin1', from, to)
  }

  /**
   * Takes the line that was just written, or takes it back where it is not fit to be there.
   *
   * @param kind `FieldKind` of name and value
   * @param from of the line; it ends at `length`
   */
  add(kind: number, from: number, nameTo: number, isNeverIndexed: boolean, bounds: FieldBounds): void {
    const size = this.length - from - lineOverhead
    this.#listBytes += size + fieldOverhead
    const isTaken = this.fault === null && this.#isFit(kind, nameTo, size, bounds)
    if (!isTaken) {
      this.length = from
      return
    }
    const i = this.count
    if (i === this.#kinds.length) this.#grow()
    this.#kinds[i] = kind
    this.#isNeverIndexed[i] = isNeverIndexed ? 1 : 0
    this.#nameFrom[i] = from
    this.#nameTo[i] = nameTo
    this.count = i + 1
    if (kind < firstPseudoKind) return
    this.#pseudoAt[kind - firstPseudoKind] = i
    this.pseudoCount = i + 1
  }

  #isFit(kind: number, nameTo: number, size: number, bounds: FieldBounds): boolean {
    const excess = this.#excess(size, bounds)
    const breach = excess ?? this.#breach(kind, nameTo)
    if (breach === null) return true
    this.fault = excess === null ? 'malformed' : 'tooLarge'
    this.faultText = breach
    return false
  }

  #excess(size: number, bounds: FieldBounds): string | null {
    if (size > bounds.fieldBytesMax) return 'a field is too long'
    if (this.#listBytes > bounds.headerListBytesMax) return 'the fields are too long together'
    return this.count >= bounds.fieldsMax ? 'too many fields' : null
  }

  #breach(kind: number, nameTo: number): string | null {
    if (kind >= firstBadKind) return badTexts[kind]!
    if (kind >= firstPseudoKind) {
      if (this.pseudoCount < this.count) return 'pseudo-headers must come first'
      return this.#pseudoAt[kind - firstPseudoKind] === -1 ? null : 'a pseudo-header must not be repeated'
    }
    if (kind !== Field.contentLength || this.#readContentLength(nameTo + 2, this.length - 2)) return null
    return 'content-length must be one decimal number'
  }

  /** @param text a constant */
  fail(text: string): void {
    if (this.fault !== null) return
    this.fault = 'malformed'
    this.faultText = text
  }

  #readContentLength(from: number, to: number): boolean {
    // 15 digits are exact in a double.
    if (this.contentLength !== -1 || from === to || to - from > 15) return false
    let value = 0
    for (let i = from; i < to; i++) {
      const digit = this.bytes[i]! - 0x30
      if (digit < 0 || digit > 9) return false
      value = value * 10 + digit
    }
    this.contentLength = value
    return true
  }

  #grow(): void {
    this.#kinds = grown(this.#kinds, new Uint8Array(this.count * 2))
    this.#isNeverIndexed = grown(this.#isNeverIndexed, new Uint8Array(this.count * 2))
    this.#nameFrom = grown(this.#nameFrom, new Int32Array(this.count * 2))
    this.#nameTo = grown(this.#nameTo, new Int32Array(this.count * 2))
  }
}

const badTexts: Readonly<Record<number, string>> = {
  [FieldKind.unknownPseudo]: 'a pseudo-header must be one of those defined',
  [FieldKind.badName]: 'a field name must be a token in lower case',
  [FieldKind.badValue]: 'a field value must have no control bytes, and no white space around it',
  [FieldKind.badPseudo]: 'a pseudo-header must have a valid value',
  [FieldKind.connectionSpecific]: 'a field about the connection has no place here',
}

function grown<List extends Uint8Array | Int32Array>(list: List, larger: List): List {
  larger.set(list)
  return larger
}
