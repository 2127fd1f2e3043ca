import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ManualClock } from '../base/clock.ts'
import { AnomalyDetector } from '../health/anomaly-detector.ts'
import { HealthChecker } from '../health/checker.ts'
import type { FaultEvent } from '../model/fault-event.ts'
import type { Resources } from '../model/resources.ts'
import { TargetStateCode, TargetStates } from '../model/target-states.ts'
import { CounterSlab, LoadBalancerColumn, TargetColumn } from '../observe/counters.ts'
import { checkedGroups } from './checked-groups.ts'
import { formatProblem, parseConfig } from './config.ts'
import { testPublisher } from './publisher-test-support.ts'
import { type HealthEvent, StatusReporter, type TargetGroupStatus } from './status.ts'
import { Totals } from './totals.ts'

/** Load balancer `web` in two zones, and group `app` that it forwards to. */
function zonedResources(
  targets: readonly { id: string; availabilityZone: string }[],
  awayFrom: string | null = null,
  zones: readonly string[] = ['a', 'b'],
) {
  const text = JSON.stringify({
    loadBalancers: [
      {
        name: 'web',
        availabilityZones: zones.map(zoneName => ({ zoneName })),
        attributes: { 'zonal_shift.config.enabled': 'true' },
        listeners: [{ protocol: 'HTTP', port: 80, defaultActions: [{ type: 'forward', targetGroup: 'app' }] }],
      },
    ],
    targetGroups: [{ name: 'app', protocol: 'HTTP', port: 80, targets }],
    zonalShifts: awayFrom === null ? [] : [{ resourceIdentifier: 'web', awayFrom }],
  })
  const parsed = parseConfig([{ name: 'test.yaml', text }], { platform: 'linux' })
  if (!parsed.ok) throw new Error(parsed.problems.map(formatProblem).join('\n'))
  return parsed.config.resources
}

/** Load balancer `web` on port 80, and group `app` with targets at these ports of 127.0.0.1, not in use. */
function resourcesOf(ports: readonly number[]) {
  const targets = ports.map(port => ({ id: '127.0.0.1', port }))
  const listeners = [
    {
      protocol: 'HTTP',
      port: 80,
      defaultActions: [{ type: 'fixed-response', fixedResponse: { statusCode: 404 } }],
    },
  ]
  const text = JSON.stringify({
    loadBalancers: [{ name: 'web', bind: ['0.0.0.0', '::'], listeners }],
    targetGroups: [{ name: 'app', protocol: 'HTTP', port: 80, targets }],
  })
  const parsed = parseConfig([{ name: 'test.yaml', text }], { portOffset: 8000 })
  if (!parsed.ok) throw new Error(parsed.problems.map(formatProblem).join('\n'))
  return parsed.config.resources
}

function fixture(t: TestContext) {
  const clock = new ManualClock(Date.UTC(2026, 0, 2, 3, 4, 5))
  const states = new TargetStates()
  const slabs = [new CounterSlab(), new CounterSlab()] as const
  const totals = new Totals(() => slabs)
  const publisher = testPublisher(clock, states, (kind, slot) => totals.freeSlot(kind, slot))
  const checker = new HealthChecker({ clock, states, onChange: () => {} })
  t.after(() => {
    publisher.close()
    checker.close()
    detector.close()
  })
  const detector = new AnomalyDetector({ clock, states, read: () => ({ requests: 0, errors: 0 }) })
  const sources = {
    clock,
    version: '1.2.3',
    publisher,
    checker,
    detector,
    states,
    slabs: () => slabs,
    totals,
    logFolder: 'logs',
  }
  const reporter = new StatusReporter(sources)
  /** Without health checks. */
  const publishResources = (resources: Resources) => {
    const snapshot = publisher.prepare(resources)
    publisher.commit(resources)
    totals.apply(publisher)
    return snapshot
  }
  const publish = (ports: readonly number[]) => {
    const resources = resourcesOf(ports)
    const snapshot = publishResources(resources)
    const { targets } = snapshot.targetGroups[0]!
    checker.apply(checkedGroups(resources, snapshot, publisher.draining))
    return { loadBalancer: snapshot.loadBalancers[0]!.nodes[0]!.slot, targets: targets.map(({ slot }) => slot) }
  }
  return { clock, states, slabs, reporter, checker, publisher, publish, publishResources }
}

