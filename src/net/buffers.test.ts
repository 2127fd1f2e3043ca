import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Buffers, OutBuffer } from './buffers.ts'
import type { Connection } from './connection.ts'

/** Where a buffer is sent to; `isTaken` is whether the kernel takes everything at once. */
function receiver(isTaken: boolean) {
  const sent: Buffer[] = []
  const send = (bytes: Buffer) => {
    sent.push(bytes)
    return isTaken
  }
  return { sent, connection: { send } as unknown as Connection }
}

describe('an out buffer', () => {
  it('puts text, numbers and pieces of other buffers together', () => {
    const out = new OutBuffer()
    out.ascii('a ')
    for (const value of [0, 9, 10, 4_294_967_296, 999_999_999_999_999]) {
      out.decimal(value)
      out.ascii(' ')
    }
    const source = Buffer.from('x'.repeat(48) + 'y'.repeat(49))
    out.copy(source, 0, 48)
    out.copy(source, 48, 97)
    const { sent, connection } = receiver(true)
    out.sendTo(connection)
    assert.equal(String(sent[0]), `a 0 9 10 4294967296 999999999999999 ${'x'.repeat(48)}${'y'.repeat(49)}`)
    assert.equal(out.length, 0)
  })

  it('grows without losing what it holds, and shrinks once that was sent', () => {
    const out = new OutBuffer()
    const { length } = out.bytes
    out.ascii('start')
    const large = Buffer.alloc(length * 3, 'z')
    out.reserve(large.length)
    out.copy(large, 0, large.length)
    const { sent, connection } = receiver(true)
    out.sendTo(connection)
    assert.equal(String(sent[0]), `start${large}`)
    assert.equal(out.bytes.length, length)
  })

  it('does not write again into memory that a socket still reads from', () => {
    const out = new OutBuffer()
    const { sent, connection } = receiver(false)
    out.ascii('first')
    out.sendTo(connection)
    out.ascii('other')
    out.sendTo(connection)
    assert.deepEqual(sent.map(String), ['first', 'other'])
  })
})

describe('a pool of buffers', () => {
  it('hands out what was given back, and never the same twice', () => {
    const buffers = new Buffers()
    const [a, b] = [buffers.take(), buffers.take()]
    assert.notEqual(a, b)
    buffers.give(a)
    assert.equal(buffers.take(), a)
    assert.notEqual(buffers.take(), a)
  })

  it('keeps a bounded number', () => {
    const buffers = new Buffers()
    const taken = Array.from({ length: 200 }, () => buffers.take())
    for (const buffer of taken) buffers.give(buffer)
    const again = Array.from({ length: 200 }, () => buffers.take())
    assert.equal(again.filter(buffer => taken.includes(buffer)).length, 64)
  })
})
