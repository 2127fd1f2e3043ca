/**
 * Attributes by the service's own keys. Those not implemented are accepted with their default only, because then we
 * behave alike; any other value is refused rather than ignored.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupAttribute.html
 */

import { z } from 'zod'
import { mismatch, notYet, shape, show } from './wording.ts'

export const LoadBalancerAttributes = shape({
  'idle_timeout.timeout_seconds': seconds(1, 4000, '60'),
  'client_keep_alive.seconds': seconds(60, 604_800, '3600'),
  'routing.http.preserve_host_header.enabled': flag(),
  'routing.http.xff_header_processing.mode': z
    .enum(['append', 'preserve', 'remove'], mustBeText('append, preserve or remove'))
    .default('append'),
  'routing.http.xff_client_port.enabled': flag(),
  'routing.http.drop_invalid_header_fields.enabled': flag(),
  'access_logs.s3.enabled': only('false'),
  'access_logs.s3.bucket': only(''),
  'access_logs.s3.prefix': only(''),
  'connection_logs.s3.enabled': only('false'),
  'connection_logs.s3.bucket': only(''),
  'connection_logs.s3.prefix': only(''),
  'health_check_logs.s3.enabled': only('false'),
  'health_check_logs.s3.bucket': only(''),
  'health_check_logs.s3.prefix': only(''),
  'deletion_protection.enabled': only('false'),
  'ipv6.deny_all_igw_traffic': only('false'),
  'load_balancing.cross_zone.enabled': only('true'),
  'routing.http.desync_mitigation_mode': only('defensive'),
  'routing.http.x_amzn_tls_version_and_cipher_suite.enabled': only('false'),
  'routing.http2.enabled': only('true'),
  'waf.fail_open.enabled': only('false'),
  'zonal_shift.config.enabled': only('false'),
})

export const TargetGroupAttributes = shape(
  {
    'deregistration_delay.timeout_seconds': seconds(0, 3600, '300'),
    'stickiness.enabled': only('false'),
    'stickiness.type': only('lb_cookie'),
    'stickiness.lb_cookie.duration_seconds': only('86400'),
    'stickiness.app_cookie.cookie_name': only(''),
    'stickiness.app_cookie.duration_seconds': only('86400'),
    'slow_start.duration_seconds': only('0'),
    'load_balancing.algorithm.type': only('round_robin'),
    'load_balancing.algorithm.anomaly_mitigation': only('off'),
    'load_balancing.cross_zone.enabled': only('use_load_balancer_configuration'),
    'target_group_health.dns_failover.minimum_healthy_targets.count': only('1'),
    'target_group_health.dns_failover.minimum_healthy_targets.percentage': only('off'),
    'target_group_health.unhealthy_state_routing.minimum_healthy_targets.count': only('1'),
    'target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage': only('off'),
  },
  notYet('lambda.multi_value_headers.enabled'),
)

function seconds(from: number, to: number, byDefault: string) {
  const wording = mustBeText(`"${from}" to "${to}" seconds`)
  const isInRange = (text: string) => /^(0|[1-9]\d{0,6})$/.test(text) && Number(text) >= from && Number(text) <= to
  return z
    .string(wording)
    .refine(isInRange, wording)
    .default(byDefault)
    .meta({ pattern: '^[0-9]+$', description: `${from} to ${to}` })
}

function flag() {
  return z.enum(['true', 'false'], mustBeText('"true" or "false"')).default('false')
}

/** A bare number or boolean is refused: attribute values are strings, here as in the API. */
function mustBeText(be: string): { error: (issue: z.core.$ZodRawIssue) => string } {
  return { error: issue => unquoted(issue.input) ?? mismatch(be, issue.input) }
}

function only(byDefault: string) {
  const refusal = `is not supported yet; only its default, ${JSON.stringify(byDefault)}, is accepted`
  return z
    .literal(byDefault, { error: issue => unquoted(issue.input) ?? `${show(issue.input)} ${refusal}` })
    .optional()
    .meta({ description: 'Only the default is supported yet.' })
}

function unquoted(input: unknown): string | null {
  if (typeof input !== 'number' && typeof input !== 'boolean') return null
  return `must be a string: put ${input} in quotes, "${input}"`
}
