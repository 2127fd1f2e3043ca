/** How tunnels end other than by a word of their two sides, and what is left of one: a line in the log, and counts. */
import assert from 'node:assert/strict'
import { readToEnd } from '../support/bare-server.ts'
import { within } from '../support/deadline.ts'
import { assertShape } from '../support/log-line.ts'
import type { Script } from '../support/misbehaving-target.ts'
import { PatternSource } from '../support/pattern.ts'
import { logFields } from '../support/plane.ts'
import { type Scene, startScene } from '../support/scene.ts'
import { startTap } from '../support/tap.ts'
import {
  clientOf,
  meetInScene,
  openClient,
  openTunnel,
  sceneOf,
  switchingTo,
  targetOf,
  testEveryWay,
  type Way,
} from '../support/tunnels.ts'
import { caughtUp, stalled, until } from '../support/turns.ts'
import {
  closing,
  type Meeting,
  maskedTextFrame,
  nextMessage,
  openWebSocket,
  switching,
  textFrame,
  upgrade,
  upgradeRequest,
} from '../support/websocket.ts'

/** Of a connection that was lost rather than closed, in the words of RFC 6455. */
const lost = { code: 1006, reason: '' }

async function talk({ client, server }: Meeting): Promise<void> {
  for (const [from, to] of [
    [client, server],
    [server, client],
  ] as const) {
    const message = nextMessage(to)
    from.send('still here')
    assert.equal((await message).data.toString(), 'still here')
  }
}

/** Nothing of a tunnel is left, and everything of it was counted. */
async function assertTunnelIsOver({ plane }: Scene, { type }: Way): Promise<void> {
  const { counters, states } = plane
  await until(
    () => counters.loadBalancer(0, 'connectionsClosed') === counters.loadBalancer(0, 'connectionsOpened'),
    () => 'the connection of the client to be closed',
  )
  assert.equal(counters.loadBalancer(0, 'exchanges'), 1)
  assert.equal(counters.loadBalancer(0, 'RequestCount'), 1)
  assert.equal(states.requestsInFlight(0), 0)
  assert.deepEqual([counters.target(0, 'requestsBegun'), counters.target(0, 'requestsEnded')], [1, 1])
  assert.equal(counters.target(0, 'faults'), 0)
  assert.deepEqual(plane.faults, [], 'it is no fault')
  const lines = await plane.logLines()
  assert.equal(lines.length, 1)
  const fields = logFields(lines[0]!)
  assert.deepEqual([fields[1], fields[9], fields[10], fields[25]], [type, '101', '101', '-'])
}

testEveryWay(
  'the line of a tunnel is written when it ends, with its whole life, and the times of its upgrade',
  async (t, way) => {
    const asked = Promise.withResolvers<void>()
    const script: Script = async connection => {
      await connection.readRequest()
      await asked.promise
      await connection.send(Buffer.concat([Buffer.from(switching()), textFrame('hello')]))
      await connection.drain()
    }
    const scene = await startScene(t, { ...sceneOf(way), targets: [targetOf(way, script)] })
    const { clock, counters } = scene.plane
    const client = await clientOf(way, scene)
    await client.send(upgradeRequest())
    await scene.target.receivedRequests(1)
    clock.advance(3)
    asked.resolve()
    const head = await client.readResponse()
    clock.advance(12_000)
    const frame = maskedTextFrame('from the client')
    await client.send(frame)
    await caughtUp()
    assert.deepEqual(await scene.plane.logLines(), [])
    assert.equal(counters.loadBalancer(0, 'exchanges'), 0)
    assert.equal(scene.plane.states.requestsInFlight(0), 1, 'until then it is a request in flight')
    client.halfClose()
    assert.deepEqual((await client.readUntilClose()).bytes, textFrame('hello'))
    const received = upgradeRequest().length + frame.length
    const sent = head.byteCount + textFrame('hello').length
    assertShape(await scene.line(), scene, client, {
      type: way.type,
      endedMs: 12_003,
      target: scene.targetAddress,
      times: '0.000 0.003 0.000',
      statuses: '101 101',
      bytes: `${received} ${sent}`,
      request: `GET ${way.type === 'ws' ? 'http://a:80' : 'https://a:443'}/chat HTTP/1.1`,
    })
    assert.equal(counters.loadBalancer(0, 'receivedBytes'), received)
    assert.equal(counters.loadBalancer(0, 'sentBytes'), sent)
    for (const hundreds of ['2XX', '3XX', '4XX', '5XX'] as const) {
      assert.equal(counters.target(0, `HTTPCode_Target_${hundreds}_Count`), 0)
    }
    assert.equal(counters.loadBalancer(0, 'HTTPCode_ELB_5XX_Count'), 0)
    await assertTunnelIsOver(scene, way)
  },
)

for (const sender of ['client', 'target'] as const) {
  testEveryWay(`a single byte of the ${sender} puts the idle timeout off, to the millisecond`, async (t, way) => {
    const tunnel = await openTunnel(t, way, { attributes: { 'idle_timeout.timeout_seconds': '30' } })
    const { clock, counters } = tunnel.scene.plane
    const isOver = () => counters.loadBalancer(0, 'exchanges') === 1
    for (let i = 0; i < 3; i++) {
      clock.advance(29_999)
      tunnel[sender].write('.')
      await caughtUp()
      assert.equal(isOver(), false)
    }
    clock.advance(29_999)
    assert.equal(isOver(), false)
    clock.advance(1)
    assert.equal(isOver(), true)
    const receiver = sender === 'client' ? tunnel.target : tunnel.client
    assert.equal((await within(readToEnd(receiver), () => 'the end')).toString(), '...')
    receiver.end()
    assert.equal((await within(readToEnd(tunnel[sender]), () => 'the end')).length, 0)
    tunnel[sender].end()
    await assertTunnelIsOver(tunnel.scene, way)
  })
}

