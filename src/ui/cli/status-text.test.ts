import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CheckStatus, FaultStatus, HealthEvent, Status, TargetStatus, ZoneStatus } from '../../control/status.ts'
import { noOverride, zonalShiftActive } from '../../model/health.ts'
import { colorStyle, faultLine, historyLines, plainStyle, statusLines, styleFor, targetLine } from './status-text.ts'

const passed: CheckStatus = {
  at: '2026-01-02T03:04:05.000Z',
  latencyMs: 3,
  result: 'pass',
  statusCode: 200,
  reason: null,
  ending: 'answered',
  stage: 'response',
  stageMs: { connect: 1, tls: null, firstByte: 1, response: 1 },
  tlsAlert: null,
  bodyStart: '',
  detail: 'answered 200',
}
const failed: CheckStatus = {
  ...passed,
  result: 'fail',
  statusCode: null,
  reason: 'TimedOut',
  ending: 'timedOut',
  stage: 'firstByte',
  detail: 'no answer in 2 s',
}
const healthy: TargetStatus = {
  id: '127.0.0.1',
  port: 3001,
  availabilityZone: 'us-east-1a',
  administrativeOverride: noOverride,
  nodes: [],
  state: 'healthy',
  reason: null,
  description: null,
  lastCheck: passed,
  requests: 12,
  requestsInFlight: 3,
  anomaly: 'normal',
  isMitigated: false,
  isSlowStarting: false,
  faults: 0,
}
const unhealthy: TargetStatus = {
  ...healthy,
  state: 'unhealthy',
  reason: 'Target.Timeout',
  description: 'Request timed out',
  lastCheck: failed,
}
const fault: FaultStatus = {
  at: '2026-01-02T03:04:05.678Z',
  fault: 'targetRefused',
  text: 'nothing listens on its port',
  statusCode: 502,
  request: 'GET /a',
  target: '127.0.0.1:3001',
  loadBalancer: 'app/web/1',
  traceId: null,
}

const zone: ZoneStatus = {
  zoneName: 'us-east-1a',
  addresses: ['127.31.1.1'],
  isInDns: true,
  isShifted: false,
  activeConnections: 3,
  exchanges: 60,
  counters: {},
}

function statusOf(more: Partial<Status> = {}): Status {
  return {
    version: '1.2.3',
    pid: 1,
    startedAt: '2026-01-02T00:00:00.000Z',
    workers: 2,
    snapshot: 1,
    logFolder: 'logs',
    loadBalancers: [
      {
        name: 'web',
        arn: 'arn:web',
        dnsName: 'web.elb.localhost',
        listeners: [
          { protocol: 'HTTP', port: 80, addresses: ['0.0.0.0:8080', '[::]:8080'], rules: 0 },
          { protocol: 'HTTP', port: 81, addresses: ['0.0.0.0:81'], rules: 0 },
        ],
        availabilityZones: [zone],
        activeConnections: 4,
        exchanges: 100,
        counters: {},
      },
    ],
    targetGroups: [{ name: 'app', arn: 'arn:app', availabilityZones: [], targets: [healthy] }],
    faults: [],
    ...more,
  }
}

test('a load balancer is one line, each target one below its group', () => {
  assert.deepEqual(statusLines(statusOf(), plainStyle), [
    'web HTTP 0.0.0.0:8080, [::]:8080; HTTP 0.0.0.0:81  100 requests, 4 connections',
    'app target group',
    '  127.0.0.1:3001        healthy  12 requests, 3 in flight',
  ])
})

test('the zones of a load balancer are shown when there are several', () => {
  const b: ZoneStatus = { ...zone, zoneName: 'us-east-1b', addresses: ['127.31.2.1', '::2'], isInDns: false }
  const c: ZoneStatus = { ...zone, zoneName: 'us-east-1c', addresses: ['127.31.3.1'], isInDns: false, isShifted: true }
  const [web] = statusOf().loadBalancers
  const status = statusOf({ loadBalancers: [{ ...web!, availabilityZones: [zone, b, c] }] })
  assert.deepEqual(statusLines(status, plainStyle).slice(1, 4), [
    '  us-east-1a 127.31.1.1  60 requests, 3 connections',
    '  us-east-1b 127.31.2.1, ::2  60 requests, 3 connections  not in DNS: too few healthy targets',
    '  us-east-1c 127.31.3.1  60 requests, 3 connections  not in DNS: zonal shift',
  ])
})

