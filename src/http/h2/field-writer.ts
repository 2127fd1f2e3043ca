/**
 * Writes HPACK (RFC 7541) without a dynamic table of its own: nothing written refers to what was written before, so
 * bytes made once may be copied into any block.
 *
 * Representations are chosen as nginx does, since the sizes of responses that the service logs add up that way: names of
 * the static table by their index, with incremental indexing, others in full and without; strings in Huffman code where
 * that is shorter, digits of status and length never.
 *
 * Every function makes the room it needs. Whoever passes on a field that came as never indexed must keep that, and says so
 * as `isNeverIndexed` (RFC 7541, section 6.2.3).
 */

import type { ByteWriter } from '../../base/byte-writer.ts'
import { type Code, encode, encodedLength, lowerCaseCode, plainCode } from './huffman.ts'
import { StaticName, staticFields, staticNameIndex } from './static-table.ts'

const withIndexing = 0x40
const withoutIndexing = 0x00
const neverIndexed = 0x10
/** A length or an index, however large. */
const integerBytesMax = 6

/** Index of the whole field, by status; 0 for those that are not in the static table. */
const indexOfStatus = new Uint8Array(1000)
for (const [i, [name, value]] of staticFields.entries()) if (name === ':status') indexOfStatus[Number(value)] = i + 1

/** @param status of three digits */
export function writeStatus(out: ByteWriter, status: number): void {
  out.reserve(5)
  const index = indexOfStatus[status]!
  if (index !== 0) {
    out.uint8(0x80 | index)
    return
  }
  out.uint8(withIndexing | StaticName.status)
  out.uint8(3)
  out.decimal(status)
}

export function writeContentLength(out: ByteWriter, length: number, isNeverIndexed = false): void {
  out.reserve(20)
  writeName(out, StaticName.contentLength, isNeverIndexed)
  const sizeAt = out.length++
  out.decimal(length)
  out.bytes[sizeAt] = out.length - sizeAt - 1
}

export function writeMethod(out: ByteWriter, bytes: Buffer, from: number, to: number): void {
  if (isText(bytes, from, to, 'GET')) writeIndexed(out, StaticName.method)
  else if (isText(bytes, from, to, 'POST')) writeIndexed(out, StaticName.method + 1)
  else writeKnown(out, StaticName.method, bytes, from, to)
}

export function writeScheme(out: ByteWriter, scheme: 'http' | 'https'): void {
  writeIndexed(out, scheme === 'http' ? StaticName.scheme : StaticName.scheme + 1)
}

export function writePath(out: ByteWriter, bytes: Buffer, from: number, to: number, isNeverIndexed = false): void {
  if (!isNeverIndexed && isText(bytes, from, to, '/')) writeIndexed(out, StaticName.path)
  else writeKnown(out, StaticName.path, bytes, from, to, isNeverIndexed)
}

/** A field with a name of the static table. */
export function writeKnown(
  out: ByteWriter,
  name: StaticName,
  bytes: Buffer,
  from: number,
  to: number,
  isNeverIndexed = false,
): void {
  out.reserve(2 * integerBytesMax + to - from)
  writeName(out, name, isNeverIndexed)
  writeString(out, plainCode, bytes, from, to)
}

export function writeKnownText(out: ByteWriter, name: StaticName, value: string, isNeverIndexed = false): void {
  const length = toScratch(value, 0)
  writeKnown(out, name, scratch, 0, length, isNeverIndexed)
}

/** Any field but a pseudo one. Its name is written in lower case. */
export function writeField(
  out: ByteWriter,
  bytes: Buffer,
  nameFrom: number,
  nameTo: number,
  valueFrom: number,
  valueTo: number,
  isNeverIndexed = false,
): void {
  out.reserve(3 * integerBytesMax + nameTo - nameFrom + valueTo - valueFrom)
  const index = staticNameIndex(bytes, nameFrom, nameTo)
  if (index !== 0) writeName(out, index, isNeverIndexed)
  else out.uint8(isNeverIndexed ? neverIndexed : withoutIndexing)
  if (index === 0) writeString(out, lowerCaseCode, bytes, nameFrom, nameTo)
  writeString(out, plainCode, bytes, valueFrom, valueTo)
}

/** @param name and `value` of characters up to 0xff, as bytes have them */
export function writeFieldText(out: ByteWriter, name: string, value: string): void {
  const nameTo = toScratch(name, 0)
  const valueTo = toScratch(value, nameTo)
  writeField(out, scratch, 0, nameTo, nameTo, valueTo)
}

/** Texts become bytes here, to be encoded. */
let scratch = Buffer.allocUnsafeSlow(1024)

/** @returns the position after it */
function toScratch(text: string, at: number): number {
  const end = at + text.length
  if (end > scratch.length) {
    const grown = Buffer.allocUnsafeSlow(end * 2)
    scratch.copy(grown, 0, 0, at)
    scratch = grown
  }
  for (let i = 0; i < text.length; i++) scratch[at + i] = text.charCodeAt(i)
  return end
}

function isText(bytes: Buffer, from: number, to: number, text: string): boolean {
  if (to - from !== text.length) return false
  for (let i = 0; i < text.length; i++) if (bytes[from + i] !== text.charCodeAt(i)) return false
  return true
}

function writeIndexed(out: ByteWriter, index: number): void {
  out.reserve(1)
  out.uint8(0x80 | index)
}

/** @param index of the static table */
function writeName(out: ByteWriter, index: number, isNeverIndexed: boolean): void {
  if (isNeverIndexed) writeInteger(out, neverIndexed, 4, index)
  else writeInteger(out, withIndexing, 6, index)
}

/** RFC 7541, section 5.1. @param bits of the first byte that hold the number; `flags` are the others */
function writeInteger(out: ByteWriter, flags: number, bits: number, value: number): void {
  const most = (1 << bits) - 1
  if (value < most) {
    out.uint8(flags | value)
    return
  }
  out.uint8(flags | most)
  let rest = value - most
  for (; rest >= 0x80; rest >>>= 7) out.uint8(0x80 | (rest & 0x7f))
  out.uint8(rest)
}

function writeString(out: ByteWriter, code: Code, bytes: Buffer, from: number, to: number): void {
  const size = to - from
  const encoded = encodedLength(code, bytes, from, to)
  if (encoded < size) {
    writeInteger(out, 0x80, 7, encoded)
    out.length = encode(code, bytes, from, to, out.bytes, out.length)
    return
  }
  writeInteger(out, 0, 7, size)
  const at = out.length
  out.copy(bytes, from, to)
  if (code === lowerCaseCode) lowerCase(out.bytes, at, out.length)
}

function lowerCase(bytes: Buffer, from: number, to: number): void {
  for (let i = from; i < to; i++) if (bytes[i]! >= 0x41 && bytes[i]! <= 0x5a) bytes[i]! |= 0x20
}
