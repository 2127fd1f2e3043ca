/**
 * The head of a message: its bytes and where in them everything stands. Parsed line by line, so that bytes arriving
 * one at a time cost no more than one line read again; nothing here knows what a load balancer does with a head.
 *
 * Strict (RFC 9112): CRLF line ends, no folding, no white space before the colon, no control bytes.
 */

import {
  headerFieldsMax,
  requestHeadBytesMax,
  requestHeaderBytesMax,
  requestLineBytesMax,
  responseHeadBytesMax,
} from '../../model/limits.ts'
import { CR, HTAB, LF, plainNameByte, SP, targetByte, tokenByte, valueByte } from '../tables.ts'
import { type Field, fieldOf } from './fields.ts'
import { RequestMeaning, ResponseMeaning } from './meaning.ts'

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

const versionPrefix = Buffer.from('HTTP/')

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

/** Results of reading one line, beside the position after it. */
const incomplete = -1
const failed = -2

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
  fault: HeadFault | null = null
  /** What was expected, a constant; says nothing without a fault. */
  faultText = ''
  /** Where the deciding byte stands, from the first byte of the head. */
  faultAt = 0
  #fields = new Uint8Array(initialFields)
  #offsets = new Int32Array(initialFields * fieldStride)
  /** Bytes of an incomplete head that `bytes` holds. */
  #held = 0
  /** Where the line to read next begins. */
  #lineAt = 0
  #hasStartLine = false
  readonly #bytesMax: number
  readonly #startLineBytesMax: number
  readonly #fieldBytesMax: number

  constructor(bytesMax: number, startLineBytesMax: number, fieldBytesMax: number) {
    this.#bytesMax = bytesMax
    this.#startLineBytesMax = startLineBytesMax
    this.#fieldBytesMax = fieldBytesMax
  }

  reset(): void {
    // One large head must not make every later one that reuses this object large.
    if (this.bytes.length > keptHeadBytesMax) this.bytes = Buffer.allocUnsafeSlow(initialHeadBytes)
    this.length = 0
    this.minorVersion = 1
    this.fieldCount = 0
    this.hasPlainNamesOnly = true
    this.fault = null
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
  /** Where the line after field `i` begins, or the closing empty line. */
  lineEnd(i: number): number {
    return i + 1 < this.fieldCount ? this.nameFrom(i + 1) : this.length - 2
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
      let next: number
      if (!this.#hasStartLine) {
        // An empty line before the start line is skipped (RFC 9112, section 2.2).
        if (at < limit && bytes[at] === CR && this.#lineAt < 4) {
          next = this.readLineEnd(bytes, base, at, limit)
        } else {
          next = this.#readBoundedStartLine(bytes, base, at, limit)
          if (next >= 0) this.#hasStartLine = true
        }
      } else if (at < limit && bytes[at] === CR) {
        next = this.readLineEnd(bytes, base, at, limit)
        if (next >= 0) {
          this.length = next - base
          return
        }
      } else {
        next = this.#readField(bytes, base, at, limit)
      }
      if (next === incomplete) {
        if (limit < end) this.fail('headTooLarge', 'head is too large', this.#bytesMax)
        return
      }
      if (next === failed) return
      this.#lineAt = next - base
    }
  }

  /** A fault within the bound decides before the length does, since it came first. */
  #readBoundedStartLine(bytes: Uint8Array, base: number, at: number, limit: number): number {
    const bound = at + this.#startLineBytesMax
    const isBeyond = limit > bound && bytes[bound] !== CR
    const next = this.readStartLine(bytes, base, at, isBeyond ? bound + 1 : limit)
    if (next !== incomplete || !isBeyond) return next
    return this.fail('startLineTooLong', 'start line is too long', bound - base)
  }

  #readField(bytes: Uint8Array, base: number, nameFrom: number, limit: number): number {
    const bound = nameFrom + this.#fieldBytesMax
    const last = limit > bound ? bound + 1 : limit
    let at = nameFrom
    let isPlain = 1
    while (at < last && tokenByte[bytes[at]!] === 1) isPlain &= plainNameByte[bytes[at++]!]!
    if (at === last) return this.#ranOut(base, nameFrom, last, bound)
    if (bytes[at] !== 0x3a) return this.fail('malformed', 'field name must be a token and end in a colon', at - base)
    if (at === nameFrom) return this.fail('malformed', 'field name is empty', at - base)
    const nameTo = at++
    while (at < last && (bytes[at] === SP || bytes[at] === HTAB)) at++
    const valueFrom = at
    while (at < last && valueByte[bytes[at]!] === 1) at++
    if (at === last) return this.#ranOut(base, nameFrom, last, bound)
    const next = this.readLineEnd(bytes, base, at, limit)
    if (next < 0) return next
    let valueTo = at
    while (valueTo > valueFrom && (bytes[valueTo - 1] === SP || bytes[valueTo - 1] === HTAB)) valueTo--

    const i = this.fieldCount
    if (i === headerFieldsMax) return this.fail('headTooLarge', 'too many fields', nameFrom - base)
    if (i === this.#fields.length) this.#growFields()
    const offset = i * fieldStride
    this.#fields[i] = fieldOf(bytes, nameFrom, nameTo)
    this.#offsets[offset] = nameFrom - base
    this.#offsets[offset + 1] = nameTo - base
    this.#offsets[offset + 2] = valueFrom - base
    this.#offsets[offset + 3] = valueTo - base
    this.fieldCount = i + 1
    if (isPlain === 0) this.hasPlainNamesOnly = false
    return next
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

  /** Reads `HTTP/1.x`. @returns the position after it, `incomplete` or what `fail` returned */
  protected readVersion(bytes: Uint8Array, base: number, from: number, limit: number): number {
    for (let i = 0; i < versionPrefix.length; i++) {
      if (from + i === limit) return incomplete
      if (bytes[from + i] !== versionPrefix[i]) return this.fail('malformed', 'expected HTTP/', from + i - base)
    }
    const at = from + versionPrefix.length
    if (at + 3 > limit) return incomplete
    if (!isDigit(bytes[at]!) || bytes[at + 1] !== 0x2e || !isDigit(bytes[at + 2]!)) {
      return this.fail('malformed', 'expected a version such as 1.1', at - base)
    }
    if (bytes[at] !== 0x31) return this.fail('version', 'expected major version 1', at - base)
    this.minorVersion = Math.min(1, bytes[at + 2]! - 0x30)
    return at + 3
  }

  /** Reads the line end at `at`. @returns the position after it, `incomplete` or what `fail` returned */
  protected readLineEnd(bytes: Uint8Array, base: number, at: number, limit: number): number {
    if (at >= limit) return incomplete
    if (bytes[at] !== CR) return this.fail('malformed', 'line must end in CRLF', at - base)
    if (at + 1 >= limit) return incomplete
    if (bytes[at + 1] !== LF) return this.fail('malformed', 'CR must be followed by LF', at + 1 - base)
    return at + 2
  }

  /** @returns the position after the line, `incomplete` or what `fail` returned */
  protected abstract readStartLine(bytes: Uint8Array, base: number, at: number, limit: number): number
}

