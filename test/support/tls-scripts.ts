/** What targets do over TLS, and instead of it, as scripts for `startTarget`; and how a scene comes to speak TLS. */

import type { TestContext } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { backendPolicy } from '../../src/model/ssl-policies.ts'
import { TargetRegistry } from '../../src/targets/target-group.ts'
import type { Script, ServerTlsOptions } from './misbehaving-target.ts'
import { type Scene, type SceneOptions, startScene } from './scene.ts'
import { secureTarget } from './secure-target.ts'

export type TlsOptions = ServerTlsOptions & {
  /** Sees each connection once its handshake is complete. */
  readonly onSecure?: (socket: TLSSocket) => void
}

/** The same over TLS, with a certificate for another name that nobody vouches for, unless `options` have one. */
export function overTls(script: Script, options: TlsOptions = {}): Script {
  return async connection => {
    const socket = await connection.startTls({ ...secureTarget, ...options })
    if (socket === null) return
    options.onSecure?.(socket)
    await script(connection)
  }
}

/** Answers the beginning of the handshake with these bytes and closes. */
export function answersHello(bytes: string | Uint8Array): Script {
  return async connection => {
    await connection.hears()
    await connection.send(bytes)
    connection.end()
    await connection.drain()
  }
}

/** A fatal alert, in the clear. @param description its number (RFC 8446, section 6) */
export function alert(description: number): Uint8Array {
  return Uint8Array.of(21, 3, 3, 0, 2, 2, description)
}

/** A ServerHello of TLS 1.2 that knows no extensions, as servers did that are older than RFC 5746. */
export function serverHello(cipherSuite: number, version = 0x0303): Uint8Array {
  const random = new Uint8Array(32).fill(1)
  const body = [version >> 8, version & 255, ...random, 0, cipherSuite >> 8, cipherSuite & 255, 0]
  return Uint8Array.of(22, 3, 3, 0, body.length + 4, 2, 0, 0, body.length, ...body)
}

export const closesInHandshake: Script = answersHello('')

/** Speaks first, in another protocol, and waits for the peer to give up. */
export const greets: Script = async connection => {
  await connection.send('SSH-2.0-OpenSSH_9.9\r\n')
  await connection.drain()
}

export const resetsInHandshake: Script = async connection => {
  await connection.hears()
  connection.reset()
}

export const stallsInHandshake: Script = async connection => {
  await connection.drain()
}

/** A scene whose target groups are HTTPS ones. */
export async function startTlsScene(t: TestContext, options: SceneOptions): Promise<Scene> {
  const scene = await startScene(t, options)
  await speakTls(scene)
  return scene
}

/** Makes all target groups of a scene HTTPS ones; what stands in its configuration stays. */
export async function speakTls(scene: Scene): Promise<void> {
  const { publisher, plane } = scene.plane
  const { loadBalancers, targetGroups } = publisher.resources
  const resources = {
    loadBalancers,
    targetGroups: targetGroups.map(group => ({ ...group, protocol: 'HTTPS' as const })),
  }
  await plane.publish(publisher.prepare(resources))
  publisher.commit(resources)
}

/** For one test, targets are spoken to as if load balancers had an HTTPS listener of this policy. */
export function assumeListenerPolicy(t: TestContext, sslPolicy: string): void {
  const { apply } = TargetRegistry.prototype
  t.mock.method(TargetRegistry.prototype, 'apply', function (this: TargetRegistry, ...args: Parameters<typeof apply>) {
    apply.call(this, args[0], args[1], () => backendPolicy([sslPolicy]))
  })
}
