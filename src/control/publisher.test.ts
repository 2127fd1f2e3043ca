import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ManualClock } from '../base/clock.ts'
import { targetGroupArn } from '../model/arns.ts'
import { nodeSlotsMax } from '../model/limits.ts'
import type { LoadBalancer, Resources, TargetGroup } from '../model/resources.ts'
import type { Snapshot, SnapshotTarget } from '../model/snapshot.ts'
import { TargetStateCode, TargetStates } from '../model/target-states.ts'
import { parseConfig } from './config.ts'
import { OutOfSlots, Publisher } from './publisher.ts'

const delaySeconds = 30
const restMs = 5_000

/** Target group `app` with targets at these ports of 127.0.0.1, and load balancers of these names. */
function resourcesOf(ports: readonly number[], names: readonly string[] = ['web'], delay = delaySeconds): Resources {
  const text = JSON.stringify({
    loadBalancers: names.map(name => ({ name })),
    targetGroups: [
      {
        name: 'app',
        protocol: 'HTTP',
        port: 80,
        attributes: { 'deregistration_delay.timeout_seconds': String(delay) },
        targets: ports.map(port => ({ id: '127.0.0.1', port })),
      },
    ],
  })
  const parsed = parseConfig([{ name: 'test.yaml', text }])
  assert.ok(parsed.ok)
  return parsed.config.resources
}

function fixture(t: TestContext, clock = new ManualClock(), machineClock = clock) {
  const states = new TargetStates()
  const drained: number[] = []
  const freed: string[] = []
  const busy = new Set<string>()
  const publisher = new Publisher({
    clock,
    machineClock,
    states,
    cookieKeys: () => [],
    onDrained: ({ port }) => drained.push(port),
    isSlotBusy: (kind, slot) => busy.has(`${kind} ${slot}`),
    onSlotFreed: (kind, slot) => freed.push(`${kind} ${slot}`),
  })
  t.after(() => publisher.close())
  const publish = (resources: Resources) => {
    const snapshot = publisher.prepare(resources)
    publisher.commit(resources)
    return snapshot
  }
  /** The slots of the group's targets, by port. */
  const slots = (resources: Resources) =>
    Object.fromEntries(publish(resources).targetGroups[0]!.targets.map(({ port, slot }) => [port, slot]))
  return { clock, states, drained, freed, busy, publisher, publish, slots }
}

test('snapshots are numbered from 1', t => {
  const { publish } = fixture(t)
  assert.deepEqual([publish(resourcesOf([1])).number, publish(resourcesOf([1])).number], [1, 2])
})

test('a slot stays with its target, wherever it stands in the list', t => {
  const { slots } = fixture(t)
  assert.deepEqual(slots(resourcesOf([1, 2])), { 1: 0, 2: 1 })
  assert.deepEqual(slots(resourcesOf([3, 2, 1])), { 1: 0, 2: 1, 3: 2 })
})

test('one address in two groups is two targets', t => {
  const { publish } = fixture(t)
  const { loadBalancers, targetGroups } = resourcesOf([1])
  const other: TargetGroup = { ...targetGroups[0]!, arn: targetGroupArn('other', '0123456789abcdef'), name: 'other' }
  const snapshot = publish({ loadBalancers, targetGroups: [targetGroups[0]!, other] })
  assert.deepEqual(
    snapshot.targetGroups.map(({ slot, targets }) => [slot, targets[0]!.slot]),
    [
      [0, 0],
      [1, 1],
    ],
  )
})

test('a target that is gone drains for the delay of its group', t => {
  const { clock, states, drained, publisher, publish } = fixture(t)
  publish(resourcesOf([1, 2]))
  clock.advance(100)
  publish(resourcesOf([2]))
  assert.equal(states.state(0), TargetStateCode.draining)
  assert.deepEqual(
    publisher.draining.map(({ port, slots, groupName, endsAtMs }) => [port, slots, groupName, endsAtMs]),
    [[1, [0], 'app', 100 + delaySeconds * 1000]],
  )
  clock.advance(delaySeconds * 1000 - 1)
  assert.deepEqual(drained, [])
  clock.advance(1)
  assert.deepEqual(drained, [1])
  assert.equal(states.state(0), TargetStateCode.unused)
  assert.deepEqual(publisher.draining, [])
})

