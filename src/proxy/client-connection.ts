/**
 * A connection from a client: reads requests one after the other, has each answered, and decides by the peer's doings
 * and the clock when it ends. Pipelined requests wait for their turn in a buffer.
 */

import { type ResponseHead, readRequestMeaning } from '../http/h1.ts'
import { endsConnections } from '../model/desync.ts'
import { bulkBytesMin, halfClosedGraceMs, lingerMs } from '../model/limits.ts'
import { formatAddress } from '../model/resources.ts'
import type { OpenSocket } from '../net/accept-tls.ts'
import { Connection, Pause } from '../net/connection.ts'
import { LoadBalancerColumn } from '../observe/counters.ts'
import type { TargetConnection, TargetUser } from '../targets/target-connection.ts'
import type { Target } from '../targets/target-group.ts'
import { connectToTarget, runAction } from './actions.ts'
import { type OwnAnswer, writeAnswer } from './answer.ts'
import { checkRequestHead } from './check-request-head.ts'
import type { ClientTls } from './client-tls.ts'
import type { PlaneContext } from './context.ts'
import { faultOfDeregistration, faultOfLeaving, faultOfShutdown, faultOfSilence } from './cut-short.ts'
import { type Client, type Exchange, Side } from './exchange.ts'
import { failExchange } from './fail.ts'
import { finishExchange } from './finish.ts'
import { headFaults } from './head-faults.ts'
import { type ListenerPort, portNamed } from './listener-port.ts'
import {
  endRequest,
  flushToTarget,
  pauseWhileFull,
  relayRequestBytes,
  relayResponse,
  targetClosed,
  targetConnected,
  targetEnded,
  targetUnreachable,
} from './relay.ts'
import { hostAsked } from './request-target.ts'
import { flushToClient, writeClientBody, writeLastChunk } from './response-body.ts'
import { writeClientHead } from './response-head.ts'
import { routeRequest } from './route-request.ts'

const continueAnswer = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n')

export class ClientConnection extends Connection implements Client, TargetUser {
  readonly isHttp2 = false
  readonly plane: PlaneContext
  readonly ip: string
  readonly port: number
  readonly address: string
  readonly traceId: string
  readonly openedAt: number
  readonly tls: ClientTls | null
  /** Of the load balancer that answers; where several share a port, the latest request named it. */
  #port: ListenerPort
  /** The node that counts this connection, whatever is published meanwhile; -1 until it is known. */
  #slot = -1
  /** From then on, the next request is the last one. Fixed when the connection opens, as the service has it. */
  #keptUntil = Number.POSITIVE_INFINITY
  #exchange: Exchange | null = null
  /** When the last exchange ended, or the connection was opened. */
  #unusedSince: number
  /** Bytes that came before their turn. */
  #held: Buffer | null = null
  /** Everything was said; what still comes is thrown away until the client closes, at the latest then. */
  #lingerUntil = -1
  /** Called once when it is known whose connection this is: at once, or with its first request on a shared port. */
  #onClaimed: (client: ClientConnection, port: ListenerPort) => void

  /** @param tls null on an HTTP listener, and for a client that speaks HTTP in the clear to an HTTPS one */
  constructor(
    plane: PlaneContext,
    open: OpenSocket,
    port: ListenerPort,
    tls: ClientTls | null,
    onClaimed: (client: ClientConnection, port: ListenerPort) => void,
  ) {
    super(plane.net, open)
    this.tls = tls
    this.plane = plane
    this.#port = port
    this.ip = plainAddress(this.socket.remoteAddress ?? '')
    this.port = this.socket.remotePort ?? 0
    this.address = formatAddress(this.ip, this.port)
    this.traceId = plane.ids.connectionTraceId()
    this.openedAt = this.lastActivity
    this.#unusedSince = this.openedAt
    this.#onClaimed = onClaimed
    if (!this.#isTellingByHost) this.#claim()
  }

  /** Whether each request says which load balancer it is for. In TLS, the handshake said it for all of them. */
  get #isTellingByHost(): boolean {
    return this.#port.shared !== null && this.#port.running.protocol === 'http'
  }