testEveryWay('a side that has closed does not keep the other from the idle timeout', async (t, way) => {
  const { scene, client, target } = await openTunnel(t, way)
  client.end()
  assert.equal((await readToEnd(target)).length, 0)
  scene.plane.clock.advance(59_000)
  target.write('.')
  await caughtUp()
  scene.plane.clock.advance(59_999)
  assert.equal(scene.plane.counters.loadBalancer(0, 'exchanges'), 0)
  scene.plane.clock.advance(1)
  assert.equal((await readToEnd(client)).toString(), '.')
  await assertTunnelIsOver(scene, way)
})

/** In TLS 1.3, the beginning of a record that holds an alert: two bytes, their type, and a tag of 16. */
const alertRecord = Buffer.of(23, 3, 3, 0, 19)

testEveryWay(
  'a client is told in TLS that the target has closed, before the connection says so',
  async (t, way) => {
    const scene = await switchingTo(t, way, socket => void socket.end('bye'))
    const tap = await startTap(t, () => scene.plane.port)
    const { client } = await openClient(t, way, tap.port)
    await upgrade(client)
    assert.equal((await readToEnd(client)).toString(), 'bye')
    const last = Buffer.concat(tap.back).subarray(-alertRecord.length - 19)
    assert.deepEqual(last.subarray(0, alertRecord.length), alertRecord)
    client.end()
    await assertTunnelIsOver(scene, way)
  },
  way => way.type === 'wss',
)

testEveryWay('pings of ws keep a tunnel open, as any frame', async (t, way) => {
  const met = await meetInScene(t, way)
  for (let i = 0; i < 4; i++) {
    met.scene.plane.clock.advance(59_000)
    met.server.ping()
    await caughtUp()
  }
  await talk(met)
  met.scene.plane.clock.advance(60_000)
  assert.deepEqual(await Promise.all([closing(met.client), closing(met.server)]), [lost, lost])
  await assertTunnelIsOver(met.scene, way)
})

testEveryWay('a client that read nothing for the idle timeout gets no more time for it', async (t, way) => {
  const { scene, target } = await openTunnel(t, way)
  const source = new PatternSource()
  const flooding = source.writeTo(target, 40_000_000).catch(() => {})
  await stalled(() => source.byteCount)
  scene.plane.clock.advance(60_000)
  const { counters } = scene.plane
  assert.equal(counters.loadBalancer(0, 'exchanges'), 1)
  await until(
    () => counters.loadBalancer(0, 'connectionsClosed') === 1,
    () => 'the client to be left',
  )
  await flooding
})

testEveryWay('client_keep_alive does not end a tunnel', async (t, way) => {
  const met = await meetInScene(t, way, { attributes: { 'client_keep_alive.seconds': '60' } })
  for (let i = 0; i < 4; i++) {
    met.scene.plane.clock.advance(50_000)
    await talk(met)
  }
  met.client.close(1000)
  await closing(met.server)
  await assertTunnelIsOver(met.scene, way)
})

testEveryWay('the end of the deregistration delay ends a tunnel, and not before', async (t, way) => {
  const met = await meetInScene(t, way, { groupAttributes: { 'deregistration_delay.timeout_seconds': '30' } })
  const { plane } = met.scene
  const closed = Promise.all([closing(met.client), closing(met.server)])
  await plane.publish(met.scene.config({ addresses: [] }))
  plane.clock.advance(29_999)
  await talk(met)
  assert.equal(plane.drained.length, 0)
  plane.clock.advance(1)
  assert.equal(plane.drained.length, 1)
  assert.deepEqual(await closed, [lost, lost])
  await assertTunnelIsOver(met.scene, way)
})

testEveryWay(
  'a change of the configuration leaves a tunnel alone, even one that takes its listener away',
  async (t, way) => {
    const met = await meetInScene(t, way)
    await met.scene.plane.publish(
      met.scene.config({ defaultAction: { type: 'fixed-response', fixedResponse: { statusCode: 404 } } }),
    )
    await talk(met)
    await assert.rejects(openWebSocket(t, met.scene.plane.port, { isSecure: way.type === 'wss' }), /404/)
    const { port } = met.scene.plane
    await met.scene.plane.publish(JSON.stringify({ ...JSON.parse(met.scene.config()), loadBalancers: [] }))
    await talk(met)
    await assert.rejects(openWebSocket(t, port, { isSecure: way.type === 'wss' }), /ECONNREFUSED/)
    met.client.close(1000)
    assert.deepEqual(await closing(met.server), { code: 1000, reason: '' })
  },
)

testEveryWay('a stop gives a tunnel its grace, and then ends it on both sides', async (t, way) => {
  const met = await meetInScene(t, way)
  const { plane } = met.scene
  const closed = Promise.all([closing(met.client), closing(met.server)])
  const stopped = plane.plane.stop(25_000)
  await talk(met)
  plane.clock.advance(25_000)
  await within(stopped, () => 'the stop')
  assert.deepEqual(await closed, [lost, lost])
  await assertTunnelIsOver(met.scene, way)
})

testEveryWay('a tunnel that ends by itself ends the stop that waits for it', async (t, way) => {
  const met = await meetInScene(t, way)
  const stopped = met.scene.plane.plane.stop(25_000)
  met.server.close(1001, 'going away')
  assert.deepEqual(await closing(met.client), { code: 1001, reason: 'going away' })
  await met.scene.plane.letNotice(stopped)
  await assertTunnelIsOver(met.scene, way)
})
