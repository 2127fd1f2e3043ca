/** A session of the codec over a socket, in either role: what the tests with HTTP/2 peers of others run against. */

import type { Socket } from 'node:net'
import { type FieldBlock, type H2Bounds, type H2Handler, H2Session } from '../../src/http/h2.ts'

export const usualBounds: H2Bounds = {
  streamsMax: 128,
  initialWindowBytes: 65_536,
  connectionWindowBytes: 0x7fffffff,
  headerListBytesMax: 64 * 1024,
  fieldBytesMax: 16 * 1024,
  fieldsMax: 1000,
  headerBlockBytesMax: 64 * 1024,
  outBytesMax: 64 * 1024,
}

/** What a test wants to hear of; the rest passes unnoticed. */
export type H2Events<User> = Partial<Omit<H2Handler<User>, 'onOutput'>>

/** Sends what the session has to say once per turn of the event loop, and tells it when the socket holds enough. */
export class H2Endpoint<User> {
  readonly session: H2Session<User>
  readonly socket: Socket
  /** The error that ended the session. */
  error: string | null = null

  constructor(
    socket: Socket,
    role: 'server' | 'client',
    events: (session: H2Session<User>) => H2Events<User>,
    bounds: H2Bounds = usualBounds,
  ) {
    this.socket = socket
    const handler: H2Handler<User> = {
      onOutput: () => setImmediate(() => this.#send()),
      onHead: (...args) => heard.onHead?.(...args),
      onTrailers: (...args) => heard.onTrailers?.(...args),
      onData: (...args) => heard.onData?.(...args),
      onReset: (...args) => heard.onReset?.(...args),
      onStreamDrained: (...args) => heard.onStreamDrained?.(...args),
      onGoAway: (...args) => heard.onGoAway?.(...args),
      onSessionError: (code, text, now) => {
        this.error = text
        heard.onSessionError?.(code, text, now)
      },
    }
    this.session = new H2Session(role, handler, bounds)
    const heard = events(this.session)
    socket.on('data', (bytes: Buffer) => this.session.read(bytes, 0, bytes.length, performance.now()))
    socket.on('drain', () => {
      this.session.isBlocked = false
    })
    // A peer that resets is told of by 'close'.
    socket.on('error', () => {})
    socket.on('close', () => this.session.close(0, performance.now()))
    this.session.begin()
  }

  #send(): void {
    const { out } = this.session
    if (this.socket.destroyed) return
    const isTaken = this.socket.write(Buffer.from(out.bytes.subarray(0, out.length)))
    out.length = 0
    this.session.isBlocked = !isTaken
    if (this.error !== null) this.socket.end()
  }
}

/** The fields of a block, as pairs. */
export function fieldsOf(block: FieldBlock): readonly (readonly [name: string, value: string])[] {
  return Array.from({ length: block.count }, (_, i) => [
    block.text(block.nameFrom(i), block.nameTo(i)),
    block.text(block.valueFrom(i), block.valueTo(i)),
  ])
}
