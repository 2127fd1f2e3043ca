/**
 * The upgrade to WebSocket: what either side is sent of it, what the load balancer does to it as to any request, and
 * what is no upgrade.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WebSocket } from 'ws'
import { within } from '../support/deadline.ts'
import { fieldValue } from '../support/message-reader.ts'
import type { Script } from '../support/misbehaving-target.ts'
import { logFields } from '../support/plane.ts'
import type { RawClient, RawResponse } from '../support/raw-client.ts'
import { forwardToApp, type Scene, startScene } from '../support/scene.ts'
import { answering, neverAnswers, sendsAfterRequest } from '../support/target-scripts.ts'
import { clientOf, sceneOf, targetOf, testEveryWay } from '../support/tunnels.ts'
import { until } from '../support/turns.ts'
import {
  accept,
  key,
  maskedTextFrame,
  nextMessage,
  openWebSocket,
  startWebSocketServer,
  switching,
  textFrame,
  upgradeRequest,
} from '../support/websocket.ts'

const switches = (...headers: readonly string[]): Script => sendsAfterRequest(() => switching(...headers))

/** The address of a target in the configuration of a scene. */
const at = (port: number) => ({ id: '127.0.0.1', port })

async function upgrade(scene: Scene, request = upgradeRequest()): Promise<[RawClient, RawResponse]> {
  const client = await scene.client()
  await client.send(request)
  return [client, await client.readResponse()]
}

/** Type, both statuses, and the three times of a line. */
async function logged(scene: Scene, line = 0): Promise<(string | undefined)[]> {
  const fields = logFields(await scene.line(line))
  return [fields[1], fields[9], fields[10], fields[6], fields[7], fields[8]]
}

testEveryWay(
  'the target is sent the upgrade, with every field of the client but those of its connection',
  async (t, way) => {
    const scene = await startScene(t, { ...sceneOf(way), targets: [targetOf(way, switches())] })
    const fields = [
      'Host: example.com',
      'connection: keep-alive, Upgrade',
      'Pragma: no-cache',
      'UPGRADE: WebSocket',
      'Origin: http://example.com',
      'Keep-Alive: timeout=5',
      'sec-websocket-version: 13',
      'Sec-WebSocket-Protocol: chat, superchat',
      `Sec-WebSocket-Key: ${key}`,
      'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
      'Cookie: a=b',
    ]
    const client = await clientOf(way, scene)
    await client.send(`GET /chat?room=1 HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`)
    assert.equal((await client.readResponse()).status, 101)
    const [request] = await scene.target.receivedRequests(1)
    const trace = fieldValue(request!.headers, 'x-amzn-trace-id')
    assert.match(trace!, /^Root=1-[0-9a-f]{8}-[0-9a-f]{24}$/)
    assert.equal(
      request!.raw.toString('latin1'),
      [
        'GET /chat?room=1 HTTP/1.1',
        'X-Forwarded-For: 127.0.0.1',
        ...(way.type === 'wss'
          ? ['X-Forwarded-Proto: https', 'X-Forwarded-Port: 443']
          : ['X-Forwarded-Proto: http', 'X-Forwarded-Port: 80']),
        'Host: example.com',
        `X-Amzn-Trace-Id: ${trace}`,
        'Connection: upgrade',
        'Upgrade: websocket',
        'Pragma: no-cache',
        'Origin: http://example.com',
        'sec-websocket-version: 13',
        'Sec-WebSocket-Protocol: chat, superchat',
        `Sec-WebSocket-Key: ${key}`,
        'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
        'Cookie: a=b',
        '\r\n',
      ].join('\r\n'),
    )
  },
)

test('the client is sent the answer, with every field of the target but those of its connection', async t => {
  const answer = [
    'HTTP/1.1 101 Web Socket Protocol Handshake',
    'upgrade: WebSocket',
    'Server: own/1.0',
    'connection: Upgrade, X-Hop',
    'X-Hop: 1',
    'Keep-Alive: timeout=5',
    'Sec-WebSocket-Protocol: chat',
    `sec-websocket-accept: ${accept}`,
    'Sec-WebSocket-Extensions: permessage-deflate',
    '\r\n',
  ]
  const scene = await startScene(t, { targets: [sendsAfterRequest(() => answer.join('\r\n'))] })
  const [, response] = await upgrade(scene)
  assert.equal(
    response.raw.toString('latin1'),
    [
      'HTTP/1.1 101 Web Socket Protocol Handshake',
      'Date: Thu, 01 Jan 2026 12:00:00 GMT',
      'Connection: upgrade',
      'Upgrade: websocket',
      'Server: own/1.0',
      'Sec-WebSocket-Protocol: chat',
      `sec-websocket-accept: ${accept}`,
      'Sec-WebSocket-Extensions: permessage-deflate',
      '\r\n',
    ].join('\r\n'),
  )
})

