/** What a person sees: the live display on a terminal, and the quickstart with its Ctrl-C. */
import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { within } from '../support/deadline.ts'
import { forwardingConfig, openClient } from '../support/forwarding.ts'
import { freePort, isFree } from '../support/free-port.ts'
import { startTarget } from '../support/misbehaving-target.ts'
import { RunningProcess, testFolder } from '../support/running.ts'
import { answering } from '../support/target-scripts.ts'

const root = join(import.meta.dirname, '..', '..')
const script = '/usr/bin/script'
const upOnTerminal = `${process.execPath} ${join(root, 'src/main.ts')} up openalb.yaml --api-port 0`
const needsTerminal = existsSync(script) ? false : 'script (util-linux) is not installed'

test('on a terminal the state is redrawn in place', { skip: needsTerminal }, async t => {
  const target = await startTarget(answering(200, 'ok'))
  t.after(() => target.close())
  const port = await freePort()
  const folder = testFolder(t)
  writeFileSync(join(folder, 'openalb.yaml'), forwardingConfig([target.port], port))
  const openalb = new RunningProcess(t, ['-qec', upOnTerminal, '/dev/null'], folder, [script])
  await openalb.says(/^Ready\./m)
  const client = await openClient(t, port)
  await client.send('GET /empty HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.equal((await client.readResponse()).status, 503)
  await openalb.says(/last faults.*\r\n.*groupEmpty.*GET \/empty/)
  await openalb.says(/127\.0\.0\.1:\d+ +\u001b\[32mhealthy/)
  assert.match(openalb.text, /\u001b\[\d+A\u001b\[0J/, 'earlier lines are erased')
  assert.match(openalb.text, /web.*HTTP 0\.0\.0\.0:\d+.* requests\/s, 1 requests, 1 connections/)
})

/** The quickstart is about ports that stand in its text, so it cannot take others for a test. */
async function takenQuickstartPort(): Promise<string | false> {
  for (const port of [8080, 3001, 3002, 3003]) if (!(await isFree(port))) return `port ${port} is taken on this machine`
  return false
}

for (const option of ['', ' --quiet']) {
  test(`a terminal that is closed ends what ran on it${option}`, { skip: needsTerminal }, async t => {
    const folder = testFolder(t)
    writeFileSync(join(folder, 'openalb.yaml'), forwardingConfig([], await freePort()))
    const openalb = new RunningProcess(t, ['-qec', upOnTerminal + option, '/dev/null'], folder, [script])
    await openalb.says(/^Ready\./m)
    const { apiPort } = openalb
    openalb.kill('SIGKILL')
    await within(isFreed(apiPort), () => 'it to end')
  })
}

async function isFreed(port: number): Promise<void> {
  while (!(await isFree(port)));
}

async function targetsHaveEnded(): Promise<void> {
  const ended = async () => {
    for (const port of [3001, 3002, 3003]) await isFreed(port)
  }
  await within(ended(), () => 'the targets to end')
}

test('the quickstart serves from three targets, and Ctrl-C ends all of its processes', {
  skip: await takenQuickstartPort(),
}, async t => {
  const start = join(root, 'examples', 'quickstart', 'start.ts')
  const quickstart = new RunningProcess(t, ['--api-port', '0'], testFolder(t), [process.execPath, start])
  await quickstart.says(/^Ready\. Try: curl -v http:\/\/127\.0\.0\.1:8080\/$/m)
  const pids = [...quickstart.text.matchAll(/^target 127\.0\.0\.1:\d+: process (\d+)$/gm)].map(found =>
    Number(found[1]),
  )
  assert.equal(pids.length, 3)
  await quickstart.statusWith(
    ({ targetGroups }) => targetGroups[0]!.targets.every(({ state }) => state === 'healthy'),
    'three healthy targets',
  )
  const seen = new Set<string>()
  for (let i = 0; i < 3; i++) {
    const client = await openClient(t, 8080)
    await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    seen.add(/Hello from target (\S+)\./.exec((await client.readResponse()).body.toString())?.[1] ?? '')
    client.close()
  }
  assert.equal(seen.size, 3)
  quickstart.interruptGroup()
  assert.deepEqual(await quickstart.exited(), { code: 0, signal: null })
  await targetsHaveEnded()
})

test('the quickstart takes its targets with it when it is killed', { skip: await takenQuickstartPort() }, async t => {
  const start = join(root, 'examples', 'quickstart', 'start.ts')
  const quickstart = new RunningProcess(t, ['--api-port', '0'], testFolder(t), [process.execPath, start])
  await quickstart.says(/^Ready\./m)
  quickstart.kill('SIGKILL')
  await quickstart.exited()
  await targetsHaveEnded()
})
