/**
 * What a target is sent of a client's head.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-request-tracing.html
 */

import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { type TestContext, test } from 'node:test'
import { fieldValue } from '../support/message-reader.ts'
import type { ReceivedRequest } from '../support/misbehaving-target.ts'
import { logFields } from '../support/plane.ts'
import { type Scene, type SceneOptions, startScene } from '../support/scene.ts'
import { answering } from '../support/target-scripts.ts'

type Options = Omit<SceneOptions, 'targets'>

/** Sends a request to a load balancer of its own and shows what its target got. */
async function received(t: TestContext, request: string, options: Options = {}): Promise<ReceivedRequest> {
  const scene = await startScene(t, { ...options, targets: [answering()] })
  return passed(scene, request)
}

async function passed(scene: Scene, request: string): Promise<ReceivedRequest> {
  assert.equal((await scene.ask(request)).status, 200)
  return scene.target.requests.at(-1)!
}

/** All values of a field, in their order. */
function values({ headers }: ReceivedRequest, name: string): string[] {
  const prefix = `${name.toLowerCase()}: `
  return headers.filter(line => line.toLowerCase().startsWith(prefix)).map(line => line.slice(prefix.length))
}

const get = (fields: readonly string[] = []) => `${['GET / HTTP/1.1', 'Host: a', ...fields].join('\r\n')}\r\n\r\n`

test("the load balancer's fields come first, the client's follow as they were", async t => {
  const fields = [
    'user-AGENT: curl/8.11.1',
    'Accept: */*',
    'Cookie: a=1',
    'X-Two:  spaced\t out ',
    'Cookie: b=2',
    'Empty:',
  ]
  const { head } = await received(t, `${['GET /a?b=c HTTP/1.1', 'Host: a', ...fields].join('\r\n')}\r\n\r\n`)
  const trace = /X-Amzn-Trace-Id: Root=1-[0-9a-f]{8}-[0-9a-f]{24}/.exec(head)?.[0]
  assert.deepEqual(head.split('\r\n'), [
    'GET /a?b=c HTTP/1.1',
    'X-Forwarded-For: 127.0.0.1',
    'X-Forwarded-Proto: http',
    'X-Forwarded-Port: 80',
    'Host: a',
    trace,
    'Connection: keep-alive',
    ...fields,
  ])
})

// --- X-Forwarded-* ---

const modes: readonly (readonly [mode: string, incoming: readonly string[], outgoing: readonly string[]])[] = [
  ['append', [], ['127.0.0.1']],
  ['append', ['10.0.0.1'], ['10.0.0.1, 127.0.0.1']],
  ['append', ['10.0.0.1, unknown'], ['10.0.0.1, unknown, 127.0.0.1']],
  ['append', ['10.0.0.1', '10.0.0.2'], ['10.0.0.1, 10.0.0.2, 127.0.0.1']],
  ['append', [''], ['127.0.0.1']],
  ['preserve', [], []],
  ['preserve', ['10.0.0.1'], ['10.0.0.1']],
  ['preserve', ['10.0.0.1', '10.0.0.2'], ['10.0.0.1', '10.0.0.2']],
  ['remove', [], []],
  ['remove', ['10.0.0.1', '10.0.0.2'], []],
]

for (const [mode, incoming, outgoing] of modes) {
  test(`X-Forwarded-For in mode ${mode} makes ${JSON.stringify(outgoing)} of ${JSON.stringify(incoming)}`, async t => {
    const fields = incoming.map(value => `x-forwarded-for: ${value}`)
    const attributes = { 'routing.http.xff_header_processing.mode': mode }
    assert.deepEqual(values(await received(t, get(fields), { attributes }), 'X-Forwarded-For'), outgoing)
  })
}

const withPort = { 'routing.http.xff_client_port.enabled': 'true' }

test("with xff_client_port, the client's port is told", async t => {
  const scene = await startScene(t, { targets: [answering()], attributes: withPort })
  const client = await scene.client()
  await client.send(get(['X-Forwarded-For: 10.0.0.1']))
  await client.readResponse()
  const [request] = await scene.target.receivedRequests(1)
  assert.deepEqual(values(request!, 'X-Forwarded-For'), [`10.0.0.1, 127.0.0.1:${client.localPort}`])
})

