import assert from 'node:assert/strict'
import { test } from 'node:test'
import { targetGroupSlotsMax, targetSlotsMax } from './limits.ts'
import { TargetStateCode, TargetStates, weightParity } from './target-states.ts'

test('fresh memory says that no target is in use, held back or starting slowly', () => {
  const states = new TargetStates()
  assert.equal(states.weight(targetSlotsMax - 1), weightParity)
  assert.equal(states.isSlowStarting(targetSlotsMax - 1), false)
  assert.equal(states.slowStartElapsedMs(targetSlotsMax - 1, Date.UTC(2026, 0, 1)), Infinity)
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
  states.setWeight(last, 1)
  states.beginSlowStart(last, 0)
  states.takeTurn(0)
  states.takeTurn(targetGroupSlotsMax - 1)
  assert.equal(states.state(0), TargetStateCode.healthy)
  assert.equal(states.state(1), TargetStateCode.unused)
  assert.equal(states.state(last), TargetStateCode.draining)
  assert.equal(states.requestsInFlight(last), 1)
  assert.equal(states.requestsInFlight(0), 0)
  assert.equal(states.weight(last), 1)
  assert.equal(states.weight(last - 1), weightParity)
  assert.equal(states.isSlowStarting(last), true)
  assert.equal(states.isSlowStarting(last - 1), false)
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

test('every change of a state, weight or slow start is another generation, counting is none', () => {
  const states = new TargetStates()
  let before = states.generation
  const changes = [
    () => states.setState(0, TargetStateCode.healthy),
    () => states.setWeight(0, 500),
    () => states.beginSlowStart(0, 0),
    () => states.endSlowStart(0),
    () => states.clearTarget(0),
  ]
  for (const change of changes) {
    change()
    assert.notEqual(states.generation, before)
    before = states.generation
  }
  states.addRequestInFlight(0)
  states.addRequestInFlightIf(0, 1)
  states.removeRequestInFlight(0)
  states.takeTurn(0)
  assert.equal(states.generation, before)
})

test('a weight is above 0 and at most parity', () => {
  const states = new TargetStates()
  for (const weight of [1, weightParity]) {
    states.setWeight(3, weight)
    assert.equal(states.weight(3), weight)
  }
  for (const weight of [0, weightParity + 1, Number.NaN]) assert.throws(() => states.setWeight(3, weight), /parity/)
})

test('one more is counted only when there still are as many as were seen', () => {
  const states = new TargetStates()
  assert.equal(states.addRequestInFlightIf(2, 0), true)
  assert.equal(states.addRequestInFlightIf(2, 0), false)
  assert.equal(states.addRequestInFlightIf(2, 2), false)
  assert.equal(states.requestsInFlight(2), 1)
  assert.equal(states.addRequestInFlightIf(2, 1), true)
  assert.equal(states.requestsInFlight(2), 2)
})

test('a slow start is measured in tenths of a second, across the wrap of its counter too', () => {
  const wrapMs = 2 ** 32 * 100
  for (const beganMs of [0, 50, Date.UTC(2026, 0, 1), wrapMs / 2 - 500, wrapMs - 500, wrapMs, wrapMs + 100]) {
    const states = new TargetStates()
    states.beginSlowStart(1, beganMs)
    assert.equal(states.isSlowStarting(1), true)
    const elapsedMs = states.slowStartElapsedMs(1, beganMs + 900_000)
    // The tick that would mean "not in slow start" begins one late.
    assert.ok(elapsedMs === 900_000 || (elapsedMs === 899_900 && beganMs % wrapMs < 100), `${beganMs}: ${elapsedMs}`)
    assert.equal(states.slowStartElapsedMs(1, beganMs + 1_000_099) % 100, 0)
    states.endSlowStart(1)
    assert.equal(states.isSlowStarting(1), false)
    assert.equal(states.slowStartElapsedMs(1, beganMs + 1000), Infinity)
  }
})

test('a slow start that began later elsewhere has a negative time', () => {
  const states = new TargetStates()
  states.beginSlowStart(1, 10_000)
  assert.equal(states.slowStartElapsedMs(1, 9_000), -1_000)
})

test('a cleared slot reads as fresh, but for what is in flight', () => {
  const states = new TargetStates()
  states.setState(4, TargetStateCode.draining)
  states.setWeight(4, 50)
  states.beginSlowStart(4, 1000)
  states.addRequestInFlight(4)
  states.clearTarget(4)
  assert.equal(states.state(4), TargetStateCode.unused)
  assert.equal(states.weight(4), weightParity)
  assert.equal(states.isSlowStarting(4), false)
  assert.equal(states.requestsInFlight(4), 1)
})