test('a 101 is passed on wherever its packets are cut, with the frame behind it', async t => {
  const answer = Buffer.concat([Buffer.from(switching()), textFrame('hello')])
  let cut = 1
  const script: Script = async connection => {
    await connection.readRequest()
    await connection.send(answer.subarray(0, cut))
    await new Promise(resolve => setImmediate(resolve))
    await connection.send(answer.subarray(cut))
    await connection.drain()
  }
  const scene = await startScene(t, { targets: [script] })
  for (; cut < answer.length; cut++) {
    const [client, response] = await upgrade(scene)
    assert.equal(fieldValue(response.headers, 'sec-websocket-accept'), accept, `cut before byte ${cut}`)
    client.halfClose()
    assert.deepEqual((await client.readUntilClose()).bytes, textFrame('hello'), `cut before byte ${cut}`)
  }
})

test('an interim answer before the 101 ends here', async t => {
  const answer = `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${switching()}`
  const scene = await startScene(t, { targets: [sendsAfterRequest(() => answer)] })
  const [, response] = await upgrade(scene)
  assert.equal(response.status, 101)
  assert.equal(fieldValue(response.headers, 'link'), null)
})

test('subprotocol and compression are settled between client and target', async t => {
  const server = await startWebSocketServer(t, {
    perMessageDeflate: { threshold: 0, serverMaxWindowBits: 11 },
    handleProtocols: protocols => (protocols.has('superchat') ? 'superchat' : false),
  })
  const scene = await startScene(t, { addresses: [at(server.port)] })
  const client = await openWebSocket(t, scene.plane.port, {
    protocols: ['chat', 'superchat'],
    perMessageDeflate: { threshold: 0 },
  })
  const peer = await server.next()
  assert.equal(client.protocol, 'superchat')
  assert.equal(peer.protocol, 'superchat')
  assert.match(client.extensions, /permessage-deflate/)
  assert.match(peer.extensions, /permessage-deflate/)
  const text = 'the same words again and again, '.repeat(4096)
  for (const [from, to] of [
    [client, peer],
    [peer, client],
  ] as const) {
    const message = nextMessage(to)
    from.send(text)
    assert.equal((await message).data.toString(), text)
  }
  client.close()
  await scene.recorded(1)
  const fields = logFields(await scene.line())
  for (const bytes of [fields[11], fields[12]]) {
    assert.ok(Number(bytes) < text.length / 10, `${bytes} bytes went over the wire, still compressed`)
  }
})

testEveryWay('frames in the packet of the upgrade, and of the 101, reach the other side', async (t, way) => {
  const server = await startWebSocketServer(t, { isSecure: way.isTargetSecure })
  server.sockets.on('connection', socket => socket.send('welcome'))
  const scene = await startScene(t, { ...sceneOf(way), addresses: [at(server.port)] })
  const client = await clientOf(way, scene)
  await client.send(Buffer.concat([Buffer.from(upgradeRequest()), maskedTextFrame('early')]))
  const peer = await server.next()
  assert.equal((await nextMessage(peer)).data.toString(), 'early')
  assert.equal((await client.readResponse()).status, 101)
  peer.terminate()
  assert.deepEqual((await client.readUntilClose()).bytes, textFrame('welcome'))
})

test('an upgrade behind another request, in the same packet, waits for its turn', async t => {
  const script: Script = async connection => {
    await connection.readRequest()
    await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    await connection.readRequest()
    await connection.send(Buffer.concat([Buffer.from(switching()), textFrame('hello')]))
  }
  const scene = await startScene(t, { targets: [script] })
  const client = await scene.client()
  await client.send(`GET / HTTP/1.1\r\nHost: a\r\n\r\n${upgradeRequest()}`)
  assert.equal((await client.readResponse()).body.toString(), 'ok')
  assert.equal((await client.readResponse()).status, 101)
  client.halfClose()
  assert.deepEqual((await client.readUntilClose()).bytes, textFrame('hello'))
  assert.equal(scene.target.connectionCount, 1, 'on the connection that was there')
  await scene.recorded(2)
  assert.deepEqual([logFields(await scene.line(0))[1], logFields(await scene.line(1))[1]], ['http', 'ws'])
})

