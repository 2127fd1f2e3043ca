import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { targetGroupArn } from '../model/arns.ts'
import type { TargetGroupAttributes } from '../model/resources.ts'
import type { SnapshotTarget, SnapshotTargetGroup } from '../model/snapshot.ts'
import { TargetStateCode, TargetStates } from '../model/target-states.ts'
import type { TargetConnection } from './target-connection.ts'
import type { PickingReport, PickingWork } from './target-group.test-process.ts'
import { slowStartShareMin, Target, TargetGroup, TargetRegistry } from './target-group.ts'

const arn = targetGroupArn('app', '0123456789abcdef')
const described = (slot: number): SnapshotTarget => ({ ip: '10.0.0.1', port: 8000 + slot, slot })
const roundRobin: TargetGroupAttributes = {
  deregistrationDelaySeconds: 300,
  algorithm: 'round_robin',
  anomalyMitigation: false,
  slowStartSeconds: 0,
  stickiness: null,
  crossZone: true,
  routingThreshold: { count: 1, percentage: null },
  dnsThreshold: { count: 1, percentage: null },
}
const leastOutstanding: TargetGroupAttributes = { ...roundRobin, algorithm: 'least_outstanding_requests' }
const weightedRandom: TargetGroupAttributes = { ...roundRobin, algorithm: 'weighted_random' }
const slowStart: TargetGroupAttributes = { ...roundRobin, slowStartSeconds: 100 }
const epochMs = Date.UTC(2026, 0, 1)

function group(slots: readonly number[], attributes = roundRobin): SnapshotTargetGroup {
  return {
    arn,
    name: 'app',
    slot: 0,
    node: 0,
    protocol: 'HTTP',
    protocolVersion: 'HTTP1',
    attributes,
    targets: slots.map(described),
    targetsElsewhere: [],
  }
}

function groupOf(count: number, attributes = roundRobin, random?: () => number): TargetGroup {
  const description = group([...Array(count).keys()], attributes)
  return new TargetGroup(
    description,
    description.targets.map(target => new Target(target, 60_000)),
    random,
  )
}

function picks(from: TargetGroup, states: TargetStates, count: number, atMs = epochMs): (number | undefined)[] {
  return Array.from({ length: count }, () => from.takeTarget(states, atMs)?.slot)
}

function inFlight(states: TargetStates, count: number): number[] {
  return Array.from({ length: count }, (_, slot) => states.requestsInFlight(slot))
}

const algorithms = [roundRobin, leastOutstanding, weightedRandom]

test('an empty group has nothing to pick', () => {
  for (const attributes of algorithms)
    assert.equal(groupOf(0, attributes).takeTarget(new TargetStates(), epochMs), null)
})

test('whoever is picked has one request more in flight, whatever the algorithm', () => {
  for (const attributes of algorithms) {
    const states = new TargetStates()
    const from = groupOf(3, attributes)
    const expected = [0, 0, 0]
    for (let pick = 0; pick < 50; pick++) {
      expected[from.takeTarget(states, epochMs)!.slot]!++
      assert.deepEqual(inFlight(states, 3), expected)
    }
  }
})

test('whatever the states and the algorithm, all targets that may be used are picked and no other', () => {
  const codes = Object.values(TargetStateCode)
  for (const attributes of algorithms) {
    for (let combination = 0; combination < codes.length ** 3; combination++) {
      const states = new TargetStates()
      const of = [0, 1, 2].map(slot => codes[Math.floor(combination / codes.length ** slot) % codes.length]!)
      for (const [slot, state] of of.entries()) states.setState(slot, state)
      const healthy = [0, 1, 2].filter(slot => of[slot] === TargetStateCode.healthy)
      const expected = healthy.length === 0 ? [0, 1, 2] : healthy
      let turn = 0
      const random = (): number => (turn++ / 12) % 1
      const picked = picks(groupOf(3, attributes, random), states, 12)
      for (const slot of expected) {
        const count = picked.filter(each => each === slot).length
        assert.equal(count, 12 / expected.length, `${attributes.algorithm}, states ${of}`)
      }
    }
  }
})

