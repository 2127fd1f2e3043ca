/**
 * Faults as a client of HTTP/2 sees them: frames, log line and counters of each that a stream can meet. What they are
 * called, and how HTTP/1.1 shows them, is in `faults-*.test.ts`.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectTimeoutMs } from '../../src/model/limits.ts'
import { FaultTests } from '../support/fault-tests.ts'
import { fullListener } from '../support/full-listener.ts'
import {
  data,
  END_STREAM,
  type Fields,
  get,
  headers,
  literals,
  post,
  rstStream,
  settings,
} from '../support/h2-frames.ts'
import { connectRawH2, longHeaders, type RawH2Client } from '../support/h2-raw-client.ts'
import type { LineShape } from '../support/log-line.ts'
import { errorPage, padding } from '../support/pages.ts'
import { refusedPort } from '../support/refused-port.ts'
import { forwardToApp, type Scene, startScene } from '../support/scene.ts'
import { secureListener } from '../support/secure-listener.ts'
import * as scripts from '../support/target-scripts.ts'
import { caughtUp, stalled } from '../support/turns.ts'

const tests = new FaultTests()
const answering = { targets: [scripts.answering(200, 'ok')] }
const waiting = { targets: [scripts.neverAnswers] }

const sizeOf = (fields: Fields) => 9 + literals(fields).length
const bodyOf = (page: string) => page.slice(page.indexOf('\r\n\r\n') + 4)
const pathed = (path: string, method = 'GET'): Fields => [
  [':method', method],
  [':scheme', 'https'],
  [':authority', 'a'],
  [':path', path],
]

/** The frames of an error page, and their bytes as the log counts them. */
function page(title: string, time = '12:00:00'): readonly string[] {
  const body = bodyOf(errorPage(title))
  const head = `:status=${title.slice(0, 3)} server=awselb/2.0 date=Thu, 01 Jan 2026 ${time} GMT content-type=text/html`
  return [`HEADERS 1 ${head} content-length=${body.length}`, `DATA 1 end ${body.length} bytes`]
}

const bare = (status: number) =>
  `HEADERS 1 end :status=${status} server=awselb/2.0 date=Thu, 01 Jan 2026 12:00:00 GMT content-length=0`

/** Waits for the answer; the rest of its line is for the log. */
async function answered(client: RawH2Client, received: number): Promise<{ bytes: string }> {
  await client.answer(1)
  return { bytes: `${received} ${client.answerBytes(1)}` }
}

const refused = { target: null, times: '-1 -1 -1', action: '' } as const
const clientError = { HTTPCode_ELB_4XX_Count: 1 }
const routedError = { RequestCount: 1, HTTPCode_ELB_4XX_Count: 1 }
const badGateway = { RequestCount: 1, HTTPCode_ELB_5XX_Count: 1, HTTPCode_ELB_502_Count: 1 }
const gatewayTimeout = { RequestCount: 1, HTTPCode_ELB_5XX_Count: 1, HTTPCode_ELB_504_Count: 1 }
const opened = { connectionsOpened: 1 }
const blamed = { ...opened, faults: 1 }

/** Sends the beginning of a request that its target is shown, too. */
async function begin(scene: Scene, client: RawH2Client, ...frames: readonly Buffer[]): Promise<void> {
  await client.send(...frames)
  await scene.target.acceptedConnections(1)
  await caughtUp()
}

// --- What cannot be read, or must not go on ---

/** The line of a request that could not be read: nothing was received, and it was for the load balancer itself. */
function unreadable(scene: Scene, client: RawH2Client, statuses: string): LineShape {
  const request = `- https://${scene.loadBalancer.dnsName}:443- -`
  return { ...refused, statuses, bytes: `0 ${client.answerBytes(1)}`, request }
}