function faultEvent(n: number, more: Partial<FaultEvent> = {}): FaultEvent {
  return {
    fault: 'targetRefused',
    atMs: Date.UTC(2026, 0, 2) + n,
    loadBalancer: 'app/web/0123456789abcdef',
    targetAddress: '127.0.0.1:1',
    statusCode: 502,
    request: `GET /${n}`,
    traceId: 'Root=1-2-3',
    detail: null,
    ...more,
  }
}

test('what is counted is the sum over the workers', t => {
  const { slabs, reporter, publish } = fixture(t)
  const { loadBalancer, targets } = publish([1, 2])
  for (const [slab, times] of [
    [slabs[0], 3],
    [slabs[1], 4],
  ] as const) {
    slab.countLoadBalancer(loadBalancer, LoadBalancerColumn.exchanges, times)
    slab.countLoadBalancer(loadBalancer, LoadBalancerColumn.HTTPCode_ELB_502_Count, 1)
    slab.countLoadBalancer(loadBalancer, LoadBalancerColumn.connectionsOpened, 10)
    slab.countLoadBalancer(loadBalancer, LoadBalancerColumn.connectionsClosed, times)
    slab.countTarget(targets[1]!, TargetColumn.requestsBegun, times)
    slab.countTarget(targets[1]!, TargetColumn.faults, 1)
  }
  const status = reporter.status()
  const [web] = status.loadBalancers
  assert.equal(status.workers, 2)
  assert.equal(web!.exchanges, 7)
  assert.equal(web!.activeConnections, 13)
  assert.equal(web!.counters.HTTPCode_ELB_502_Count, 2)
  const counts = status.targetGroups[0]!.targets.map(({ port, requests, faults }) => [port, requests, faults])
  assert.deepEqual(counts, [
    [1, 0, 0],
    [2, 7, 2],
  ])
})

test('requests in flight are those of all workers', t => {
  const { states, reporter, publish } = fixture(t)
  const { targets } = publish([1])
  states.addRequestInFlight(targets[0]!)
  states.addRequestInFlight(targets[0]!)
  assert.equal(reporter.status().targetGroups[0]!.targets[0]!.requestsInFlight, 2)
})

test('listeners are shown where they can be reached, under their own port', t => {
  const { reporter, publish } = fixture(t)
  publish([])
  assert.deepEqual(reporter.status().loadBalancers[0]!.listeners, [
    { protocol: 'HTTP', port: 80, addresses: ['0.0.0.0:8080', '[::]:8080'], rules: 0 },
  ])
})

test('a target is shown with its state and the words of the service for it', t => {
  const { reporter, publish } = fixture(t)
  publish([1])
  const [target] = reporter.status().targetGroups[0]!.targets
  assert.deepEqual([target!.state, target!.reason], ['unused', 'Target.NotInUse'])
  assert.match(target!.description!, /not configured to receive traffic/)
})

test('a deregistered target stays in sight while it drains', t => {
  const { clock, states, reporter, publish } = fixture(t)
  const { targets } = publish([1, 2])
  publish([1])
  const shown = () => reporter.status().targetGroups[0]!.targets.map(({ port, state }) => `${port} ${state}`)
  assert.deepEqual(shown(), ['1 unused', '2 draining'])
  assert.equal(states.state(targets[1]!), TargetStateCode.draining)
  clock.advance(300_000)
  assert.deepEqual(shown(), ['1 unused'])
})

test('each zone has its own traffic, and the load balancer the sum', t => {
  const { slabs, reporter, publishResources } = fixture(t)
  const snapshot = publishResources(zonedResources([]))
  const [a, b] = snapshot.loadBalancers[0]!.nodes
  slabs[0].countLoadBalancer(a!.slot, LoadBalancerColumn.RequestCount, 3)
  slabs[1].countLoadBalancer(b!.slot, LoadBalancerColumn.RequestCount, 4)
  const [web] = reporter.status().loadBalancers
  assert.equal(web!.counters.RequestCount, 7)
  assert.deepEqual(
    web!.availabilityZones.map(({ zoneName, addresses, counters }) => [zoneName, addresses, counters.RequestCount]),
    [
      ['a', ['127.31.1.1'], 3],
      ['b', ['127.31.2.1'], 4],
    ],
  )
})

/** Long enough for deregistered targets to drain, and for their slots to rest. */
const afterRestMs = 400_000