test('the delay is the one in force when the target goes; of a group that goes, its last one', t => {
  const { clock, drained, publish } = fixture(t)
  publish(resourcesOf([1, 2]))
  publish(resourcesOf([2], ['web'], 10))
  clock.advance(10_000)
  assert.deepEqual(drained, [1])
  publish({ loadBalancers: [], targetGroups: [] })
  clock.advance(10_000)
  assert.deepEqual(drained, [1, 2])
})

test('publishing again does not prolong a drain', t => {
  const { clock, drained, publish } = fixture(t)
  publish(resourcesOf([1, 2]))
  publish(resourcesOf([2]))
  clock.advance(20_000)
  publish(resourcesOf([2, 3]))
  clock.advance(10_000)
  assert.deepEqual(drained, [1])
})

test('a target that is back before its delay is over is not drained', t => {
  const { clock, drained, freed, publisher, slots } = fixture(t)
  slots(resourcesOf([1]))
  slots(resourcesOf([]))
  clock.advance(delaySeconds * 1000 - 1)
  assert.deepEqual(slots(resourcesOf([1])), { 1: 0 })
  assert.deepEqual(publisher.draining, [])
  clock.advance(delaySeconds * 1000 + restMs)
  assert.deepEqual(drained, [])
  assert.deepEqual(freed, [])
})

test('a slot rests behind the drain before it serves another target', t => {
  const { clock, freed, slots } = fixture(t)
  slots(resourcesOf([1, 2]))
  slots(resourcesOf([2]))
  assert.deepEqual(slots(resourcesOf([2, 3])), { 2: 1, 3: 2 })
  clock.advance(delaySeconds * 1000 + restMs - 1)
  assert.deepEqual(slots(resourcesOf([2, 3, 4])), { 2: 1, 3: 2, 4: 3 })
  assert.deepEqual(freed, [])
  clock.advance(1)
  assert.deepEqual(freed, ['target 0'])
  assert.deepEqual(slots(resourcesOf([2, 3, 4, 5])), { 2: 1, 3: 2, 4: 3, 5: 0 })
})

test('a target that is back while its slot rests has it again', t => {
  const { clock, freed, slots } = fixture(t)
  slots(resourcesOf([1]))
  slots(resourcesOf([]))
  clock.advance(delaySeconds * 1000 + restMs - 1)
  assert.deepEqual(slots(resourcesOf([1])), { 1: 0 })
  clock.advance(restMs)
  assert.deepEqual(freed, [])
})

test('a target that is put back just as its delay ends keeps its slot', t => {
  const { clock, freed, publisher, slots } = fixture(t)
  slots(resourcesOf([1]))
  slots(resourcesOf([]))
  const resources = resourcesOf([1])
  publisher.prepare(resources)
  clock.advance(delaySeconds * 1000)
  publisher.commit(resources)
  clock.advance(restMs)
  assert.deepEqual(freed, [])
  assert.deepEqual(slots(resourcesOf([1, 2])), { 1: 0, 2: 1 })
})

test('a slot that rests for the second time rests as long as for the first', t => {
  const { clock, freed, slots } = fixture(t)
  slots(resourcesOf([1], ['web'], 0))
  slots(resourcesOf([], ['web'], 0))
  clock.advance(1_000)
  slots(resourcesOf([1], ['web'], 0))
  slots(resourcesOf([], ['web'], 0))
  clock.advance(restMs - 1)
  assert.deepEqual(freed, [])
  clock.advance(1)
  assert.deepEqual(freed, ['target 0'])
})

test('the slot of a load balancer rests, too', t => {
  const { clock, freed, publish } = fixture(t)
  const slotOf = (names: readonly string[]) =>
    publish(resourcesOf([], names)).loadBalancers.map(({ nodes }) => nodes[0]!.slot)
  assert.deepEqual(slotOf(['one', 'two']), [0, 1])
  assert.deepEqual(slotOf(['two', 'three']), [1, 2])
  clock.advance(restMs)
  assert.deepEqual(freed, ['node 0'])
  assert.deepEqual(slotOf(['two', 'three', 'four']), [1, 2, 0])
})

