/** WebSocket through the load balancer: the upgrade, the tunnel behind it, and its one line in the log. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { openSocket, readHead, readToEnd, startBareServer } from '../support/bare-server.ts'
import { within } from '../support/deadline.ts'
import { forwardTo, forwardToPorts, openClient } from '../support/forwarding.ts'
import { fieldValue } from '../support/message-reader.ts'
import { logFields, type TestPlane } from '../support/plane.ts'
import { answering } from '../support/target-scripts.ts'
import { caughtUp, stalled, until } from '../support/turns.ts'

const upgrade =
  'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
const switching = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Target: 1\r\n\r\n'

type Meeting = { readonly plane: TestPlane; readonly client: WebSocket; readonly server: WebSocket }

/** A client and a server, both of `ws`, with the load balancer in between. */
async function meet(t: TestContext): Promise<Meeting> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  t.after(() => {
    for (const socket of server.clients) socket.terminate()
    server.close()
  })
  const plane = await forwardToPorts(t, [(server.address() as { port: number }).port])
  const client = new WebSocket(`ws://127.0.0.1:${plane.port}/chat`)
  t.after(() => client.terminate())
  const connected = once(server, 'connection')
  await within(once(client, 'open'), () => 'the handshake')
  return { plane, client, server: (await connected)[0] as WebSocket }
}

async function nextMessage(socket: WebSocket): Promise<{ data: Buffer; isBinary: boolean }> {
  const [data, isBinary] = await within(once(socket, 'message'), () => 'a message')
  return { data: data as Buffer, isBinary: isBinary as boolean }
}

/** A target that switches, and then does what the test says on the bare socket. */
async function switchingTo(t: TestContext, then: (socket: Socket) => void | Promise<void>): Promise<TestPlane> {
  const port = await startBareServer(t, async socket => {
    socket.write(switching)
    await then(socket)
  })
  return forwardToPorts(t, [port])
}

/** A client that has upgraded; reads nothing further by itself. */
async function upgraded(t: TestContext, { port }: TestPlane): Promise<Socket> {
  const socket = await openSocket(t, port)
  socket.write(upgrade)
  const rest = await within(readHead(socket), () => 'the 101')
  assert.ok(rest !== null)
  if (rest.length > 0) socket.unshift(rest)
  return socket
}

test('text, binary and fragmented messages and pings pass in both directions', async t => {
  const { client, server } = await meet(t)
  for (const [from, to] of [
    [client, server],
    [server, client],
  ] as const) {
    const text = nextMessage(to)
    from.send('grüße')
    assert.deepEqual(await text, { data: Buffer.from('grüße'), isBinary: false })

    const bytes = randomBytes(100_000)
    const binary = nextMessage(to)
    from.send(bytes)
    assert.deepEqual(await binary, { data: bytes, isBinary: true })

    const whole = nextMessage(to)
    from.send('in ', { fin: false })
    from.send('three ', { fin: false })
    from.send('parts', { fin: true })
    assert.equal((await whole).data.toString(), 'in three parts')

    const pong = once(from, 'pong')
    from.ping('are you there')
    assert.equal(String((await within(pong, () => 'a pong'))[0]), 'are you there')
  }
})

test('messages of 10 MB pass in both directions at once', async t => {
  const { client, server } = await meet(t)
  const up = randomBytes(10_000_000)
  const down = randomBytes(10_000_000)
  const received = Promise.all([nextMessage(server), nextMessage(client)])
  client.send(up)
  server.send(down)
  const [atServer, atClient] = await received
  assert.ok(atServer.data.equals(up))
  assert.ok(atClient.data.equals(down))
})

