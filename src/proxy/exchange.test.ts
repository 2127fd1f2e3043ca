import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInThisContext } from 'node:vm'
import { data, END_STREAM, type Fields, get, headers, post, rstStream } from '../../test/support/h2-frames.ts'
import { connectRawH2 } from '../../test/support/h2-raw-client.ts'
import { errorPage } from '../../test/support/pages.ts'
import { forwardToApp, startScene } from '../../test/support/scene.ts'
import { secureListener } from '../../test/support/secure-listener.ts'
import { answering, garbage, inTurn, neverAnswers } from '../../test/support/target-scripts.ts'
import { caughtUp } from '../../test/support/turns.ts'
import { AssertionError } from '../base/assert.ts'
import type { PlaneContext } from './context.ts'
import { Exchange, Side } from './exchange.ts'

const plane = {} as PlaneContext

/** Compares the hidden classes of two objects: nothing for programs, but V8 offers it to tests. */
setFlagsFromString('--allow-natives-syntax')
const haveSameShape: (one: object, other: object) => boolean = runInThisContext(
  '(one, other) => %HaveSameMap(one, other)',
)

/** Every exchange that begins, in its order. */
function watchBeginnings(restore: (undo: () => void) => void): Exchange[] {
  const begun: Exchange[] = []
  const { begin } = Exchange.prototype
  Exchange.prototype.begin = function (...args) {
    begun.push(this)
    begin.apply(this, args)
  }
  restore(() => {
    Exchange.prototype.begin = begin
  })
  return begun
}

test('the comparison of shapes can tell two apart', () => {
  assert.equal(haveSameShape({ a: 1 }, { a: 2 }), true)
  assert.equal(haveSameShape({ a: 1 }, { a: 1, b: 2 }), false)
})

test('exchanges that went different ways have one shape', async t => {
  const begun = watchBeginnings(undo => t.after(undo))
  const upgraded = garbage('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
  const at = (path: string, action: unknown) => ({
    conditions: [{ field: 'path-pattern', values: [path] }],
    actions: [action],
  })
  const scene = await startScene(t, {
    targets: [inTurn(garbage(), upgraded, neverAnswers, answering(200, 'ok'))],
    rules: [
      { priority: 1, ...at('/fixed', { type: 'fixed-response', fixedResponse: { statusCode: 200 } }) },
      { priority: 2, ...at('/gone', { type: 'redirect', redirect: { host: 'b', statusCode: 'HTTP_301' } }) },
    ],
    defaultAction: forwardToApp,
  })
  // All of them begin before any ends, since an exchange that ended is used again.
  const clients = await Promise.all(Array.from({ length: 7 }, () => scene.client()))
  for (const client of clients) await client.send('G')
  await caughtUp()
  const rest = (path: string, fields = '') => `ET ${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`
  const requests = [
    rest('/bad-gateway'),
    rest('/tunnel', 'Connection: upgrade\r\nUpgrade: websocket\r\n'),
    rest('/left'),
    rest('/success'),
    rest('/fixed'),
    rest('/gone'),
    'nonsense\r\n\r\n',
  ]
  for (const [i, client] of clients.entries()) {
    await client.send(requests[i]!)
    if (i < 4) await scene.target.receivedRequests(i + 1)
    await caughtUp()
  }
  clients[1]!.reset()
  clients[2]!.reset()
  await scene.recorded(7)
  assert.equal((await clients[0]!.readResponse()).raw.toString(), errorPage('502 Bad Gateway'))
  assert.deepEqual(scene.plane.faults.toSorted(), ['clientClosed', 'clientHeadMalformed', 'responseHeadMalformed'])

  assert.equal(new Set(begun).size, 7)
  for (const exchange of begun) assert.ok(haveSameShape(exchange, begun[0]!))
  assert.ok(haveSameShape(new Exchange(plane), begun[0]!))
})

test('exchanges of HTTP/2 have that shape as well', async t => {
  const begun = watchBeginnings(undo => t.after(undo))
  const scene = await startScene(t, {
    ...secureListener,
    targets: [inTurn(garbage(), neverAnswers, answering(200, 'ok'))],
    groups: [
      { name: 'h2', protocol: 'HTTP', protocolVersion: 'HTTP2', port: 80, targets: [{ id: '127.0.0.1', port: 1 }] },
    ],
    rules: [
      {
        priority: 1,
        conditions: [{ field: 'path-pattern', values: ['/h2'] }],
        actions: [{ type: 'forward', targetGroup: 'h2' }],
      },
    ],
  })
  const client = await connectRawH2(t, scene.plane.port)
  const atH2: Fields = [...get.slice(0, 3), [':path', '/h2']]
  // The second waits until all have begun.
  for (const [i, fields] of [get, get, post].entries()) {
    await client.send(headers(2 * i + 1, fields), data(2 * i + 1, 'body', END_STREAM))
    await scene.target.receivedRequests(i + 1)
    await caughtUp()
  }
  await client.send(headers(7, [...get, ['te', 'x']], END_STREAM), headers(9, atH2, END_STREAM))
  await client.answer(9)
  await client.send(rstStream(3, 8))
  await scene.recorded(5)
  const faults = ['clientClosed', 'clientStreamMalformed', 'responseHeadMalformed', 'targetRefused']
  assert.deepEqual(scene.plane.faults.toSorted(), faults)
  for (const exchange of begun) assert.ok(haveSameShape(exchange, new Exchange(plane)))
})

test('behind reset, nothing of the request before is left', () => {
  const used = new Exchange(plane) as unknown as Record<string, unknown>
  // What was seen last is only ever compared with what a request names.
  const own = new Set(['plane', 'head', 'requestBody', 'responseBody', 'seenAuthority', 'seenHost'])
  for (const key of Object.keys(used)) if (!own.has(key)) used[key] = 'left over'
  const exchange = used as unknown as Exchange
  exchange.head.read(Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), 0, 27)
  assert.equal(exchange.head.length, 27)
  exchange.reset()
  const fresh = new Exchange(plane)
  for (const key of Object.keys(fresh) as (keyof Exchange)[]) {
    if (!own.has(key)) assert.equal(exchange[key], fresh[key], key)
  }
  assert.equal(exchange.head.length, 0)
  assert.equal(exchange.head.fieldCount, 0)
})

test('neither side goes back', () => {
  const exchange = new Exchange(plane)
  exchange.moveRequest(Side.body)
  exchange.moveResponse(Side.done)
  assert.throws(() => exchange.moveRequest(Side.body), AssertionError)
  assert.throws(() => exchange.moveResponse(Side.body), AssertionError)
  exchange.moveRequest(Side.done)
})
