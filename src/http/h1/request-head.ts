/**
 * The head of a request. Lenient: whatever still has one reading is read, and marked as odd; `read-meaning.ts` then
 * says by name what is wrong with it, and nothing odd leaves as it came. A line ends in its LF, with or without a CR.
 *
 * Refused as malformed is what has no reading: a line that begins like no request (a TLS hello would else wait for an
 * answer as long as we waited for its end), a request line without a target, a field line without a colon. A last line
 * or a closing empty line that does not come is waited for.
 */

import { headerFieldsMax, requestHeadBytesMax, requestHeaderBytesMax, requestLineBytesMax } from '../../model/limits.ts'
import { CR, isBlank, LF, plainNameByte, SP, targetByte, tokenByte } from '../tables.ts'
import { Field, fieldOf, resemblance } from './fields.ts'
import { failed, Head, type HeadFault, incomplete, isDigit, notEmpty } from './head.ts'
import { RequestMeaning } from './meaning.ts'

const colon = 0x3a
const versionPrefix = Buffer.from('HTTP/1.')

export class RequestHead extends Head {
  methodFrom = 0
  methodTo = 0
  /** The request target as sent, whatever its form, without spaces around it. */
  targetFrom = 0
  targetTo = 0
  /** The same of the target as `isNeverIndexed` says of fields. */
  isTargetNeverIndexed = false
  /** With the white space around it, other than spaces before it; empty for HTTP/0.9. */
  versionFrom = 0
  versionTo = 0
  /** Whether it says HTTP/0.9, and yet has fields: then it is read as HTTP/1.0 is. */
  isOldest = false
  /** Whether some line ended in a bare LF. */
  hasBareLf = false
  /** Whether some line continues the one before it, which only Content-Type may do. */
  hasFolding = false
  /** What the fields mean together; filled by `readRequestMeaning`. */
  readonly meaning = new RequestMeaning()
  /** The kind that folded lines continue, for those up to this index. */
  #folded: Field = Field.other
  #foldedTo = 0

  constructor() {
    super(requestHeadBytesMax, requestHeaderBytesMax)
  }

  override reset(): void {
    super.reset()
    this.isTargetNeverIndexed = false
    this.isOldest = false
    this.hasBareLf = false
    this.hasFolding = false
    this.#folded = Field.other
    this.#foldedTo = 0
    this.meaning.reset()
  }

  protected override readEmptyLine(bytes: Uint8Array, _base: number, at: number, limit: number): number {
    if (bytes[at] === LF) {
      if (this.hasStartLine) this.#markBareLf()
      return at + 1
    }
    if (at + 1 >= limit) return incomplete
    return bytes[at + 1] === LF ? at + 2 : notEmpty
  }

  protected override readStartLine(bytes: Uint8Array, base: number, from: number, limit: number): number {
    let at = from
    while (at < limit && tokenByte[bytes[at]!] === 1) at++
    const methodTo = at
    if (at === from || at >= limit || bytes[at] !== SP) return this.#readOddStartLine(bytes, base, from, limit)
    const targetFrom = ++at
    while (at < limit && targetByte[bytes[at]!] === 1) at++
    const versionFrom = at + 1
    const versionTo = versionFrom + 8
    if (
      at === targetFrom ||
      versionTo + 2 > limit ||
      versionTo - from > requestLineBytesMax ||
      !isUsualVersion(bytes, at)
    ) {
      return this.#readOddStartLine(bytes, base, from, limit)
    }
    this.methodFrom = from - base
    this.methodTo = methodTo - base
    this.targetFrom = targetFrom - base
    this.targetTo = at - base
    this.versionFrom = versionFrom - base
    this.versionTo = versionTo - base
    this.minorVersion = bytes[versionTo - 1]! - 0x30
    return versionTo + 2
  }

