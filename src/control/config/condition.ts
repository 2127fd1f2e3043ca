/**
 * What a rule's condition may say. Which of them go together in a rule is in `check-rule.ts`.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RuleCondition.html
 */

import { z } from 'zod'
import { regexProblem } from '../../routing/regex.ts'
import { cidrProblem } from './cidr.ts'
import { boundedText, limitedText, listOf, listOfUpTo, tokenCharacter, tokenWords } from './values.ts'
import { mismatch, must, noVariant, shape } from './wording.ts'

/** In a condition; those on source-ip have the limit of the whole rule only. */
const valuesMax = 3
const lengthMax = 128
/** Of a header's name, and of a method. */
const nameLengthMax = 40

const pathPattern = limitedText(
  must('a path pattern such as "/api/*"'),
  1,
  lengthMax,
  /[A-Za-z0-9_.$/~"'@:+&*?-]/,
  'letters, digits, _ - . $ / ~ " \' @ : + & and the wildcards * and ?',
)

const hostPattern = limitedText(
  must('a host pattern such as "*.example.com"'),
  1,
  lengthMax,
  /[A-Za-z0-9.*?-]/,
  'letters, digits, - . and the wildcards * and ?',
).regex(/\.[A-Za-z]+$/, {
  error: issue => mismatch('a host pattern with a dot, and letters only after the last one', issue.input),
})

/** Rules look at nothing else. That a blank counts is assumed. */
function visibleText(be: string) {
  return limitedText(must(be), 1, lengthMax, /[ -~]/, 'visible ASCII characters and blanks')
}

const regex = boundedText(must('a regular expression'), 1, lengthMax).superRefine(addProblemOf(regexProblem))

/** Either of the two; `check-rule.ts` sees to it. */
function textValues<Value extends z.ZodType>(value: Value) {
  return {
    values: listOfUpTo(valuesMax, value, 'values')
      .optional()
      .meta({ description: 'Any of them matches; * is any text and ? any one character.' }),
    regexValues: listOfUpTo(valuesMax, regex, 'regular expressions')
      .optional()
      .meta({ description: 'In place of values. Any of them matches, anywhere in the text unless anchored.' }),
  }
}

const headerName = limitedText(
  must('the name of a header, such as "User-Agent"'),
  1,
  nameLengthMax,
  tokenCharacter,
  tokenWords,
).refine(name => name.toLowerCase() !== 'host', 'must not be the Host header, which host-header conditions look at')

const method = limitedText(
  must('a method such as "GET"'),
  1,
  nameLengthMax,
  /[A-Z_-]/,
  'capital letters, - and _, and no wildcards',
)

/** An empty key or value is refused (assumed): what it would match is not published. */
const queryText = visibleText('a text').refine(hasNoLooseBackslash, 'must not end in a backslash that escapes nothing')

function hasNoLooseBackslash(text: string): boolean {
  return !text.replaceAll(/\\./g, '').endsWith('\\')
}

const QueryStringValue = shape({
  key: queryText.optional().meta({ description: 'Any key unless given.' }),
  value: queryText,
}).meta({ description: '* is any text and ? any one character, unless a backslash stands before them.' })

const cidr = z.string(must('a CIDR block such as "10.0.0.0/8"')).superRefine(addProblemOf(cidrProblem))

function addProblemOf(problemOf: (text: string) => string | null) {
  return (text: string, context: z.RefinementCtx) => {
    const problem = problemOf(text)
    if (problem !== null) context.addIssue(problem)
  }
}

const fields = ['path-pattern', 'host-header', 'http-header', 'http-request-method', 'query-string', 'source-ip']

export const Condition = z.discriminatedUnion(
  'field',
  [
    shape({ field: z.literal('path-pattern'), ...textValues(pathPattern) }),
    shape({ field: z.literal('host-header'), ...textValues(hostPattern) }),
    shape({
      field: z.literal('http-header'),
      httpHeaderName: headerName,
      ...textValues(visibleText('a pattern such as "*Chrome*"')),
    }),
    shape({ field: z.literal('http-request-method'), values: listOfUpTo(valuesMax, method, 'methods') }),
    shape({ field: z.literal('query-string'), values: listOfUpTo(valuesMax, QueryStringValue, 'values') }),
    shape({
      field: z.literal('source-ip'),
      values: listOf(cidr, 'CIDR blocks').min(1, 'must hold at least one CIDR block'),
    }),
  ],
  { error: issue => noVariant(issue, 'field', fields) },
)