test('a load balancer of several zones, or on a shared port, is shown by the name that leads to it', () => {
  const [web] = statusOf().loadBalancers
  const shared = { protocol: 'HTTP', port: 80, addresses: ['0.0.0.0:8080'], rules: 0 }
  const b: ZoneStatus = { ...zone, zoneName: 'us-east-1b', addresses: ['::2'] }
  const loadBalancers = [
    web!,
    { ...web!, name: 'other', arn: 'arn:other', dnsName: 'other.elb.localhost', listeners: [shared] },
    {
      ...web!,
      name: 'zoned',
      arn: 'arn:zoned',
      dnsName: 'zoned.elb.localhost',
      listeners: [
        { ...shared, addresses: ['127.31.1.3:8080', '[::2]:8080'] },
        { ...shared, protocol: 'HTTPS', addresses: ['127.31.1.3:8443', '[::2]:8443'] },
      ],
      availabilityZones: [zone, b],
    },
    { ...web!, name: 'apart', listeners: [{ ...shared, addresses: ['127.0.0.1:9000'] }] },
  ]
  assert.deepEqual(statusLines(statusOf({ loadBalancers, targetGroups: [] }), plainStyle), [
    'web web.elb.localhost: HTTP 0.0.0.0:8080, [::]:8080; HTTP 0.0.0.0:81  100 requests, 4 connections',
    'other other.elb.localhost: HTTP 0.0.0.0:8080  100 requests, 4 connections',
    'zoned zoned.elb.localhost: HTTP 8080; HTTPS 8443  100 requests, 4 connections',
    '  us-east-1a 127.31.1.1  60 requests, 3 connections',
    '  us-east-1b ::2  60 requests, 3 connections',
    'apart HTTP 127.0.0.1:9000  100 requests, 4 connections',
  ])
})

/** What a node makes of a group. */
const metricsOf = (zoneName: string, healthy: number, unhealthy: number) => ({
  zoneName,
  metrics: {
    HealthyHostCount: healthy,
    UnHealthyHostCount: unhealthy,
    UnhealthyStateDNS: Number(healthy === 0),
    UnhealthyStateRouting: Number(healthy === 0),
  },
})
const zoneB: ZoneStatus = { ...zone, zoneName: 'us-east-1b', addresses: ['127.31.2.1'] }
const withZones = (zones: readonly ZoneStatus[], groups: Status['targetGroups']) => {
  const [web] = statusOf().loadBalancers
  return statusOf({ loadBalancers: [{ ...web!, availabilityZones: zones }], targetGroups: groups })
}
const group = { name: 'app', arn: 'arn:app', targets: [unhealthy] }

test('a group that fails open says where, and zones that are in DNS although unfit say so', () => {
  const availabilityZones = [metricsOf('us-east-1a', 0, 1), metricsOf('us-east-1b', 0, 1)]
  const lines = statusLines(withZones([zone, zoneB], [{ ...group, availabilityZones }]), plainStyle)
  assert.deepEqual(lines.slice(1, 4), [
    '  us-east-1a 127.31.1.1  60 requests, 3 connections  in DNS although unfit: no zone is fit',
    '  us-east-1b 127.31.2.1  60 requests, 3 connections  in DNS although unfit: no zone is fit',
    'app target group  fails open in us-east-1a, us-east-1b: too few healthy targets',
  ])
})

test('a group of a single zone fails open without naming it', () => {
  const availabilityZones = [metricsOf('us-east-1a', 0, 1)]
  const lines = statusLines(withZones([zone], [{ ...group, availabilityZones }]), plainStyle)
  assert.equal(lines[1], 'app target group  fails open: too few healthy targets')
})

test('a zone without targets of its own does not fail open, there is nothing to send requests to', () => {
  const availabilityZones = [metricsOf('us-east-1a', 0, 1), metricsOf('us-east-1b', 0, 0)]
  const lines = statusLines(withZones([zone, zoneB], [{ ...group, availabilityZones }]), plainStyle)
  assert.equal(lines[3], 'app target group  fails open in us-east-1a: too few healthy targets')
  assert.match(lines[2]!, / in DNS although unfit: no zone is fit$/)
})

