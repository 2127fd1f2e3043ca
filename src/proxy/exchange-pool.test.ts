import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { startScene } from '../../test/support/scene.ts'
import { neverAnswers } from '../../test/support/target-scripts.ts'
import { exchangesUnrecordedMax } from '../model/limits.ts'
import { CounterSlab } from '../observe/counters.ts'
import type { Exchange } from './exchange.ts'
import { ExchangePool } from './exchange-pool.ts'

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
const fixed = {
  type: 'fixed-response',
  fixedResponse: { statusCode: 200, contentType: 'text/plain', messageBody: 'ok' },
}

/** Calls `watch` whenever an exchange was handed over to be recorded. */
function watchEnds(watch: (exchange: Exchange) => void): Disposable {
  const { recordSoon } = ExchangePool.prototype
  ExchangePool.prototype.recordSoon = function (exchange) {
    recordSoon.call(this, exchange)
    watch(exchange)
  }
  return {
    [Symbol.dispose]: () => {
      ExchangePool.prototype.recordSoon = recordSoon
    },
  }
}

test('an exchange is recorded when the turn is over in which it ended', async t => {
  const scene = await startScene(t, { targets: [], defaultAction: fixed })
  // A slab of its own has what is counted, and asks nobody to count first.
  const slab = new CounterSlab(scene.plane.counters.memory)
  const counted: number[] = []
  const count = () => void counted.push(slab.loadBalancer(0, 'exchanges'))
  using _ = watchEnds(() => {
    count()
    setImmediate().then(count)
  })
  assert.equal((await scene.ask(get('/'))).status, 200)
  await setImmediate()
  assert.deepEqual(counted, [0, 1])
})

test('thousands of pipelined requests use a bounded number of exchanges, and are logged in their order', async t => {
  const count = 2000
  assert.ok(count > 2 * exchangesUnrecordedMax)
  const scene = await startScene(t, { targets: [], defaultAction: fixed })
  const used = new Set<Exchange>()
  using _ = watchEnds(exchange => used.add(exchange))
  const client = await scene.client()
  await client.send(Array.from({ length: count }, (_, i) => get(`/${i}`)).join(''))
  for (let i = 0; i < count; i++) assert.equal((await client.readResponse()).status, 200)
  assert.ok(used.size <= exchangesUnrecordedMax + 1, `${used.size} exchanges were used`)
  const logged = (await scene.plane.logLines()).map(line => /"GET \S+\/(\d+) HTTP/.exec(line)?.[1])
  assert.deepEqual(
    logged,
    Array.from({ length: count }, (_, i) => String(i)),
  )
})

test('exchanges that lie unused hold nothing of what they carried', async t => {
  const scene = await startScene(t, { targets: [], defaultAction: fixed })
  const used = new Set<Exchange>()
  using _ = watchEnds(exchange => used.add(exchange))
  const client = await scene.client()
  const large = `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(10_000)}\r\n\r\n`
  await client.send(large.repeat(10))
  for (let i = 0; i < 10; i++) assert.equal((await client.readResponse()).status, 200)
  await scene.recorded(10)
  assert.ok(used.size > 1)
  for (const exchange of used) {
    assert.ok(exchange.client === null && exchange.listener === null)
    assert.ok(exchange.head.bytes.length < 10_000, `a head holds ${exchange.head.bytes.length} bytes`)
  }
})

test('a stop resolves when all that it ended was recorded', async t => {
  const scene = await startScene(t, { targets: [neverAnswers] })
  const client = await scene.client()
  await client.send(get('/'))
  await scene.target.receivedRequests(1)
  const slab = new CounterSlab(scene.plane.counters.memory)
  await scene.plane.plane.stop(0)
  assert.equal(slab.loadBalancer(0, 'exchanges'), 1)
})
