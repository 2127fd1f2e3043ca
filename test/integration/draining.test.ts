/** Targets leave under load: who is cut off is exactly who outlasted the deregistration delay. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TargetStateCode } from '../../src/model/target-states.ts'
import type { Script } from '../support/misbehaving-target.ts'
import { logFields } from '../support/plane.ts'
import type { RawClient } from '../support/raw-client.ts'
import { startScene } from '../support/scene.ts'
import { answering } from '../support/target-scripts.ts'

const delayMs = 30_000
const groupAttributes = { 'deregistration_delay.timeout_seconds': String(delayMs / 1000) }
/** Of each kind: those that end within the delay, and those that do not. */
const requests = 30

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`

/** Answers what asks for `/late` when it is let go, all else never. */
function answeringLate(): { readonly script: Script; readonly letGo: () => void } {
  const gate = Promise.withResolvers<void>()
  return {
    async script(connection) {
      const request = await connection.readRequest()
      if (request?.head.startsWith('GET /late ')) {
        await gate.promise
        await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold')
      }
      await connection.drain()
    },
    letGo: gate.resolve,
  }
}

test('exactly the requests that outlast the delay of their target are cut off; all others are answered', async t => {
  const leaving = answeringLate()
  const scene = await startScene(t, { targets: [leaving.script], groupAttributes })
  const ask = async (path: string): Promise<RawClient> => {
    const client = await scene.client()
    await client.send(get(path))
    return client
  }
  const within = await Promise.all(Array.from({ length: requests }, () => ask('/late')))
  const beyond = await Promise.all(Array.from({ length: requests }, () => ask('/never')))
  await scene.target.receivedRequests(2 * requests)

  const successor = await startScene(t, { targets: [answering(200, 'new')] })
  await scene.plane.publish(scene.config({ addresses: [{ id: '127.0.0.1', port: successor.target.port }] }))
  const asked: Promise<string>[] = []
  for (let i = 0; i < requests; i++) {
    scene.plane.clock.advance(delayMs / requests / 2)
    asked.push(ask('/').then(async client => (await client.readResponse()).body.toString()))
  }
  assert.deepEqual(new Set(await Promise.all(asked)), new Set(['new']))

  leaving.letGo()
  for (const client of within) assert.equal((await client.readResponse()).body.toString(), 'old')
  assert.equal(scene.plane.states.state(0), TargetStateCode.draining)
  scene.plane.clock.advance(delayMs / 2)
  for (const client of beyond) {
    const response = await client.readResponse()
    assert.deepEqual([response.status, response.byteCount], [502, 277])
  }
  assert.equal(scene.plane.states.state(0), TargetStateCode.unused)
  await scene.target.closedConnections()
  assert.equal(scene.target.requests.length, 2 * requests)

  await scene.recorded(3 * requests)
  assert.deepEqual(
    scene.plane.faults,
    Array.from({ length: requests }, () => 'deregistrationExpired'),
  )
  const shapes = (await scene.plane.logLines()).map(line => {
    const fields = logFields(line)
    const [, path] = fields[13]!.split(' http://a:80')
    return `${path!.split(' ')[0]} ${fields[7] === '-1' ? -1 : 'time'} ${fields[9]} ${fields[10]}`
  })
  const counts = new Map<string, number>()
  for (const shape of shapes) counts.set(shape, (counts.get(shape) ?? 0) + 1)
  assert.deepEqual(
    counts,
    new Map([
      ['/ time 200 200', requests],
      ['/late time 200 200', requests],
      ['/never -1 502 -', requests],
    ]),
  )
})
