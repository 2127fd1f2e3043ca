/**
 * Heads between a client of HTTP/2 and a target of HTTP/1.1, both ways.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/how-elastic-load-balancing-works.html#http-headers
 * @see https://www.rfc-editor.org/rfc/rfc9113#section-8
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { askH2, connectH2 } from '../support/h2-client.ts'
import { data, END_STREAM, type Fields, get, headers, post } from '../support/h2-frames.ts'
import { connectRawH2, type RawH2Client } from '../support/h2-raw-client.ts'
import type { ReceivedRequest } from '../support/misbehaving-target.ts'
import { logFields } from '../support/plane.ts'
import { forwardToApp, type Scene, type SceneOptions, startScene } from '../support/scene.ts'
import { secureListener } from '../support/secure-listener.ts'
import { answering, echo } from '../support/target-scripts.ts'

async function met(t: TestContext, options: SceneOptions = {}): Promise<{ scene: Scene; client: RawH2Client }> {
  const scene = await startScene(t, { ...secureListener, targets: [answering(200, 'ok')], ...options })
  return { scene, client: await connectRawH2(t, scene.plane.port) }
}

/** What the target got of a request, whose frames are those of stream 1. */
async function received(
  t: TestContext,
  frames: readonly Buffer[],
  options: SceneOptions = {},
): Promise<ReceivedRequest> {
  const { scene, client } = await met(t, options)
  await client.send(...frames)
  assert.match((await client.answer(1))[0]!, /:status=200/)
  assert.deepEqual(scene.plane.faults, [])
  return scene.target.requests[0]!
}

const asks = (fields: Fields) => [headers(1, fields, END_STREAM)]
/** With others in place of its pseudo-headers of the same names. */
const having = (...fields: Fields): Fields => {
  const own = get.filter(([name]) => !fields.some(([other]) => other === name && name.startsWith(':')))
  return [...own, ...fields].sort(([a], [b]) => Number(b.startsWith(':')) - Number(a.startsWith(':')))
}
const linesOf = ({ head }: ReceivedRequest, ...names: readonly string[]) =>
  head.split('\r\n').filter(line => names.some(name => line.toLowerCase().startsWith(`${name}:`)))

// --- To the target ---

test("the load balancer's fields come first, the client's follow in lower case, cookies joined", async t => {
  const request = await received(
    t,
    asks([
      ...having([':path', '/a?b=c'], [':authority', 'A.Example']),
      ['user-agent', 'curl/8'],
      ['cookie', 'a=1'],
      ['accept', '*/*'],
      ['cookie', 'b=2; c=3'],
      ['x-empty', ''],
      ['x-twice', '1'],
      ['x-twice', '2'],
      ['cookie', 'd=4'],
    ]),
  )
  const trace = /X-Amzn-Trace-Id: Root=1-[0-9a-f]{8}-[0-9a-f]{24}/.exec(request.head)?.[0]
  assert.deepEqual(request.head.split('\r\n'), [
    'GET /a?b=c HTTP/1.1',
    'X-Forwarded-For: 127.0.0.1',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Port: 443',
    'Host: a.example',
    trace,
    'Connection: keep-alive',
    'user-agent: curl/8',
    'cookie: a=1; b=2; c=3; d=4',
    'accept: */*',
    'x-empty: ',
    'x-twice: 1',
    'x-twice: 2',
  ])
})

const preserving = { attributes: { 'routing.http.preserve_host_header.enabled': 'true' } }
const hosts: readonly (readonly [what: string, fields: Fields, options: SceneOptions, host: string])[] = [
  [':authority alone', having([':authority', 'A.Example:443']), {}, 'a.example'],
  [':authority and a Host', having([':authority', 'a'], ['host', 'b']), {}, 'a'],
  ['a Host alone', [...get.filter(([name]) => name !== ':authority'), ['host', 'B']], {}, 'b'],
  [':authority, preserved', having([':authority', 'A.Example:443'], ['host', 'b']), preserving, 'A.Example:443'],
  ['a Host, preserved', [...get.filter(([name]) => name !== ':authority'), ['host', 'B']], preserving, 'B'],
  ['an IPv6 address', having([':authority', '[::1]:8443']), {}, '[::1]'],
]