test('rules choose by the upgrade request, transforms change it, and both are logged', async t => {
  const server = await startWebSocketServer(t)
  const scene = await startScene(t, {
    addresses: [at(server.port)],
    defaultAction: { type: 'fixed-response', fixedResponse: { statusCode: 404 } },
    rules: [
      {
        priority: 7,
        conditions: [
          { field: 'path-pattern', values: ['/chat/*'] },
          { field: 'http-header', httpHeaderName: 'Upgrade', values: ['websocket'] },
        ],
        transforms: [
          { type: 'url-rewrite', urlRewrite: { rewrites: [{ regex: '^/chat/(.*)$', replace: '/rooms?name=$1' }] } },
        ],
        actions: [forwardToApp],
      },
    ],
  })
  const url = new Promise<string | undefined>(resolve =>
    server.sockets.once('connection', (_, request) => resolve(request.url)),
  )
  const client = await openWebSocket(t, scene.plane.port, { path: '/chat/lobby' })
  assert.equal(await url, '/rooms?name=lobby')
  client.close()
  await scene.recorded(1)
  const fields = logFields(await scene.line())
  assert.equal(fields[13], 'GET http://127.0.0.1:80/chat/lobby HTTP/1.1')
  assert.equal(fields[21], '7')
  assert.equal(fields[23], 'rewrite,forward')
  assert.equal(fields[32], '/rooms?name=lobby')

  const refused = new WebSocket(`ws://127.0.0.1:${scene.plane.port}/other`)
  const status = new Promise<number | undefined>(resolve =>
    refused.once('unexpected-response', (_, response) => resolve(response.statusCode)),
  )
  assert.equal(await within(status, () => 'the refusal'), 404)
  refused.on('error', () => {}).terminate()
})

test('a redirect answers an upgrade as any request', async t => {
  const redirect = { type: 'redirect', redirect: { path: '/x', statusCode: 'HTTP_301' } }
  const scene = await startScene(t, { defaultAction: redirect })
  const [, response] = await upgrade(scene)
  assert.equal(response.status, 301)
  await scene.recorded(1)
  assert.deepEqual((await logged(scene)).slice(0, 3), ['http', '301', '-'])
})

test('a 101 carries the stickiness cookies and the headers of the listener, and the cookie brings the client back', async t => {
  const servers = [await startWebSocketServer(t), await startWebSocketServer(t)]
  const scene = await startScene(t, {
    addresses: servers.map(({ port }) => at(port)),
    groupAttributes: { 'stickiness.enabled': 'true', 'stickiness.type': 'lb_cookie' },
    listenerAttributes: { 'routing.http.response.x_frame_options.header_value': 'DENY' },
  })
  const [first, response] = await upgrade(scene)
  assert.equal(fieldValue(response.headers, 'x-frame-options'), 'DENY')
  const cookies = response.headers.filter(line => line.startsWith('Set-Cookie: '))
  assert.deepEqual(
    cookies.map(line => line.slice(0, line.indexOf('='))),
    ['Set-Cookie: AWSALB', 'Set-Cookie: AWSALBCORS'],
  )
  const [cookie] = /AWSALB=[^;]+/.exec(cookies[0]!)!
  const chosen = servers.findIndex(({ sockets }) => sockets.clients.size === 1)
  first.close()
  await scene.recorded(1)
  for (let i = 0; i < 4; i++) {
    const client = await openWebSocket(t, scene.plane.port, { headers: { Cookie: cookie } })
    const others = servers.filter((_, index) => index !== chosen)
    assert.deepEqual(
      others.map(({ sockets }) => sockets.clients.size),
      [0],
    )
    client.terminate()
  }
})

for (const status of [200, 403, 404, 426, 500]) {
  testEveryWay(`a target that answers an upgrade with ${status} ends nothing, and is logged as any`, async (t, way) => {
    const script = answering(status, 'no', ['Upgrade: websocket'])
    const scene = await startScene(t, { ...sceneOf(way), targets: [targetOf(way, script)] })
    const client = await clientOf(way, scene)
    for (const path of ['/chat', '/again']) {
      await client.send(upgradeRequest(path))
      const response = await client.readResponse()
      assert.equal(response.status, status)
      assert.equal(response.body.toString(), 'no')
      assert.equal(fieldValue(response.headers, 'connection'), 'keep-alive')
      assert.equal(fieldValue(response.headers, 'upgrade'), null)
    }
    assert.equal(scene.target.connectionCount, 1, 'the connection of the target is used on')
    await scene.recorded(2)
    const fields = logFields(await scene.line(1))
    const type = way.type === 'wss' ? 'https' : 'http'
    assert.deepEqual([fields[1], fields[9], fields[10]], [type, String(status), String(status)])
    assert.equal(fields[11], String(upgradeRequest('/again').length))
    assert.equal(scene.plane.states.requestsInFlight(0), 0)
  })
}