const long = 'a'.repeat(16_384)
const large: readonly (readonly [code: 'clientHeadTooLarge' | 'clientUriTooLarge', how: string, fields: Fields])[] = [
  ['clientHeadTooLarge', 'a field of more than 16 K is a 400', [...get, ['a', long]]],
  [
    'clientHeadTooLarge',
    'a head of more than 64 K is a 400',
    [...get, ...Array.from({ length: 5 }, (_, i) => [`a${i}`, long.slice(0, 13_100)] as const)],
  ],
  ['clientUriTooLarge', 'a path of more than 16 K is a 414', pathed(`/${long}`)],
  ['clientUriTooLarge', 'a path that makes the request line longer than 16 K is a 414', pathed(`/${long.slice(13)}`)],
]

for (const [code, how, fields] of large) {
  tests.provokesOnStream(code, how, answering, async (scene, client) => {
    const request = longHeaders(1, fields, END_STREAM)
    await client.send(request)
    const title = code === 'clientUriTooLarge' ? '414 Request-URI Too Large' : '400 Bad Request'
    assert.deepEqual(await client.answer(1), page(title))
    return {
      answer: null,
      line: unreadable(scene, client, `${title.slice(0, 3)} -`),
      counters: { ...clientError, receivedBytes: request.length },
    }
  })
}

test('a HEAD that is too large is answered without a body', async t => {
  const scene = await startScene(t, { ...secureListener, ...answering })
  const client = await connectRawH2(t, scene.plane.port)
  await client.send(longHeaders(1, [...pathed('/', 'HEAD'), ['a', long]], END_STREAM))
  await client.send(longHeaders(3, pathed(`/${long.slice(13)}`, 'HEAD'), END_STREAM))
  assert.match((await client.answer(1)).join(), /^HEADERS 1 end :status=400 .* content-length=122$/)
  assert.match((await client.answer(3)).join(), /^HEADERS 3 end :status=414 .* content-length=142$/)
})

test('a field, a head and a path that are as long as they may be are served', async t => {
  const scene = await startScene(t, { ...secureListener, ...answering })
  const client = await connectRawH2(t, scene.plane.port)
  const fitting: readonly Fields[] = [
    [...get, ['a', long.slice(3)]],
    [...get, ...Array.from({ length: 5 }, (_, i) => [`a${i}`, long.slice(0, 12_900)] as const)],
    pathed(`/${long.slice(14)}`),
  ]
  for (const [i, fields] of fitting.entries()) {
    await client.send(longHeaders(2 * i + 1, fields, END_STREAM))
    assert.match((await client.answer(2 * i + 1))[0]!, /^HEADERS \d :status=200 /)
  }
})

const refusals: readonly (readonly [
  code: 'clientHostMissing' | 'clientConnectMethod' | 'clientTraceMethod' | 'clientForwardedForTooLong',
  how: string,
  fields: Fields,
  answer: readonly string[],
  request: string,
])[] = [
  [
    'clientHostMissing',
    'a request that names no host is a 400',
    get.filter(([name]) => name !== ':authority'),
    page('400 Bad Request'),
    'GET https://<dns>:443/ HTTP/2.0',
  ],
  [
    'clientConnectMethod',
    'CONNECT is a 400',
    [
      [':method', 'CONNECT'],
      [':authority', 'a:443'],
    ],
    page('400 Bad Request'),
    'CONNECT https://<dns>:443a:443 HTTP/2.0',
  ],
  [
    'clientTraceMethod',
    'TRACE is a 405',
    pathed('/', 'TRACE'),
    page('405 Not Allowed'),
    'TRACE https://a:443/ HTTP/2.0',
  ],
  [
    'clientForwardedForTooLong',
    '31 addresses are a 463 without a body',
    [...get, ['x-forwarded-for', Array.from({ length: 31 }, (_, i) => `10.0.0.${i}`).join(', ')]],
    [bare(463)],
    'GET https://a:443/ HTTP/2.0',
  ],
]

