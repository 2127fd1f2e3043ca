/**
 * A connection to a target that speaks HTTP/1.1, and the pool it rests in between requests. Opened on demand, reused,
 * closed when idle for the idle timeout, when the target closes it, or when the target says so. Whoever uses it hears
 * what happens on it.
 */

import { ResponseHead } from '../http/h1.ts'
import { idleConnectionsPerTargetMax } from '../model/limits.ts'
import { type NetContext, Pause } from '../net/connection.ts'
import type { Pooled } from './idle-pool.ts'
import type { Target } from './target-group.ts'
import { TargetSocket } from './target-socket.ts'

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

export class TargetConnection extends TargetSocket implements Pooled<TargetConnection> {
  readonly responseHead: ResponseHead = new ResponseHead()
  user: TargetUser | null
  older: TargetConnection | null = null
  newer: TargetConnection | null = null

  constructor(net: NetContext, target: Target, user: TargetUser) {
    super(net, target)
    this.user = user
  }

  protected override onOpened(now: number): void {
    this.user?.onTargetConnected(now)
  }

  protected override onUnreachable(code: string, now: number): void {
    const user = this.user
    this.user = null
    user?.onTargetUnreachable(code, now)
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

  protected override onBroken(code: string | null, now: number): void {
    const user = this.user
    this.user = null
    if (user === null) this.onRetired()
    else user.onTargetClosed(code, now)
  }

  /** While it carries a request, that request's own timeouts hold. */
  protected override openDeadlineMs(): number {
    return this.user === null ? this.lastActivity + this.target.idleTimeoutMs : Number.POSITIVE_INFINITY
  }

  /** The request is over and the connection clean: it goes to the pool, or closes where nothing may be kept. */
  release(): void {
    this.user = null
    if (this.isClosed) return
    const { target } = this
    if (this.hasEnded || !target.isRegistered || target.idle.size >= idleConnectionsPerTargetMax) {
      this.retire()
      return
    }
    this.endBulk()
    this.resume(Pause.congestion)
    target.idle.add(this, this.net.afterTurn)
  }

  /** The request is over and the connection is not: nobody hears of it any more. */
  discard(): void {
    this.user = null
    // A target that closed its side of a tunnel still gets all that its client had to say.
    if (this.hasEnded && this.queuedBytes > 0) this.closeSoon()
    else this.retire()
  }

  protected override onRetired(): void {
    this.target.idle.remove(this)
  }
}

/** Takes an idle connection, or opens one; then `onTargetConnected` or `onTargetUnreachable` follows. */
export function acquireConnection(net: NetContext, target: Target, user: TargetUser): TargetConnection {
  const idle = target.idle.take()
  if (idle === null) return new TargetConnection(net, target, user)
  idle.user = user
  return idle
}
