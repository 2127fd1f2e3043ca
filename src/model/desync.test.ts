import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Desync, desyncReason, desyncReasons } from './desync.ts'

test('every reason is found by its name and by its number', () => {
  for (const [index, row] of desyncReasons.entries()) {
    assert.equal(Desync[row.reason], index)
    assert.deepEqual(desyncReason(index), row)
  }
  assert.equal(new Set(desyncReasons.map(({ reason }) => reason)).size, desyncReasons.length)
})

test('0 is a compliant request, and the only one', () => {
  assert.deepEqual(desyncReason(0), { tier: 'Compliant', reason: '-' })
  assert.equal(desyncReasons.filter(({ tier }) => tier === 'Compliant').length, 1)
})

test('reasons are ordered by their severity', () => {
  const tiers = ['Compliant', 'Acceptable', 'Ambiguous', 'Severe']
  const ranks = desyncReasons.map(({ tier }) => tiers.indexOf(tier))
  assert.deepEqual(ranks, ranks.toSorted())
})
