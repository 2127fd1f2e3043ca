/** `openalb up` from its first line to its exit. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { within } from '../support/deadline.ts'
import { forwardingConfig, openClient } from '../support/forwarding.ts'
import { freePort } from '../support/free-port.ts'
import { fieldValue } from '../support/message-reader.ts'
import { type Script, startTarget } from '../support/misbehaving-target.ts'
import { connectClient } from '../support/raw-client.ts'
import { type RunningProcess, runOpenAlb, startOpenAlb, testFolder } from '../support/running.ts'
import { answering } from '../support/target-scripts.ts'
import { until } from '../support/turns.ts'

const get = (path = '/') => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`

async function startWithTarget(t: TestContext, script: Script, args: readonly string[] = []) {
  const target = await startTarget(script)
  t.after(() => target.close())
  const port = await freePort()
  const folder = testFolder(t)
  writeFileSync(join(folder, 'openalb.yaml'), forwardingConfig([target.port], port))
  const openalb = await startOpenAlb(t, ['openalb.yaml', '--data', 'data', ...args], folder)
  return { target, port, openalb, folder }
}

/** A target whose answers to `/slow` wait until told, while those to health checks and others do not. */
function slowUntil(released: Promise<void>): Script {
  return async connection => {
    for (let request = await connection.readRequest(); request !== null; request = await connection.readRequest()) {
      if (request.head.startsWith('GET /slow')) await released
      await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone')
    }
  }
}

const slowIsUnderWay = (openalb: RunningProcess) =>
  openalb.statusWith(
    ({ targetGroups }) => targetGroups[0]!.targets[0]!.requestsInFlight === 1,
    'the slow request to be under way',
  )

test('a start says what is served and where, then Ready with a command to try', async t => {
  const { openalb, port } = await startWithTarget(t, answering(200, 'ok'))
  const before = openalb.text.slice(0, openalb.text.indexOf('Ready.'))
  assert.equal(
    before,
    `load balancer web: HTTP on 0.0.0.0:${port}\n` +
      `status and API: http://127.0.0.1:${openalb.apiPort}/_openalb/status\n` +
      'access log: data/logs/access.log\n' +
      'warning: openalb.yaml:20:13: name "empty" has no targets: requests forwarded to it are answered with 503\n',
  )
  assert.match(openalb.text, new RegExp(`^Ready\\. Try: curl -v http://127\\.0\\.0\\.1:${port}/$`, 'm'))
  assert.equal(openalb.text.includes('\u001b'), false, 'no terminal, no escape sequences')
})

test('traffic shows in the access log, in the status and in `openalb status`', async t => {
  const { openalb, port, target, folder } = await startWithTarget(t, answering(200, 'ok'), ['--workers', '2'])
  for (let i = 0; i < 8; i++) {
    const client = await openClient(t, port)
    await client.send(get(`/${i}`))
    assert.equal((await client.readResponse()).body.toString(), 'ok')
    client.close()
  }
  const status = await openalb.statusWith(
    ({ loadBalancers, targetGroups }) =>
      loadBalancers[0]!.exchanges === 8 && targetGroups[0]!.targets[0]!.state === 'healthy',
    'eight exchanges and a healthy target',
  )
  assert.equal(status.workers, 2)
  assert.equal(status.snapshot, 1)
  assert.equal(status.pid, openalb.pid)
  assert.equal(status.loadBalancers[0]!.counters.RequestCount, 8)
  assert.equal(status.loadBalancers[0]!.counters.NewConnectionCount, 8)
  assert.deepEqual(
    status.targetGroups[0]!.targets.map(({ id, port, requests }) => [id, port, requests]),
    [['127.0.0.1', target.port, 8]],
  )
  const log = join(folder, 'data', 'logs', 'access.log')
  await until(
    () => existsSync(log) && readFileSync(log, 'utf8').split('\n').length === 9,
    () => 'eight lines in the access log',
  )

  const json = await runOpenAlb(t, ['status', '--json', '--api-port', String(openalb.apiPort)], folder)
  assert.equal(json.code, 0, json.text)
  assert.equal(JSON.parse(json.text).loadBalancers[0].exchanges, 8)
  const text = await runOpenAlb(t, ['status', '--api-port', String(openalb.apiPort)], folder)
  assert.match(text.text, /^openalb \d.*, process \d+, up since .* UTC, configuration 1$/m)
  assert.match(text.text, new RegExp(`127\\.0\\.0\\.1:${target.port} +healthy`))
})

