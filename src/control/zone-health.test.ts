import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../base/clock.ts'
import { TargetStateCode, TargetStates } from '../model/target-states.ts'
import { formatProblem, parseConfig } from './config.ts'
import { testPublisher } from './publisher-test-support.ts'
import { addressesInDns, nodesInDns } from './zone-health.ts'

type Group = {
  readonly name: string
  readonly attributes?: Readonly<Record<string, string>>
  /** The zones of its targets, and whether they are healthy. */
  readonly targets: readonly (readonly [zone: string, isHealthy: boolean])[]
}

function prepare(text: string) {
  const parsed = parseConfig([{ name: 'test.yaml', text }], { platform: 'linux' })
  if (!parsed.ok) throw new Error(parsed.problems.map(formatProblem).join('\n'))
  const states = new TargetStates()
  const publisher = testPublisher(new ManualClock(), states)
  const snapshot = publisher.prepare(parsed.config.resources)
  return { snapshot, states }
}

/** The names of the zones that DNS leads to, of a load balancer in `a` and `b` that forwards to these groups. */
function zonesInDns(groups: readonly Group[], awayFrom: string | null = null): string[] {
  const text = JSON.stringify({
    loadBalancers: [
      {
        name: 'web',
        availabilityZones: [{ zoneName: 'a' }, { zoneName: 'b' }],
        attributes: { 'zonal_shift.config.enabled': 'true' },
        listeners: groups.map(({ name }, at) => ({
          protocol: 'HTTP',
          port: 8000 + at,
          defaultActions: [{ type: 'forward', targetGroup: name }],
        })),
      },
    ],
    targetGroups: groups.map(({ name, attributes = {}, targets }) => ({
      name,
      protocol: 'HTTP',
      port: 80,
      attributes,
      targets: targets.map(([availabilityZone], at) => ({ id: `10.0.0.${at + 1}`, availabilityZone })),
    })),
    zonalShifts: awayFrom === null ? [] : [{ resourceIdentifier: 'web', awayFrom }],
  })
  const { snapshot, states } = prepare(text)
  for (const group of snapshot.targetGroups) {
    const described = groups.find(({ name }) => name === group.name)!
    for (const { ip, slot } of [...group.targets, ...group.targetsElsewhere]) {
      const [, isHealthy] = described.targets[Number(ip.slice('10.0.0.'.length)) - 1]!
      states.setState(slot, isHealthy ? TargetStateCode.healthy : TargetStateCode.unhealthy)
    }
  }
  return nodesInDns(snapshot.loadBalancers[0]!, snapshot, states).map(({ zoneName }) => zoneName)
}

const ownZoneOnly = { 'load_balancing.cross_zone.enabled': 'false' }
const minimum = 'target_group_health.dns_failover.minimum_healthy_targets'

test('a zone where no target is healthy leaves, where requests stay in their zone', () => {
  const targets = [
    ['a', true],
    ['b', false],
  ] as const
  assert.deepEqual(zonesInDns([{ name: 'app', attributes: ownZoneOnly, targets }]), ['a'])
  assert.deepEqual(zonesInDns([{ name: 'app', targets }]), ['a', 'b'])
})

test('a zone without targets is no better', () => {
  assert.deepEqual(zonesInDns([{ name: 'app', attributes: ownZoneOnly, targets: [['b', true]] }]), ['b'])
})

test('when all zones are bad, all stay', () => {
  const targets = [
    ['a', false],
    ['b', false],
  ] as const
  assert.deepEqual(zonesInDns([{ name: 'app', attributes: ownZoneOnly, targets }]), ['a', 'b'])
  assert.deepEqual(zonesInDns([{ name: 'app', targets }]), ['a', 'b'])
})

test('thresholds are those of the zone where requests stay in it, and of all zones otherwise', () => {
  // The documentation's example: 10 targets in each zone, six of b fail, 50 %.
  const targets = Array.from({ length: 20 }, (_, at) => [at < 10 ? 'a' : 'b', at < 14] as const)
  const attributes = { [`${minimum}.percentage`]: '50' }
  assert.deepEqual(zonesInDns([{ name: 'app', attributes, targets }]), ['a', 'b'])
  assert.deepEqual(zonesInDns([{ name: 'app', attributes: { ...attributes, ...ownZoneOnly }, targets }]), ['a'])
  assert.deepEqual(zonesInDns([{ name: 'app', attributes: { ...ownZoneOnly, [`${minimum}.count`]: '5' }, targets }]), [
    'a',
  ])
  assert.deepEqual(
    zonesInDns([{ name: 'app', attributes: { ...ownZoneOnly, [`${minimum}.count`]: 'off' }, targets }]),
    ['a', 'b'],
  )
})

test('one fit target group is enough for a zone, and so is having none', () => {
  const good: Group = { name: 'good', attributes: ownZoneOnly, targets: [['b', true]] }
  const bad: Group = {
    name: 'bad',
    attributes: ownZoneOnly,
    targets: [
      ['a', true],
      ['b', false],
    ],
  }
  assert.deepEqual(zonesInDns([good, bad]), ['a', 'b'])
  assert.deepEqual(zonesInDns([]), ['a', 'b'])
})

test('a zone that traffic is shifted away from leaves, unless no other is fit', () => {
  const targets = (b: boolean) =>
    [
      ['a', true],
      ['b', b],
    ] as const
  assert.deepEqual(zonesInDns([{ name: 'app', targets: targets(true) }], 'a'), ['b'])
  assert.deepEqual(zonesInDns([], 'a'), ['b'])
  assert.deepEqual(zonesInDns([{ name: 'app', attributes: ownZoneOnly, targets: targets(false) }], 'a'), ['a', 'b'])
})

test('a DNS name has the addresses of its zones, those of all the machine as the loopback ones', () => {
  const { snapshot, states } = prepare(
    JSON.stringify({
      loadBalancers: [
        { name: 'Zoned', availabilityZones: [{ zoneName: 'a' }, { zoneName: 'b' }] },
        { name: 'plain', bind: ['0.0.0.0', '::'] },
      ],
    }),
  )
  const names = snapshot.loadBalancers.map(({ dnsName }) => dnsName.toLowerCase())
  const find = (name: string) => addressesInDns(name, snapshot, states)
  assert.deepEqual(names.map(find), [
    ['127.31.1.1', '127.31.2.1'],
    ['127.0.0.1', '::1'],
  ])
  assert.deepEqual(find(`dualstack.${names[1]}`), ['127.0.0.1', '::1'])
  assert.deepEqual(find('elb.localhost'), [])
  assert.deepEqual(find('us-east-1.elb.localhost'), [])
  assert.equal(find(`www.${names[1]}`), null)
  assert.equal(find('plain.us-east-1.elb.localhost'), null)
})