for (const [code, how, fields, answer, request] of refusals) {
  tests.provokesOnStream(code, how, answering, async (scene, client) => {
    await client.send(headers(1, fields, END_STREAM))
    assert.deepEqual(await client.answer(1), answer)
    const status = answer[0]!.slice(-200).match(/:status=(\d+)/)![1]
    return {
      answer: null,
      line: {
        ...refused,
        statuses: `${status} -`,
        bytes: `${sizeOf(fields)} ${client.answerBytes(1)}`,
        request: request.replace('<dns>', scene.loadBalancer.dnsName),
      },
      counters: clientError,
    }
  })
}

tests.provokesOnStream(
  'clientStreamMalformed',
  'a head against the rules is reset',
  answering,
  async (scene, client) => {
    const fields: Fields = [...get, ['connection', 'close']]
    await client.send(headers(1, fields, END_STREAM))
    await client.answer(1)
    return {
      answer: ['RST_STREAM 1 protocolError'],
      line: unreadable(scene, client, '400 -'),
      counters: { ...clientError, receivedBytes: sizeOf(fields) },
    }
  },
)

const upload: Fields = [...post, ['content-length', '10']]
const postLine = { request: 'POST https://a:443/ HTTP/2.0' }

tests.provokesOnStream(
  'clientStreamMalformed',
  'a body of another length than was said is reset, and the target hears of it',
  waiting,
  async (scene, client) => {
    await begin(scene, client, headers(1, upload), data(1, 'abc'))
    await client.send(data(1, 'd', END_STREAM))
    await scene.target.closedConnections()
    return {
      answer: ['RST_STREAM 1 protocolError'],
      line: {
        ...postLine,
        target: scene.targetAddress,
        times: '0.000 -1 -1',
        statuses: '400 -',
        bytes: `${sizeOf(upload) + 22} 0`,
      },
      counters: routedError,
      targetCounters: opened,
    }
  },
)

// --- Clients that stop half way ---

tests.provokesOnStream(
  'clientBodyTimeout',
  'a body that is not complete in the idle timeout is a 408, and the rest is not wanted',
  waiting,
  async (scene, client) => {
    await begin(scene, client, headers(1, upload), data(1, 'abc'))
    scene.plane.clock.advance(59_999)
    assert.deepEqual(scene.plane.faults, [])
    scene.plane.clock.advance(1)
    await client.answer(1)
    return {
      answer: page('408 Request Time-out', '12:01:00'),
      line: {
        ...postLine,
        target: scene.targetAddress,
        times: '0.000 -1 -1',
        statuses: '408 -',
        bytes: `${sizeOf(upload) + 12} ${client.answerBytes(1)}`,
        endedMs: 60_000,
      },
      counters: routedError,
      targetCounters: opened,
    }
  },
)

const leaving: readonly (readonly [how: string, leave: (client: RawH2Client) => void, isGone: boolean])[] = [
  ['resets its stream', client => void client.send(rstStream(1, 8)), false],
  ['says that it has no more to say', client => client.socket.end(), true],
  ['closes', client => client.socket.destroy(), true],
]