for (const closing of ['client', 'server'] as const) {
  test(`a close by the ${closing} reaches the other with its code, and the tunnel is logged once`, async t => {
    const { plane, client, server } = await meet(t)
    const message = nextMessage(server)
    client.send('hello')
    await message
    const other = closing === 'client' ? server : client
    const closed = once(other, 'close')
    ;(closing === 'client' ? client : server).close(4001, 'enough')
    const [code, reason] = await within(closed, () => 'the close')
    assert.equal(code, 4001)
    assert.equal(String(reason), 'enough')
    await until(
      () => plane.counters.loadBalancer(0, 'exchanges') === 1,
      () => 'the exchange to end',
    )
    const fields = logFields((await plane.logLines())[0]!)
    assert.deepEqual([fields[1], fields[9], fields[10]], ['ws', '101', '101'])
    assert.deepEqual(plane.faults, [])
    assert.equal(plane.states.requestsInFlight(0), 0)
  })
}

test('the target is sent the upgrade, and the client the answer, less what belongs to the connection', async t => {
  const { target, client } = await forwardTo(t, async connection => {
    await connection.readRequest()
    await connection.send(switching)
    await connection.drain()
  })
  const one = await client()
  await one.send(upgrade.replace('Connection: Upgrade', 'Connection: keep-alive, Upgrade'))
  const response = await one.readResponse()
  assert.equal(response.status, 101)
  assert.equal(fieldValue(response.headers, 'upgrade'), 'websocket')
  assert.equal(fieldValue(response.headers, 'connection'), 'upgrade')
  assert.equal(fieldValue(response.headers, 'x-target'), '1')
  const [request] = await target.receivedRequests(1)
  assert.equal(fieldValue(request!.headers, 'upgrade'), 'websocket')
  assert.equal(fieldValue(request!.headers, 'connection'), 'upgrade')
  assert.equal(fieldValue(request!.headers, 'sec-websocket-key'), 'dGhlIHNhbXBsZSBub25jZQ==')
})

test('the line of a tunnel is written at its end and counts all bytes of both directions', async t => {
  const plane = await switchingTo(t, async socket => {
    socket.write('from the target')
    await readToEnd(socket)
    socket.end()
  })
  const one = await openClient(t, plane.port)
  await one.send(upgrade)
  const head = await one.readResponse()
  await one.send('from the client')
  await caughtUp()
  assert.deepEqual(await plane.logLines(), [])
  one.halfClose()
  assert.equal((await one.readUntilClose()).bytes.toString(), 'from the target')
  const fields = logFields((await plane.logLines())[0]!)
  assert.equal(fields[11], String(upgrade.length + 'from the client'.length))
  assert.equal(fields[12], String(head.byteCount + 'from the target'.length))
  assert.equal(fields[13], 'GET http://a:80/chat HTTP/1.1')
})

test('frames that a client sends before it is answered reach the target behind the upgrade', async t => {
  const received = Promise.withResolvers<string>()
  const port = await startBareServer(t, async (socket, rest) => {
    assert.equal(rest.length, 0)
    await caughtUp()
    assert.equal(socket.read(), null)
    socket.write(switching)
    received.resolve((await readToEnd(socket)).toString())
  })
  const plane = await forwardToPorts(t, [port])
  const client = await openSocket(t, plane.port)
  client.write(`${upgrade}early `)
  client.write('frames, ')
  await within(readHead(client), () => 'the 101')
  client.end('late frames')
  assert.equal(await within(received.promise, () => 'the frames'), 'early frames, late frames')
})

test('frames that a target sends with its answer reach the client behind it', async t => {
  const port = await startBareServer(t, socket => {
    socket.end(`${switching}early frames`)
  })
  const client = await upgraded(t, await forwardToPorts(t, [port]))
  client.end()
  assert.equal((await readToEnd(client)).toString(), 'early frames')
})

test('a half close by the client leaves the other direction open', async t => {
  const plane = await switchingTo(t, async socket => {
    const heard = await readToEnd(socket)
    socket.end(`after the end of "${heard}"`)
  })
  const client = await upgraded(t, plane)
  client.end('question')
  assert.equal((await readToEnd(client)).toString(), 'after the end of "question"')
  assert.deepEqual(plane.faults, [])
})

