/**
 * A connection from a client that speaks HTTP/2. Each stream is a request of its own, a `ClientStream`; what they all
 * send within one turn of the event loop leaves in one write. Decides when the connection ends.
 */

import { type FieldBlock, type H2Bounds, H2Error, type H2Handler, H2Session, type H2Stream } from '../http/h2.ts'
import {
  h2BodyBytesReadyMax,
  h2ConnectionWindowBytes,
  h2HeaderBlockBytesMax,
  h2RequestsMax,
  h2StreamsMax,
  h2StreamWindowBytes,
  headerFieldsMax,
  lingerMs,
  requestHeadBytesMax,
  requestHeaderBytesMax,
} from '../model/limits.ts'
import { formatAddress } from '../model/resources.ts'
import type { OpenSocket } from '../net/accept-tls.ts'
import { Connection } from '../net/connection.ts'
import { TurnOutput } from '../net/turn-output.ts'
import { LoadBalancerColumn } from '../observe/counters.ts'
import { plainAddress } from './client-connection.ts'
import { ClientStream } from './client-stream.ts'
import type { ClientTls } from './client-tls.ts'
import type { PlaneContext } from './context.ts'
import type { ListenerPort } from './listener-port.ts'

const bounds: H2Bounds = {
  streamsMax: h2StreamsMax,
  initialWindowBytes: h2StreamWindowBytes,
  connectionWindowBytes: h2ConnectionWindowBytes,
  headerListBytesMax: requestHeadBytesMax,
  fieldBytesMax: requestHeaderBytesMax,
  fieldsMax: headerFieldsMax,
  headerBlockBytesMax: h2HeaderBlockBytesMax,
  outBytesMax: h2BodyBytesReadyMax,
}

export class H2ClientConnection extends Connection implements H2Handler<ClientStream> {
  readonly plane: PlaneContext
  readonly session: H2Session<ClientStream>
  readonly ip: string
  readonly port: number
  readonly address: string
  readonly traceId: string
  readonly openedAt: number
  readonly tls: ClientTls
  readonly #listenerPort: ListenerPort
  readonly #output: TurnOutput
  /** The load balancer that counts this connection, whatever is published meanwhile. */
  readonly #slot: number
  /** From then on, the next request is the last one. Fixed when the connection opens, as the service has it. */
  readonly #keptUntil: number
  /** When a stream last ended; PINGs are no sign of life. */
  #unusedSince: number
  /** The stream whose bytes for its target wait for what follows them in the same read. */
  #holding: ClientStream | null = null
  /** Everything was said; what still comes is thrown away until the client closes, at the latest then. */
  #lingerUntil = -1

