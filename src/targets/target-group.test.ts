import assert from 'node:assert/strict'
import { test } from 'node:test'
import { targetGroupArn } from '../model/arns.ts'
import type { SnapshotTarget, SnapshotTargetGroup } from '../model/snapshot.ts'
import { TargetStateCode, TargetStates } from '../model/target-states.ts'
import type { TargetConnection } from './target-connection.ts'
import { Target, TargetGroup, TargetRegistry } from './target-group.ts'

const arn = targetGroupArn('app', '0123456789abcdef')
const described = (slot: number): SnapshotTarget => ({ ip: '10.0.0.1', port: 8000 + slot, slot })
const group = (...slots: readonly number[]): SnapshotTargetGroup => ({
  arn,
  name: 'app',
  slot: 0,
  attributes: {
    deregistrationDelaySeconds: 300,
    algorithm: 'round_robin',
    anomalyMitigation: false,
    slowStartSeconds: 0,
    stickiness: null,
  },
  targets: slots.map(described),
})

function groupOf(count: number): TargetGroup {
  const targets = Array.from({ length: count }, (_, slot) => new Target(described(slot), 60_000))
  return new TargetGroup(arn, 0, targets)
}

function picks(from: TargetGroup, states: TargetStates, count: number): (number | undefined)[] {
  return Array.from({ length: count }, () => from.pickTarget(states)?.slot)
}

test('an empty group has nothing to pick', () => {
  assert.equal(groupOf(0).pickTarget(new TargetStates()), null)
})

test('whatever the states, targets that may be used take even turns', () => {
  const codes = Object.values(TargetStateCode)
  for (let combination = 0; combination < codes.length ** 3; combination++) {
    const states = new TargetStates()
    const of = [0, 1, 2].map(slot => codes[Math.floor(combination / codes.length ** slot) % codes.length]!)
    for (const [slot, state] of of.entries()) states.setState(slot, state)
    const healthy = [0, 1, 2].filter(slot => of[slot] === TargetStateCode.healthy)
    const expected = healthy.length === 0 ? [0, 1, 2] : healthy
    const picked = picks(groupOf(3), states, expected.length * 4)
    for (const slot of expected) assert.equal(picked.filter(each => each === slot).length, 4, `states ${of}`)
  }
})

test('two workers share one turn', () => {
  const states = new TargetStates()
  const elsewhere = new TargetStates(states.memory)
  const [one, other] = [groupOf(3), groupOf(3)]
  const picked = [one.pickTarget(states), other.pickTarget(elsewhere), one.pickTarget(states)]
  assert.deepEqual(
    picked.map(target => target?.slot),
    [0, 1, 2],
  )
})

test('a state that another thread sets is seen at the next pick', () => {
  const states = new TargetStates()
  const checker = new TargetStates(states.memory)
  const from = groupOf(2)
  assert.deepEqual(new Set(picks(from, states, 2)), new Set([0, 1]))
  checker.setState(1, TargetStateCode.healthy)
  assert.deepEqual(picks(from, states, 2), [1, 1])
  checker.setState(1, TargetStateCode.unhealthy)
  assert.deepEqual(new Set(picks(from, states, 2)), new Set([0, 1]))
})

test('addresses are written as logs write them', () => {
  assert.equal(new Target({ ip: '10.0.0.1', port: 80, slot: 0 }, 0).address, '10.0.0.1:80')
  assert.equal(new Target({ ip: '::1', port: 80, slot: 0 }, 0).address, '[::1]:80')
})

test('a target survives new snapshots with its connections, and takes the new idle timeout', () => {
  const registry = new TargetRegistry()
  registry.apply([group(0, 1)], () => 60_000)
  const before = registry.group(arn).targets[0]!
  registry.apply([group(2, 0)], () => 10_000)
  assert.equal(registry.group(arn).targets[1], before)
  assert.equal(before.idleTimeoutMs, 10_000)
  assert.equal(before.isRegistered, true)
})

test('a target that is gone closes its idle connections; one that comes back is another', () => {
  const registry = new TargetRegistry()
  registry.apply([group(0)], () => 60_000)
  const gone = registry.group(arn).targets[0]!
  let closed = 0
  const connection = { close: () => closed++ } as unknown as TargetConnection
  gone.idle.push(connection, connection)
  registry.apply([group()], () => 60_000)
  assert.equal(closed, 2)
  assert.equal(gone.isRegistered, false)
  assert.deepEqual(gone.idle, [])
  registry.apply([group(0)], () => 60_000)
  assert.notEqual(registry.group(arn).targets[0], gone)
})

test('a group that no snapshot named is our own mistake', () => {
  assert.throws(() => new TargetRegistry().group(arn), /unknown target group: arn:aws:.*targetgroup\/app/)
})
