/**
 * States of a target and why, in the service's words.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
 */

import type { HealthThreshold } from './resources.ts'

export type TargetHealth =
  | { readonly state: 'healthy' }
  | { readonly state: 'initial'; readonly reason: 'Elb.RegistrationInProgress' | 'Elb.InitialHealthChecking' }
  | { readonly state: 'unhealthy'; readonly reason: UnhealthyReason; readonly description: string }
  | { readonly state: 'unused'; readonly reason: 'Target.NotRegistered' | 'Target.NotInUse' }
  | { readonly state: 'draining'; readonly reason: 'Target.DeregistrationInProgress' }

export type UnhealthyReason =
  | 'Target.ResponseCodeMismatch'
  | 'Target.Timeout'
  | 'Target.FailedHealthChecks'
  | 'Elb.InternalError'

const descriptions = {
  'Elb.RegistrationInProgress': 'Target registration is in progress',
  'Elb.InitialHealthChecking': 'Initial health checks in progress',
  'Elb.InternalError': 'Health checks failed due to an internal error',
  'Target.Timeout': 'Request timed out',
  'Target.FailedHealthChecks': 'Health checks failed',
  'Target.NotRegistered': 'Target is not registered to the target group',
  'Target.NotInUse': 'Target group is not configured to receive traffic from the load balancer',
  'Target.DeregistrationInProgress': 'Target deregistration is in progress',
} as const

/** The service's sentence for a reason code. `Target.ResponseCodeMismatch` has one of its own, with the codes. */
export function describeReason(reason: keyof typeof descriptions): string {
  return descriptions[reason]
}

/** The other sentence for `Target.NotInUse`. */
export const describeZoneNotEnabled = 'Target is in an Availability Zone that is not enabled for the load balancer'

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

/** @param codes the distinct status codes seen, in the order they came */
export function describeCodeMismatch(codes: readonly number[]): string {
  return `Health checks failed with these codes: [${codes.join(', ')}]`
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
