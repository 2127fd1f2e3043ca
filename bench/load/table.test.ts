import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFlat } from './flat.ts'
import type { Sample } from './measure.ts'
import type { PeerName } from './peers.ts'
import { median } from './statistics.ts'
import { loadTable } from './table.ts'

const none = { connect: 0, read: 0, write: 0, timeout: 0, status: 0 }

function sample(cpuUs: number, errors = none): Sample {
  const rates = { requestsPerSecond: 1, p50Ms: 1, p99Ms: 1, coreShare: 1, foreignShare: 0, logBytesPerRequest: null }
  return { cpuUs, userUs: 0, systemUs: cpuUs, requests: 1, errors, ...rates }
}

test('the median of an even number of values lies between the middle two', () => {
  assert.equal(median([10, 1, 3, 2]), 2.5)
})

test('the ratio compares values of the same round and leaves out rounds that one side missed', () => {
  const rounds = new Map<PeerName, (Sample | null)[]>([
    ['nginx', [sample(10), null, sample(40)]],
    ['openalb', [sample(20), sample(999), sample(60)]],
  ])
  const nginxRow = loadTable(rounds).split('\n')[1]!
  assert.match(nginxRow, / 1\.75× /)
})

test('an error in any round shows in the row', () => {
  const rounds = new Map<PeerName, (Sample | null)[]>([['nginx', [sample(10), sample(10, { ...none, status: 3 })]]])
  assert.match(loadTable(rounds), /3 non-2xx$/)
})

test('memory that keeps rising is not flat, also under the swings of a heap', () => {
  assert.equal(isFlat([100, 102, 104, 106, 108, 110, 112, 114, 116, 118]), false)
  assert.equal(isFlat([100, 108, 101, 112, 107, 118, 111, 122, 117, 126]), false)
})

test('memory that only swings, or creeps by less than a twentieth, is flat', () => {
  assert.equal(isFlat([160, 158, 148, 162, 154, 176, 164, 164, 172, 158]), true)
  assert.equal(isFlat([100, 100.3, 100.6, 100.9, 101.2, 101.5, 101.8, 102.1, 102.4, 102.7]), true)
})
