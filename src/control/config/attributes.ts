/**
 * Attributes by the service's own keys. Those not implemented are accepted with their default only, because then we
 * behave alike; any other value is refused rather than ignored.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ListenerAttribute.html
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupAttribute.html
 */

import { z } from 'zod'
import { Field, fieldOf } from '../../http/h1.ts'
import { requestHeaderNameCharactersMax, stickinessSecondsMax, targetSlotsMax } from '../../model/limits.ts'
import {
  defaultRequestHeaderNames,
  desyncMitigationModes,
  loadBalancingAlgorithms,
  type RequestHeaderNames,
} from '../../model/resources.ts'
import { limitedText, tokenCharacter, tokenWords } from './values.ts'
import { mismatch, notYet, orList, shape, show } from './wording.ts'

export const LoadBalancerAttributes = shape({
  'idle_timeout.timeout_seconds': seconds(1, 4000, '60'),
  'client_keep_alive.seconds': seconds(60, 604_800, '3600'),
  'routing.http.preserve_host_header.enabled': flag('false'),
  'routing.http.xff_header_processing.mode': option(['append', 'preserve', 'remove'], 'append'),
  'routing.http.xff_client_port.enabled': flag('false'),
  'routing.http.drop_invalid_header_fields.enabled': flag('false'),
  'routing.http.x_amzn_tls_version_and_cipher_suite.enabled': flag('false'),
  'routing.http.desync_mitigation_mode': option(desyncMitigationModes, 'defensive'),
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
  'load_balancing.cross_zone.enabled': z.enum(['true'], mustBeText('"true": it is always on')).default('true'),
  'routing.http2.enabled': flag('true'),
  'waf.fail_open.enabled': only('false'),
  'zonal_shift.config.enabled': flag('false'),
})

/** Of `routing.http.response.<header>.header_value`, in the service's order. */
export const responseHeaders = [
  'strict_transport_security',
  'access_control_allow_origin',
  'access_control_allow_methods',
  'access_control_allow_headers',
  'access_control_allow_credentials',
  'access_control_expose_headers',
  'access_control_max_age',
  'content_security_policy',
  'x_content_type_options',
  'x_frame_options',
] as const

/** Of `routing.http.request.<header>.header_name`, in the service's order, and what is named by it. */
export const requestHeaders = {
  mtlsSerialNumber: 'x_amzn_mtls_clientcert_serial_number',
  mtlsIssuer: 'x_amzn_mtls_clientcert_issuer',
  mtlsSubject: 'x_amzn_mtls_clientcert_subject',
  mtlsValidity: 'x_amzn_mtls_clientcert_validity',
  mtlsLeaf: 'x_amzn_mtls_clientcert_leaf',
  mtlsChain: 'x_amzn_mtls_clientcert',
  tlsVersion: 'x_amzn_tls_version',
  tlsCipherSuite: 'x_amzn_tls_cipher_suite',
} as const satisfies Record<keyof RequestHeaderNames, string>

type HeaderNameKey = `routing.http.request.${(typeof requestHeaders)[keyof typeof requestHeaders]}.header_name`

type HeaderValueKey = `routing.http.response.${(typeof responseHeaders)[number]}.header_value`

