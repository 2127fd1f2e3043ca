import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { initialChecking } from '../model/health.ts'
import { afterProbe, type CheckedState, checking, type ProbeVerdict, type Thresholds } from './state-machine.ts'

const pass: ProbeVerdict = { result: 'pass', statusCode: 200, logReason: null }
const timedOut: ProbeVerdict = { result: 'fail', statusCode: null, logReason: 'TimedOut' }
const reset: ProbeVerdict = { result: 'fail', statusCode: null, logReason: 'ConnectionReset' }
const internal: ProbeVerdict = { result: 'fail', statusCode: null, logReason: 'InternalError' }
const unexpectedGrpcStatus: ProbeVerdict = { result: 'fail', statusCode: 14, logReason: 'GRPCUnexpectedStatus' }
const noGrpcStatus: ProbeVerdict = { result: 'fail', statusCode: null, logReason: 'GRPCStatusHeaderEmpty' }

function code(statusCode: number): ProbeVerdict {
  return { result: 'fail', statusCode, logReason: statusCode >= 500 ? 'TargetError' : 'ResponseCodeMismatch' }
}

function run(verdicts: readonly ProbeVerdict[], thresholds: Thresholds): CheckedState {
  return verdicts.reduce((state, verdict) => afterProbe(state, verdict, thresholds), checking)
}

describe('state machine', () => {
  const thresholds = { healthyThresholdCount: 3, unhealthyThresholdCount: 2 }

  it('a new target is healthy after one success, whatever the threshold', () => {
    assert.deepEqual(run([pass], { healthyThresholdCount: 10, unhealthyThresholdCount: 2 }).health, {
      state: 'healthy',
    })
    assert.equal(run([timedOut, pass], thresholds).health.state, 'healthy')
  })

  it('a new target stays initial below the unhealthy threshold', () => {
    assert.equal(run([timedOut], thresholds).health, initialChecking)
    assert.equal(run([timedOut, reset], thresholds).health.state, 'unhealthy')
  })

  it('an opposite result begins the count anew, both ways', () => {
    assert.equal(run([pass, reset, pass, reset], thresholds).health.state, 'healthy')
    const down = [reset, reset]
    assert.equal(run([...down, pass, pass, reset, pass, pass], thresholds).health.state, 'unhealthy')
    assert.equal(run([...down, pass, pass, pass], thresholds).health.state, 'healthy')
  })

  it('each way to fail has its reason and the words of the service', () => {
    const cases = [
      [timedOut, 'Target.Timeout', 'Request timed out'],
      [reset, 'Target.FailedHealthChecks', 'Health checks failed'],
      [internal, 'Elb.InternalError', 'Health checks failed due to an internal error'],
      [code(404), 'Target.ResponseCodeMismatch', 'Health checks failed with these codes: [404]'],
      [code(502), 'Target.ResponseCodeMismatch', 'Health checks failed with these codes: [502]'],
      [unexpectedGrpcStatus, 'Target.ResponseCodeMismatch', 'Health checks failed with these codes: [14]'],
      [noGrpcStatus, 'Target.FailedHealthChecks', 'Health checks failed'],
    ] as const
    for (const [verdict, reason, description] of cases) {
      assert.deepEqual(run([verdict, verdict], thresholds).health, { state: 'unhealthy', reason, description })
    }
  })

  it('the latest failure gives the reason while the codes of the streak are kept', () => {
    const streak = [code(502), timedOut, code(503), code(502)]
    assert.deepEqual(run(streak, thresholds).health, {
      state: 'unhealthy',
      reason: 'Target.ResponseCodeMismatch',
      description: 'Health checks failed with these codes: [502, 503]',
    })
    const { health } = run([...streak, timedOut], thresholds)
    assert.equal(health.state === 'unhealthy' && health.reason, 'Target.Timeout')
  })

  it('a success in between ends the list of codes', () => {
    const { health } = run([code(502), code(502), pass, code(404)], thresholds)
    assert.equal(health.state === 'unhealthy' && health.description, 'Health checks failed with these codes: [404]')
  })

  /** What the state must be, told from whole runs of results rather than from counters. */
  function expected(verdicts: readonly ProbeVerdict[], { healthyThresholdCount, unhealthyThresholdCount }: Thresholds) {
    let state = 'initial'
    verdicts.forEach((verdict, index) => {
      const latest = (count: number) => verdicts.slice(Math.max(0, index + 1 - count), index + 1)
      const endsWith = (result: string, count: number) =>
        index + 1 >= count && latest(count).every(each => each.result === result)
      if (state === 'initial' && verdict.result === 'pass') state = 'healthy'
      else if (endsWith('fail', unhealthyThresholdCount)) state = 'unhealthy'
      else if (endsWith('pass', healthyThresholdCount)) state = 'healthy'
    })
    return state
  }

  const anyVerdict = fc.constantFrom(pass, pass, timedOut, reset, internal, code(404), code(502), code(503))
  const anyThresholds = fc.record({
    healthyThresholdCount: fc.integer({ min: 2, max: 10 }),
    unhealthyThresholdCount: fc.integer({ min: 2, max: 10 }),
  })

  it('property: the state follows from the latest results alone', () => {
    // Long runs of one result, or the higher thresholds would never be met.
    const runs = fc.array(fc.tuple(anyVerdict, fc.integer({ min: 1, max: 12 })), { maxLength: 12 })
    fc.assert(
      fc.property(runs, anyThresholds, (lengths, thresholds) => {
        const verdicts = lengths.flatMap(([verdict, length]) => Array<ProbeVerdict>(length).fill(verdict))
        for (let count = 0; count <= verdicts.length; count++) {
          const seen = verdicts.slice(0, count)
          assert.equal(run(seen, thresholds).health.state, expected(seen, thresholds))
        }
      }),
    )
  })

  it('property: the codes shown are the distinct ones since the last success', () => {
    fc.assert(
      fc.property(fc.array(anyVerdict, { maxLength: 30 }), anyThresholds, (verdicts, thresholds) => {
        const streak = verdicts.slice(verdicts.findLastIndex(each => each.result === 'pass') + 1)
        const codes = streak.map(each => each.statusCode).filter(each => each !== null)
        assert.deepEqual(run(verdicts, thresholds).failedCodes, [...new Set(codes)])
      }),
    )
  })
})