test('a half close by the target leaves the other direction open, to its last byte', async t => {
  const size = 20_000_000
  const received = Promise.withResolvers<number>()
  const resumed = Promise.withResolvers<void>()
  const plane = await switchingTo(t, async socket => {
    socket.end()
    await resumed.promise
    received.resolve((await readToEnd(socket)).length)
  })
  const client = await upgraded(t, plane)
  const ended = readToEnd(client)
  client.end(Buffer.alloc(size))
  await stalled(() => client.bytesWritten - client.writableLength)
  resumed.resolve()
  assert.equal((await ended).length, 0)
  assert.equal(await within(received.promise, () => 'the target to have all'), size)
  assert.deepEqual(plane.faults, [])
})

test('a reset by either side ends the other', async t => {
  const byTarget = await switchingTo(t, async socket => {
    await once(socket, 'readable')
    socket.resetAndDestroy()
  })
  const first = await upgraded(t, byTarget)
  first.write('go')
  assert.equal((await within(readToEnd(first), () => 'the end of the tunnel')).length, 0)

  const ended = Promise.withResolvers<void>()
  const byClient = await switchingTo(t, socket => {
    socket.once('close', ended.resolve).resume()
    socket.once('end', () => socket.end())
  })
  const second = await upgraded(t, byClient)
  second.resetAndDestroy()
  await within(ended.promise, () => 'the target to hear of the reset')
  for (const plane of [byTarget, byClient]) {
    await until(
      () => plane.states.requestsInFlight(0) === 0,
      () => 'the tunnel to be counted out',
    )
    assert.equal(logFields((await plane.logLines())[0]!)[1], 'ws')
  }
})

test('a refused upgrade is an ordinary exchange, and the connection goes on', async t => {
  const { client, plane, target } = await forwardTo(t, answering(403, 'no'))
  const one = await client()
  for (let i = 0; i < 2; i++) {
    await one.send(upgrade)
    const response = await one.readResponse()
    assert.equal(response.status, 403)
    assert.equal(response.body.toString(), 'no')
    assert.equal(fieldValue(response.headers, 'connection'), 'keep-alive')
  }
  assert.equal(target.connectionCount, 1)
  for (const line of await plane.logLines()) {
    const fields = logFields(line)
    assert.deepEqual([fields[1], fields[9]], ['http', '403'])
  }
})

test('the idle timeout ends a tunnel in which nothing moves, and any byte puts it off', async t => {
  const plane = await switchingTo(t, socket => {
    socket.resume()
  })
  const client = await upgraded(t, plane)
  const seconds = (count: number) => {
    for (let second = 0; second < count; second++) plane.clock.advance(1_000)
  }
  seconds(59)
  client.write('ping')
  await caughtUp()
  seconds(59)
  assert.deepEqual(await plane.logLines(), [])
  seconds(2)
  assert.equal((await readToEnd(client)).length, 0)
  const fields = logFields((await plane.logLines())[0]!)
  assert.deepEqual([fields[1], fields[9]], ['ws', '101'])
})

test('many small messages to a client that does not read cost little more than their bytes', async t => {
  let sent = 0
  const plane = await switchingTo(t, async socket => {
    // One at a time, so that each is read and relayed by itself.
    while (!socket.destroyed && socket.write(Buffer.alloc(512))) {
      sent += 512
      await new Promise(resolve => setImmediate(resolve))
    }
  })
  await upgraded(t, plane)
  const before = process.memoryUsage().arrayBuffers
  await stalled(() => sent)
  const grownMb = (process.memoryUsage().arrayBuffers - before) / 2 ** 20
  t.diagnostic(`memory grew by ${grownMb.toFixed(1)} MB while ${sent} bytes were sent`)
  assert.ok(grownMb < 8, `memory grew by ${grownMb.toFixed(1)} MB`)
})