test('xff_client_port says nothing in the modes that add no address', async t => {
  for (const mode of ['preserve', 'remove']) {
    const attributes = { ...withPort, 'routing.http.xff_header_processing.mode': mode }
    const expected = mode === 'preserve' ? ['10.0.0.1'] : []
    const request = await received(t, get(['X-Forwarded-For: 10.0.0.1']), { attributes })
    assert.deepEqual(values(request, 'X-Forwarded-For'), expected)
  }
})

const hasIPv6 = Object.values(networkInterfaces()).some(each => each?.some(({ address }) => address === '::1'))

test('an IPv6 client is told without brackets, unless a port follows', { skip: !hasIPv6 && 'no ::1' }, async t => {
  for (const attributes of [{}, withPort]) {
    const scene = await startScene(t, { targets: [answering()], attributes })
    const { publisher, plane } = scene.plane
    const { loadBalancers, targetGroups } = publisher.resources
    const availabilityZones = [{ zoneName: 'us-east-1a', addresses: ['::1'] }]
    const resources = { targetGroups, loadBalancers: loadBalancers.map(each => ({ ...each, availabilityZones })) }
    await plane.publish(publisher.prepare(resources))
    publisher.commit(resources)
    const client = await scene.client('::1')
    await client.send(get())
    await client.readResponse()
    const [request] = await scene.target.receivedRequests(1)
    const expected = attributes === withPort ? `[::1]:${client.localPort}` : '::1'
    assert.deepEqual(values(request!, 'X-Forwarded-For'), [expected])
    const fields = logFields(await scene.line())
    assert.equal(fields[4], `[::1]:${client.localPort}`)
    assert.equal(fields[34], '::1')
  }
})

test('X-Forwarded-Proto and -Port are of the listener, whatever the client says', async t => {
  const fields = ['X-Forwarded-Proto: https', 'X-Forwarded-Proto: ftp', 'X-Forwarded-Port: 1']
  const request = await received(t, get(fields), { port: 8080 })
  assert.deepEqual(values(request, 'X-Forwarded-Proto'), ['http'])
  assert.deepEqual(values(request, 'X-Forwarded-Port'), ['8080'])
})

test('what other proxies add is neither added nor taken away', async t => {
  const fields = ['X-Forwarded-Host: b', 'Forwarded: for=b', 'Via: 1.1 b', 'X-Real-IP: 10.0.0.1']
  const { headers } = await received(t, get(fields))
  assert.deepEqual(headers.slice(-4), fields)
  const without = await received(t, get())
  assert.equal(without.headers.length, 6)
})

// --- X-Amzn-Trace-Id ---

const element = '1-[0-9a-f]{8}-[0-9a-f]{24}'
const traces: readonly (readonly [incoming: string | null, outgoing: string])[] = [
  [null, `Root=${element}`],
  ['Root=1-67891233-abcdef012345678912345678', `Self=${element};Root=1-67891233-abcdef012345678912345678`],
  ['Root=1-a-b;CalledFrom=app', `Self=${element};Root=1-a-b;CalledFrom=app`],
  ['Self=1-a-b;Root=1-c-d;CalledFrom=app', `Self=${element};Root=1-c-d;CalledFrom=app`],
  ['Root=1-c-d;Self=1-a-b', `Self=${element};Root=1-c-d`],
  ['CalledFrom=app', `Root=${element};CalledFrom=app`],
  ['Self=1-a-b', `Root=${element}`],
  ['', `Root=${element}`],
]

for (const [incoming, outgoing] of traces) {
  test(`a trace id of ${JSON.stringify(incoming)} becomes ${outgoing.replaceAll(element, '<new>')}`, async t => {
    const scene = await startScene(t, { targets: [answering()] })
    const request = await passed(scene, get(incoming === null ? [] : [`x-amzn-trace-id: ${incoming}`]))
    const sent = values(request, 'X-Amzn-Trace-Id')
    assert.equal(sent.length, 1)
    assert.match(sent[0]!, new RegExp(`^${outgoing}$`))
    assert.equal(logFields(await scene.line())[18], sent[0])
  })
}

