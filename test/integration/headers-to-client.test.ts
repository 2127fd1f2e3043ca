/** What a client is sent of a target's response, byte by byte. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { startScene } from '../support/scene.ts'
import { sendsAfterRequest } from '../support/target-scripts.ts'
import { caughtUp } from '../support/turns.ts'

const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const head = 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n'
const old = 'GET / HTTP/1.0\r\n\r\n'
const oldKept = 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'
const date = 'Date: Thu, 01 Jan 2026 12:00:00 GMT'

type Case = {
  readonly what: string
  readonly request?: string
  /** What the target says, line by line, and then its body. */
  readonly said: readonly string[]
  readonly body?: string
  /** Whether it closes behind that, as the end of its body. */
  readonly targetCloses?: boolean
  readonly sent: readonly string[]
  readonly sentBody?: string
  readonly isKept: boolean
}

const lines = (from: readonly string[]) => `${from.join('\r\n')}\r\n\r\n`

async function check(t: TestContext, each: Case): Promise<void> {
  const { request = get, said, body = '', sent, sentBody = body, isKept } = each
  const scene = await startScene(t, {
    targets: [
      async connection => {
        await connection.readRequest()
        await connection.send(lines(said) + body)
        if (each.targetCloses !== true) await connection.drain()
      },
    ],
  })
  const client = await scene.client()
  await client.send(request)
  const expected = lines(sent) + sentBody
  if (isKept) {
    const response = await client.readResponse(request.split(' ')[0])
    assert.equal(response.raw.toString('latin1'), expected)
    await caughtUp()
    client.halfClose()
    assert.equal((await client.readUntilClose()).bytes.length, 0)
  } else {
    const { bytes, ending } = await client.readUntilClose()
    assert.equal(bytes.toString('latin1'), expected)
    assert.equal(ending, 'fin')
  }
  await scene.recorded(1)
  assert.deepEqual(scene.plane.faults, [])
  assert.equal(scene.plane.counters.loadBalancer(0, 'sentBytes'), expected.length)
}

