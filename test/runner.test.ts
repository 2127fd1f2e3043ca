/** The runner behind `npm test` must not call anything a success that is none. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Outcome, runFile } from '../scripts/test-file.ts'

async function outcomeOf(source: string, limits = { testMs: 10_000, fileMs: 20_000 }): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'openalb-runner-'))
  const imports = "import { describe, test } from 'node:test'\nimport assert from 'node:assert/strict'\n"
  writeFileSync(join(folder, 'a.test.mjs'), imports + source)
  try {
    return await runFile(folder, 'a.test.mjs', limits)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const passing = "test('one', () => {})\n"

test('passes, failures and skips are counted, suites and parents are not', async () => {
  const outcome = await outcomeOf(`${passing}
    describe('suite', () => {
      test('two', () => {})
      test('bad', () => assert.equal(1, 2))
    })
    test('parent', async t => { await t.test('child', () => { throw new Error('child failed') }) })
    test('left out', { skip: 'no reason is like the first' }, () => {})
    test('later', { todo: true }, () => {})`)
  assert.equal(outcome.passed, 2)
  assert.deepEqual(
    outcome.failures.map(failure => failure.name),
    ['a.test.mjs › suite › bad', 'a.test.mjs › parent › child'],
  )
  assert.match(outcome.failures[0]?.text ?? '', /1 !== 2/)
  assert.deepEqual(outcome.skips, [
    { name: 'a.test.mjs › left out', reason: 'no reason is like the first' },
    { name: 'a.test.mjs › later', reason: 'to do, no reason given' },
  ])
})

const troubles = [
  ['that throws while it loads', "throw new Error('at load')", /exit code 1/],
  ['that cannot be parsed', 'const = 1', /exit code 1/],
  ['without a test', '', /reported no test/],
  ['that exits with 0 before its tests end', `${passing}test('two', () => process.exit(0))`, /reported no test/],
  [
    'whose process fails after its tests',
    `${passing}process.on('exit', () => { process.exitCode = 3 })`,
    /exit code 3/,
  ],
  ['that is killed', `${passing}process.kill(process.pid, 'SIGKILL')`, /before its tests did/],
  [
    'with a failing hook',
    `describe('s', () => { test.before(() => { throw new Error('hook') }); ${passing} })`,
    /hook/,
  ],
] as const

for (const [what, source, complaint] of troubles) {
  test(`a file ${what} has failed`, async () => {
    const { failures } = await outcomeOf(source)
    assert.ok(failures.length > 0)
    assert.match(failures.map(failure => failure.text).join('\n'), complaint)
  })
}

test('a test that hangs fails by itself, and the next one still runs', async () => {
  const outcome = await outcomeOf(
    `test('hangs', () => new Promise(done => { globalThis.timer = setTimeout(done, 60_000) }))
     test('next', () => clearTimeout(globalThis.timer))`,
    { testMs: 200, fileMs: 20_000 },
  )
  assert.equal(outcome.passed, 1)
  assert.match(outcome.failures[0]?.text ?? '', /timed out after 200ms/)
})

test('a file that never ends is ended and has failed', async () => {
  for (const source of [`${passing}setInterval(() => {}, 1000)`, "test('spins', () => { for (;;); })"]) {
    const { failures } = await outcomeOf(source, { testMs: 10_000, fileMs: 1_500 })
    assert.match(failures.at(-1)?.text ?? '', /did not end in time/)
  }
})

test('what a failing file printed is kept', async () => {
  const { output } = await outcomeOf("console.log('a trace of it'); test('bad', () => assert.fail())")
  assert.match(output, /a trace of it/)
})