test('a trace id holds the second of arrival, and no two are the same', async t => {
  const scene = await startScene(t, { targets: [answering()] })
  scene.plane.clock.advance(90_000)
  const first = values(await passed(scene, get()), 'X-Amzn-Trace-Id')[0]!
  const second = values(await passed(scene, get()), 'X-Amzn-Trace-Id')[0]!
  assert.equal(Number.parseInt(first.split('-')[1]!, 16), Date.UTC(2026, 0, 1, 12, 1, 30) / 1000)
  assert.notEqual(first, second)
})

test('above 7 KB of head, a trace id starts anew', async t => {
  const root = 'X-Amzn-Trace-Id: Root=1-a-b;CalledFrom=app'
  const fill = (headBytes: number) => {
    const empty = get([root, 'A: '])
    return get([root, `A: ${'a'.repeat(headBytes - empty.length)}`])
  }
  const atBound = values(await received(t, fill(7 * 1024)), 'X-Amzn-Trace-Id')
  assert.match(atBound[0]!, new RegExp(`^Self=${element};Root=1-a-b;CalledFrom=app$`))
  const above = values(await received(t, fill(7 * 1024 + 1)), 'X-Amzn-Trace-Id')
  assert.match(above[0]!, new RegExp(`^Root=${element}$`))
})

// --- Host ---

const preserving = { 'routing.http.preserve_host_header.enabled': 'true' }

/** Request target and Host; what the target sees by default; what it sees with preserve_host_header. */
const hosts: readonly (readonly [port: number, target: string, host: string, byDefault: string, preserved: string])[] =
  [
    [80, '/', 'example.com', 'example.com', 'example.com'],
    [443, '/', 'example.com', 'example.com', 'example.com'],
    [80, '/', 'example.com:80', 'example.com', 'example.com:80'],
    [80, '/', 'example.com:8080', 'example.com', 'example.com:8080'],
    [443, '/', 'example.com:443', 'example.com', 'example.com:443'],
    [8080, '/', 'example.com', 'example.com:8080', 'example.com'],
    [8080, '/', 'example.com:8080', 'example.com:8080', 'example.com:8080'],
    [8080, '/', 'example.com:9090', 'example.com:9090', 'example.com:9090'],
    [8080, '/', 'example.com:', 'example.com:8080', 'example.com:'],
    [80, '/', 'WWW.Example.COM', 'www.example.com', 'WWW.Example.COM'],
    [80, '/', '[2001:DB8::1]:80', '[2001:db8::1]', '[2001:DB8::1]:80'],
    [8080, '/', '[::1]', '[::1]:8080', '[::1]'],
    [80, 'http://dns_name/index.html', 'example.com', 'dns_name', 'example.com'],
    [8080, 'http://dns_name/index.html', 'example.com', 'dns_name:8080', 'example.com'],
    [80, 'HTTP://dns_name', 'example.com', 'dns_name', 'example.com'],
    [80, 'https://dns_name?a=b', 'example.com', 'dns_name', 'example.com'],
  ]

for (const [port, target, host, byDefault, preserved] of hosts) {
  test(`${target} with Host ${host} on port ${port} reaches the target as ${byDefault}`, async t => {
    const request = `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`
    const scene = await startScene(t, { targets: [answering()], port })
    assert.deepEqual(values(await passed(scene, request), 'Host'), [byDefault])
    await scene.plane.publish(scene.config({ attributes: preserving }))
    assert.deepEqual(values(await passed(scene, request), 'Host'), [preserved])
  })
}

test('an absolute target reaches the target as a path', async t => {
  const paths = { 'http://b/index.html?q': '/index.html?q', 'http://b': '/', 'http://b?q=1': '/?q=1' }
  for (const [absolute, path] of Object.entries(paths)) {
    const { head } = await received(t, `GET ${absolute} HTTP/1.1\r\nHost: a\r\n\r\n`)
    assert.ok(head.startsWith(`GET ${path} HTTP/1.1\r\n`), head)
  }
})