  /** The line as a whole: a method up to the first space, a version behind the last one, and between them a target. */
  #readOddStartLine(bytes: Uint8Array, base: number, from: number, limit: number): number {
    const first = bytes[from]!
    if (first <= SP || first >= 0x7f) return this.fail('malformed', 'a request begins with its method', from - base)
    const lf = this.#endOfLine(bytes, base, from, limit, requestLineBytesMax, 'startLineTooLong')
    if (lf < 0) return lf
    const end = lf > from && bytes[lf - 1] === CR ? lf - 1 : lf
    const methodTo = indexOf(SP, bytes, from, end)
    let targetFrom = methodTo
    while (targetFrom < end && bytes[targetFrom] === SP) targetFrom++
    if (targetFrom === end) return this.fail('malformed', 'a request has a target', lf - base)
    let versionFrom = startOfLastWord(bytes, targetFrom, end)
    let targetTo = versionFrom
    if (versionFrom === targetFrom) {
      // One word: a target without a version, unless it is a version without a target.
      if (hasPrefix(bytes, targetFrom, 7)) return this.fail('malformed', 'a request has a target', lf - base)
      versionFrom = end
      targetTo = end
      this.isSimple = true
    }
    while (bytes[targetTo - 1] === SP) targetTo--
    this.methodFrom = from - base
    this.methodTo = methodTo - base
    this.targetFrom = targetFrom - base
    this.targetTo = targetTo - base
    this.versionFrom = versionFrom - base
    this.versionTo = end - base
    this.isOdd = true
    if (end === lf) this.#markBareLf()
    const next = this.isSimple ? this.#checkSimple(bytes, base, lf) : this.#readOddVersion(bytes, base, lf)
    return next === failed ? failed : lf + 1
  }

  /** HTTP/0.9 knows one method. */
  #checkSimple(bytes: Uint8Array, base: number, lf: number): number {
    this.minorVersion = 0
    const at = base + this.methodFrom
    const isGet = this.methodTo - this.methodFrom === 3 && bytes[at] === 0x47 && bytes[at + 1] === 0x45
    if (isGet && bytes[at + 2] === 0x54) return lf
    this.isSimple = false
    return this.fail('malformed', 'a request without a version must be a GET', lf - base)
  }

  /** A version that is none is left for `read-meaning.ts` to name. */
  #readOddVersion(bytes: Uint8Array, base: number, lf: number): number {
    let from = base + this.versionFrom
    let to = base + this.versionTo
    while (from < to && isBlank(bytes[from])) from++
    while (to > from && isBlank(bytes[to - 1])) to--
    if (to - from !== 8 || !hasPrefix(bytes, from, 5) || bytes[from + 6] !== 0x2e) return lf
    const major = bytes[from + 5]!
    const minor = bytes[from + 7]!
    if (!isDigit(major) || !isDigit(minor)) return lf
    this.isOldest = major === 0x30 && minor === 0x39
    if (major !== 0x31 && !this.isOldest) return this.fail('version', 'expected major version 1', from + 5 - base)
    this.minorVersion = this.isOldest ? 0 : Math.min(1, minor - 0x30)
    return lf
  }

  protected override readOddField(bytes: Uint8Array, base: number, from: number, _at: number, limit: number): number {
    const lf = this.#endOfLine(bytes, base, from, limit, requestHeaderBytesMax, 'fieldTooLong')
    if (lf < 0) return lf
    const end = lf > from && bytes[lf - 1] === CR ? lf - 1 : lf
    const isFolded = isBlank(bytes[from])
    const nameTo = indexOf(colon, bytes, from, end)
    if (nameTo === end && !isFolded) return this.fail('malformed', 'field name must end in a colon', lf - base)
    if (this.fieldCount === headerFieldsMax) return this.fail('headTooLarge', 'too many fields', from - base)
    this.isOdd = true
    if (end === lf) this.#markBareLf()
    if (isFolded) this.#addFolded(bytes, base, from, nameTo, end)
    else this.#addOdd(bytes, base, from, nameTo, end)
    return lf + 1
  }

  /** A folded line with a colon is what it would be without the white space, to who looks over that; so it is judged. */
  #addFolded(bytes: Uint8Array, base: number, from: number, colonAt: number, end: number): void {
    const i = this.fieldCount
    if (i !== this.#foldedTo) this.#folded = this.field(i - 1)
    this.#foldedTo = i + 1
    const continuesContentType = this.#folded === Field.contentType
    if (!continuesContentType) this.hasFolding = true
    if (colonAt < end && !continuesContentType) {
      this.#addOdd(bytes, base, from, colonAt, end)
      return
    }
    let nameFrom = from
    let nameTo = end
    while (nameFrom < nameTo && isBlank(bytes[nameFrom])) nameFrom++
    while (nameTo > nameFrom && isBlank(bytes[nameTo - 1])) nameTo--
    this.addField(Field.folded, nameFrom - base, nameTo - base, nameTo - base, nameTo - base)
  }

  #addOdd(bytes: Uint8Array, base: number, nameFrom: number, nameTo: number, end: number): void {
    let valueFrom = nameTo + 1
    let valueTo = end
    while (valueFrom < valueTo && isBlank(bytes[valueFrom])) valueFrom++
    while (valueTo > valueFrom && isBlank(bytes[valueTo - 1])) valueTo--
    const kind = this.#kindOf(bytes, nameFrom, nameTo)
    this.addField(kind, nameFrom - base, nameTo - base, valueFrom - base, valueTo - base)
  }

  #kindOf(bytes: Uint8Array, from: number, to: number): Field {
    let isToken = from < to
    let isVisible = isToken
    for (let at = from; at < to; at++) {
      const byte = bytes[at]!
      if (tokenByte[byte] === 0) isToken = false
      if (byte <= SP || byte >= 0x7f) isVisible = false
      if (plainNameByte[byte] === 0) this.hasPlainNamesOnly = false
    }
    if (isToken) return fieldOf(bytes, from, to)
    const alike = resemblance(bytes, from, to)
    return alike === Field.other && !isVisible ? Field.misnamed : alike
  }

  #markBareLf(): void {
    this.hasBareLf = true
    this.isOdd = true
  }

  /**
   * Finds the LF of a line of at most `bytesMax` without its line end.
   *
   * @returns its position, `incomplete`, or what `fail` returned
   */
  #endOfLine(bytes: Uint8Array, base: number, from: number, limit: number, bytesMax: number, fault: HeadFault): number {
    const tooLong = fault === 'fieldTooLong' ? 'field line is too long' : 'start line is too long'
    const bound = from + bytesMax
    const lf = indexOf(LF, bytes, from, Math.min(limit, bound + 2))
    // A byte beyond the bound is the line's own, unless it is the CR or LF that ends it.
    if (limit > bound && lf > bound && bytes[bound] !== CR) return this.fail(fault, tooLong, bound - base)
    if (lf < Math.min(limit, bound + 2)) return lf
    return limit > bound + 1 ? this.fail(fault, tooLong, bound + 1 - base) : incomplete
  }
}

