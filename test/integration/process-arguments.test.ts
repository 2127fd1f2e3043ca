/** The command line: what is said to whoever gets it wrong. What it starts is in the other files of this name. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type TestContext, test } from 'node:test'
import { main, version } from '../../src/main.ts'
import { refusedPort } from '../support/refused-port.ts'

/** Runs it in this process. @returns the exit code, and what it printed on both outputs */
async function run(t: TestContext, ...args: string[]): Promise<{ code: number; text: string }> {
  let text = ''
  const writeOut = process.stdout.write.bind(process.stdout)
  const take = (chunk: unknown) => {
    // Bytes are the test runner's own reports.
    if (typeof chunk !== 'string') return writeOut(chunk as Uint8Array)
    text += chunk
    return true
  }
  const takeLine = (...parts: unknown[]) => void take(`${parts.join(' ')}\n`)
  const mocks = [
    t.mock.method(process.stdout, 'write', take),
    t.mock.method(process.stderr, 'write', take),
    t.mock.method(console, 'log', takeLine),
    t.mock.method(console, 'error', takeLine),
  ]
  try {
    return { code: await main(args), text }
  } finally {
    for (const mock of mocks) mock.mock.restore()
  }
}

for (const [args, says] of [
  [['up', '--wrokers', '2', 'a.yaml'], /unknown option '--wrokers'\n\(Did you mean --workers\?\)/],
  [['upp'], /unknown command 'upp'\n\(Did you mean up\?\)/],
  [['up'], /nothing to serve\. Name a configuration file, or a target: openalb up --to 127\.0\.0\.1:3000/],
  [['up', 'a.yaml', '--to', '127.0.0.1:1'], /--to stands for a configuration file: give one or the other/],
  [['up', 'a.yaml', '--listen', '1'], /--listen goes with --to/],
  [['up', 'a.yaml', '--workers', '0'], /--workers <n>.*expected a whole number from 1 to 256, not '0'/],
  [['up', 'a.yaml', '--workers', '1.5'], /expected a whole number from 1 to 256, not '1\.5'/],
  [['up', '--to', '127.0.0.1:1', '--listen', '65536'], /--listen <port>.*from 1 to 65535/],
  [['up', 'a.yaml', '--api-port', 'x'], /--api-port <port>.*from 0 to 65535, not 'x'/],
  [['up', 'a.yaml', '--port-offset', '-1'], /--port-offset <n>.*from 0 to 64511/],
  [['up', '--to', 'localhost'], /--to localhost.*HOST:PORT/],
  [['up', '--to', 'example.com:80'], /--to example\.com:80.*"example\.com" is a name/],
  [['up', '--to', '127.0.0.1:1', '--to', '127.0.0.1:1'], /given twice/],
  [['up', '/nowhere/a.yaml'], /\/nowhere\/a\.yaml.*there is no such file/],
  [['validate'], /missing required argument 'config'/],
  [['status', '--api-port', '0'], /--api-port <port>.*from 1 to 65535, not '0'/],
] as const) {
  test(`openalb ${args.join(' ')} is refused with the reason`, async t => {
    const { code, text } = await run(t, ...args)
    assert.match(text, says)
    assert.equal(code, 2)
    assert.doesNotMatch(text, /^ +at /m)
  })
}

test('without a command the help is shown, as for a mistake', async t => {
  const { code, text } = await run(t)
  assert.match(text, /^Usage: openalb /)
  assert.equal(code, 2)
})

test('help and version are no mistakes', async t => {
  assert.match((await run(t, 'up', '--help')).text, /--watch .*saved[\s\S]*Examples:\n {2}openalb up --to /)
  assert.deepEqual(await run(t, '--version'), { code: 0, text: `${version}\n` })
  for (const command of ['up', 'validate', 'status']) assert.equal((await run(t, command, '--help')).code, 0)
})

test('status where nothing listens says how to start it', async t => {
  const port = await refusedPort()
  const { code, text } = await run(t, 'status', '--api-port', String(port))
  const [problem, advice] = text.split('\n')
  assert.equal(problem, `openalb: no answer from http://127.0.0.1:${port}/_openalb/status: nothing listens there`)
  assert.match(advice!, /openalb up openalb\.yaml/)
  assert.equal(code, 2)
})

for (const [what, status, body, says] of [
  ['another server', 404, 'no', 'it answered 404'],
  ['another server that says yes to everything', 200, '<html>', 'it is no openalb'],
  ['another server that speaks JSON', 200, '{"version":1}', 'it is no openalb'],
] as const) {
  test(`status of ${what} is told from one that is down`, async t => {
    const server = createServer((_, response) => response.writeHead(status).end(body)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const { port } = server.address() as { port: number }
    const { code, text } = await run(t, 'status', '--api-port', String(port))
    assert.ok(text.startsWith(`openalb: no answer from http://127.0.0.1:${port}/_openalb/status: ${says}\n`), text)
    assert.equal(code, 2)
  })
}