test('what a zone counted stays with the load balancer and the targets when the zone goes', t => {
  const { clock, slabs, reporter, publishResources } = fixture(t)
  const targets = [{ id: '10.0.0.1', availabilityZone: 'a' }]
  const snapshot = publishResources(zonedResources(targets))
  const [a, b] = snapshot.loadBalancers[0]!.nodes
  const [atA, atB] = snapshot.targetGroups.map(group => group.targets[0]!.slot)
  slabs[0].countLoadBalancer(a!.slot, LoadBalancerColumn.RequestCount, 3)
  slabs[1].countLoadBalancer(b!.slot, LoadBalancerColumn.RequestCount, 4)
  slabs[0].countTarget(atA!, TargetColumn.requestsBegun, 3)
  slabs[1].countTarget(atB!, TargetColumn.requestsBegun, 4)
  slabs[1].countTarget(atB!, TargetColumn.faults, 1)
  const shown = () => {
    const { loadBalancers, targetGroups } = reporter.status()
    const { counters, availabilityZones } = loadBalancers[0]!
    const { requests, faults } = targetGroups[0]!.targets[0]!
    const zones = availabilityZones.map(zone => zone.counters.RequestCount)
    return [counters.RequestCount, zones, requests, faults]
  }
  assert.deepEqual(shown(), [7, [3, 4], 7, 1])
  publishResources(zonedResources(targets, null, ['a']))
  assert.deepEqual(shown(), [7, [3], 7, 1], 'while its slots rest')
  slabs[1].countLoadBalancer(b!.slot, LoadBalancerColumn.RequestCount, 1)
  assert.deepEqual(shown(), [8, [3], 7, 1], 'of a request that was under way')
  clock.advance(afterRestMs)
  assert.deepEqual(shown(), [8, [3], 7, 1], 'when its slots are free')
  publishResources(zonedResources(targets, null, ['a', 'c']))
  assert.deepEqual(shown(), [8, [3, 0], 7, 1], 'when its slots are those of another zone')
})

test('what a target counted stays with its group when it goes, and it begins anew when it is back', t => {
  const { clock, slabs, reporter, publishResources } = fixture(t)
  const targets = ['10.0.0.1', '10.0.0.2'].map(id => ({ id, availabilityZone: 'a' }))
  const [atA] = publishResources(zonedResources(targets, null, ['a'])).targetGroups
  for (const { slot } of atA!.targets) {
    slabs[0].countTarget(slot, TargetColumn.requestsBegun, 3)
    slabs[1].countTarget(slot, TargetColumn.UnhealthyRoutingRequestCount, 2)
  }
  const shown = () => {
    const [{ availabilityZones, targets }] = reporter.status().targetGroups as [TargetGroupStatus]
    const { RequestCount, UnhealthyRoutingRequestCount } = availabilityZones[0]!.metrics
    return [RequestCount, UnhealthyRoutingRequestCount, targets.map(({ requests }) => requests)]
  }
  publishResources(zonedResources(targets.slice(1), null, ['a']))
  assert.deepEqual(shown(), [6, 4, [3, 3]], 'while it drains')
  clock.advance(afterRestMs)
  assert.deepEqual(shown(), [6, 4, [3]], 'when it has drained')
  publishResources(zonedResources([], null, ['a']))
  clock.advance(afterRestMs)
  assert.deepEqual(shown(), [6, 4, []], 'when none is left')
  publishResources(zonedResources(targets, null, ['a']))
  assert.deepEqual(shown(), [6, 4, [0, 0]])
})

test('a group counts on when a zonal shift leaves some of its targets out, and a target when its zone does', t => {
  const { clock, slabs, reporter, publishResources } = fixture(t)
  const targets = ['a', 'b'].map((availabilityZone, at) => ({ id: `10.0.0.${at + 1}`, availabilityZone }))
  const [atA] = publishResources(zonedResources(targets)).targetGroups
  for (const { slot } of atA!.targets) slabs[0].countTarget(slot, TargetColumn.requestsBegun, 3)
  const shown = () => {
    const [{ availabilityZones, targets }] = reporter.status().targetGroups as [TargetGroupStatus]
    return [availabilityZones[0]!.metrics.RequestCount, targets.map(({ requests }) => requests)]
  }
  publishResources(zonedResources(targets, 'b'))
  assert.deepEqual(shown(), [6, [3, 3]])
  publishResources(zonedResources(targets, null, ['a']))
  clock.advance(afterRestMs)
  assert.deepEqual(shown(), [6, [3, 3]])
})

