/**
 * What one more health check means for a target. Data in, next state out: knows no sockets, clocks or slots.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
 */

import { assertNever } from '../base/assert.ts'
import {
  codeMismatch,
  failedChecks,
  healthy,
  initialChecking,
  internalError,
  registering,
  type TargetHealth,
  timedOut,
} from '../model/health.ts'
import type { HealthCheck } from '../model/resources.ts'

/**
 * How a health check ended. The reasons are those of the service's health check log, less ResponseStringMismatch: no
 * target group of a load balancer can be told to look for one.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-health-check-logs.html
 */
export type ProbeVerdict =
  | { readonly result: 'pass'; readonly statusCode: number; readonly logReason: null }
  | {
      readonly result: 'fail'
      /** Of HTTP; with GRPCUnexpectedStatus, of gRPC. */
      readonly statusCode: number
      /** `TargetError` is a 5xx. */
      readonly logReason: 'ResponseCodeMismatch' | 'TargetError' | 'GRPCUnexpectedStatus'
    }
  | {
      readonly result: 'fail'
      readonly statusCode: null
      readonly logReason: 'TimedOut' | 'ConnectionReset' | 'GRPCStatusHeaderEmpty' | 'InternalError'
    }

type FailVerdict = Extract<ProbeVerdict, { readonly result: 'fail' }>

/** The states that health checks lead to; the others are decided elsewhere. */
export type CheckedHealth = Extract<TargetHealth, { readonly state: 'initial' | 'healthy' | 'unhealthy' }>

export type CheckedState = {
  readonly health: CheckedHealth
  /** Consecutive results that speak against `health`; for `initial` those are failures. */
  readonly contraryCount: number
  /** Distinct codes of the failing streak, in the order they came. At most the 900 codes of three digits. */
  readonly failedCodes: readonly number[]
}

export type Thresholds = Pick<HealthCheck, 'healthyThresholdCount' | 'unhealthyThresholdCount'>

/** Where a registered target begins, before its first health check. */
export const registered: CheckedState = { health: registering, contraryCount: 0, failedCodes: [] }

/** Its first health check is under way. */
export const checking: CheckedState = { ...registered, health: initialChecking }

const inService: CheckedState = { ...registered, health: healthy }

/**
 * The state after one more health check. A new target needs one success, whatever the healthy threshold; every other
 * change needs as many consecutive results as its threshold says, and an opposite result begins the count anew.
 * That a new target turns unhealthy only at the unhealthy threshold is assumed.
 */
export function afterProbe(before: CheckedState, verdict: ProbeVerdict, thresholds: Thresholds): CheckedState {
  return verdict.result === 'pass' ? afterPass(before, thresholds) : afterFail(before, verdict, thresholds)
}

function afterPass(before: CheckedState, thresholds: Thresholds): CheckedState {
  if (before.health.state !== 'unhealthy') return inService
  const contraryCount = before.contraryCount + 1
  if (contraryCount >= thresholds.healthyThresholdCount) return inService
  return { health: before.health, contraryCount, failedCodes: [] }
}

function afterFail(before: CheckedState, verdict: FailVerdict, thresholds: Thresholds): CheckedState {
  const failedCodes = withCode(before.failedCodes, verdict.statusCode)
  if (before.health.state !== 'unhealthy') {
    const contraryCount = before.contraryCount + 1
    if (contraryCount < thresholds.unhealthyThresholdCount) return { health: before.health, contraryCount, failedCodes }
  }
  return { health: unhealthy(verdict, failedCodes), contraryCount: 0, failedCodes }
}

function withCode(codes: readonly number[], code: number | null): readonly number[] {
  return code === null || codes.includes(code) ? codes : [...codes, code]
}

/**
 * Of a streak that failed in several ways, the latest way is the one shown (assumed, as is what becomes of the two
 * reasons of gRPC).
 */
function unhealthy(verdict: FailVerdict, failedCodes: readonly number[]): CheckedHealth {
  switch (verdict.logReason) {
    case 'ResponseCodeMismatch':
    case 'TargetError':
    case 'GRPCUnexpectedStatus':
      return codeMismatch(failedCodes)
    case 'TimedOut':
      return timedOut
    case 'ConnectionReset':
    case 'GRPCStatusHeaderEmpty':
      return failedChecks
    case 'InternalError':
      return internalError
    default:
      return assertNever(verdict)
  }
}
