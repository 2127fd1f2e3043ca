/**
 * Nodes: what a load balancer is in each of its zones, and what its target groups do there.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html#target-group-cross-zone
 */

import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { TargetStateCode } from '../../src/model/target-states.ts'
import type { Script } from '../support/misbehaving-target.ts'
import { logFields } from '../support/plane.ts'
import { type Scene, type SceneOptions, startScene } from '../support/scene.ts'
import { answering } from '../support/target-scripts.ts'

const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const zones = ['us-east-1a', 'us-east-1b']
const ownZoneOnly = { 'load_balancing.cross_zone.enabled': 'false' }

/** Targets that answer with their names, each in its zone. */
function startZones(t: TestContext, targets: Readonly<Record<string, string>>, options: SceneOptions = {}) {
  return startScene(t, {
    zones,
    targets: Object.keys(targets).map(name => answering(200, name)),
    targetZones: Object.values(targets),
    ...options,
  })
}

async function answers(scene: Scene, zone: number, count: number): Promise<string[]> {
  const bodies: string[] = []
  for (let i = 0; i < count; i++) bodies.push((await scene.ask(get, zone)).body.toString())
  return bodies
}

test('each node begins the round of the targets on its own', async t => {
  const scene = await startZones(t, { one: 'us-east-1a', two: 'us-east-1b', three: 'us-east-1b' })
  assert.deepEqual(await answers(scene, 0, 2), ['one', 'two'])
  assert.deepEqual(await answers(scene, 1, 3), ['one', 'two', 'three'])
  assert.deepEqual(await answers(scene, 0, 1), ['three'])
})

test('each node counts for itself, and logs under its own address in a file of its own', async t => {
  const scene = await startZones(t, { one: 'us-east-1a' })
  await answers(scene, 0, 1)
  await answers(scene, 1, 2)
  const { counters, publisher } = scene.plane
  const [a, b] = publisher.snapshot.loadBalancers[0]!.nodes
  const counted = [a, b].map(node => counters.loadBalancer(node!.slot, 'RequestCount'))
  assert.deepEqual(counted, [1, 2])
  const [oneAtA, oneAtB] = scene.plane.slotsOf(scene.target.port)
  assert.deepEqual(
    [oneAtA, oneAtB].map(slot => counters.target(slot!, 'requestsEnded')),
    [1, 2],
  )
  const lines = await scene.plane.logLines()
  assert.deepEqual(lines.map(line => logFields(line)[34]).sort(), ['127.0.0.1', '127.0.0.2', '127.0.0.2'])
  const files = await readdir(join(scene.plane.logFolder, 'spool'))
  const access = files.filter(name => !name.startsWith('conn_log_'))
  assert.deepEqual(access.map(name => name.split('_')[2]).sort(), ['127.0.0.1', '127.0.0.2'])
})

test('what one node finds unhealthy, another may use', async t => {
  const scene = await startZones(t, { one: 'us-east-1a', two: 'us-east-1b' })
  const [oneAtA] = scene.plane.slotsOf(scene.targets[0]!.port)
  scene.plane.states.setState(oneAtA!, TargetStateCode.unhealthy)
  assert.deepEqual(await answers(scene, 0, 2), ['two', 'two'])
  assert.deepEqual(await answers(scene, 1, 2), ['one', 'two'])
})

test('without cross-zone, a node sends requests to the targets of its own zone', async t => {
  const targets = { one: 'us-east-1a', two: 'us-east-1b', three: 'us-east-1b' }
  const scene = await startZones(t, targets, { groupAttributes: ownZoneOnly })
  assert.deepEqual(await answers(scene, 0, 2), ['one', 'one'])
  assert.deepEqual(await answers(scene, 1, 2), ['two', 'three'])
})

test('without cross-zone, a zone without targets answers with 503', async t => {
  const scene = await startZones(t, { one: 'us-east-1a' }, { groupAttributes: ownZoneOnly })
  assert.equal((await scene.ask(get, 1)).status, 503)
  assert.deepEqual(scene.plane.faults, ['groupEmpty'])
  const fields = logFields(await scene.line())
  assert.equal(fields[17], scene.group.arn)
  assert.equal((await scene.ask(get, 0)).status, 200)
})

test('without cross-zone, unhealthy targets of the own zone go before healthy ones of another', async t => {
  const scene = await startZones(t, { one: 'us-east-1a', two: 'us-east-1b' }, { groupAttributes: ownZoneOnly })
  for (const slot of scene.plane.slotsOf(scene.targets[1]!.port)) {
    scene.plane.states.setState(slot, TargetStateCode.unhealthy)
  }
  assert.deepEqual(await answers(scene, 1, 2), ['two', 'two'])
})

/** The documentation's example, with half the targets: two zones, ten targets, three of the five in b fail. */
async function sixtyPercent(t: TestContext, groupAttributes: Readonly<Record<string, string>>): Promise<Scene> {
  const names = ['a1', 'a2', 'a3', 'a4', 'a5', 'b1', 'b2', 'b3', 'b4', 'b5']
  const targets = Object.fromEntries(names.map(name => [name, `us-east-1${name[0]}`]))
  const failover = 'target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage'
  const dnsFailover = 'target_group_health.dns_failover.minimum_healthy_targets.percentage'
  const attributes = { ...groupAttributes, [failover]: '50', [dnsFailover]: '50' }
  const scene = await startZones(t, targets, { groupAttributes: attributes })
  for (const { port } of scene.targets.slice(-3)) {
    for (const slot of scene.plane.slotsOf(port)) scene.plane.states.setState(slot, TargetStateCode.unhealthy)
  }
  return scene
}

