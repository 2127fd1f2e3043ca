import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatProblem, parseConfig } from '../config.ts'
import { assertProblems, assertValid, testAccepted, testRefused, withLoadBalancer } from './marked.test-support.ts'

const crossZone = 'load_balancing.cross_zone.enabled'
const zones = (...items: string[]) => `availabilityZones: [${items.join(', ')}]`
const twoZones = zones('{ zoneName: us-east-1a }', '{ zoneName: us-east-1b }')
const listeners = 'listeners: [{ protocol: HTTP, port: 80, defaultActions: [{ type: forward, targetGroup: app }] }]'

function withTargets(targets: string, more = '', loadBalancer = twoZones): string {
  return `loadBalancers: [{ name: web, ${loadBalancer}, ${listeners} }]
targetGroups:
  - { name: app, protocol: HTTP, port: 80, ${more} targets: [${targets}] }`
}

const ownZoneOnly = `attributes: { ${crossZone}: "false" },`

testRefused([
  [
    'a bind beside zones',
    withLoadBalancer(`bind: «127.0.0.1\n    ${twoZones}`),
    'bind must be left out: with availabilityZones, each zone has addresses of its own',
  ],
  ['no zones at all', withLoadBalancer('availabilityZones: «[]'), 'availabilityZones must hold at least one zone'],
  [
    'a zone without a name',
    withLoadBalancer(zones('«{}')),
    'zoneName is missing: it must be the name of a zone, such as us-east-1a',
  ],
  [
    'a zone of the name that means all',
    withLoadBalancer(zones('{ zoneName: «all }')),
    'zoneName must be the name of a zone, such as us-east-1a, not "all"',
  ],
  [
    'a zone that is there twice',
    withLoadBalancer(zones('{ zoneName: us-east-1a }', '{ zoneName: «us-east-1a }')),
    'zoneName must be unique in its load balancer: us-east-1a is also at openalb.yaml:3:37',
  ],
  [
    'a zone with a subnet',
    withLoadBalancer(zones('{ zoneName: us-east-1a, «subnetId: subnet-1 }')),
    'subnetId is not supported yet',
  ],
  [
    'no address among addresses',
    withLoadBalancer(zones('{ zoneName: us-east-1a, loadBalancerAddresses: [«{}] }')),
    'loadBalancerAddresses[0] must hold an ipAddress, an iPv6Address, or both',
  ],
  [
    'addresses in the place of the other family',
    withLoadBalancer(
      zones('{ zoneName: us-east-1a, loadBalancerAddresses: [{ ipAddress: «"::1", iPv6Address: «127.0.0.1 }] }'),
    ),
    'ipAddress must be an IPv4 address, not "::1"',
    'iPv6Address must be an IPv6 address, not "127.0.0.1"',
  ],
  [
    'zones with overlapping addresses',
    withLoadBalancer(
      zones(
        '{ zoneName: us-east-1a, loadBalancerAddresses: [{ ipAddress: 127.0.0.1 }] }',
        '{ zoneName: us-east-1b, loadBalancerAddresses: [{ ipAddress: «0.0.0.0 }] }',
      ),
    ),
    'ipAddress is the same socket twice: 0.0.0.0 overlaps with 127.0.0.1',
  ],
  [
    'a target in all zones that is to get requests of its own zone only',
    withTargets('{ id: 10.0.0.1, availabilityZone: «all }', ownZoneOnly),
    `availabilityZone must be the name of a zone: with ${crossZone} "false", no target is in all`,
  ],
  [
    'a target in no zone that is to get requests of its own zone only',
    withTargets('«{ id: 10.0.0.1 }', ownZoneOnly),
    `availabilityZone is missing: with ${crossZone} "false", a target is in one zone: us-east-1a and us-east-1b`,
  ],
  [
    'a zone of a target that is no name',
    withTargets('{ id: 10.0.0.1, availabilityZone: «"a b" }'),
    'availabilityZone must be the name of a zone, such as us-east-1a, or all, not "a b"',
  ],
])

testAccepted([
  [
    'zones that share nothing',
    withLoadBalancer(
      zones(
        '{ zoneName: us-east-1a, loadBalancerAddresses: [{ ipAddress: 127.0.0.1, iPv6Address: "::1" }] }',
        '{ zoneName: us-west-2-lax-1a, loadBalancerAddresses: [{ ipAddress: 127.0.0.2 }, { ipAddress: 127.0.0.3 }] }',
      ),
    ),
  ],
  ['targets in zones', withTargets('{ id: 10.0.0.1, availabilityZone: us-east-1a }', ownZoneOnly)],
  ['targets in all zones', withTargets('{ id: 10.0.0.1, availabilityZone: all }, { id: 10.0.0.2 }')],
  ['without zones, targets of the only one', withTargets('{ id: 10.0.0.1 }', ownZoneOnly, 'bind: 127.0.0.1')],
])