for (const [what, fields, options, host] of hosts) {
  test(`of ${what}, the target sees ${host}`, async t => {
    assert.deepEqual(linesOf(await received(t, asks(fields), options), 'host'), [`Host: ${host}`])
  })
}

const modes: readonly (readonly [mode: string, lines: readonly string[]])[] = [
  ['append', ['X-Forwarded-For: 10.0.0.1, 10.0.0.2, 127.0.0.1']],
  ['preserve', ['X-Forwarded-For: 10.0.0.1', 'X-Forwarded-For: 10.0.0.2']],
  ['remove', []],
]

for (const [mode, lines] of modes) {
  test(`X-Forwarded-For in mode ${mode} makes ${JSON.stringify(lines)}`, async t => {
    const attributes = { 'routing.http.xff_header_processing.mode': mode }
    const fields: Fields = [...get, ['x-forwarded-for', '10.0.0.1'], ['x-forwarded-for', '10.0.0.2']]
    assert.deepEqual(linesOf(await received(t, asks(fields), { attributes }), 'x-forwarded-for'), lines)
  })
}

test('a client does not say how it came, and keeps its trace', async t => {
  const fields: Fields = [
    ...get,
    ['x-forwarded-proto', 'http'],
    ['x-forwarded-port', '1'],
    ['x-amzn-trace-id', 'Root=1-2-3;a=b'],
    ['x-amzn-tls-version', 'SSLv2'],
  ]
  const attributes = { 'routing.http.x_amzn_tls_version_and_cipher_suite.enabled': 'true' }
  const request = await received(t, asks(fields), { attributes })
  const [proto, port, version, trace, ...others] = linesOf(
    request,
    'x-forwarded-proto',
    'x-forwarded-port',
    'x-amzn-trace-id',
    'x-amzn-tls-version',
  )
  assert.deepEqual(
    [proto, port, version],
    ['X-Forwarded-Proto: https', 'X-Forwarded-Port: 443', 'X-Amzn-Tls-Version: TLSv1.3'],
  )
  assert.match(trace!, /^X-Amzn-Trace-Id: Self=1-[0-9a-f]{8}-[0-9a-f]{24};Root=1-2-3;a=b$/)
  assert.deepEqual(others, [])
})

const long = 'content-length'
const bodies: readonly (readonly [what: string, frames: readonly Buffer[], lines: readonly string[], body: string])[] =
  [
    [
      'with a length keeps it',
      [headers(1, [...post, [long, '4']]), data(1, 'body', END_STREAM)],
      [`${long}: 4`],
      'body',
    ],
    [
      'without a length is sent in chunks',
      [headers(1, post), data(1, 'bo'), data(1, 'dy', END_STREAM)],
      ['transfer-encoding: chunked'],
      'body',
    ],
    [
      'that ends with an empty frame is whole',
      [headers(1, post), data(1, 'body'), data(1, '', END_STREAM)],
      ['transfer-encoding: chunked'],
      'body',
    ],
    ['of no frame is none', asks(post), [], ''],
    ['of length 0 is none', asks([...post, [long, '0']]), [`${long}: 0`], ''],
    [
      'with trailers loses them',
      [headers(1, post), data(1, 'body'), headers(1, [['x-sum', '1']], END_STREAM)],
      ['transfer-encoding: chunked'],
      'body',
    ],
    [
      'with a length and trailers loses them as well',
      [
        headers(1, [...post, [long, '4'], ['trailer', 'x-sum']]),
        data(1, 'body'),
        headers(1, [['x-sum', '1']], END_STREAM),
      ],
      [`${long}: 4`],
      'body',
    ],
  ]

for (const [what, frames, lines, body] of bodies) {
  test(`a body ${what}`, async t => {
    const request = await received(t, frames)
    assert.deepEqual(linesOf(request, 'content-length', 'transfer-encoding', 'trailer', 'x-sum'), lines)
    assert.equal(request.body.toString(), body)
    assert.deepEqual(request.trailers, [])
  })
}