/** Empty: no such header is set. The service checks no more than the characters: a value may make no sense. */
const headerValue = limitedText(
  mustBeText('the value of a header, or "" for none'),
  0,
  1024,
  /[A-Za-z0-9_ :;.,\\/'?!(){}[\]@<>=+*#&`|~^%-]/,
  "letters, digits, blanks and _ : ; . , \\ / ' ? ! ( ) { } [ ] @ < > = - + * # & ` | ~ ^ %",
).default('')

function headerName(byDefault: string) {
  const wording = mustBeText('the name of a header')
  return limitedText(wording, 1, requestHeaderNameCharactersMax, tokenCharacter, tokenWords)
    .refine(isFreeName, { error: issue => `must not be ${show(issue.input)}, which means something else to targets` })
    .default(byDefault)
}

/** That is neither acted on nor sent by the load balancer. */
function isFreeName(name: string): boolean {
  return fieldOf(Buffer.from(name), 0, name.length) === Field.other
}

export const ListenerAttributes = shape({
  'routing.http.response.server.enabled': flag('true'),
  ...(Object.fromEntries(
    responseHeaders.map(header => [`routing.http.response.${header}.header_value`, headerValue]),
  ) as Record<HeaderValueKey, typeof headerValue>),
  ...(Object.fromEntries(
    Object.entries(requestHeaders).map(([member, header]) => [
      `routing.http.request.${header}.header_name`,
      headerName(defaultRequestHeaderNames[member as keyof RequestHeaderNames]),
    ]),
  ) as Record<HeaderNameKey, ReturnType<typeof headerName>>),
})

/** Of healthy targets, the highest ones; a quota may lower that of the count. */
export const minimumsMax = { count: targetSlotsMax, percentage: 100 } as const

export const TargetGroupAttributes = shape(
  {
    'deregistration_delay.timeout_seconds': seconds(0, 3600, '300'),
    'stickiness.enabled': flag('false'),
    'stickiness.type': option(['lb_cookie', 'app_cookie'], 'lb_cookie'),
    'stickiness.lb_cookie.duration_seconds': seconds(1, stickinessSecondsMax, '86400'),
    'stickiness.app_cookie.cookie_name': limitedText(
      mustBeText('the name of a cookie'),
      0,
      1024,
      tokenCharacter,
      tokenWords,
    )
      .refine(isNoCookieOfOurs, "must not start with AWSALB: such cookies are the load balancer's own")
      .default(''),
    'stickiness.app_cookie.duration_seconds': seconds(1, stickinessSecondsMax, '86400'),
    'slow_start.duration_seconds': seconds(30, 900, '0'),
    'load_balancing.algorithm.type': option(loadBalancingAlgorithms, 'round_robin'),
    'load_balancing.algorithm.anomaly_mitigation': option(['on', 'off'], 'off'),
    'load_balancing.cross_zone.enabled': option(
      ['true', 'false', 'use_load_balancer_configuration'],
      'use_load_balancer_configuration',
    ),
    'target_group_health.dns_failover.minimum_healthy_targets.count': minimum(minimumsMax.count, true, '1'),
    'target_group_health.dns_failover.minimum_healthy_targets.percentage': minimum(minimumsMax.percentage, true, 'off'),
    'target_group_health.unhealthy_state_routing.minimum_healthy_targets.count': minimum(minimumsMax.count, false, '1'),
    'target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage': minimum(
      minimumsMax.percentage,
      true,
      'off',
    ),
  },
  notYet('lambda.multi_value_headers.enabled'),
)

/** The service refuses AWSALBAPP and AWSALBTG by name as well. */
function isNoCookieOfOurs(name: string): boolean {
  return !name.startsWith('AWSALB')
}

/** @param byDefault may lie below the range, and then means "off" */
function seconds(from: number, to: number, byDefault: string) {
  const off = Number(byDefault) < from ? byDefault : null
  const wording = mustBeText(`"${from}" to "${to}" seconds${off === null ? '' : `, or "${off}" for none`}`)
  const isInRange = (text: string) =>
    text === off || (/^(0|[1-9]\d{0,6})$/.test(text) && Number(text) >= from && Number(text) <= to)
  return z
    .string(wording)
    .refine(isInRange, wording)
    .default(byDefault)
    .meta({ pattern: '^[0-9]+$', description: `${from} to ${to}${off === null ? '' : `, or ${off} for none`}` })
}

export function isMinimum(text: string, to: number): boolean {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= to
}

function minimum(to: number, canBeOff: boolean, byDefault: string) {
  const wording = mustBeText(`"1" to "${to}"${canBeOff ? ', or "off"' : ''}`)
  const isInRange = (text: string) => (canBeOff && text === 'off') || isMinimum(text, to)
  return z
    .string(wording)
    .refine(isInRange, wording)
    .default(byDefault)
    .meta({ pattern: canBeOff ? '^([0-9]+|off)$' : '^[0-9]+$', description: `1 to ${to}${canBeOff ? ', or off' : ''}` })
}

function flag(byDefault: 'true' | 'false') {
  return z.enum(['true', 'false'], mustBeText('"true" or "false"')).default(byDefault)
}

function option<const Options extends readonly [string, ...string[]]>(options: Options, byDefault: Options[number]) {
  return z.enum(options, mustBeText(orList(options))).default(byDefault as never)
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
