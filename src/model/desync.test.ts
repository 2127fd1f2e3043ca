import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Desync, desyncReason, desyncReasons, endsConnections, graver, isBlocked } from './desync.ts'
import { desyncMitigationModes } from './resources.ts'

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

test('a reason gives way to one of a strictly higher tier only', () => {
  assert.equal(graver(0, Desync.SpaceInUri), Desync.SpaceInUri)
  assert.equal(graver(Desync.SpaceInUri, Desync.NonCompliantHeader), Desync.SpaceInUri)
  assert.equal(graver(Desync.SpaceInUri, Desync.EmptyHeader), Desync.EmptyHeader)
  assert.equal(graver(Desync.EmptyHeader, Desync.SpaceInUri), Desync.EmptyHeader)
  assert.equal(graver(Desync.BadUri, Desync.BadMethod), Desync.BadUri)
})

test('each mode does with each tier what the service does', () => {
  const byTier = [0, Desync.SpaceInUri, Desync.EmptyHeader, Desync.BadUri]
  const done = (reason: number, mode: (typeof desyncMitigationModes)[number]) =>
    isBlocked(reason, mode) ? 'block' : endsConnections(reason, mode) ? 'close' : 'allow'
  const table = desyncMitigationModes.map(mode => [mode, ...byTier.map(reason => done(reason, mode))])
  assert.deepEqual(table, [
    ['monitor', 'allow', 'allow', 'allow', 'allow'],
    ['defensive', 'allow', 'allow', 'close', 'block'],
    ['strictest', 'allow', 'block', 'block', 'block'],
  ])
})