test('expect and te end here, silently', async t => {
  const { scene, client } = await met(t)
  const fields: Fields = [...post, ['expect', '100-continue'], ['te', 'trailers'], [long, '4']]
  await client.send(headers(1, fields), data(1, 'body', END_STREAM))
  const [first, ...others] = await client.answer(1)
  assert.match(first!, /^HEADERS 1 :status=200/)
  assert.deepEqual(others, ['DATA 1 end "ok"'])
  assert.deepEqual(linesOf(scene.target.requests[0]!, 'expect', 'te'), [])
})

test('OPTIONS * goes on as it is', async t => {
  const { head } = await received(t, asks(having([':method', 'OPTIONS'], [':path', '*'])))
  assert.match(head, /^OPTIONS \* HTTP\/1\.1\r\n/)
})

for (const drops of [true, false]) {
  test(`fields that the service calls invalid are ${drops ? 'dropped' : 'forwarded'}, and counted`, async t => {
    const attributes = { 'routing.http.drop_invalid_header_fields.enabled': `${drops}` }
    const { scene, client } = await met(t, { attributes })
    await client.send(headers(1, [...get, ['x_y', '1'], ['x-y', '2']], END_STREAM))
    await client.answer(1)
    assert.deepEqual(linesOf(scene.target.requests[0]!, 'x_y', 'x-y'), [...(drops ? [] : ['x_y: 1']), 'x-y: 2'])
    const { counters } = scene.plane
    assert.equal(counters.loadBalancer(0, 'DroppedInvalidHeaderRequestCount'), drops ? 1 : 0)
    assert.equal(counters.loadBalancer(0, 'ForwardedInvalidHeaderRequestCount'), drops ? 0 : 1)
  })
}

test('fields that may be taken for the framing of a body do not go on', async t => {
  const fields: Fields = [...post, ['transfer_encoding', 'chunked'], ['content_length', '9'], [long, '9']]
  const request = await received(t, [headers(1, fields), data(1, 'GET / HTT', END_STREAM)])
  assert.deepEqual(linesOf(request, 'transfer_encoding', 'content_length', long), [`${long}: 9`])
  assert.equal(request.body.toString(), 'GET / HTT')
})

const without = (name: string) => get.filter(([other]) => other !== name)
const malformed: readonly (readonly [what: string, fields: Fields])[] = [
  ['no :method', without(':method')],
  ['no :scheme', without(':scheme')],
  ['no :path', without(':path')],
  ['an empty :path', having([':path', ''])],
  ['a :path that is a URL', having([':path', 'https://b/'])],
  ['a :path with a line end', having([':path', '/ HTTP/1.1\r\nHost: b'])],
  ['a :path with a space', having([':path', '/a b'])],
  ['a :method with a space', having([':method', 'GET /'])],
  ['a user in :authority', having([':authority', 'u@a'])],
  ['two :path', [...get, [':path', '/b']]],
  ['a pseudo-header behind a field', [...without(':path'), ['a', 'b'], [':path', '/']]],
  ['an unknown pseudo-header', having([':protocol', 'websocket'])],
  ['a WebSocket (RFC 8441), which was not offered', having([':method', 'CONNECT'], [':protocol', 'websocket'])],
  [':status', having([':status', '200'])],
  ['connection', [...get, ['connection', 'close']]],
  ['transfer-encoding', [...post, ['transfer-encoding', 'chunked']]],
  ['upgrade', [...get, ['upgrade', 'websocket']]],
  ['te with more than trailers', [...get, ['te', 'gzip']]],
  ['a name in upper case', [...get, ['X-A', 'b']]],
  ['a name with a colon', [...get, ['a: b', 'c']]],
  ['a value with a line end', [...get, ['a', 'b\r\nHost: c']]],
  ['a value with NUL', [...get, ['a', 'b\0c']]],
  ['two lengths', [...post, [long, '1'], [long, '2']]],
  ['a length that is no number', [...post, [long, '+1']]],
]

test('a head against the rules is reset, whatever is against them, and no target hears of it', async t => {
  const { scene, client } = await met(t)
  for (const [i, [what, fields]] of malformed.entries()) {
    const id = 2 * i + 1
    await client.send(headers(id, fields, END_STREAM))
    assert.deepEqual(await client.answer(id), [`RST_STREAM ${id} protocolError`], what)
  }
  await scene.recorded(malformed.length)
  assert.equal(new Set(scene.plane.faults).size, 1)
  assert.equal(scene.target.connectionCount, 0)
})

