/** The static table (RFC 7541, appendix A): the fields that need no sending. */

import { kindOfField, kindOfName } from './field-kind.ts'

/** By their index, which begins at 1. */
export const staticFields: readonly (readonly [name: string, value: string])[] = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ['accept-language', ''],
  ['accept-ranges', ''],
  ['accept', ''],
  ['access-control-allow-origin', ''],
  ['age', ''],
  ['allow', ''],
  ['authorization', ''],
  ['cache-control', ''],
  ['content-disposition', ''],
  ['content-encoding', ''],
  ['content-language', ''],
  ['content-length', ''],
  ['content-location', ''],
  ['content-range', ''],
  ['content-type', ''],
  ['cookie', ''],
  ['date', ''],
  ['etag', ''],
  ['expect', ''],
  ['expires', ''],
  ['from', ''],
  ['host', ''],
  ['if-match', ''],
  ['if-modified-since', ''],
  ['if-none-match', ''],
  ['if-range', ''],
  ['if-unmodified-since', ''],
  ['last-modified', ''],
  ['link', ''],
  ['location', ''],
  ['max-forwards', ''],
  ['proxy-authenticate', ''],
  ['proxy-authorization', ''],
  ['range', ''],
  ['referer', ''],
  ['refresh', ''],
  ['retry-after', ''],
  ['server', ''],
  ['set-cookie', ''],
  ['strict-transport-security', ''],
  ['transfer-encoding', ''],
  ['user-agent', ''],
  ['vary', ''],
  ['via', ''],
  ['www-authenticate', ''],
]

/** Where the names stand that are written without looking them up: the first field of that name. */
export const StaticName = {
  authority: 1,
  method: 2,
  path: 4,
  scheme: 6,
  status: 8,
  contentLength: 28,
  contentType: 31,
  cookie: 32,
  date: 33,
  location: 46,
  server: 54,
  setCookie: 55,
} as const
export type StaticName = (typeof StaticName)[keyof typeof StaticName]

/** What a table knows of a field: its line, `name: value\r\n`, and what it is. */
export type TableField = {
  /** Of its line; the name begins there. */
  readonly from: number
  readonly nameTo: number
  readonly valueTo: number
  /** `FieldKind` of the name, and of the field. */
  readonly nameKind: number
  readonly kind: number
}

/** The lines of all fields; index 1 is the first. */
export const staticLines: Buffer = Buffer.from(staticFields.map(field => `${field.join(': ')}\r\n`).join(''))
export const staticTable: readonly TableField[] = staticFields.map(([name, value], i) => {
  const from = staticFields.slice(0, i).reduce((sum, field) => sum + field.join('').length + 4, 0)
  const nameTo = from + name.length
  const valueTo = nameTo + 2 + value.length
  const nameKind = kindOfName(staticLines, from, nameTo)
  return { from, nameTo, valueTo, nameKind, kind: kindOfField(nameKind, staticLines, nameTo + 2, valueTo) }
})

type KnownName = { readonly lower: Uint8Array; readonly index: number }
const namesByLength: KnownName[][] = []
for (const [i, [name]] of staticFields.entries()) {
  namesByLength[name.length] ??= []
  const known = namesByLength[name.length]!
  const lower = Buffer.from(name)
  if (!known.some(other => lower.equals(other.lower))) known.push({ lower, index: i + 1 })
}

/**
 * @param bytes hold a field name there, in either case: every byte is a token byte, so `| 0x20` only folds letters
 * @returns the index of the first field of that name, 0 for none
 */
export function staticNameIndex(bytes: Uint8Array, from: number, to: number): number {
  const candidates = namesByLength[to - from]
  if (candidates === undefined) return 0
  for (let i = 0; i < candidates.length; i++) {
    const { lower, index } = candidates[i]!
    let k = 0
    while (k < lower.length && (bytes[from + k]! | 0x20) === lower[k]) k++
    if (k === lower.length) return index
  }
  return 0
}
