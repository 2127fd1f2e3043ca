/** Reporter for `node:test`: one line of JSON per test, for `scripts/test.ts`, which runs every file in its own process. */
import { inspect } from 'node:util'

export type TestLine =
  | { readonly kind: 'pass'; readonly name: string }
  | { readonly kind: 'skip'; readonly name: string; readonly reason: string }
  | { readonly kind: 'fail'; readonly name: string; readonly error: string }
  /** Written last: without it the process ended before its tests did. */
  | { readonly kind: 'end' }

type Event = {
  readonly type: string
  readonly data: {
    readonly name: string
    readonly nesting: number
    readonly skip?: string | boolean
    readonly todo?: string | boolean
    readonly details?: { readonly type?: string; readonly error?: TestError }
  }
}
type TestError = Error & { readonly failureType?: string; readonly cause?: unknown }

export async function* testEvents(events: AsyncIterable<Event>): AsyncGenerator<string> {
  const names: string[] = []
  for await (const { type, data } of events) {
    if (type === 'test:start') names.splice(data.nesting, names.length, data.name)
    if (type === 'test:summary') yield line({ kind: 'end' })
    if (type !== 'test:pass' && type !== 'test:fail') continue
    const outcome = outcomeOf(type, data, [...names.slice(0, data.nesting), data.name].join(' › '))
    if (outcome !== null) yield line(outcome)
  }
}

// A reporter is found by its module's default export; nothing in the project imports this one.
export default testEvents

/** null for what only sums up: a suite that passed, or a parent that failed because of its children. */
function outcomeOf(type: string, { skip, todo, details }: Event['data'], name: string): TestLine | null {
  const isSuite = details?.type === 'suite'
  if (skip !== undefined && skip !== false) return { kind: 'skip', name, reason: reasonOf(skip, 'skipped') }
  if (todo !== undefined && todo !== false) return { kind: 'skip', name, reason: reasonOf(todo, 'to do') }
  if (type === 'test:pass') return isSuite ? null : { kind: 'pass', name }
  const error = details?.error
  if (error?.failureType === 'subtestsFailed') return null
  return { kind: 'fail', name, error: describe(error) }
}

function reasonOf(given: string | true, otherwise: string): string {
  return typeof given === 'string' && given !== '' ? given : `${otherwise}, no reason given`
}

/** The error in full, less the frames inside Node. */
function describe(error: TestError | undefined): string {
  const shown = error?.failureType === 'testTimeoutFailure' ? error.message : (error?.cause ?? error)
  const text = typeof shown === 'string' ? shown : inspect(shown, { depth: 8, breakLength: 110 })
  return text.replace(/\n\s+at [^\n]*\(?node:[^\n]*/g, '')
}

function line(outcome: TestLine): string {
  return `${JSON.stringify(outcome)}\n`
}
