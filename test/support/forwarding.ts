/** A target and a data plane that forwards everything to it, for tests of what happens in between. */
import type { TestContext } from 'node:test'
import { type MisbehavingTarget, type Script, startTarget } from './misbehaving-target.ts'
import { startPlane, type TestPlane } from './plane.ts'
import { connectClient, type RawClient } from './raw-client.ts'

export type Forwarding = {
  readonly plane: TestPlane
  readonly target: MisbehavingTarget
  readonly client: () => Promise<RawClient>
}

/** Everything is closed when the test ends; a script that failed then fails the test. */
export async function forwardTo(context: TestContext, script: Script): Promise<Forwarding> {
  const target = await startTarget(script)
  context.after(() => target.close())
  const plane = await forwardToPorts(context, [target.port])
  return { plane, target, client: () => openClient(context, plane.port) }
}

export async function forwardToPorts(context: TestContext, ports: readonly number[]): Promise<TestPlane> {
  const plane = await startPlane({ config: forwardingConfig(ports) })
  context.after(() => plane.close())
  return plane
}

export async function openClient(context: TestContext, port: number): Promise<RawClient> {
  const client = await connectClient(port)
  context.after(() => client.close())
  return client
}

/** `/fixed` is answered by the load balancer, `/empty` has no targets, the rest goes to these ports of 127.0.0.1. */
export function forwardingConfig(targetPorts: readonly number[], listenerPort = 80): string {
  const targets = targetPorts.map(port => `{ id: 127.0.0.1, port: ${port} }`).join(', ')
  return `
loadBalancers:
  - name: web
    listeners:
      - protocol: HTTP
        port: ${listenerPort}
        defaultActions: [{ type: forward, targetGroup: app }]
        rules:
          - priority: 1
            conditions: [{ field: path-pattern, values: [/fixed] }]
            actions: [{ type: fixed-response, fixedResponse: { statusCode: 200, contentType: text/plain, messageBody: fixed } }]
          - priority: 2
            conditions: [{ field: path-pattern, values: [/empty] }]
            actions: [{ type: forward, targetGroup: empty }]
targetGroups:
  - name: app
    protocol: HTTP
    port: 80
    targets: [${targets}]
  - { name: empty, protocol: HTTP, port: 80, targets: [] }
`
}