for (const [how, leave, isGone] of leaving) {
  const gone = isGone ? ({ isGone } as const) : {}

  tests.provokesOnStream(
    'clientGoneDuringBody',
    `whoever ${how} in the middle of a body is logged as a 400`,
    waiting,
    async (scene, client) => {
      await begin(scene, client, headers(1, upload), data(1, 'abc'))
      leave(client)
      await scene.target.closedConnections()
      return {
        ...gone,
        answer: null,
        line: {
          ...postLine,
          target: scene.targetAddress,
          times: '0.000 -1 -1',
          statuses: '400 -',
          bytes: `${sizeOf(upload) + 12} 0`,
        },
        counters: routedError,
        targetCounters: opened,
      }
    },
  )

  tests.provokesOnStream(
    'clientClosed',
    `whoever ${how} while the target works is logged as a 460`,
    waiting,
    async (scene, client) => {
      await begin(scene, client, headers(1, get, END_STREAM))
      leave(client)
      await scene.target.closedConnections()
      const { targetAddress: target } = scene
      return {
        ...gone,
        answer: null,
        line: { target, times: '0.000 -1 -1', statuses: '460 -', bytes: `${sizeOf(get)} 0` },
        counters: routedError,
        targetCounters: opened,
      }
    },
  )

  tests.provokesOnStream(
    'clientGoneDuringResponse',
    `whoever ${how} before the response is complete is logged with the status that was relayed`,
    { targets: [scripts.stalledBody(100, 40)] },
    async (scene, client) => {
      await client.send(headers(1, get, END_STREAM))
      await client.sees(`DATA 1 ${JSON.stringify('a'.repeat(40))}`)
      leave(client)
      await scene.target.closedConnections()
      return {
        ...gone,
        answer: null,
        line: {
          target: scene.targetAddress,
          times: '0.000 0.000 0.000',
          statuses: '200 200',
          bytes: `${sizeOf(get)} ${client.answerBytes(1)}`,
        },
        counters: { RequestCount: 1 },
        targetCounters: { ...opened, HTTPCode_Target_2XX_Count: 1 },
      }
    },
  )
}

tests.provokesOnStream(
  'clientClosed',
  'a request that was complete when its client left is a 460, while its target is being connected to as well',
  async t => ({ addresses: [{ id: '127.0.0.1', port: await fullListener(t) }] }),
  async (scene, client) => {
    await client.send(headers(1, post), data(1, 'all of it', END_STREAM))
    await caughtUp()
    await client.send(rstStream(1, 8))
    await scene.recorded(1)
    const [target] = scene.group.targets
    return {
      answer: null,
      line: {
        ...postLine,
        target: `127.0.0.1:${target!.port}`,
        times: '-1 -1 -1',
        statuses: '460 -',
        bytes: `${sizeOf(post) + 18} 0`,
      },
      counters: routedError,
      targetCounters: opened,
    }
  },
)

const noWindow = settings([4, 0])

for (const [what, body] of [
  ['that is still coming', 'a'.repeat(500_000)],
  ['that is all here', 'a'.repeat(5_000)],
] as const) {
  tests.provokesOnStream(
    'clientStalledDuringResponse',
    `whoever opens no window for a response ${what} is reset at the idle timeout`,
    { targets: [scripts.answering(200, body)] },
    async (scene, client) => {
      await client.send(noWindow)
      await client.sees('SETTINGS ack')
      await client.send(headers(1, get, END_STREAM))
      await client.sees(/^HEADERS 1 :status=200/)
      await caughtUp()
      scene.plane.clock.advance(59_999)
      assert.deepEqual(scene.plane.faults, [])
      scene.plane.clock.advance(1)
      await client.sees('RST_STREAM 1 internalError')
      const sent = client.answerBytes(1)
      await client.send(settings([4, 65_535]))
      const isPaused = body.length > 100_000
      return {
        answer: null,
        line: {
          target: scene.targetAddress,
          times: '0.000 0.000 0.000',
          statuses: '200 200',
          bytes: `${sizeOf(get)} ${sent}`,
          endedMs: 60_000,
        },
        counters: { RequestCount: 1, ...(isPaused ? { readingPaused: 1 } : {}) },
        targetCounters: { ...opened, HTTPCode_Target_2XX_Count: 1 },
      }
    },
  )
}

tests.provokesOnStream(
  'clientGoneDuringResponse',
  'whoever resets before it took a response that is all here did not have it',
  { targets: [scripts.answering(200, 'a'.repeat(5_000))] },
  async (scene, client) => {
    await client.send(noWindow, headers(1, get, END_STREAM))
    await client.sees(/^HEADERS 1 :status=200/)
    await caughtUp()
    await client.send(rstStream(1, 8), settings([4, 65_535]))
    return {
      answer: null,
      line: {
        target: scene.targetAddress,
        times: '0.000 0.000 0.000',
        statuses: '200 200',
        bytes: `${sizeOf(get)} ${client.answerBytes(1)}`,
      },
      counters: { RequestCount: 1 },
      targetCounters: { ...opened, HTTPCode_Target_2XX_Count: 1 },
    }
  },
)