test('what the workers refuse changes nothing: nobody drains, and its slots are free again after a rest', t => {
  const { clock, drained, freed, publisher, slots } = fixture(t)
  const inForce = resourcesOf([1, 2])
  slots(inForce)
  const refused = resourcesOf([2, 3], ['web', 'api'])
  publisher.prepare(refused)
  publisher.rollBack(refused)
  assert.equal(publisher.resources, inForce)
  assert.deepEqual(publisher.draining, [])
  assert.deepEqual(slots(resourcesOf([1, 2, 4])), { 1: 0, 2: 1, 4: 3 })
  clock.advance(restMs)
  assert.deepEqual(freed.sort(), ['node 1', 'target 2'])
  assert.deepEqual(slots(resourcesOf([1, 2, 4, 5])), { 1: 0, 2: 1, 4: 3, 5: 2 })
  assert.deepEqual(drained, [])
})

test('a refused snapshot that would have put a target back leaves it draining, and its slot resting', t => {
  const { clock, drained, freed, publisher, slots } = fixture(t)
  slots(resourcesOf([1]))
  slots(resourcesOf([]))
  const refused = resourcesOf([1])
  publisher.prepare(refused)
  publisher.rollBack(refused)
  assert.equal(publisher.draining.length, 1)
  clock.advance(delaySeconds * 1000)
  assert.deepEqual(drained, [1])
  publisher.prepare(refused)
  publisher.rollBack(refused)
  assert.deepEqual(slots(resourcesOf([2])), { 2: 1 })
  clock.advance(restMs)
  assert.deepEqual(freed, ['target 0'])
})

test('more load balancers than there are slots are refused by name, and cost nothing', t => {
  const { clock, publisher, publish } = fixture(t)
  const names = (count: number, prefix: string) => Array.from({ length: count }, (_, i) => `${prefix}${i}`)
  const one = resourcesOf([]).loadBalancers[0]!
  const named = (each: readonly string[]): Resources => ({
    loadBalancers: each.map(name => ({ ...one, name, arn: `${one.arn}${name}` as LoadBalancer['arn'] })),
    targetGroups: [],
  })
  assert.throws(() => publisher.prepare(named(names(nodeSlotsMax + 1, 'a'))), {
    name: OutOfSlots.name,
    message: `more than ${nodeSlotsMax} zones of load balancers at once`,
  })
  clock.advance(restMs)
  assert.equal(publish(named(names(nodeSlotsMax, 'b'))).loadBalancers.length, nodeSlotsMax)
})

/** Group `app`, used by `web`, with targets on these ports, each in its zone. */
function zonedResources(
  zones: readonly string[],
  targets: Readonly<Record<number, string>>,
  crossZone = true,
): Resources {
  const listeners = [{ protocol: 'HTTP', port: 80, defaultActions: [{ type: 'forward', targetGroup: 'app' }] }]
  const text = JSON.stringify({
    loadBalancers: [{ name: 'web', availabilityZones: zones.map(zoneName => ({ zoneName })), listeners }],
    targetGroups: [
      {
        name: 'app',
        protocol: 'HTTP',
        port: 80,
        attributes: { 'load_balancing.cross_zone.enabled': String(crossZone) },
        targets: Object.entries(targets).map(([port, availabilityZone]) => ({
          id: '127.0.0.1',
          port: Number(port),
          availabilityZone,
        })),
      },
    ],
  })
  const parsed = parseConfig([{ name: 'test.yaml', text }], { platform: 'linux' })
  assert.ok(parsed.ok)
  return parsed.config.resources
}

/** Of each node: the slots of the targets that it uses, and of those that it only checks, by port. */
function sightings(snapshot: Snapshot) {
  const byPort = (targets: readonly SnapshotTarget[]) =>
    Object.fromEntries(targets.map(({ port, slot }) => [port, slot]))
  return snapshot.targetGroups.map(({ node, targets, targetsElsewhere }) => [
    node,
    byPort(targets),
    byPort(targetsElsewhere),
  ])
}

