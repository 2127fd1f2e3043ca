/** What the tests of health checks share. Only for tests. */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { type MisbehavingTarget, type Script, startTarget } from '../../test/support/misbehaving-target.ts'
import { caughtUp, until } from '../../test/support/turns.ts'
import { ManualClock } from '../base/clock.ts'
import { backendPolicy } from '../model/ssl-policies.ts'
import { targetTlsOptions } from '../targets/target-tls.ts'
import { type ProbeOutcome, type ProbeRequest, startProbe } from './probe.ts'

/** A probe under a clock that stands still until told. */
export class Started {
  readonly clock = new ManualClock()
  readonly outcomes: ProbeOutcome[] = []
  readonly cancel: () => void

  constructor(port: number, request: Partial<ProbeRequest> = {}) {
    const plain: ProbeRequest = {
      ip: '127.0.0.1',
      port,
      tls: null,
      protocolVersion: 'HTTP1',
      path: '/',
      timeoutMs: 2000,
      matcher: [{ from: 200, to: 200 }],
    }
    const probe = startProbe(this.clock, { ...plain, ...request }, outcome => this.outcomes.push(outcome))
    this.cancel = () => probe.cancel()
  }

  async outcome(): Promise<ProbeOutcome> {
    await until(
      () => this.outcomes.length > 0,
      () => 'the outcome of a probe',
    )
    await caughtUp()
    assert.equal(this.outcomes.length, 1, 'a probe reports once')
    return this.outcomes[0]!
  }
}

export async function scripted(t: TestContext, script: Script): Promise<MisbehavingTarget> {
  const target = await startTarget(script)
  t.after(() => target.close())
  return target
}

export async function probe(
  t: TestContext,
  script: Script,
  request: Partial<ProbeRequest> = {},
): Promise<ProbeOutcome> {
  return new Started((await scripted(t, script)).port, request).outcome()
}

export const tls = targetTlsOptions(backendPolicy([]))

/** The parts of an outcome that say why. */
export function essence({ result, statusCode, logReason, ending, stage, detail }: ProbeOutcome) {
  return { result, statusCode, logReason, ending, stage, detail }
}

export const failed = { result: 'fail', statusCode: null, logReason: 'ConnectionReset' } as const
export const late = { result: 'fail', statusCode: null, logReason: 'TimedOut', ending: 'timedOut' } as const