test('an error page that its client does not take stays the error that it was', async t => {
  const scene = await startScene(t, secureListener)
  const client = await connectRawH2(t, scene.plane.port)
  await client.send(noWindow, headers(1, get, END_STREAM), headers(3, get, END_STREAM))
  await client.sees(/^HEADERS 3 :status=503/)
  await client.send(rstStream(1, 8))
  await scene.recorded(1)
  scene.plane.clock.advance(60_000)
  await scene.recorded(2)
  assert.deepEqual(scene.plane.faults, ['groupEmpty', 'groupEmpty'])
})

// --- The load balancer's own ---

const balancerError = (status: number) => ({ HTTPCode_ELB_5XX_Count: 1, [`HTTPCode_ELB_${status}_Count`]: 1 })

tests.provokesOnStream('groupEmpty', 'a group without targets is a 503', {}, async (_scene, client) => {
  await client.send(headers(1, get, END_STREAM))
  const { bytes } = await answered(client, sizeOf(get))
  return {
    answer: page('503 Service Temporarily Unavailable'),
    line: { target: null, times: '-1 -1 -1', statuses: '503 -', bytes },
    counters: balancerError(503),
  }
})

tests.provokesOnStream(
  'weightsZero',
  'a forward whose target groups all have the weight 0 is a 503',
  { defaultAction: { type: 'forward', forward: { targetGroups: [{ targetGroup: 'app', weight: 0 }] } } },
  async (_scene, client) => {
    await client.send(headers(1, get, END_STREAM))
    const { bytes } = await answered(client, sizeOf(get))
    return {
      answer: page('503 Service Temporarily Unavailable'),
      line: { target: null, targetGroup: null, times: '-1 -1 -1', statuses: '503 -', bytes },
      counters: balancerError(503),
    }
  },
)

tests.provokesOnStream(
  'transformFailed',
  'a transform that gives no usable path is a 500',
  {
    ...answering,
    rules: [
      {
        priority: 3,
        conditions: [{ field: 'path-pattern', values: ['/'] }],
        transforms: [{ type: 'url-rewrite', urlRewrite: { rewrites: [{ regex: '^/$', replace: 'x' }] } }],
        actions: [forwardToApp],
      },
    ],
  },
  async (_scene, client) => {
    await client.send(headers(1, get, END_STREAM))
    const { bytes } = await answered(client, sizeOf(get))
    return {
      answer: page('500 Internal Server Error'),
      line: {
        target: null,
        times: '-1 -1 -1',
        statuses: '500 -',
        bytes,
        action: 'rewrite',
        rule: '3',
        transformStatus: 'TransformInvalidPath',
      },
      counters: balancerError(500),
    }
  },
)

tests.provokesOnStream(
  'redirectTooLong',
  'a redirect whose Location would be longer than 8 K is a 507',
  { defaultAction: { type: 'redirect', redirect: { host: 'b.example', statusCode: 'HTTP_301' } } },
  async (_scene, client) => {
    const path = `/${'a'.repeat(8 * 1024)}`
    await client.send(headers(1, pathed(path), END_STREAM))
    const { bytes } = await answered(client, sizeOf(pathed(path)))
    return {
      answer: page('507 Insufficient Storage'),
      line: {
        target: null,
        times: '-1 -1 -1',
        statuses: '507 -',
        bytes,
        request: `GET https://a:443${path} HTTP/2.0`,
        action: 'redirect',
      },
      counters: { HTTPCode_ELB_5XX_Count: 1, HTTP_Redirect_Url_Limit_Exceeded_Count: 1 },
    }
  },
)

const drainingFor30s = { groupAttributes: { 'deregistration_delay.timeout_seconds': '30' } }

