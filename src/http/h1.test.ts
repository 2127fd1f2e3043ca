import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BodyKind, BodyReader } from './h1.ts'

describe('a body reader', () => {
  it('takes no more than the length it was told', () => {
    const reader = new BodyReader()
    reader.start(BodyKind.length, 5, true)
    assert.equal(reader.read(Buffer.from('..abc'), 2, 5), 5)
    assert.deepEqual([reader.spanFrom, reader.spanTo, reader.remaining, reader.isDone], [2, 5, 2, false])
    assert.equal(reader.read(Buffer.from('deNEXT'), 0, 6), 2)
    assert.deepEqual([reader.spanFrom, reader.spanTo, reader.remaining, reader.isDone], [0, 2, 0, true])
  })

  it('counts a length beyond 32 bits exactly', () => {
    const reader = new BodyReader()
    reader.start(BodyKind.length, 999_999_999_999_999, true)
    reader.read(Buffer.from('abc'), 0, 3)
    assert.equal(reader.remaining, 999_999_999_999_996)
  })

  it('reads until the close without an end of its own', () => {
    const reader = new BodyReader()
    reader.start(BodyKind.untilClose, 0, true)
    assert.equal(reader.read(Buffer.from('abc'), 1, 3), 3)
    assert.deepEqual([reader.spanFrom, reader.spanTo, reader.isDone], [1, 3, false])
  })

  it('is done at once where there is no body', () => {
    const reader = new BodyReader()
    reader.start(BodyKind.none, 0, true)
    assert.equal(reader.isDone, true)
    assert.equal(reader.read(Buffer.from('NEXT'), 0, 4), 0)
    assert.equal(reader.spanFrom, reader.spanTo)
  })

  it('starts afresh after a body that was broken', () => {
    const reader = new BodyReader()
    reader.start(BodyKind.chunked, 0, true)
    reader.read(Buffer.from('5;x\r\nhelloX'), 0, 11)
    while (reader.fault === null) reader.read(Buffer.from('X'), 0, 1)
    reader.start(BodyKind.chunked, 0, false)
    assert.equal(reader.fault, null)
    const bytes = Buffer.from('1\r\na\r\n0\r\n\r\n')
    let at = 0
    let data = ''
    while (!reader.isDone) {
      at = reader.read(bytes, at, bytes.length)
      data += bytes.toString('latin1', reader.spanFrom, reader.spanTo)
    }
    assert.equal(data, 'a')
  })

  it('passes a chunked body that came whole on as one span', () => {
    const reader = new BodyReader()
    reader.start(BodyKind.chunked, 0, true)
    const bytes = Buffer.from('5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nNEXT')
    assert.equal(reader.read(bytes, 0, bytes.length), bytes.length - 4)
    assert.deepEqual([reader.spanFrom, reader.spanTo, reader.isDone], [0, bytes.length - 4, true])
  })
})
