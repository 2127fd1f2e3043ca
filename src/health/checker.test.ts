import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { type Clock, ManualClock } from '../base/clock.ts'
import { targetGroupArn } from '../model/arns.ts'
import {
  deregistering,
  groupNotInUse,
  initialChecking,
  notRegistered,
  registering,
  zoneNotEnabled,
} from '../model/health.ts'
import type { HealthCheck } from '../model/resources.ts'
import { backendPolicy } from '../model/ssl-policies.ts'
import { TargetStateCode, TargetStates } from '../model/target-states.ts'
import { type CheckedGroup, type Checking, type HealthChange, HealthChecker, type ProbeReport } from './checker.ts'

/** A target on loopback that answers each probe with `status`, or not at all when that is null. */
class FakeTarget {
  status: number | null
  port = 0
  /** Paths asked for, in order. */
  readonly paths: string[] = []
  /** Of the latest probe. */
  socket: Socket | null = null
  readonly #events = new EventEmitter()
  readonly #sockets = new Set<Socket>()
  readonly #server = createServer(socket => {
    this.#sockets.add(socket)
    socket.on('error', () => {}) // a cancelled probe may reset
    socket.once('data', bytes => {
      this.paths.push(bytes.toString('latin1').split(' ')[1]!)
      this.socket = socket
      if (this.status !== null) socket.end(`HTTP/1.1 ${this.status} \r\n\r\n`)
      this.#events.emit('probe')
    })
  })

  constructor(status: number | null) {
    this.status = status
  }

  async start(t: TestContext): Promise<this> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
    this.port = (this.#server.address() as AddressInfo).port
    t.after(() => {
      for (const socket of this.#sockets) socket.destroy()
      this.#server.close()
    })
    return this
  }

  async probed(count: number): Promise<void> {
    while (this.paths.length < count) await once(this.#events, 'probe')
  }
}

const healthCheck: HealthCheck = {
  protocol: 'HTTP',
  port: 'traffic-port',
  path: '/',
  intervalSeconds: 5,
  timeoutSeconds: 2,
  healthyThresholdCount: 3,
  unhealthyThresholdCount: 2,
  matcher: [{ from: 200, to: 200 }],
}

type CheckingOn = Extract<Checking, { readonly isOn: true }>

const node = { loadBalancerName: 'web', loadBalancerId: '1fa8b17e4c17e7c7', nodeIp: '127.0.0.1' }
const checkingOn: CheckingOn = {
  isOn: true,
  node,
  healthCheck,
  protocolVersion: 'HTTP1',
  backendPolicy: backendPolicy([]),
  slowStartSeconds: 0,
}

function groupOf(
  targets: readonly (readonly [slot: number, target: { port: number }])[],
  settings: Partial<CheckingOn> = {},
): CheckedGroup {
  return {
    arn: targetGroupArn('app', '0123456789abcdef'),
    name: 'app',
    node: 0,
    checking: { ...checkingOn, ...settings },
    targets: targets.map(([slot, { port }]) => ({ ip: '127.0.0.1', port, slot })),
  }
}

const atRest = (group: CheckedGroup): CheckedGroup => ({ ...group, checking: { isOn: false, health: groupNotInUse } })

/** A checker under a clock that stands still until told. */
class Fixture {
  readonly clock = new ManualClock()
  readonly states = new TargetStates()
  readonly changes: HealthChange[] = []
  readonly reports: ProbeReport[] = []
  readonly checker: HealthChecker
  readonly #events = new EventEmitter()

  constructor(t: TestContext, { random = () => 0, clock }: { random?: () => number; clock?: Clock } = {}) {
    this.checker = new HealthChecker({
      clock: clock ?? this.clock,
      states: this.states,
      random,
      onChange: change => this.changes.push(change),
      onProbe: report => {
        this.reports.push(report)
        this.#events.emit('report')
      },
    })
    t.after(() => this.checker.close())
  }

  async reported(count: number): Promise<void> {
    while (this.reports.length < count) await once(this.#events, 'report')
  }

  /** Lets `count` intervals pass, with one report each. */
  async intervals(count: number): Promise<void> {
    for (let done = 0; done < count; done++) {
      const before = this.reports.length
      this.clock.advance(5000)
      await this.reported(before + 1)
    }
  }

  /** When each probe of a slot began, on the clock. */
  starts(slot: number): number[] {
    const ofSlot = this.reports.filter(report => report.slot === slot)
    return ofSlot.map(report => report.outcome.startedAtMs - this.clock.originMs)
  }

  get moves(): string[] {
    return this.changes.map(({ slot, from, to }) => `${slot}: ${from.state} > ${to.state}`)
  }
}

/** Once these bytes have gone round, what was under way on loopback before them has arrived too. */
async function roundTrip(): Promise<void> {
  const server = createServer(socket => socket.pipe(socket))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  for (let turn = 0; turn < 3; turn++) {
    socket.write('.')
    await once(socket, 'data')
  }
  socket.destroy()
  server.close()
}

describe('health checker', () => {
  it('makes a new target initial, probes it at once, and one success makes it healthy', async t => {
    const target = await new FakeTarget(200).start(t)
    const fixture = new Fixture(t)
    const { checker, states, clock } = fixture
    assert.equal(checker.health(7), notRegistered)
    checker.apply([groupOf([[7, target]])])
    assert.equal(checker.health(7), initialChecking)
    assert.equal(states.state(7), TargetStateCode.initial)
    assert.equal(checker.lastProbe(7), null)

    await fixture.reported(1)
    assert.deepEqual(checker.health(7), { state: 'healthy' })
    assert.equal(states.state(7), TargetStateCode.healthy)
    assert.equal(checker.lastProbe(7)?.detail, 'answered 200')
    assert.deepEqual(fixture.changes[1], {
      slot: 7,
      group: { arn: groupOf([]).arn, name: 'app', node: 0 },
      target: { ip: '127.0.0.1', port: target.port },
      from: initialChecking,
      to: { state: 'healthy' },
      atMs: clock.originMs,
      outcome: checker.lastProbe(7),
    })
    assert.deepEqual(fixture.moves, ['7: unused > initial', '7: initial > healthy'])
    assert.deepEqual(checker.history(7), fixture.changes)
  })

  it('follows the thresholds down and up again, a probe each interval', async t => {
    const target = await new FakeTarget(200).start(t)
    const fixture = new Fixture(t)
    const { checker, states } = fixture
    checker.apply([groupOf([[0, target]])])
    await fixture.reported(1)

    target.status = 502
    await fixture.intervals(1)
    assert.equal(states.state(0), TargetStateCode.healthy)
    target.status = 503
    await fixture.intervals(1)
    assert.equal(states.state(0), TargetStateCode.unhealthy)
    const description = 'Health checks failed with these codes: [502, 503]'
    assert.deepEqual(checker.health(0), { state: 'unhealthy', reason: 'Target.ResponseCodeMismatch', description })

    target.status = 200
    await fixture.intervals(2)
    assert.equal(states.state(0), TargetStateCode.unhealthy)
    await fixture.intervals(1)
    assert.equal(states.state(0), TargetStateCode.healthy)
    assert.deepEqual(fixture.starts(0), [0, 5000, 10_000, 15_000, 20_000, 25_000])
  })

  it('shows the latest reason of an unhealthy target without calling it a change', async t => {
    const target = await new FakeTarget(500).start(t)
    const fixture = new Fixture(t)
    fixture.checker.apply([groupOf([[0, target]])])
    await fixture.reported(1)
    await fixture.intervals(1)
    target.status = null
    fixture.clock.advance(5000)
    await target.probed(3)
    fixture.clock.advance(2000)
    const description = 'Request timed out'
    assert.deepEqual(fixture.checker.health(0), { state: 'unhealthy', reason: 'Target.Timeout', description })
    assert.deepEqual(fixture.moves, ['0: unused > initial', '0: initial > unhealthy'])
  })

  it('a target that hangs delays neither the others nor its own next probe', async t => {
    const hung = await new FakeTarget(null).start(t)
    const good = await new FakeTarget(200).start(t)
    const fixture = new Fixture(t)
    fixture.checker.apply([
      groupOf([
        [0, hung],
        [1, good],
      ]),
    ])
    await Promise.all([fixture.reported(1), hung.probed(1)])
    assert.deepEqual(fixture.checker.health(1), { state: 'healthy' })
    for (let round = 2; round <= 3; round++) {
      fixture.clock.advance(5000)
      await Promise.all([hung.probed(round), fixture.reported(2 * round - 1)])
    }
    fixture.clock.advance(2000)
    assert.deepEqual(fixture.starts(0), [0, 5000, 10_000])
    assert.equal(fixture.checker.health(0).state, 'unhealthy')
    assert.equal(fixture.checker.health(1).state, 'healthy')
  })

  it('draws the second probes apart, and apart they stay', async t => {
    const target = await new FakeTarget(200).start(t)
    const draws = [0, 0.5, 0.99]
    const fixture = new Fixture(t, { random: () => draws.shift() ?? 0 })
    fixture.checker.apply([
      groupOf([
        [0, target],
        [1, target],
        [2, target],
      ]),
    ])
    await fixture.reported(3)
    for (const [index, ms] of [2525, 1225, 1250, 2525, 1225, 1250].entries()) {
      fixture.clock.advance(ms)
      await fixture.reported(4 + index)
    }
    assert.deepEqual(fixture.starts(2), [0, 2525, 7525])
    assert.deepEqual(fixture.starts(1), [0, 3750, 8750])
    assert.deepEqual(fixture.starts(0), [0, 5000, 10_000])
  })

  it('an interval is at most a twentieth shorter than it should be, and never shorter than the timeout', async t => {
    const target = await new FakeTarget(200).start(t)
    for (const [timeoutSeconds, second, third] of [
      [2, 2500, 4750],
      [4.9, 4900, 4900],
    ] as const) {
      const fixture = new Fixture(t, { random: () => 1 })
      fixture.checker.apply([groupOf([[0, target]], { healthCheck: { ...healthCheck, timeoutSeconds } })])
      await fixture.reported(1)
      fixture.clock.advance(second)
      await fixture.reported(2)
      fixture.clock.advance(third)
      await fixture.reported(3)
      assert.deepEqual(fixture.starts(0), [0, second, second + third])
    }
  })

  it('of a thousand new targets, twenty are probed at once, and all within half an interval', t => {
    const clock = new ManualClock()
    const startsAt: number[] = []
    const never = { timeOut: () => {}, cancel: () => {} }
    const checker = new HealthChecker({
      clock,
      states: new TargetStates(),
      onChange: () => {},
      startProbe: () => {
        startsAt.push(clock.now())
        return never
      },
    })
    t.after(() => checker.close())
    checker.apply([groupOf(Array.from({ length: 1000 }, (_, slot) => [slot, { port: slot + 1 }] as const))])
    assert.equal(startsAt.length, 20)
    assert.equal(checker.health(19), initialChecking)
    assert.equal(checker.health(20), registering)
    clock.advance(2499)
    assert.equal(startsAt.length, 1000)
    assert.equal(checker.health(999), initialChecking)
    for (const at of new Set(startsAt)) assert.equal(startsAt.filter(other => other === at).length, 20)
  })

  it('a target that stays keeps state, streak and schedule', async t => {
    const target = await new FakeTarget(200).start(t)
    const other = await new FakeTarget(200).start(t)
    const fixture = new Fixture(t)
    fixture.checker.apply([groupOf([[0, target]])])
    await fixture.reported(1)
    target.status = 500
    await fixture.intervals(1)

    fixture.clock.advance(1000)
    fixture.checker.apply([
      groupOf([
        [4, other],
        [0, target],
      ]),
    ])
    await fixture.reported(3)
    assert.equal(fixture.checker.health(0).state, 'healthy')
    fixture.clock.advance(4000)
    await fixture.reported(4)
    assert.equal(fixture.checker.health(0).state, 'unhealthy')
    assert.deepEqual(fixture.starts(0), [0, 5000, 10_000])
  })

  it('a changed health check governs from the next probe on', async t => {
    const target = await new FakeTarget(null).start(t)
    const elsewhere = await new FakeTarget(204).start(t)
    const fixture = new Fixture(t)
    fixture.checker.apply([groupOf([[0, target]])])
    await target.probed(1)
    const changed = { port: elsewhere.port, path: '/new', intervalSeconds: 30, matcher: [{ from: 204, to: 204 }] }
    fixture.checker.apply([groupOf([[0, target]], { healthCheck: { ...healthCheck, ...changed } })])
    target.socket?.end('HTTP/1.1 200 \r\n\r\n')
    await fixture.reported(1)
    assert.equal(fixture.checker.health(0).state, 'healthy', 'the probe under way keeps its matcher')

    await fixture.intervals(1)
    assert.deepEqual([target.paths, elsewhere.paths], [['/'], ['/new']])
    assert.equal(fixture.reports[1]?.request.port, elsewhere.port)
    assert.equal(fixture.checker.lastProbe(0)?.result, 'pass')
    fixture.clock.advance(30_000)
    await fixture.reported(3)
    assert.deepEqual(fixture.starts(0), [0, 5000, 35_000])
  })

  it('a removed target is forgotten and its slot left alone, even by a probe under way', async t => {
    const target = await new FakeTarget(null).start(t)
    const fixture = new Fixture(t)
    const { checker, states, clock } = fixture
    checker.apply([groupOf([[0, target]])])
    await target.probed(1)
    checker.apply([groupOf([])])
    states.setState(0, TargetStateCode.draining)
    target.socket?.end('HTTP/1.1 200 \r\n\r\n')
    await roundTrip()
    clock.advance(60_000)
    await roundTrip()
    assert.equal(states.state(0), TargetStateCode.draining)
    assert.equal(target.paths.length, 1)
    assert.equal(checker.health(0), notRegistered)
    assert.deepEqual([checker.history(0), fixture.reports.length], [[], 0])
    assert.deepEqual(fixture.moves, ['0: unused > initial', '0: initial > unused'])
  })

  it('a slot given to another target at once knows nothing of the old one', async t => {
    const old = await new FakeTarget(null).start(t)
    const next = await new FakeTarget(200).start(t)
    const fixture = new Fixture(t)
    const { checker, states, clock } = fixture
    checker.apply([groupOf([[0, old]])])
    await old.probed(1)
    checker.apply([groupOf([[0, next]])])
    await fixture.reported(1)
    old.socket?.end('HTTP/1.1 500 \r\n\r\n')
    await roundTrip()
    clock.advance(4000) // the old probe would have timed out
    assert.equal(states.state(0), TargetStateCode.healthy)
    const moves = ['0: unused > initial', '0: initial > unused', '0: unused > initial', '0: initial > healthy']
    assert.deepEqual(fixture.moves, moves)
    assert.equal(checker.history(0).length, 2)
  })

  it('a group that is not in use is unused and not probed, and begins anew when it is', async t => {
    const target = await new FakeTarget(null).start(t)
    const fixture = new Fixture(t)
    const { checker, states, clock } = fixture
    const group = groupOf([[0, target]])
    states.setState(0, TargetStateCode.draining)
    checker.apply([atRest(group)])
    assert.equal(checker.health(0), groupNotInUse)
    assert.equal(states.state(0), TargetStateCode.unused)
    clock.advance(60_000)
    await roundTrip()
    assert.equal(target.paths.length, 0)

    checker.apply([group])
    await target.probed(1)
    checker.apply([atRest(group)])
    clock.advance(60_000)
    await roundTrip()
    assert.deepEqual([target.paths.length, fixture.reports.length], [1, 0])
    assert.equal(states.state(0), TargetStateCode.unused)

    target.status = 200
    checker.apply([group])
    await fixture.reported(1)
    const moves = ['unused > unused', 'unused > initial', 'initial > unused', 'unused > initial', 'initial > healthy']
    assert.deepEqual(
      fixture.moves,
      moves.map(move => `0: ${move}`),
    )
  })

  it('a target that rested has one schedule, not two', async t => {
    const target = await new FakeTarget(200).start(t)
    const fixture = new Fixture(t)
    const group = groupOf([[0, target]])
    fixture.checker.apply([group])
    fixture.checker.apply([atRest(group)])
    fixture.clock.advance(1000)
    fixture.checker.apply([group])
    await fixture.reported(1)
    fixture.clock.advance(4000)
    await roundTrip()
    fixture.clock.advance(1000)
    await fixture.reported(2)
    assert.deepEqual(fixture.starts(0), [1000, 6000])
  })

  it('a slot is another target when its group, address or port is another', t => {
    const { checker, changes } = new Fixture(t)
    const group = groupOf([[0, { port: 1 }]])
    const others: CheckedGroup[] = [
      { ...group, arn: targetGroupArn('app', 'fedcba9876543210') },
      { ...group, targets: [{ ip: '127.0.0.2', port: 1, slot: 0 }] },
      { ...group, targets: [{ ip: '127.0.0.1', port: 2, slot: 0 }] },
    ]
    for (const other of others) {
      checker.apply([group])
      checker.apply([groupOf([[0, { port: 1 }]], { healthCheck: { ...healthCheck } })])
      assert.equal(checker.history(0)[0], changes.at(-1))
      checker.apply([other])
      assert.equal(checker.history(0)[0], changes.at(-1))
    }
    assert.equal(changes.length, 11) // each new target, and each that left
  })

  it('remembers the last hundred changes of a target', t => {
    const { checker, changes } = new Fixture(t)
    const group = groupOf([[0, { port: 1 }]])
    for (let turn = 0; turn < 130; turn++) checker.apply([turn % 2 === 0 ? group : atRest(group)])
    assert.equal(changes.length, 130)
    assert.deepEqual(checker.history(0), changes.slice(30))
  })

  it('a probe that outlived its timeout ends when the next begins', async t => {
    const target = await new FakeTarget(null).start(t)
    const manual = new ManualClock()
    // As after a stall of the process, when the timer of the next probe may come before that of the timeout.
    const never = { cancel: () => {} }
    const clock: Clock = { ...manual, after: (ms, run) => (ms === 2000 ? never : manual.after(ms, run)) }
    const fixture = new Fixture(t, { clock })
    fixture.checker.apply([groupOf([[0, target]])])
    await target.probed(1)
    manual.advance(5000)
    assert.equal(fixture.reports[0]?.outcome.logReason, 'TimedOut')
    await target.probed(2)
    manual.advance(5000)
    assert.equal(fixture.checker.health(0).state, 'unhealthy')
  })

  it('onChange may apply what is newer, and nothing of the older is done after it', async t => {
    const target = await new FakeTarget(null).start(t)
    const states = new TargetStates()
    const checker: HealthChecker = new HealthChecker({
      clock: new ManualClock(),
      states,
      onChange: ({ slot }) => {
        if (slot === 0) checker.apply([groupOf([[1, target]])])
      },
    })
    t.after(() => checker.close())
    checker.apply([
      groupOf([
        [0, target],
        [1, target],
        [2, target],
      ]),
    ])
    assert.deepEqual(
      [0, 1, 2].map(slot => checker.health(slot).state),
      ['unused', 'initial', 'unused'],
    )
    assert.equal(states.state(2), TargetStateCode.unused)
    await target.probed(1)
    await roundTrip()
    assert.equal(target.paths.length, 1)
  })

  it('a target at rest shows why, and its history goes on', async t => {
    const target = await new FakeTarget(200).start(t)
    const fixture = new Fixture(t)
    const { checker, states, clock } = fixture
    const group = groupOf([[0, target]])
    checker.apply([group])
    await fixture.reported(1)
    checker.apply([{ ...group, node: null, checking: { isOn: false, health: deregistering } }])
    assert.equal(checker.health(0), deregistering)
    assert.equal(states.state(0), TargetStateCode.draining)
    assert.equal(checker.lastProbe(0)?.result, 'pass')
    clock.advance(60_000)
    await roundTrip()
    assert.equal(target.paths.length, 1)
    checker.apply([{ ...group, checking: { isOn: false, health: zoneNotEnabled } }])
    assert.equal(checker.health(0), zoneNotEnabled)
    checker.apply([])
    const moves = [
      'unused > initial',
      'initial > healthy',
      'healthy > draining',
      'draining > unused',
      'unused > unused',
    ]
    assert.deepEqual(
      fixture.moves,
      moves.map(move => `0: ${move}`),
    )
    assert.equal(fixture.changes.at(-1)?.to, notRegistered)
  })

  it('each node checks for itself', async t => {
    const target = await new FakeTarget(200).start(t)
    const fixture = new Fixture(t)
    const other = { ...node, nodeIp: '127.31.2.1' }
    fixture.checker.apply([groupOf([[0, target]]), { ...groupOf([[1, target]], { node: other }), node: 1 }])
    await fixture.reported(2)
    const reported = fixture.reports.map(({ slot, node: { nodeIp } }) => `${slot} by ${nodeIp}`)
    assert.deepEqual(reported.sort(), ['0 by 127.0.0.1', '1 by 127.31.2.1'])
    assert.deepEqual([fixture.checker.health(0).state, fixture.checker.health(1).state], ['healthy', 'healthy'])
  })

  it('stops with close and takes nothing more', async t => {
    const target = await new FakeTarget(null).start(t)
    const { checker, clock, reports } = new Fixture(t)
    checker.apply([groupOf([[0, target]])])
    await target.probed(1)
    checker.close()
    checker.close()
    clock.advance(60_000)
    await roundTrip()
    assert.deepEqual([target.paths.length, reports.length], [1, 0])
    assert.throws(() => checker.apply([groupOf([])]), /closed health checker/)
  })

  it('refuses what validation must have kept away', t => {
    const { checker } = new Fixture(t)
    const group = groupOf([[0, { port: 1 }]])
    const withCheck = (change: Partial<HealthCheck>) => [
      groupOf([[0, { port: 1 }]], { healthCheck: { ...healthCheck, ...change } }),
    ]
    assert.throws(() => checker.apply(withCheck({ timeoutSeconds: 5 })), /times out before the next/)
    assert.throws(() => checker.apply(withCheck({ path: '/ HTTP/1.1\r\nX: y' })), /visible ASCII/)
    assert.throws(() => checker.apply([group, group]), /one target/)
  })
})

describe('slow start', () => {
  /** Two targets that began together and are healthy, and one more that may yet register. */
  class Slow extends Fixture {
    readonly targets: readonly (readonly [slot: number, target: FakeTarget])[]

    constructor(t: TestContext, targets: readonly FakeTarget[]) {
      super(t)
      this.targets = targets.map((target, slot) => [slot, target] as const)
    }

    static async begin(t: TestContext, settings: Partial<CheckingOn> = {}): Promise<Slow> {
      const targets = await Promise.all([0, 1, 2].map(() => new FakeTarget(200).start(t)))
      const slow = new Slow(t, targets)
      slow.apply([0, 1], settings)
      await slow.reported(2)
      return slow
    }

    apply(slots: readonly number[], settings: Partial<CheckingOn> = {}): void {
      const targets = this.targets.filter(([slot]) => slots.includes(slot))
      this.checker.apply([groupOf(targets, { slowStartSeconds: 60, ...settings })])
    }

    /** Registers the third target, which turns healthy at once. */
    async addThird(settings: Partial<CheckingOn> = {}): Promise<void> {
      const before = this.reports.length
      this.apply([0, 1, 2], settings)
      await this.reported(before + 1)
      assert.equal(this.states.state(2), TargetStateCode.healthy)
    }

    /** One interval, in which all three are probed. */
    async interval(): Promise<void> {
      const before = this.reports.length
      this.clock.advance(5000)
      await this.reported(before + 3)
    }

    /** Intervals in which two are probed. */
    async pairIntervals(count: number): Promise<void> {
      for (let done = 0; done < count; done++) {
        const before = this.reports.length
        this.clock.advance(5000)
        await this.reported(before + 2)
      }
    }

    get slowStarting(): number[] {
      return [0, 1, 2].filter(slot => this.states.isSlowStarting(slot))
    }
  }

  /** So that time may pass without a probe that nobody could answer in no time. */
  const rarely = { healthCheck: { ...healthCheck, intervalSeconds: 300 } }

  it('a target that joins healthy ones starts slowly, and is done when its time is over', async t => {
    const slow = await Slow.begin(t, rarely)
    slow.clock.advance(1000)
    await slow.addThird(rarely)
    assert.deepEqual(slow.slowStarting, [2])
    const { originMs } = slow.clock
    assert.equal(slow.states.slowStartElapsedMs(2, originMs + 1000 + 30_000), 30_000)
    slow.clock.advance(59_999)
    assert.deepEqual(slow.slowStarting, [2])
    slow.clock.advance(1)
    assert.deepEqual(slow.slowStarting, [])
  })

  it('no request meets a target that is healthy and not yet in slow start', async t => {
    const slow = await Slow.begin(t)
    const { states } = slow
    const seen: boolean[] = []
    const setState = states.setState.bind(states)
    states.setState = (slot, state) => {
      if (state === TargetStateCode.healthy) seen.push(states.isSlowStarting(slot))
      setState(slot, state)
    }
    await slow.addThird()
    assert.deepEqual(seen, [true])
  })

  it('targets that are registered at once into an empty group do not start slowly', async t => {
    const slow = await Slow.begin(t)
    assert.equal(slow.states.state(0), TargetStateCode.healthy)
    assert.equal(slow.states.state(1), TargetStateCode.healthy)
    assert.deepEqual(slow.slowStarting, [])
  })

  it('each node is a beginning of its own: what another finds healthy does not make a target start slowly', async t => {
    const slow = await Slow.begin(t)
    const [[, one], [, two]] = slow.targets as [[number, FakeTarget], [number, FakeTarget]]
    const settings = { slowStartSeconds: 60 }
    const first = groupOf(
      [
        [0, one],
        [1, two],
      ],
      settings,
    )
    const second = groupOf(
      [
        [2, one],
        [3, two],
      ],
      settings,
    )
    slow.checker.apply([first, { ...second, node: 1 }])
    await slow.reported(4)
    assert.deepEqual(
      [0, 1, 2, 3].map(slot => [slow.states.state(slot), slow.states.isSlowStarting(slot)]),
      Array.from({ length: 4 }, () => [TargetStateCode.healthy, false]),
    )
    // The same addresses at the other node are other targets: they begin anew.
    slow.checker.apply([{ ...first, node: 1 }])
    assert.equal(slow.checker.health(0).state, 'initial')
  })

  it('nor do those of a group that comes into use', async t => {
    const slow = await Slow.begin(t)
    slow.checker.apply([atRest(groupOf(slow.targets.slice(0, 2)))])
    slow.apply([0, 1])
    await slow.reported(4)
    assert.deepEqual(
      [0, 1].map(slot => slow.states.state(slot)),
      [TargetStateCode.healthy, TargetStateCode.healthy],
    )
    assert.deepEqual(slow.slowStarting, [])
  })

  it('without the attribute nobody starts slowly', async t => {
    const slow = await Slow.begin(t, { slowStartSeconds: 0 })
    const { generation } = slow.states
    await slow.addThird({ slowStartSeconds: 0 })
    assert.deepEqual(slow.slowStarting, [])
    assert.equal(slow.states.generation, generation + 2) // initial and healthy, no more
  })

  it('turning it on leaves the healthy targets as they are', async t => {
    const slow = await Slow.begin(t, { slowStartSeconds: 0 })
    slow.apply([0, 1])
    assert.deepEqual(slow.slowStarting, [])
    await slow.addThird()
    assert.deepEqual(slow.slowStarting, [2])
  })

  it('a changed duration counts from the beginning', async t => {
    for (const slowStartSeconds of [40, 120]) {
      const slow = await Slow.begin(t, rarely)
      await slow.addThird(rarely)
      slow.clock.advance(30_000)
      slow.apply([0, 1, 2], { ...rarely, slowStartSeconds })
      slow.clock.advance((slowStartSeconds - 30) * 1000 - 1)
      assert.deepEqual(slow.slowStarting, [2])
      slow.clock.advance(1)
      assert.deepEqual(slow.slowStarting, [])
    }
  })

  it('turning it off ends it for good', async t => {
    const slow = await Slow.begin(t, rarely)
    await slow.addThird(rarely)
    slow.apply([0, 1, 2], { ...rarely, slowStartSeconds: 0 })
    assert.deepEqual(slow.slowStarting, [])
    slow.apply([0, 1, 2], rarely)
    assert.deepEqual(slow.slowStarting, [])
  })

  it('a duration that is over already ends it at once', async t => {
    const slow = await Slow.begin(t, rarely)
    await slow.addThird(rarely)
    slow.clock.advance(45_000)
    slow.apply([0, 1, 2], { ...rarely, slowStartSeconds: 40 })
    assert.deepEqual(slow.slowStarting, [])
  })

  it('a target that turns unhealthy leaves it, and starts slowly anew each time it recovers', async t => {
    const slow = await Slow.begin(t)
    await slow.addThird({ slowStartSeconds: 27 })
    const third = slow.targets[2]![1]
    third.status = 500
    await slow.interval()
    assert.deepEqual(slow.slowStarting, [2])
    await slow.interval()
    assert.equal(slow.states.state(2), TargetStateCode.unhealthy)
    assert.deepEqual(slow.slowStarting, [])
    third.status = 200
    for (let probe = 0; probe < 3; probe++) await slow.interval()
    assert.equal(slow.states.state(2), TargetStateCode.healthy)
    assert.equal(slow.states.slowStartElapsedMs(2, slow.clock.originMs + slow.clock.now()), 0)
    for (let probe = 0; probe < 5; probe++) {
      await slow.interval() // within the first one the other slow start would have ended
      assert.deepEqual(slow.slowStarting, [2])
    }
    await slow.interval()
    assert.deepEqual(slow.slowStarting, [])
  })

  it('one that began with its group starts slowly too when it recovers', async t => {
    const slow = await Slow.begin(t)
    await slow.addThird({ slowStartSeconds: 0 })
    const first = slow.targets[0]![1]
    first.status = 500
    for (let probe = 0; probe < 2; probe++) await slow.interval()
    first.status = 200
    for (let probe = 0; probe < 3; probe++) {
      slow.apply([0, 1, 2])
      await slow.interval()
    }
    assert.deepEqual(slow.slowStarting, [0])
  })

  it('a target does not start slowly when no other is healthy, or all others do', async t => {
    const slow = await Slow.begin(t)
    await slow.addThird()
    for (const slot of [0, 1]) slow.targets[slot]![1].status = 500
    for (let probe = 0; probe < 2; probe++) await slow.interval()
    assert.deepEqual(slow.slowStarting, [2])
    for (const slot of [0, 1]) slow.targets[slot]![1].status = 200
    for (let probe = 0; probe < 2; probe++) await slow.interval()
    slow.targets[1]![1].status = 500
    await slow.interval()
    assert.equal(slow.states.state(0), TargetStateCode.healthy)
    assert.deepEqual(slow.slowStarting, [2])

    const alone = await Slow.begin(t)
    for (const slot of [0, 1]) alone.targets[slot]![1].status = 500
    await alone.pairIntervals(2)
    alone.targets[0]![1].status = 200
    await alone.pairIntervals(3)
    assert.equal(alone.states.state(0), TargetStateCode.healthy)
    assert.deepEqual(alone.slowStarting, [])
  })

  it('targets at full share count for the node that checks them', async t => {
    const slow = await Slow.begin(t)
    const [first, second] = slow.targets.map(target => groupOf([target], { slowStartSeconds: 60 }))
    slow.checker.apply([first!, { ...second!, node: 1 }])
    await slow.reported(3)
    slow.targets[1]![1].status = 500
    await slow.pairIntervals(2)
    assert.equal(slow.states.state(1), TargetStateCode.unhealthy)
    slow.targets[1]![1].status = 200
    await slow.pairIntervals(3)
    assert.equal(slow.states.state(1), TargetStateCode.healthy)
    assert.deepEqual(slow.slowStarting, [])
  })

  it('targets of another group at full share do not count', async t => {
    const slow = await Slow.begin(t)
    for (const slot of [0, 1]) slow.targets[slot]![1].status = 500
    await slow.pairIntervals(2)
    const other = { ...groupOf([[7, slow.targets[2]![1]]]), arn: targetGroupArn('other', 'fedcba9876543210') }
    const own = groupOf(slow.targets.slice(0, 2), { slowStartSeconds: 60 })
    slow.checker.apply([own, other])
    await slow.reported(slow.reports.length + 1)
    assert.equal(slow.states.state(7), TargetStateCode.healthy)
    slow.targets[0]![1].status = 200
    for (let probe = 0; probe < 3; probe++) await slow.interval()
    assert.equal(slow.states.state(0), TargetStateCode.healthy)
    assert.deepEqual(slow.slowStarting, [])
  })

  it('a target that is gone leaves it, and starts slowly anew when it is back', async t => {
    const slow = await Slow.begin(t, rarely)
    await slow.addThird(rarely)
    slow.apply([0, 1], rarely)
    assert.deepEqual(slow.slowStarting, [])
    slow.clock.advance(1000)
    await slow.addThird(rarely)
    slow.clock.advance(59_999)
    assert.deepEqual(slow.slowStarting, [2])
    slow.checker.close()
    assert.deepEqual(slow.slowStarting, [])
  })
})
