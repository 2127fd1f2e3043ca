/**
 * The head of a message: its bytes and where in them everything stands. Parsed line by line, so that bytes arriving
 * one at a time cost no more than one line read again; nothing here knows what a load balancer does with a head.
 *
 * Lines as RFC 9112 has them are read here. What becomes of others differs: see `request-head.ts`, `response-head.ts`.
 */

import { headerFieldsMax } from '../../model/limits.ts'
import { CR, HTAB, LF, plainNameByte, SP, tokenByte, valueByte } from '../tables.ts'
import { type Field, fieldOf } from './fields.ts'

export type HeadFault =
  | 'malformed'
  | 'startLineTooLong'
  | 'fieldTooLong'
  | 'headTooLarge'
  /** A well-formed start line of an HTTP version that this codec does not speak. */
  | 'version'

const fieldStride = 4
const initialHeadBytes = 1024
const keptHeadBytesMax = 8 * 1024
const initialFields = 32
/** Two empty lines in front of a head: more are no mistake, but noise. */
const skippedBytesMax = 4

export function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

/** Results of reading one line, beside the position after it. */
export const incomplete = -1
export const failed = -2
/** It begins like an empty line, but is none. */
export const notEmpty = -3

export abstract class Head {
  /** Holds the head from its first byte; the bytes beyond `length` mean nothing. */
  bytes: Buffer = Buffer.allocUnsafeSlow(initialHeadBytes)
  /** Bytes of the complete head, its closing empty line included; 0 until then. */
  length = 0
  /** Minor version: 0 or 1; higher ones are treated as 1. */
  minorVersion = 1
  fieldCount = 0
  /** Whether every field name is made of letters, digits and hyphens. */
  hasPlainNamesOnly = true
  /**
   * Whether some line is not as RFC 9112 has it (requests only). Then lines must not be copied as they came, and the
   * name of a field may be empty or hold any bytes; controls in values have become spaces once the meaning was read.
   */
  isOdd = false
  /** Whether it is an HTTP/0.9 request: a method, a target and nothing else. */
  isSimple = false
  fault: HeadFault | null = null
  /** What was expected, a constant; says nothing without a fault. */
  faultText = ''
  /** Where the deciding byte stands, from the first byte of the head. */
  faultAt = 0
  /** Null: there are none, as ever in HTTP/1.1. */
  #neverIndexed: Set<number> | null = null
  #fields = new Uint8Array(initialFields)
  #offsets = new Int32Array(initialFields * fieldStride)
  /** Bytes of an incomplete head that `bytes` holds. */
  #held = 0
  /** Where the line to read next begins. */
  #lineAt = 0
  #hasStartLine = false
  readonly #bytesMax: number
  readonly #fieldBytesMax: number

  constructor(bytesMax: number, fieldBytesMax: number) {
    this.#bytesMax = bytesMax
    this.#fieldBytesMax = fieldBytesMax
  }

  reset(): void {
    // One large head must not make every later one that reuses this object large.
    if (this.bytes.length > keptHeadBytesMax) this.bytes = Buffer.allocUnsafeSlow(initialHeadBytes)
    this.length = 0
    this.minorVersion = 1
    this.fieldCount = 0
    this.hasPlainNamesOnly = true
    this.isOdd = false
    this.isSimple = false
    this.fault = null
    this.#neverIndexed = null
    this.#held = 0
    this.#lineAt = 0
    this.#hasStartLine = false
  }

  get hasBytes(): boolean {
    return this.#held > 0
  }

  /** Whether the start line has been read, so that its parts mean something. */
  get hasStartLine(): boolean {
    return this.#hasStartLine
  }

  field(i: number): Field {
    return this.#fields[i] as Field
  }
  nameFrom(i: number): number {
    return this.#offsets[i * fieldStride]!
  }
  nameTo(i: number): number {
    return this.#offsets[i * fieldStride + 1]!
  }
  /** Without white space around it. */
  valueFrom(i: number): number {
    return this.#offsets[i * fieldStride + 2]!
  }
  valueTo(i: number): number {
    return this.#offsets[i * fieldStride + 3]!
  }
  /** Where the line after field `i` begins, or the closing empty line; unknown where the head is odd. */
  lineEnd(i: number): number {
    return i + 1 < this.fieldCount ? this.nameFrom(i + 1) : this.length - 2
  }

