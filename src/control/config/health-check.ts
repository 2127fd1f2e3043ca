/**
 * The health check of a target group, with the service's ranges and defaults.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
 */

import { z } from 'zod'
import type { CodeRange, HealthCheck as HealthCheckResource, ProtocolVersion } from '../../model/resources.ts'
import { limitedText, port, wholeNumber } from './values.ts'
import { choice, must, shape, show } from './wording.ts'

/** Ours: probes closer than this would measure the checker, not the target. */
export const labSecondsMin = 0.01

export const healthCheckDefaults = { intervalSeconds: 30, timeoutSeconds: 5 }
const healthyThresholdCount = 5
const unhealthyThresholdCount = 2

const defaultsByVersion: Readonly<Record<ProtocolVersion, { readonly path: string; readonly codes: string }>> = {
  HTTP1: { path: '/', codes: '200' },
  HTTP2: { path: '/', codes: '200' },
  GRPC: { path: '/AWS.ALB/healthcheck', codes: '12' },
}

/** What a code of the matcher may be. */
const httpCodes = { from: 200, to: 499 }
const grpcCodes = { from: 0, to: 99 }

/** The lower bounds depend on `lab`, so `check-target-group.ts` has them. */
const intervalWording = must('a whole number from 5 to 300')
const timeoutWording = must('a whole number from 2 to 120')

export const HealthCheck = shape({
  enabled: z
    .literal(true, must('true: only Lambda target groups can do without health checks'))
    .optional()
    .meta({ description: 'Health checks cannot be turned off.' }),
  protocol: choice(['HTTP', 'HTTPS']).default('HTTP').meta({ description: 'Of the probes, whatever the group has.' }),
  port: z
    .union([port, z.literal('traffic-port')], must('a port from 1 to 65535, or traffic-port'))
    .default('traffic-port'),
  path: limitedText(must('a path such as "/health"'), 1, 1024, /[!-~]/, 'visible ASCII characters')
    .regex(/^\//, { error: issue => `must start with "/", not ${show(issue.input)}` })
    // That the service refuses it is assumed.
    .regex(/^[^#]*$/, 'must not hold "#": a fragment is no part of what is asked for (RFC 9112, section 3.2)')
    .optional()
    .meta({ description: '"/" unless given; in GRPC groups a method, and "/AWS.ALB/healthcheck" unless given.' }),
  intervalSeconds: z
    .number(intervalWording)
    .min(labSecondsMin, intervalWording)
    .max(300, intervalWording)
    .default(healthCheckDefaults.intervalSeconds)
    .meta({ description: 'Whole seconds from 5 to 300; shorter ones with lab.healthCheckIntervalSecondsMin.' }),
  timeoutSeconds: z
    .number(timeoutWording)
    .min(labSecondsMin, timeoutWording)
    .max(120, timeoutWording)
    .default(healthCheckDefaults.timeoutSeconds)
    .meta({ description: 'Whole seconds from 2 to 120, smaller than the interval.' }),
  healthyThresholdCount: wholeNumber(2, 10).default(healthyThresholdCount),
  unhealthyThresholdCount: wholeNumber(2, 10).default(unhealthyThresholdCount),
  matcher: shape({
    httpCode: codes('statuses from 200 to 499, such as "200", "200,302" or "200-299"', httpCodes),
    grpcCode: codes('gRPC codes from 0 to 99, such as "12", "0,12" or "0-99"', grpcCodes),
  }).prefault({}),
})

export type HealthCheckOutput = z.output<typeof HealthCheck>

function codes(words: string, { from, to }: CodeRange) {
  const wording = must(words)
  const number = z.int(wording).min(from, wording).max(to, wording)
  const text = z.string(wording).refine(codes => parseCodes(codes, { from, to }) !== null, wording)
  return z.union([number, text], wording).optional()
}

/** `200,202` or `200-299` or both mixed; null when it is not that, or leaves `bounds`. */
export function parseCodes(text: string, bounds: CodeRange): CodeRange[] | null {
  const ranges = text.split(',').map(part => {
    const [, from, to = from] = /^(0|[1-9]\d{0,2})(?:-(0|[1-9]\d{0,2}))?$/.exec(part) ?? []
    return { from: Number(from), to: Number(to) }
  })
  return ranges.every(({ from, to }) => from >= bounds.from && from <= to && to <= bounds.to) ? ranges : null
}

export function buildHealthCheck(from: HealthCheckOutput, version: ProtocolVersion): HealthCheckResource {
  const { enabled: _, matcher, path, ...rest } = from
  const defaults = defaultsByVersion[version]
  const [code, bounds] = version === 'GRPC' ? [matcher.grpcCode, grpcCodes] : [matcher.httpCode, httpCodes]
  return { ...rest, path: path ?? defaults.path, matcher: parseCodes(String(code ?? defaults.codes), bounds)! }
}