const cases: readonly Case[] = [
  {
    what: 'Date, Content-Type, length and Connection come first, the others follow as they were',
    said: [
      'HTTP/1.1 200 All Right',
      'server: nginx/1.29',
      'X-One:  1 ',
      'content-length: 2',
      'Set-Cookie: a=1',
      'content-TYPE: text/plain',
      'date: Fri, 02 Jan 2026 00:00:00 GMT',
      'Set-Cookie: b=2',
    ],
    body: 'ok',
    sent: [
      'HTTP/1.1 200 All Right',
      'Date: Fri, 02 Jan 2026 00:00:00 GMT',
      'content-TYPE: text/plain',
      'content-length: 2',
      'Connection: keep-alive',
      'server: nginx/1.29',
      'X-One:  1 ',
      'Set-Cookie: a=1',
      'Set-Cookie: b=2',
    ],
    isKept: true,
  },
  {
    what: 'a response without a Date is given one, and one without a reason keeps none',
    said: ['HTTP/1.1 299', 'Content-Length: 0'],
    sent: ['HTTP/1.1 299 ', date, 'Content-Length: 0', 'Connection: keep-alive'],
    isKept: true,
  },
  {
    what: 'what belongs to one connection ends here',
    said: [
      'HTTP/1.1 200 OK',
      'Connection: close, X-Mine',
      'Keep-Alive: timeout=5',
      'Proxy-Connection: close',
      'Trailer: X-Sum',
      'TE: trailers',
      'Upgrade: h2c',
      'X-Mine: 1',
      'X-Stays: 2',
      'Content-Length: 0',
    ],
    sent: ['HTTP/1.1 200 OK', date, 'Content-Length: 0', 'Connection: keep-alive', 'X-Stays: 2'],
    isKept: true,
  },
  {
    what: 'chunks stay chunks, less their extensions and trailers',
    said: ['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'Trailer: T'],
    body: '3;x=1\r\nabc\r\n0\r\nT: 1\r\n\r\n',
    sent: ['HTTP/1.1 200 OK', date, 'Transfer-Encoding: chunked', 'Connection: keep-alive'],
    sentBody: '3\r\nabc\r\n0\r\n\r\n',
    isKept: true,
  },
  {
    what: 'a body that ends with its connection becomes chunks',
    said: ['HTTP/1.1 200 OK'],
    body: 'abc',
    targetCloses: true,
    sent: ['HTTP/1.1 200 OK', date, 'Transfer-Encoding: chunked', 'Connection: keep-alive'],
    sentBody: '3\r\nabc\r\n0\r\n\r\n',
    isKept: true,
  },
  {
    what: 'an empty body that ends with its connection is a last chunk',
    said: ['HTTP/1.1 200 OK'],
    targetCloses: true,
    sent: ['HTTP/1.1 200 OK', date, 'Transfer-Encoding: chunked', 'Connection: keep-alive'],
    sentBody: '0\r\n\r\n',
    isKept: true,
  },
  {
    what: 'an HTTP/1.0 target is relayed as HTTP/1.1',
    said: ['HTTP/1.0 404 Nope', 'Content-Length: 2'],
    body: 'no',
    sent: ['HTTP/1.1 404 Nope', date, 'Content-Length: 2', 'Connection: keep-alive'],
    isKept: true,
  },
  {
    what: 'an HTTP/1.0 client is answered in HTTP/1.1 and closed',
    request: old,
    said: ['HTTP/1.1 200 OK', 'Content-Length: 2'],
    body: 'ok',
    sent: ['HTTP/1.1 200 OK', date, 'Content-Length: 2', 'Connection: close'],
    isKept: false,
  },
  {
    what: 'an HTTP/1.0 client that asks for it is kept',
    request: oldKept,
    said: ['HTTP/1.1 200 OK', 'Content-Length: 2'],
    body: 'ok',
    sent: ['HTTP/1.1 200 OK', date, 'Content-Length: 2', 'Connection: keep-alive'],
    isKept: true,
  },
  {
    what: 'an HTTP/1.0 client gets no chunks but the data, and then the end',
    request: oldKept,
    said: ['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked'],
    body: '3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n',
    sent: ['HTTP/1.1 200 OK', date, 'Connection: close'],
    sentBody: 'abcde',
    isKept: false,
  },
  {
    what: 'an HTTP/1.0 client gets a body that ends with its connection as it is',
    request: oldKept,
    said: ['HTTP/1.1 200 OK'],
    body: 'abc',
    targetCloses: true,
    sent: ['HTTP/1.1 200 OK', date, 'Connection: close'],
    isKept: false,
  },
  {
    what: 'a client that wants to close is told so, and closed',
    request: 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n',
    said: ['HTTP/1.1 200 OK', 'Content-Length: 2'],
    body: 'ok',
    sent: ['HTTP/1.1 200 OK', date, 'Content-Length: 2', 'Connection: close'],
    isKept: false,
  },
  {
    what: 'HEAD keeps the length of what it leaves out',
    request: head,
    said: ['HTTP/1.1 200 OK', 'Content-Length: 100'],
    sent: ['HTTP/1.1 200 OK', date, 'Content-Length: 100', 'Connection: keep-alive'],
    isKept: true,
  },
  {
    what: 'HEAD without a length has no body either',
    request: head,
    said: ['HTTP/1.1 200 OK'],
    sent: ['HTTP/1.1 200 OK', date, 'Connection: keep-alive'],
    isKept: true,
  },
  {
    what: 'a 204 has no body',
    said: ['HTTP/1.1 204 No Content', 'X-One: 1'],
    sent: ['HTTP/1.1 204 No Content', date, 'Connection: keep-alive', 'X-One: 1'],
    isKept: true,
  },
  {
    what: 'a 304 keeps the length of what it leaves out',
    said: ['HTTP/1.1 304 Not Modified', 'ETag: "a"', 'Content-Length: 100'],
    sent: ['HTTP/1.1 304 Not Modified', date, 'Content-Length: 100', 'Connection: keep-alive', 'ETag: "a"'],
    isKept: true,
  },
  {
    what: 'interim responses end here',
    said: [
      'HTTP/1.1 100 Continue',
      '',
      'HTTP/1.1 103 Early Hints',
      'Link: </a>',
      '',
      'HTTP/1.1 200 OK',
      'Content-Length: 2',
    ],
    body: 'ok',
    sent: ['HTTP/1.1 200 OK', date, 'Content-Length: 2', 'Connection: keep-alive'],
    isKept: true,
  },
  {
    what: 'what follows a complete response is not relayed',
    said: ['HTTP/1.1 200 OK', 'Content-Length: 2'],
    body: 'okHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmore',
    sent: ['HTTP/1.1 200 OK', date, 'Content-Length: 2', 'Connection: keep-alive'],
    sentBody: 'ok',
    isKept: true,
  },
]

for (const each of cases) test(each.what, t => check(t, each))

test('interim responses end here also when they come one by one', async t => {
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const scene = await startScene(t, {
    targets: [
      async connection => {
        await connection.readRequest()
        await connection.send('HTTP/1.1 102 Processing\r\n\r\n')
        await gates[0]!.promise
        await connection.send('HTTP/1.1 103 Early')
        await gates[1]!.promise
        await connection.send(' Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
        await connection.drain()
      },
    ],
  })
  const client = await scene.client()
  await client.send(get)
  for (const gate of gates) {
    await caughtUp()
    gate.resolve()
  }
  assert.equal((await client.readResponse()).status, 200)
})

test('a response that is cut anywhere is the same', async t => {
  const response = 'HTTP/1.1 200 OK\r\nX-One: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n'
  const scene = await startScene(t, {
    targets: [
      async connection => {
        while ((await connection.readRequest()) !== null) {
          for (const byte of response) {
            await connection.send(byte)
            await caughtUp()
          }
        }
      },
    ],
  })
  const { raw } = await scene.ask(get)
  const sent = lines(['HTTP/1.1 200 OK', date, 'Transfer-Encoding: chunked', 'Connection: keep-alive', 'X-One: 1'])
  assert.equal(raw.toString(), `${sent}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`)
})

test("the load balancer's own answers to HEAD have the length of the page, and no page", async t => {
  const scene = await startScene(t, {})
  const { raw, body } = await scene.ask('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.match(raw.toString(), /^HTTP\/1\.1 503 .*\r\nContent-Length: 162\r\nConnection: keep-alive\r\n\r\n$/s)
  assert.equal(body.length, 0)
})

test('a malformed HEAD is a 400 of 150 bytes', async t => {
  const scene = await startScene(t, { targets: [sendsAfterRequest(() => '')] })
  const client = await scene.client()
  await client.send('HEAD / HTTP/1.1\r\nBad Name: 1\r\n\r\n')
  assert.equal((await client.readUntilClose()).bytes.length, 150)
})
