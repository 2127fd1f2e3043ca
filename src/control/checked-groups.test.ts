import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { makeCertificate } from '../../test/support/certificates.ts'
import { ManualClock } from '../base/clock.ts'
import { deregistering, groupNotInUse } from '../model/health.ts'
import { TargetStates } from '../model/target-states.ts'
import { checkedGroups } from './checked-groups.ts'
import { formatProblem, parseConfig } from './config.ts'
import { testPublisher } from './publisher-test-support.ts'

const { certificate, privateKey } = makeCertificate({ names: ['a.example'], keyType: 'p256' })

/** In two zones, with a target in each that only the node of its zone sends requests to. */
function zonedConfig(zonesOfTargets: readonly string[]): string {
  const zones = ['a', 'b'].map((zoneName, i) => ({
    zoneName,
    loadBalancerAddresses: [{ ipAddress: `127.31.${i + 1}.1`, iPv6Address: `2001:db8::${i + 1}` }],
  }))
  const listener = { protocol: 'HTTP', port: 80, defaultActions: [{ type: 'forward', targetGroup: 'app' }] }
  const attributes = { 'load_balancing.cross_zone.enabled': 'false' }
  const targets = zonesOfTargets.map((availabilityZone, i) => ({ id: '127.0.0.1', port: 3001 + i, availabilityZone }))
  return JSON.stringify({
    loadBalancers: [{ name: 'web', availabilityZones: zones, listeners: [listener] }],
    targetGroups: [{ name: 'app', protocol: 'HTTP', port: 80, attributes, targets }],
  })
}

/** Two load balancers, one with HTTPS, each with a group of its own, and a group that nobody uses. */
function configOf(targetPorts: readonly number[]): string {
  const forward = (targetGroup: string) => [{ type: 'forward', targetGroup }]
  const secure = {
    protocol: 'HTTPS',
    port: 443,
    sslPolicy: 'ELBSecurityPolicy-TLS13-1-2-2021-06',
    certificates: [{ certificate, privateKey }],
    defaultActions: forward('safe'),
  }
  const plain = { protocol: 'HTTP', port: 80, defaultActions: forward('plain') }
  const targets = targetPorts.map(port => ({ id: '127.0.0.1', port }))
  const attributes = { 'slow_start.duration_seconds': '30' }
  return JSON.stringify({
    loadBalancers: [
      { name: 'open', listeners: [plain] },
      { name: 'closed', bind: ['127.0.0.2', '127.0.0.3'], listeners: [secure] },
    ],
    targetGroups: [
      { name: 'plain', protocol: 'HTTP', port: 80, attributes, targets },
      { name: 'safe', protocol: 'HTTP', port: 80 },
      { name: 'idle', protocol: 'HTTP', port: 80, targets },
    ],
  })
}

function fixture(t: TestContext) {
  const [clock, states] = [new ManualClock(), new TargetStates()]
  const publisher = testPublisher(clock, states)
  t.after(() => publisher.close())
  return (text: string) => {
    const parsed = parseConfig([{ name: 'test.json', text }])
    if (!parsed.ok) throw new Error(parsed.problems.map(formatProblem).join('\n'))
    const { resources } = parsed.config
    const snapshot = publisher.prepare(resources)
    publisher.commit(resources)
    return checkedGroups(resources, snapshot, publisher.draining)
  }
}

test('a group is checked by the node of the load balancer that uses it, by the policy of its listeners', t => {
  const groups = fixture(t)(configOf([3001]))
  const who = groups.map(({ name, checking }) => {
    if (!checking.isOn) return [name, checking.health]
    return [name, checking.node.loadBalancerName, checking.node.nodeIp, checking.backendPolicy.name]
  })
  assert.deepEqual(who, [
    ['plain', 'open', '127.0.0.1', 'ELBSecurityPolicy-2016-08'],
    ['safe', 'closed', '127.0.0.2', 'ELBSecurityPolicy-TLS13-1-0-2021-06'],
    ['idle', groupNotInUse],
  ])
  const [plain] = groups
  assert.ok(plain!.checking.isOn && plain!.checking.slowStartSeconds === 30)
  assert.deepEqual(
    plain!.targets.map(({ port }) => port),
    [3001],
  )
})

test('what drains is at rest, and keeps its slot', t => {
  const publish = fixture(t)
  const slotOf = (groups: ReturnType<typeof publish>) =>
    groups.flatMap(({ targets }) => targets).find(({ port }) => port === 3002)?.slot
  const before = publish(configOf([3001, 3002]))
  const after = publish(configOf([3001]))
  const leaving = after.filter(({ checking }) => !checking.isOn && checking.health === deregistering)
  assert.deepEqual(
    leaving.map(({ name, targets }) => [name, targets.map(({ port }) => port)]),
    [
      ['plain', [3002]],
      ['idle', [3002]],
    ],
  )
  assert.equal(slotOf(leaving), slotOf(before))
})

test('each node checks all targets in enabled zones by its first address, those that it sends nothing to as well', t => {
  const groups = fixture(t)(zonedConfig(['a', 'b', 'c']))
  const who = groups.map(({ checking, targets }) => [
    checking.isOn && checking.node.nodeIp,
    targets.map(({ port }) => port),
  ])
  assert.deepEqual(who, [
    ['127.31.1.1', [3001, 3002]],
    ['127.31.2.1', [3002, 3001]],
  ])
  const slots = groups.flatMap(({ targets }) => targets.map(({ slot }) => slot))
  assert.equal(new Set(slots).size, 4)
})

test('a target drains for every node that knew it', t => {
  const publish = fixture(t)
  const known = publish(zonedConfig(['a', 'b'])).flatMap(({ targets }) => targets)
  const leaving = publish(zonedConfig(['a'])).at(-1)!
  assert.deepEqual(leaving.checking, { isOn: false, health: deregistering })
  assert.deepEqual(
    leaving.targets,
    known.filter(({ port }) => port === 3002),
  )
})
