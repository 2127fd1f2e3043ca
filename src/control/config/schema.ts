/**
 * The shape of a config file, and every rule that looks at one value alone. Rules that compare values are in
 * `checks.ts`. The editors' JSON Schema is made from this, so what it can express is written in its terms.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Operations.html
 */

import { isIP } from 'node:net'
import { z } from 'zod'
import { targetSlotsMax } from '../../model/limits.ts'
import { fixedResponseContentTypes } from '../../model/resources.ts'
import { LoadBalancerAttributes, TargetGroupAttributes } from './attributes.ts'
import { redirectPartProblem } from './redirect.ts'
import { choice, choiceMismatch, mismatch, must, notYet, shape, show } from './wording.ts'

export const priorityMax = 50_000
/** Ours: probes closer than this would measure the checker, not the target. */
export const labSecondsMin = 0.01

function wholeNumber(from: number, to: number) {
  const wording = must(`a whole number from ${from} to ${to}`)
  return z.int(wording).min(from, wording).max(to, wording)
}

function listOf<Item extends z.ZodType>(item: Item, of: string) {
  return z.array(item, must(`a list of ${of}`))
}

const port = wholeNumber(1, 65535)

const addressWording = must('an IPv4 or IPv6 address')
const address = z.string(addressWording).refine(isPlainAddress, addressWording)

/** Without an IPv6 zone (`fe80::1%eth0`), which has no place in a log line. */
function isPlainAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes('%')
}

/** A string whose length and characters each have a complaint of their own. */
function limitedText(be: string, from: number, to: number, allowed: RegExp, allowedWords: string) {
  return z
    .string(must(be))
    .min(from, 'must not be empty')
    .max(to, { error: issue => `must be at most ${to} characters, not ${(issue.input as string).length}` })
    .regex(new RegExp(`^(?:${allowed.source})*$`), {
      error: issue => {
        const wrong = [...(issue.input as string)].find(character => !allowed.test(character))
        return `must not hold ${JSON.stringify(wrong)}: allowed are ${allowedWords}`
      },
    })
}

/** Letters, digits, and hyphens but not first or last. */
const namePattern = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?'
const nameWording = '1 to 32 letters, digits and hyphens, with no hyphen first or last'

// --- Conditions ---

