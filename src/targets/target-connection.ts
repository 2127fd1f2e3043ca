/**
 * A connection to a target and the pool it rests in between requests. Opened on demand, reused, closed when idle for
 * the idle timeout, when the target closes it, or when the target says so. Whoever uses it hears what happens on it.
 */

import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { ResponseHead } from '../http/h1.ts'
import { connectTimeoutMs, idleConnectionsPerTargetMax, lingerMs } from '../model/limits.ts'
import { Connection, type NetContext, Pause, type SocketRead } from '../net/connection.ts'
import type { Target } from './target-group.ts'
import { handshakeFailure, tlsFailure, tlsHandshakeTimeoutMs } from './target-tls.ts'

/** The one request that a connection carries at a time. */
export type TargetUser = {
  onTargetConnected(now: number): void
  /** The connection could not be opened; `code` is the system's, `ETIMEDOUT` after our own 10 s, or a `TlsFailure`. */
  onTargetUnreachable(code: string, now: number): void
  /** The bytes must be consumed before this returns. */
  onTargetBytes(bytes: Buffer, size: number, now: number): void
  onTargetEnd(now: number): void
  onTargetDrained(now: number): void
  /** It broke; `code` is the system's, a `TlsFailure`, or null for an orderly close. */
  onTargetClosed(code: string | null, now: number): void
}

/** How far a connection has come. */
const Stage = { connecting: 0, shakingHands: 1, open: 2, retired: 3 } as const
type Stage = (typeof Stage)[keyof typeof Stage]

export class TargetConnection extends Connection {
  readonly target: Target
  readonly responseHead: ResponseHead = new ResponseHead()
  user: TargetUser | null
  #stage: Stage = Stage.connecting
  #stageBeganAt: number

  constructor(net: NetContext, target: Target, user: TargetUser) {
    super(net, onread => openSocket(target, onread))
    this.target = target
    this.user = user
    this.#stageBeganAt = this.lastActivity
    if (target.tls === null) this.socket.once('connect', () => this.#opened())
    else this.#shakeHands()
  }

  get isConnected(): boolean {
    return this.#stage === Stage.open
  }

  #shakeHands(): void {
    this.socket.once('connect', () => {
      this.#stage = Stage.shakingHands
      this.#stageBeganAt = this.net.clock.now()
    })
    this.socket.once('secureConnect', () => this.#opened())
    this.socket.on('session', (session: Buffer) => {
      this.target.tlsSession = session
    })
    // An error of TLS, unlike one of the socket below, leaves the socket open.
    this.socket.on('error', () => this.close())
  }

  #opened(): void {
    if (this.isClosed) return
    this.#stage = Stage.open
    this.lastActivity = this.net.clock.now()
    this.user?.onTargetConnected(this.lastActivity)
  }

  protected override onBytes(bytes: Buffer, size: number, now: number): void {
    // Bytes that nobody asked for: what they belong to cannot be known.
    if (this.user === null) this.close()
    else this.user.onTargetBytes(bytes, size, now)
  }

  protected override onEnd(now: number): void {
    if (this.user === null) this.retire()
    // Within the handshake, an error follows that says so.
    else if (this.isConnected) this.user.onTargetEnd(now)
  }

  protected override onDrained(now: number): void {
    this.user?.onTargetDrained(now)
  }

  protected override onClosed(now: number): void {
    const user = this.user
    this.user = null
    if (user === null) this.#leavePool()
    else if (this.#stage === Stage.open) user.onTargetClosed(tlsFailure(this.errorCode) ?? this.errorCode, now)
    else if (this.#stage === Stage.connecting) user.onTargetUnreachable(this.errorCode ?? 'UNKNOWN', now)
    else {
      // Should it have been the session that the target did not like, the next handshake does without.
      this.target.tlsSession = null
      user.onTargetUnreachable(handshakeFailure(this.errorCode), now)
    }
  }

  /** While it carries a request, that request's own timeouts hold. */
  override deadlineMs(): number {
    switch (this.#stage) {
      case Stage.connecting:
        return this.#stageBeganAt + connectTimeoutMs
      case Stage.shakingHands:
        return this.#stageBeganAt + tlsHandshakeTimeoutMs
      case Stage.open:
        return this.user === null ? this.lastActivity + this.target.idleTimeoutMs : Number.POSITIVE_INFINITY
      case Stage.retired:
        return this.#stageBeganAt + lingerMs
    }
  }

  override onDeadline(): void {
    if (this.#stage === Stage.open) this.retire()
    else {
      this.errorCode = 'ETIMEDOUT'
      this.close()
    }
  }

  /** The request is over and the connection clean: it goes to the pool, or closes where nothing may be kept. */
  release(): void {
    this.user = null
    if (this.isClosed) return
    const { target } = this
    if (this.hasEnded || !target.isRegistered || target.idle.length >= idleConnectionsPerTargetMax) {
      this.retire()
      return
    }
    this.endBulk()
    this.resume(Pause.congestion)
    target.idle.push(this)
  }

  /** The request is over and the connection is not: nobody hears of it any more. */
  discard(): void {
    this.user = null
    // A target that closed its side of a tunnel still gets all that its client had to say.
    if (this.hasEnded && this.socket.writableLength > 0) this.socket.destroySoon()
    else this.retire()
  }

  /**
   * Closes a connection that nobody uses. A TLS target is told in TLS as well, or it may take the FIN for an attack
   * (RFC 8446, section 6.1). That takes a moment, as does every write in TLS: what was said last is not cut off.
   */
  retire(): void {
    if (this.#stage === Stage.retired) return
    if (this.target.tls === null || this.#stage !== Stage.open) {
      this.close()
      return
    }
    this.#leavePool()
    this.#stage = Stage.retired
    this.#stageBeganAt = this.net.clock.now()
    this.socket.destroySoon()
  }

  #leavePool(): void {
    const at = this.target.idle.indexOf(this)
    if (at !== -1) this.target.idle.splice(at, 1)
  }
}

function openSocket(target: Target, onread: SocketRead): Socket {
  const options = { host: target.ip, port: target.port, noDelay: true, allowHalfOpen: true, onread }
  if (target.tls === null) return connect(options)
  return connectTls({ ...options, ...target.tls, session: target.tlsSession ?? undefined })
}

/** Takes the idle connection that was used last, or opens one; then `onTargetConnected` or `onTargetUnreachable` follows. */
export function acquireConnection(net: NetContext, target: Target, user: TargetUser): TargetConnection {
  const idle = target.idle.pop()
  if (idle === undefined) return new TargetConnection(net, target, user)
  idle.user = user
  return idle
}