  /** The load balancer counts the connection, and says how long it is kept. */
  #claim(): void {
    const { slot, attributes } = this.#port.running.loadBalancer
    this.#slot = slot
    this.#keptUntil = this.openedAt + attributes.clientKeepAliveSeconds * 1000
    this.plane.counters.countLoadBalancer(slot, LoadBalancerColumn.connectionsOpened, 1)
    this.plane.counters.countLoadBalancer(slot, LoadBalancerColumn.NewConnectionCount, 1)
    this.#onClaimed(this, this.#port)
  }

  get listenerPort(): ListenerPort {
    return this.#port
  }

  get exchange(): Exchange | null {
    return this.#exchange
  }

  protected override onBytes(bytes: Buffer, size: number, now: number): void {
    if (this.#lingerUntil === -1) this.#read(bytes, 0, size, now)
  }

  /** Reads as far as it may: up to the end of what came, or to a request that has to wait. */
  #read(bytes: Buffer, from: number, end: number, now: number): void {
    let at = from
    while (at < end && !this.isClosed && this.#lingerUntil === -1) {
      if (this.#exchange === null) {
        at = skipEmptyLines(bytes, at, end)
        if (at === end) return
        if (this.isCongested) {
          // Who does not read the answers so far gets no more of them, or they would pile up here.
          this.#hold(bytes, at, end)
          return
        }
      }
      const exchange = this.#exchange ?? this.#beginExchange(now)
      if (exchange.requestSide === Side.head) {
        at = this.#readHead(exchange, bytes, at, end, now)
      } else if (exchange.isTunnel) {
        this.#relayTunnel(exchange, bytes, at, end)
        return
      } else if (exchange.requestSide === Side.body && !exchange.isConnecting) {
        at = this.#readBody(exchange, bytes, at, end, now)
      } else {
        this.#hold(bytes, at, end)
        break
      }
    }
    if (this.#exchange !== null) flushToTarget(this.#exchange)
  }

  #beginExchange(now: number): Exchange {
    this.#exchange = this.plane.exchanges.begin(this.plane, this, this.#port.running, now)
    return this.#exchange
  }

  #readHead(exchange: Exchange, bytes: Buffer, at: number, end: number, now: number): number {
    const { head } = exchange
    const next = head.read(bytes, at, end)
    exchange.receivedBytes += next - at
    if (head.fault !== null) {
      if (head.hasStartLine) head.meaning.isHead = head.text(head.methodFrom, head.methodTo) === 'HEAD'
      failExchange(exchange, headFaults[head.fault], now)
      return end
    }
    if (head.length > 0) this.#routeRequest(exchange, now)
    return next
  }

  /** The head is complete: it is checked, matched against the rules, and acted upon. */
  #routeRequest(exchange: Exchange, now: number): void {
    const { head } = exchange
    exchange.headAt = now
    // A head may take its time; what it meets is what is in force now, whose targets are still there.
    readRequestMeaning(head)
    if (this.#isTellingByHost) this.#port = portNamed(this.#port.shared!, hostAsked(head))
    if (this.#slot === -1) this.#claim()
    exchange.listener = this.#port.running
    this.#startBody(exchange)
    this.#settleKeepAlive(exchange, now)
    const fault = checkRequestHead(exchange)
    if (fault !== null) {
      // Who was not told to go on may leave the body out: nobody can tell what comes next.
      if (head.meaning.expectsContinue && exchange.requestSide !== Side.done) exchange.closesClient = true
      failExchange(exchange, fault, now)
      return
    }
    routeRequest(exchange, now)
    if (head.meaning.expectsContinue && head.minorVersion === 1) this.send(continueAnswer)
    runAction(exchange, now)
  }

  #startBody(exchange: Exchange): void {
    const { meaning } = exchange.head
    exchange.requestBody.start(meaning.bodyKind, meaning.contentLength, true)
    exchange.moveRequest(exchange.requestBody.isDone ? Side.done : Side.body)
    if (exchange.requestBody.remaining >= bulkBytesMin) this.startBulk()
  }

  #settleKeepAlive(exchange: Exchange, now: number): void {
    const { meaning, minorVersion } = exchange.head
    // It may have been read differently before it came here, so nothing that follows it is trusted.
    const isDoubtful =
      meaning.hasUnusedCoding ||
      endsConnections(meaning.desync, exchange.listener!.loadBalancer.attributes.desyncMitigationMode)
    exchange.keepsTarget = !isDoubtful
    exchange.closesClient =
      isDoubtful ||
      meaning.wantsClose ||
      (minorVersion === 0 && !meaning.wantsKeepAlive) ||
      now >= this.#keptUntil ||
      this.#port.isClosing ||
      this.plane.isStopping
  }

  #readBody(exchange: Exchange, bytes: Buffer, at: number, end: number, now: number): number {
    const body = exchange.requestBody
    const next = body.read(bytes, at, end)
    exchange.receivedBytes += next - at
    relayRequestBytes(exchange, this, bytes, body.spanFrom, body.spanTo)
    if (body.fault !== null) {
      failExchange(exchange, 'clientBodyMalformed', now)
      return end
    }
    if (body.isDone) {
      flushToTarget(exchange)
      endRequest(exchange, now)
    }
    return next
  }

  #relayTunnel(exchange: Exchange, bytes: Buffer, from: number, to: number): void {
    exchange.receivedBytes += to - from
    const target = exchange.targetConnection
    if (target === null) return
    this.passOn(bytes, from, to, target)
    if (target.isCongested) this.pause(Pause.congestion)
  }

  /** Keeps what cannot be read yet. Reading pauses, so this is at most what one event brought. */
  #hold(bytes: Buffer, from: number, to: number): void {
    const rest = Buffer.from(bytes.subarray(from, to))
    this.#held = this.#held === null ? rest : Buffer.concat([this.#held, rest])
    this.pause(Pause.pipelined)
  }

  #readOn(now: number): void {
    const held = this.#held
    this.#held = null
    if (held !== null && !this.isClosed) this.#read(held, 0, held.length, now)
    if (this.#held !== null) return
    this.resume(Pause.pipelined)
    // A FIN that came while this waited means now what it would have meant then.
    if (this.hasEnded && !this.isClosed) this.onEnd(now)
  }

  onExchangeFinished(isKept: boolean, now: number): void {
    this.#exchange = null
    if (this.isClosed) return
    // The wait for the next request begins now, however long ago the last byte of this one came.
    this.lastActivity = now
    this.#unusedSince = now
    this.resume(Pause.congestion)
    if (!isKept || (this.hasEnded && this.#held === null)) this.#closeGently(now)
    // Not from within whatever ended the exchange: requests that are answered at once would end within one another.
    else if (this.#held !== null && !this.isCongested) queueMicrotask(() => this.#readOn(this.plane.clock.now()))
  }

  /** FIN now; then wait a while for the client's own, since closing with unread bytes would turn into a RST. */
  #closeGently(now: number): void {
    this.#held = null
    this.#lingerUntil = now + lingerMs
    this.resume(Pause.congestion | Pause.pipelined)
    if (this.queuedBytes > 0) {
      // A slow client first has the idle timeout to read what it was sent.
      this.#lingerUntil = now + this.#port.running.loadBalancer.idleTimeoutMs
      this.socket.once('finish', () => {
        this.#lingerUntil = this.plane.clock.now() + lingerMs
      })
    }
    this.end()
  }

  protected override onEnd(now: number): void {
    const exchange = this.#exchange
    if (this.#lingerUntil !== -1 || this.#held !== null) return
    if (exchange === null) this.#closeGently(now)
    else if (exchange.isTunnel) {
      exchange.targetConnection?.end()
      if (exchange.targetConnection?.hasEnded) finishExchange(exchange, false, now)
    } else if (exchange.requestSide !== Side.done) failExchange(exchange, faultOfLeaving(exchange), now)
    else if (exchange.responseSide === Side.head) {
      this.plane.clock.after(halfClosedGraceMs, () => {
        if (this.#exchange === exchange && exchange.responseSide === Side.head && !exchange.isFinished) {
          failExchange(exchange, faultOfLeaving(exchange), this.plane.clock.now())
        }
      })
    }
  }

  protected override onDrained(now: number): void {
    if (this.#exchange !== null) this.#exchange.targetConnection?.resume(Pause.congestion)
    else if (this.#held !== null) this.#readOn(now)
  }

  protected override onClosed(now: number): void {
    if (this.#slot === -1) this.#claim()
    this.plane.counters.countLoadBalancer(this.#slot, LoadBalancerColumn.connectionsClosed, 1)
    this.#held = null
    const exchange = this.#exchange
    if (exchange === null) return
    if (exchange.isTunnel) finishExchange(exchange, false, now)
    else failExchange(exchange, faultOfLeaving(exchange), now)
  }

  override deadlineMs(): number {
    if (this.#lingerUntil !== -1) return this.#lingerUntil
    const { idleTimeoutMs } = this.#port.running.loadBalancer
    const exchange = this.#exchange
    // Empty lines between requests are no sign of life.
    if (exchange === null) return this.#unusedSince + idleTimeoutMs
    if (exchange.isConnecting) return Number.POSITIVE_INFINITY
    const { targetConnection } = exchange
    const last =
      targetConnection === null ? this.lastActivity : Math.max(this.lastActivity, targetConnection.lastActivity)
    return last + exchange.listener!.loadBalancer.idleTimeoutMs
  }

  /** Nothing moved for the idle timeout: whose turn it was decides what it is called. */
  override onDeadline(now: number): void {
    const exchange = this.#exchange
    if (this.#lingerUntil !== -1) this.abort()
    else if (exchange === null) this.#closeGently(now)
    else if (exchange.responseSide === Side.done) finishExchange(exchange, false, now)
    else {
      const isClientStalled = exchange.responseSide === Side.body && this.isCongested
      if (exchange.isTunnel) finishExchange(exchange, false, now)
      else failExchange(exchange, faultOfSilence(exchange), now)
      // Who read nothing for so long gets no further time to read the rest.
      if (isClientStalled) this.abort()
    }
  }

  get isBusy(): boolean {
    return this.#exchange !== null || this.queuedBytes > 0
  }

  /** The deregistration delay of these targets is over. */
  cutFromTargets(slots: ReadonlySet<number>, now: number): void {
    const exchange = this.#exchange
    if (exchange === null || exchange.isFinished || exchange.target === null) return
    if (!slots.has(exchange.target.slot)) return
    if (exchange.isTunnel) finishExchange(exchange, false, now)
    else failExchange(exchange, faultOfDeregistration(exchange), now)
  }

  /** The load balancer stops: an unused connection ends now, one in use with its present exchange. */
  endSoon(now: number): void {
    if (this.#exchange !== null) this.#exchange.closesClient = true
    else if (this.#lingerUntil === -1) this.#closeGently(now)
  }

  /** The load balancer stops and will not wait any longer. */
  endNow(now: number): void {
    if (this.#exchange !== null && !this.#exchange.isFinished) {
      if (this.#exchange.isTunnel) finishExchange(this.#exchange, false, now)
      else failExchange(this.#exchange, faultOfShutdown(this.#exchange), now)
    }
    this.close()
  }

  onTargetConnected(now: number): void {
    targetConnected(this.#exchange!, now)
    this.#readOn(now)
  }

  onTargetUnreachable(code: string, now: number): void {
    targetUnreachable(this.#exchange!, code, now)
    // A request body that waited for the connection is read on, to its end.
    if (this.#exchange !== null) this.#readOn(now)
  }

  onTargetBytes(bytes: Buffer, size: number, now: number): void {
    const exchange = this.#exchange!
    if (exchange.isTunnel) {
      this.#relayTunnelBack(exchange, bytes, 0, size)
      return
    }
    const at = relayResponse(exchange, bytes, size, now)
    if (!exchange.isTunnel) return
    // What the client said behind its request goes on now, and what the target said behind its answer.
    this.#readOn(now)
    if (at < size) this.#relayTunnelBack(exchange, bytes, at, size)
  }

  #relayTunnelBack(exchange: Exchange, bytes: Buffer, from: number, to: number): void {
    const target = exchange.targetConnection
    if (target === null) return
    exchange.sentBytes += to - from
    target.passOn(bytes, from, to, this)
    pauseWhileFull(exchange, target)
  }

  onTargetEnd(now: number): void {
    const exchange = this.#exchange!
    if (!exchange.isTunnel) targetEnded(exchange, now)
    else {
      this.end()
      if (this.hasEnded) finishExchange(exchange, false, now)
    }
  }

  onTargetDrained(): void {
    this.resume(Pause.congestion)
  }

  onTargetClosed(code: string | null, now: number): void {
    const exchange = this.#exchange!
    if (!exchange.isTunnel) targetClosed(exchange, code, now)
    else {
      exchange.targetConnection = null
      finishExchange(exchange, false, now)
    }
  }

  connectTo(exchange: Exchange, target: Target, now: number): void {
    connectToTarget(exchange, target, this, now)
  }

  onRequestRead(): void {
    this.endBulk()
  }

  sendHead(exchange: Exchange, head: ResponseHead, now: number): void {
    writeClientHead(exchange, head, now, this.net.buffers.out)
  }

  sendBody(exchange: Exchange, from: TargetConnection, bytes: Buffer, at: number, to: number): void {
    writeClientBody(exchange, this, from, bytes, at, to)
  }

  endBody(exchange: Exchange): void {
    writeLastChunk(exchange)
    this.flush(exchange)
  }

  flush(exchange: Exchange): void {
    flushToClient(exchange, this)
  }

  sendAnswer(exchange: Exchange, answer: OwnAnswer): void {
    writeAnswer(exchange, answer, this.net.buffers.out)
    this.flush(exchange)
  }
}

/** An IPv4 client on a dual-stack socket is an IPv4 client. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address
}

/**
 * Empty lines before a request are no part of it, and no request by themselves: some clients end a body with one. Here
 * as in the head, a bare LF is an empty line, too.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-2.2
 */
function skipEmptyLines(bytes: Buffer, from: number, end: number): number {
  let at = from
  for (;;) {
    if (at < end && bytes[at] === 0x0a) at++
    else if (at + 1 < end && bytes[at] === 0x0d && bytes[at + 1] === 0x0a) at += 2
    else return at
  }
}
