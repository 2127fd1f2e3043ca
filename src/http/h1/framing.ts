/**
 * Where the body of a request ends, and what two parties could think differently about it. Transfer-Encoding outweighs
 * Content-Length (RFC 9112, section 6.3). Fields that only look like one of the two never count for the body, but for
 * the classification: somebody else may take them for it.
 *
 * @see https://github.com/aws/http-desync-guardian
 */

import { Desync } from '../../model/desync.ts'
import { isBlank } from '../tables.ts'
import { Field } from './fields.ts'
import { BodyKind } from './meaning.ts'
import type { RequestHead } from './request-head.ts'

/** What `readLength` returns beside a length. */
export const noLength = -1
export const badLength = -2

/** The same as `settleFraming` where there is one Content-Length, which is field `i`, and nothing like it. */
export function settleLength(head: RequestHead, i: number): void {
  const length = readOwnLength(head, i, head.valueFrom(i), head.valueTo(i), noLength)
  if (length === badLength) head.meaning.classify(Desync.BadContentLength)
  else settleBody(head, length, false, true)
}

/** @param hasAlike at least one of the fields only looks like what it is counted as */
export function settleFraming(head: RequestHead, hasCoding: boolean, hasLength: boolean, hasAlike: boolean): void {
  const { meaning } = head
  const isUndefinedCoding = hasCoding && head.minorVersion === 0
  const isUndefinedLength = hasLength && head.isOldest && !hasCoding
  if (isUndefinedCoding) {
    meaning.classify(Desync.UndefinedTransferEncodingSemantics)
    // What follows it may be part of it to others (RFC 9112, section 6.1).
    meaning.wantsKeepAlive = false
  }
  if (isUndefinedLength) meaning.classify(Desync.UndefinedContentLengthSemantics)
  // Of what has no meaning in that version, the values are not judged; they still must be readable.
  const judges = !isUndefinedCoding && !isUndefinedLength
  const isChunked = hasCoding && readCodings(head, judges)
  const length = hasLength ? readLengths(head, judges) : noLength
  settleBody(head, length, hasCoding, judges)
  meaning.hasUnusedCoding = hasCoding && !isChunked
  if (hasCoding && hasLength && hasAlike) meaning.classify(Desync.SuspiciousTeClPresent)
  else if (judges && hasCoding && length !== noLength) meaning.classify(Desync.BothTeClPresent)
  if (!isChunked) return
  meaning.bodyKind = BodyKind.chunked
  meaning.contentLength = 0
  meaning.lengthAt = -1
  meaning.needsLength = false
}

/** @param length or `noLength` */
function settleBody(head: RequestHead, length: number, hasCoding: boolean, judges: boolean): void {
  const { meaning } = head
  if (judges && (meaning.isGet || meaning.isHead)) {
    if (hasCoding) meaning.classify(Desync.UndefinedTransferEncodingSemantics)
    if (length === 0) meaning.classify(Desync.GetHeadZeroContentLength)
    if (length > 0) meaning.classify(Desync.UndefinedContentLengthSemantics)
  }
  if (length <= 0) return
  meaning.contentLength = length
  meaning.bodyKind = BodyKind.length
}

/** @returns whether the body is chunked */
function readCodings(head: RequestHead, judges: boolean): boolean {
  const { meaning, bytes } = head
  /** With those that only look like one, and without. */
  let chunkedSeen = 0
  let chunkedCount = 0
  lines.begin(head, Field.transferEncoding, Field.likeTransferEncoding)
  while (lines.next()) {
    const { isOurs, from, to } = lines
    // Next to every request that has a coding at all says this and nothing else.
    const names = equalsFolded(bytes, from, to, chunkedToken) ? chunkedAlone : head.text(from, to).split(',')
    for (const coding of names) {
      switch (trimBlanks(coding.split(';', 1)[0]!).toLowerCase()) {
        case 'chunked':
          chunkedSeen++
          if (isOurs) chunkedCount++
          if (chunkedSeen > 1 && judges) meaning.classify(Desync.MultipleTransferEncodingChunked)
          break
        case 'gzip':
        case 'deflate':
        case 'compress':
          if (isOurs) meaning.hasUnsupportedCoding = true
          break
        case 'identity':
          break
        default:
          if (isOurs) meaning.isUnreadable = true
          if (judges) meaning.classify(Desync.BadTransferEncoding)
      }
    }
  }
  if (chunkedCount > 1) meaning.isUnreadable = true
  return chunkedCount > 0
}

