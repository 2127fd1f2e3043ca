/** A load balancer with an HTTPS listener in front of one target that speaks HTTP/2. */

import type { ClientHttp2Session } from 'node:http2'
import type { TestContext } from 'node:test'
import { connectH2 } from './h2-client.ts'
import { type H2Handler, type H2Target, type H2TargetOptions, startH2Target } from './h2-target.ts'
import { type Scene, type SceneOptions, startScene } from './scene.ts'
import { secureListener } from './secure-listener.ts'

/** What makes a scene one whose clients and targets speak HTTP/2. */
export const overHttp2 = { ...secureListener, protocolVersion: 'HTTP2' } as const satisfies SceneOptions

export type H2Scene = { readonly scene: Scene; readonly target: H2Target; readonly client: ClientHttp2Session }

export async function startH2Scene(
  t: TestContext,
  handler: H2Handler,
  { target: targetOptions = {}, ...options }: SceneOptions & { readonly target?: H2TargetOptions } = {},
): Promise<H2Scene> {
  const target = await startH2Target(t, handler, targetOptions)
  const groupProtocol = targetOptions.isSecure === true ? 'HTTPS' : 'HTTP'
  const scene = await startScene(t, { ...overHttp2, groupProtocol, addresses: [target.address], ...options })
  return { scene, target, client: await connectH2(t, scene.plane.port) }
}
