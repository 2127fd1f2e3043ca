import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../base/clock.ts'
import { Dates } from './dates.ts'

test('a date changes with its second and not before', () => {
  const clock = new ManualClock(Date.UTC(2026, 10, 21, 13, 13, 59, 500))
  const dates = new Dates(clock)
  assert.equal(dates.httpDate(499), 'Sat, 21 Nov 2026 13:13:59 GMT')
  assert.equal(dates.httpDate(500), 'Sat, 21 Nov 2026 13:14:00 GMT')
  assert.equal(dates.httpDate(1499), 'Sat, 21 Nov 2026 13:14:00 GMT')
})
