import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from './clock.ts'
import { cpuShareMeter } from './cpu-share.ts'

test('computing shows, once a second is over', () => {
  const clock = new ManualClock()
  const cpuShare = cpuShareMeter(clock)
  const { user } = process.cpuUsage()
  while (process.cpuUsage().user < user + 200_000);
  clock.advance(999)
  assert.equal(cpuShare(), 0)
  clock.advance(1)
  const computing = cpuShare()
  assert.ok(computing > 0 && computing <= 1, `${computing}`)
  clock.advance(1_000)
  const idle = cpuShare()
  assert.ok(idle < computing, `${idle} after a second without, ${computing} after one of it`)
})
