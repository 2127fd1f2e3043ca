/**
 * What a listener or a rule may do with a request.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Action.html
 */

import { z } from 'zod'
import { stickinessSecondsMax } from '../../model/limits.ts'
import { fixedResponseContentTypes } from '../../model/resources.ts'
import { redirectPartProblem } from './redirect.ts'
import { boundedText, listOf, listOfUpTo, wholeNumber } from './values.ts'
import { choice, must, notYet, noVariant, shape } from './wording.ts'

// --- Forward ---

const targetGroupsPerActionMax = 5
const groupName = z.string(must('the name of a target group'))
const weightMax = 999

const WeightedTargetGroup = shape({
  targetGroup: groupName,
  weight: wholeNumber(0, weightMax)
    .optional()
    .meta({ description: 'Relative to the sum of all; 0 takes a group out of rotation. A single group needs none.' }),
})

const TargetGroupStickiness = shape({
  // The API's may be left out; but whoever gives a duration alone surely means it to be in force.
  enabled: z.boolean(must('true or false')),
  durationSeconds: wholeNumber(1, stickinessSecondsMax).optional(),
}).meta({ description: 'Whether a client stays with the target group that it got first.' })

const ForwardAction = shape(
  {
    type: z.literal('forward'),
    targetGroup: groupName.optional().meta({ description: 'Short for a forward to one target group.' }),
    forward: shape({
      targetGroups: listOfUpTo(targetGroupsPerActionMax, WeightedTargetGroup, 'target groups'),
      targetGroupStickiness: TargetGroupStickiness.optional(),
    }).optional(),
  },
  new Map([
    ['targetGroups', 'belongs in a map under forward'],
    ['targetGroupStickiness', 'belongs in a map under forward'],
    ...notYet('order'),
  ]),
)

// --- Redirect ---

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

// --- Fixed response ---

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
  messageBody: boundedText(must('a text of at most 1024 characters'), 0, 1024).default(''),
  contentType: choice(fixedResponseContentTypes).default('text/plain'),
})

const FixedResponseAction = shape({ type: z.literal('fixed-response'), fixedResponse: FixedResponse }, notYet('order'))

// --- Any of them ---

const types = ['forward', 'redirect', 'fixed-response']
const typesLater = ['authenticate-oidc', 'authenticate-cognito', 'jwt-validation']

const Action = z.discriminatedUnion('type', [ForwardAction, RedirectAction, FixedResponseAction], {
  error: issue => noVariant(issue, 'type', types, typesLater),
})

/** A list because the API's is one: authentication will stand before the routing action. */
export const Actions = listOf(Action, 'one action')
  .min(1, 'must hold one action (forward, redirect or fixed-response), not none')
  .max(1, {
    error: issue => `must hold one action (forward, redirect or fixed-response), not ${(issue.input as []).length}`,
  })