test('HTTP/1.0 without Host is for the load balancer by its own name', async t => {
  for (const attributes of [{}, preserving]) {
    const scene = await startScene(t, { targets: [answering()], attributes })
    const request = await passed(scene, 'GET / HTTP/1.0\r\n\r\n')
    assert.deepEqual(values(request, 'Host'), [scene.loadBalancer.dnsName])
    assert.ok(request.head.startsWith('GET / HTTP/1.1\r\n'))
  }
})

test('of several Hosts the first one counts; preserved, all of them pass', async t => {
  const request = 'GET / HTTP/1.1\r\nHost: One\r\nhost: Two\r\n\r\n'
  assert.deepEqual(values(await received(t, request), 'Host'), ['one'])
  assert.deepEqual(values(await received(t, request, { attributes: preserving }), 'Host'), ['One', 'Two'])
})

test('OPTIONS * reaches the target as it is', async t => {
  const { head } = await received(t, 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.ok(head.startsWith('OPTIONS * HTTP/1.1\r\n'))
})

test('a path is passed on byte by byte', async t => {
  const path = '/a%2Fb/../c//d;e="f"|{}^`?\xe4#x'
  const { head } = await received(t, `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
  assert.ok(head.startsWith(`GET ${path} HTTP/1.1\r\n`))
})

// --- Which fields pass ---

test('names with other bytes than letters, digits and hyphens pass by default, and are counted', async t => {
  const fields = ['X_Under: 1', 'X.Dot: 2', 'X-Fine: 3']
  const scene = await startScene(t, { targets: [answering()] })
  const { headers } = await passed(scene, get(fields))
  assert.deepEqual(headers.slice(-3), fields)
  const { counters } = scene.plane
  assert.equal(counters.loadBalancer(0, 'ForwardedInvalidHeaderRequestCount'), 1)
  assert.equal(counters.loadBalancer(0, 'DroppedInvalidHeaderRequestCount'), 0)
})

test('with drop_invalid_header_fields they are dropped, and the request counted once', async t => {
  const attributes = { 'routing.http.drop_invalid_header_fields.enabled': 'true' }
  const scene = await startScene(t, { targets: [answering()], attributes })
  const { headers } = await passed(scene, get(['X_Under: 1', 'X-Fine: 3', 'X.Dot: 2', "X'Tick: 4", 'X-Also-Fine: 5']))
  assert.deepEqual(headers.slice(-2), ['X-Fine: 3', 'X-Also-Fine: 5'])
  assert.equal(headers.length, 8)
  await passed(scene, get(['X-Fine: 3']))
  const { counters } = scene.plane
  assert.equal(counters.loadBalancer(0, 'DroppedInvalidHeaderRequestCount'), 1)
  assert.equal(counters.loadBalancer(0, 'ForwardedInvalidHeaderRequestCount'), 0)
})

test('what belongs to one connection ends there: hop-by-hop fields and those that Connection names', async t => {
  const fields = [
    'Connection: keep-alive, X-Mine , x-also',
    'Connection: te',
    'Keep-Alive: timeout=5',
    'Proxy-Connection: keep-alive',
    'TE: trailers',
    'Trailer: X-Sum',
    'Upgrade: h2c',
    'X-Mine: 1',
    'X-ALSO: 2',
    'X-Stays: 3',
  ]
  const { headers } = await received(t, get(fields))
  assert.deepEqual(headers.slice(5), ['Connection: keep-alive', 'X-Stays: 3'])
})

test('Connection cannot name away what the load balancer needs', async t => {
  const fields = ['Connection: host, content-length, x-forwarded-for, x-amzn-trace-id', 'Content-Length: 2']
  const request = await received(t, `${get(fields).replace('GET', 'POST')}ab`)
  assert.equal(fieldValue(request.headers, 'content-length'), '2')
  assert.equal(fieldValue(request.headers, 'host'), 'a')
  assert.equal(fieldValue(request.headers, 'x-forwarded-for'), '127.0.0.1')
  assert.equal(request.body.toString(), 'ab')
})

test('a WebSocket upgrade is asked for in the same words', async t => {
  const fields = ['Connection: Upgrade', 'Upgrade: WebSocket', 'Sec-WebSocket-Key: a', 'Sec-WebSocket-Version: 13']
  const { headers } = await received(t, get(fields))
  assert.deepEqual(headers.slice(5), [
    'Connection: upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Key: a',
    'Sec-WebSocket-Version: 13',
  ])
})

// --- Bodies ---

test('a body with a length keeps it, chunks stay chunks without extensions and trailers', async t => {
  const scene = await startScene(t, { targets: [answering()] })
  const post = 'POST / HTTP/1.1\r\nHost: a\r\n'
  const plain = await passed(scene, `${post}Content-Length: 3\r\n\r\nabc`)
  assert.ok(plain.raw.toString().endsWith('\r\nContent-Length: 3\r\n\r\nabc'))
  const chunked = await passed(
    scene,
    `${post}Transfer-Encoding: Chunked\r\nTrailer: T\r\n\r\n3;x=1\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n`,
  )
  assert.deepEqual(values(chunked, 'Transfer-Encoding'), ['chunked'])
  assert.ok(chunked.raw.toString().endsWith('\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n'))
})

const bodies: readonly (readonly [reason: string, request: string, framing: string, body: string])[] = [
  [
    'DuplicateContentLength',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc',
    'Content-Length: 3',
    'abc',
  ],
  [
    'BothTeClPresent',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n',
    'Transfer-Encoding: chunked',
    'ab',
  ],
  [
    'UndefinedContentLengthSemantics',
    'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc',
    'Content-Length: 3',
    'abc',
  ],
  [
    'UndefinedTransferEncodingSemantics',
    'GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n',
    'Transfer-Encoding: chunked',
    'ab',
  ],
]

for (const [reason, request, framing, body] of bodies) {
  test(`a request of ${reason} leaves no doubt for its target: ${framing}`, async t => {
    const scene = await startScene(t, { targets: [answering()] })
    const sent = await passed(scene, request)
    const framings = sent.headers.filter(line => /^(content-length|transfer-encoding):/i.test(line))
    assert.deepEqual(framings, [framing])
    assert.equal(sent.body.toString(), body)
    assert.deepEqual(logFields(await scene.line()).slice(28, 30), ['Ambiguous', reason])
  })
}

const acceptable: readonly (readonly [reason: string, request: string])[] = [
  ['GetHeadZeroContentLength', 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n'],
  ['NonCompliantVersion', 'GET / HTTP/1.2\r\nHost: a\r\n\r\n'],
  ['NonCrLfLineTermination', 'GET / HTTP/1.1\nHost: a\n\n'],
  ['NonCompliantHeader', 'GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n'],
  ['SpaceInUri', 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n'],
]

for (const [reason, request] of acceptable) {
  test(`a request of ${reason} is served, classified, and no reason to close`, async t => {
    const scene = await startScene(t, { targets: [answering()] })
    const client = await scene.client()
    await client.send(request)
    const response = await client.readResponse()
    assert.equal(response.status, 200)
    assert.ok(response.headers.includes('Connection: keep-alive'))
    assert.deepEqual(logFields(await scene.line()).slice(28, 30), ['Acceptable', reason])
    const { counters } = scene.plane
    assert.equal(counters.loadBalancer(0, 'DesyncMitigationMode_NonCompliant_Request_Count'), 1)
  })
}

// --- Expect ---

test('Expect: 100-continue is answered here, at once, and does not reach the target', async t => {
  const scene = await startScene(t, { targets: [answering()] })
  const client = await scene.client()
  await client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n')
  assert.equal((await client.readResponse()).raw.toString(), 'HTTP/1.1 100 Continue\r\n\r\n')
  await client.send('abc')
  assert.equal((await client.readResponse()).status, 200)
  const [request] = await scene.target.receivedRequests(1)
  assert.deepEqual(values(request!, 'Expect'), [])
  assert.equal(request!.body.toString(), 'abc')
})

test('HTTP/1.0 is sent no 100, and another expectation is passed on', async t => {
  const scene = await startScene(t, { targets: [answering()] })
  const old = await scene.ask('POST / HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc')
  assert.equal(old.status, 200)
  const other = await passed(scene, get(['Expect: the-unexpected']))
  assert.deepEqual(values(other, 'Expect'), ['the-unexpected'])
})
