import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { fieldsOf, usualBounds } from '../../../test/support/h2-endpoint.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { tokenByte, valueByte } from '../tables.ts'
import { FieldBlock } from './field-block.ts'
import { FieldDecoder } from './field-decoder.ts'
import {
  writeContentLength,
  writeField,
  writeFieldText,
  writeKnown,
  writeKnownText,
  writeMethod,
  writePath,
  writeScheme,
  writeStatus,
} from './field-writer.ts'
import { StaticName } from './static-table.ts'

function written(write: (out: ByteWriter) => void): Buffer {
  const out = new ByteWriter(1)
  write(out)
  return out.bytes.subarray(0, out.length)
}

function decoded(block: Buffer): FieldBlock {
  const fields = new FieldBlock()
  const bounds = { headerListBytesMax: 1e9, fieldBytesMax: 1e9, fieldsMax: 1e9 }
  assert(new FieldDecoder().decode(block, 0, block.length, fields, { ...usualBounds, ...bounds }), 'valid HPACK')
  return fields
}

function linesOf(block: Buffer): readonly string[] {
  return fieldsOf(decoded(block)).map(pair => pair.join(': '))
}

describe('fields are written', () => {
  // A 502 over HTTP/2 was logged with 192 bytes: two frame heads, 122 of body, and these. Some dates take one byte more.
  it('so that a 502 of the service has the 52 bytes that were seen of it', () => {
    const block = written(out => {
      writeStatus(out, 502)
      writeKnownText(out, StaticName.server, 'awselb/2.0')
      writeKnownText(out, StaticName.date, 'Sat, 12 Sep 2020 07:11:06 GMT')
      writeKnownText(out, StaticName.contentType, 'text/html')
      writeContentLength(out, 122)
    })
    assert.equal(block.length, 52)
    assert.deepEqual(linesOf(block), [
      ':status: 502',
      'server: awselb/2.0',
      'date: Sat, 12 Sep 2020 07:11:06 GMT',
      'content-type: text/html',
      'content-length: 122',
    ])
  })

  const statuses: readonly (readonly [number, string])[] = [
    [200, '88'],
    [204, '89'],
    [206, '8a'],
    [304, '8b'],
    [400, '8c'],
    [404, '8d'],
    [500, '8e'],
    [502, '4803353032'],
    [100, '4803313030'],
    [999, '4803393939'],
  ]
  for (const [status, hex] of statuses) {
    it(`in the shortest form that needs no table of ours: status ${status}`, () => {
      assert.equal(written(out => writeStatus(out, status)).toString('hex'), hex)
    })
  }

  it('from texts and from bytes alike, names in lower case', () => {
    const head = Buffer.from('xxContent-Type: text/html, X-Odd_Name: ~~~')
    const fromBytes = written(out => {
      writeField(out, head, 2, 14, 16, 25)
      writeField(out, head, 27, 37, 39, 42)
      writeKnown(out, StaticName.location, head, 16, 25)
    })
    const fromTexts = written(out => {
      writeFieldText(out, 'content-type', 'text/html')
      writeFieldText(out, 'X-ODD_NAME', '~~~')
      writeKnownText(out, StaticName.location, 'text/html')
    })
    assert.deepEqual(fromBytes, fromTexts)
    assert.deepEqual(linesOf(fromBytes), ['content-type: text/html', 'x-odd_name: ~~~', 'location: text/html'])
    assert.equal(head.toString(), 'xxContent-Type: text/html, X-Odd_Name: ~~~', 'which is left as it is')
  })

  it('with names of the static table by index and for the table, others in full and for none', () => {
    assert.equal(written(out => writeFieldText(out, 'date', '\x01')).toString('hex'), '610101')
    assert.equal(written(out => writeFieldText(out, 'a', '\x01')).toString('hex'), '0001610101')
    assert.equal(written(out => writeFieldText(out, 'www-authenticate', '\x01')).toString('hex'), '7d0101')
  })

  it('in Huffman code only where that is shorter', () => {
    assert.equal(written(out => writeFieldText(out, 'date', 'XX')).toString('hex'), '61025858')
    assert.equal(written(out => writeFieldText(out, 'date', 'aaa')).toString('hex'), '618218c7')
    assert.equal(written(out => writeFieldText(out, 'X', '')).toString('hex'), '00017800', 'a name that stays plain')
  })

  it('never for a table, where they came so', () => {
    const head = Buffer.from('Authorization: x')
    const block = written(out => {
      writeField(out, head, 0, 13, 15, 16, true)
      writeField(out, head, 1, 4, 15, 16, true)
      writeKnownText(out, StaticName.date, 'x', true)
      writeContentLength(out, 1, true)
    })
    const fields = decoded(block)
    assert.deepEqual(
      [0, 1, 2, 3].map(i => fields.isNeverIndexed(i)),
      [true, true, true, true],
    )
    assert.deepEqual(linesOf(block), ['authorization: x', 'uth: x', 'date: x', 'content-length: 1'])
    const path = written(out => writePath(out, Buffer.from('/'), 0, 1, true))
    assert.deepEqual([decoded(path).isNeverIndexed(0), ...linesOf(path)], [true, ':path: /'])
  })

  it('as requests have them', () => {
    const bytes = Buffer.from('GETPOSTPUT//index.html')
    const block = written(out => {
      writeMethod(out, bytes, 0, 3)
      writeMethod(out, bytes, 3, 7)
      writeMethod(out, bytes, 7, 10)
      writeScheme(out, 'http')
      writeScheme(out, 'https')
      writePath(out, bytes, 10, 11)
      writePath(out, bytes, 11, 22)
    })
    assert.equal(block.toString('hex').startsWith('828342'), true)
    assert.equal(decoded(block).fault, 'malformed', 'they are too many for one request')
    for (const [write, line] of [
      [(out: ByteWriter) => writeMethod(out, bytes, 7, 10), ':method: PUT'],
      [(out: ByteWriter) => writeScheme(out, 'https'), ':scheme: https'],
      [(out: ByteWriter) => writePath(out, bytes, 11, 22), ':path: /index.html'],
      [(out: ByteWriter) => writePath(out, bytes, 10, 11), ':path: /'],
    ] as const) {
      assert.deepEqual(linesOf(written(write)), [line])
    }
  })

  it('so that any decoder finds them again, whatever they are', () => {
    const bytesOf = (allowed: (byte: number) => boolean, minLength: number, maxLength: number) =>
      fc
        .array(fc.constantFrom(...[...Array(256).keys()].filter(allowed)), { minLength, maxLength })
        .map(codes => Buffer.from(codes).toString('latin1'))
    const name = bytesOf(byte => tokenByte[byte] === 1, 1, 300).map(text => `x${text}`)
    const value = bytesOf(byte => valueByte[byte] === 1, 0, 300).map(text => text.replace(/^[ \t]+|[ \t]+$/g, ''))
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value, fc.boolean()), { maxLength: 8 }), all => {
        const block = written(out => {
          for (const [name, value, isNeverIndexed] of all) {
            const head = Buffer.from(`${name}:${value}`, 'latin1')
            writeField(out, head, 0, name.length, name.length + 1, head.length, isNeverIndexed)
          }
        })
        const fields = decoded(block)
        assert.equal(fields.fault, null)
        assert.deepEqual(
          fieldsOf(fields),
          all.map(([name, value]) => [name.replace(/[A-Z]/g, letter => letter.toLowerCase()), value]),
        )
        for (const [i, [, , isNeverIndexed]] of all.entries()) assert.equal(fields.isNeverIndexed(i), isNeverIndexed)
      }),
    )
  })

  it('however long they are', () => {
    for (const size of [126, 127, 128, 254, 255, 16_383, 16_511, 70_000]) {
      const value = '\x01'.repeat(size)
      const block = written(out => writeFieldText(out, 'date', `a${'b'.repeat(size)}`))
      assert.deepEqual(linesOf(block), [`date: a${'b'.repeat(size)}`])
      const raw = written(out => writeFieldText(out, 'date', value))
      assert(raw.length > size && raw.length <= size + 5)
    }
    for (const length of [0, 9, 10, 999_999_999_999_999]) {
      assert.deepEqual(linesOf(written(out => writeContentLength(out, length))), [`content-length: ${length}`])
    }
  })
})
