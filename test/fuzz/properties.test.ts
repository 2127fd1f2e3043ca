/** What holds for every valid request. `FUZZ_SEED` repeats a run; a failure also prints the smallest message that fails. */

import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import fc from 'fast-check'
import { BodyKind, BodyReader } from '../../src/http/h1.ts'
import { replay } from '../transcripts/replay.ts'
import { escapeBytes } from '../transcripts/transcript.ts'
import { chunkedBody, dataOf, type Message, message, writeChunks, writeMessage } from './messages.ts'
import { runSeed } from './random.ts'

/** Positions as shares of the length, so that they shrink along with the message. */
const shares = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 })

function cutsAt(parts: readonly number[], length: number): readonly number[] {
  return parts.map(part => Math.floor(part * length)).sort((a, b) => a - b)
}

function check<Ts extends [unknown, ...unknown[]]>(t: TestContext, property: fc.IProperty<Ts>): void {
  const seed = runSeed()
  t.diagnostic(`FUZZ_SEED=${seed}`)
  fc.assert(property, { seed, numRuns: 1000 })
}

describe('a valid request', () => {
  it('is read as it was written', t => {
    check(
      t,
      fc.property(message, shares, (written, parts) => {
        const bytes = writeMessage(written)
        assert.deepEqual(readBack(bytes, cutsAt(parts, bytes.length)), expectedOf(written, bytes))
      }),
    )
  })

  it('is told apart from those before and behind it, however they are cut', t => {
    check(
      t,
      fc.property(fc.array(message, { minLength: 2, maxLength: 4 }), shares, (messages, parts) => {
        const each = messages.map(writeMessage)
        const bytes = Buffer.concat(each)
        const whole = replay('request', bytes)
        assert.deepEqual(replay('request', bytes, { cuts: cutsAt(parts, bytes.length) }), whole)
        const apart = each.flatMap(one => withoutOffsets(replay('request', one)))
        assert.deepEqual(withoutOffsets(whole), apart)
      }),
    )
  })
})

describe('a chunked body', () => {
  it('is passed on as the same data without extensions and trailers, however it is cut', t => {
    check(
      t,
      fc.property(chunkedBody, shares, shares, (body, parts, partsAgain) => {
        const came = writeChunks(body, true)
        const kept = readSpans(came, cutsAt(parts, came.length), true)
        assert.equal(escapeBytes(kept), escapeBytes(writeChunks(body, false)))
        const again = readSpans(kept, cutsAt(partsAgain, kept.length), false)
        assert.equal(escapeBytes(again), escapeBytes(dataOf(body)))
        assert.equal(escapeBytes(readSpans(came, cutsAt(parts, came.length), false)), escapeBytes(dataOf(body)))
      }),
    )
  })
})

/** Head line without the facts that follow from it, fields, data and the offset of the end. */
function readBack(bytes: Buffer, cuts: readonly number[]): readonly string[] {
  return replay('request', bytes, { cuts }).flatMap(line => {
    if (/^@\d+ head /.test(line)) return [line.replace(/( HTTP\/1\.1).*/, '$1')]
    if (line.startsWith('= ')) return []
    return / kept /.test(line) && line.startsWith('@') ? [] : [line.replace(/^@\d+ body/, 'body')]
  })
}

function expectedOf({ method, target, fields, body }: Message, bytes: Buffer): readonly string[] {
  const headEnd = bytes.indexOf('\r\n\r\n') + 3
  const lines = [`@${headEnd} head ${escapeText(`${method} ${target}`)} HTTP/1.1`, '  Host: a']
  if (body.kind === 'length') lines.push(`  Content-Length: ${body.data.length}`)
  if (body.kind === 'chunked') lines.push('  Transfer-Encoding: chunked')
  for (const { name, value } of fields)
    lines.push(`  ${escapeText(name)}:${value === '' ? '' : ` ${escapeText(value)}`}`)
  const data = dataOf(body)
  if (data.length > 0) lines.push(`body ${escapeBytes(data)}`)
  if (body.kind !== 'none') lines.push(`@${bytes.length - 1} end`)
  return lines
}

function escapeText(text: string): string {
  return escapeBytes(Buffer.from(text, 'latin1'))
}

function withoutOffsets(events: readonly string[]): readonly string[] {
  return events.map(line => line.replace(/^@\d+/, ''))
}

function readSpans(bytes: Buffer, cuts: readonly number[], keepsFraming: boolean): Buffer {
  const reader = new BodyReader()
  reader.start(BodyKind.chunked, 0, keepsFraming)
  const spans: Buffer[] = []
  let at = 0
  for (const end of [...cuts, bytes.length]) {
    while (at < end && !reader.isDone) {
      at = reader.read(bytes, at, end)
      assert.equal(reader.fault, null)
      spans.push(bytes.subarray(reader.spanFrom, reader.spanTo))
    }
  }
  assert(reader.isDone)
  assert.equal(at, bytes.length)
  return Buffer.concat(spans)
}
