/** What passes through a tunnel: messages, their pace, and how either side ends it. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { readBufferBytes } from '../../src/model/limits.ts'
import { Connection } from '../../src/net/connection.ts'
import { readHead, readToEnd, startBareServer } from '../support/bare-server.ts'
import { within } from '../support/deadline.ts'
import { memoryInUse } from '../support/memory.ts'
import { PatternCheck, PatternSource } from '../support/pattern.ts'
import { logFields } from '../support/plane.ts'
import { keepsMemory } from '../support/plane-process.ts'
import { Scene } from '../support/scene.ts'
import {
  meetInScene,
  openClient,
  openTunnel,
  sceneOf,
  serving,
  switchingTo,
  testEveryWay,
  type Way,
} from '../support/tunnels.ts'
import { caughtUp, stalled, until } from '../support/turns.ts'
import { closing, nextMessage, switching, upgrade, upgradeRequest } from '../support/websocket.ts'

/** Of a connection that was lost rather than closed, in the words of RFC 6455. */
const lost = { code: 1006, reason: '' }

/** The most bytes that any connection of a data plane in this thread has had waiting for its peer. */
function watchQueues(t: TestContext): { readonly peak: number } {
  const watched = { peak: 0 }
  const { send } = Connection.prototype
  t.mock.method(Connection.prototype, 'send', function (this: Connection, ...sent: Parameters<typeof send>) {
    const isOurs = send.apply(this, sent)
    watched.peak = Math.max(watched.peak, this.queuedBytes)
    return isOurs
  })
  return watched
}

/** What was read before a full socket was noticed, and what is read at once after: see `Connection`. */
const queuedBytesMax = 2 * readBufferBytes

testEveryWay('text, binary and fragmented messages and pings pass in both directions', async (t, way) => {
  const { client, server } = await meetInScene(t, way)
  for (const [from, to] of [
    [client, server],
    [server, client],
  ] as const) {
    const text = nextMessage(to)
    from.send('grüße')
    assert.deepEqual(await text, { data: Buffer.from('grüße'), isBinary: false })

    const empty = nextMessage(to)
    from.send('')
    assert.equal((await empty).data.length, 0)

    const bytes = randomBytes(100_000)
    const binary = nextMessage(to)
    from.send(bytes)
    assert.deepEqual(await binary, { data: bytes, isBinary: true })

    const whole = nextMessage(to)
    const pinged = once(to, 'ping')
    const pong = once(from, 'pong')
    from.send('in ', { fin: false })
    from.send('three ', { fin: false })
    from.ping('between')
    from.send('parts', { fin: true })
    assert.equal(String((await within(pinged, () => 'a ping'))[0]), 'between')
    assert.equal((await whole).data.toString(), 'in three parts')
    assert.equal(String((await within(pong, () => 'a pong'))[0]), 'between')

    const unasked = once(to, 'pong')
    from.pong('I am here')
    assert.equal(String((await within(unasked, () => 'an unasked pong'))[0]), 'I am here')
  }
})

testEveryWay('many small messages to a client that does not read cost little more than their bytes', async (t, way) => {
  let sent = 0
  const scene = await switchingTo(t, way, async socket => {
    // One at a time, so that each is read and relayed by itself.
    while (!socket.destroyed && sent < 2 ** 26 && socket.write(Buffer.alloc(512))) {
      sent += 512
      await new Promise(resolve => setImmediate(resolve))
    }
  })
  await upgrade((await openClient(t, way, scene.plane.port)).client)
  const before = (await memoryInUse()).bufferBytes
  await stalled(() => sent)
  assert.ok(sent < 2 ** 26, 'the target is held up')
  const grownMb = ((await memoryInUse()).bufferBytes - before) / 2 ** 20
  t.diagnostic(`memory grew by ${grownMb.toFixed(1)} MB while ${sent} bytes were sent`)
  assert.ok(grownMb < 6, `memory grew by ${grownMb.toFixed(1)} MB`)
})

for (const sender of ['client', 'server'] as const) {
  testEveryWay(
    `a message of 100 MB from the ${sender} arrives, with no more of it held than two reads`,
    async (t, way) => {
      const met = await meetInScene(t, way, {}, { maxPayload: 2 ** 27 })
      const queues = watchQueues(t)
      const receiver = sender === 'client' ? met.server : met.client
      const message = Buffer.alloc(100_000_000, randomBytes(65_521))
      const received = within(once(receiver, 'message'), () => 'the message', 60_000)
      met[sender].send(message)
      const [data] = (await received) as [Buffer]
      assert.ok(data.equals(message))
      assert.ok(queues.peak <= queuedBytesMax, `${queues.peak} bytes were waiting`)
    },
  )
}

