import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ConfigReader, runValidate } from './validate.ts'

type Result = Awaited<ReturnType<ConfigReader['loadConfig']>>
type Problem = Parameters<ConfigReader['formatProblem']>[0]

const empty = { loadBalancers: [], targetGroups: [] }

async function validate(result: Result, json = false): Promise<{ code: number; output: string }> {
  const lines: string[] = []
  const print = (text: string) => {
    lines.push(text)
  }
  const formatProblem = ({ file, line, column, message }: Problem) => `${file}:${line}:${column}: ${message}`
  const code = await runValidate(['a.yaml'], { json, print }, { loadConfig: async () => result, formatProblem })
  return { code, output: lines.join('\n') }
}

function problem(column: number, sourceLine: string | null): Problem {
  return { file: 'a.yaml', line: 12, column, path: 'p', message: 'is wrong', sourceLine }
}

test('a valid file is summed up, with exit code 0', async () => {
  const { code, output } = await validate({ ok: true, config: { resources: empty, warnings: [] } })
  assert.equal(code, 0)
  assert.equal(output, 'a.yaml: valid. 0 load balancers, 0 listeners, 0 rules, 0 target groups, 0 targets')
})

test('a problem is shown in its line, under a caret, with exit code 2', async () => {
  const { code, output } = await validate({ ok: false, problems: [problem(9, '  port: 99999')] })
  assert.equal(code, 2)
  assert.equal(
    output,
    `a.yaml:12:9: is wrong
  12 |   port: 99999
     |         ^
a.yaml: 1 problem.`,
  )
})

test('tabs before the place are kept under the line', async () => {
  const { output } = await validate({ ok: false, problems: [problem(4, '\t"a": 1')] })
  assert.ok(output.includes('  12 | \t"a": 1\n     | \t  ^\n'), output)
})

test('a very long line is shown around the place', async () => {
  const { output } = await validate({ ok: false, problems: [problem(301, `${'a'.repeat(300)}b${'c'.repeat(300)}`)] })
  const [, line, caret] = output.split('\n')
  assert.equal(line!.length, '  12 | '.length + 100)
  assert.equal(line![caret!.indexOf('^')], 'b')
})

test('a problem outside the text has no line to show', async () => {
  const { output } = await validate({ ok: false, problems: [problem(0, null), problem(0, null)] })
  assert.equal(output, 'a.yaml:12:0: is wrong\na.yaml:12:0: is wrong\na.yaml: 2 problems.')
})

test('warnings are shown and leave the file valid', async () => {
  const { code, output } = await validate({ ok: true, config: { resources: empty, warnings: [problem(1, 'x')] } })
  assert.equal(code, 0)
  assert.match(output, /^a\.yaml:12:1: warning: is wrong\n {2}12 \| x\n {5}\| \^\na\.yaml: valid\./)
})

test('--json prints one value with the problems', async () => {
  const { code, output } = await validate({ ok: false, problems: [problem(9, 'x')] }, true)
  assert.equal(code, 2)
  assert.deepEqual(JSON.parse(output), {
    valid: false,
    problems: [{ file: 'a.yaml', line: 12, column: 9, path: 'p', message: 'is wrong' }],
    warnings: [],
  })
})