test('with fewer healthy targets than the threshold asks for, all are used', () => {
  // Threshold, healthy ones of four, whether all are used.
  for (const [count, percentage, healthy, failsOpen] of [
    [1, null, 0, true],
    [1, null, 1, false],
    [3, null, 2, true],
    [3, null, 3, false],
    [1, 50, 1, true],
    [1, 50, 2, false],
    [1, 51, 2, true],
    [3, 50, 2, true],
    [5, null, 4, true],
    [1, 100, 3, true],
    [1, 100, 4, false],
  ] as const) {
    const states = new TargetStates()
    for (let slot = 0; slot < 4; slot++) {
      states.setState(slot, slot < healthy ? TargetStateCode.healthy : TargetStateCode.unhealthy)
    }
    const from = groupOf(4, { ...roundRobin, routingThreshold: { count, percentage } })
    const expected = failsOpen ? [0, 1, 2, 3] : [0, 1, 2, 3].slice(0, healthy)
    assert.deepEqual([...new Set(picks(from, states, 8))], expected, `${count} or ${percentage} %, ${healthy} healthy`)
    assert.equal(from.failsOpen, failsOpen)
  }
})

test('two workers share one turn', () => {
  const states = new TargetStates()
  const elsewhere = new TargetStates(states.memory)
  const [one, other] = [groupOf(3), groupOf(3)]
  const picked = [one.takeTarget(states, 0), other.takeTarget(elsewhere, 0), one.takeTarget(states, 0)]
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

test('what is worked out of the states is worked out once for all picks until they change', () => {
  const states = new TargetStates()
  const from = groupOf(2)
  states.setState(0, TargetStateCode.healthy)
  const eligible = from.eligibleTargets(states)
  assert.equal(from.eligibleTargets(states), eligible)
  states.setState(1, TargetStateCode.healthy)
  assert.notEqual(from.eligibleTargets(states), eligible)
})

test('a tied client gets its target while that is healthy or the group fails open', () => {
  const states = new TargetStates()
  const from = groupOf(2)
  const [first, second] = [from.targets[0]!, from.targets[1]!]
  assert.equal(from.takeThisTarget(states, first), true)
  assert.deepEqual(inFlight(states, 2), [1, 0])
  states.setState(1, TargetStateCode.healthy)
  assert.equal(from.takeThisTarget(states, first), false)
  assert.equal(from.takeThisTarget(states, second), true)
  assert.deepEqual(inFlight(states, 2), [1, 1])
})

test('a tied client does not get a target that is not of this group', () => {
  const states = new TargetStates()
  states.setState(0, TargetStateCode.healthy)
  assert.equal(groupOf(2).takeThisTarget(states, groupOf(2).targets[0]!), false)
  assert.deepEqual(inFlight(states, 2), [0, 0])
})

test('a target is found by its address', () => {
  const [v4, v6] = [
    new Target({ ip: '10.0.0.1', port: 80, slot: 0 }, 0),
    new Target({ ip: '::1', port: 80, slot: 1 }, 0),
  ]
  const from = new TargetGroup(group([]), [v4, v6])
  assert.equal(from.findTarget('10.0.0.1', 80), v4)
  assert.equal(from.findTarget('::1', 80), v6)
  assert.equal(from.findTarget('::1', 8080), null)
  assert.equal(from.findTarget('10.0.0.2', 80), null)
})

test('a group is known by the last part of its ARN', () => {
  assert.equal(groupOf(0).id, '0123456789abcdef')
})

test('least outstanding requests: no eligible target ever has fewer than the one picked', () => {
  const states = new TargetStates()
  const from = groupOf(5, leastOutstanding)
  for (const slot of [0, 1, 2, 3]) states.setState(slot, TargetStateCode.healthy)
  const held: number[] = []
  for (let pick = 0; pick < 20_000; pick++) {
    const before = inFlight(states, 4)
    const { slot } = from.takeTarget(states, epochMs)!
    assert.equal(before[slot], Math.min(...before))
    held.push(slot)
    while (Math.random() < 0.49 && held.length > 0) {
      states.removeRequestInFlight(held.splice(Math.floor(Math.random() * held.length), 1)[0]!)
    }
  }
})

test('least outstanding requests: ties take turns, so that an idle group rotates', () => {
  const states = new TargetStates()
  const from = groupOf(4, leastOutstanding)
  states.addRequestInFlight(2)
  const picked = Array.from({ length: 9 }, () => {
    const { slot } = from.takeTarget(states, epochMs)!
    states.removeRequestInFlight(slot)
    return slot
  })
  assert.deepEqual(picked, [0, 1, 3, 3, 0, 1, 3, 3, 0])
})

test('least outstanding requests: a request that another worker begins meanwhile is seen', () => {
  class Raced extends TargetStates {
    races = 1
    override addRequestInFlightIf(slot: number, seen: number): boolean {
      if (this.races-- > 0) this.addRequestInFlight(slot)
      return super.addRequestInFlightIf(slot, seen)
    }
  }
  const states = new Raced()
  assert.deepEqual(picks(groupOf(2, leastOutstanding), states, 1), [1])
  assert.deepEqual(inFlight(states, 2), [1, 1])
  // Under races without end somebody is picked all the same, and counted once.
  states.races = Infinity
  const before = inFlight(states, 3)
  const picked = groupOf(3, leastOutstanding).takeTarget(states, epochMs)!
  assert.equal(picked.slot < 3, true)
  assert.equal(states.races, Infinity)
  const added = inFlight(states, 3).reduce((sum, count, slot) => sum + count - before[slot]!, 0)
  assert.equal(added, 64 + 1)
})

test('weighted random: a weight that another thread sets is seen at the next pick', () => {
  const states = new TargetStates()
  const from = groupOf(2, weightedRandom, () => 0.49)
  assert.deepEqual(picks(from, states, 1), [0])
  new TargetStates(states.memory).setWeight(0, 900)
  assert.deepEqual(picks(from, states, 1), [1])
})

test('slow start: a turn is accepted with the share of the time that is over, else the next is taken', () => {
  const cases: [elapsedMs: number, random: number, picked: number[]][] = [
    [25_000, 0.24, [0, 1, 0, 1]],
    [25_000, 0.26, [1, 1, 1, 1]],
    [99_900, 0.99, [0, 1, 0, 1]],
    [99_900, 0.9995, [1, 1, 1, 1]],
    [100_000, 0.9995, [0, 1, 0, 1]],
    [200_000, 0.9995, [0, 1, 0, 1]],
    [0, slowStartShareMin - 0.001, [0, 1, 0, 1]],
    [0, slowStartShareMin, [1, 1, 1, 1]],
    [-5_000, slowStartShareMin - 0.001, [0, 1, 0, 1]],
    [-5_000, slowStartShareMin, [1, 1, 1, 1]],
  ]
  for (const [elapsedMs, random, expected] of cases) {
    const states = new TargetStates()
    states.beginSlowStart(0, epochMs)
    const from = groupOf(2, slowStart, () => random)
    assert.deepEqual(picks(from, states, 4, epochMs + elapsedMs), expected, `${elapsedMs} ms, ${random}`)
  }
})

test('slow start: without the attribute, and once it ended, turns are even', () => {
  const states = new TargetStates()
  states.beginSlowStart(0, epochMs)
  assert.deepEqual(
    picks(
      groupOf(2, roundRobin, () => 0.99),
      states,
      4,
    ),
    [0, 1, 0, 1],
  )
  const from = groupOf(2, slowStart, () => 0.99)
  assert.deepEqual(picks(from, states, 2), [1, 1])
  states.endSlowStart(0)
  assert.deepEqual(picks(from, states, 4), [0, 1, 0, 1])
})

test('slow start: where all targets begin, somebody is picked after a bounded number of turns', () => {
  const states = new TargetStates()
  for (const slot of [0, 1, 2]) states.beginSlowStart(slot, epochMs)
  const picked = groupOf(3, slowStart, () => 0.99).takeTarget(states, epochMs)
  assert.notEqual(picked, null)
  assert.equal(states.takeTurn(0), 3 * 8)
})

const threads = 2
const picksOfEach = 50_000
const picksOfAll = threads * picksOfEach

type Picking = { readonly [Key in 'held' | 'roundPicks' | 'epochMs']?: PickingWork[Key] }

/** Has two threads pick 100,000 targets together. */
async function pickInThreads(
  states: TargetStates,
  from: SnapshotTargetGroup,
  picking: Picking = {},
): Promise<{ picked: number[]; spreadMax: number }> {
  const arrivals = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)
  const shared = { memory: states.memory, group: from, picks: picksOfEach, arrivals, threads }
  const work: PickingWork = { ...shared, epochMs, held: null, roundPicks: null, ...picking }
  const url = new URL('./target-group.test-process.ts', import.meta.url)
  const workers = Array.from({ length: threads }, () => new Worker(url, { workerData: work }))
  const answers = await Promise.all(workers.map(worker => once(worker, 'message')))
  const reports = answers.map(([report]) => report as PickingReport)
  return {
    picked: from.targets.map((_, i) => reports.reduce((sum, { picked }) => sum + picked[i]!, 0)),
    spreadMax: Math.max(...reports.map(({ spreadMax }) => spreadMax)),
  }
}

/**
 * That `count` came of `trials` with this probability: 5 standard deviations of the binomial distribution, which
 * chance exceeds once in 1.7 million.
 */
function assertShare(count: number, trials: number, share: number, slack = 0): void {
  const bound = 5 * Math.sqrt(trials * share * (1 - share)) + slack
  const off = Math.abs(count - trials * share)
  assert.ok(off <= bound, `${count} of ${trials} is ${off} off a share of ${share}, and ${bound} were allowed`)
}

test('round robin over two threads: over 100,000 picks the counts differ by at most one', async () => {
  const states = new TargetStates()
  const { picked } = await pickInThreads(states, group([0, 1, 2, 3, 4, 5, 6]))
  assert.equal(Math.max(...picked) - Math.min(...picked), 1)
  assert.deepEqual(inFlight(states, 7), picked)
})

test('least outstanding requests over two threads: while nothing ends, no target is ever two ahead', async () => {
  // Counts that only rise make every pick of the smallest visible: it leaves no two targets more than one apart.
  // Both threads pick twice in the same moment, then look; 25,000 times.
  const states = new TargetStates()
  const { picked, spreadMax } = await pickInThreads(states, group([0, 1, 2], leastOutstanding), { roundPicks: 2 })
  assert.equal(spreadMax, 1)
  assert.deepEqual(inFlight(states, 3), picked)
  assert.equal(Math.max(...picked) - Math.min(...picked), 1)
})

test('least outstanding requests over two threads: while requests end, a slow target gets no more of them', async () => {
  const states = new TargetStates()
  for (let request = 0; request < 100; request++) states.addRequestInFlight(1)
  const { picked } = await pickInThreads(states, group([0, 1, 2], leastOutstanding), { held: 8 })
  // Both threads hold at most 9 at a time.
  assert.equal(picked[1], 0)
  assert.equal(picked[0]! + picked[2]!, picksOfAll)
  assert.deepEqual(inFlight(states, 3), [0, 100, 0])
})

test('weighted random over two threads honours the weights over 100,000 picks', async () => {
  const states = new TargetStates()
  const weights = [1000, 1000, 500, 50]
  for (const [slot, weight] of weights.entries()) states.setWeight(slot, weight)
  const { picked } = await pickInThreads(states, group([0, 1, 2, 3], weightedRandom))
  for (const [slot, weight] of weights.entries()) assertShare(picked[slot]!, picksOfAll, weight / 2550)
  assert.deepEqual(inFlight(states, 4), picked)
})

test('slow start over two threads: the share rises with the time, and the others stay even', async () => {
  for (const elapsedMs of [0, 10_000, 50_000, 90_000]) {
    const states = new TargetStates()
    states.beginSlowStart(2, epochMs)
    const { picked } = await pickInThreads(states, group([0, 1, 2, 3], slowStart), { epochMs: epochMs + elapsedMs })
    const others = picked.filter((_, slot) => slot !== 2)
    assert.ok(Math.max(...others) - Math.min(...others) <= 1)
    // It had as many turns as each other target, or one more or less.
    assertShare(picked[2]!, others[0]!, Math.max(elapsedMs / 100_000, slowStartShareMin), 1)
  }
})

test('addresses are written as logs write them', () => {
  assert.equal(new Target({ ip: '10.0.0.1', port: 80, slot: 0 }, 0).address, '10.0.0.1:80')
  assert.equal(new Target({ ip: '::1', port: 80, slot: 0 }, 0).address, '[::1]:80')
})

test('a target survives new snapshots with its connections, and takes the new idle timeout', () => {
  const registry = new TargetRegistry()
  registry.apply([group([0, 1])], () => 60_000)
  const before = registry.group(0, arn).targets[0]!
  registry.apply([group([2, 0])], () => 10_000)
  assert.equal(registry.group(0, arn).targets[1], before)
  assert.equal(before.idleTimeoutMs, 10_000)
  assert.equal(before.isRegistered, true)
})

test('a target that is gone closes its idle connections; one that comes back is another', () => {
  const registry = new TargetRegistry()
  registry.apply([group([0])], () => 60_000)
  const gone = registry.group(0, arn).targets[0]!
  let closed = 0
  for (let i = 0; i < 2; i++) {
    const connection = { older: null, newer: null, retire: () => closed++ } as unknown as TargetConnection
    gone.idle.add(connection, () => {})
  }
  registry.apply([group([])], () => 60_000)
  assert.equal(closed, 2)
  assert.equal(gone.isRegistered, false)
  assert.equal(gone.idle.size, 0)
  registry.apply([group([0])], () => 60_000)
  assert.notEqual(registry.group(0, arn).targets[0], gone)
})

test('a group takes the attributes of the newest snapshot', () => {
  const registry = new TargetRegistry()
  registry.apply([group([0])], () => 60_000)
  registry.apply([group([0], leastOutstanding)], () => 60_000)
  assert.equal(registry.group(0, arn).attributes, leastOutstanding)
})

test('a group that no snapshot named is our own mistake', () => {
  assert.throws(() => new TargetRegistry().group(0, arn), /unknown target group: arn:aws:.*targetgroup\/app/)
})