testEveryWay('a quarter of a gibibyte, up and down at once, costs no memory', async (t, way) => {
  let size = 0
  let served = Promise.resolve()
  const passBoth = async (socket: Socket) => {
    const check = new PatternCheck()
    socket.on('data', bytes => check.take(bytes as Buffer))
    const ended = once(socket, 'end')
    await new PatternSource().writeTo(socket, size)
    socket.end()
    await within(ended, () => `the end; ${check.byteCount} of ${size} bytes had come`, 20_000)
    assert.equal(check.byteCount, size)
  }
  const serve = (socket: Socket) => {
    socket.write(switching())
    served = passBoth(socket)
    return served
  }
  const port = await startBareServer(t, serve, { isSecure: way.isTargetSecure })
  const config = new Scene([], { ...sceneOf(way), addresses: [{ id: '127.0.0.1', port }] }).config()
  const exchange = async (planePort: number, bytes: number) => {
    size = bytes
    const { client } = await openClient(t, way, planePort)
    await upgrade(client)
    await Promise.all([passBoth(client), served])
  }
  await keepsMemory(t, config, exchange, 2 ** 27)
})

testEveryWay('messages of 10 MB pass in both directions at once', async (t, way) => {
  const { client, server } = await meetInScene(t, way)
  const up = randomBytes(10_000_000)
  const down = randomBytes(10_000_000)
  const received = Promise.all([nextMessage(server), nextMessage(client)])
  client.send(up)
  server.send(down)
  const [atServer, atClient] = await received
  assert.ok(atServer.data.equals(up))
  assert.ok(atClient.data.equals(down))
})

for (const reader of ['client', 'target'] as const) {
  testEveryWay(
    `a ${reader} that does not read stops the other side, loses nothing, and leaves its own direction open`,
    async (t, way) => {
      const queues = watchQueues(t)
      const tunnel = await openTunnel(t, way)
      const writer = reader === 'client' ? 'target' : 'client'
      const size = 40_000_000
      const source = new PatternSource()
      const writing = source.writeTo(tunnel[writer], size)
      await stalled(() => source.byteCount)
      assert.ok(source.byteCount < size, 'the kernel and the load balancer hold only so much')
      assert.ok(queues.peak > 0 && queues.peak <= queuedBytesMax, `${queues.peak} bytes were waiting`)

      // What the silent side says itself still gets through.
      const heard = once(tunnel[writer], 'readable')
      tunnel[reader].write('no time')
      await within(heard, () => 'the other direction')
      assert.equal(tunnel[writer].read().toString(), 'no time')

      const check = new PatternCheck()
      const ended = once(tunnel[reader], 'end')
      tunnel[reader].on('data', bytes => check.take(bytes as Buffer))
      await within(writing, () => 'all to be written', 30_000)
      tunnel[writer].end()
      await within(ended, () => 'the end')
      assert.equal(check.byteCount, size)
      assert.ok(queues.peak <= queuedBytesMax, `${queues.peak} bytes were waiting`)
    },
  )
}

testEveryWay(
  'two sides that both send and do not read hold only so much, and all arrives when they do',
  async (t, way) => {
    const queues = watchQueues(t)
    const { client, target } = await openTunnel(t, way)
    const size = 20_000_000
    const [up, down] = [new PatternSource(), new PatternSource()]
    const writing = [up.writeTo(client, size), down.writeTo(target, size)]
    await stalled(() => up.byteCount)
    await stalled(() => down.byteCount)
    const checks = [target, client].map(socket => {
      const check = new PatternCheck()
      socket.on('data', bytes => check.take(bytes as Buffer))
      return check
    })
    await within(Promise.all(writing), () => 'all to be written', 30_000)
    await until(
      () => checks.every(check => check.byteCount === size),
      () => `all to arrive; ${checks.map(check => check.byteCount)} bytes had`,
    )
    assert.ok(queues.peak <= queuedBytesMax, `${queues.peak} bytes were waiting`)
  },
)

testEveryWay('frames that a client sends before it is answered reach the target behind the upgrade', async (t, way) => {
  const received = Promise.withResolvers<string>()
  const scene = await serving(t, way, async (socket, rest) => {
    assert.equal(rest.length, 0)
    await caughtUp()
    assert.equal(socket.read(), null)
    socket.write(switching())
    received.resolve((await readToEnd(socket)).toString())
  })
  const { client } = await openClient(t, way, scene.plane.port)
  client.write(`${upgradeRequest()}early `)
  client.write('frames, ')
  await within(readHead(client), () => 'the 101')
  client.end('late frames')
  assert.equal(await within(received.promise, () => 'the frames'), 'early frames, late frames')
})

testEveryWay('more than one read of early frames reaches the target, too, and a FIN behind them', async (t, way) => {
  const size = 1_000_000
  const check = new PatternCheck()
  const answer = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<void>()
  const scene = await serving(t, way, async socket => {
    await answer.promise
    socket.write(switching())
    for await (const bytes of socket.iterator({ destroyOnReturn: false })) check.take(bytes)
    socket.end('thanks')
    ended.resolve()
  })
  const { client } = await openClient(t, way, scene.plane.port)
  client.write(upgradeRequest())
  const writing = new PatternSource().writeTo(client, size).then(() => client.end())
  await caughtUp()
  answer.resolve()
  assert.equal((await within(readHead(client), () => 'the 101'))?.length, 0)
  await writing
  await within(ended.promise, () => 'the end at the target')
  assert.equal(check.byteCount, size)
  assert.equal((await readToEnd(client)).toString(), 'thanks')
})