  /** Of HTTP/2: whether the field must be kept out of all tables where it goes on (RFC 7541, section 6.2.3). */
  isNeverIndexed(i: number): boolean {
    return this.#neverIndexed?.has(i) === true
  }

  markNeverIndexed(i: number): void {
    this.#neverIndexed ??= new Set()
    this.#neverIndexed.add(i)
  }

  text(from: number, to: number): string {
    return this.bytes.toString('latin1', from, to)
  }

  /** Index of the first field of that kind, or -1. */
  indexOf(field: Field): number {
    for (let i = 0; i < this.fieldCount; i++) if (this.#fields[i] === field) return i
    return -1
  }

  /**
   * Index of the next field of that name at `from` or behind it, or -1; for fields that have no kind of their own.
   *
   * @param name in lower case
   */
  indexNamed(name: string, from: number): number {
    for (let i = from; i < this.fieldCount; i++) {
      const nameFrom = this.nameFrom(i)
      if (this.nameTo(i) - nameFrom === name.length && this.#isText(nameFrom, name)) return i
    }
    return -1
  }

  /** Whether the value of field `i` begins so, whatever its case. @param text in lower case */
  valueBegins(i: number, text: string): boolean {
    const from = this.valueFrom(i)
    return this.valueTo(i) - from >= text.length && this.#isText(from, text)
  }

  #isText(from: number, text: string): boolean {
    for (let i = 0; i < text.length; i++) {
      const byte = this.bytes[from + i]!
      const lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
      if (lower !== text.charCodeAt(i)) return false
    }
    return true
  }

  /**
   * Reads on from `at`.
   *
   * @returns the position after what was read. The head is complete when `length` is above 0, broken when `fault` is
   *   set; otherwise everything up to `end` was read and more is needed.
   */
  read(bytes: Buffer, at: number, end: number): number {
    if (this.#held === 0) {
      this.#readLines(bytes, at, end)
      const size = this.length === 0 ? end - at : this.length
      this.#hold(bytes, at, at + size)
      return at + size
    }
    const heldBefore = this.#held
    // One byte above the bound is enough to see that it is exceeded.
    this.#hold(bytes, at, Math.min(end, at + this.#bytesMax + 1 - heldBefore))
    this.#readLines(this.bytes, 0, this.#held)
    return this.length === 0 ? end : at + this.length - heldBefore
  }

  #hold(bytes: Buffer, from: number, to: number): void {
    const needed = this.#held + to - from
    if (needed > this.bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2))
      this.bytes.copy(grown, 0, 0, this.#held)
      this.bytes = grown
    }
    bytes.copy(this.bytes, this.#held, from, to)
    this.#held = needed
  }

  /** @param base where the head begins in `bytes`; all positions kept are counted from there */
  #readLines(bytes: Uint8Array, base: number, end: number): void {
    const limit = Math.min(end, base + this.#bytesMax)
    for (;;) {
      const at = base + this.#lineAt
      let next: number = incomplete
      if (at < limit) {
        const isField = this.#hasStartLine && bytes[at] !== CR && bytes[at] !== LF
        next = isField ? this.#readField(bytes, base, at, limit) : this.#readOtherLine(bytes, base, at, limit)
      }
      if (next === incomplete) {
        if (limit < end) this.fail('headTooLarge', 'head is too large', this.#bytesMax)
        return
      }
      if (next === failed) return
      this.#lineAt = next - base
      if (this.length > 0) return
    }
  }

  #readOtherLine(bytes: Uint8Array, base: number, at: number, limit: number): number {
    let next: number
    if (this.#hasStartLine) {
      next = this.readEmptyLine(bytes, base, at, limit)
      if (next >= 0) this.length = next - base
      return next === notEmpty ? this.#readField(bytes, base, at, limit) : next
    }
    // An empty line before the start line is skipped (RFC 9112, section 2.2).
    if ((bytes[at] === CR || bytes[at] === LF) && this.#lineAt < skippedBytesMax) {
      next = this.readEmptyLine(bytes, base, at, limit)
      return next === notEmpty ? this.fail('malformed', 'CR must be followed by LF', at + 1 - base) : next
    }
    next = this.readStartLine(bytes, base, at, limit)
    if (next >= 0) {
      this.#hasStartLine = true
      if (this.isSimple) this.length = next - base
    }
    return next
  }

