/** What a field is, by its name: one that a load balancer acts on, one that it must not pass on, or `other`. */
export const Field = {
  other: 0,
  host: 1,
  connection: 2,
  contentLength: 3,
  transferEncoding: 4,
  expect: 5,
  upgrade: 6,
  userAgent: 7,
  forwardedFor: 8,
  forwardedProto: 9,
  forwardedPort: 10,
  traceId: 11,
  keepAlive: 12,
  proxyConnection: 13,
  te: 14,
  trailer: 15,
  date: 16,
  contentType: 17,
  cookie: 18,
  setCookie: 19,
  server: 20,
  /** Names that differ from Transfer-Encoding or Content-Length in other than letters, by which they may be taken for it. */
  likeTransferEncoding: 21,
  likeContentLength: 22,
  /** A line that begins with white space and has no name of its own: the name is all of it, without the white space. */
  folded: 23,
  /** A name that is empty, or holds white space, a control byte or one above ASCII, which may be white space to others. */
  misnamed: 24,
} as const
export type Field = (typeof Field)[keyof typeof Field]

const fieldNames: readonly (readonly [string, Field])[] = [
  ['host', Field.host],
  ['connection', Field.connection],
  ['content-length', Field.contentLength],
  ['transfer-encoding', Field.transferEncoding],
  ['expect', Field.expect],
  ['upgrade', Field.upgrade],
  ['user-agent', Field.userAgent],
  ['x-forwarded-for', Field.forwardedFor],
  ['x-forwarded-proto', Field.forwardedProto],
  ['x-forwarded-port', Field.forwardedPort],
  ['x-amzn-trace-id', Field.traceId],
  ['keep-alive', Field.keepAlive],
  ['proxy-connection', Field.proxyConnection],
  ['te', Field.te],
  ['trailer', Field.trailer],
  ['date', Field.date],
  ['content-type', Field.contentType],
  ['cookie', Field.cookie],
  ['set-cookie', Field.setCookie],
  ['server', Field.server],
]

type KnownName = { readonly lower: Uint8Array; readonly field: Field }
const knownNamesByLength: KnownName[][] = Array.from({ length: 18 }, () => [])
for (const [name, field] of fieldNames) knownNamesByLength[name.length]!.push({ lower: Buffer.from(name), field })

const knownLengthMax = 17

/** @param bytes hold a field name there, so every byte is a token byte and `| 0x20` only folds letters */
export function fieldOf(bytes: Uint8Array, from: number, to: number): Field {
  const length = to - from
  if (length <= knownLengthMax) {
    const candidates = knownNamesByLength[length]!
    for (let i = 0; i < candidates.length; i++) {
      const { lower, field } = candidates[i]!
      let k = 0
      while (k < length && (bytes[from + k]! | 0x20) === lower[k]) k++
      if (k === length) return field
    }
  }
  return resemblance(bytes, from, to)
}

const transferEncoding = Buffer.from('transfer-encoding')
const contentLength = Buffer.from('content-length')

/** 1 for letters and digits. */
const alphanumeric = new Uint8Array(256)
for (let c = 0; c < 256; c++) alphanumeric[c] = /[A-Za-z0-9]/.test(String.fromCharCode(c)) ? 1 : 0

/** 1 where one of the two names may begin, or something that hides it: most other names are known by their first byte. */
const mayResemble = new Uint8Array(256)
for (let c = 0; c < 256; c++) mayResemble[c] = /[^A-Za-z0-9]|[CcTt]/.test(String.fromCharCode(c)) ? 1 : 0

/** @param bytes hold a name there that is none of the known ones, of any bytes */
export function resemblance(bytes: Uint8Array, from: number, to: number): Field {
  if (to - from < contentLength.length || mayResemble[bytes[from]!] === 0) return Field.other
  if (hasLettersOf(transferEncoding, bytes, from, to)) return Field.likeTransferEncoding
  return hasLettersOf(contentLength, bytes, from, to) ? Field.likeContentLength : Field.other
}

/**
 * Compares letters only: anything may stand in place of the hyphen and at both ends, white space and control bytes
 * anywhere, and for `s` and `i` the two letters above ASCII that have `S` and `I` as their upper case. What breaks off
 * in non-letters counts as alike, too.
 *
 * @see https://github.com/aws/http-desync-guardian
 */
function hasLettersOf(lower: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (to - from < lower.length) return false
  let at = nextAlphanumeric(bytes, from, to)
  for (let i = 0; i < lower.length; i++) {
    if (at >= to) return false
    const letter = lower[i]!
    if (letter === 0x2d) {
      at = nextAlphanumeric(bytes, at + 1, to)
      continue
    }
    const length = lengthOfLetter(letter, bytes, at, to)
    if (length === 0) break
    at += length
    while (at < to && bytes[at]! <= 0x20) at++
  }
  return nextAlphanumeric(bytes, at, to) === to
}

function nextAlphanumeric(bytes: Uint8Array, from: number, to: number): number {
  let at = from
  while (at < to && alphanumeric[bytes[at]!] === 0) at++
  return at
}

/** @returns how many bytes stand for the letter there, 0 for none */
function lengthOfLetter(lower: number, bytes: Uint8Array, at: number, to: number): number {
  const byte = bytes[at]!
  if (alphanumeric[byte] === 1 && (byte | 0x20) === lower) return 1
  if (at + 1 >= to) return 0
  const isLongS = lower === 0x73 && byte === 0xc5 && bytes[at + 1] === 0xbf
  const isDotlessI = lower === 0x69 && byte === 0xc4 && bytes[at + 1] === 0xb1
  return isLongS || isDotlessI ? 2 : 0
}