tests.provokesOnStream(
  'deregistrationExpired',
  'a request that outlasts the deregistration delay of its target is a 502',
  { ...waiting, ...drainingFor30s },
  async (scene, client) => {
    await begin(scene, client, headers(1, get, END_STREAM))
    await scene.plane.publish(scene.config({ addresses: [] }))
    scene.plane.clock.advance(30_000)
    const { bytes } = await answered(client, sizeOf(get))
    return {
      answer: page('502 Bad Gateway', '12:00:30'),
      line: { target: scene.targetAddress, times: '0.000 -1 -1', statuses: '502 -', bytes, endedMs: 30_000 },
      counters: badGateway,
      targetCounters: opened,
    }
  },
)

tests.provokesOnStream(
  'deregistrationExpiredDuringResponse',
  'a response that outlasts it is reset',
  { targets: [scripts.stalledBody(100, 40)], ...drainingFor30s },
  async (scene, client) => {
    await client.send(headers(1, get, END_STREAM))
    await client.sees(/^DATA 1/)
    await scene.plane.publish(scene.config({ addresses: [] }))
    scene.plane.clock.advance(30_000)
    assert.equal((await client.answer(1)).at(-1), 'RST_STREAM 1 internalError')
    return {
      answer: null,
      line: {
        target: scene.targetAddress,
        times: '0.000 0.000 0.000',
        statuses: '200 200',
        bytes: `${sizeOf(get)} ${client.answerBytes(1)}`,
        endedMs: 30_000,
      },
      counters: { RequestCount: 1 },
      targetCounters: { ...opened, HTTPCode_Target_2XX_Count: 1 },
    }
  },
)

test('a response that is all here outlasts its target, however slowly it is read', async t => {
  const target = scripts.answering(200, 'a'.repeat(5_000))
  const scene = await startScene(t, { ...secureListener, targets: [target], ...drainingFor30s })
  const client = await connectRawH2(t, scene.plane.port)
  await client.send(noWindow, headers(1, get, END_STREAM))
  await client.sees(/^HEADERS 1 :status=200/)
  await caughtUp()
  await scene.plane.publish(scene.config({ addresses: [] }))
  scene.plane.clock.advance(30_000)
  await client.send(settings([4, 65_535]))
  assert.equal((await client.answer(1)).at(-1), 'DATA 1 end 5000 bytes')
  assert.deepEqual(scene.plane.faults, [])
})

tests.provokesOnStream(
  'shutdownBeforeAnswer',
  'a request that a stop does not wait for is told so',
  waiting,
  async (scene, client) => {
    await begin(scene, client, headers(1, get, END_STREAM))
    await scene.plane.plane.stop(0)
    const { bytes } = await answered(client, sizeOf(get))
    return {
      isGone: true,
      answer: page('503 Service Temporarily Unavailable'),
      line: { target: scene.targetAddress, times: '0.000 -1 -1', statuses: '503 -', bytes },
      counters: { RequestCount: 1, ...balancerError(503) },
      targetCounters: opened,
    }
  },
)

tests.provokesOnStream(
  'shutdownDuringExchange',
  'what a stop does not wait for is reset, and recorded',
  { targets: [scripts.stalledBody(100, 40)] },
  async (scene, client) => {
    await client.send(headers(1, get, END_STREAM))
    await client.sees(/^DATA 1/)
    await scene.plane.plane.stop(0)
    assert.equal((await client.answer(1)).at(-1), 'RST_STREAM 1 internalError')
    return {
      isGone: true,
      answer: null,
      line: {
        target: scene.targetAddress,
        times: '0.000 0.000 0.000',
        statuses: '200 200',
        bytes: `${sizeOf(get)} ${client.answerBytes(1)}`,
      },
      counters: { RequestCount: 1 },
      targetCounters: { ...opened, HTTPCode_Target_2XX_Count: 1 },
    }
  },
)

// --- Targets ---

