import assert from 'node:assert/strict'
import { test } from 'node:test'
import { targetGroupSlotsMax, targetSlotsMax } from './limits.ts'
import { TargetStateCode, TargetStates } from './target-states.ts'

test('fresh memory says that no target is in use', () => {
  const states = new TargetStates()
  assert.equal(states.state(targetSlotsMax - 1), TargetStateCode.unused)
  assert.equal(states.requestsInFlight(targetSlotsMax - 1), 0)
  assert.equal(states.takeTurn(targetGroupSlotsMax - 1), 0)
})

test('rows do not touch each other, at the ends of the memory either', () => {
  const states = new TargetStates()
  const last = targetSlotsMax - 1
  states.setState(0, TargetStateCode.healthy)
  states.setState(last, TargetStateCode.draining)
  states.addRequestInFlight(last)
  states.takeTurn(0)
  states.takeTurn(targetGroupSlotsMax - 1)
  assert.equal(states.state(0), TargetStateCode.healthy)
  assert.equal(states.state(1), TargetStateCode.unused)
  assert.equal(states.state(last), TargetStateCode.draining)
  assert.equal(states.requestsInFlight(last), 1)
  assert.equal(states.requestsInFlight(0), 0)
  assert.equal(states.takeTurn(0), 1)
  assert.equal(states.takeTurn(1), 0)
  states.removeRequestInFlight(last)
  assert.equal(states.requestsInFlight(last), 0)
})

test('two views of one memory see the same', () => {
  const one = new TargetStates()
  const other = new TargetStates(one.memory)
  const { generation } = other
  one.setState(5, TargetStateCode.unhealthy)
  assert.equal(other.state(5), TargetStateCode.unhealthy)
  assert.notEqual(other.generation, generation)
  assert.equal(one.takeTurn(3), 0)
  assert.equal(other.takeTurn(3), 1)
})

test('a turn never becomes negative, however many were taken', () => {
  const states = new TargetStates()
  new Int32Array(states.memory).fill(2 ** 31 - 1)
  assert.equal(states.takeTurn(0), 2 ** 31 - 1)
  assert.equal(states.takeTurn(0), 2 ** 31)
  new Int32Array(states.memory).fill(-1)
  assert.equal(states.takeTurn(0), 2 ** 32 - 1)
  assert.equal(states.takeTurn(0), 0)
})
