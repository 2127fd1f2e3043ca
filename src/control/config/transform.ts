/**
 * What a rule may change of a request.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RuleTransform.html
 */

import { z } from 'zod'
import { rewriteProblem } from '../../routing/rewrite.ts'
import { boundedText, listOf } from './values.ts'
import { must, noVariant, shape } from './wording.ts'

const lengthMax = 1024

const Rewrite = shape({
  regex: boundedText(must('a regular expression'), 1, lengthMax),
  replace: boundedText(must('a text, in which $1 and so on stand for groups'), 0, lengthMax),
}).superRefine((rewrite, context) => {
  const problem = rewriteProblem(rewrite)
  if (problem === null) return
  // It begins with the member that it is about.
  const member = problem.slice(0, problem.indexOf(' '))
  context.addIssue({ code: 'custom', path: [member], message: problem.slice(member.length + 1) })
})

/** The API has a list, and says nowhere what a second one would do (assumed: one). */
const Rewrites = shape({
  rewrites: listOf(Rewrite, 'one rewrite')
    .min(1, 'must hold one rewrite, not none')
    .max(1, { error: issue => `must hold one rewrite, not ${(issue.input as unknown[]).length}` }),
})

const types = ['host-header-rewrite', 'url-rewrite']

export const Transform = z.discriminatedUnion(
  'type',
  [
    shape({ type: z.literal('host-header-rewrite'), hostHeaderRewrite: Rewrites }),
    shape({ type: z.literal('url-rewrite'), urlRewrite: Rewrites }),
  ],
  { error: issue => noVariant(issue, 'type', types) },
)