for (const closer of ['client', 'server'] as const) {
  const other = closer === 'client' ? 'server' : 'client'
  for (const [code, reason] of [
    [1000, ''],
    [1001, 'going away'],
    [1011, 'broken'],
    [4999, 'x'.repeat(123)],
  ] as const) {
    testEveryWay(`a close by the ${closer} with ${code} reaches the other, and is answered`, async (t, way) => {
      const met = await meetInScene(t, way)
      const closed = Promise.all([closing(met[other]), closing(met[closer])])
      met[closer].close(code, reason)
      assert.deepEqual(await closed, [
        { code, reason },
        { code, reason },
      ])
      await until(
        () => met.scene.plane.counters.loadBalancer(0, 'exchanges') === 1,
        () => 'the exchange to end',
      )
      assert.equal(met.scene.plane.states.requestsInFlight(0), 0)
      assert.deepEqual(met.scene.plane.faults, [])
    })
  }

  testEveryWay(`a message of the ${closer} right before its close is not lost`, async (t, way) => {
    const met = await meetInScene(t, way)
    const message = nextMessage(met[other])
    const closed = closing(met[other])
    met[closer].send(Buffer.alloc(1_000_000, 'last'))
    met[closer].close(1000)
    assert.equal((await message).data.length, 1_000_000)
    assert.equal((await closed).code, 1000)
  })

  testEveryWay(`a ${closer} that vanishes is a lost connection to the other`, async (t, way) => {
    const met = await meetInScene(t, way)
    const closed = closing(met[other])
    met[closer].terminate()
    assert.deepEqual(await closed, lost)
  })
}

const isSecure = (way: Way, side: 'client' | 'target') => (side === 'client' ? way.type === 'wss' : way.isTargetSecure)

for (const closer of ['client', 'target'] as const) {
  testEveryWay(
    `a FIN of the ${closer} that TLS was not told of is an end as any, and leaves the other direction open`,
    async (t, way) => {
      const { scene, wires, ...ends } = await openTunnel(t, way)
      const other = closer === 'client' ? ends.target : ends.client
      ends[closer].write('question')
      await caughtUp()
      wires[closer].end()
      assert.equal((await readToEnd(other)).toString(), 'question')
      other.end('answer')
      assert.equal((await readToEnd(ends[closer])).toString(), 'answer')
      assert.deepEqual(scene.plane.faults, [])
    },
    way => isSecure(way, closer),
  )

  for (const [where, options, isMeant] of [
    ['', {}, () => true],
    // There, RFC 5246 (section 7.2.1) would have the other direction end as well, and what is still to come be lost.
    [', in TLS 1.2 too', { sslPolicy: 'ELBSecurityPolicy-2016-08' }, (way: Way) => isSecure(way, closer)],
  ] as const) {
    testEveryWay(
      `a half close by the ${closer} leaves the other direction open, to its last byte${where}`,
      async (t, way) => {
        const { scene, ...ends } = await openTunnel(t, way, options)
        const other = closer === 'client' ? ends.target : ends.client
        ends[closer].end('question')
        assert.equal((await readToEnd(other)).toString(), 'question')
        const size = 20_000_000
        const source = new PatternSource()
        const writing = source.writeTo(other, size).then(() => other.end())
        await stalled(() => source.byteCount)
        const check = new PatternCheck()
        for await (const bytes of ends[closer].iterator({ destroyOnReturn: false })) check.take(bytes)
        await writing
        assert.equal(check.byteCount, size)
        assert.deepEqual(scene.plane.faults, [])
      },
      isMeant,
    )
  }
}

testEveryWay('both sides closing at once ends the tunnel once', async (t, way) => {
  const { scene, client, target } = await openTunnel(t, way)
  client.end('a')
  target.end('b')
  assert.equal((await readToEnd(target)).toString(), 'a')
  assert.equal((await readToEnd(client)).toString(), 'b')
  await until(
    () => scene.plane.counters.loadBalancer(0, 'connectionsClosed') === 1,
    () => 'the client to be let go',
  )
  assert.equal(scene.plane.counters.loadBalancer(0, 'exchanges'), 1)
})

for (const breaker of ['client', 'target'] as const) {
  testEveryWay(`a reset by the ${breaker} ends the other side`, async (t, way) => {
    const { scene, ...ends } = await openTunnel(t, way)
    const other = breaker === 'client' ? ends.target : ends.client
    ends.wires[breaker].resetAndDestroy()
    assert.equal((await within(readToEnd(other), () => 'the end of the tunnel')).length, 0)
    await until(
      () => scene.plane.states.requestsInFlight(0) === 0,
      () => 'the tunnel to be counted out',
    )
    assert.deepEqual(scene.plane.faults, [])
    const fields = logFields((await scene.plane.logLines())[0]!)
    assert.deepEqual([fields[1], fields[9], fields[10]], [way.type, '101', '101'])
  })
}
