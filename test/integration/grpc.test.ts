/**
 * gRPC from client to target, both of grpc-js.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import {
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  status as Status,
} from '@grpc/grpc-js'
import { within } from '../support/deadline.ts'
import {
  begin,
  type Call,
  call,
  connectGrpc,
  type Implementation,
  methods,
  startGrpcServer,
  statusOf,
} from '../support/grpc.ts'
import { askH2, connectH2 } from '../support/h2-client.ts'
import { rstStream } from '../support/h2-frames.ts'
import { answersFrames } from '../support/h2-scripts.ts'
import { logFields } from '../support/plane.ts'
import { refusedPort } from '../support/refused-port.ts'
import { type SceneOptions, startScene } from '../support/scene.ts'
import { secureListener } from '../support/secure-listener.ts'
import * as scripts from '../support/target-scripts.ts'
import { caughtUp, until } from '../support/turns.ts'

type Unary = handleUnaryCall<string, string>
type Collect = handleClientStreamingCall<string, string>
type Expand = handleServerStreamingCall<string, string>
type Talk = handleBidiStreamingCall<string, string>

const unary: Unary = (call, done) => {
  const trailers = new Metadata()
  trailers.set('x-trailer', 'last')
  trailers.set('x-trailer-bin', Buffer.of(0, 255, 10))
  call.sendMetadata(call.metadata)
  done(null, call.request, trailers)
}

const collect: Collect = (call, done) => {
  let text = ''
  call.on('data', (message: string) => {
    text += message
  })
  call.on('end', () => done(null, text))
}

const expand: Expand = call => {
  for (const letter of call.request) call.write(letter)
  call.end()
}

const talk: Talk = call => {
  call.on('data', (message: string) => call.write(`you said ${message}`))
  call.on('end', () => call.end())
}

type Options = SceneOptions & { readonly isSecure?: boolean }

async function meeting(t: TestContext, implementation: Implementation, { isSecure = false, ...options }: Options = {}) {
  const port = await startGrpcServer(t, implementation, isSecure)
  const scene = await startScene(t, {
    ...secureListener,
    protocolVersion: 'GRPC',
    groupProtocol: isSecure ? 'HTTPS' : 'HTTP',
    addresses: [{ id: '127.0.0.1', port }],
    ...options,
  })
  return { scene, client: connectGrpc(t, scene.plane.port) }
}

const connections = (scene: Awaited<ReturnType<typeof startScene>>) =>
  scene.plane.counters.target(0, 'connectionsOpened')

const succeeded = { code: Status.OK, details: 'OK' }

function outcome({ status: { code, details } }: Call) {
  return { code, details }
}

// --- The four kinds of calls ---

for (const isSecure of [false, true]) {
  const way = isSecure ? 'in TLS' : 'in the clear'

  test(`calls of every kind reach their target ${way}, over one connection`, async t => {
    const { scene, client } = await meeting(t, { unary, collect, expand, talk }, { isSecure })
    for (const [of, messages, answers] of [
      [methods.unary, ['hello'], ['hello']],
      [methods.collect, ['a', 'b', 'c'], ['abc']],
      [methods.expand, ['abc'], ['a', 'b', 'c']],
      [methods.talk, ['a', 'b'], ['you said a', 'you said b']],
    ] as const) {
      const made = await call(client, of, messages)
      assert.deepEqual(made.messages, answers)
      assert.deepEqual(outcome(made), succeeded)
    }
    assert.equal(connections(scene), 1)
    assert.deepEqual(scene.plane.faults, [])
    assert.equal(scene.plane.counters.loadBalancer(0, 'GrpcRequestCount'), 4)
    assert.equal(scene.plane.counters.target(0, 'HTTPCode_Target_2XX_Count'), 4)
  })

  test(`metadata goes both ways, in front and behind, binary too (${way})`, async t => {
    const { client } = await meeting(t, { unary }, { isSecure })
    const metadata = new Metadata()
    metadata.add('x-text', 'one')
    metadata.add('x-text', 'two')
    metadata.set('x-value-bin', Buffer.from([0, 1, 254, 255]))
    const { initial, status } = await call(client, methods.unary, ['hello'], { metadata })
    assert.deepEqual(initial!.get('x-text'), ['one, two'])
    assert.deepEqual(initial!.get('x-value-bin'), [Buffer.from([0, 1, 254, 255])])
    assert.match(String(initial!.get('x-amzn-trace-id')[0]), /^Root=1-/)
    assert.deepEqual(status.metadata.get('x-trailer'), ['last'])
    assert.deepEqual(status.metadata.get('x-trailer-bin'), [Buffer.of(0, 255, 10)])
  })
}

test('each message of a conversation arrives before the next is said', async t => {
  const { client } = await meeting(t, { talk })
  const stream = begin(client, methods.talk, [])
  for (let i = 0; i < 5; i++) {
    const answered = once(stream, 'data')
    stream.write(`${i}`)
    assert.deepEqual(await within(answered, () => 'an answer'), [`you said ${i}`])
  }
  const ended = statusOf(stream)
  stream.end()
  assert.equal((await ended).code, Status.OK)
})

test('messages of many megabytes go both ways', async t => {
  const { scene, client } = await meeting(t, { unary, talk })
  const text = 'x'.repeat(16 * 2 ** 20)
  assert.equal((await call(client, methods.unary, [text])).messages[0]!.length, text.length)
  const spoken = await call(client, methods.talk, ['a'.repeat(2 ** 20), 'b'.repeat(2 ** 20)])
  assert.deepEqual(
    spoken.messages.map(message => message.length),
    [2 ** 20 + 9, 2 ** 20 + 9],
  )
  assert.deepEqual(scene.plane.faults, [])
})

test('hundreds of calls at once share few connections', async t => {
  const calls: (() => void)[] = []
  const { scene, client } = await meeting(t, {
    unary: ((got, done) => void calls.push(() => done(null, got.request))) as Unary,
  })
  const others = Array.from({ length: 3 }, () =>
    connectGrpc(t, scene.plane.port, { 'grpc.use_local_subchannel_pool': 1 }),
  )
  const made = [client, ...others].flatMap(each =>
    Array.from({ length: 100 }, (_, i) => call(each, methods.unary, [`${i}`])),
  )
  await until(
    () => calls.length === 400,
    () => `400 calls; ${calls.length} had come`,
  )
  assert.equal(connections(scene), 4)
  for (const answer of calls) answer()
  for (const { status } of await Promise.all(made)) assert.equal(status.code, Status.OK)
})

// --- Ends ---

test("a server's error comes through with its details and metadata, before and behind messages", async t => {
  const metadata = new Metadata()
  metadata.set('x-why', 'because')
  const error = { code: Status.NOT_FOUND, details: 'none: 100 % gone, désolé', metadata }
  const { scene, client } = await meeting(t, {
    unary: ((_call, done) => done(error)) as Unary,
    expand: (call => {
      call.write('first')
      call.emit('error', error)
    }) as Expand,
  })
  for (const [of, messages] of [
    [methods.unary, []],
    [methods.expand, ['first']],
  ] as const) {
    const made = await call(client, of, ['?'])
    assert.deepEqual(made.messages, messages)
    assert.deepEqual(outcome(made), { code: Status.NOT_FOUND, details: error.details })
    assert.deepEqual(made.status.metadata.get('x-why'), ['because'])
  }
  assert.deepEqual(scene.plane.faults, [])
})

test('a deadline that passes cancels the call at the server, and is logged as a 460', async t => {
  const cancelled = Promise.withResolvers<void>()
  const { scene, client } = await meeting(t, { unary: (call => call.on('cancelled', cancelled.resolve)) as Unary })
  const made = await call(client, methods.unary, ['hello'], { deadline: Date.now() + 200 })
  assert.equal(made.status.code, Status.DEADLINE_EXCEEDED)
  await within(cancelled.promise, () => 'the server to hear of it')
  await scene.recorded(1)
  assert.deepEqual(scene.plane.faults, ['clientClosed'])
  const fields = logFields(await scene.line())
  assert.deepEqual([fields[1], fields[9], fields[10]], ['grpcs', '460', '-'])
})

test('a client that cancels midway is heard by the server', async t => {
  const cancelled = Promise.withResolvers<void>()
  const { scene, client } = await meeting(t, {
    talk: (call => {
      call.on('cancelled', cancelled.resolve)
      call.write('begun')
    }) as Talk,
  })
  const stream = begin(client, methods.talk, [])
  stream.write('hello')
  await within(once(stream, 'data'), () => 'a message')
  stream.cancel()
  await within(cancelled.promise, () => 'the server to hear of it')
  await scene.recorded(1)
  assert.deepEqual(scene.plane.faults, ['clientGoneDuringResponse'])
})

test('a target that resets the stream leaves a call unavailable', async t => {
  const scene = await startScene(t, {
    ...secureListener,
    protocolVersion: 'GRPC',
    targets: [answersFrames(id => [rstStream(id, 2)])],
  })
  const made = await call(connectGrpc(t, scene.plane.port), methods.unary, ['hello'])
  assert.deepEqual(outcome(made), { code: Status.UNAVAILABLE, details: 'unavailable' })
  assert.deepEqual(scene.plane.faults, ['targetStreamReset'])
})

// --- What the load balancer makes of calls ---

test('a call is logged as grpcs, with the bytes of its frames', async t => {
  const { scene, client } = await meeting(t, { unary })
  await call(client, methods.unary, ['hello'])
  await scene.recorded(1)
  const fields = logFields(await scene.line())
  assert.deepEqual(
    [fields[1], fields[9], fields[10], fields[13], fields[26], fields[27]],
    ['grpcs', '200', '200', 'POST https://a.example:443/test.v1.Echo/Unary HTTP/2.0', fields[5], '200'],
  )
  // Five bytes in front of each message, nine in front of each frame.
  assert.ok(Number(fields[11]) > 'hello'.length + 5 + 2 * 9)
  assert.ok(Number(fields[12]) > 'hello'.length + 5 + 3 * 9)
})

test('rules tell methods and services by their paths', async t => {
  const { scene, client } = await meeting(
    t,
    { unary, collect },
    {
      groups: [{ name: 'empty', protocol: 'HTTP', protocolVersion: 'GRPC', port: 80, targets: [] }],
      rules: [
        {
          priority: 1,
          conditions: [{ field: 'path-pattern', values: ['/test.v1.Echo/Collect'] }],
          actions: [{ type: 'forward', targetGroup: 'empty' }],
        },
      ],
    },
  )
  assert.equal((await call(client, methods.unary, ['hello'])).status.code, Status.OK)
  assert.equal((await call(client, methods.collect, ['hello'])).status.code, Status.UNAVAILABLE)
  assert.deepEqual(scene.plane.faults, ['groupEmpty'])
})

const refused = await refusedPort()
const http1Group = { protocolVersion: 'HTTP1', targets: [scripts.answering()] } as const

const ownAnswers: readonly (readonly [
  what: string,
  options: SceneOptions,
  fault: string,
  httpStatus: string,
  code: Status,
  details: string,
])[] = [
  ['a group without targets', { addresses: [] }, 'groupEmpty', '503', Status.UNAVAILABLE, 'unavailable'],
  [
    'a target that refuses',
    { addresses: [{ id: '127.0.0.1', port: refused }] },
    'targetRefused',
    '502',
    Status.UNAVAILABLE,
    'unavailable',
  ],
  [
    'a target that is no HTTP/2',
    { targets: [scripts.garbage()] },
    'targetProtocolError',
    '502',
    Status.UNAVAILABLE,
    'unavailable',
  ],
  ['a group of HTTP/1.1', http1Group, 'protocolVersionMismatch', '464', Status.UNKNOWN, 'unknown'],
  [
    'a transform that fails',
    {
      rules: [
        {
          priority: 1,
          conditions: [{ field: 'path-pattern', values: ['/*'] }],
          actions: [{ type: 'forward', targetGroup: 'app' }],
          transforms: [
            { type: 'host-header-rewrite', hostHeaderRewrite: { rewrites: [{ regex: '.+', replace: 'not a host' }] } },
          ],
        },
      ],
    },
    'transformFailed',
    '500',
    Status.UNKNOWN,
    'unknown',
  ],
]

for (const [what, options, fault, httpStatus, code, details] of ownAnswers) {
  test(`a call that meets ${what} ends as gRPC has it: ${httpStatus} and ${Status[code]}`, async t => {
    const scene = await startScene(t, { ...secureListener, protocolVersion: 'GRPC', ...options })
    const made = await call(connectGrpc(t, scene.plane.port), methods.unary, ['hello'])
    assert.deepEqual(outcome(made), { code, details })
    assert.deepEqual(scene.plane.faults, [fault])
    await scene.recorded(1)
    assert.equal(logFields(await scene.line())[9], httpStatus)
    const raw = await askH2(await connectH2(t, scene.plane.port), {
      ':method': 'POST',
      ':path': methods.unary.path,
      'content-type': 'application/grpc',
    })
    assert.deepEqual(
      [
        raw.status,
        raw.body.length,
        raw.headers['content-length'],
        raw.headers['grpc-status'],
        raw.headers['grpc-message'],
      ],
      [Number(httpStatus), 0, '0', `${code}`, details],
    )
  })
}

test('a server that says nothing for the idle timeout leaves a call unavailable', async t => {
  const begun = Promise.withResolvers<void>()
  const { scene, client } = await meeting(t, { unary: (() => begun.resolve()) as Unary })
  const made = call(client, methods.unary, ['hello'])
  await begun.promise
  await caughtUp()
  scene.plane.clock.advance(60_000)
  assert.deepEqual(outcome(await made), { code: Status.UNAVAILABLE, details: 'unavailable' })
  assert.deepEqual(scene.plane.faults, ['targetIdle'])
})

test('gRPC-Web is no gRPC: an error of the load balancer is a page, and HTTP/1.1 groups take it', async t => {
  const scene = await startScene(t, { ...secureListener, targets: [scripts.answering(200, 'ok')] })
  const client = await connectH2(t, scene.plane.port)
  const web = { ':method': 'POST', 'content-type': 'application/grpc-web+proto' }
  assert.equal((await askH2(client, web)).body.toString(), 'ok')
  await scene.plane.publish(scene.config({ addresses: [] }))
  const { status, headers } = await askH2(client, web)
  assert.deepEqual([status, headers['content-type'], headers['grpc-status']], [503, 'text/html', undefined])
  assert.equal(scene.plane.counters.loadBalancer(0, 'GrpcRequestCount'), 0)
})
