import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../base/clock.ts'
import type { FaultStatus, LoadBalancerStatus, Status, TargetGroupStatus, TargetStatus } from '../../control/status.ts'
import { noOverride } from '../../model/health.ts'
import { Display } from './display.ts'

type Changing = {
  exchanges: number
  zones: LoadBalancerStatus['availabilityZones']
  groupZones: TargetGroupStatus['availabilityZones']
  targets: TargetStatus[]
  faults: FaultStatus[]
}

function target(port: number, state: TargetStatus['state'], reason: string | null = null): TargetStatus {
  const description = reason === null ? null : 'for a reason'
  return {
    id: '127.0.0.1',
    availabilityZone: 'us-east-1a',
    administrativeOverride: noOverride,
    nodes: [],
    port,
    state,
    reason,
    description,
    lastCheck: null,
    requests: 0,
    requestsInFlight: 0,
    anomaly: 'normal',
    isMitigated: false,
    isSlowStarting: false,
    faults: 0,
  }
}

function fault(n: number): FaultStatus {
  const at = new Date(Date.UTC(2026, 0, 1) + n).toISOString()
  const request = `GET /${n}`
  return {
    at,
    fault: 'groupEmpty',
    text: 'no targets',
    statusCode: 503,
    request,
    target: null,
    loadBalancer: '',
    traceId: `${n}`,
  }
}

/** A display on a screen of so many columns, or on none. */
function start(columns: number | null) {
  const clock = new ManualClock()
  const now: Changing = { exchanges: 0, zones: [], groupZones: [], targets: [target(1, 'healthy')], faults: [] }
  let written = ''
  const stream = {
    isTTY: columns !== null,
    columns,
    write: (text: string) => {
      written += text
      return true
    },
  } as unknown as NodeJS.WriteStream
  const status = (): Status => ({
    version: '1',
    pid: 1,
    startedAt: '',
    workers: 1,
    snapshot: 1,
    logFolder: '',
    loadBalancers: [
      {
        name: 'web',
        arn: 'web',
        dnsName: '',
        listeners: [],
        availabilityZones: now.zones,
        activeConnections: 0,
        exchanges: now.exchanges,
        counters: {},
      },
    ],
    targetGroups: [{ name: 'app', arn: 'app', availabilityZones: now.groupZones, targets: now.targets }],
    faults: now.faults,
  })
  const display = new Display({ clock, stream, status })
  /** What was written since the last call. */
  const take = () => {
    const taken = written
    written = ''
    return taken
  }
  display.start()
  return { clock, now, display, take }
}

test('without a terminal, only what changes is a line', () => {
  const { clock, now, take } = start(null)
  assert.equal(take(), 'target group app: 127.0.0.1:1           healthy  0 requests, 0 in flight\n')
  clock.advance(5_000)
  assert.equal(take(), '')
  now.targets = [target(1, 'unhealthy', 'Target.Timeout')]
  clock.advance(1_000)
  assert.match(take(), /^target group app: 127\.0\.0\.1:1 +unhealthy Target\.Timeout: for a reason {2}[^\n]*\n$/)
  clock.advance(1_000)
  assert.equal(take(), '')
})

test('without a terminal, a target that one node after the other gives up is told until all agree', () => {
  const { clock, now, take } = start(null)
  take()
  const failing = target(1, 'unhealthy', 'Target.Timeout')
  const inB = { ...failing, zoneName: 'us-east-1b' }
  now.targets = [{ ...failing, nodes: [{ ...target(1, 'healthy'), zoneName: 'us-east-1a' }, inB] }]
  clock.advance(1_000)
  assert.match(take(), / unhealthy Target\.Timeout: for a reason \(healthy to us-east-1a\) {2}/)
  now.targets = [{ ...failing, nodes: [{ ...failing, zoneName: 'us-east-1a' }, inB] }]
  clock.advance(1_000)
  assert.match(take(), / unhealthy Target\.Timeout: for a reason {2}/)
  clock.advance(1_000)
  assert.equal(take(), '')
})

test('without a terminal, a target that left and comes back is news', () => {
  const { clock, now, take } = start(null)
  const line = take()
  now.targets = []
  clock.advance(1_000)
  assert.equal(take(), '')
  now.targets = [target(1, 'healthy')]
  clock.advance(1_000)
  assert.equal(take(), line)
})