tests.provokesOnStream(
  'targetRefused',
  'a refused connection is a 502 of 192 bytes',
  async () => ({ addresses: [{ id: '127.0.0.1', port: await refusedPort() }] }),
  async (scene, client) => {
    await client.send(headers(1, get, END_STREAM))
    const { bytes } = await answered(client, sizeOf(get))
    assert.equal(bytes, `${sizeOf(get)} 192`)
    return {
      answer: page('502 Bad Gateway'),
      line: { target: `127.0.0.1:${scene.group.targets[0]!.port}`, times: '-1 -1 -1', statuses: '502 -', bytes },
      counters: badGateway,
      targetCounters: { ...blamed, TargetConnectionErrorCount: 1 },
    }
  },
)

tests.provokesOnStream(
  'connectTimeout',
  'a connection that is neither accepted nor refused is a 504',
  async t => ({ addresses: [{ id: '127.0.0.1', port: await fullListener(t) }] }),
  async (scene, client) => {
    await client.send(headers(1, get, END_STREAM))
    await caughtUp()
    scene.plane.clock.advance(connectTimeoutMs)
    const { bytes } = await answered(client, sizeOf(get))
    return {
      answer: page('504 Gateway Time-out', '12:00:10'),
      line: {
        target: `127.0.0.1:${scene.group.targets[0]!.port}`,
        times: '-1 -1 -1',
        statuses: '504 -',
        bytes,
        endedMs: connectTimeoutMs,
      },
      counters: gatewayTimeout,
      targetCounters: { ...blamed, TargetConnectionErrorCount: 1 },
    }
  },
)

tests.provokesOnStream(
  'targetIdle',
  'a target that does not answer in the idle timeout is a 504',
  waiting,
  async (scene, client) => {
    await begin(scene, client, headers(1, get, END_STREAM))
    scene.plane.clock.advance(59_999)
    assert.deepEqual(scene.plane.faults, [])
    scene.plane.clock.advance(1)
    const { bytes } = await answered(client, sizeOf(get))
    return {
      answer: page('504 Gateway Time-out', '12:01:00'),
      line: { target: scene.targetAddress, times: '0.000 -1 -1', statuses: '504 -', bytes, endedMs: 60_000 },
      counters: gatewayTimeout,
      targetCounters: blamed,
    }
  },
)

const failing: readonly (readonly [
  code: 'targetClosed' | 'targetReset' | 'responseHeadMalformed' | 'responseHeadTooLarge',
  how: string,
  script: (typeof scripts)['echo'],
])[] = [
  ['targetClosed', 'a target that closes before it answers is a 502', scripts.closesBeforeAnswer],
  ['targetReset', 'a target that resets before it answers is a 502', scripts.resetsBeforeAnswer],
  ['responseHeadMalformed', 'an answer that is not HTTP is a 502', scripts.garbage()],
  [
    'responseHeadMalformed',
    'a 101 that nobody can have asked for is a 502',
    scripts.garbage('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n'),
  ],
  ['responseHeadTooLarge', 'a response head of more than 32 K is a 502', scripts.hugeHead(32_769)],
]

for (const [code, how, script] of failing) {
  tests.provokesOnStream(code, how, { targets: [script] }, async (scene, client) => {
    await client.send(headers(1, get, END_STREAM))
    const { bytes } = await answered(client, sizeOf(get))
    return {
      answer: page('502 Bad Gateway'),
      line: { target: scene.targetAddress, times: '0.000 0.000 -1', statuses: '502 -', bytes },
      counters: badGateway,
      targetCounters: blamed,
    }
  })
}