test('the connection to the target is used for one request after the other', async t => {
  const { scene, client } = await met(t)
  const frames = [
    headers(1, get, END_STREAM),
    headers(3, post),
    headers(5, having([':method', 'HEAD']), END_STREAM),
    headers(7, get, END_STREAM),
  ]
  for (const [i, request] of frames.entries()) {
    await client.send(request, ...(i === 1 ? [data(3, 'body', END_STREAM)] : []))
    await client.answer(2 * i + 1)
  }
  assert.equal(scene.target.connectionCount, 1)
})

for (const method of ['GET', 'HEAD'] as const) {
  test(`behind a ${method} with a body the connection to the target is not used again`, async t => {
    const { scene, client } = await met(t)
    await client.send(headers(1, having([':method', method])), data(1, 'GET /stolen HTTP/1.1\r\n\r\n', END_STREAM))
    await client.answer(1)
    await client.send(headers(3, get, END_STREAM))
    await client.answer(3)
    assert.deepEqual(
      scene.target.requests.map(({ connection }) => connection),
      [1, 2],
    )
  })
}

// --- What they meet in between ---

const rule = (priority: number, conditions: unknown, body: string) => ({
  priority,
  conditions,
  actions: [{ type: 'fixed-response', fixedResponse: { statusCode: 200, messageBody: body } }],
})

test('rules of every kind see what the client said', async t => {
  const rules = [
    rule(1, [{ field: 'host-header', values: ['*.rule.example'] }], 'host'),
    rule(2, [{ field: 'path-pattern', values: ['/rule/*'] }], 'path'),
    rule(3, [{ field: 'http-header', httpHeaderName: 'Cookie', values: ['*b=2*'] }], 'header'),
    rule(4, [{ field: 'http-request-method', values: ['PATCH'] }], 'method'),
    rule(5, [{ field: 'query-string', values: [{ key: 'k', value: 'v' }] }], 'query'),
    rule(6, [{ field: 'source-ip', values: ['127.0.0.1/32'] }], 'address'),
  ]
  const { client } = await met(t, { rules })
  const requests: readonly Fields[] = [
    having([':authority', 'x.Rule.Example:443']),
    having([':path', '/rule/a']),
    [...get, ['cookie', 'a=1'], ['cookie', 'b=2']],
    having([':method', 'PATCH']),
    having([':path', '/?k=v']),
    get,
  ]
  const bodies: string[] = []
  for (const [i, fields] of requests.entries()) {
    await client.send(headers(2 * i + 1, fields, END_STREAM))
    await client.answer(2 * i + 1)
    bodies.push(client.body(2 * i + 1).toString())
  }
  assert.deepEqual(bodies, ['host', 'path', 'header', 'method', 'query', 'address'])
})

test('redirects, fixed responses and transforms are as over HTTP/1.1', async t => {
  const at = (priority: number, path: string, actions: unknown, more = {}) => ({
    priority,
    conditions: [{ field: 'path-pattern', values: [path] }],
    actions,
    ...more,
  })
  const { scene, client } = await met(t, {
    targets: [echo],
    rules: [
      at(1, '/old/*', [{ type: 'redirect', redirect: { path: '/new/#{path}', statusCode: 'HTTP_301' } }]),
      at(2, '/fixed', [
        { type: 'fixed-response', fixedResponse: { statusCode: 404, contentType: 'text/css', messageBody: 'x' } },
      ]),
      at(3, '/none', [{ type: 'fixed-response', fixedResponse: { statusCode: 204 } }]),
      at(4, '/app/*', [forwardToApp], {
        transforms: [
          { type: 'url-rewrite', urlRewrite: { rewrites: [{ regex: '^/app', replace: '/v2' }] } },
          {
            type: 'host-header-rewrite',
            hostHeaderRewrite: { rewrites: [{ regex: '^.*$', replace: 'inner.example' }] },
          },
        ],
      }),
    ],
  })
  for (const [i, path] of ['/old/a?b=c', '/fixed', '/none', '/app/x?y=z'].entries()) {
    await client.send(headers(2 * i + 1, having([':path', path]), END_STREAM))
    await client.answer(2 * i + 1)
  }
  const own = 'server=awselb/2.0 date=Thu, 01 Jan 2026 12:00:00 GMT'
  assert.deepEqual(client.linesOf(1), [
    `HEADERS 1 :status=301 ${own} content-type=text/html content-length=134 location=https://a:443/new/old/a?b=c`,
    'DATA 1 end 134 bytes',
  ])
  assert.deepEqual(client.linesOf(3), [
    `HEADERS 3 :status=404 ${own} content-type=text/css; charset=utf-8 content-length=1`,
    'DATA 3 end "x"',
  ])
  assert.deepEqual(client.linesOf(5), [`HEADERS 5 end :status=204 ${own}`])
  assert.match(client.body(7).toString(), /^GET \/v2\/x\?y=z HTTP\/1\.1\r\n.*\r\nHost: inner\.example\r\n/s)
  const fields = logFields(await scene.line(3))
  assert.deepEqual([fields[31], fields[32], fields[33]], ['inner.example', '/v2/x?y=z', 'TransformSuccess'])
})