test('--to needs no file', async t => {
  const target = await startTarget(answering(200, 'ok'))
  t.after(() => target.close())
  const port = await freePort()
  const folder = testFolder(t)
  await startOpenAlb(t, ['--to', `127.0.0.1:${target.port}`, '--listen', String(port), '--workers', '1'], folder)
  const client = await openClient(t, port)
  await client.send(get())
  assert.equal((await client.readResponse()).body.toString(), 'ok')
  assert.deepEqual(readdirSync(folder), ['.openalb'])
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} lets what is in flight finish, takes nothing new, and ends with 0`, async t => {
    const released = Promise.withResolvers<void>()
    const { openalb, port, folder } = await startWithTarget(t, slowUntil(released.promise), ['--workers', '2'])
    const slow = await openClient(t, port)
    await slow.send(get('/slow'))
    const idle = await openClient(t, port)
    await idle.send(get())
    await idle.readResponse()
    await slowIsUnderWay(openalb)
    openalb.kill(signal)
    await openalb.says(/^stopping: /m)
    assert.equal((await idle.readUntilClose()).ending, 'fin', 'an idle connection is closed at once')
    await within(refusedAt(port), () => 'new connections to be refused')
    released.resolve()
    const response = await slow.readResponse()
    assert.equal(response.body.toString(), 'done')
    assert.equal(fieldValue(response.headers, 'connection'), 'close')
    assert.equal((await slow.readUntilClose()).ending, 'fin')
    assert.deepEqual(await openalb.exited(), { code: 0, signal: null })
    assert.equal(existsSync(join(folder, 'data', 'openalb.pid')), false)
    const log = readFileSync(join(folder, 'data', 'logs', 'access.log'), 'utf8')
    assert.match(log, /\/slow/, 'the last line is in the log')
  })
}

/** Resolves when nobody listens any more: workers close their listening sockets each in its own time. */
async function refusedAt(port: number): Promise<void> {
  for (;;) {
    try {
      const client = await connectClient(port)
      await client.readUntilClose()
      client.close()
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ECONNREFUSED') return
      // The kernel resets what nobody had accepted when the socket was closed.
      assert.equal(code, 'ECONNRESET')
    }
  }
}

test('a second Ctrl-C ends at once', async t => {
  const never = Promise.withResolvers<void>()
  const { openalb, port } = await startWithTarget(t, slowUntil(never.promise))
  const slow = await openClient(t, port)
  await slow.send(get('/slow'))
  await slowIsUnderWay(openalb)
  openalb.kill('SIGINT')
  await openalb.says(/^stopping: /m)
  openalb.kill('SIGINT')
  assert.deepEqual(await openalb.exited(3_000), { code: 130, signal: null })
  never.resolve()
})

test('what was logged a moment ago survives a kill, and the data folder is free again', async t => {
  const { openalb, port, folder } = await startWithTarget(t, answering(200, 'ok'))
  const client = await openClient(t, port)
  await client.send(get('/remembered'))
  await client.readResponse()
  const answeredAt = performance.now()
  const log = join(folder, 'data', 'logs', 'access.log')
  await until(
    () => existsSync(log) && readFileSync(log, 'utf8').endsWith('\n'),
    () => 'the line in the access log',
  )
  // Half a second, and what a busy machine adds to it.
  const tookMs = performance.now() - answeredAt
  assert.ok(tookMs < 3_000, `the line took ${tookMs} ms to its file`)
  openalb.kill('SIGKILL')
  await openalb.exited()
  assert.match(readFileSync(log, 'utf8'), /GET http:\/\/a:\d+\/remembered /)

  const again = await startOpenAlb(t, ['openalb.yaml', '--data', 'data'], folder)
  again.kill('SIGTERM')
  assert.deepEqual(await again.exited(), { code: 0, signal: null })
})

test('without a terminal, states and faults are lines', async t => {
  const { openalb, port, target } = await startWithTarget(t, answering(200, 'ok'))
  const client = await openClient(t, port)
  await client.send(get('/empty'))
  assert.equal((await client.readResponse()).status, 503)
  await openalb.says(/^fault .* 503 groupEmpty: .* GET \/empty$/m)
  await openalb.says(new RegExp(`^target group app: 127\\.0\\.0\\.1:${target.port} +healthy`, 'm'))
  assert.equal(openalb.text.includes('\u001b'), false)
})

test('--quiet shows nothing behind Ready', async t => {
  const { openalb, port } = await startWithTarget(t, answering(200, 'ok'), ['--quiet'])
  const client = await openClient(t, port)
  await client.send(get('/empty'))
  await client.readResponse()
  await openalb.statusWith(({ faults }) => faults.length === 1, 'the fault')
  openalb.kill('SIGTERM')
  await openalb.exited()
  assert.match(openalb.text, /\/\nstopping: [^\n]*\n$/)
})

test('a reader of its output that goes away does not take the load balancer with it', async t => {
  const target = await startTarget(answering(200, 'ok'))
  t.after(() => target.close())
  const port = await freePort()
  const folder = testFolder(t)
  writeFileSync(join(folder, 'openalb.yaml'), forwardingConfig([target.port], port))
  const openalb = await startOpenAlb(t, ['openalb.yaml', '--data', 'data'], folder)
  openalb.stopListening()
  for (const snapshot of [2, 3, 4]) {
    openalb.kill('SIGHUP') // It has something to say about that.
    await openalb.statusWith(status => status.snapshot === snapshot, 'the next configuration')
  }
  const client = await openClient(t, port)
  await client.send(get())
  assert.equal((await client.readResponse()).status, 200)
  openalb.kill('SIGTERM')
  assert.deepEqual(await openalb.exited(), { code: 0, signal: null })
})