test('each node has a slot of its own for each target, and uses those of all enabled zones', t => {
  const { publish } = fixture(t)
  const snapshot = publish(zonedResources(['a', 'b'], { 1: 'a', 2: 'b', 3: 'c', 4: 'all' }))
  assert.deepEqual(
    snapshot.loadBalancers[0]!.nodes.map(({ slot, zoneName }) => [slot, zoneName]),
    [
      [0, 'a'],
      [1, 'b'],
    ],
  )
  assert.deepEqual(sightings(snapshot), [
    [0, { 1: 0, 2: 1, 4: 2 }, {}],
    [1, { 1: 3, 2: 4, 4: 5 }, {}],
  ])
})

test('without cross-zone, a node uses the targets of its zone and only checks the others', t => {
  const { publish } = fixture(t)
  const snapshot = publish(zonedResources(['a', 'b'], { 1: 'a', 2: 'b', 3: 'c' }, false))
  assert.deepEqual(sightings(snapshot), [
    [0, { 1: 0 }, { 2: 1 }],
    [1, { 2: 2 }, { 1: 3 }],
  ])
})

test('a zone that is gone leaves its slots to others after a rest; nobody drains for that', t => {
  const { clock, drained, freed, publisher, publish } = fixture(t)
  publish(zonedResources(['a', 'b'], { 1: 'a', 2: 'b' }))
  const snapshot = publish(zonedResources(['a'], { 1: 'a', 2: 'b' }))
  assert.deepEqual(sightings(snapshot), [[0, { 1: 0 }, {}]])
  assert.deepEqual(publisher.draining, [])
  clock.advance(restMs)
  assert.deepEqual(freed.sort(), ['node 1', 'target 1', 'target 2', 'target 3'])
  assert.deepEqual(drained, [])
})

test('a target drains at all nodes at once, and what they had of it comes free together', t => {
  const { clock, states, drained, freed, publisher, publish } = fixture(t)
  publish(zonedResources(['a', 'b'], { 1: 'a' }))
  publish(zonedResources(['a', 'b'], {}))
  assert.deepEqual(
    publisher.draining.map(({ slots }) => slots),
    [[0, 1]],
  )
  assert.deepEqual([states.state(0), states.state(1)], [TargetStateCode.draining, TargetStateCode.draining])
  clock.advance(300_000 + restMs)
  assert.deepEqual(drained, [1])
  assert.deepEqual(freed, ['target 0', 'target 1'])
})

test('a target that is back from draining has no slot at a node that went meanwhile', t => {
  const { clock, freed, publish } = fixture(t)
  publish(zonedResources(['a', 'b'], { 1: 'a' }))
  publish(zonedResources(['a', 'b'], {}))
  const snapshot = publish(zonedResources(['a'], { 1: 'a' }))
  assert.deepEqual(sightings(snapshot), [[0, { 1: 0 }, {}]])
  clock.advance(restMs)
  assert.deepEqual(freed.sort(), ['node 1', 'target 1'])
})

test('a slot in which something still counts rests on', t => {
  const { clock, freed, busy, publish } = fixture(t)
  publish(zonedResources(['a', 'b'], {}))
  busy.add('node 1')
  publish(zonedResources(['a'], {}))
  clock.advance(10 * restMs)
  assert.deepEqual(freed, [])
  busy.clear()
  clock.advance(restMs)
  assert.deepEqual(freed, ['node 1'])
})

test('slots rest in the time of the machine, however fast the clock of all else runs', t => {
  const [clock, machineClock] = [new ManualClock(), new ManualClock()]
  const { drained, freed, publish } = fixture(t, clock, machineClock)
  publish(resourcesOf([1]))
  publish(resourcesOf([]))
  clock.advance(delaySeconds * 1000 + 100 * restMs)
  assert.deepEqual(drained, [1])
  machineClock.advance(restMs - 1)
  assert.deepEqual(freed, [])
  machineClock.advance(1)
  assert.deepEqual(freed, ['target 0'])
})

test('behind close, no drain ends', t => {
  const { clock, drained, publisher, publish } = fixture(t)
  publish(resourcesOf([1]))
  publish(resourcesOf([]))
  publisher.close()
  clock.advance(delaySeconds * 1000)
  assert.deepEqual(drained, [])
  assert.deepEqual(publisher.draining, [])
})
