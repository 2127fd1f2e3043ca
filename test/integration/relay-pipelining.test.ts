/** Requests that a client sends without waiting: answered one after the other, whatever each answer is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forwardTo } from '../support/forwarding.ts'
import { logFields } from '../support/plane.ts'
import { echo, neverAnswers } from '../support/target-scripts.ts'
import { until } from '../support/turns.ts'

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
const post = (path: string, body: string) =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`
const pathIn = (body: Buffer) => body.toString('latin1').split(' ', 2)[1]

test('many requests in one packet are answered in their order', async t => {
  const { client, target } = await forwardTo(t, echo)
  const one = await client()
  const paths = Array.from({ length: 500 }, (_, i) => `/${i}`)
  await one.send(paths.map(get).join(''))
  for (const path of paths) assert.equal(pathIn((await one.readResponse()).body), path)
  assert.equal(target.connectionCount, 1, 'one after the other, so one connection')
})

test('a request waits for the one before it, also when that one is slow and it could be answered at once', async t => {
  const answered = Promise.withResolvers<void>()
  const { client, target } = await forwardTo(t, async connection => {
    await connection.readRequest()
    await answered.promise
    await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow')
    await echo(connection)
  })
  const one = await client()
  await one.send(get('/slow') + get('/fixed') + get('/after'))
  await target.receivedRequests(1)
  const other = await client()
  await other.send(get('/fixed'))
  assert.equal((await other.readResponse()).body.toString(), 'fixed', 'nobody else waits')
  assert.equal(target.requests.length, 1)
  answered.resolve()
  assert.equal((await one.readResponse()).body.toString(), 'slow')
  assert.equal((await one.readResponse()).body.toString(), 'fixed')
  assert.equal(pathIn((await one.readResponse()).body), '/after')
})

test('an error answer that keeps the connection is followed by the next answer', async t => {
  const { client, plane } = await forwardTo(t, echo)
  const one = await client()
  const forwardedFor = Array.from({ length: 31 }, () => '1.1.1.1').join(', ')
  await one.send(
    post('/empty', 'thrown away') +
      `TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc` +
      `GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: ${forwardedFor}\r\n\r\n` +
      'POST /empty HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n' +
      get('/after'),
  )
  const statuses: number[] = []
  for (let i = 0; i < 4; i++) statuses.push((await one.readResponse()).status)
  assert.deepEqual(statuses, [503, 405, 463, 503])
  assert.equal(pathIn((await one.readResponse()).body), '/after')
  assert.deepEqual(plane.faults, ['groupEmpty', 'clientTraceMethod', 'clientForwardedForTooLong', 'groupEmpty'])
})

test('an error answer that closes the connection is the last one, and arrives', async t => {
  const { client } = await forwardTo(t, echo)
  const one = await client()
  await one.send(`${get('/first')}BAD\r\n\r\n${get('/never')}`)
  assert.equal((await one.readResponse()).status, 200)
  const last = await one.readResponse()
  assert.equal(last.status, 400)
  assert.deepEqual(await one.readUntilClose(), { bytes: Buffer.alloc(0), ending: 'fin' })
})

test('bodies and heads of pipelined requests may be cut anywhere', async t => {
  const { client, target } = await forwardTo(t, echo)
  const one = await client()
  const bytes =
    post('/a', 'first') +
    'POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nsecond\r\n0\r\n\r\n' +
    post('/c', 'third')
  const cuts = Array.from({ length: Math.floor(bytes.length / 7) }, (_, i) => i * 7)
  await one.sendCutAt(bytes, cuts)
  for (const path of ['/a', '/b', '/c']) assert.equal(pathIn((await one.readResponse()).body), path)
  assert.deepEqual(
    target.requests.map(({ body }) => body.toString()),
    ['first', 'second', 'third'],
  )
})

test('a FIN behind pipelined requests does not cost their answers', async t => {
  const { client } = await forwardTo(t, echo)
  const one = await client()
  await one.send(get('/a') + get('/b') + get('/c'))
  one.halfClose()
  for (const path of ['/a', '/b', '/c']) assert.equal(pathIn((await one.readResponse()).body), path)
  assert.deepEqual(await one.readUntilClose(), { bytes: Buffer.alloc(0), ending: 'fin' })
})

test('a FIN behind half a pipelined request ends the connection after the answers before it', async t => {
  const { client, plane } = await forwardTo(t, echo)
  const one = await client()
  await one.send(`${get('/a')}GET /half HTT`)
  one.halfClose()
  assert.equal(pathIn((await one.readResponse()).body), '/a')
  assert.deepEqual(await one.readUntilClose(), { bytes: Buffer.alloc(0), ending: 'fin' })
  assert.deepEqual(plane.faults, ['clientGoneDuringHead'])
  assert.deepEqual(
    (await plane.logLines()).map(line => logFields(line)[9]),
    ['200', '400'],
  )
})

test('what a client pipelines is not read while it waits', async t => {
  const { client, target } = await forwardTo(t, neverAnswers)
  const one = await client()
  await one.send(get('/waits'))
  await target.receivedRequests(1)
  // More than the buffers of the kernel hold, on both sides together.
  const flood = get('/more').repeat(64_000_000 / get('/more').length)
  let isTaken = false
  const sent = one.send(flood).then(
    () => {
      isTaken = true
    },
    () => {},
  )
  const before = process.memoryUsage().arrayBuffers
  let turns = 0
  await until(
    () => isTaken || ++turns > 5_000,
    () => 'the flood to be taken',
  )
  assert.equal(isTaken, false)
  assert.ok(process.memoryUsage().arrayBuffers - before < 1_000_000)
  one.close()
  await sent
})
