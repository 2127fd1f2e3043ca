/** How bodies are framed towards either side, and how little it matters how the bytes were cut on the way. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Connection } from '../../src/net/connection.ts'
import { forwardTo } from '../support/forwarding.ts'
import { fieldValue } from '../support/message-reader.ts'
import type { Script } from '../support/misbehaving-target.ts'
import { logFields } from '../support/plane.ts'
import { answering, inTurn, sendsAfterRequest } from '../support/target-scripts.ts'

const get = (path = '/', headers = '') => `GET ${path} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`
const chunkedPost = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
const everywhere = (bytes: string) => Array.from({ length: bytes.length - 1 }, (_, at) => at + 1)

/** What a client sees of one answer, and whether its connection and the target's could be used again. */
async function relayed(context: TestContext, answer: string, request = get()) {
  const { client, target, plane } = await forwardTo(
    context,
    inTurn(
      async connection => {
        if ((await connection.readRequest()) === null) return
        await connection.send(answer)
        await answering(200, 'second')(connection)
      },
      answering(200, 'second'),
    ),
  )
  const one = await client()
  await one.send(request)
  const response = await one.readResponse(request.startsWith('HEAD') ? 'HEAD' : 'GET')
  await one.send(get('/second'))
  const next = await one.readResponse().catch(() => null)
  assert.equal(next === null ? '' : next.body.toString(), next === null ? '' : 'second')
  return { response, clientIsKept: next !== null, targetIsKept: next !== null && target.connectionCount === 1, plane }
}

test('a request body with a length arrives as it was sent, under the same length', async t => {
  const { client, target } = await forwardTo(t, answering(200, 'ok'))
  const one = await client()
  await one.send('PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello')
  assert.equal((await one.readResponse()).body.toString(), 'ok')
  const [request] = await target.receivedRequests(1)
  assert.equal(request!.body.toString(), 'hello')
  assert.equal(fieldValue(request!.headers, 'content-length'), '5')
  assert.equal(fieldValue(request!.headers, 'transfer-encoding'), null)
})

test('a chunked request body is relayed in its chunks, without extensions and trailers', async t => {
  const { client, target, plane } = await forwardTo(t, answering(200, 'ok'))
  const one = await client()
  const body = '5;name="v;w"\r\nhello\r\n6 ; x\r\n world\r\n0;last\r\nChecksum: 1\r\nOther: 2\r\n\r\n'
  await one.send(chunkedPost + body)
  assert.equal((await one.readResponse()).status, 200)
  const [request] = await target.receivedRequests(1)
  assert.ok(request!.raw.toString('latin1').endsWith('\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n'))
  assert.equal(fieldValue(request!.headers, 'transfer-encoding'), 'chunked')
  assert.equal(fieldValue(request!.headers, 'content-length'), null)
  const fields = logFields((await plane.logLines())[0]!)
  assert.equal(fields[11], String(chunkedPost.length + body.length), 'received bytes are those on the wire')
})

test('a chunked response is relayed in its chunks, without extensions and trailers', async t => {
  const answer =
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n4;a=b\r\nabcd\r\n1\r\ne\r\n0\r\nT: 1\r\n\r\n'
  const { response, clientIsKept, targetIsKept } = await relayed(t, answer)
  assert.ok(response.raw.toString('latin1').endsWith('\r\n\r\n4\r\nabcd\r\n1\r\ne\r\n0\r\n\r\n'))
  assert.equal(fieldValue(response.headers, 'trailer'), null)
  assert.ok(clientIsKept && targetIsKept)
})

test('a response that ends with its connection becomes chunked for an HTTP/1.1 client, who keeps its own', async t => {
  const { client, target } = await forwardTo(t, async connection => {
    if ((await connection.readRequest()) === null) return
    await connection.send('HTTP/1.1 200 OK\r\n\r\nall the rest')
  })
  const one = await client()
  for (let i = 0; i < 2; i++) {
    await one.send(get())
    const response = await one.readResponse()
    assert.equal(fieldValue(response.headers, 'transfer-encoding'), 'chunked')
    assert.equal(response.body.toString(), 'all the rest')
  }
  assert.equal(target.connectionCount, 2)
})