test('stickiness cookies come and hold', async t => {
  const { scene } = await met(t, {
    targets: [answering(200, 'ok'), answering(200, 'ok'), answering(200, 'ok')],
    groupAttributes: { 'stickiness.enabled': 'true' },
  })
  const client = await connectH2(t, scene.plane.port)
  const [name, cors, ...others] = (await askH2(client)).headers['set-cookie']!
  assert.deepEqual(others, [])
  assert.match(name!, /^AWSALB=[^;]{128}; Expires=[^;]+; Path=\/$/)
  assert.match(cors!, /^AWSALBCORS=[^;]{128}; Expires=[^;]+; Path=\/; SameSite=None; Secure$/)
  const cookie = [name!, cors!].map(line => line.slice(0, line.indexOf(';')))
  for (let i = 0; i < 6; i++) await askH2(client, { cookie: i % 2 === 0 ? cookie.join('; ') : cookie })
  assert.deepEqual(scene.targets.map(({ requests }) => requests.length).sort(), [0, 0, 7])
})

// --- To the client ---

type Answer = {
  readonly what: string
  readonly request?: Fields
  /** What the target says, line by line, and then its body. */
  readonly said: readonly string[]
  readonly body?: string
  readonly targetCloses?: true
  readonly frames: readonly string[]
}

const date = 'Date: Fri, 02 Jan 2026 00:00:00 GMT'
const dated = 'date=Fri, 02 Jan 2026 00:00:00 GMT'
const ok = ['HTTP/1.1 200 Fine', date]
const head = having([':method', 'HEAD'])

