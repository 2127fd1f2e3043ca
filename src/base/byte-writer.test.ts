import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from './byte-writer.ts'

test('numbers are written in decimal and hexadecimal as texts have them', () => {
  for (const value of [0, 1, 9, 10, 15, 16, 99, 100, 255, 256, 4096, 65_535, 0xabcdef, 2 ** 31, 2 ** 32 - 1]) {
    const out = new ByteWriter(32)
    out.decimal(value)
    out.ascii(' ')
    out.hexadecimal(value)
    assert.equal(out.bytes.toString('latin1', 0, out.length), `${value} ${value.toString(16)}`)
  }
})