test('before the first checks are through, targets are initial, and that is all that can be said', () => {
  const initial = { ...healthy, state: 'initial' as const, reason: 'Elb.InitialHealthChecking' }
  const availabilityZones = [metricsOf('us-east-1a', 0, 0), metricsOf('us-east-1b', 0, 0)]
  const groups = [{ ...group, availabilityZones, targets: [initial] }]
  const lines = statusLines(withZones([zone, zoneB], groups), plainStyle)
  assert.doesNotMatch(lines.join('\n'), /fails open|unfit/)
})

test('a zone is fit with one fit group, and one that traffic is shifted away from is in DNS only if no other is', () => {
  const oneFit = [
    { ...group, availabilityZones: [metricsOf('us-east-1a', 0, 1)] },
    { ...group, availabilityZones: [metricsOf('us-east-1a', 1, 0)] },
  ]
  const lines = statusLines(withZones([zone, { ...zoneB, isShifted: true }], oneFit), plainStyle)
  assert.match(lines[1]!, / 3 connections$/)
  assert.match(lines[2]!, / 3 connections {2}in DNS although traffic is shifted away: no zone is fit$/)
})

test('whose groups they are is not known where load balancers share a zone, so nothing is said of its fitness', () => {
  const availabilityZones = [metricsOf('us-east-1a', 0, 1), metricsOf('us-east-1b', 0, 1)]
  const status = withZones([zone, zoneB], [{ ...group, availabilityZones }])
  const two = { ...status, loadBalancers: [...status.loadBalancers, ...status.loadBalancers] }
  assert.doesNotMatch(statusLines(two, plainStyle).join('\n'), /unfit/)
})

test('a target that nodes disagree about is shown as both see it', () => {
  const { id, port, availabilityZone, administrativeOverride, nodes, ...view } = healthy
  const seen = [
    { ...view, zoneName: 'us-east-1a' },
    { ...view, zoneName: 'us-east-1b', state: 'unhealthy' as const },
  ]
  const line = targetLine({ ...unhealthy, nodes: seen }, plainStyle)
  assert.match(line, /unhealthy Target\.Timeout: Request timed out \(no answer in 2 s\) \(healthy to us-east-1a\)/)
})

test('a target that a zonal shift leaves out says so', () => {
  assert.match(
    targetLine({ ...healthy, administrativeOverride: zonalShiftActive }, plainStyle),
    / healthy AdministrativeOverride\.ZonalShiftActive: Zonal shift is active in target Availability Zone /,
  )
})

test('the rate is shown where it is known, small ones with a fraction', () => {
  const first = (rate: number) => statusLines(statusOf(), plainStyle, new Map([['arn:web', rate]]))[0]!
  assert.match(first(0.25), / {2}0\.3 requests\/s, 100 requests, 4 connections$/)
  assert.match(first(1234.5), / {2}1235 requests\/s, /)
})

test('a group without targets says what that means', () => {
  const lines = statusLines(
    statusOf({ targetGroups: [{ name: 'app', arn: 'a', availabilityZones: [], targets: [] }] }),
    plainStyle,
  )
  assert.equal(lines.at(-1), '  no targets are registered: requests get 503')
})

test('an unhealthy target says why, and what exactly was seen', () => {
  assert.equal(
    targetLine(unhealthy, plainStyle),
    '127.0.0.1:3001        unhealthy Target.Timeout: Request timed out (no answer in 2 s)  12 requests, 3 in flight',
  )
})

test('the page of an answer that failed is shown by its beginning', () => {
  const shown = (bodyStart: string) =>
    targetLine({ ...unhealthy, lastCheck: { ...failed, detail: 'answered 400, expected 200', bodyStart } }, plainStyle)
  assert.match(shown('Invalid Host'), / \(answered 400, expected 200: "Invalid Host"\) /)
  assert.match(shown('x'.repeat(61)), / \(answered 400, expected 200: "x{60}…"\) /)
})

