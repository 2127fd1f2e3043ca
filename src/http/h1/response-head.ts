/** The head of a response. Strict: whatever is not as RFC 9112 has it is refused, since targets are few and known. */

import { responseHeadBytesMax } from '../../model/limits.ts'
import { CR, LF, SP, tokenByte, valueByte } from '../tables.ts'
import { Head, incomplete, isDigit } from './head.ts'
import { ResponseMeaning } from './meaning.ts'

const versionPrefix = Buffer.from('HTTP/')

export class ResponseHead extends Head {
  statusCode = 0
  /** What the fields mean together; filled by `readResponseMeaning`. */
  readonly meaning = new ResponseMeaning()
  /** The reason phrase; may be empty. */
  reasonFrom = 0
  reasonTo = 0

  constructor() {
    super(responseHeadBytesMax, responseHeadBytesMax)
  }

  protected override readStartLine(bytes: Uint8Array, base: number, from: number, limit: number): number {
    let at = this.#readVersion(bytes, base, from, limit)
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
    return this.#readLineEnd(bytes, base, at, limit)
  }

  /** Reads `HTTP/1.x`. @returns the position after it, `incomplete` or what `fail` returned */
  #readVersion(bytes: Uint8Array, base: number, from: number, limit: number): number {
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

  protected override readEmptyLine(bytes: Uint8Array, base: number, at: number, limit: number): number {
    return this.#readLineEnd(bytes, base, at, limit)
  }

  #readLineEnd(bytes: Uint8Array, base: number, at: number, limit: number): number {
    if (at >= limit) return incomplete
    if (bytes[at] !== CR) return this.fail('malformed', 'line must end in CRLF', at - base)
    if (at + 1 >= limit) return incomplete
    if (bytes[at + 1] !== LF) return this.fail('malformed', 'CR must be followed by LF', at + 1 - base)
    return at + 2
  }

  protected override readOddField(bytes: Uint8Array, base: number, from: number, at: number): number {
    let colon = from
    while (colon < at && tokenByte[bytes[colon]!] === 1) colon++
    if (colon === at) {
      const isEmpty = bytes[at] === 0x3a
      return this.fail(
        'malformed',
        isEmpty ? 'field name is empty' : 'field name must be a token and end in a colon',
        at - base,
      )
    }
    const isAfterCr = bytes[at - 1] === CR
    return this.fail('malformed', isAfterCr ? 'CR must be followed by LF' : 'line must end in CRLF', at - base)
  }
}