export class RequestHead extends Head {
  methodFrom = 0
  methodTo = 0
  /** The request target as sent, whatever its form. */
  targetFrom = 0
  targetTo = 0
  /** What the fields mean together; filled by `readRequestMeaning`. */
  readonly meaning = new RequestMeaning()

  constructor() {
    super(requestHeadBytesMax, requestLineBytesMax, requestHeaderBytesMax)
  }

  override reset(): void {
    super.reset()
    this.meaning.reset()
  }

  protected override readStartLine(bytes: Uint8Array, base: number, from: number, limit: number): number {
    let at = from
    while (at < limit && tokenByte[bytes[at]!] === 1) at++
    if (at === limit) return incomplete
    if (at === from || bytes[at] !== SP)
      return this.fail('malformed', 'method must be a token and end in a space', at - base)
    this.methodFrom = from - base
    this.methodTo = at - base
    const targetFrom = ++at
    while (at < limit && targetByte[bytes[at]!] === 1) at++
    if (at === limit) return incomplete
    if (at === targetFrom || bytes[at] !== SP)
      return this.fail('malformed', 'request target must end in a space', at - base)
    this.targetFrom = targetFrom - base
    this.targetTo = at - base
    const next = this.readVersion(bytes, base, at + 1, limit)
    return next < 0 ? next : this.readLineEnd(bytes, base, next, limit)
  }
}

export class ResponseHead extends Head {
  statusCode = 0
  /** What the fields mean together; filled by `readResponseMeaning`. */
  readonly meaning = new ResponseMeaning()
  /** The reason phrase; may be empty. */
  reasonFrom = 0
  reasonTo = 0

  constructor() {
    super(responseHeadBytesMax, responseHeadBytesMax, responseHeadBytesMax)
  }

  protected override readStartLine(bytes: Uint8Array, base: number, from: number, limit: number): number {
    let at = this.readVersion(bytes, base, from, limit)
    if (at < 0) return at
    if (at + 4 > limit) return incomplete
    if (bytes[at] !== SP) return this.fail('malformed', 'version must end in a space', at - base)
    let statusCode = 0
    for (let i = 1; i <= 3; i++) {
      const byte = bytes[at + i]!
      if (!isDigit(byte)) return this.fail('malformed', 'status code must be three digits', at + i - base)
      statusCode = statusCode * 10 + byte - 0x30
    }
    if (statusCode < 100 || statusCode > 599)
      return this.fail('malformed', 'status code must be 100 to 599', at + 1 - base)
    at += 4
    if (at === limit) return incomplete
    // The space before an empty reason phrase is often left out, and nothing can be read two ways without it.
    if (bytes[at] === SP) at++
    else if (bytes[at] !== CR) return this.fail('malformed', 'status code must end in a space', at - base)
    this.statusCode = statusCode
    this.reasonFrom = at - base
    while (at < limit && valueByte[bytes[at]!] === 1) at++
    this.reasonTo = at - base
    return this.readLineEnd(bytes, base, at, limit)
  }
}
