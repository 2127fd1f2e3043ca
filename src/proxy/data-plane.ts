/**
 * The data plane of one worker: binds the listeners of a snapshot, swaps snapshots without touching a connection, and
 * stops in good order. It knows neither files nor the API: what it serves is handed to it.
 */

import { hash } from 'node:crypto'
import { createServer, type Server, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Clock, epochMsOf } from '../base/clock.ts'
import { DeadlineWheel, type Watched } from '../base/deadline-wheel.ts'
import { resourceId, type TargetGroupArn } from '../model/arns.ts'
import type { FaultCode } from '../model/faults.ts'
import {
  defaultRequestHeaderNames,
  forwardedGroups,
  type Listener,
  type ListenerTls,
  type LoadBalancerAttributes,
  nodeIpOf,
  type ResponseHeader,
  type RoutingAction,
} from '../model/resources.ts'
import type { Snapshot, SnapshotLoadBalancer, SnapshotNode } from '../model/snapshot.ts'
import { backendPolicy, backendPolicyOf, type SslPolicy } from '../model/ssl-policies.ts'
import type { TargetStates } from '../model/target-states.ts'
import { TlsHandshake, TlsListener } from '../net/accept-tls.ts'
import { Buffers } from '../net/buffers.ts'
import { turnEnd } from '../net/turn.ts'
import { type CounterSlab, LoadBalancerColumn } from '../observe/counters.ts'
import type { WorkerLog } from '../observe/log-writer.ts'
import { compileRules, prepareRules } from '../routing/rules.ts'
import { CookieSeal } from '../targets/cookie-seal.ts'
import { TargetRegistry } from '../targets/target-group.ts'
import { acceptClient } from './accept-client.ts'
import { ClientConnection } from './client-connection.ts'
import { reservable } from './client-tls.ts'
import type {
  ConnectionFault,
  PlaneContext,
  RunningAction,
  RunningListener,
  RunningLoadBalancer,
  RunningRequestHeaders,
  RunningResponseHeaders,
} from './context.ts'
import { Dates } from './dates.ts'
import type { Exchange } from './exchange.ts'
import { ExchangePool } from './exchange-pool.ts'
import { H2ClientConnection } from './h2-client-connection.ts'
import { IdSource } from './ids.ts'
import type { ListenerPort } from './listener-port.ts'

export type DataPlaneOptions = {
  readonly clock: Clock
  readonly states: TargetStates
  readonly counters: CounterSlab
  readonly log: WorkerLog
  /** Several workers share a port; without it (where the platform cannot), there is one. */
  readonly reusePort: boolean
  readonly onFault?: (exchange: Exchange, fault: FaultCode) => void
  readonly onConnectionFault?: (event: ConnectionFault) => void
  readonly fillRandom?: (bytes: Buffer) => void
}

/** What several load balancers may share. */
type BoundSocket = { readonly server: Server; first: ListenerPort }

/** Connections that wait to be accepted, while the worker is busy. */
const backlog = 4096
/** How often a stop looks whether there is still something to wait for. */
export const stopLookMs = 20

export class DataPlane {
  readonly #options: DataPlaneOptions
  readonly #context: PlaneContext
  readonly #wheel: DeadlineWheel
  readonly #registry = new TargetRegistry()
  /** By address and port. */
  #sockets = new Map<string, BoundSocket>()
  /** By socket and load balancer. */
  #ports = new Map<string, ListenerPort>()
  /** By what they are made of. */
  #secured: ReadonlyMap<string, TlsListener> = new Map()

  constructor(options: DataPlaneOptions) {
    this.#options = options
    const { clock } = options
    this.#wheel = new DeadlineWheel(clock)
    this.#context = {
      net: { clock, wheel: this.#wheel, buffers: new Buffers(), ...turnEnd() },
      clock,
      states: options.states,
      counters: options.counters,
      ids: new IdSource(options.fillRandom),
      cookies: new CookieSeal([]),
      dates: new Dates(clock),
      onFault: options.onFault ?? (() => {}),
      onConnectionFault: options.onConnectionFault ?? (() => {}),
      exchanges: new ExchangePool(),
      isStopping: false,
    }
  }

