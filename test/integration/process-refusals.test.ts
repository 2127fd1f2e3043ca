/** What `openalb up` refuses to start with: exit code 2, one clear message, and nothing left behind. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { forwardingConfig } from '../support/forwarding.ts'
import { freePort, isFree } from '../support/free-port.ts'
import { runOpenAlb, startOpenAlb, testFolder } from '../support/running.ts'

async function takenPort(t: TestContext, host = '127.0.0.1'): Promise<number> {
  const blocker = createServer().listen(await freePort(), host)
  await once(blocker, 'listening')
  t.after(() => blocker.close())
  return (blocker.address() as { port: number }).port
}

function folderWith(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = testFolder(t)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

/** Runs it, and fails unless it refuses with exit code 2 and without a stack trace. @returns what it said */
async function refusal(t: TestContext, args: readonly string[], folder: string): Promise<string> {
  const { code, signal, text } = await runOpenAlb(t, args, folder)
  assert.deepEqual({ code, signal }, { code: 2, signal: null }, text)
  assert.doesNotMatch(text, /^ +at /m)
  assert.doesNotMatch(text, /Ready/)
  return text
}

test('a listener port that is taken, with a way to see by whom; no other port is bound', async t => {
  const [free, taken] = [await freePort(), await takenPort(t)]
  const two = forwardingConfig([], free).replace(
    '      - protocol: HTTP\n',
    `      - { protocol: HTTP, port: ${taken}, defaultActions: [{ type: forward, targetGroup: app }] }\n      - protocol: HTTP\n`,
  )
  const folder = folderWith(t, { 'openalb.yaml': two })
  const text = await refusal(t, ['up', 'openalb.yaml', '--api-port', '0'], folder)
  assert.equal(
    text,
    `openalb: load balancer web cannot listen on 0.0.0.0 port ${taken}: another process listens there already. ` +
      `See which: ss -ltnp 'sport = :${taken}'\n`,
  )
  assert.ok(await isFree(free))
  assert.deepEqual(readdirSync(folder), ['openalb.yaml'])
})

test('the port of another openalb, though workers could share it', async t => {
  const port = await freePort()
  const folder = folderWith(t, { 'openalb.yaml': forwardingConfig([], port) })
  await startOpenAlb(t, ['openalb.yaml', '--workers', '2', '--data', 'first'], folder)
  const args = ['up', 'openalb.yaml', '--workers', '2', '--data', 'second', '--api-port', '0']
  assert.match(await refusal(t, args, folder), new RegExp(`port ${port}: another process listens there already`))
})

test('an API port that is taken; the listeners are not left bound, nor the data folder claimed', async t => {
  const [port, taken] = [await freePort(), await takenPort(t)]
  const folder = folderWith(t, { 'openalb.yaml': forwardingConfig([], port) })
  const text = await refusal(t, ['up', 'openalb.yaml', '--api-port', String(taken)], folder)
  assert.equal(
    text,
    `openalb: the API port ${taken} is taken, perhaps by another openalb. Choose one with --api-port PORT, or 0 for any\n`,
  )
  assert.ok(await isFree(port))
  assert.equal(existsSync(join(folder, '.openalb', 'openalb.pid')), false)
})

test('a DNS port that is taken; the listeners are not left bound', async t => {
  const [port, taken] = [await freePort(), await takenPort(t)]
  const folder = folderWith(t, { 'openalb.yaml': forwardingConfig([], port) })
  const args = ['up', 'openalb.yaml', '--api-port', '0', '--dns-port', String(taken)]
  assert.equal(
    await refusal(t, args, folder),
    `openalb: the DNS port ${taken} cannot be used: another process listens there already. Choose one with --dns-port PORT\n`,
  )
  assert.ok(await isFree(port))
})

test('a data folder that another openalb uses, and that one keeps it', async t => {
  const folder = folderWith(t, {
    'first.yaml': forwardingConfig([], await freePort()),
    'second.yaml': forwardingConfig([], await freePort()),
  })
  const first = await startOpenAlb(t, ['first.yaml'], folder)
  const text = await refusal(t, ['up', 'second.yaml', '--api-port', '0'], folder)
  assert.equal(
    text,
    `openalb: the data folder .openalb is in use by process ${first.pid}; name another with --data DIR\n`,
  )
  assert.equal(first.read('.openalb/openalb.pid'), `${first.pid}\n`)
})

test('a data folder that cannot be made', async t => {
  const folder = folderWith(t, { 'openalb.yaml': forwardingConfig([], await freePort()), data: 'a file' })
  const text = await refusal(t, ['up', 'openalb.yaml', '--data', 'data', '--api-port', '0'], folder)
  assert.match(text, /^openalb: .*data/)
})

test('a file with mistakes, each with its line and column', async t => {
  const bad = forwardingConfig([], 80)
    .replace('targetGroup: app', 'targetGroup: ap')
    .replace('port: 80\n', 'port: 99999\n')
  const text = await refusal(t, ['up', 'bad.yaml', '--api-port', '0'], folderWith(t, { 'bad.yaml': bad }))
  assert.match(text, /^bad\.yaml:6:15: .*99999/m)
  assert.match(text, /^bad\.yaml:7:\d+: .*"ap".*"app"/m)
})

test('a file that is not there', async t => {
  const text = await refusal(t, ['up', 'none.yaml', '--api-port', '0'], testFolder(t))
  assert.match(text, /none\.yaml.*there is no such file/)
})
