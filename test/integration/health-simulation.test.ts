/**
 * Hours of targets that misbehave, in seconds: what health checks, slow start, anomaly mitigation, draining and the
 * choice of targets do together, under a clock and with a chance that the test holds. Only the network is played.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ManualClock } from '../../src/base/clock.ts'
import { checkedGroups } from '../../src/control/checked-groups.ts'
import { formatProblem, parseConfig } from '../../src/control/config.ts'
import { Publisher } from '../../src/control/publisher.ts'
import { AnomalyDetector, weightMin } from '../../src/health/anomaly-detector.ts'
import { type HealthChange, HealthChecker } from '../../src/health/checker.ts'
import type { ProbeOutcome, ProbeRequest, RunningProbe } from '../../src/health/probe.ts'
import type { ProbeVerdict } from '../../src/health/state-machine.ts'
import { notRegistered } from '../../src/model/health.ts'
import { allZones, type Resources, type Target } from '../../src/model/resources.ts'
import { TargetStateCode, TargetStates, weightParity } from '../../src/model/target-states.ts'
import { CounterSlab, TargetColumn } from '../../src/observe/counters.ts'
import { type TargetGroup, TargetRegistry } from '../../src/targets/target-group.ts'
import { Random, runSeed } from '../fuzz/random.ts'

const hours = 24
const stepMs = 250
const machineCount = 6
const intervalSeconds = 5
const timeoutSeconds = 2
const healthyThresholdCount = 3
const unhealthyThresholdCount = 2
const slowStartSeconds = 60
const drainSeconds = 90

/** How a machine behaves towards health checks, and how many of a hundred requests it fails. */
type Mood = { readonly name: string; readonly probe: 'pass' | 'fail' | 'hang' | 'flap'; readonly errors: number }

const well: Mood = { name: 'well', probe: 'pass', errors: 0 }
const moods: readonly Mood[] = [
  well,
  well,
  { name: 'sick, and its health page does not know', probe: 'pass', errors: 40 },
  { name: 'broken', probe: 'fail', errors: 100 },
  { name: 'hung', probe: 'hang', errors: 100 },
  { name: 'flapping', probe: 'flap', errors: 10 },
]

class Machine {
  readonly port: number
  mood = well
  moodSinceMs = 0
  moodEndsMs = 0
  #flaps = 0

  constructor(port: number) {
    this.port = port
  }

