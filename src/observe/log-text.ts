/**
 * Writes the pieces of a log line into a buffer, byte by byte, and makes no string: this runs for every request.
 * Each function writes at `at` and returns the position behind what it wrote. None checks for room, because a typed
 * array ignores what lies beyond its end: `LogWriter.commit` checks the final position, once.
 */

const zero = 0x30

/** From these lengths on a native copy beats a loop (measured; both take 30 to 60 ns where they meet). */
const copyTextMin = 16
const copyBytesMin = 64

/** @param text our own words, ASCII only; what a peer sent goes through `writeEscaped` */
export function writeAscii(buffer: Buffer, at: number, text: string): number {
  const length = text.length
  if (length < copyTextMin) {
    for (let i = 0; i < length; i++) buffer[at + i] = text.charCodeAt(i)
  } else {
    buffer.write(text, at, 'latin1')
  }
  return at + length
}

export function writeBytes(buffer: Buffer, at: number, source: Buffer, from: number, to: number): number {
  const length = to - from
  if (length < copyBytesMin) {
    for (let i = 0; i < length; i++) buffer[at + i] = source[from + i]!
  } else {
    source.copy(buffer, at, from, to)
  }
  return at + length
}

/** 1 where a byte may stand in a quoted field as it is. */
const plainByte = new Uint8Array(256).fill(1, 0x20, 0x7f)
plainByte[0x22] = plainByte[0x5c] = 0

const upperHexDigits = Buffer.from('0123456789ABCDEF')

/** The most bytes that `writeEscaped` makes of one. */
export const escapedBytesMax = 4

/**
 * What a peer sent, such that it can end neither its quotes nor its line: `"`, backslash, controls and bytes from 0x7f
 * become `\xHH`. Only `\x22` was observed; the rest is assumed from nginx, whose default log escaping it is.
 *
 * @see https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format
 */
export function writeEscaped(buffer: Buffer, at: number, source: Buffer, from: number, to: number): number {
  for (;;) {
    let end = from
    while (end < to && plainByte[source[end]!] === 1) end++
    at = writeBytes(buffer, at, source, from, end) // runs, because copying bytes one by one takes twice as long
    if (end === to) return at
    const byte = source[end]!
    buffer[at] = 0x5c
    buffer[at + 1] = 0x78
    buffer[at + 2] = upperHexDigits[byte >> 4]!
    buffer[at + 3] = upperHexDigits[byte & 15]!
    at += escapedBytesMax
    from = end + 1
  }
}

/** The same of a text that holds bytes as characters. It is written first and looked at then, which is twice as fast. */
export function writeEscapedText(buffer: Buffer, at: number, text: string): number {
  const end = writeAscii(buffer, at, text)
  for (let i = at; i < end; i++) {
    if (plainByte[buffer[i]!] === 0) {
      const bytes = Buffer.from(text, 'latin1')
      return writeEscaped(buffer, at, bytes, 0, bytes.length)
    }
  }
  return end
}

/** @param n an integer, exact up to 2^53 */
export function writeDecimal(buffer: Buffer, at: number, n: number): number {
  if (n < 0) {
    buffer[at++] = 0x2d
    n = -n
  }
  if (n < 1_000_000_000) return writeInteger(buffer, at, n)
  const billions = Math.floor(n / 1_000_000_000) // what fits 32 bits is divided several times faster
  return writePadded(buffer, writeInteger(buffer, at, billions), n - billions * 1_000_000_000, 9)
}

/** @param n 0 to 2^31 - 1 */
function writeInteger(buffer: Buffer, at: number, n: number): number {
  let digits = 1
  for (let rest = n; rest >= 10; rest = (rest / 10) | 0) digits++
  return writePadded(buffer, at, n, digits)
}

function writePadded(buffer: Buffer, at: number, n: number, digits: number): number {
  let rest = n | 0
  for (let i = at + digits - 1; i >= at; i--) {
    const tenth = (rest / 10) | 0
    buffer[i] = zero + rest - tenth * 10
    rest = tenth
  }
  return at + digits
}

/**
 * Seconds with three decimals, or `-1` for a time that was not taken. The rest of a millisecond is cut off, as in the
 * creation time: what the log shows has passed in full (assumed; the samples fit rounding too).
 */
export function writeSeconds(buffer: Buffer, at: number, ms: number): number {
  if (ms < 0) {
    buffer[at++] = 0x2d
    buffer[at++] = zero + 1
    return at
  }
  const wholeMs = Math.floor(ms)
  const seconds = Math.floor(wholeMs / 1000)
  at = writeDecimal(buffer, at, seconds)
  buffer[at++] = 0x2e
  return writePadded(buffer, at, wholeMs - seconds * 1000, 3)
}

/** Seconds with nine decimals, as the health check log has its latency: `0.019584011`. @param ms not negative */
export function writeSecondsToNanos(buffer: Buffer, at: number, ms: number): number {
  const nanos = Math.round(ms * 1_000_000)
  const seconds = Math.floor(nanos / 1_000_000_000)
  at = writeDecimal(buffer, at, seconds)
  buffer[at++] = 0x2e
  return writePadded(buffer, at, nanos - seconds * 1_000_000_000, 9)
}

/** `2025-12-11T13:28:14.162359Z` */
export function writeIsoMicros(buffer: Buffer, at: number, epochMs: number): number {
  const second = Math.floor(epochMs / 1000)
  at = writeSecond(buffer, at, second)
  at = writePadded(buffer, at, (epochMs - second * 1000) * 1000, 6)
  buffer[at++] = 0x5a
  return at
}

/** The same format from whole milliseconds, as the service writes creation times: `2025-12-11T13:28:14.359000Z`. */
export function writeIsoMillis(buffer: Buffer, at: number, epochMs: number): number {
  const second = Math.floor(epochMs / 1000)
  at = writeSecond(buffer, at, second)
  at = writePadded(buffer, at, epochMs - second * 1000, 3)
  buffer[at++] = zero
  buffer[at++] = zero
  buffer[at++] = zero
  buffer[at++] = 0x5a
  return at
}

/**
 * `2025-12-11T13:28:14.` of the last 64 seconds, each in the row of its second modulo 64: a line shows the time it
 * ended and the time it began, and the usual idle timeout of 60 s keeps both within reach.
 */
const prefixBytes = 20
const prefixRows = 64
const prefixes = Buffer.alloc(prefixRows * prefixBytes)
const prefixSeconds = new Float64Array(prefixRows).fill(-1)

/** @param second since the epoch, in the years 1970 to 9999 */
function writeSecond(buffer: Buffer, at: number, second: number): number {
  const row = second % prefixRows
  if (prefixSeconds[row] !== second) {
    prefixes.write(new Date(second * 1000).toISOString(), row * prefixBytes, prefixBytes, 'latin1')
    prefixSeconds[row] = second
  }
  const from = row * prefixBytes
  for (let i = 0; i < prefixBytes; i++) buffer[at + i] = prefixes[from + i]!
  return at + prefixBytes
}