test('without a terminal, a zone that leaves DNS and a group that fails open are told, and when that is over', () => {
  const { clock, now, take } = start(null)
  take()
  const zone = { addresses: [], isInDns: true, isShifted: false, activeConnections: 0, exchanges: 0, counters: {} }
  const zones = ['us-east-1a', 'us-east-1b'].map(zoneName => ({ ...zone, zoneName }))
  now.zones = zones
  clock.advance(1_000)
  assert.equal(take(), '')
  now.zones = [zones[0]!, { ...zones[1]!, isInDns: false }]
  const metrics = { HealthyHostCount: 0, UnHealthyHostCount: 1, UnhealthyStateRouting: 1 }
  now.groupZones = [
    { zoneName: 'us-east-1a', metrics: {} },
    { zoneName: 'us-east-1b', metrics },
  ]
  clock.advance(1_000)
  assert.deepEqual(take().split('\n'), [
    'load balancer web: us-east-1b not in DNS: too few healthy targets',
    'target group app: fails open in us-east-1b: too few healthy targets',
    '',
  ])
  clock.advance(1_000)
  assert.equal(take(), '')
  now.zones = zones
  now.groupZones = []
  clock.advance(1_000)
  assert.deepEqual(take().split('\n'), [
    'load balancer web: us-east-1b in DNS',
    'target group app: no longer fails open',
    '',
  ])
})

test('without a terminal, each fault is told once, also when older ones are forgotten', () => {
  const { clock, now, take } = start(null)
  take()
  now.faults = [fault(1), fault(2)]
  clock.advance(1_000)
  assert.deepEqual(take().match(/\/\d/g), ['/1', '/2'])
  now.faults = [fault(2), fault(3)]
  clock.advance(1_000)
  assert.deepEqual(take().match(/\/\d/g), ['/3'])
  now.faults = [fault(8), fault(9)]
  clock.advance(2_000)
  assert.deepEqual(take().match(/\/\d/g), ['/8', '/9'], 'the last one told is forgotten: all are new')
})

test('without a terminal, traffic is summed up every ten seconds, if there was any', () => {
  const { clock, now, take } = start(null)
  take()
  clock.advance(10_000)
  assert.equal(take(), '')
  now.exchanges = 50
  clock.advance(10_000)
  assert.equal(take(), '5.0 requests/s, 50 requests so far\n')
  clock.advance(10_000)
  assert.equal(take(), '')
})

test('on a terminal the state is drawn over the one before', () => {
  const { clock, now, take } = start(100)
  assert.equal(take().split('\n').length - 1, 3)
  now.faults = [fault(1)]
  clock.advance(1_000)
  const second = take()
  assert.ok(second.startsWith('\u001b[3A\u001b[0J'), 'three lines up, and everything below erased')
  assert.equal(second.split('\n').length - 1, 5)
  clock.advance(1_000)
  assert.ok(take().startsWith('\u001b[5A\u001b[0J'))
})

test('the rate is that since the last look', () => {
  const { clock, now, take } = start(100)
  assert.doesNotMatch(take(), /requests\/s/)
  now.exchanges = 30
  clock.advance(1_000)
  assert.match(take(), /30 requests\/s, 30 requests/)
  clock.advance(1_000)
  assert.match(take(), /0\.0 requests\/s, 30 requests/)
})

test('what is said stands above the state, and is not drawn over', () => {
  const { clock, display, take } = start(100)
  take()
  display.say('something happened')
  assert.equal(take(), '\u001b[3A\u001b[0Jsomething happened\n')
  clock.advance(1_000)
  assert.doesNotMatch(take(), /^\u001b\[\d+A/)
})

test('lines are cut to the width of the terminal, colours not counted', () => {
  const { take } = start(20)
  for (const line of take().split('\n').slice(0, -1)) {
    const shown = line.replaceAll(/\u001b\[\d+m/g, '')
    assert.ok(shown.length < 20, JSON.stringify(line))
  }
})

test('a stopped display writes nothing further', () => {
  const { clock, now, display, take } = start(null)
  take()
  display.stop()
  now.faults = [fault(1)]
  clock.advance(60_000)
  assert.equal(take(), '')
})