const answers: readonly Answer[] = [
  {
    what: 'with a length ends with its last byte',
    said: [...ok, 'Content-Length: 4'],
    body: 'body',
    frames: [`HEADERS 1 :status=200 ${dated} content-length=4`, 'DATA 1 end "body"'],
  },
  {
    what: 'of length 0 ends with its head',
    said: [...ok, 'Content-Length: 0'],
    frames: [`HEADERS 1 end :status=200 ${dated} content-length=0`],
  },
  {
    what: 'in chunks is one without, and its trailers end here',
    said: [...ok, 'Transfer-Encoding: chunked', 'Trailer: X-Sum'],
    body: '2;a=b\r\nbo\r\n2\r\ndy\r\n0\r\nX-Sum: 1\r\n\r\n',
    frames: [`HEADERS 1 :status=200 ${dated}`, 'DATA 1 "bo"', 'DATA 1 "dy"', 'DATA 1 end ""'],
  },
  {
    what: 'that ends with its connection is whole',
    said: ok,
    body: 'body',
    targetCloses: true,
    frames: [`HEADERS 1 :status=200 ${dated}`, 'DATA 1 "body"', 'DATA 1 end ""'],
  },
  {
    what: 'to HEAD has a length and no body',
    request: head,
    said: [...ok, 'Content-Length: 4'],
    frames: [`HEADERS 1 end :status=200 ${dated} content-length=4`],
  },
  {
    what: 'to HEAD in chunks has neither',
    request: head,
    said: [...ok, 'Transfer-Encoding: chunked'],
    frames: [`HEADERS 1 end :status=200 ${dated}`],
  },
  {
    what: 'of 204 has no body, and no length',
    said: ['HTTP/1.1 204 No', date, 'Content-Length: 4'],
    frames: [`HEADERS 1 end :status=204 ${dated}`],
  },
  {
    what: 'of 304 has no body',
    said: ['HTTP/1.1 304 No', date, 'Content-Length: 4', 'ETag: "a"'],
    frames: [`HEADERS 1 end :status=304 ${dated} content-length=4 etag="a"`],
  },
  {
    what: 'behind interim ones comes alone',
    said: ['HTTP/1.1 103 Early Hints', 'Link: </a>', '', 'HTTP/1.1 100 Continue', '', ...ok, 'Content-Length: 0'],
    frames: [`HEADERS 1 end :status=200 ${dated} content-length=0`],
  },
  {
    what: 'loses what concerned its connection',
    said: [
      ...ok,
      'Connection: keep-alive, X-Hop',
      'Keep-Alive: timeout=5',
      'Proxy-Connection: keep-alive',
      'Upgrade: h2c',
      'X-Hop: 1',
      'TE: trailers',
      'X-Stays:  with  space ',
      'Content-Length: 0',
    ],
    frames: [`HEADERS 1 end :status=200 ${dated} content-length=0 x-stays=with  space`],
  },
  {
    what: 'keeps the order of its fields, in lower case, Date, type and length in front',
    said: [
      'HTTP/1.1 299 Own',
      'Server: nginx',
      'SET-COOKIE: a=1',
      'Content-Length: 0',
      'Set-Cookie: b=2',
      'Content-Type: text/plain',
      date,
      'X-Bytes: \xe4\xff',
    ],
    frames: [
      `HEADERS 1 end :status=299 ${dated} content-type=text/plain content-length=0 server=nginx set-cookie=a=1 set-cookie=b=2 x-bytes=\xe4\xff`,
    ],
  },
  {
    what: 'without a Date gets one',
    said: ['HTTP/1.1 200', 'Content-Length: 0'],
    frames: ['HEADERS 1 end :status=200 date=Thu, 01 Jan 2026 12:00:00 GMT content-length=0'],
  },
]

for (const { what, request = get, said, body = '', targetCloses, frames } of answers) {
  test(`a response ${what}`, async t => {
    const { scene, client } = await met(t, {
      targets: [
        async connection => {
          await connection.readRequest()
          await connection.send(`${said.join('\r\n')}\r\n\r\n${body}`)
          if (targetCloses !== true) await connection.drain()
        },
      ],
    })
    await client.send(headers(1, request, END_STREAM))
    assert.deepEqual(await client.answer(1), frames)
    await scene.recorded(1)
    assert.equal(scene.plane.counters.loadBalancer(0, 'sentBytes'), client.answerBytes(1))
    assert.deepEqual(scene.plane.faults, [])
  })
}

test("the listener's own headers stand on every response, and its server name need not", async t => {
  const { client } = await met(t, {
    targets: [answering(200, '', ['X-Frame-Options: SAMEORIGIN', 'Server: nginx'])],
    listenerAttributes: {
      'routing.http.response.x_frame_options.header_value': 'DENY',
      'routing.http.response.server.enabled': 'false',
    },
  })
  const date = 'date=Thu, 01 Jan 2026 12:00:00 GMT'
  await client.send(headers(1, get, END_STREAM), headers(3, having([':method', 'TRACE']), END_STREAM))
  assert.deepEqual(await client.answer(1), [
    `HEADERS 1 end :status=200 ${date} content-length=0 server=nginx x-frame-options=DENY`,
  ])
  assert.equal(
    (await client.answer(3))[0],
    `HEADERS 3 :status=405 ${date} content-type=text/html content-length=122 x-frame-options=DENY`,
  )
})

test('a response head as large as it may be goes on, in as many frames as it takes', async t => {
  const fields = Array.from({ length: 3 }, (_, i) => `X-${i}: ${'~'.repeat(10_000)}`)
  const { client } = await met(t, { targets: [answering(200, 'ok', fields)] })
  await client.send(headers(1, get, END_STREAM))
  await client.answer(1)
  assert.deepEqual(
    client.frames.filter(({ id }) => id === 1).map(({ type }) => type),
    ['HEADERS', 'CONTINUATION', 'DATA'],
  )
})
