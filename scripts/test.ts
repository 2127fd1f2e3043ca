/**
 * `npm test [part of a path …]`: the linter, the type checker and every test file, each file in a process of its own.
 */
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { styleText } from 'node:util'
import { installDebianPackages } from './debian-packages.ts'
import { killAll, type Outcome, runFile, runProcess } from './test-file.ts'

const limits = { testMs: 30_000, fileMs: 180_000 } // A file holds many tests; its limit only ends one that hangs.
const checkLimitMs = 120_000
const root = join(import.meta.dirname, '..')
const bin = join(root, 'node_modules', '.bin')

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    killAll()
    process.exit(signal === 'SIGINT' ? 130 : 143)
  })
}
process.exitCode = await main(process.argv.slice(2))

async function main(filters: readonly string[]): Promise<number> {
  const option = filters.find(filter => filter.startsWith('-'))
  if (option !== undefined) {
    console.error(`unknown option ${option}; usage: npm test [part of a path …]`)
    return 2
  }
  const installed = await installDebianPackages()
  if (installed !== null) console.log(installed)

  const checks = await Promise.all([
    check('biome check', ['biome', 'check', '--colors=off', '.']),
    check('tsc', ['tsc', '--pretty', 'false', '-p', '.']),
  ])
  const tests = await runFiles(testFiles(filters))
  return report([...checks, ...tests])
}

function testFiles(filters: readonly string[]): readonly string[] {
  const all = globSync(['src/**/*.test.ts', 'test/**/*.test.ts'], { cwd: root }).sort()
  return filters.length === 0 ? all : all.filter(file => filters.some(filter => file.includes(filter)))
}

/** The linter and the type checker count only when they fail: they are no tests. */
async function check(name: string, [tool = '', ...args]: readonly string[]): Promise<Outcome> {
  const { code, output, isTimedOut } = await runProcess(root, join(bin, tool), args, checkLimitMs)
  const text = isTimedOut ? `still running after ${checkLimitMs / 1000} s` : `ended with exit code ${code}`
  const outcome = { name, passed: 0, failures: code === 0 ? [] : [{ name, text }], skips: [], output }
  printLine(outcome)
  return outcome
}

/** As many at a time as there are cores. */
async function runFiles(files: readonly string[]): Promise<readonly Outcome[]> {
  const waiting = [...files]
  const outcomes: Outcome[] = []
  const work = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const outcome = await runFile(root, file, limits)
      printLine(outcome)
      outcomes.push(outcome)
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, work))
  return outcomes
}

function printLine({ name, passed, failures, skips }: Outcome): void {
  const counts = [count(passed, 'passed'), count(failures.length, 'failed'), count(skips.length, 'skipped')]
  const mark = failures.length === 0 ? styleText('green', '✔') : styleText('red', '✖')
  console.log(`${mark} ${name}  ${styleText('gray', counts.filter(text => text !== '').join(', '))}`)
}

function count(number: number, word: string): string {
  return number === 0 ? '' : `${number} ${word}`
}

/** @returns the exit code */
function report(outcomes: readonly Outcome[]): number {
  for (const { name, failures, output } of outcomes) {
    for (const failure of failures) console.log(`\n${styleText('red', '✖')} ${failure.name}\n${indent(failure.text)}`)
    if (failures.length > 0 && output !== '') console.log(`\n  output of ${name}:\n${indent(output)}`)
  }
  const skips = outcomes.flatMap(outcome => outcome.skips)
  if (skips.length > 0) console.log('\nskipped:')
  for (const { name, reason } of skips) console.log(`- ${name}: ${reason}`)

  const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0)
  let failed = outcomes.reduce((sum, outcome) => sum + outcome.failures.length, 0)
  if (passed + failed === 0) {
    console.log('\n✖ no test was run')
    failed = 1
  }
  console.log(`\n${passed} passed, ${failed} failed, ${skips.length} skipped`)
  return failed === 0 ? 0 : 1
}

function indent(text: string): string {
  return text.replace(/^/gm, '    ')
}
