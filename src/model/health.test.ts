import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as health from './health.ts'

test('every state and reason has the words of the service', () => {
  const { codeMismatch, healthy, meetsThreshold, ...constants } = health
  assert.deepEqual(healthy, { state: 'healthy' })
  const rows = [...Object.values(constants), codeMismatch([404, 502])].map(
    ({ state, reason, description }) => `${state} ${reason}: ${description}`,
  )
  assert.deepEqual(rows.sort(), [
    'draining Target.DeregistrationInProgress: Target deregistration is in progress',
    'initial Elb.InitialHealthChecking: Initial health checks in progress',
    'initial Elb.RegistrationInProgress: Target registration is in progress',
    'no_override AdministrativeOverride.NoOverride: No override is currently active on target',
    'unhealthy Elb.InternalError: Health checks failed due to an internal error',
    'unhealthy Target.FailedHealthChecks: Health checks failed',
    'unhealthy Target.ResponseCodeMismatch: Health checks failed with these codes: [404, 502]',
    'unhealthy Target.Timeout: Request timed out',
    'unused Target.NotInUse: Target group is not configured to receive traffic from the load balancer',
    'unused Target.NotInUse: Target is in an Availability Zone that is not enabled for the load balancer',
    'unused Target.NotRegistered: Target is not registered to the target group',
    'zonal_shift_active AdministrativeOverride.ZonalShiftActive: Zonal shift is active in target Availability Zone',
  ])
})