const cut: readonly (readonly [
  code: 'responseTruncated' | 'responseBodyMalformed' | 'responseStalled',
  how: string,
  script: (typeof scripts)['echo'],
])[] = [
  ['responseTruncated', 'a body shorter than was said is reset', scripts.truncatedBody(100, 40)],
  ['responseTruncated', 'chunks without the last one are reset', scripts.truncatedChunks(['a'.repeat(40)])],
  [
    'responseBodyMalformed',
    'chunks that cannot be read are reset',
    scripts.garbage(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n28\r\n${'a'.repeat(40)}\r\nxyz`),
  ],
  ['responseStalled', 'a body that stops coming is reset at the idle timeout', scripts.stalledBody(100, 40)],
]

for (const [code, how, script] of cut) {
  tests.provokesOnStream(code, how, { targets: [script] }, async (scene, client) => {
    await client.send(headers(1, get, END_STREAM))
    await client.sees(`DATA 1 ${JSON.stringify('a'.repeat(40))}`)
    const isStall = code === 'responseStalled'
    if (isStall) scene.plane.clock.advance(60_000)
    assert.equal((await client.answer(1)).at(-1), 'RST_STREAM 1 internalError')
    return {
      answer: null,
      line: {
        target: scene.targetAddress,
        times: '0.000 0.000 0.000',
        statuses: '200 200',
        bytes: `${sizeOf(get)} ${client.answerBytes(1)}`,
        ...(isStall ? { endedMs: 60_000 } : {}),
      },
      counters: { RequestCount: 1 },
      targetCounters: { ...blamed, HTTPCode_Target_2XX_Count: 1 },
    }
  })
}

// --- Beside the table ---

test('an error page is padded for Chrome, and has no body for HEAD', async t => {
  const scene = await startScene(t, secureListener)
  const client = await connectRawH2(t, scene.plane.port)
  const chrome: Fields = [...get, ['user-agent', 'Mozilla/5.0 Chrome/120.0']]
  await client.send(headers(1, chrome, END_STREAM), headers(3, pathed('/', 'HEAD'), END_STREAM))
  await client.answer(1)
  assert.equal(client.body(1).toString(), bodyOf(errorPage('503 Service Temporarily Unavailable', { isPadded: true })))
  assert.ok(client.body(1).toString().endsWith(padding.repeat(6)))
  assert.deepEqual(await client.answer(3), [
    'HEADERS 3 end :status=503 server=awselb/2.0 date=Thu, 01 Jan 2026 12:00:00 GMT content-type=text/html content-length=162',
  ])
})

test('a stream that fails leaves the others of its connection alone', async t => {
  const bodies = ['first', 'second']
  const gate = Promise.withResolvers<void>()
  const scene = await startScene(t, { ...secureListener, targets: [scripts.slowBody(bodies, () => gate.promise)] })
  const client = await connectRawH2(t, scene.plane.port)
  await client.send(headers(1, get, END_STREAM))
  await client.sees(/^HEADERS 1 :status=200/)
  await client.send(headers(3, [...get, ['te', 'gzip']], END_STREAM))
  await client.sees('RST_STREAM 3 protocolError')
  await client.send(headers(5, get, END_STREAM), rstStream(5, 8))
  await client.send(headers(7, upload), data(7, 'more than was said', END_STREAM))
  await client.sees('RST_STREAM 7 protocolError')
  gate.resolve()
  await client.answer(1)
  assert.equal(client.body(1).toString(), 'firstsecond')
  assert.ok(!client.lines.some(line => line.startsWith('GOAWAY')))
})

test('data on a stream that nobody reads any more holds up nobody', async t => {
  const scene = await startScene(t, {
    ...secureListener,
    ...answering,
    defaultAction: { type: 'forward', targetGroup: 'none' },
    groups: [{ name: 'none', protocol: 'HTTP', port: 80, targets: [] }],
  })
  const client = await connectRawH2(t, scene.plane.port)
  await client.send(headers(1, post))
  await client.answer(1)
  let sent = 0
  for (let i = 0; i < 200; i++) {
    await client.send(data(1, 'a'.repeat(16_384)))
    sent += 16_384
  }
  await client.send(headers(3, get, END_STREAM))
  assert.match((await client.answer(3))[0]!, /:status=503/)
  assert.ok(sent > 3_000_000)
  await stalled(() => client.lines.length)
  assert.ok(!client.lines.some(line => line.startsWith('GOAWAY')))
})