  /** What a health check that begins now ends with, and when; null: it does not. */
  answer(random: Random): { readonly verdict: ProbeVerdict; readonly afterMs: number } | null {
    const passes = this.mood.probe === 'pass' || (this.mood.probe === 'flap' && (this.#flaps++ >> 1) % 2 === 0)
    if (this.mood.probe === 'hang') return null
    const verdict: ProbeVerdict = passes
      ? { result: 'pass', statusCode: 200, logReason: null }
      : { result: 'fail', statusCode: 503, logReason: 'TargetError' }
    return { verdict, afterMs: 1 + random.below(1500) }
  }
}

const algorithms = {
  turns: { 'load_balancing.algorithm.type': 'round_robin', 'slow_start.duration_seconds': String(slowStartSeconds) },
  chance: {
    'load_balancing.algorithm.type': 'weighted_random',
    'load_balancing.algorithm.anomaly_mitigation': 'on',
  },
  fewest: { 'load_balancing.algorithm.type': 'least_outstanding_requests' },
}

/** All machines in one target group for each algorithm. */
function baseResources(): Resources {
  const healthCheck = { intervalSeconds, timeoutSeconds, healthyThresholdCount, unhealthyThresholdCount }
  const targetGroups = Object.entries(algorithms).map(([name, attributes]) => ({
    name,
    protocol: 'HTTP',
    port: 1,
    healthCheck,
    attributes: { ...attributes, 'deregistration_delay.timeout_seconds': String(drainSeconds) },
  }))
  const rules = targetGroups.map(({ name }, i) => ({
    priority: i + 1,
    conditions: [{ field: 'path-pattern', values: [`/${name}`] }],
    actions: [{ type: 'forward', targetGroup: name }],
  }))
  const fixed = { type: 'fixed-response', fixedResponse: { statusCode: '404' } }
  const listeners = [{ protocol: 'HTTP', port: 80, defaultActions: [fixed], rules }]
  const text = JSON.stringify({ loadBalancers: [{ name: 'web', listeners }], targetGroups })
  const parsed = parseConfig([{ name: 'simulation.json', text }])
  if (!parsed.ok) throw new Error(parsed.problems.map(formatProblem).join('\n'))
  return parsed.config.resources
}

class Simulation {
  readonly clock = new ManualClock()
  readonly states = new TargetStates()
  readonly machines = Array.from({ length: machineCount }, (_, i) => new Machine(3001 + i))
  /** What was seen to happen, so that the rules are known to have been put to the test. */
  readonly seen = new Set<string>()
  readonly #random: Random
  readonly #slab = new CounterSlab()
  readonly #registry = new TargetRegistry()
  readonly #base = baseResources()
  readonly #publisher: Publisher
  readonly #checker: HealthChecker
  readonly #detector: AnomalyDetector
  /** Ports of each group, by its name. */
  readonly #registered = new Map<string, Set<number>>()
  readonly #drainsUntil = new Map<number, number>()
  readonly #changedAt = new Map<number, number>()
  readonly #slowSince = new Map<number, number>()

  constructor(random: Random) {
    const { clock, states } = this
    this.#random = random
    this.#publisher = new Publisher({
      clock,
      machineClock: clock,
      states,
      cookieKeys: () => [],
      onDrained: ({ slots }) => this.#onDrained(slots),
      isSlotBusy: (_, slot) => states.requestsInFlight(slot) > 0,
      onSlotFreed: (_, slot) => {
        states.clearTarget(slot)
        this.#slab.clearTarget(slot)
      },
    })
    this.#checker = new HealthChecker({
      clock,
      states,
      random: () => random.below(1000) / 1000,
      startProbe: (_, request, onOutcome) => this.#startProbe(request, onOutcome),
      onChange: change => this.#onChange(change),
    })
    this.#detector = new AnomalyDetector({
      clock,
      states,
      read: slot => ({
        requests: this.#slab.target(slot, 'requestsEnded'),
        errors: this.#slab.target(slot, 'HTTPCode_Target_5XX_Count'),
      }),
    })
    for (const { name } of this.#base.targetGroups) {
      this.#registered.set(name, new Set(this.machines.map(({ port }) => port)))
    }
    this.#publish()
  }

  close(): void {
    this.#checker.close()
    this.#detector.close()
    this.#publisher.close()
  }

  run(ms: number): void {
    for (let passed = 0; passed < ms; passed += stepMs) {
      this.clock.advance(stepMs)
      for (const { node, arn, name } of this.#publisher.snapshot.targetGroups) {
        this.#request(this.#registry.group(node!, arn), name)
      }
      this.#checkStates()
    }
  }

  /** All machines are well from now on. */
  calm(): void {
    for (const machine of this.machines) this.#feel(machine, well, Infinity)
  }

  /** Whoever is due feels otherwise, and once in a while a target comes or goes. */
  disturb(): void {
    const now = this.clock.now()
    const random = this.#random
    for (const machine of this.machines) {
      if (now >= machine.moodEndsMs) this.#feel(machine, random.pick(moods), 5_000 + random.below(300_000))
    }
    if (random.below(8) !== 0) return
    const [, ports] = random.pick([...this.#registered])
    const { port } = random.pick(this.machines)
    if (!ports.has(port)) ports.add(port)
    else if (ports.size > 1) ports.delete(port)
    this.#publish()
  }

  #feel(machine: Machine, mood: Mood, forMs: number): void {
    const now = this.clock.now()
    if (mood !== machine.mood) machine.moodSinceMs = now
    machine.mood = mood
    machine.moodEndsMs = now + forMs
  }

  #publish(): void {
    const targetGroups = this.#base.targetGroups.map(group => ({
      ...group,
      targets: [...this.#registered.get(group.name)!].map(
        (port): Target => ({ ip: '127.0.0.1', port, availabilityZone: allZones }),
      ),
    }))
    const resources = { ...this.#base, targetGroups }
    const snapshot = this.#publisher.prepare(resources)
    this.#registry.apply(snapshot.targetGroups, () => 60_000)
    this.#publisher.commit(resources)
    for (const slot of this.#publisher.draining.flatMap(({ slots }) => slots)) {
      if (!this.#drainsUntil.has(slot)) this.#drainsUntil.set(slot, this.clock.now() + drainSeconds * 1000)
    }
    for (const { targets } of snapshot.targetGroups) for (const { slot } of targets) this.#drainsUntil.delete(slot)
    this.#applyChecks()
    this.#detector.apply(snapshot.targetGroups)
  }

  #applyChecks(): void {
    const { resources, snapshot, draining } = this.#publisher
    this.#checker.apply(checkedGroups(resources, snapshot, draining))
  }

  #onDrained(slots: readonly number[]): void {
    this.seen.add('a target drained to its end')
    for (const slot of slots) {
      assert.equal(this.clock.now(), this.#drainsUntil.get(slot), 'a target drains for its whole delay')
      this.#drainsUntil.delete(slot)
    }
    this.#applyChecks()
    for (const slot of slots) assert.equal(this.#checker.health(slot), notRegistered, 'what has drained is forgotten')
  }

  #machine(port: number): Machine {
    return this.machines.find(machine => machine.port === port)!
  }

  #startProbe(request: ProbeRequest, onOutcome: (outcome: ProbeOutcome) => void): RunningProbe {
    const { clock } = this
    const began = clock.now()
    const answer = this.#machine(request.port).answer(this.#random)
    const late: ProbeVerdict = { result: 'fail', statusCode: null, logReason: 'TimedOut' }
    const end = (verdict: ProbeVerdict) => {
      timer.cancel()
      const latencyMs = clock.now() - began
      const stageMs = { connect: 0, tls: null, firstByte: latencyMs, response: null }
      const rest = {
        ending: 'answered',
        stage: 'firstByte',
        stageMs,
        tlsAlert: null,
        bodyStart: '',
        detail: '',
      } as const
      onOutcome({ ...verdict, ...rest, latencyMs, startedAtMs: clock.originMs + began })
    }
    const timer = clock.after(answer?.afterMs ?? request.timeoutMs, () => end(answer?.verdict ?? late))
    return { timeOut: () => end(late), cancel: () => timer.cancel() }
  }

  /** One to three requests, of which none may go where it must not. */
  #request(group: TargetGroup, name: string): void {
    const { clock, states } = this
    const ports = this.#registered.get(name)!
    for (let i = 0; i <= this.#random.below(3); i++) {
      const target = group.takeTarget(states, clock.originMs + clock.now())
      assert.ok(target !== null, 'a group with targets has one for every request')
      assert.ok(ports.has(target.port), 'no request goes to a target that is not registered')
      const state = states.state(target.slot)
      assert.notEqual(state, TargetStateCode.draining, 'no request goes to a draining target')
      const hasHealthy = group.targets.some(({ slot }) => states.state(slot) === TargetStateCode.healthy)
      if (hasHealthy) assert.equal(state, TargetStateCode.healthy, 'unhealthy targets are for when there are no others')
      else this.seen.add('a group failed open')
      const failed = this.#random.below(100) < this.#machine(target.port).mood.errors
      this.#slab.countTarget(target.slot, TargetColumn.requestsEnded, 1)
      if (failed) this.#slab.countTarget(target.slot, TargetColumn.HTTPCode_Target_5XX_Count, 1)
      states.removeRequestInFlight(target.slot)
    }
  }

  /** What must be true of every target at every moment. */
  #checkStates(): void {
    const { clock, states } = this
    for (const { name, targets } of this.#publisher.snapshot.targetGroups) {
      for (const { slot, port } of targets) {
        const { state } = this.#checker.health(slot)
        assert.equal(states.state(slot), TargetStateCode[state], 'all threads know what the checker knows')
        this.#checkWeight(slot, name)
        this.#checkSlowStart(slot, name)
        this.#checkSpeed(slot, this.#machine(port))
      }
    }
    for (const [slot, untilMs] of this.#drainsUntil) {
      assert.ok(clock.now() <= untilMs)
      assert.equal(this.#checker.health(slot).state, 'draining', 'a target shows that it drains, to the end')
    }
  }

  #checkWeight(slot: number, group: string): void {
    const weight = this.states.weight(slot)
    assert.ok(weight >= weightMin && weight <= weightParity)
    if (group !== 'chance') assert.equal(weight, weightParity, 'only weighted_random has weights')
    if (weight < weightParity) this.seen.add('an anomaly was mitigated')
  }

  #checkSlowStart(slot: number, group: string): void {
    if (!this.states.isSlowStarting(slot)) {
      this.#slowSince.delete(slot)
      return
    }
    this.seen.add('a target started slowly')
    assert.equal(group, 'turns', 'only groups with the attribute start slowly')
    assert.equal(this.#checker.health(slot).state, 'healthy', 'only healthy targets start slowly')
    const since = this.#slowSince.get(slot) ?? this.clock.now()
    this.#slowSince.set(slot, since)
    assert.ok(this.clock.now() - since <= slowStartSeconds * 1000, 'a slow start ends')
  }

  /** A machine that has long been the same is known to be so. */
  #checkSpeed(slot: number, { mood, moodSinceMs }: Machine): void {
    const known = Math.max(moodSinceMs, this.#changedAt.get(slot) ?? 0)
    const longMs = this.clock.now() - known
    const { state } = this.#checker.health(slot)
    const isDown = mood.probe === 'fail' || mood.probe === 'hang'
    const downMs = ((unhealthyThresholdCount + 1) * intervalSeconds + timeoutSeconds) * 1000
    const upMs = ((healthyThresholdCount + 1) * intervalSeconds + timeoutSeconds) * 1000
    if (isDown && longMs > downMs) assert.equal(state, 'unhealthy', 'a target that is down is found')
    if (mood.probe === 'pass' && longMs > upMs) assert.equal(state, 'healthy', 'a target that is up again is found')
  }

  /** No faster than the thresholds allow: so many probes must lie between, each an interval behind the other. */
  #onChange({ slot, from, to }: HealthChange): void {
    const now = this.clock.now()
    const took = now - (this.#changedAt.get(slot) ?? 0)
    this.#changedAt.set(slot, now)
    this.#slowSince.delete(slot)
    const intervalMs = 0.95 * intervalSeconds * 1000
    // The first of them may have begun a timeout before the change was known, and the second probe of all comes early.
    const slackMs = timeoutSeconds * 1000 + intervalMs / 2
    if (from.state === 'healthy' && to.state === 'unhealthy') {
      this.seen.add('a target went down')
      assert.ok(took >= unhealthyThresholdCount * intervalMs - slackMs, `went down after ${took} ms`)
    }
    if (from.state === 'unhealthy' && to.state === 'healthy') {
      this.seen.add('a target came back')
      assert.ok(took >= healthyThresholdCount * intervalMs - slackMs, `came back after ${took} ms`)
    }
  }

  /** After a long calm nothing is left of what was. */
  checkPeace(): void {
    for (const { targets } of this.#publisher.snapshot.targetGroups) {
      for (const { slot } of targets) {
        assert.equal(this.#checker.health(slot).state, 'healthy')
        assert.equal(this.states.weight(slot), weightParity, 'weights recover')
        assert.equal(this.#detector.result(slot), 'normal')
        assert.equal(this.states.isSlowStarting(slot), false)
      }
    }
    assert.equal(this.#publisher.draining.length, 0)
  }
}

test(`${hours} hours of targets that misbehave break no rule`, (t: TestContext) => {
  const seed = runSeed()
  t.diagnostic(`FUZZ_SEED=${seed}`)
  const simulation = new Simulation(new Random(seed))
  t.after(() => simulation.close())
  for (let minute = 0; minute < hours * 60; minute++) {
    simulation.disturb()
    simulation.run(60_000)
  }
  simulation.calm()
  // What is left of a share of 5 % takes its time to show that the target is well: so few requests a minute get there.
  simulation.run(30 * 60_000)
  simulation.checkPeace()
  assert.deepEqual([...simulation.seen].sort(), [
    'a group failed open',
    'a target came back',
    'a target drained to its end',
    'a target started slowly',
    'a target went down',
    'an anomaly was mitigated',
  ])
})
