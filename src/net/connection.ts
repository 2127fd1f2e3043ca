/**
 * One socket, as both sides of the data plane use it: reads without allocating, counted pauses, and writes that say
 * who owns the memory. Knows nothing of HTTP.
 */

import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Clock } from '../base/clock.ts'
import type { DeadlineWheel, Watched } from '../base/deadline-wheel.ts'
import type { Buffers } from './buffers.ts'
import { type DirectSender, isOpenForDirectWrites, takesDirectWrites, writeDirectly } from './direct-write.ts'
import type { TurnEnd } from './turn.ts'

/** Who holds a connection's reading up; bits, because several may at once. */
export const Pause = {
  /** The side that its bytes go to is full. */
  congestion: 1,
  /** Its next request has to wait for the present one. */
  pipelined: 2,
} as const

/** Fewer bytes are copied for a receiver that has a queue, instead of lending it the buffer that they stand in. */
export const lentBytesMin = 16 * 1024

/** What every connection of a worker shares. */
export type NetContext = TurnEnd & {
  readonly clock: Clock
  readonly wheel: DeadlineWheel
  readonly buffers: Buffers
}

export abstract class Connection implements Watched, DirectSender {
  readonly net: NetContext
  readonly socket: Socket
  /** When a byte last went either way, by the clock's `now`. */
  lastActivity: number
  isClosed = false
  /** The peer sent FIN. */
  hasEnded = false
  /** Why the socket broke (`ECONNRESET` and so on), if it did. */
  errorCode: string | null = null
  /** Whether the socket holds more than it should; until `onDrained`. */
  isCongested = false
  readonly #isDirect: boolean
  /** What was written past the stream and has not left yet. */
  #directBytes = 0
  /** What the socket is told when it has. */
  #whenSent: 'end' | 'destroySoon' | null = null
  #paused = 0
  #ownBuffer: Buffer | null = null
  #endsBulk = false
  #lent: Buffer[] | null = null
  readonly #wheelSlot: number

