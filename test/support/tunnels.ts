/** Tunnels through the load balancer, by each of the ways that one contract holds for. */

import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { ServerOptions } from 'ws'
import { openSocket, startBareServer } from './bare-server.ts'
import type { Script } from './misbehaving-target.ts'
import type { RawClient } from './raw-client.ts'
import { type Scene, type SceneOptions, startScene } from './scene.ts'
import { secureConnected, secureListener } from './secure-listener.ts'
import { overTls } from './tls-scripts.ts'
import { type Meeting, meet, startWebSocketServer, switching, upgrade } from './websocket.ts'

export type Way = {
  readonly name: string
  /** As the access log calls it. */
  readonly type: 'ws' | 'wss'
  readonly isTargetSecure: boolean
}

const ways: readonly Way[] = [
  { name: 'ws', type: 'ws', isTargetSecure: false },
  { name: 'wss', type: 'wss', isTargetSecure: false },
  { name: 'wss and an HTTPS target', type: 'wss', isTargetSecure: true },
]

/**
 * Registers a test for each of the ways.
 *
 * @param isMeant which ones, where not all
 */
export function testEveryWay(
  name: string,
  run: (t: TestContext, way: Way) => Promise<void>,
  isMeant: (way: Way) => boolean = () => true,
): void {
  for (const way of ways.filter(isMeant)) test(`${way.name}: ${name}`, t => run(t, way))
}

/** What of a scene makes it go that way. */
export function sceneOf({ type, isTargetSecure }: Way): SceneOptions {
  return { ...(type === 'wss' && secureListener), groupProtocol: isTargetSecure ? 'HTTPS' : 'HTTP' }
}

export function clientOf({ type }: Way, scene: Scene): Promise<RawClient> {
  return type === 'wss' ? scene.secureClient() : scene.client()
}

export function targetOf({ isTargetSecure }: Way, script: Script): Script {
  return isTargetSecure ? overTls(script) : script
}

/** A client and a server, both of `ws`, with the load balancer in between. */
export async function meetInScene(
  t: TestContext,
  way: Way,
  options: SceneOptions = {},
  serverOptions: ServerOptions = {},
): Promise<Meeting & { readonly scene: Scene }> {
  const server = await startWebSocketServer(t, { ...serverOptions, isSecure: way.isTargetSecure })
  const scene = await sceneBefore(t, way, server.port, options)
  return { scene, ...(await meet(t, scene.plane.port, server, { isSecure: way.type === 'wss' })) }
}

/** A target that switches, and then does what the test says on the bare socket, or on what carries it. */
export async function switchingTo(
  t: TestContext,
  way: Way,
  then: (socket: Socket, accepted: Socket) => void | Promise<void>,
  options: SceneOptions = {},
): Promise<Scene> {
  return serving(
    t,
    way,
    async (socket, _, accepted) => {
      socket.write(switching())
      await then(socket, accepted)
    },
    options,
  )
}

/** A target that is only a socket, over TLS where its way has that. */
export async function serving(
  t: TestContext,
  way: Way,
  serve: Parameters<typeof startBareServer>[1],
  options: SceneOptions = {},
): Promise<Scene> {
  const port = await startBareServer(t, serve, { isSecure: way.isTargetSecure })
  return sceneBefore(t, way, port, options)
}

function sceneBefore(t: TestContext, way: Way, port: number, options: SceneOptions): Promise<Scene> {
  return startScene(t, { ...sceneOf(way), ...options, addresses: [{ id: '127.0.0.1', port }] })
}

export type Tunnel = {
  readonly scene: Scene
  readonly client: Socket
  readonly target: Socket
  /** What carries the two: without TLS, themselves. */
  readonly wires: { readonly client: Socket; readonly target: Socket }
}

/** A tunnel between two bare sockets, neither of which reads by itself. */
export async function openTunnel(t: TestContext, way: Way, options: SceneOptions = {}): Promise<Tunnel> {
  const accepted = Promise.withResolvers<readonly [Socket, Socket]>()
  const scene = await switchingTo(t, way, (...sockets) => accepted.resolve(sockets), options)
  const { client, wire } = await openClient(t, way, scene.plane.port)
  await upgrade(client)
  const [target, targetWire] = await accepted.promise
  return { scene, client, target, wires: { client: wire, target: targetWire } }
}

/** A client that is only a socket, and what carries it. */
export async function openClient(
  t: TestContext,
  way: Way,
  port: number,
): Promise<{ readonly client: Socket; readonly wire: Socket }> {
  const wire = await openSocket(t, port)
  if (way.type === 'ws') return { client: wire, wire }
  const client = await secureConnected(wire)
  client.on('error', () => {}) // As on the socket that carries it.
  return { client, wire }
}
