/**
 * What the load balancer itself has to refuse or to cut off.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FaultTests } from '../support/fault-tests.ts'
import { assertShape } from '../support/log-line.ts'
import type { Script } from '../support/misbehaving-target.ts'
import { errorPage } from '../support/pages.ts'
import { forwardToApp, startScene } from '../support/scene.ts'
import * as scripts from '../support/target-scripts.ts'
import { caughtUp } from '../support/turns.ts'

const tests = new FaultTests()
const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

tests.provokes('groupEmpty', 'a group without targets is a 503, and no request of a target', {}, async scene => {
  const client = await scene.client()
  await client.send(get)
  const answer = errorPage('503 Service Temporarily Unavailable')
  assert.equal(answer.length, 337)
  return {
    client,
    answer,
    connection: 'keep-alive',
    line: { target: null, times: '-1 -1 -1', statuses: '503 -', bytes: '27 337' },
    counters: { HTTPCode_ELB_5XX_Count: 1, HTTPCode_ELB_503_Count: 1 },
  }
})

tests.provokes(
  'weightsZero',
  'a forward whose target groups all have the weight 0 is a 503, and no target group is to blame',
  { defaultAction: { type: 'forward', forward: { targetGroups: [{ targetGroup: 'app', weight: 0 }] } } },
  async scene => {
    const client = await scene.client()
    await client.send(get)
    return {
      client,
      answer: errorPage('503 Service Temporarily Unavailable'),
      connection: 'keep-alive',
      line: { target: null, targetGroup: null, times: '-1 -1 -1', statuses: '503 -', bytes: '27 337' },
      counters: { HTTPCode_ELB_5XX_Count: 1, HTTPCode_ELB_503_Count: 1 },
    }
  },
)

tests.provokes(
  'transformFailed',
  'a transform that gives no usable path is a 500, and no request of a target',
  {
    targets: [scripts.echo],
    rules: [
      {
        priority: 3,
        conditions: [{ field: 'path-pattern', values: ['/'] }],
        transforms: [{ type: 'url-rewrite', urlRewrite: { rewrites: [{ regex: '^/$', replace: 'x' }] } }],
        actions: [forwardToApp],
      },
    ],
  },
  async scene => {
    const client = await scene.client()
    await client.send(get)
    const answer = errorPage('500 Internal Server Error', { connection: 'close' })
    return {
      client,
      answer,
      connection: 'close',
      line: {
        target: null,
        times: '-1 -1 -1',
        statuses: '500 -',
        bytes: `27 ${answer.length}`,
        action: 'rewrite',
        rule: '3',
        transformStatus: 'TransformInvalidPath',
      },
      counters: { HTTPCode_ELB_5XX_Count: 1, HTTPCode_ELB_500_Count: 1 },
    }
  },
)

tests.provokesElsewhere('connectFailed', 'out-of-descriptors.test-process.ts', 64)

tests.provokes(
  'deregistrationExpired',
  'a request that outlasts the deregistration delay of its target is a 502, a moment earlier it is not',
  { targets: [scripts.neverAnswers], groupAttributes: { 'deregistration_delay.timeout_seconds': '30' } },
  async scene => {
    const client = await scene.client()
    await client.send(get)
    await scene.target.receivedRequests(1)
    scene.plane.clock.advance(7)
    await scene.plane.publish(scene.config({ addresses: [] }))
    scene.plane.clock.advance(29_999)
    assert.deepEqual(scene.plane.faults, [])
    scene.plane.clock.advance(1)
    await scene.target.closedConnections()
    return {
      client,
      answer: errorPage('502 Bad Gateway', { time: '12:00:30' }),
      connection: 'keep-alive',
      line: {
        target: scene.targetAddress,
        times: '0.000 -1 -1',
        statuses: '502 -',
        bytes: '27 277',
        endedMs: 30_007,
      },
      counters: { RequestCount: 1, HTTPCode_ELB_5XX_Count: 1, HTTPCode_ELB_502_Count: 1 },
      targetCounters: { connectionsOpened: 1 },
    }
  },
)

tests.provokes(
  'deregistrationExpiredDuringResponse',
  'a response that outlasts it is cut off, with the status that was relayed',
  { targets: [scripts.stalledBody(100, 40)], groupAttributes: { 'deregistration_delay.timeout_seconds': '30' } },
  async scene => {
    const client = await scene.client()
    await client.send(get)
    await scene.target.receivedRequests(1)
    await caughtUp()
    await scene.plane.publish(scene.config({ addresses: [] }))
    scene.plane.clock.advance(30_000)
    const { bytes, ending } = await client.readUntilClose()
    assert.match(bytes.toString('latin1'), /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\na{40}$/s)
    assert.equal(ending, 'fin')
    return {
      client,
      answer: null,
      connection: 'close',
      line: {
        target: scene.targetAddress,
        times: '0.000 0.000 0.000',
        statuses: '200 200',
        bytes: `27 ${bytes.length}`,
        endedMs: 30_000,
      },
      counters: { RequestCount: 1 },
      targetCounters: { connectionsOpened: 1, HTTPCode_Target_2XX_Count: 1 },
    }
  },
)

tests.provokes(
  'shutdownDuringExchange',
  'what a stop does not wait for is cut off, and recorded',
  { targets: [scripts.stalledBody(100, 40)] },
  async scene => {
    const client = await scene.client()
    await client.send(get)
    await scene.target.receivedRequests(1)
    await caughtUp()
    await scene.plane.plane.stop(0)
    const { bytes } = await client.readUntilClose()
    assert.match(bytes.toString('latin1'), /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\na{40}$/s)
    return {
      client,
      answer: null,
      connection: 'close',
      line: {
        target: scene.targetAddress,
        times: '0.000 0.000 0.000',
        statuses: '200 200',
        bytes: `27 ${bytes.length}`,
      },
      counters: { RequestCount: 1 },
      targetCounters: { connectionsOpened: 1, HTTPCode_Target_2XX_Count: 1 },
    }
  },
)

test('a target without a delay is cut off at once', async t => {
  const groupAttributes = { 'deregistration_delay.timeout_seconds': '0' }
  const scene = await startScene(t, { targets: [scripts.neverAnswers], groupAttributes })
  const client = await scene.client()
  await client.send(get)
  await scene.target.receivedRequests(1)
  await scene.plane.publish(scene.config({ addresses: [] }))
  scene.plane.clock.advance(0)
  assert.equal((await client.readResponse()).status, 502)
  assert.deepEqual(scene.plane.faults, ['deregistrationExpired'])
})

test('what happens behind an answer does not change what is said of it', async t => {
  const speaksTooSoon: Script = async connection => {
    await connection.send('nonsense\r\n\r\n')
    await connection.drain()
  }
  const groupAttributes = { 'deregistration_delay.timeout_seconds': '0' }
  const scene = await startScene(t, { targets: [speaksTooSoon], groupAttributes })
  const client = await scene.client()
  await client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc')
  assert.equal((await client.readResponse()).status, 502)
  await scene.plane.publish(scene.config({ addresses: [] }))
  scene.plane.clock.advance(0)
  await scene.recorded(1)
  assert.deepEqual(scene.plane.faults, ['responseHeadMalformed'])
  const line = { target: scene.targetAddress, times: '0.000 0.000 -1', statuses: '502 -', bytes: '50 277' }
  assertShape(await scene.line(), scene, client, { ...line, request: 'POST http://a:80/ HTTP/1.1' })
})

tests.provokes(
  'redirectTooLong',
  'a redirect whose Location would be longer than 8 K is a 507',
  { defaultAction: { type: 'redirect', redirect: { host: 'b.example', statusCode: 'HTTP_301' } } },
  async scene => {
    const client = await scene.client()
    const path = `/${'a'.repeat(8 * 1024)}`
    await client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
    const answer = errorPage('507 Insufficient Storage')
    return {
      client,
      answer,
      connection: 'keep-alive',
      line: {
        target: null,
        times: '-1 -1 -1',
        statuses: '507 -',
        bytes: `${path.length + 26} ${answer.length}`,
        request: `GET http://a:80${path} HTTP/1.1`,
        action: 'redirect',
      },
      counters: { HTTPCode_ELB_5XX_Count: 1, HTTP_Redirect_Url_Limit_Exceeded_Count: 1 },
    }
  },
)

tests.provokes(
  'shutdownBeforeAnswer',
  'a request that a stop does not wait for is told so',
  { targets: [scripts.neverAnswers] },
  async scene => {
    const client = await scene.client()
    await client.send(get)
    await scene.target.receivedRequests(1)
    await scene.plane.plane.stop(0)
    return {
      client,
      answer: errorPage('503 Service Temporarily Unavailable', { connection: 'close' }),
      connection: 'close',
      line: { target: scene.targetAddress, times: '0.000 -1 -1', statuses: '503 -', bytes: '27 332' },
      counters: { RequestCount: 1, HTTPCode_ELB_5XX_Count: 1, HTTPCode_ELB_503_Count: 1 },
      targetCounters: { connectionsOpened: 1 },
    }
  },
)

tests.coverSide('balancer')