  /**
   * Serves this snapshot from now on: new connections and new requests meet it, requests under way keep theirs.
   * Listeners that are gone finish what they have.
   *
   * @throws when a port cannot be bound, or what OpenSSL says of a certificate that it will not serve; nothing has
   *   changed then
   */
  async publish(snapshot: Snapshot): Promise<void> {
    for (const listener of snapshot.loadBalancers.flatMap(({ listeners }) => listeners)) {
      for (const _ of prepareRules(listener)) await nextTurn()
    }
    const secured = tlsListeners(snapshot, this.#secured, epochMsOf(this.#options.clock))
    const wanted = snapshot.loadBalancers.flatMap(portsOf)
    const added = await this.#bindAll(wanted.filter(({ socket }) => !this.#sockets.has(socket)))
    this.#registry.apply(snapshot.targetGroups, idleTimeouts(snapshot), backendPolicies(snapshot))
    this.#context.cookies = new CookieSeal(snapshot.cookieKeys)
    this.#secured = secured
    const ports = new Map<string, ListenerPort>()
    const bySocket = new Map<string, ListenerPort[]>()
    for (const { socket, loadBalancer, node, listener, address } of wanted) {
      const running = this.#runListener(this.#runLoadBalancer(loadBalancer, node, nodeIpOf(address)), listener)
      const key = `${socket} ${loadBalancer.arn}`
      const port = this.#ports.get(key) ?? { running, isClosing: false, shared: null }
      port.running = running
      ports.set(key, port)
      bySocket.set(socket, [...(bySocket.get(socket) ?? []), port])
    }
    this.#share(bySocket, added)
    for (const [key, port] of this.#ports) if (!ports.has(key)) this.#retire(port)
    this.#ports = ports
  }

  /** @param ports on each socket, in the order in which their load balancers were created */
  #share(ports: ReadonlyMap<string, readonly ListenerPort[]>, added: ReadonlyMap<string, Server>): void {
    for (const [key, on] of ports) {
      const first = on[0]!
      const byName = new Map(on.map(port => [port.running.loadBalancer.dnsName.toLowerCase(), port]))
      for (const port of on) port.shared = on.length === 1 ? null : { first, byName }
      const socket = this.#sockets.get(key)
      if (socket === undefined) this.#sockets.set(key, this.#open(added.get(key)!, first))
      else socket.first = first
    }
    for (const [key, { server }] of this.#sockets) {
      if (ports.has(key)) continue
      server.close()
      this.#sockets.delete(key)
    }
  }

  /** The ports that are bound, as `address:port`. */
  get addresses(): readonly { readonly address: string; readonly port: number }[] {
    return [...this.#sockets.values()].map(({ server }) => {
      const bound = server.address()
      if (bound === null || typeof bound === 'string') throw new TypeError('a listener is bound to an address')
      return { address: bound.address, port: bound.port }
    })
  }

