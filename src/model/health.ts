/**
 * States of a target and why, in the service's words: those that ip targets come to have here. `docs/parity.md` has
 * the others, and why nothing is ever in them.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetHealth.html
 */

import type { HealthThreshold } from './resources.ts'

export type TargetHealth =
  | { readonly state: 'healthy' } // no reason: nothing to explain
  | Explained<'initial', 'Elb.RegistrationInProgress' | 'Elb.InitialHealthChecking'>
  | Explained<'unhealthy', UnhealthyReason>
  | Explained<'unused', 'Target.NotRegistered' | 'Target.NotInUse'>
  | Explained<'draining', 'Target.DeregistrationInProgress'>

type Explained<State, Reason> = {
  readonly state: State
  readonly reason: Reason
  readonly description: string
}

export type UnhealthyReason =
  | 'Target.ResponseCodeMismatch'
  | 'Target.Timeout'
  | 'Target.FailedHealthChecks'
  | 'Elb.InternalError'

/** Of a target that nobody checks. */
export type RestingHealth = Extract<TargetHealth, { readonly state: 'unused' | 'draining' }>

function explained<const State, const Reason>(state: State, reason: Reason, description: string) {
  return { state, reason, description } as const
}

export const healthy = { state: 'healthy' } as const

export const registering = explained('initial', 'Elb.RegistrationInProgress', 'Target registration is in progress')
export const initialChecking = explained('initial', 'Elb.InitialHealthChecking', 'Initial health checks in progress')

export const timedOut = explained('unhealthy', 'Target.Timeout', 'Request timed out')
export const failedChecks = explained('unhealthy', 'Target.FailedHealthChecks', 'Health checks failed')
export const internalError = explained(
  'unhealthy',
  'Elb.InternalError',
  'Health checks failed due to an internal error',
)

/** @param codes the distinct codes seen, in the order they came (what stands between them is assumed) */
export function codeMismatch(codes: readonly number[]): TargetHealth & { state: 'unhealthy' } {
  const description = `Health checks failed with these codes: [${codes.join(', ')}]`
  return explained('unhealthy', 'Target.ResponseCodeMismatch', description)
}

export const notRegistered = explained('unused', 'Target.NotRegistered', 'Target is not registered to the target group')
export const groupNotInUse = explained(
  'unused',
  'Target.NotInUse',
  'Target group is not configured to receive traffic from the load balancer',
)
export const zoneNotEnabled = explained(
  'unused',
  'Target.NotInUse',
  'Target is in an Availability Zone that is not enabled for the load balancer',
)

export const deregistering = explained(
  'draining',
  'Target.DeregistrationInProgress',
  'Target deregistration is in progress',
)

/**
 * Whether a target is left out whatever its health, in the service's words.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/zonal-shift.html#admin-override
 */
export type AdministrativeOverride = {
  readonly state: 'no_override' | 'zonal_shift_active'
  readonly reason: 'AdministrativeOverride.NoOverride' | 'AdministrativeOverride.ZonalShiftActive'
  readonly description: string
}

export const noOverride: AdministrativeOverride = {
  state: 'no_override',
  reason: 'AdministrativeOverride.NoOverride',
  description: 'No override is currently active on target',
}

export const zonalShiftActive: AdministrativeOverride = {
  state: 'zonal_shift_active',
  reason: 'AdministrativeOverride.ZonalShiftActive',
  description: 'Zonal shift is active in target Availability Zone',
}

/**
 * Whether enough targets are healthy. Of no targets at all, no percentage is (assumed).
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health.html
 */
export function meetsThreshold({ count, percentage }: HealthThreshold, healthy: number, total: number): boolean {
  if (count !== null && healthy < count) return false
  return percentage === null || (total > 0 && healthy * 100 >= percentage * total)
}