  #readField(bytes: Uint8Array, base: number, nameFrom: number, limit: number): number {
    const bound = nameFrom + this.#fieldBytesMax
    const last = limit > bound ? bound + 1 : limit
    let at = nameFrom
    let isPlain = 1
    while (at < last && tokenByte[bytes[at]!] === 1) isPlain &= plainNameByte[bytes[at++]!]!
    if (at === last) return this.#ranOut(base, nameFrom, last, bound)
    if (bytes[at] !== 0x3a || at === nameFrom) return this.readOddField(bytes, base, nameFrom, at, limit)
    const nameTo = at++
    while (at < last && (bytes[at] === SP || bytes[at] === HTAB)) at++
    const valueFrom = at
    while (at < last && valueByte[bytes[at]!] === 1) at++
    if (at === last) return this.#ranOut(base, nameFrom, last, bound)
    if (bytes[at] !== CR) return this.readOddField(bytes, base, nameFrom, at, limit)
    if (at + 1 >= limit) return incomplete
    if (bytes[at + 1] !== LF) return this.readOddField(bytes, base, nameFrom, at + 1, limit)
    const next = at + 2
    let valueTo = at
    while (valueTo > valueFrom && (bytes[valueTo - 1] === SP || bytes[valueTo - 1] === HTAB)) valueTo--
    if (this.fieldCount === headerFieldsMax) return this.fail('headTooLarge', 'too many fields', nameFrom - base)
    if (isPlain === 0) this.hasPlainNamesOnly = false
    this.addField(fieldOf(bytes, nameFrom, nameTo), nameFrom - base, nameTo - base, valueFrom - base, valueTo - base)
    return next
  }

  /** Positions are counted from the first byte of the head. There must be room for one more. */
  protected addField(field: Field, nameFrom: number, nameTo: number, valueFrom: number, valueTo: number): void {
    const i = this.fieldCount
    if (i === this.#fields.length) this.#growFields()
    const offset = i * fieldStride
    this.#fields[i] = field
    this.#offsets[offset] = nameFrom
    this.#offsets[offset + 1] = nameTo
    this.#offsets[offset + 2] = valueFrom
    this.#offsets[offset + 3] = valueTo
    this.fieldCount = i + 1
  }

  #ranOut(base: number, lineFrom: number, last: number, bound: number): number {
    if (last > bound) return this.fail('fieldTooLong', 'field line is too long', lineFrom - base + this.#fieldBytesMax)
    return incomplete
  }

  #growFields(): void {
    const fields = new Uint8Array(this.#fields.length * 2)
    fields.set(this.#fields)
    this.#fields = fields
    const offsets = new Int32Array(this.#offsets.length * 2)
    offsets.set(this.#offsets)
    this.#offsets = offsets
  }

  protected fail(fault: HeadFault, text: string, at: number): number {
    this.fault = fault
    this.faultText = text
    this.faultAt = at
    return failed
  }

  /**
   * Reads the empty line that begins with a CR or LF at `at`.
   *
   * @returns the position after it, `incomplete`, `notEmpty` or what `fail` returned
   */
  protected abstract readEmptyLine(bytes: Uint8Array, base: number, at: number, limit: number): number

  /** @returns the position after the line, `incomplete` or what `fail` returned */
  protected abstract readStartLine(bytes: Uint8Array, base: number, from: number, limit: number): number

  /**
   * Reads a field line that is not as it should be.
   *
   * @param at of the byte that should not stand where it does
   * @returns the position after the line, `incomplete` or what `fail` returned
   */
  protected abstract readOddField(bytes: Uint8Array, base: number, from: number, at: number, limit: number): number
}