  /** The deregistration delay of these targets is over: what they still work on ends. */
  cutTargets(slots: ReadonlySet<number>): void {
    const now = this.#context.clock.now()
    for (const connection of this.#clients()) connection.cutFromTargets(slots, now)
  }

  /** Accepts nothing more and finishes what is in flight, for at most `graceMs`; then all of it is recorded. */
  async stop(graceMs: number): Promise<void> {
    this.#context.isStopping = true
    for (const { server } of this.#sockets.values()) server.close()
    for (const port of this.#ports.values()) this.#retire(port)
    const { clock } = this.#context
    const until = clock.now() + graceMs
    while (this.#isBusy() && clock.now() < until) {
      await new Promise<void>(resolve => clock.after(stopLookMs, resolve))
    }
    for (const entry of [...this.#wheel.entries()]) {
      if (isClient(entry)) entry.endNow(clock.now())
      else if (entry instanceof TlsHandshake) entry.close()
    }
    this.#registry.apply([], () => 0)
    this.recordFinished()
  }

  /** Counts and logs what is over, without waiting for the end of the turn. */
  recordFinished(): void {
    this.#context.exchanges.recordAll()
  }

  /** Whether a request is under way, or an answer has not left yet because its client reads slowly. */
  #isBusy(): boolean {
    for (const { isBusy } of this.#clients()) if (isBusy) return true
    return false
  }

  *#clients(): Iterable<ClientConnection | H2ClientConnection> {
    for (const entry of [...this.#wheel.entries()]) if (isClient(entry)) yield entry
  }

  /** @returns by socket */
  async #bindAll(ports: readonly WantedPort[]): Promise<Map<string, Server>> {
    const bySocket = new Map(ports.map(port => [port.socket, port]))
    const results = await Promise.allSettled(
      [...bySocket].map(async ([socket, port]) => [socket, await this.#bind(port)] as const),
    )
    const servers = new Map(results.flatMap(result => (result.status === 'fulfilled' ? [result.value] : [])))
    const failure = results.find(result => result.status === 'rejected')
    if (failure === undefined) return servers
    for (const server of servers.values()) server.close()
    throw failure.reason
  }

  #bind({ address: host, listener: { bindPort: port } }: WantedPort): Promise<Server> {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true })
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port, backlog, reusePort: this.#options.reusePort, ipv6Only: host === '::' }, () => {
        server.removeListener('error', reject)
        resolve(server)
      })
    })
  }

  #open(server: Server, first: ListenerPort): BoundSocket {
    const socket: BoundSocket = { server, first }
    // Out of descriptors: those who wait in the backlog are accepted when there are some again.
    server.on('error', () => {
      const { slot } = socket.first.running.loadBalancer
      this.#context.counters.countLoadBalancer(slot, LoadBalancerColumn.RejectedConnectionCount, 1)
    })
    server.on('connection', (accepted: Socket) => {
      acceptClient(this.#context, accepted, socket.first)
    })
    return socket
  }

  #retire(port: ListenerPort): void {
    port.isClosing = true
    const now = this.#context.clock.now()
    for (const connection of this.#clients()) if (connection.listenerPort === port) connection.endSoon(now)
  }

  #runLoadBalancer(loadBalancer: SnapshotLoadBalancer, node: SnapshotNode, nodeIp: string): RunningLoadBalancer {
    const source = { loadBalancerName: loadBalancer.name, loadBalancerId: loadBalancer.id, nodeIp }
    return {
      slot: node.slot,
      resourceId: resourceId(loadBalancer.arn),
      dnsName: loadBalancer.dnsName,
      attributes: loadBalancer.attributes,
      idleTimeoutMs: loadBalancer.attributes.idleTimeoutSeconds * 1000,
      nodeIp,
      log: this.#options.log.writer({ kind: 'access', ...source }),
      connectionLog: this.#options.log.writer({ kind: 'connection', ...source }),
    }
  }

  #runListener(loadBalancer: RunningLoadBalancer, listener: Listener): RunningListener {
    const { serverHeader, responseHeaders } = listener.attributes
    return {
      loadBalancer,
      port: listener.port,
      protocol: listener.protocol === 'HTTPS' ? 'https' : 'http',
      tls: listener.tls === null ? null : this.#secured.get(contentOf(listener.tls, loadBalancer.attributes.http2))!,
      rules: compileRules(listener, action => this.#runAction(action, loadBalancer.slot)),
      serverHeader,
      responseHeaders: responseHeaders.length === 0 ? null : runResponseHeaders(responseHeaders),
      requestHeaders: runRequestHeaders(loadBalancer.attributes, listener),
    }
  }