const chunkedToken = Buffer.from('chunked')
const chunkedAlone: readonly string[] = ['chunked']

/** @returns the length that counts, or `noLength` */
function readLengths(head: RequestHead, judges: boolean): number {
  /** With those that only look like one, and without. */
  let seen = noLength
  let length = noLength
  lines.begin(head, Field.contentLength, Field.likeContentLength)
  while (lines.next()) {
    const { isOurs, from, to, i } = lines
    const next = readLength(head.bytes, from, to)
    if (judges) judgeLength(head, seen, next)
    if (seen === noLength && next !== badLength) seen = next
    if (!isOurs) continue
    const own = readOwnLength(head, i, from, to, length)
    if (own !== badLength) length = own
  }
  return length
}

/**
 * Reads a length that counts.
 *
 * @param known from an earlier field, or `noLength`
 * @returns the length, or `badLength`
 */
function readOwnLength(head: RequestHead, i: number, from: number, to: number, known: number): number {
  const { meaning } = head
  const length = readLength(head.bytes, from, to)
  if (length === badLength || (known !== noLength && length !== known)) {
    meaning.isUnreadable = true
    return badLength
  }
  // A zero in front may make it octal to somebody.
  const isPlain = known === noLength && (head.bytes[from] !== 0x30 || to - from === 1)
  meaning.lengthAt = isPlain ? i : -1
  meaning.needsLength = !isPlain
  return length
}

function judgeLength(head: RequestHead, seen: number, next: number): void {
  if (next === badLength) head.meaning.classify(Desync.BadContentLength)
  else if (seen === next) head.meaning.classify(Desync.DuplicateContentLength)
  else if (seen !== noLength) head.meaning.classify(Desync.MultipleContentLength)
}

/** Walks over all that a head says of one kind, by fields of that kind, by those that look like it, and by folded lines. */
class Lines {
  /** The field, and its value; of a folded line, all of it. */
  i = -1
  from = 0
  to = 0
  /** Whether it is of the kind itself. */
  isOurs = false
  #head: RequestHead | null = null
  #own: Field = Field.other
  #like: Field = Field.other
  /** The kind that the next line continues if it is folded. */
  #owner: Field = Field.other

  begin(head: RequestHead, own: Field, like: Field): void {
    this.i = -1
    this.#head = head
    this.#own = own
    this.#like = like
    this.#owner = Field.other
  }

  next(): boolean {
    const head = this.#head!
    while (++this.i < head.fieldCount) {
      const { i } = this
      const field = head.field(i)
      const isFolded = field === Field.folded
      // A folded line says more of what the line that it continues said: so it is read by those who unfold.
      const kind = isFolded ? this.#owner : field
      if (!isFolded && !isBlank(head.bytes[head.nameFrom(i)])) this.#owner = field
      if (kind !== this.#own && kind !== this.#like) continue
      this.isOurs = kind === this.#own
      this.from = isFolded ? head.nameFrom(i) : head.valueFrom(i)
      this.to = isFolded ? head.nameTo(i) : head.valueTo(i)
      return true
    }
    return false
  }
}

/** One head is read at a time. */
const lines = new Lines()

/** @returns the length, or `badLength` for anything but digits, or beyond what a double counts exactly */
export function readLength(bytes: Uint8Array, from: number, to: number): number {
  if (to === from) return badLength
  let at = from
  while (at < to - 1 && bytes[at] === 0x30) at++
  // 15 digits are always exact; a longer number is the length of no real body.
  if (to - at > 15) return badLength
  let length = 0
  for (; at < to; at++) {
    const digit = bytes[at]! - 0x30
    if (digit < 0 || digit > 9) return badLength
    length = length * 10 + digit
  }
  return length
}

/** @param lower letters and hyphens only */
export function equalsFolded(bytes: Uint8Array, from: number, to: number, lower: Uint8Array): boolean {
  if (to - from !== lower.length) return false
  for (let i = 0; i < lower.length; i++) {
    const byte = bytes[from + i]!
    if ((byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte) !== lower[i]) return false
  }
  return true
}

/** `String.trim` would also remove a no-break space (0xa0), by which a coding hides from whoever reads it strictly. */
function trimBlanks(text: string): string {
  let from = 0
  let to = text.length
  while (from < to && isBlank(text.charCodeAt(from))) from++
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--
  return text.slice(from, to)
}
