/**
 * What one field is, judged by itself (RFC 9113, section 8). Fields of the tables are judged once, when they enter them.
 */

import { Field, fieldOf } from '../h1/fields.ts'
import { isBlank, nameByte, targetByte, tokenByte, valueByte } from '../tables.ts'

/** A `Field` for regular fields that may stand in a message, or one of these. Pseudo-headers come first. */
export const FieldKind = {
  method: 32,
  path: 33,
  scheme: 34,
  authority: 35,
  status: 36,
  unknownPseudo: 48,
  badName: 49,
  badValue: 50,
  badPseudo: 51,
  connectionSpecific: 52,
} as const

export const pseudoKinds = { ':method': 32, ':path': 33, ':scheme': 34, ':authority': 35, ':status': 36 } as const
export const firstPseudoKind = FieldKind.method
export const pseudoKindCount = 5
export const firstBadKind = FieldKind.unknownPseudo

/** 1 where the byte may stand in a field name: a token without upper-case letters. */
const lowerNameByte = tokenByte.slice().fill(0, 0x41, 0x5b)

/** 1 where the byte may stand in `:authority`: a host, its brackets, percent-encoding, the colon of the port; no user. */
const authorityByte = nameByte.slice()
for (const c of ':[]%') authorityByte[c.charCodeAt(0)] = 1

/** 1 where the byte may stand in a scheme (RFC 3986, section 3.1). */
const schemeByte = new Uint8Array(256)
for (let c = 0; c < 256; c++) schemeByte[c] = /[-+.A-Za-z0-9]/.test(String.fromCharCode(c)) ? 1 : 0

const colon = 0x3a

/** @returns a `FieldKind` or `Field` that says what the name is worth; its value is another matter */
export function kindOfName(bytes: Uint8Array, from: number, to: number): number {
  if (from === to) return FieldKind.badName
  if (bytes[from] === colon) return kindOfPseudo(bytes, from, to)
  if (endOf(lowerNameByte, bytes, from, to) < to) return FieldKind.badName
  return fieldOf(bytes, from, to)
}

function kindOfPseudo(bytes: Uint8Array, from: number, to: number): number {
  for (const [name, kind] of pseudoNames) {
    let i = 0
    while (i < name.length && from + i < to && bytes[from + i] === name[i]) i++
    if (i === name.length && from + i === to) return kind
  }
  return FieldKind.unknownPseudo
}

const pseudoNames = Object.entries(pseudoKinds).map(([name, kind]) => [Buffer.from(name), kind] as const)

/** @param kind of the name. @returns what name and value are together */
export function kindOfField(kind: number, bytes: Uint8Array, from: number, to: number): number {
  if (kind >= firstBadKind) return kind
  if (kind >= firstPseudoKind) return isGoodPseudo(kind, bytes, from, to) ? kind : FieldKind.badPseudo
  if (endOf(valueByte, bytes, from, to) < to) return FieldKind.badValue
  // White space around a value has no place here (RFC 9113, section 8.2.1).
  if (to > from && (isBlank(bytes[from]) || isBlank(bytes[to - 1]))) return FieldKind.badValue
  switch (kind) {
    case Field.connection:
    case Field.keepAlive:
    case Field.proxyConnection:
    case Field.transferEncoding:
    case Field.upgrade:
      return FieldKind.connectionSpecific
    case Field.te:
      return isTrailers(bytes, from, to) ? kind : FieldKind.connectionSpecific
    default:
      return kind
  }
}

function isGoodPseudo(kind: number, bytes: Uint8Array, from: number, to: number): boolean {
  if (from === to) return false
  switch (kind) {
    case FieldKind.method:
      return endOf(tokenByte, bytes, from, to) === to
    case FieldKind.path:
      if (bytes[from] !== 0x2f && !(bytes[from] === 0x2a && to - from === 1)) return false
      return endOf(targetByte, bytes, from, to) === to
    case FieldKind.scheme:
      return endOf(schemeByte, bytes, from, to) === to
    case FieldKind.authority:
      return endOf(authorityByte, bytes, from, to) === to
    default:
      return isStatus(bytes, from, to)
  }
}

/** Three digits, from 100 on; HTTP/2 has no 101 (RFC 9113, section 8.6). */
function isStatus(bytes: Uint8Array, from: number, to: number): boolean {
  if (to - from !== 3 || bytes[from] === 0x30) return false
  for (let i = from; i < to; i++) if (bytes[i]! < 0x30 || bytes[i]! > 0x39) return false
  return !(bytes[from] === 0x31 && bytes[from + 1] === 0x30 && bytes[from + 2] === 0x31)
}

const trailers = Buffer.from('trailers')

function isTrailers(bytes: Uint8Array, from: number, to: number): boolean {
  let i = 0
  while (i < trailers.length && (bytes[from + i]! | 0x20) === trailers[i]) i++
  return i === trailers.length && from + i === to
}

/** @returns the first position whose byte is not allowed, else `to` */
function endOf(allowed: Uint8Array, bytes: Uint8Array, from: number, to: number): number {
  let at = from
  while (at < to && allowed[bytes[at]!] === 1) at++
  return at
}