test('the history tells the changes of all targets in the order of time', () => {
  const event = (at: string, more: Partial<HealthEvent>): HealthEvent => ({
    at: `2026-01-02T03:04:${at}.000Z`,
    from: 'initial',
    to: 'healthy',
    reason: null,
    description: null,
    check: passed,
    ...more,
  })
  const { reason, description } = unhealthy
  const first = {
    ...healthy,
    history: [event('05', { check: null }), event('07', { to: 'unhealthy', reason, description, check: failed })],
  }
  const second = { ...healthy, port: 3002, history: [event('06', {})] }
  const status = statusOf({
    targetGroups: [{ name: 'app', arn: 'arn:app', availabilityZones: [], targets: [first, second, healthy] }],
  })
  assert.deepEqual(historyLines(status, plainStyle), [
    '2026-01-02 03:04:05 app 127.0.0.1:3001 initial → healthy',
    '2026-01-02 03:04:06 app 127.0.0.1:3002 initial → healthy (answered 200)',
    '2026-01-02 03:04:07 app 127.0.0.1:3001 initial → unhealthy Target.Timeout: Request timed out (no answer in 2 s)',
  ])
})

test('where several nodes look at a target, the history says which of them saw what', () => {
  const { id, port, availabilityZone, administrativeOverride, nodes, ...view } = healthy
  const event = (second: number): HealthEvent => ({
    at: `2026-01-02T03:04:0${second}.000Z`,
    from: 'initial',
    to: 'healthy',
    reason: null,
    description: null,
    check: null,
  })
  const seen = [6, 5].map((second, i) => ({ ...view, zoneName: `us-east-1${'ab'[i]}`, history: [event(second)] }))
  const target = { ...healthy, nodes: seen, history: [event(5), event(6)] }
  const status = statusOf({ targetGroups: [{ name: 'app', arn: 'arn:app', availabilityZones: [], targets: [target] }] })
  assert.deepEqual(historyLines(status, plainStyle), [
    '2026-01-02 03:04:05 app 127.0.0.1:3001 to us-east-1b initial → healthy',
    '2026-01-02 03:04:06 app 127.0.0.1:3001 to us-east-1a initial → healthy',
  ])
})

test('an IPv6 address is bracketed', () => {
  assert.match(targetLine({ ...healthy, id: '2001:db8::1' }, plainStyle), /^\[2001:db8::1\]:3001 /)
})

test('the latest faults are shown, newest last, with the time and the target if there was one', () => {
  const faults = Array.from({ length: 7 }, (_, i) => ({ ...fault, request: `GET /${i}` }))
  const lines = statusLines(statusOf({ faults }), plainStyle)
  assert.deepEqual(
    lines.slice(-6).map(line => line.split(' ').at(-1)),
    ['faults', '/2', '/3', '/4', '/5', '/6'],
  )
  assert.equal(
    faultLine(fault, plainStyle),
    '03:04:05 502 targetRefused 127.0.0.1:3001: nothing listens on its port GET /a',
  )
  assert.equal(
    faultLine({ ...fault, target: null, fault: 'groupEmpty' }, plainStyle),
    '03:04:05 502 groupEmpty: nothing listens on its port GET /a',
  )
})

test('colour is for terminals, and for people who did not refuse it', t => {
  const terminal = { isTTY: true } as NodeJS.WriteStream
  const file = { isTTY: false } as NodeJS.WriteStream
  const before = process.env.NO_COLOR
  t.after(() => {
    if (before === undefined) delete process.env.NO_COLOR
    else process.env.NO_COLOR = before
  })
  delete process.env.NO_COLOR
  assert.equal(styleFor(terminal), colorStyle)
  assert.equal(styleFor(file), plainStyle)
  process.env.NO_COLOR = '1'
  assert.equal(styleFor(terminal), plainStyle)
  assert.equal(targetLine(healthy, colorStyle).includes('\u001b[32mhealthy\u001b[0m'), true)
})

test('a target that gets less than its share says why', () => {
  const shown = (more: Partial<TargetStatus>) => targetLine({ ...healthy, ...more }, plainStyle)
  assert.match(shown({ isSlowStarting: true }), / healthy slow start {2}/)
  assert.match(shown({ anomaly: 'anomalous' }), / healthy anomalous {2}/)
  assert.match(shown({ anomaly: 'anomalous', isMitigated: true }), / healthy anomalous, mitigated {2}/)
  assert.match(shown({ isMitigated: true }), / healthy mitigated {2}/)
})
