import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oid, tagged } from '../../../test/support/der.ts'
import { contextTag, DerError, DerReader, formatOid, Tag } from './der.ts'

const read = (hex: string) => new DerReader(Buffer.from(hex.replaceAll(' ', ''), 'hex'))

test('elements are read one after the other, and what holds others is entered', () => {
  const reader = read('30 06 02 01 05 04 01 ff 05 00')
  const sequence = reader.enter(Tag.sequence)
  assert.deepEqual([...sequence.integer()], [5])
  assert.equal(sequence.tag, Tag.octetString)
  assert.deepEqual([...sequence.element()], [4, 1, 0xff])
  assert.equal(sequence.tag, -1)
  sequence.finish()
  assert.equal(reader.at, 8)
  reader.skip()
  reader.finish()
})

test('a field that is not there is null, and the next one stays', () => {
  const reader = read('81 01 07')
  assert.equal(reader.enterIf(contextTag(0, 'primitive')), null)
  assert.equal(reader.contentIf(contextTag(1, 'constructed')), null)
  assert.deepEqual([...reader.contentIf(contextTag(1, 'primitive'))!], [7])
})

test('long lengths have as many bytes as they need', () => {
  for (const size of [0, 127, 128, 255, 256, 65_535, 65_536]) {
    assert.equal(new DerReader(tagged(0x04, Buffer.alloc(size))).content(Tag.octetString).length, size)
  }
})

const refused: readonly (readonly [what: string, hex: string, read: (reader: DerReader) => unknown])[] = [
  ['nothing', '', reader => reader.skip()],
  ['a tag alone', '30', reader => reader.skip()],
  ['a tag of several bytes', '1f 81 01 00', reader => reader.skip()],
  ['an indefinite length', '30 80 00 00', reader => reader.skip()],
  ['a length of more than four bytes', '30 85 00 00 00 00 01 00', reader => reader.skip()],
  ['a length cut off', '30 82 01', reader => reader.skip()],
  ['a long length where a short one would do', '04 81 7f', reader => reader.skip()],
  ['a length with a zero in front', '04 82 00 80', reader => reader.skip()],
  ['content cut off', '04 03 01 02', reader => reader.skip()],
  ['an element longer than what holds it', '30 02 04 01', reader => reader.enter(Tag.sequence).skip()],
  ['another tag than expected', '04 00', reader => reader.enter(Tag.sequence)],
  ['something behind the last', '05 00', reader => reader.finish()],
  ['an integer without bytes', '02 00', reader => reader.integer()],
  ['an integer padded with zeros', '02 02 00 7f', reader => reader.integer()],
  ['a negative integer padded', '02 02 ff 80', reader => reader.integer()],
  ['a negative number where a small one is due', '02 01 ff', reader => reader.smallInteger(10)],
  ['a number that is too large', '02 01 0b', reader => reader.smallInteger(10)],
  ['a number of five bytes', '02 05 01 00 00 00 00', reader => reader.smallInteger(2 ** 32)],
  ['a boolean that is half true', '01 01 01', reader => reader.boolean()],
  ['a boolean of two bytes', '01 02 ff ff', reader => reader.boolean()],
  ['bits that do not fill a byte', '03 02 04 f0', reader => reader.bytesOfBits()],
  ['bits without a word about the last byte', '03 00', reader => reader.flags()],
  ['flags of which more than a byte is unused', '03 02 08 00', reader => reader.flags()],
  ['a time without seconds', `17 0b ${Buffer.from('2501010000Z').toString('hex')}`, reader => reader.time()],
  ['the 31st of June', `17 0d ${Buffer.from('250631000000Z').toString('hex')}`, reader => reader.time()],
  ['the 25th hour', `17 0d ${Buffer.from('250630240000Z').toString('hex')}`, reader => reader.time()],
  ['a time elsewhere', `17 11 ${Buffer.from('250630120000+0100').toString('hex')}`, reader => reader.time()],
  ['a time with a fraction', `18 11 ${Buffer.from('20250630120000.5Z').toString('hex')}`, reader => reader.time()],
]
for (const [what, hex, use] of refused) {
  test(`refused: ${what}`, () => {
    assert.throws(() => use(read(hex)), DerError)
  })
}

test('times of both kinds, in the century that is meant', () => {
  const time = (tag: number, text: string) =>
    new Date(new DerReader(tagged(tag, Buffer.from(text))).time()).toISOString()
  assert.equal(time(Tag.utcTime, '491231235959Z'), '2049-12-31T23:59:59.000Z')
  assert.equal(time(Tag.utcTime, '500101000000Z'), '1950-01-01T00:00:00.000Z')
  assert.equal(time(Tag.generalizedTime, '20500228000000Z'), '2050-02-28T00:00:00.000Z')
  assert.equal(time(Tag.generalizedTime, '99991231235959Z'), '9999-12-31T23:59:59.000Z')
  assert.equal(time(Tag.generalizedTime, '00010101000000Z'), '0001-01-01T00:00:00.000Z')
})

test('numbers keep their sign bit, and small ones become numbers', () => {
  assert.deepEqual([...read('02 02 00 80').integer()], [0, 0x80])
  assert.deepEqual([...read('02 01 80').integer()], [0x80])
  assert.equal(read('02 02 01 00').smallInteger(256), 256)
  assert.equal(read('02 01 00').smallInteger(0), 0)
})

test('flags are numbered from the first bit on', () => {
  assert.equal(read('03 02 05 a0').flags(), 0b101)
  assert.equal(read('03 03 07 00 80').flags(), 1 << 8)
  assert.equal(read('03 01 00').flags(), 0)
})

test('object identifiers are written with dots', () => {
  for (const dotted of ['2.5.4.3', '1.2.840.113549.1.1.11', '0.9.2342.19200300.100.1.25', '2.999.1', '1.39', '0.0']) {
    assert.equal(formatOid(new DerReader(oid(dotted)).content(Tag.oid)), dotted)
  }
  assert.equal(formatOid(Buffer.from('69818080808080808001', 'hex')), '2.25.72057594037927937')
  for (const broken of ['', '80', '5580', '558001']) {
    assert.throws(() => formatOid(Buffer.from(broken, 'hex')), DerError)
  }
})
