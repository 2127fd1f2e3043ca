import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  escapedBytesMax,
  writeAscii,
  writeBytes,
  writeDecimal,
  writeEscaped,
  writeEscapedText,
  writeIsoMicros,
  writeIsoMillis,
  writeSeconds,
  writeSecondsToNanos,
} from './log-text.ts'

const marginBytes = 3

/** Runs one of the functions in the middle of a buffer and checks that it stays between `at` and what it returns. */
function written(write: (buffer: Buffer, at: number) => number, room = 8192): string {
  const buffer = Buffer.alloc(room, '~')
  const end = write(buffer, marginBytes)
  assert.equal(buffer.toString('latin1', 0, marginBytes), '~~~')
  assert.ok(buffer.subarray(end).every(byte => byte === 0x7e))
  return buffer.toString('latin1', marginBytes, end)
}

const epochMs = fc.integer({ min: Date.UTC(2000, 0, 1), max: Date.UTC(2100, 0, 1) })

test('text and bytes of any length arrive as they are', () => {
  const text = fc.string({
    unit: fc.integer({ min: 32, max: 125 }).map(code => String.fromCharCode(code)),
    maxLength: 200,
  })
  fc.assert(
    fc.property(text, fc.nat(5), (content, before) => {
      assert.equal(
        written((buffer, at) => writeAscii(buffer, at, content)),
        content,
      )
      const source = Buffer.from(`${'#'.repeat(before)}${content}#`)
      const end = before + content.length
      assert.equal(
        written((buffer, at) => writeBytes(buffer, at, source, before, end)),
        content,
      )
    }),
  )
})

test('a quote, a backslash, controls and bytes from 0x7f are escaped, the rest is kept', () => {
  const source = Buffer.from('a "b" \\ \r\n\t\x00\x7f\xff~', 'latin1')
  assert.equal(
    written((buffer, at) => writeEscaped(buffer, at, source, 0, source.length)),
    'a \\x22b\\x22 \\x5C \\x0D\\x0A\\x09\\x00\\x7F\\xFF~',
  )
})

test('text that holds bytes is escaped as the bytes are', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), source => {
      const bytes = Buffer.from(source)
      const text = bytes.toString('latin1')
      assert.equal(
        written((buffer, at) => writeEscapedText(buffer, at, text)),
        written((buffer, at) => writeEscaped(buffer, at, bytes, 0, bytes.length)),
      )
    }),
  )
})

test('escaped text stays within its quotes, within its line and within its bound, and can be read back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), (bytes, cut) => {
      const source = Buffer.from(bytes)
      const from = Math.min(cut, source.length)
      const text = written((buffer, at) => writeEscaped(buffer, at, source, from, source.length))
      assert.match(text, /^[ !#-~]*$/)
      assert.ok(text.length <= (source.length - from) * escapedBytesMax)
      const back = text.replace(/\\x([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
      assert.deepEqual([...Buffer.from(back, 'latin1')], [...source.subarray(from)])
    }),
  )
})

test('a number is written as JavaScript writes it', () => {
  const around = fc.constantFrom(0, 9, 10, 99, 100, 999_999_999, 1_000_000_000, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 1e15)
  const number = fc.oneof(around, fc.integer(), fc.maxSafeInteger())
  fc.assert(
    fc.property(number, n => {
      assert.equal(
        written((buffer, at) => writeDecimal(buffer, at, n)),
        String(n),
      )
    }),
  )
})

test('a latency is shown in seconds to the nanosecond', () => {
  const seconds = (ms: number): string => written((buffer, at) => writeSecondsToNanos(buffer, at, ms))
  assert.equal(seconds(0), '0.000000000')
  assert.equal(seconds(19.584011), '0.019584011')
  assert.equal(seconds(1121.980746), '1.121980746')
  assert.equal(seconds(120_000), '120.000000000')
  assert.equal(seconds(999.9999999), '1.000000000')
})

test('a time is shown in seconds with its whole milliseconds, and one not taken as -1', () => {
  const seconds = (ms: number): string => written((buffer, at) => writeSeconds(buffer, at, ms))
  assert.equal(seconds(0), '0.000')
  assert.equal(seconds(0.999), '0.000')
  assert.equal(seconds(1), '0.001')
  assert.equal(seconds(11083.7), '11.083')
  assert.equal(seconds(60_004), '60.004')
  assert.equal(seconds(-1), '-1')
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e10, noNaN: true }), ms => {
      const whole = String(Math.floor(ms)).padStart(4, '0')
      assert.equal(seconds(ms), `${whole.slice(0, -3)}.${whole.slice(-3)}`)
    }),
  )
})

test('a time of day is that of Date, with microseconds behind it', () => {
  fc.assert(
    fc.property(epochMs, fc.nat(999), (ms, micros) => {
      const expected = new Date(ms).toISOString().replace('Z', `${String(micros).padStart(3, '0')}Z`)
      // Half a microsecond more, because a double of this size is exact to a quarter of one only.
      const time = ms + (micros + 0.5) / 1000
      assert.equal(
        written((buffer, at) => writeIsoMicros(buffer, at, time)),
        expected,
      )
      assert.equal(
        written((buffer, at) => writeIsoMillis(buffer, at, time)),
        new Date(ms).toISOString().replace('Z', '000Z'),
      )
    }),
  )
})

test('times that go back and forth never see the second of another', () => {
  const start = Date.UTC(2025, 11, 31, 23, 59, 0)
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -200_000, max: 200_000 }), { minLength: 20 }), offsets => {
      for (const offset of offsets) {
        const expected = new Date(start + offset).toISOString().replace('Z', '000Z')
        assert.equal(
          written((buffer, at) => writeIsoMicros(buffer, at, start + offset)),
          expected,
        )
      }
    }),
  )
})