/** Whether ` HTTP/1.1` or ` HTTP/1.0` and a line end stand there; there must be that many bytes. Spelled out for speed. */
function isUsualVersion(bytes: Uint8Array, at: number): boolean {
  return (
    bytes[at] === SP &&
    bytes[at + 1] === 0x48 &&
    bytes[at + 2] === 0x54 &&
    bytes[at + 3] === 0x54 &&
    bytes[at + 4] === 0x50 &&
    bytes[at + 5] === 0x2f &&
    bytes[at + 6] === 0x31 &&
    bytes[at + 7] === 0x2e &&
    (bytes[at + 8] === 0x31 || bytes[at + 8] === 0x30) &&
    bytes[at + 9] === CR &&
    bytes[at + 10] === LF
  )
}

/** Whether the first `length` bytes of the prefix stand there. */
function hasPrefix(bytes: Uint8Array, at: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[at + i] !== versionPrefix[i]) return false
  return true
}

/** @returns the position of the byte, or `end` */
function indexOf(byte: number, bytes: Uint8Array, from: number, end: number): number {
  let at = from
  while (at < end && bytes[at] !== byte) at++
  return at
}

/** Where the last word begins: behind the last space that has a token byte somewhere behind it. `from` for one word. */
function startOfLastWord(bytes: Uint8Array, from: number, end: number): number {
  let at = end
  while (at > from && tokenByte[bytes[at - 1]!] === 0) at--
  while (at > from && bytes[at - 1] !== SP) at--
  return at
}