test('what a client sends behind an upgrade that is refused is its next request, or none', async t => {
  const scene = await startScene(t, { targets: [answering(403, 'no')] })
  const client = await scene.client()
  await client.send(Buffer.concat([Buffer.from(upgradeRequest()), maskedTextFrame('early')]))
  assert.equal((await client.readResponse()).status, 403)
  assert.equal((await client.readResponse()).status, 400)
  assert.equal((await client.readUntilClose()).ending, 'fin')
  assert.equal((await scene.target.receivedRequests(1)).length, 1)
  assert.equal(scene.target.unfinished.length, 0)
})

test('a target that closes instead of an answer to an upgrade is a 502 as ever', async t => {
  const scene = await startScene(t, { targets: [async connection => void (await connection.readRequest())] })
  const [, response] = await upgrade(scene)
  assert.equal(response.status, 502)
  await scene.recorded(1)
  assert.deepEqual(await logged(scene), ['http', '502', '-', '0.000', '0.000', '-1'])
  assert.deepEqual(scene.plane.faults, ['targetClosed'])
})

test('a target that does not answer an upgrade within the idle timeout is a 504 as ever', async t => {
  const scene = await startScene(t, { targets: [neverAnswers] })
  const client = await scene.client()
  await client.send(upgradeRequest())
  await scene.target.receivedRequests(1)
  scene.plane.clock.advance(60_000)
  assert.equal((await client.readResponse()).status, 504)
  await scene.recorded(1)
  assert.deepEqual(await logged(scene), ['http', '504', '-', '0.000', '-1', '-1'])
})

test('a client that leaves before its upgrade is answered is a 460 as ever', async t => {
  const scene = await startScene(t, { targets: [neverAnswers] })
  const client = await scene.client()
  await client.send(upgradeRequest())
  await scene.target.receivedRequests(1)
  client.reset()
  await scene.recorded(1)
  assert.deepEqual((await logged(scene)).slice(0, 3), ['http', '460', '-'])
  await scene.target.closedConnections()
  assert.equal(scene.plane.states.requestsInFlight(0), 0)
})

/** What a target must not hear of, and why. */
const noUpgrades: Readonly<Record<string, string>> = {
  'h2c instead of websocket': upgradeRequest().replace('Upgrade: websocket', 'Upgrade: h2c'),
  'h2c with its settings': upgradeRequest()
    .replace('Connection: Upgrade', 'Connection: Upgrade, HTTP2-Settings')
    .replace('Upgrade: websocket', 'Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA'),
  'TLS instead of websocket': upgradeRequest().replace('Upgrade: websocket', 'Upgrade: TLS/1.0'),
  'websocket among others': upgradeRequest().replace('Upgrade: websocket', 'Upgrade: h2c, websocket'),
  'websocket with a version': upgradeRequest().replace('Upgrade: websocket', 'Upgrade: websocket/13'),
  'an empty Upgrade': upgradeRequest().replace('Upgrade: websocket', 'Upgrade:'),
  'no Connection: upgrade': upgradeRequest().replace('Connection: Upgrade', 'Connection: keep-alive'),
  'no Connection at all': upgradeRequest().replace('Connection: Upgrade\r\n', ''),
  'no Upgrade, only Connection': upgradeRequest().replace('Upgrade: websocket\r\n', ''),
  'HTTP/1.0': upgradeRequest().replace('HTTP/1.1', 'HTTP/1.0'),
  POST: upgradeRequest('/chat', 'Content-Length: 0').replace('GET', 'POST'),
  HEAD: upgradeRequest().replace('GET', 'HEAD'),
  'a lower-case get': upgradeRequest().replace('GET', 'get'),
  'a body by length': `${upgradeRequest('/chat', 'Content-Length: 4')}body`,
  'a body in chunks': `${upgradeRequest('/chat', 'Transfer-Encoding: chunked')}4\r\nbody\r\n0\r\n\r\n`,
}