const pathPattern = limitedText(
  'a path pattern such as "/api/*"',
  1,
  128,
  /[A-Za-z0-9_.$/~"'@:+&*?-]/,
  'letters, digits, _ - . $ / ~ " \' @ : + & and the wildcards * and ?',
)

const hostPattern = limitedText(
  'a host pattern such as "*.example.com"',
  1,
  128,
  /[A-Za-z0-9.*?-]/,
  'letters, digits, - . and the wildcards * and ?',
).regex(/\.[A-Za-z]+$/, {
  error: issue => mismatch('a host pattern with a dot, and letters only after the last one', issue.input),
})

function conditionOf<Field extends string, Value extends z.ZodType>(field: Field, value: Value) {
  const values = listOf(value, '1 to 3 values')
    .min(1, 'must hold 1 to 3 values, not none')
    .max(3, { error: issue => `must hold 1 to 3 values, not ${(issue.input as unknown[]).length}` })
    .meta({ description: 'Any of them matches; * is any text and ? any one character.' })
  return shape({ field: z.literal(field), values }, notYet('regexValues'))
}

const conditionFields = ['path-pattern', 'host-header'] as const
const conditionFieldsLater = ['http-header', 'http-request-method', 'query-string', 'source-ip']

const Condition = z.discriminatedUnion(
  'field',
  [conditionOf('path-pattern', pathPattern), conditionOf('host-header', hostPattern)],
  { error: issue => noVariant(issue, 'field', conditionFields, conditionFieldsLater) },
)

// --- Actions ---

const ForwardAction = shape(
  { type: z.literal('forward'), targetGroup: z.string(must('the name of a target group')) },
  notYet('targetGroups', 'targetGroupStickiness', 'forward', 'order'),
)

function redirectText(part: 'host' | 'path' | 'query', be: string, from: number) {
  return z.string(must(be)).superRefine((text, context) => {
    const problem = redirectPartProblem(part, text, from)
    if (problem !== null) context.addIssue(problem)
  })
}

const redirectPortWording = must('a port from 1 to 65535, or "#{port}"')
const Redirect = shape({
  protocol: choice(['HTTP', 'HTTPS', '#{protocol}']).default('#{protocol}'),
  host: redirectText('host', 'a host name, which may hold #{host}', 1).default('#{host}'),
  port: z
    .union(
      [
        z.int(redirectPortWording).min(1, redirectPortWording).max(65535, redirectPortWording),
        z.string(redirectPortWording).refine(isRedirectPort, redirectPortWording),
      ],
      redirectPortWording,
    )
    .default('#{port}'),
  path: redirectText('path', 'a path such as "/new/#{path}"', 1).default('/#{path}'),
  query: redirectText('query', 'a query without its "?"', 0).default('#{query}'),
  statusCode: choice(['HTTP_301', 'HTTP_302']),
}).meta({ description: 'What is left out stays as the client asked. Quote values that hold #{…}.' })

function isRedirectPort(text: string): boolean {
  return text === '#{port}' || (/^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65535)
}

const RedirectAction = shape({ type: z.literal('redirect'), redirect: Redirect }, notYet('order'))

const fixedStatusWording = must('a status from 200 to 299 or 400 to 599')
const FixedResponse = shape({
  statusCode: z.union(
    [
      z
        .int(fixedStatusWording)
        .min(200, fixedStatusWording)
        .max(599, fixedStatusWording)
        .refine(status => status < 300 || status >= 400, fixedStatusWording),
      z.string(fixedStatusWording).regex(/^[245]\d\d$/, fixedStatusWording),
    ],
    fixedStatusWording,
  ),
  messageBody: z
    .string(must('a text of at most 1024 characters'))
    .max(1024, { error: issue => `must be at most 1024 characters, not ${(issue.input as string).length}` })
    .default(''),
  contentType: choice(fixedResponseContentTypes).default('text/plain'),
})

const FixedResponseAction = shape({ type: z.literal('fixed-response'), fixedResponse: FixedResponse }, notYet('order'))

const actionTypes = ['forward', 'redirect', 'fixed-response'] as const
const actionTypesLater = ['authenticate-oidc', 'authenticate-cognito', 'jwt-validation']

const Action = z.discriminatedUnion('type', [ForwardAction, RedirectAction, FixedResponseAction], {
  error: issue => noVariant(issue, 'type', actionTypes, actionTypesLater),
})

/** A list because the API's is one: authentication will stand before the routing action. */
const Actions = listOf(Action, 'one action')
  .min(1, 'must hold one action (forward, redirect or fixed-response), not none')
  .max(1, {
    error: issue => `must hold one action (forward, redirect or fixed-response), not ${(issue.input as []).length}`,
  })

function noVariant(issue: z.core.$ZodRawIssue, key: string, options: readonly string[], later: string[]): string {
  if (issue.code !== 'invalid_union') return mismatch(`a map with ${key} ${options.join(', ')}`, issue.input)
  return choiceMismatch(options, later, (issue.input as Record<string, unknown>)[key])
}

// --- Load balancers ---

const Rule = shape(
  {
    priority: wholeNumber(1, priorityMax).meta({ description: 'The lowest that matches wins.' }),
    conditions: listOf(Condition, 'conditions').min(1, 'must hold at least one condition'),
    actions: Actions,
  },
  notYet('transforms', 'tags'),
)

const Listener = shape(
  {
    protocol: choice(['HTTP'], ['HTTPS']),
    port,
    defaultActions: Actions,
    rules: listOf(Rule, 'rules').default([]),
  },
  notYet('sslPolicy', 'certificates', 'mutualAuthentication', 'attributes', 'tags'),
)

const loadBalancerNameWording = must(`${nameWording}, and not start with internal-`)
const LoadBalancer = shape(
  {
    name: z.string(loadBalancerNameWording).regex(new RegExp(`^(?!internal-)${namePattern}$`), loadBalancerNameWording),
    bind: z
      .union([address, listOf(address, 'addresses').min(1, 'must hold at least one address')], addressWording)
      .default('0.0.0.0')
      .meta({ description: 'Addresses of this machine that the listeners bind.' }),
    attributes: LoadBalancerAttributes.prefault({}),
    listeners: listOf(Listener, 'listeners').default([]),
  },
  new Map([
    ...notYet('scheme', 'type', 'ipAddressType', 'subnets', 'subnetMappings', 'securityGroups', 'tags', 'zones'),
    ['dnsName', 'follows from the name and cannot be set'],
  ]),
)

// --- Target groups ---

/** The lower bounds depend on `lab`, so `check-target-group.ts` has them. */
const intervalWording = must('a whole number from 5 to 300')
const timeoutWording = must('a whole number from 2 to 120')

export const healthCheckDefaults = { intervalSeconds: 30, timeoutSeconds: 5 }

const matcherWording = must('statuses from 200 to 499, such as "200", "200,302" or "200-299"')
const HealthCheck = shape(
  {
    protocol: choice(['HTTP'], ['HTTPS']).default('HTTP'),
    port: z
      .union([port, z.literal('traffic-port')], must('a port from 1 to 65535, or traffic-port'))
      .default('traffic-port'),
    path: limitedText('a path such as "/health"', 1, 1024, /[!-~]/, 'visible ASCII characters')
      .regex(/^\//, { error: issue => `must start with "/", not ${show(issue.input)}` })
      .default('/'),
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
    healthyThresholdCount: wholeNumber(2, 10).default(5),
    unhealthyThresholdCount: wholeNumber(2, 10).default(2),
    matcher: shape(
      {
        httpCode: z
          .union(
            [
              z.int(matcherWording).min(200, matcherWording).max(499, matcherWording),
              z.string(matcherWording).refine(text => parseStatusRanges(text) !== null, matcherWording),
            ],
            matcherWording,
          )
          .default('200'),
      },
      notYet('grpcCode'),
    ).prefault({}),
  },
  notYet('enabled'),
)

/** `200,202` or `200-299` or both mixed; null when it is not that, or leaves 200-499. */
export function parseStatusRanges(text: string): { from: number; to: number }[] | null {
  const ranges = text.split(',').map(part => {
    const [, from, to = from] = /^(\d{3})(?:-(\d{3}))?$/.exec(part) ?? []
    return { from: Number(from), to: Number(to) }
  })
  return ranges.every(({ from, to }) => from >= 200 && from <= to && to <= 499) ? ranges : null
}

const Target = shape(
  {
    // Any address will do, loopback and public ones too, where the service wants one of the VPC or a private range.
    id: address.meta({ description: 'IPv4 or IPv6 address' }),
    port: port.optional().meta({ description: "The target group's port unless given." }),
  },
  notYet('availabilityZone'),
)

const TargetGroup = shape(
  {
    name: z.string(must(nameWording)).regex(new RegExp(`^${namePattern}$`), must(nameWording)),
    targetType: choice(['ip'], ['instance', 'lambda', 'alb']).default('ip'),
    protocol: choice(['HTTP'], ['HTTPS']),
    protocolVersion: choice(['HTTP1'], ['HTTP2', 'GRPC']).default('HTTP1'),
    port,
    healthCheck: HealthCheck.prefault({}),
    attributes: TargetGroupAttributes.prefault({}),
    targets: listOf(Target, 'targets').default([]),
  },
  notYet('ipAddressType', 'targetControlPort', 'tags', 'vpcId'),
)

// --- The file ---

const fixedByService = 'is fixed by the service and cannot be adjusted'

/** The service's defaults. The upper bounds below are ours, and generous. */
export const quotaDefaults = {
  rulesPerLoadBalancer: 100,
  listenersPerLoadBalancer: 50,
  targetsPerLoadBalancer: 1000,
  targetsPerTargetGroup: 1000,
}
export const targetGroupsPerLoadBalancerMax = 100

const Quotas = shape(
  {
    rulesPerLoadBalancer: wholeNumber(1, priorityMax).default(quotaDefaults.rulesPerLoadBalancer),
    listenersPerLoadBalancer: wholeNumber(1, 1000).default(quotaDefaults.listenersPerLoadBalancer),
    targetsPerLoadBalancer: wholeNumber(1, targetSlotsMax).default(quotaDefaults.targetsPerLoadBalancer),
    targetsPerTargetGroup: wholeNumber(1, targetSlotsMax).default(quotaDefaults.targetsPerTargetGroup),
  },
  new Map([
    ['targetGroupsPerLoadBalancer', `${fixedByService}: ${targetGroupsPerLoadBalancerMax}`],
    ['targetGroupsPerAction', `${fixedByService}: 5`],
    ['loadBalancersPerTargetGroup', `${fixedByService}: 1`],
    ['conditionValuesPerRule', `${fixedByService}: 5`],
    ['wildcardsPerRule', `${fixedByService}: 6`],
    ...notYet('loadBalancers', 'targetGroups', 'certificatesPerLoadBalancer'),
  ]),
)

const labWording = must(`seconds from ${labSecondsMin} to 5`)
const Lab = shape({
  healthCheckIntervalSecondsMin: z
    .number(labWording)
    .min(labSecondsMin, labWording)
    .max(5, labWording)
    .optional()
    .meta({ description: 'Health check intervals may go down to this, and timeouts below theirs; fractions too.' }),
}).meta({ description: 'For tests only: what the real service would refuse.' })

export const ConfigFile = shape(
  {
    /** For editors that find the JSON Schema of a JSON file this way. */
    $schema: z.string(must('the address of a JSON Schema')).optional(),
    loadBalancers: listOf(LoadBalancer, 'load balancers').default([]),
    targetGroups: listOf(TargetGroup, 'target groups').default([]),
    quotas: Quotas.prefault({}),
    lab: Lab.prefault({}),
  },
  notYet('trustStores'),
)

/** What a file may say. */
export type ConfigInput = z.input<typeof ConfigFile>
/** The same with every default filled in. */
export type ConfigOutput = z.output<typeof ConfigFile>
export type LoadBalancerOutput = ConfigOutput['loadBalancers'][number]
export type ListenerOutput = LoadBalancerOutput['listeners'][number]
export type RuleOutput = ListenerOutput['rules'][number]
export type ActionOutput = ListenerOutput['defaultActions'][number]
export type TargetGroupOutput = ConfigOutput['targetGroups'][number]
