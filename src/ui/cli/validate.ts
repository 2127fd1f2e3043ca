/** `openalb validate`: says whether a configuration would be accepted, and shows each problem in its line. */

import type { Resources } from '../../model/resources.ts'

type Problem = {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly path: string
  readonly message: string
  readonly sourceLine: string | null
}

/** What this command needs of the control room, which `ui` does not import. */
export type ConfigReader = {
  readonly loadConfig: (
    files: readonly string[],
  ) => Promise<
    | { readonly ok: true; readonly config: { readonly resources: Resources; readonly warnings: readonly Problem[] } }
    | { readonly ok: false; readonly problems: readonly Problem[] }
  >
  readonly formatProblem: (problem: Problem) => string
}

export type ValidateOptions = {
  readonly json: boolean
  readonly print?: (text: string) => void
}

/** @returns the exit code: 0 when valid, 2 when not */
export async function runValidate(
  files: readonly string[],
  { json, print = text => console.log(text) }: ValidateOptions,
  { loadConfig, formatProblem }: ConfigReader,
): Promise<number> {
  const result = await loadConfig(files)
  const problems = result.ok ? [] : result.problems
  const warnings = result.ok ? result.config.warnings : []
  if (json) {
    print(JSON.stringify({ valid: result.ok, problems: problems.map(bare), warnings: warnings.map(bare) }, null, 2))
    return result.ok ? 0 : 2
  }
  for (const problem of problems) print(`${formatProblem(problem)}${excerpt(problem)}`)
  for (const { message, ...at } of warnings) {
    print(`${formatProblem({ ...at, message: `warning: ${message}` })}${excerpt({ ...at, message })}`)
  }
  const names = files.map(file => (file === '-' ? '<stdin>' : file)).join(', ')
  print(result.ok ? `${names}: valid. ${summary(result.config.resources)}` : `${names}: ${count(problems, 'problem')}.`)
  return result.ok ? 0 : 2
}

function bare({ file, line, column, path, message }: Problem): Omit<Problem, 'sourceLine'> {
  return { file, line, column, path, message }
}

function summary({ loadBalancers, targetGroups }: Resources): string {
  const listeners = loadBalancers.flatMap(loadBalancer => loadBalancer.listeners)
  return [
    count(loadBalancers, 'load balancer'),
    count(listeners, 'listener'),
    count(
      listeners.flatMap(listener => listener.rules),
      'rule',
    ),
    count(targetGroups, 'target group'),
    count(
      targetGroups.flatMap(group => group.targets),
      'target',
    ),
  ].join(', ')
}

function count({ length }: readonly unknown[], noun: string): string {
  return `${length} ${noun}${length === 1 ? '' : 's'}`
}

const excerptColumns = 100

/** The source line with a caret under the place; of a very long line, the part around it. */
function excerpt({ line, column, sourceLine }: Problem): string {
  if (sourceLine === null) return ''
  const from = sourceLine.length > excerptColumns ? Math.max(0, column - excerptColumns / 2) : 0
  const shown = sourceLine.slice(from, from + excerptColumns)
  // Tabs stay tabs, so that the caret lands where the terminal puts the character above it.
  const indent = sourceLine.slice(from, column - 1).replaceAll(/[^\t]/g, ' ')
  const gutter = String(line)
  return `\n  ${gutter} | ${shown}\n  ${' '.repeat(gutter.length)} | ${indent}^`
}