  constructor(plane: PlaneContext, open: OpenSocket, port: ListenerPort, tls: ClientTls) {
    super(plane.net, open)
    this.plane = plane
    this.tls = tls
    this.#listenerPort = port
    this.ip = plainAddress(this.socket.remoteAddress ?? '')
    this.port = this.socket.remotePort ?? 0
    this.address = formatAddress(this.ip, this.port)
    this.traceId = plane.ids.connectionTraceId()
    this.openedAt = this.lastActivity
    this.#unusedSince = this.openedAt
    this.#slot = port.running.loadBalancer.slot
    this.#keptUntil = this.openedAt + port.running.loadBalancer.attributes.clientKeepAliveSeconds * 1000
    plane.counters.countLoadBalancer(this.#slot, LoadBalancerColumn.connectionsOpened, 1)
    plane.counters.countLoadBalancer(this.#slot, LoadBalancerColumn.NewConnectionCount, 1)
    this.session = new H2Session('server', this, bounds)
    this.#output = new TurnOutput(this, this.session.out, () => this.#onSent())
    this.session.begin()
  }

  get listenerPort(): ListenerPort {
    return this.#listenerPort
  }

  get isBusy(): boolean {
    return this.session.streams.size > 0 || this.queuedBytes > 0
  }

  protected override onBytes(bytes: Buffer, size: number, now: number): void {
    if (this.#lingerUntil !== -1) return
    this.session.read(bytes, 0, size, now)
    this.#flushHolding()
  }

  onHead(stream: H2Stream<ClientStream>, fields: FieldBlock, isEnd: boolean, now: number): void {
    this.#flushHolding()
    const user = new ClientStream(this, stream, now)
    stream.user = user
    const isLast =
      now >= this.#keptUntil ||
      this.session.streamsBegun >= h2RequestsMax ||
      this.#listenerPort.isClosing ||
      this.plane.isStopping
    if (isLast) this.session.goAway(H2Error.noError)
    this.#holding = user
    user.begin(this.#listenerPort.running, fields, isEnd, now)
  }

  onData(stream: H2Stream<ClientStream>, bytes: Buffer, from: number, to: number, isEnd: boolean, now: number): void {
    const user = stream.user!
    if (this.#holding !== user) this.#flushHolding()
    this.#holding = user
    user.onData(bytes, from, to, isEnd, now)
  }

  onTrailers(stream: H2Stream<ClientStream>, fields: FieldBlock, now: number): void {
    this.#flushHolding()
    stream.user!.onTrailers(fields, now)
    stream.user!.flushToTarget()
  }

  onReset(stream: H2Stream<ClientStream>, _code: number, _byPeer: boolean, now: number): void {
    // Its own bytes, if they still are here, are not sent to a target that would be left at once.
    if (this.#holding !== stream.user) this.#flushHolding()
    this.#holding = null
    stream.user?.onReset(now)
  }

  onStreamDrained(stream: H2Stream<ClientStream>, now: number): void {
    stream.user!.onDrained(now)
  }

  onGoAway(): void {
    // The client will begin nothing more. What it has begun is answered.
  }

  onSessionError(_code: number, text: string, now: number): void {
    this.plane.counters.countFault(this.#slot, 'clientProtocolError')
    this.plane.onConnectionFault({
      fault: 'clientProtocolError',
      detail: text,
      atMs: this.plane.clock.originMs + now,
      loadBalancer: this.#listenerPort.running.loadBalancer.resourceId,
      clientAddress: this.address,
    })
    this.#closeGently(now, 0)
  }

  onOutput(): void {
    this.#output.sendSoon()
  }

  #onSent(): void {
    const { session } = this
    const now = this.plane.clock.now()
    session.now = now
    session.isBlocked = this.isCongested
    if (session.isGoingAway && session.streams.size === 0) this.#closeGently(now, this.#idleTimeoutMs)
  }

  get #idleTimeoutMs(): number {
    return this.#listenerPort.running.loadBalancer.idleTimeoutMs
  }

  /** Bytes for a target must leave before those for another are written, and at the end of a read. */
  #flushHolding(): void {
    const holding = this.#holding
    this.#holding = null
    holding?.flushToTarget()
  }

  onStreamFinished(now: number): void {
    this.#unusedSince = now
    if (this.session.isGoingAway) this.onOutput()
  }

  /**
   * FIN now; then wait a while for the client's own, since closing with unread bytes would turn into a RST.
   *
   * @param patienceMs a slow client first has as long to read what it was sent
   */
  #closeGently(now: number, patienceMs: number): void {
    if (this.#lingerUntil !== -1 || this.isClosed) return
    this.#output.send()
    this.#lingerUntil = now + lingerMs
    if (patienceMs > 0 && this.queuedBytes > 0) {
      this.#lingerUntil = now + patienceMs
      this.socket.once('finish', () => {
        this.#lingerUntil = this.plane.clock.now() + lingerMs
      })
    }
    this.end()
  }

  /** Nothing more comes, so no window will open and nothing be acknowledged: whoever is still here has left. */
  protected override onEnd(now: number): void {
    this.session.close(H2Error.cancel, now)
    this.#closeGently(now, this.#idleTimeoutMs)
  }

  protected override onDrained(now: number): void {
    this.session.now = now
    this.session.isBlocked = false
    this.#output.sendSoon()
  }

  protected override onClosed(now: number): void {
    this.plane.counters.countLoadBalancer(this.#slot, LoadBalancerColumn.connectionsClosed, 1)
    this.session.close(H2Error.cancel, now)
  }

  #endStreams(end: (stream: ClientStream) => void): void {
    for (const { user } of [...this.session.streams.values()]) end(user!)
  }

  override deadlineMs(): number {
    if (this.#lingerUntil !== -1) return this.#lingerUntil
    if (this.session.streams.size > 0) {
      const now = this.plane.clock.now()
      let deadline = Infinity
      for (const { user } of this.session.streams.values()) deadline = Math.min(deadline, user!.deadlineMs(now))
      return deadline
    }
    return this.#unusedSince + this.#idleTimeoutMs
  }

  override onDeadline(now: number): void {
    if (this.#lingerUntil !== -1) this.abort()
    else if (this.session.streams.size === 0) this.#goAway()
    else {
      this.#endStreams(stream => {
        if (stream.deadlineMs(now) <= now) stream.onDeadline(now)
      })
    }
  }

  /** The deregistration delay of these targets is over. */
  cutFromTargets(slots: ReadonlySet<number>, now: number): void {
    this.#endStreams(stream => stream.cutFromTargets(slots, now))
  }

  /** The load balancer stops: no new streams, and the end with the last of those that are open. */
  endSoon(): void {
    if (this.#lingerUntil === -1) this.#goAway()
  }

  /** The load balancer stops and will not wait any longer. */
  endNow(now: number): void {
    this.#endStreams(stream => stream.endNow(now))
    this.#output.send()
    // Not before what was just said has left: within TLS, a write may still wait for the one before it.
    this.closeSoon()
  }

  #goAway(): void {
    if (!this.session.isGoingAway) this.session.goAway(H2Error.noError)
    this.onOutput()
  }
}
