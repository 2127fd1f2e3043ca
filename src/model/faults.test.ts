import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FaultRow, faultCodes, faultRow, faults } from './faults.ts'

const rows = faultCodes.map((code): [string, FaultRow] => [code, faultRow(code)])

test('the codes are those of the table, in its order', () => {
  assert.deepEqual(faultCodes, Object.keys(faults))
  assert.equal(new Set(faultCodes).size, faultCodes.length)
})

for (const [code, row] of rows) {
  test(`${code} says nothing that contradicts itself`, () => {
    // Whoever is sent something is sent a status; without one, the response had begun or was never begun.
    if (row.answer !== 'none') assert.notEqual(row.status, null)
    // Where nothing is sent, nobody could tell where the next response begins; save on streams, which are reset.
    if (row.answer === 'none' && code !== 'clientStreamMalformed') assert.equal(row.connection, 'close')
    if (row.side === 'client' && row.status !== null)
      assert.ok(row.status === 501 || row.status === 505 || row.status < 500)
    if (row.side !== 'client' && row.status !== null) assert.ok([500, 502, 503, 504, 507].includes(row.status))
    // A time of the target is taken where the target ended it, not where the load balancer gave up.
    if (row.status === 504 || row.status === 503) assert.equal(row.targetTime, 'unset')
    if (row.metrics.includes('TargetConnectionErrorCount')) assert.equal(row.targetTime, 'unset')
    assert.match(row.text, /^[a-zA-Z].*[^.]$/)
  })
}
