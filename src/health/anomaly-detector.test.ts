import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ManualClock } from '../base/clock.ts'
import { targetGroupArn } from '../model/arns.ts'
import type { TargetGroupAttributes } from '../model/resources.ts'
import type { SnapshotTargetGroup } from '../model/snapshot.ts'
import { TargetStateCode, TargetStates, weightParity } from '../model/target-states.ts'
import {
  AnomalyDetector,
  detectionIntervalMs,
  errorRateNear,
  nearVerdictsMin,
  requestsJudgedMin,
  weightMin,
  weightRise,
} from './anomaly-detector.ts'

const mitigating: TargetGroupAttributes = {
  deregistrationDelaySeconds: 300,
  algorithm: 'weighted_random',
  anomalyMitigation: true,
  slowStartSeconds: 0,
  stickiness: null,
  crossZone: true,
  routingThreshold: { count: 1, percentage: null },
  dnsThreshold: { count: 1, percentage: null },
}

function groupOf(slots: readonly number[], attributes = mitigating, id = '0123456789abcdef'): SnapshotTargetGroup {
  const targets = slots.map(slot => ({ ip: '10.0.0.1', port: 8000 + slot, slot }))
  return {
    slot: 0,
    node: 0,
    arn: targetGroupArn('app', id),
    name: 'app',
    protocol: 'HTTP',
    protocolVersion: 'HTTP1',
    attributes,
    targets,
    targetsElsewhere: [],
  }
}

/** What the targets of one interval did: requests and errors by slot. */
type Traffic = Readonly<Record<number, readonly [requests: number, errors: number]>>

