import assert from 'node:assert/strict'
import { get } from 'node:http'
import { type TestContext, test } from 'node:test'
import type { Status } from './status.ts'
import { startStatusServer } from './status-server.ts'

const status = { version: '1.2.3' } as Status

async function startServer(t: TestContext): Promise<string> {
  const server = await startStatusServer(0, () => status)
  t.after(() => server.close())
  return `http://127.0.0.1:${server.port}`
}

test('the status is served as JSON, as it is at the moment', async t => {
  const response = await fetch(`${await startServer(t)}/_openalb/status`)
  assert.match(response.headers.get('content-type')!, /^application\/json/)
  assert.deepEqual(await response.json(), status)
})

test('what targets went through is told where it is asked for', async t => {
  const server = await startStatusServer(0, withHistory => ({ ...status, version: String(withHistory) }))
  t.after(() => server.close())
  const ask = async (query: string) => (await fetch(`http://127.0.0.1:${server.port}/_openalb/status${query}`)).json()
  assert.deepEqual(await ask('?history'), { version: 'true' })
  assert.deepEqual(await ask(''), { version: 'false' })
})

test('health says ok', async t => {
  assert.deepEqual(await (await fetch(`${await startServer(t)}/_openalb/health`)).json(), { status: 'ok' })
})

test('what is not there is answered with what is', async t => {
  const response = await fetch(`${await startServer(t)}/other?a`)
  assert.equal(response.status, 404)
  assert.match(
    ((await response.json()) as { error: string }).error,
    /no GET \/other\?a here; try GET \/_openalb\/status/,
  )
})

test('a name that is not of this machine is refused, wherever it leads', async t => {
  const { port } = new URL(await startServer(t))
  const statusFor = (host: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const options = { host: '127.0.0.1', port, path: '/_openalb/status', headers: { host } }
      get(options, response => resolve(response.resume().statusCode)).on('error', reject)
    })
  for (const host of ['localhost', `127.0.0.1:${port}`, 'a.localhost:1', '[::1]'])
    assert.equal(await statusFor(host), 200)
  for (const host of ['evil.example', '127.0.0.1.evil.example', '10.0.0.1']) assert.equal(await statusFor(host), 403)
})

test('every refusal says why in the same form', async t => {
  const url = await startServer(t)
  for (const path of ['/%zz', '/other']) {
    const body = (await (await fetch(`${url}${path}`)).json()) as object
    assert.deepEqual(Object.keys(body), ['error'])
  }
})

test('it can only be reached from this machine', async t => {
  const server = await startStatusServer(0, () => status)
  t.after(() => server.close())
  // All of 127.0.0.0/8 is this machine; a server that listened on every address would answer on this one too.
  await assert.rejects(fetch(`http://127.0.0.2:${server.port}/_openalb/status`))
})

test('a port that is taken is an error with the code of the system', async t => {
  const first = await startStatusServer(0, () => status)
  t.after(() => first.close())
  await assert.rejects(
    startStatusServer(first.port, () => status),
    { code: 'EADDRINUSE', syscall: 'listen' },
  )
})

test('a close does not wait for clients that keep their connection', async () => {
  const server = await startStatusServer(0, () => status)
  await fetch(`http://127.0.0.1:${server.port}/_openalb/status`)
  await server.close()
  await assert.rejects(fetch(`http://127.0.0.1:${server.port}/_openalb/status`))
})
