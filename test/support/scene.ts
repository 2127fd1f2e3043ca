/** A load balancer with its targets and clients, the way most tests of the data plane begin; it ends with its test. */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { MadeCertificate } from './certificates.ts'
import { type MisbehavingTarget, type Script, startTarget } from './misbehaving-target.ts'
import { startPlane, type TestPlane } from './plane.ts'
import { connectClient, connectSecureClient, type RawClient, type RawResponse } from './raw-client.ts'
import { until } from './turns.ts'

export type SceneOptions = {
  /** The targets of group `app`, one per script. */
  readonly targets?: readonly Script[]
  /** The zones of the load balancer. */
  readonly zones?: readonly string[]
  /** The one that a zonal shift moves traffic away from. */
  readonly shiftedZone?: string
  /** The zone of each of `targets`. */
  readonly targetZones?: readonly string[]
  /** Further targets of `app`, not run by the scene. */
  readonly addresses?: readonly Address[]
  /** The listener is HTTPS and has these; the first is its default. */
  readonly certificates?: readonly MadeCertificate[]
  readonly sslPolicy?: string
  /** As in a config file. */
  readonly mutualAuthentication?: unknown
  readonly trustStores?: readonly unknown[]
  /** The listener's own port. */
  readonly port?: number
  readonly attributes?: Attributes
  readonly listenerAttributes?: Attributes
  readonly groupAttributes?: Attributes
  /** Of `app`; HTTP and HTTP1 unless given. */
  readonly groupProtocol?: 'HTTP' | 'HTTPS'
  readonly protocolVersion?: 'HTTP1' | 'HTTP2' | 'GRPC'
  /** Target groups beside `app`. */
  readonly groups?: readonly unknown[]
  readonly rules?: readonly unknown[]
  /** Forwarding to `app` unless given. */
  readonly defaultAction?: unknown
}

export type Address = { readonly id: string; readonly port: number; readonly availabilityZone?: string | undefined }
type Attributes = Readonly<Record<string, string>>

function httpsOf(options: SceneOptions) {
  const { certificates = [], sslPolicy = 'ELBSecurityPolicy-TLS13-1-2-2021-06', mutualAuthentication } = options
  return { protocol: 'HTTPS', sslPolicy, certificates, mutualAuthentication }
}

export const forwardToApp = { type: 'forward', targetGroup: 'app' }

export async function startScene(t: TestContext, options: SceneOptions = {}): Promise<Scene> {
  const targets: MisbehavingTarget[] = []
  for (const script of options.targets ?? []) targets.push(await startTarget(script))
  const scene = new Scene(targets, options)
  t.after(() => scene.close())
  scene.plane = await startPlane({ config: scene.config() })
  return scene
}

export class Scene {
  plane!: TestPlane
  readonly targets: readonly MisbehavingTarget[]
  readonly #options: SceneOptions
  readonly #clients: RawClient[] = []

  constructor(targets: readonly MisbehavingTarget[], options: SceneOptions) {
    this.targets = targets
    this.#options = options
  }

  /** The first one. */
  get target(): MisbehavingTarget {
    return this.targets[0]!
  }

  get targetAddress(): string {
    return `127.0.0.1:${this.target.port}`
  }

  get loadBalancer() {
    return this.plane.publisher.resources.loadBalancers[0]!
  }

  get group() {
    return this.plane.publisher.resources.targetGroups[0]!
  }

  /** The configuration as YAML, of which JSON is a part; `changes` outweigh what the scene began with. */
  config(changes: Partial<SceneOptions> = {}): string {
    const options = { ...this.#options, ...changes }
    const zoneOf = (at: number) => options.targetZones?.[at]
    const own = this.targets.map(({ port }, at): Address => ({ id: '127.0.0.1', port, availabilityZone: zoneOf(at) }))
    const { shiftedZone } = options
    const shifting: Attributes = shiftedZone === undefined ? {} : { 'zonal_shift.config.enabled': 'true' }
    return JSON.stringify({
      zonalShifts: shiftedZone === undefined ? [] : [{ resourceIdentifier: 'web', awayFrom: shiftedZone }],
      loadBalancers: [
        {
          name: 'web',
          availabilityZones: options.zones?.map(zoneName => ({ zoneName })),
          attributes: { ...shifting, ...options.attributes },
          listeners: [
            {
              ...(options.certificates === undefined ? { protocol: 'HTTP' } : httpsOf(options)),
              port: options.port ?? 80,
              attributes: options.listenerAttributes ?? {},
              defaultActions: [options.defaultAction ?? forwardToApp],
              rules: options.rules ?? [],
            },
          ],
        },
      ],
      targetGroups: [
        {
          name: 'app',
          protocol: options.groupProtocol ?? 'HTTP',
          protocolVersion: options.protocolVersion ?? 'HTTP1',
          port: 80,
          attributes: options.groupAttributes ?? {},
          targets: changes.addresses ?? [...own, ...(options.addresses ?? [])],
        },
        ...(options.groups ?? []),
      ],
      trustStores: options.trustStores ?? [],
    })
  }

  async client(host = '127.0.0.1', port = this.plane.port): Promise<RawClient> {
    const client = await connectClient(port, host)
    this.#clients.push(client)
    return client
  }

  /** That speaks TLS, where the listener does. */
  async secureClient(): Promise<RawClient> {
    const client = await connectSecureClient(this.plane.port)
    this.#clients.push(client)
    return client
  }

  /** Sends one request on a connection of its own. @param zone that it comes in by: its position */
  async ask(request: string, zone = 0): Promise<RawResponse> {
    const address = `127.0.0.${zone + 1}`
    const client = await this.client(address, this.plane.portAt(address))
    await client.send(request)
    return client.readResponse(request.slice(0, request.indexOf(' ')))
  }

  /** Resolves when that many exchanges were recorded in all. */
  async recorded(count: number): Promise<void> {
    const counted = () => this.plane.counters.loadBalancer(0, 'exchanges')
    await until(
      () => counted() >= count,
      () => `${count} exchanges to be recorded; ${counted()} were`,
    )
    assert.equal(counted(), count)
  }

  /** The line of the exchange that was recorded as number `at`, from 0. */
  async line(at = 0): Promise<string> {
    const lines = await this.plane.logLines()
    const line = lines[at]
    if (line === undefined) throw new Error(`no line ${at} among ${lines.length}`)
    return line
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close()
    await this.plane?.close()
    for (const target of this.targets) await target.close()
  }
}