  constructor(net: NetContext, open: (read: SocketRead) => Socket) {
    this.net = net
    this.lastActivity = net.clock.now()
    this.socket = open({
      buffer: () => this.#nextBuffer(),
      callback: (size, bytes) => {
        if (!this.isClosed) this.onBytes(bytes as Buffer, size, this.#stamp())
        return true
      },
    })
    this.#isDirect = takesDirectWrites(this.socket)
    this.socket.on('end', () => {
      this.hasEnded = true
      if (!this.isClosed) this.onEnd(this.#stamp())
    })
    this.socket.on('drain', () => this.#drained())
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.errorCode ??= error.code ?? 'UNKNOWN'
    })
    this.socket.on('close', () => this.#closed())
    this.#wheelSlot = net.wheel.watch(this)
  }

  /** Bytes 0 to `size` of `bytes` came; they must be consumed or copied before this returns, unless `isBulk`. */
  protected abstract onBytes(bytes: Buffer, size: number, now: number): void
  /** The peer sent FIN; it may still read. */
  protected abstract onEnd(now: number): void
  /** The congestion that a `send` reported is over. */
  protected abstract onDrained(now: number): void
  /** The socket is gone, for whatever reason; comes exactly once. */
  protected abstract onClosed(now: number): void
  abstract deadlineMs(): number
  abstract onDeadline(now: number): void

  /** @returns whether the memory is the caller's again; otherwise the socket still reads from it */
  send(bytes: Buffer): boolean {
    if (this.isClosed || bytes.length === 0) return true
    if (this.#lent !== null) this.#reclaim()
    const hasRoom = this.#write(bytes)
    if (this.queuedBytes === 0) return true
    if (!hasRoom) this.isCongested = true
    return false
  }

  /** What was sent and the kernel has not taken yet; a piece counts in full until it has all of that. */
  get queuedBytes(): number {
    return this.#directBytes + this.socket.writableLength
  }

  /** @returns false when more than a socket should hold is on its way */
  #write(bytes: Buffer): boolean {
    const { socket } = this
    if (!this.#isDirect) return socket.write(bytes)
    if (this.#directBytes > 0 || !isOpenForDirectWrites(socket)) {
      // Behind a piece that waits, the next ones wait in the stream, which leaves after it.
      socket.write(bytes, error => error ?? this.#onPieceSent())
    } else if (!writeDirectly(socket, bytes, this)) {
      this.#directBytes = bytes.length
    }
    return this.queuedBytes < socket.writableHighWaterMark
  }

  /** By `writeDirectly`. */
  onSent(): void {
    this.#directBytes = 0
    if (this.#whenSent !== null) this.socket[this.#whenSent]()
    this.#onPieceSent()
  }

  #onPieceSent(): void {
    if (this.queuedBytes === 0) this.#drained()
  }

  #drained(): void {
    this.#reclaim()
    if (this.isCongested && !this.isClosed) {
      this.isCongested = false
      this.onDrained(this.#stamp())
    }
  }

  /** FIN, behind all that was sent; the peer may still send. */
  end(): void {
    this.#tellWhenSent('end')
  }

  /** FIN, behind all that was sent, and then closes. */
  closeSoon(): void {
    this.#tellWhenSent('destroySoon')
  }

  /** A socket that is being shut down cannot be reset any more, so it is not told as long as it may have to be. */
  #tellWhenSent(what: 'end' | 'destroySoon'): void {
    if (this.#directBytes === 0) this.socket[what]()
    else if (this.#whenSent !== 'destroySoon') this.#whenSent = what
  }

  /** From the next read on, bytes arrive in a buffer of the connection's own, which may be sent without a copy. */
  startBulk(): void {
    this.#endsBulk = false
    this.#ownBuffer ??= this.net.buffers.take()
  }

  /** The next read may still go into the connection's own buffer, so it is given back behind that. */
  endBulk(): void {
    this.#endsBulk = true
  }

  /** Passes bytes just read here on to another connection, without a copy where the memory allows it. */
  passOn(bytes: Buffer, from: number, to: number, receiver: Connection): void {
    const { shared, out } = this.net.buffers
    // Who does not read must not hold a whole buffer for each small piece.
    if (bytes === shared || (to - from < lentBytesMin && receiver.queuedBytes > 0)) {
      out.reserve(to - from)
      out.copy(bytes, from, to)
      out.sendTo(receiver)
    } else if (!receiver.send(bytes.subarray(from, to)) && bytes === this.#ownBuffer) {
      receiver.#borrow(bytes)
      this.#ownBuffer = this.net.buffers.take()
    }
  }

  pause(why: number): void {
    if (this.#paused === 0 && !this.isClosed) this.socket.pause()
    this.#paused |= why
  }

  resume(why: number): void {
    if (this.#paused === 0) return
    this.#paused &= ~why
    if (this.#paused === 0 && !this.isClosed) this.socket.resume()
  }

  /** Closes at once, telling the peer with FIN where nothing unread is left. */
  close(): void {
    if (this.isClosed) return
    this.socket.destroy()
    this.#closed()
  }

  /**
   * Closes at once and lets go of what was not read yet, which the kernel would otherwise keep for minutes. A socket
   * with TLS on it cannot be reset; it just closes.
   */
  abort(): void {
    if (this.isClosed) return
    if (this.queuedBytes > 0 && !(this.socket instanceof TLSSocket)) this.socket.resetAndDestroy()
    this.close()
  }

  /** Asked for behind each read: only then does the socket let go of the buffer it had. */
  #nextBuffer(): Buffer {
    if (this.#endsBulk) this.#giveBack()
    return this.#ownBuffer ?? this.net.buffers.shared
  }

  #giveBack(): void {
    this.#endsBulk = false
    if (this.#ownBuffer !== null) this.net.buffers.give(this.#ownBuffer)
    this.#ownBuffer = null
  }

  #stamp(): number {
    this.lastActivity = this.net.clock.now()
    return this.lastActivity
  }

  #borrow(bytes: Buffer): void {
    this.#lent ??= []
    this.#lent.push(bytes)
  }

  #reclaim(): void {
    if (this.#lent === null || this.queuedBytes > 0) return
    for (const buffer of this.#lent) this.net.buffers.give(buffer)
    this.#lent = null
  }

  #closed(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.net.wheel.forget(this, this.#wheelSlot)
    this.#giveBack()
    // Buffers lent to a socket that broke may still be in the kernel's hands: left to the garbage collector.
    this.#lent = null
    this.onClosed(this.#stamp())
  }
}

/** How a socket hands over what it reads: `net.Socket`'s `onread`. */
export type SocketRead = {
  readonly buffer: () => Buffer
  readonly callback: (size: number, bytes: Uint8Array) => boolean
}
