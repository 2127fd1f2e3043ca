/** A running load balancer is given another configuration, good or bad. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openClient } from '../support/forwarding.ts'
import { freePort, isFree } from '../support/free-port.ts'
import { connectClient, type RawClient } from '../support/raw-client.ts'
import { type RunningProcess, startOpenAlb, testFolder } from '../support/running.ts'

const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

/** Listeners that answer by themselves, by port. */
function answers(bodies: Readonly<Record<number, string>>, name = 'web'): string {
  const listeners = Object.entries(bodies).map(([port, messageBody]) => ({
    protocol: 'HTTP',
    port: Number(port),
    defaultActions: [
      { type: 'fixed-response', fixedResponse: { statusCode: 200, contentType: 'text/plain', messageBody } },
    ],
  }))
  return JSON.stringify({ loadBalancers: [{ name, bind: ['127.0.0.1'], listeners }] }, null, 2)
}

async function start(t: TestContext, config: string, args: readonly string[]): Promise<RunningProcess> {
  const folder = testFolder(t)
  writeFileSync(join(folder, 'openalb.yaml'), config)
  return startOpenAlb(t, ['openalb.yaml', ...args], folder)
}

async function ask(client: RawClient): Promise<string> {
  await client.send(get)
  return (await client.readResponse()).body.toString()
}

/** Saves as an editor does that puts another file in the place of the old one. */
function replace({ cwd }: RunningProcess, text: string): void {
  writeFileSync(join(cwd, 'openalb.yaml.new'), text)
  renameSync(join(cwd, 'openalb.yaml.new'), join(cwd, 'openalb.yaml'))
}

const inForce = (openalb: RunningProcess, number: number) =>
  openalb.says(new RegExp(`^configuration ${number} is in force: load balancers 1, target groups 0, targets 0$`, 'm'))

test('SIGHUP applies the difference; a connection of before meets it at its next request', async t => {
  const [first, second, third] = [await freePort(), await freePort(), await freePort()]
  const openalb = await start(t, answers({ [first]: 'one', [second]: 'two' }), ['--workers', '2'])
  const kept = await openClient(t, first)
  const gone = await openClient(t, second)
  assert.equal(await ask(kept), 'one')
  assert.equal(await ask(gone), 'two')
  openalb.write('openalb.yaml', answers({ [first]: 'other', [third]: 'three' }))
  openalb.kill('SIGHUP')
  await inForce(openalb, 2)
  assert.equal(await ask(kept), 'other')
  assert.equal((await gone.readUntilClose()).ending, 'fin', 'its listener is gone')
  assert.equal(await ask(await openClient(t, third)), 'three')
  await assert.rejects(connectClient(second), { code: 'ECONNREFUSED' })
  assert.ok(await isFree(second))
})

for (const [how, save] of [
  ['written in place', (openalb: RunningProcess, text: string) => openalb.write('openalb.yaml', text)],
  ['replaced by another', replace],
] as const) {
  test(`--watch applies a file that is ${how}, each time`, async t => {
    const port = await freePort()
    const openalb = await start(t, answers({ [port]: '1' }), ['--watch', '--workers', '2'])
    const client = await openClient(t, port)
    assert.equal(await ask(client), '1')
    for (const number of [2, 3, 4]) {
      save(openalb, answers({ [port]: String(number) }))
      await inForce(openalb, number)
      assert.equal(await ask(client), String(number))
    }
  })
}

test('a bad file is refused with its place, and what runs stays until the file is good again', async t => {
  const port = await freePort()
  const openalb = await start(t, answers({ [port]: 'good' }), ['--watch', '--workers', '1'])
  const client = await openClient(t, port)
  const places = [
    ['loadBalancers: [\n', /^openalb\.yaml:2:1: /m],
    [answers({ [port]: 'x' }).replace('"HTTP"', '"HTPT"'), /^openalb\.yaml:10:23: .*HTPT/m],
    ['', /^openalb\.yaml:/m],
  ] as const
  for (const [text, place] of places) {
    const from = openalb.text.length
    replace(openalb, text)
    await openalb.says(/^the changed configuration was refused; the running one stays$/m, from)
    await openalb.says(place, from)
    assert.equal(await ask(client), 'good')
  }
  assert.equal((await openalb.status()).snapshot, 1)
  replace(openalb, answers({ [port]: 'better' }))
  await inForce(openalb, 2)
  assert.equal(await ask(client), 'better')
})

test('a listener on a port that is taken is refused whole, and what runs stays', async t => {
  const [port, free] = [await freePort(), await freePort()]
  const blocker = createServer().listen(await freePort(), '127.0.0.1')
  await once(blocker, 'listening')
  t.after(() => blocker.close())
  const { port: taken } = blocker.address() as { port: number }
  const openalb = await start(t, answers({ [port]: 'one' }), ['--workers', '2'])
  const client = await openClient(t, port)
  openalb.write('openalb.yaml', answers({ [port]: 'never', [free]: 'never', [taken]: 'never' }))
  openalb.kill('SIGHUP')
  await openalb.says(
    new RegExp(`refused; the running one stays: load balancer web cannot listen on 127\\.0\\.0\\.1 port ${taken}: `),
  )
  assert.equal(await ask(client), 'one')
  assert.ok(await isFree(free))
})

for (const workers of [1, 2]) {
  test(`a load balancer that takes over the port of another is no conflict (workers: ${workers})`, async t => {
    const port = await freePort()
    const openalb = await start(t, answers({ [port]: 'first' }, 'first'), ['--workers', String(workers)])
    const client = await openClient(t, port)
    assert.equal(await ask(client), 'first')
    openalb.write('openalb.yaml', answers({ [port]: 'second' }, 'second'))
    openalb.kill('SIGHUP')
    await inForce(openalb, 2)
    assert.equal((await client.readUntilClose()).ending, 'fin')
    assert.equal(await ask(await openClient(t, port)), 'second')
  })
}

test('a listener may go from one address to all, and back', async t => {
  const port = await freePort()
  const one = answers({ [port]: 'one' })
  const openalb = await start(t, one, ['--workers', '2'])
  for (const [number, config] of [
    [2, one.replace('127.0.0.1', '0.0.0.0')],
    [3, one],
  ] as const) {
    openalb.write('openalb.yaml', config)
    openalb.kill('SIGHUP')
    await inForce(openalb, number)
    assert.equal(await ask(await openClient(t, port)), 'one')
  }
})

test('reloads that come at once are applied one after the other, the last one last', async t => {
  const port = await freePort()
  const openalb = await start(t, answers({ [port]: '0' }), ['--workers', '2'])
  const client = await openClient(t, port)
  for (let i = 1; i <= 5; i++) {
    openalb.write('openalb.yaml', answers({ [port]: String(i) }))
    openalb.kill('SIGHUP')
  }
  // Signals that come while one is being handled may be taken for one; the last word is the file's.
  openalb.kill('SIGHUP')
  await openalb.says(/^configuration 2 is in force/m)
  while ((await ask(client)) !== '5');
})
