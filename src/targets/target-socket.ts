/**
 * A socket to a target, up to the moment at which it is open: connected within 10 s, and secured within 10 s more where
 * the target speaks TLS. What is sent on it is for those who extend it.
 */

import { connect, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { connectTimeoutMs, lingerMs } from '../model/limits.ts'
import { Connection, type NetContext, type SocketRead } from '../net/connection.ts'
import type { Target } from './target-group.ts'
import { handshakeFailure, tlsFailure, tlsHandshakeTimeoutMs } from './target-tls.ts'

/** How far a socket has come. */
const Stage = { connecting: 0, shakingHands: 1, open: 2, retired: 3 } as const
type Stage = (typeof Stage)[keyof typeof Stage]

export abstract class TargetSocket extends Connection {
  readonly target: Target
  #stage: Stage = Stage.connecting
  #stageBeganAt: number

  constructor(net: NetContext, target: Target) {
    super(net, onread => openSocket(target, onread))
    this.target = target
    this.#stageBeganAt = this.lastActivity
    if (target.tls === null) this.socket.once('connect', () => this.#opened())
    else this.#shakeHands()
  }

  get isConnected(): boolean {
    return this.#stage === Stage.open
  }

  get isRetired(): boolean {
    return this.#stage === Stage.retired
  }

  /** What the target chose in ALPN; null for nothing, and without TLS. */
  get alpnProtocol(): string | null {
    return this.target.tls === null ? null : (this.socket as TLSSocket).alpnProtocol || null
  }

  protected abstract onOpened(now: number): void
  /** It could not be opened; `code` is the system's, `ETIMEDOUT` after our own time, or a `TlsFailure`. */
  protected abstract onUnreachable(code: string, now: number): void
  /** It was open and broke; `code` is the system's, a `TlsFailure`, or null for an orderly close. */
  protected abstract onBroken(code: string | null, now: number): void
  /** It is about to be closed, and must not be taken for another request. */
  protected abstract onRetired(): void
  /** While it is open. */
  protected abstract openDeadlineMs(): number

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
    this.onOpened(this.lastActivity)
  }

  protected override onClosed(now: number): void {
    switch (this.#stage) {
      case Stage.connecting:
        this.onUnreachable(this.errorCode ?? 'UNKNOWN', now)
        return
      case Stage.shakingHands:
        // Should it have been the session that the target did not like, the next handshake does without.
        this.target.tlsSession = null
        this.onUnreachable(handshakeFailure(this.errorCode), now)
        return
      default:
        this.onBroken(tlsFailure(this.errorCode) ?? this.errorCode, now)
    }
  }

  override deadlineMs(): number {
    switch (this.#stage) {
      case Stage.connecting:
        return this.#stageBeganAt + connectTimeoutMs
      case Stage.shakingHands:
        return this.#stageBeganAt + tlsHandshakeTimeoutMs
      case Stage.open:
        return this.openDeadlineMs()
      case Stage.retired:
        return this.#stageBeganAt + lingerMs
    }
  }

  override onDeadline(_now: number): void {
    if (this.#stage === Stage.open) this.retire()
    else {
      this.errorCode = 'ETIMEDOUT'
      this.close()
    }
  }

  /**
   * Closes a connection that nobody uses. A TLS target is told in TLS as well, or it may take the FIN for an attack
   * (RFC 8446, section 6.1). That takes a moment, as does every write in TLS: what was said last is not cut off.
   */
  retire(): void {
    if (this.#stage === Stage.retired) return
    this.onRetired()
    if (this.target.tls === null || this.#stage !== Stage.open) {
      this.close()
      return
    }
    this.#stage = Stage.retired
    this.#stageBeganAt = this.net.clock.now()
    this.closeSoon()
  }
}

function openSocket(target: Target, onread: SocketRead): Socket {
  const options = { host: target.ip, port: target.port, noDelay: true, allowHalfOpen: true, onread }
  if (target.tls === null) return connect(options)
  const alpn = target.protocolVersion === 'HTTP1' ? {} : { ALPNProtocols: ['h2'] }
  return connectTls({ ...options, ...target.tls, ...alpn, session: target.tlsSession ?? undefined })
}