const unhealthyRouting = (scene: Scene) =>
  scene.targets
    .flatMap(({ port }) => scene.plane.slotsOf(port))
    .reduce((sum, slot) => sum + scene.plane.counters.target(slot, 'UnhealthyRoutingRequestCount'), 0)

test('with cross-zone, the threshold is one of the targets of all zones', async t => {
  const scene = await sixtyPercent(t, {})
  const healthy = ['a1', 'a2', 'a3', 'a4', 'a5', 'b1', 'b2']
  assert.deepEqual(await answers(scene, 0, 7), healthy)
  assert.deepEqual(await answers(scene, 1, 7), healthy)
  assert.equal(unhealthyRouting(scene), 0)
})

test('without cross-zone, it is one of each zone; requests to unhealthy targets are counted', async t => {
  const scene = await sixtyPercent(t, ownZoneOnly)
  assert.deepEqual(await answers(scene, 0, 5), ['a1', 'a2', 'a3', 'a4', 'a5'])
  assert.equal(unhealthyRouting(scene), 0)
  assert.deepEqual(await answers(scene, 1, 5), ['b1', 'b2', 'b3', 'b4', 'b5'])
  assert.equal(unhealthyRouting(scene), 5)
})

test('fail open revives no target that drains', async t => {
  const scene = await startZones(t, { one: 'us-east-1a', two: 'us-east-1a' })
  for (const { port } of scene.targets) {
    for (const slot of scene.plane.slotsOf(port)) scene.plane.states.setState(slot, TargetStateCode.unhealthy)
  }
  const [, two] = scene.targets
  await scene.plane.publish(scene.config({ addresses: [{ id: '127.0.0.1', port: two!.port }] }))
  assert.deepEqual(await answers(scene, 0, 3), ['two', 'two', 'two'])
})

test('a target in a zone that is not enabled gets nothing', async t => {
  const scene = await startZones(t, { one: 'us-east-1a', lost: 'us-east-1c' })
  assert.deepEqual(await answers(scene, 0, 2), ['one', 'one'])
  assert.deepEqual(scene.plane.slotsOf(scene.targets[1]!.port), [])
})

test('a zone that is taken away stops listening, and its targets are used no more', async t => {
  const scene = await startZones(t, { one: 'us-east-1a', two: 'us-east-1b' })
  await scene.plane.publish(scene.config({ zones: ['us-east-1a'] }))
  assert.deepEqual(
    scene.plane.plane.addresses.map(({ address }) => address),
    ['127.0.0.1'],
  )
  assert.deepEqual(await answers(scene, 0, 2), ['one', 'one'])
  await scene.plane.publish(scene.config())
  assert.deepEqual((await answers(scene, 1, 2)).sort(), ['one', 'two'])
})

test('a target that drains is cut off from the requests of all nodes', async t => {
  const scene = await startZones(t, { one: 'us-east-1a' }, { zones })
  const slots = scene.plane.slotsOf(scene.target.port)
  await scene.plane.publish(scene.config({ addresses: [] }))
  assert.deepEqual(
    slots.map(slot => scene.plane.states.state(slot)),
    [TargetStateCode.draining, TargetStateCode.draining],
  )
  scene.plane.clock.advance(300_000)
  assert.deepEqual(
    scene.plane.drained.map(target => target.slots),
    [slots],
  )
})

test('a zonal shift keeps requests from the targets of the zone, whichever node they come to', async t => {
  const targets = { one: 'us-east-1a', two: 'us-east-1b', any: 'all' }
  const scene = await startZones(t, targets)
  await scene.plane.publish(scene.config({ shiftedZone: 'us-east-1b' }))
  assert.deepEqual((await answers(scene, 0, 2)).sort(), ['any', 'one'])
  assert.deepEqual((await answers(scene, 1, 2)).sort(), ['any', 'one'])
  // Unhealthy targets elsewhere go before those of the zone, and do not count with them.
  for (const { port } of [scene.targets[0]!, scene.targets[2]!]) {
    for (const slot of scene.plane.slotsOf(port)) scene.plane.states.setState(slot, TargetStateCode.unhealthy)
  }
  assert.deepEqual((await answers(scene, 0, 2)).sort(), ['any', 'one'])
  await scene.plane.publish(scene.config())
  assert.deepEqual(await answers(scene, 0, 2), ['two', 'two'])
})

test('a zonal shift does nothing to a target group that is in one zone only', async t => {
  const scene = await startZones(t, { one: 'us-east-1b' }, { shiftedZone: 'us-east-1b' })
  assert.deepEqual(await answers(scene, 0, 1), ['one'])
})

test('without cross-zone, a node that is shifted away from serves whoever comes all the same', async t => {
  const targets = { one: 'us-east-1a', two: 'us-east-1b' }
  const scene = await startZones(t, targets, { groupAttributes: ownZoneOnly, shiftedZone: 'us-east-1b' })
  assert.deepEqual(await answers(scene, 1, 1), ['two'])
  assert.deepEqual(await answers(scene, 0, 1), ['one'])
})

test('a request under way on a target that is shifted away is answered', async t => {
  const arrived = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  const slow: Script = async connection => {
    await connection.readRequest()
    arrived.resolve()
    await released.promise
    await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow')
  }
  const scene = await startScene(t, { zones, targets: [slow, answering()], targetZones: zones })
  const answer = scene.ask(get)
  await arrived.promise
  await scene.plane.publish(scene.config({ shiftedZone: 'us-east-1a' }))
  released.resolve()
  assert.equal((await answer).body.toString(), 'slow')
})