test('a load balancer or group that was gone begins anew', t => {
  const { clock, slabs, reporter, publishResources } = fixture(t)
  const resources = zonedResources([{ id: '10.0.0.1', availabilityZone: 'a' }])
  const snapshot = publishResources(resources)
  slabs[0].countLoadBalancer(snapshot.loadBalancers[0]!.nodes[0]!.slot, LoadBalancerColumn.RequestCount, 3)
  slabs[0].countTarget(snapshot.targetGroups[0]!.targets[0]!.slot, TargetColumn.requestsBegun, 3)
  publishResources({ loadBalancers: [], targetGroups: [] })
  clock.advance(afterRestMs)
  publishResources(resources)
  const { loadBalancers, targetGroups } = reporter.status()
  assert.equal(loadBalancers[0]!.counters.RequestCount, 0)
  assert.equal(targetGroups[0]!.availabilityZones[0]!.metrics.RequestCount, 0)
  assert.equal(targetGroups[0]!.targets[0]!.requests, 0)
})

test('a target in a zone that is not enabled is unused, in the words for that', t => {
  const { reporter, publishResources } = fixture(t)
  publishResources(zonedResources([{ id: '10.0.0.1', availabilityZone: 'c' }]))
  const [target] = reporter.status().targetGroups[0]!.targets
  assert.deepEqual(
    [target!.state, target!.reason, target!.description, target!.nodes],
    ['unused', 'Target.NotInUse', 'Target is in an Availability Zone that is not enabled for the load balancer', []],
  )
})

test('what the nodes see of a target is told apart, and counted together', t => {
  const { slabs, states, reporter, publishResources } = fixture(t)
  const snapshot = publishResources(zonedResources([{ id: '10.0.0.1', availabilityZone: 'a' }]))
  const [atA, atB] = snapshot.targetGroups.map(({ targets }) => targets[0]!.slot)
  slabs[0].countTarget(atA!, TargetColumn.requestsBegun, 3)
  slabs[1].countTarget(atB!, TargetColumn.requestsBegun, 4)
  states.addRequestInFlight(atB!)
  const [target] = reporter.status().targetGroups[0]!.targets
  assert.deepEqual([target!.requests, target!.requestsInFlight], [7, 1])
  assert.deepEqual(
    target!.nodes.map(({ zoneName, requests, requestsInFlight }) => [zoneName, requests, requestsInFlight]),
    [
      ['a', 3, 0],
      ['b', 4, 1],
    ],
  )
})

test('a zone with too few healthy targets shows in the metrics of the target group', t => {
  const { slabs, states, reporter, publishResources } = fixture(t)
  const snapshot = publishResources(zonedResources([{ id: '10.0.0.1', availabilityZone: 'a' }]))
  const [atA, atB] = snapshot.targetGroups.map(({ targets }) => targets[0]!.slot)
  states.setState(atA!, TargetStateCode.healthy)
  states.setState(atB!, TargetStateCode.unhealthy)
  slabs[0].countTarget(atB!, TargetColumn.UnhealthyRoutingRequestCount, 5)
  const status = reporter.status()
  const [a, b] = status.targetGroups[0]!.availabilityZones
  const good = { HealthyStateDNS: 1, UnhealthyStateDNS: 0, HealthyStateRouting: 1, UnhealthyStateRouting: 0 }
  const bad = { HealthyStateDNS: 0, UnhealthyStateDNS: 1, HealthyStateRouting: 0, UnhealthyStateRouting: 1 }
  const rest = { ActiveZonalShiftHostCount: 0, RequestCount: 0 }
  assert.deepEqual(a, {
    zoneName: 'a',
    metrics: { HealthyHostCount: 1, UnHealthyHostCount: 0, ...good, ...rest, UnhealthyRoutingRequestCount: 0 },
  })
  assert.deepEqual(b, {
    zoneName: 'b',
    metrics: { HealthyHostCount: 0, UnHealthyHostCount: 1, ...bad, ...rest, UnhealthyRoutingRequestCount: 5 },
  })
  assert.deepEqual(
    status.loadBalancers[0]!.availabilityZones.map(({ isInDns }) => isInDns),
    [true, false],
  )
})