/** A detector over counters that the test moves, with all targets healthy to begin with. */
class Fixture {
  readonly clock = new ManualClock()
  readonly states = new TargetStates()
  readonly #counted = new Map<number, { requests: number; errors: number }>()
  readonly detector = new AnomalyDetector({
    clock: this.clock,
    states: this.states,
    read: slot => ({ ...this.#of(slot) }),
  })

  constructor(...groups: readonly SnapshotTargetGroup[]) {
    for (const { targets } of groups) {
      for (const { slot } of targets) this.states.setState(slot, TargetStateCode.healthy)
    }
    this.detector.apply(groups)
  }

  interval(traffic: Traffic, times = 1): void {
    for (let time = 0; time < times; time++) {
      this.count(traffic)
      this.clock.advance(detectionIntervalMs)
    }
  }

  count(traffic: Traffic): void {
    for (const [slot, [requests, errors]] of Object.entries(traffic)) {
      const counted = this.#of(Number(slot))
      counted.requests += requests
      counted.errors += errors
    }
  }

  /** The anomalous ones of the first slots. */
  anomalous(slots = 6): number[] {
    return Array.from({ length: slots }, (_, slot) => slot).filter(slot => this.detector.result(slot) === 'anomalous')
  }

  #of(slot: number): { requests: number; errors: number } {
    const known = this.#counted.get(slot) ?? { requests: 0, errors: 0 }
    this.#counted.set(slot, known)
    return known
  }
}

const well: Traffic = { 0: [100, 0], 1: [100, 0], 2: [100, 0], 3: [100, 0] }
const firstFails: Traffic = { ...well, 0: [100, 40] }

describe('anomaly detector', () => {
  it('a target that fails much more often than its peers is anomalous after one interval, the others are not', () => {
    const fixture = new Fixture(groupOf([0, 1, 2, 3]))
    fixture.interval(well)
    assert.deepEqual(fixture.anomalous(), [])
    fixture.count(firstFails)
    fixture.clock.advance(detectionIntervalMs - 1)
    assert.deepEqual(fixture.anomalous(), [])
    fixture.clock.advance(1)
    assert.deepEqual(fixture.anomalous(), [0])
  })

  it('two that fail at once are both found, and one that fails beside a known one too', () => {
    const fixture = new Fixture(groupOf([0, 1, 2, 3]))
    fixture.interval({ ...firstFails, 1: [100, 40] })
    assert.deepEqual(fixture.anomalous(), [0, 1])
    const other = new Fixture(groupOf([0, 1, 2]))
    other.interval({ 0: [1000, 1000], 1: [20, 0], 2: [20, 0] })
    assert.deepEqual(other.anomalous(), [0])
    // 15 % beside a peer at 100 % and one at 0 %: it shows only without the known one among the peers.
    other.interval({ 0: [1000, 1000], 1: [400, 60], 2: [400, 0] })
    assert.deepEqual(other.anomalous(), [0, 1])
  })

  it('a target that fails as often as its peers is normal, however often that is', () => {
    const fixture = new Fixture(groupOf([0, 1, 2]))
    fixture.interval({ 0: [500, 250], 1: [500, 245], 2: [500, 255] }, 20)
    assert.deepEqual(fixture.anomalous(), [])
    fixture.interval({ 0: [500, 500], 1: [500, 500], 2: [500, 500] }, 20)
    assert.deepEqual(fixture.anomalous(), [])
  })

  it('an excess below the margin is none, however certain; one above is, once it is certain', () => {
    const certain = new Fixture(groupOf([0, 1, 2]))
    certain.interval({ 0: [1e6, 49_000], 1: [1e6, 0], 2: [1e6, 0] }, 5)
    assert.deepEqual(certain.anomalous(), [])
    certain.interval({ 0: [1e6, 60_000], 1: [1e6, 0], 2: [1e6, 0] }, 5)
    assert.deepEqual(certain.anomalous(), [0])

    // 6 of 30 beside 6 of 100: 14 points more, 2.3 standard errors.
    const uncertain = new Fixture(groupOf([0, 1, 2]))
    uncertain.interval({ 0: [30, 6], 1: [50, 3], 2: [50, 3] })
    assert.deepEqual(uncertain.anomalous(), [])
    // 12 of 30 beside 6 of 100: 34 points, 4.7 standard errors.
    const certainToo = new Fixture(groupOf([0, 1, 2]))
    certainToo.interval({ 0: [30, 12], 1: [50, 3], 2: [50, 3] })
    assert.deepEqual(certainToo.anomalous(), [0])
  })

  it('well targets that fail by chance are not taken for anomalous ones in a day', () => {
    const slots = [0, 1, 2, 3, 4]
    const fixture = new Fixture(groupOf(slots))
    const random = seeded(20_261)
    let found = 0
    for (let interval = 0; interval < 17_280; interval++) {
      const traffic = slots.map(slot => [slot, [40, errorsByChance(random, 40, 0.05)]])
      fixture.interval(Object.fromEntries(traffic) as Traffic)
      found += fixture.anomalous().length
    }
    // 86,400 verdicts at less than one in 30,000: 3 findings by chance, 10 with four times their deviation. Each lasts
    // for about two times `nearVerdictsMin`.
    assert.ok(found <= 10 * 2 * nearVerdictsMin, `${found} of 86,400`)
  })

  it('without enough requests there is no verdict, and they collect until there are', () => {
    const fixture = new Fixture(groupOf([0, 1, 2]))
    const few = requestsJudgedMin - 1
    fixture.interval({ 0: [few, few], 1: [100, 0], 2: [100, 0] })
    assert.deepEqual(fixture.anomalous(), [])
    fixture.interval({ 0: [1, 1], 1: [100, 0], 2: [100, 0] })
    assert.deepEqual(fixture.anomalous(), [0])
  })

  it('without enough requests of the peers there is no verdict either', () => {
    const fixture = new Fixture(groupOf([0, 1, 2]))
    fixture.interval({ 0: [100, 100], 1: [9, 0], 2: [10, 0] })
    assert.deepEqual(fixture.anomalous(), [])
    const enough = new Fixture(groupOf([0, 1, 2]))
    enough.interval({ 0: [100, 100], 1: [10, 0], 2: [10, 0] })
    assert.deepEqual(enough.anomalous(), [0])
  })

  it('a request that counts as two errors is one at most', () => {
    const fixture = new Fixture(groupOf([0, 1, 2]))
    fixture.interval({ 0: [1000, 2000], 1: [100, 0], 2: [100, 0] })
    assert.deepEqual(fixture.anomalous(), [0])
    fixture.interval({ 0: [100, 100], 1: [100, 200], 2: [100, 200] })
    assert.deepEqual(fixture.anomalous(), [0])
  })

  it('what was counted before a target was watched does not speak against it', () => {
    const fixture = new Fixture(groupOf([0, 1, 2]))
    fixture.count({ 3: [1000, 1000] })
    fixture.states.setState(3, TargetStateCode.healthy)
    fixture.detector.apply([groupOf([0, 1, 2, 3])])
    fixture.interval(well, 3)
    assert.deepEqual(fixture.anomalous(), [])
  })

  it('fewer than three healthy targets are not compared, and what was found ends', () => {
    const two = new Fixture(groupOf([0, 1]))
    two.interval(firstFails, 3)
    assert.deepEqual(two.anomalous(), [])

    const fixture = new Fixture(groupOf([0, 1, 2]))
    fixture.interval(firstFails)
    assert.deepEqual(fixture.anomalous(), [0])
    fixture.states.setState(2, TargetStateCode.unhealthy)
    fixture.interval(firstFails)
    assert.deepEqual(fixture.anomalous(), [])
  })

  it('a target that is not healthy is out of the comparison, and begins anew', () => {
    const fixture = new Fixture(groupOf([0, 1, 2, 3]))
    fixture.interval(firstFails)
    fixture.states.setState(0, TargetStateCode.unhealthy)
    fixture.interval(firstFails)
    assert.deepEqual(fixture.anomalous(), [])
    fixture.states.setState(0, TargetStateCode.healthy)
    fixture.interval(well)
    assert.deepEqual(fixture.anomalous(), [])

    // Nor does what went well before speak for it.
    const other = new Fixture(groupOf([0, 1, 2, 3]))
    other.interval({ ...well, 0: [100_000, 0] })
    other.states.setState(0, TargetStateCode.unhealthy)
    other.interval(well)
    other.states.setState(0, TargetStateCode.healthy)
    other.interval(firstFails)
    assert.deepEqual(other.anomalous(), [0])
  })

  it('each group is compared within itself', () => {
    const fixture = new Fixture(groupOf([0, 1, 2]), groupOf([3, 4, 5], mitigating, 'fedcba9876543210'))
    const fails = [100, 40] as const
    fixture.interval({ 0: [100, 0], 1: [100, 0], 2: [100, 0], 3: fails, 4: fails, 5: fails })
    assert.deepEqual(fixture.anomalous(), [])
  })

  it('an anomalous target is normal again after half a minute near its peers, not sooner', () => {
    const fixture = new Fixture(groupOf([0, 1, 2, 3]))
    fixture.interval(firstFails)
    // What speaks against it halves: 13, 5.7, 2.7, 1.3 % and so on. From the fourth interval on it is near.
    fixture.interval(well, 3 + nearVerdictsMin - 1)
    assert.deepEqual(fixture.anomalous(), [0])
    fixture.interval(well)
    assert.deepEqual(fixture.anomalous(), [])
  })

  it('an error rate that is not near the peers again begins the half minute anew', () => {
    const fixture = new Fixture(groupOf([0, 1, 2, 3]))
    fixture.interval(firstFails)
    fixture.interval(well, 3 + nearVerdictsMin - 1)
    // Of 200 requests in evidence 3 %: not enough to be found anomalous, and no longer near.
    fixture.interval({ ...well, 0: [100, 2 * (errorRateNear * 100 + 1)] })
    fixture.interval(well, nearVerdictsMin - 1)
    assert.deepEqual(fixture.anomalous(), [0])
    fixture.interval(well)
    assert.deepEqual(fixture.anomalous(), [])
  })

  it('without requests an anomalous target stays what it was', () => {
    const fixture = new Fixture(groupOf([0, 1, 2, 3]))
    fixture.interval(firstFails)
    fixture.interval({}, 100)
    assert.deepEqual(fixture.anomalous(), [0])
  })

  it('mitigation lowers the weight step by step to a minimum, and raises it step by step to parity', () => {
    const fixture = new Fixture(groupOf([0, 1, 2, 3]))
    const { detector, states } = fixture
    assert.equal(detector.isMitigated(0), false)
    const falling = Array.from({ length: 7 }, () => {
      fixture.interval(firstFails)
      return states.weight(0)
    })
    assert.deepEqual(falling, [500, 250, 125, 62, weightMin, weightMin, weightMin])
    assert.equal(detector.isMitigated(0), true)
    assert.deepEqual([1, 2, 3].map(states.weight, states), [weightParity, weightParity, weightParity])

    while (detector.result(0) === 'anomalous') fixture.interval(well)
    assert.equal(states.weight(0), weightMin + weightRise)
    fixture.interval(well)
    assert.equal(states.weight(0), weightMin + 2 * weightRise)
    assert.equal(detector.isMitigated(0), true)
    fixture.interval(well, 100)
    assert.equal(states.weight(0), weightParity)
    assert.equal(detector.isMitigated(0), false)
  })

  it('weights that stay are not written, so that no worker looks at its targets in vain', () => {
    const fixture = new Fixture(groupOf([0, 1, 2, 3]))
    fixture.interval(well)
    const { generation } = fixture.states
    fixture.interval(well, 3)
    fixture.detector.apply([groupOf([0, 1, 2, 3])])
    assert.equal(fixture.states.generation, generation)
  })

  it('detection goes on without mitigation, which needs its attribute and weighted_random', () => {
    const others: TargetGroupAttributes[] = [
      { ...mitigating, anomalyMitigation: false },
      { ...mitigating, algorithm: 'round_robin' },
      { ...mitigating, algorithm: 'least_outstanding_requests', anomalyMitigation: true },
    ]
    for (const attributes of others) {
      const fixture = new Fixture(groupOf([0, 1, 2, 3], attributes))
      fixture.interval(firstFails, 3)
      assert.deepEqual(fixture.anomalous(), [0])
      assert.equal(fixture.detector.isMitigated(0), false)
      fixture.detector.apply([groupOf([0, 1, 2, 3])])
      fixture.interval(firstFails)
      assert.equal(fixture.detector.isMitigated(0), true)
    }
  })

  it('mitigation ends at once when the group no longer asks for it; the finding stays', () => {
    const fixture = new Fixture(groupOf([0, 1, 2, 3]))
    fixture.interval(firstFails)
    fixture.detector.apply([groupOf([0, 1, 2, 3])])
    assert.equal(fixture.states.weight(0), 500)
    fixture.detector.apply([groupOf([0, 1, 2, 3], { ...mitigating, anomalyMitigation: false })])
    assert.equal(fixture.states.weight(0), weightParity)
    assert.deepEqual(fixture.anomalous(), [0])
  })

  it('a target that is gone is at parity and normal, and knows nothing when it comes back', () => {
    const fixture = new Fixture(groupOf([0, 1, 2, 3]))
    fixture.interval(firstFails)
    fixture.detector.apply([groupOf([1, 2, 3])])
    assert.equal(fixture.states.weight(0), weightParity)
    fixture.detector.apply([groupOf([0, 1, 2, 3])])
    fixture.interval(well)
    assert.deepEqual(fixture.anomalous(), [])
  })

  it('a closed detector has ended all mitigation and does nothing more', () => {
    const fixture = new Fixture(groupOf([0, 1, 2, 3]))
    fixture.interval(firstFails)
    fixture.detector.close()
    assert.equal(fixture.states.weight(0), weightParity)
    let timers = 0
    const { clock } = fixture
    const after = (ms: number, run: () => void) => {
      timers++
      return clock.after(ms, run)
    }
    const counting = { ...clock, after }
    const read = () => ({ requests: 0, errors: 0 })
    const other = new AnomalyDetector({ clock: counting, states: new TargetStates(), read })
    clock.advance(detectionIntervalMs)
    assert.equal(timers, 2)
    other.close()
    clock.advance(10 * detectionIntervalMs)
    assert.equal(timers, 2)
  })
})

/** The mulberry32 generator. @returns from 0 up to 1 */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

function errorsByChance(random: () => number, requests: number, rate: number): number {
  let errors = 0
  for (let request = 0; request < requests; request++) if (random() < rate) errors++
  return errors
}