  #runAction(action: RoutingAction, node: number): RunningAction {
    if (action.type !== 'forward') return action
    const { targetGroups, stickinessSeconds } = action
    const groups = targetGroups.map(({ arn, weight }) => ({ group: this.#registry.group(node, arn), weight }))
    return { type: 'forward', groups, stickinessSeconds }
  }
}

function isClient(entry: Watched): entry is ClientConnection | H2ClientConnection {
  return entry instanceof ClientConnection || entry instanceof H2ClientConnection
}

type WantedPort = {
  /** Ports of the same socket are shared. */
  readonly socket: string
  readonly loadBalancer: SnapshotLoadBalancer
  readonly node: SnapshotNode
  readonly listener: Listener
  readonly address: string
}

function portsOf(loadBalancer: SnapshotLoadBalancer): WantedPort[] {
  return loadBalancer.listeners.flatMap((listener, position) =>
    loadBalancer.nodes.flatMap(node =>
      node.addresses.map(address => {
        // A port of the system's choice goes by the listener's position, since it has no number beforehand.
        const port = listener.bindPort === 0 ? `any, number ${position}` : listener.bindPort
        return { socket: `${address} ${port}`, loadBalancer, node, listener, address }
      }),
    ),
  )
}

function idleTimeouts({ loadBalancers }: Snapshot): (arn: TargetGroupArn) => number {
  const timeouts = new Map<TargetGroupArn, number>()
  for (const { listeners, attributes } of loadBalancers) {
    for (const arn of listeners.flatMap(forwardedGroups)) timeouts.set(arn, attributes.idleTimeoutSeconds * 1000)
  }
  return arn => timeouts.get(arn) ?? 0
}

function runResponseHeaders(headers: readonly ResponseHeader[]): RunningResponseHeaders {
  return {
    names: new Set(headers.map(({ name }) => name.toLowerCase())),
    lines: headers.map(({ name, value }) => `${name}: ${value}\r\n`).join(''),
    fields: headers.map(({ name, value }) => [name, value]),
  }
}

function runRequestHeaders(
  { tlsHeaders }: LoadBalancerAttributes,
  { tls, attributes }: Listener,
): RunningRequestHeaders | null {
  const isMutual = tls !== null && tls.mutualAuthentication.mode !== 'off'
  if (!isMutual && !tlsHeaders) return null
  const names = attributes.requestHeaderNames
  // By their usual names as well: a target may still look for those.
  const reserved = [names, defaultRequestHeaderNames].flatMap(({ tlsVersion, tlsCipherSuite, ...ofCertificate }) => [
    ...(tlsHeaders ? [tlsVersion, tlsCipherSuite] : []),
    ...(isMutual ? Object.values(ofCertificate) : []),
  ])
  return { names, tellsTls: tlsHeaders, reserved: new Set(reserved.map(reservable)) }
}

/**
 * What handshakes need, by content. It takes milliseconds for each certificate, so what has not changed is used on;
 * ticket keys never change while a worker lives.
 */
function tlsListeners(
  { loadBalancers, tlsTicketKeys }: Snapshot,
  known: ReadonlyMap<string, TlsListener>,
  epochMs: number,
): Map<string, TlsListener> {
  const secured = new Map<string, TlsListener>()
  for (const { attributes, listeners } of loadBalancers) {
    for (const { tls } of listeners) {
      if (tls === null) continue
      const content = contentOf(tls, attributes.http2)
      const offered = attributes.http2 ? ['h2', 'http/1.1'] : ['http/1.1']
      secured.set(content, known.get(content) ?? new TlsListener(tls, tlsTicketKeys, epochMs, offered))
    }
  }
  return secured
}

/** Revocation lists may make it large, so what is kept of it is its hash. */
function contentOf(tls: ListenerTls, http2: boolean): string {
  return hash('sha256', JSON.stringify([tls, http2]))
}

/** The policy towards targets follows from those of the load balancer's listeners. */
function backendPolicies({ loadBalancers }: Snapshot): (arn: TargetGroupArn) => SslPolicy {
  const policies = new Map<TargetGroupArn, SslPolicy>()
  for (const { listeners } of loadBalancers) {
    const policy = backendPolicyOf(listeners)
    for (const arn of listeners.flatMap(forwardedGroups)) policies.set(arn, policy)
  }
  return arn => policies.get(arn) ?? backendPolicy([])
}