test('a zonal shift is an administrative override of the targets in its zone', t => {
  const { reporter, publishResources } = fixture(t)
  const targets = ['a', 'b', 'all'].map((availabilityZone, at) => ({ id: `10.0.0.${at + 1}`, availabilityZone }))
  publishResources(zonedResources(targets, 'a'))
  const status = reporter.status()
  const [app] = status.targetGroups
  assert.deepEqual(
    app!.targets.map(({ administrativeOverride: { state, reason } }) => [state, reason]),
    [
      ['zonal_shift_active', 'AdministrativeOverride.ZonalShiftActive'],
      ['no_override', 'AdministrativeOverride.NoOverride'],
      ['no_override', 'AdministrativeOverride.NoOverride'],
    ],
  )
  assert.deepEqual(
    app!.availabilityZones.map(({ metrics }) => metrics.ActiveZonalShiftHostCount),
    [1, 1],
  )
  assert.deepEqual(
    status.loadBalancers[0]!.availabilityZones.map(({ isShifted, isInDns }) => [isShifted, isInDns]),
    [
      [true, true],
      [false, true],
    ],
  )
})

test('a history is told where it is asked for, by each node and of all together', t => {
  const { clock, reporter, checker, publisher, publishResources } = fixture(t)
  const apply = (targets: Parameters<typeof zonedResources>[0]) => {
    const snapshot = publishResources(zonedResources(targets))
    checker.apply(checkedGroups(publisher.resources, snapshot, publisher.draining))
  }
  const app = () => reporter.status(true).targetGroups[0]!
  const told = (history: readonly HealthEvent[] = []) =>
    history.map(({ at, from, to }) => `${at.slice(14, 19)} ${from} ${to}`)
  apply([
    { id: '10.0.0.1', availabilityZone: 'a' },
    { id: '10.0.0.2', availabilityZone: 'c' },
  ])
  const [begun] = app().targets
  const began = '04:05 unused initial'
  assert.deepEqual(told(begun!.history), [began, began])
  assert.deepEqual(
    begun!.nodes.map(({ zoneName, history }) => [zoneName, told(history)]),
    [
      ['a', [began]],
      ['b', [began]],
    ],
  )
  assert.deepEqual(app().targets[1]!.history, [])
  assert.equal('history' in reporter.status().targetGroups[0]!.targets[0]!, false)
  clock.advance(1000)
  apply([])
  const [leaving] = app().targets
  assert.deepEqual([leaving!.state, leaving!.reason], ['draining', 'Target.DeregistrationInProgress'])
  const left = '04:06 initial draining'
  assert.deepEqual(told(leaving!.history), [began, began, left, left])
})

test('faults are told in the words of the table, newest last, and the oldest make room', t => {
  const { reporter, publish } = fixture(t)
  publish([])
  for (let i = 0; i < 105; i++) reporter.addFault(faultEvent(i))
  reporter.addFault(faultEvent(105, { traceId: '', targetAddress: null }))
  const { faults } = reporter.status()
  assert.equal(faults.length, 100)
  assert.equal(faults[0]!.request, 'GET /6')
  assert.equal(faults[0]!.at, '2026-01-02T00:00:00.006Z')
  assert.match(faults[0]!.text, /nothing listens/)
  assert.deepEqual([faults.at(-1)!.traceId, faults.at(-1)!.target], [null, null])
})

test('the start is wall time, and the status survives JSON', t => {
  const { clock, reporter, publish } = fixture(t)
  publish([1])
  clock.advance(60_000)
  const status = reporter.status()
  assert.equal(status.startedAt, '2026-01-02T03:04:05.000Z')
  assert.equal(status.version, '1.2.3')
  assert.equal(status.logFolder, 'logs')
  assert.deepEqual(JSON.parse(JSON.stringify(status)), status)
})

test('what exactly a fault was stands behind its text, and a connection has no status', t => {
  const { reporter } = fixture(t)
  reporter.addFault(
    faultEvent(1, { fault: 'clientProtocolError', statusCode: null, detail: 'SETTINGS must come first' }),
  )
  const [shown] = reporter.status().faults
  assert.match(shown!.text, /, and its connection was closed: SETTINGS must come first$/)
  assert.equal(shown!.statusCode, null)
})