test('a target in a zone that is not enabled is worth a warning', () => {
  for (const [loadBalancer, enabled] of [
    [twoZones, 'us-east-1a and us-east-1b'],
    ['bind: 127.0.0.1', 'us-east-1a'],
  ] as const) {
    const text = withTargets('{ id: 10.0.0.1, availabilityZone: us-east-1c }', '', loadBalancer)
    const result = parseConfig([{ name: 'f', text }])
    assert.ok(result.ok)
    const message = `is us-east-1c, which is no zone of the load balancer (${enabled}): the target is not used`
    assert.deepEqual(result.config.warnings.map(formatProblem), [`f:3:89: availabilityZone ${message}`])
  }
})

test('only Linux has addresses by default', () => {
  assertProblems(
    withLoadBalancer('availabilityZones: [«{ zoneName: us-east-1a }]'),
    ['loadBalancerAddresses is missing: only on Linux are there addresses by default'],
    { platform: 'darwin' },
  )
})

test('a zone has the same third number for all load balancers, a load balancer the same fourth', () => {
  const text = `loadBalancers:
  - { name: one, ${zones('{ zoneName: c }', '{ zoneName: a }')} }
  - { name: two, bind: 127.0.0.9 }
  - { name: three, ${zones('{ zoneName: b }', '{ zoneName: c }')} }`
  const result = parseConfig([{ name: 'f', text }], { platform: 'linux' })
  assert.ok(result.ok)
  assert.deepEqual(
    result.config.resources.loadBalancers.flatMap(({ availabilityZones }) =>
      availabilityZones.map(({ zoneName, addresses }) => `${zoneName} ${addresses}`),
    ),
    ['c 127.31.3.1', 'a 127.31.1.1', 'us-east-1a 127.0.0.9', 'b 127.31.2.3', 'c 127.31.3.3'],
  )
})

test('more load balancers than there are default addresses need addresses of their own', () => {
  const text = (marked: string) =>
    `loadBalancers:${Array.from(
      { length: 256 },
      (_, at) => `\n  - { name: lb${at}, availabilityZones: [${at === 255 ? marked : '{ zoneName: a }'}] }`,
    ).join('')}`
  assertProblems(
    text('«{ zoneName: a }'),
    ['loadBalancerAddresses is missing: there are too many zones or load balancers for a default'],
    { platform: 'linux' },
  )
  assertValid(text('{ zoneName: a, loadBalancerAddresses: [{ ipAddress: 127.0.0.1 }] }'), { platform: 'linux' })
})

test('a target that names no zone is in the only one, or in none in particular', () => {
  for (const [loadBalancer, zone] of [
    [twoZones, 'all'],
    [zones('{ zoneName: us-west-2b }'), 'us-west-2b'],
    ['bind: 127.0.0.1', 'us-east-1a'],
  ] as const) {
    const result = parseConfig([{ name: 'f', text: withTargets('{ id: 10.0.0.1 }', '', loadBalancer) }])
    assert.ok(result.ok)
    const [group] = result.config.resources.targetGroups
    assert.deepEqual(group!.targets, [{ ip: '10.0.0.1', port: 80, availabilityZone: zone }])
  }
})

const shifting = 'attributes: { zonal_shift.config.enabled: "true" }'
const withShifts = (shifts: string, loadBalancer = `${twoZones}, ${shifting}`) =>
  `loadBalancers: [{ name: web, ${loadBalancer} }]\nzonalShifts: [${shifts}]`

testRefused([
  [
    'a zonal shift of no load balancer',
    withShifts('{ resourceIdentifier: «wep, awayFrom: us-east-1a }'),
    'resourceIdentifier names no load balancer: "wep"; did you mean "web"?',
  ],
  [
    'a zonal shift of a load balancer that is not prepared for it',
    withShifts('{ resourceIdentifier: «web, awayFrom: us-east-1a }', twoZones),
    'resourceIdentifier "web" is not prepared: it needs the attribute zonal_shift.config.enabled "true"',
  ],
  [
    'a zonal shift away from a zone that is not there',
    withShifts('{ resourceIdentifier: web, awayFrom: «us-east-1c }'),
    'awayFrom must be a zone of the load balancer (us-east-1a and us-east-1b), not "us-east-1c"',
  ],
  [
    'a zonal shift away from the only zone',
    withShifts('{ resourceIdentifier: web, awayFrom: «us-east-1a }', `bind: 127.0.0.1, ${shifting}`),
    'awayFrom is the only zone of the load balancer: there is none to shift traffic to',
  ],
  [
    'two zonal shifts of a load balancer',
    withShifts('{ resourceIdentifier: web, awayFrom: us-east-1a }, { resourceIdentifier: «web, awayFrom: us-east-1b }'),
    'resourceIdentifier "web" is already shifted at openalb.yaml:2:37: one zone at a time',
  ],
  [
    'a zonal shift that ends',
    withShifts('{ resourceIdentifier: web, awayFrom: us-east-1a, «expiresIn: 3h }'),
    'expiresIn has no beginning in a file: a shift lasts for as long as it is there',
  ],
])

test('a zonal shift is one of its load balancer', () => {
  const result = parseConfig([{ name: 'f', text: withShifts('{ resourceIdentifier: web, awayFrom: us-east-1b }') }])
  assert.ok(result.ok)
  assert.deepEqual(
    result.config.resources.loadBalancers.map(({ shiftedZone }) => shiftedZone),
    ['us-east-1b'],
  )
})