for (const [what, request] of Object.entries(noUpgrades)) {
  test(`no upgrade: ${what}; the target is asked as for any request`, async t => {
    const scene = await startScene(t, { targets: [answering(200, 'ok')] })
    const client = await scene.client()
    await client.send(request)
    const [method] = request.split(' ', 1)
    assert.equal((await client.readResponse(method)).status, 200)
    const [received] = await scene.target.receivedRequests(1)
    assert.equal(fieldValue(received!.headers, 'connection'), 'keep-alive')
    assert.equal(fieldValue(received!.headers, 'upgrade'), null)
    assert.equal(fieldValue(received!.headers, 'http2-settings'), null)
    assert.equal(fieldValue(received!.headers, 'sec-websocket-key'), key, 'which is nothing to the connection')
    await scene.recorded(1)
    assert.deepEqual((await logged(scene)).slice(0, 3), ['http', '200', '200'])
  })

  test(`a 101 to ${what} is a 502, and no tunnel`, async t => {
    const scene = await startScene(t, { targets: [switches()] })
    const client = await scene.client()
    await client.send(request)
    const [method] = request.split(' ', 1)
    assert.equal((await client.readResponse(method)).status, 502)
    await scene.target.closedConnections()
    await scene.recorded(1)
    assert.deepEqual(await logged(scene), ['http', '502', '-', '0.000', '0.000', '-1'])
    assert.deepEqual(scene.plane.faults, ['responseHeadMalformed'])
    assert.equal(scene.plane.states.requestsInFlight(0), 0)
  })
}

test('an upgrade with a length of zero, or that expects a 100, is one', async t => {
  for (const header of ['Content-Length: 0', 'Expect: 100-continue', 'Upgrade: h2c']) {
    const scene = await startScene(t, { targets: [switches()] })
    const client = await scene.client()
    await client.send(upgradeRequest('/chat', header))
    let response = await client.readResponse()
    if (response.status === 100) response = await client.readResponse()
    assert.equal(response.status, 101, header)
    const [received] = await scene.target.receivedRequests(1)
    const upgrades = received!.headers.filter(line => /^upgrade:/i.test(line))
    assert.deepEqual(upgrades, ['Upgrade: websocket'], 'the only protocol that a target hears of')
  }
})

test('a 101 with fields of a body has none: what follows is the tunnel', async t => {
  for (const field of ['Content-Length: 5', 'Transfer-Encoding: chunked', 'Trailer: X']) {
    const answer = Buffer.concat([Buffer.from(switching(field)), textFrame('hello')])
    const scene = await startScene(t, { targets: [sendsAfterRequest(() => answer)] })
    const [client, response] = await upgrade(scene)
    assert.equal(response.status, 101)
    assert.equal(fieldValue(response.headers, field.slice(0, field.indexOf(':'))), null)
    client.halfClose()
    assert.deepEqual((await client.readUntilClose()).bytes, textFrame('hello'))
  }
})

const oddAnswers: Readonly<Record<string, string>> = {
  'two lengths': switching('Content-Length: 5', 'Content-Length: 6'),
  'both lengths': switching('Content-Length: 5', 'Transfer-Encoding: chunked'),
  'a name that is no token': switching('Bad Name: 1'),
  'more head than 32 K': switching(`X-Padding: ${'a'.repeat(33_000)}`),
  'another protocol': switching().replace('Upgrade: websocket', 'Upgrade: h2c'),
}

for (const [what, answer] of Object.entries(oddAnswers)) {
  test(`a 101 with ${what} is a 502`, async t => {
    const scene = await startScene(t, { targets: [sendsAfterRequest(() => answer)] })
    const [client, response] = await upgrade(scene)
    assert.equal(response.status, 502)
    await scene.target.closedConnections()
    await client.send(upgradeRequest('/again'))
    assert.equal((await client.readResponse()).status, 502, 'the connection of the client is used on')
    await scene.recorded(2)
    assert.deepEqual((await logged(scene)).slice(0, 3), ['http', '502', '-'])
  })
}

test('a 101 that says nothing of the upgrade is completed for the client', async t => {
  const scene = await startScene(t, { targets: [sendsAfterRequest(() => 'HTTP/1.1 101\r\n\r\n')] })
  const [, response] = await upgrade(scene)
  assert.deepEqual(response.headers.slice(-2), ['Connection: upgrade', 'Upgrade: websocket'])
})

test('an idle connection to a target that took a tunnel is never used again', async t => {
  const scene = await startScene(t, { targets: [switches()] })
  for (let count = 1; count <= 3; count++) {
    const [client] = await upgrade(scene)
    client.halfClose()
    await client.readUntilClose()
    await scene.recorded(count)
    assert.equal(scene.target.connectionCount, count)
  }
  await until(
    () => scene.target.openConnectionCount === 0,
    () => 'the target to be left',
  )
})