test('a response without a body leaves both connections usable', async t => {
  for (const answer of [
    'HTTP/1.1 204 No Content\r\n\r\n',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  ]) {
    const { response, clientIsKept, targetIsKept } = await relayed(t, answer)
    assert.equal(response.body.length, 0)
    assert.ok(clientIsKept && targetIsKept, answer)
    if (answer.includes('100')) assert.equal(fieldValue(response.headers, 'content-length'), '100')
  }
})

test('the answer to HEAD has the length of the body it leaves out', async t => {
  const head = 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n'
  const withLength = await relayed(t, 'HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n', head)
  assert.equal(fieldValue(withLength.response.headers, 'content-length'), '12345')
  assert.ok(withLength.clientIsKept && withLength.targetIsKept)
  const chunked = await relayed(t, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', head)
  assert.ok(chunked.clientIsKept && chunked.targetIsKept)
})

test('the load balancer leaves out its own bodies in answers to HEAD', async t => {
  const { client } = await forwardTo(t, answering())
  const one = await client()
  await one.send('HEAD /empty HTTP/1.1\r\nHost: a\r\n\r\nHEAD /fixed HTTP/1.1\r\nHost: a\r\n\r\n')
  const page = await one.readResponse('HEAD')
  assert.equal(page.status, 503)
  assert.ok(Number(fieldValue(page.headers, 'content-length')) > 0)
  const fixed = await one.readResponse('HEAD')
  assert.equal(fixed.status, 200)
  assert.equal(fieldValue(fixed.headers, 'content-length'), '5')
})

test('interim responses of a target end at the load balancer', async t => {
  const answer = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n'
  const { response, targetIsKept } = await relayed(t, `${answer}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`)
  assert.equal(response.status, 200)
  assert.equal(response.body.toString(), 'ok')
  assert.ok(targetIsKept)
})

test('Expect: 100-continue is answered at once, by the load balancer, and is not passed on', async t => {
  const { client, target } = await forwardTo(t, answering(201, 'made'))
  const one = await client()
  for (const expected of ['first', 'again']) {
    await one.send('PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n')
    assert.equal((await one.readResponse()).raw.toString(), 'HTTP/1.1 100 Continue\r\n\r\n')
    await one.send(expected)
    assert.equal((await one.readResponse()).status, 201)
  }
  const requests = await target.receivedRequests(2)
  assert.deepEqual(
    requests.map(({ body, headers }) => [body.toString(), fieldValue(headers, 'expect')]),
    [
      ['first', null],
      ['again', null],
    ],
  )
})

test('an HTTP/1.0 client that expects 100-continue is not sent one', async t => {
  const { client } = await forwardTo(t, answering(200, 'ok'))
  const one = await client()
  await one.send('PUT / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx')
  assert.equal((await one.readResponse()).status, 200)
})

test('an HTTP/1.0 client gets one answer and a FIN, unless it asked for keep-alive', async t => {
  const { client } = await forwardTo(t, answering(200, 'ok'))
  const plain = await client()
  await plain.send('GET / HTTP/1.0\r\n\r\n')
  const response = await plain.readResponse()
  assert.match(response.startLine, /^HTTP\/1\.1 200/)
  assert.equal(fieldValue(response.headers, 'connection'), 'close')
  assert.deepEqual(await plain.readUntilClose(), { bytes: Buffer.alloc(0), ending: 'fin' })

  const kept = await client()
  for (let i = 0; i < 2; i++) {
    await kept.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
    assert.equal(fieldValue((await kept.readResponse()).headers, 'connection'), 'keep-alive')
  }
})

test('an HTTP/1.0 client gets a chunked response without chunks, ended by the close', async t => {
  const { client } = await forwardTo(
    t,
    sendsAfterRequest(
      () => 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: 1\r\n\r\n',
    ),
  )
  const one = await client()
  await one.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
  const response = await one.readResponse()
  assert.equal(fieldValue(response.headers, 'transfer-encoding'), null)
  assert.equal(fieldValue(response.headers, 'connection'), 'close')
  assert.equal(response.body.toString(), 'abcde')
})

test('Connection: close of a client is honoured after its answer', async t => {
  const { client, target } = await forwardTo(t, answering(200, 'ok'))
  const one = await client()
  await one.send(get('/', 'Connection: close\r\n') + get('/never'))
  assert.equal(fieldValue((await one.readResponse()).headers, 'connection'), 'close')
  assert.deepEqual(await one.readUntilClose(), { bytes: Buffer.alloc(0), ending: 'fin' })
  assert.equal(target.requests.length, 1)
})

test('Connection: close of a target costs the client nothing', async t => {
  const { client, target } = await forwardTo(t, async connection => {
    if ((await connection.readRequest()) === null) return
    await connection.send('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok')
    await connection.drain()
  })
  const one = await client()
  for (let i = 0; i < 3; i++) {
    await one.send(get())
    assert.equal(fieldValue((await one.readResponse()).headers, 'connection'), 'keep-alive')
  }
  assert.equal(target.connectionCount, 3)
})

test('a request sent byte by byte reaches the target as if sent at once', async t => {
  const { client, target } = await forwardTo(t, answering(200, 'ok'))
  const one = await client()
  const requests = [
    'POST /length?q HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nContent-Length: 11\r\n\r\nhello world',
    `${chunkedPost}5;ext\r\nhello\r\n6\r\n world\r\n0\r\nT: 1\r\n\r\n`,
    get('/last'),
  ]
  for (const request of requests) {
    await one.sendCutAt(request, everywhere(request))
    assert.equal((await one.readResponse()).status, 200)
  }
  const cut = await target.receivedRequests(3)
  const whole = await client()
  for (const request of requests) {
    await whole.send(request)
    assert.equal((await whole.readResponse()).status, 200)
  }
  const uncut = (await target.receivedRequests(6)).slice(3)
  const comparable = (raw: Buffer) => raw.toString('latin1').replace(/Root=\S+/, 'Root=x')
  for (const [i, { raw }] of cut.entries()) assert.equal(comparable(raw), comparable(uncut[i]!.raw))
})

test('a response sent byte by byte reaches the client as if sent at once', async t => {
  const date = 'Date: Thu, 01 Jan 2026 12:00:00 GMT\r\n'
  const answers = [
    `HTTP/1.1 200 OK\r\n${date}Content-Length: 11\r\nX-A: 1\r\n\r\nhello world`,
    `HTTP/1.1 200 OK\r\n${date}Transfer-Encoding: chunked\r\n\r\n5;ext\r\nhello\r\n6\r\n world\r\n0\r\nT: 1\r\n\r\n`,
    `HTTP/1.1 404 Not here\r\n${date}Content-Length: 0\r\n\r\n`,
  ]
  const answeringCut =
    (isCut: boolean): Script =>
    async connection => {
      for (const answer of answers) {
        if ((await connection.readRequest()) === null) return
        for (const piece of isCut ? answer : [answer]) {
          await connection.send(piece)
          await new Promise(resolve => setImmediate(resolve))
        }
      }
      await connection.drain()
    }
  const seen: string[][] = []
  for (const isCut of [true, false]) {
    const { client } = await forwardTo(t, answeringCut(isCut))
    const one = await client()
    const responses: string[] = []
    for (const _ of answers) {
      await one.send(get())
      responses.push((await one.readResponse()).raw.toString('latin1'))
    }
    seen.push(responses)
  }
  assert.deepEqual(seen[0], seen[1])
})

test('a body in the smallest chunks is passed on in few writes, and whole', async t => {
  const chunks = 2_000
  const { client, target } = await forwardTo(t, answering())
  const one = await client()
  await one.send(chunkedPost)
  let writes = 0
  const { send } = Connection.prototype
  t.after(() => {
    Connection.prototype.send = send
  })
  Connection.prototype.send = function (bytes) {
    writes++
    return send.call(this, bytes)
  }
  await one.send(`${'1;\r\nz\r\n'.repeat(chunks)}0\r\n\r\n`)
  assert.equal((await one.readResponse()).status, 200)
  assert.equal((await target.receivedRequests(1))[0]!.body.toString(), 'z'.repeat(chunks))
  assert.ok(writes < 50, `${writes} writes`)
})
