import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { turnEnd } from './turn.ts'

test('who waits for the end of a turn is called once, behind it, and those for whom no peer waits come last', async () => {
  const { afterTurn, afterOutput } = turnEnd()
  const called: string[] = []
  const waiter = (name: string) => ({ onTurnOver: () => void called.push(name) })
  afterOutput(waiter('record'))
  afterTurn(waiter('output'))
  afterOutput(waiter('another record'))
  afterTurn(waiter('another output'))
  assert.deepEqual(called, [])
  await setImmediate()
  assert.deepEqual(called, ['output', 'another output', 'record', 'another record'])
  await setImmediate()
  assert.equal(called.length, 4)
})

test('who asks at the end of a turn is called at the end of the next', async () => {
  const { afterTurn, afterOutput } = turnEnd()
  const called: string[] = []
  const last = { onTurnOver: () => void called.push('last') }
  afterTurn({
    onTurnOver: () => {
      called.push('first')
      afterOutput(last)
    },
  })
  await setImmediate()
  assert.deepEqual(called, ['first'])
  await setImmediate()
  assert.deepEqual(called, ['first', 'last'])
})
