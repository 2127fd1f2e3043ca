import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IdSource } from './ids.ts'

test('a trace id holds the second in hexadecimal, eight digits of it', () => {
  const ids = new IdSource(bytes => bytes.fill(0xab))
  assert.equal(ids.traceRoot(0x693bb3f2 * 1000 + 999), `Root=1-693bb3f2-${'ab'.repeat(12)}`)
  assert.equal(ids.traceRoot(0x693bb3f3 * 1000), `Root=1-693bb3f3-${'ab'.repeat(12)}`)
  assert.equal(ids.traceRoot(1000), `Root=1-00000001-${'ab'.repeat(12)}`)
})

test('a connection id has the version and variant of a random UUID where its byte order puts them', () => {
  for (const byte of [0x00, 0x5a, 0xff]) {
    const id = new IdSource(bytes => bytes.fill(byte)).connectionTraceId()
    assert.match(id, /^TID_[0-9a-f]{14}4[0-9a-f][89ab][0-9a-f]{15}$/)
  }
})

test('identifiers are unique over many fillings of the pool', () => {
  const ids = new IdSource()
  const seen = new Set<string>()
  for (let i = 0; i < 5_000; i++) {
    seen.add(ids.traceRoot(0))
    seen.add(ids.connectionTraceId())
  }
  assert.equal(seen.size, 10_000)
})
