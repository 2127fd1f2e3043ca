/** A connection that writes down what happens on it, and the sockets it talks to. */

import { EventEmitter, once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { ManualClock } from '../base/clock.ts'
import { DeadlineWheel } from '../base/deadline-wheel.ts'
import { Buffers } from './buffers.ts'
import { Connection, type NetContext, type SocketRead } from './connection.ts'
import { turnEnd } from './turn.ts'

export class RecordingConnection extends Connection {
  /** `bytes 5`, `end`, `drained`, `closed` and `deadline`, in order. */
  readonly events: string[] = []
  /** The buffer of each read. */
  readonly buffers: Buffer[] = []
  deadline = Number.POSITIVE_INFINITY
  whenBytes: (bytes: Buffer, size: number) => void = () => {}
  whenDrained: () => void = () => {}
  #received: Buffer[] = []
  #receivedBytes = 0
  readonly #happened = new EventEmitter()
  bytesWritten = 0

  override send(bytes: Buffer): boolean {
    if (!this.isClosed) this.bytesWritten += bytes.length
    return super.send(bytes)
  }

  get received(): Buffer {
    return Buffer.concat(this.#received)
  }

  /** Resolves as soon as so many bytes have come in all. */
  async receivedBytes(count: number): Promise<void> {
    await this.#until(() => this.#receivedBytes >= count)
  }

  async saw(event: string): Promise<void> {
    await this.#until(() => this.events.includes(event))
  }

  protected override onBytes(bytes: Buffer, size: number): void {
    this.buffers.push(bytes)
    this.#received.push(Buffer.from(bytes.subarray(0, size)))
    this.#receivedBytes += size
    this.whenBytes(bytes, size)
    this.#note(`bytes ${size}`)
  }

  protected override onEnd(): void {
    this.#note('end')
  }

  protected override onDrained(): void {
    this.whenDrained()
    this.#note('drained')
  }

  protected override onClosed(): void {
    this.#note('closed')
  }

  override deadlineMs(): number {
    return this.deadline
  }

  override onDeadline(): void {
    this.#note('deadline')
    this.close()
  }

  #note(event: string): void {
    this.events.push(event)
    this.#happened.emit('event')
  }

  async #until(isReached: () => boolean): Promise<void> {
    while (!isReached()) await once(this.#happened, 'event')
  }
}

export type Opened = {
  readonly connection: RecordingConnection
  /** The other end: an ordinary socket, paused, which may be half open. */
  readonly peer: Socket
}

/** Buffers that write down which were given back. */
class WatchedBuffers extends Buffers {
  readonly given: Buffer[] = []

  override give(buffer: Buffer): void {
    this.given.push(buffer)
    super.give(buffer)
  }
}

export class Net implements NetContext {
  readonly clock = new ManualClock()
  readonly wheel = new DeadlineWheel(this.clock)
  readonly buffers = new WatchedBuffers()
  readonly #turnEnd = turnEnd()
  readonly afterTurn = this.#turnEnd.afterTurn
  readonly afterOutput = this.#turnEnd.afterOutput
  readonly #t: TestContext

  /** Everything it opens is closed when the test ends. */
  constructor(t: TestContext) {
    this.#t = t
  }

  /** @param adopt what a listener does with a socket that it accepted */
  async open(adopt: (accepted: Socket, read: SocketRead) => Socket): Promise<Opened> {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const accepting = once(server, 'connection')
    const { port } = server.address() as AddressInfo
    const peer = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    const [[accepted]] = (await Promise.all([accepting, once(peer, 'connect')])) as [[Socket], unknown]
    peer.pause().on('error', () => {}) // a test may break the connection
    const connection = new RecordingConnection(this, read => adopt(accepted, read))
    this.#t.after(() => {
      connection.close()
      peer.destroy()
      server.close()
    })
    return { connection, peer }
  }
}

/** Reads from an ordinary socket until so many bytes have come. */
export async function readBytes(socket: Socket, count: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  let length = 0
  while (length < count) {
    const piece: Buffer | null = socket.read()
    if (piece === null) {
      await once(socket, 'readable')
      continue
    }
    pieces.push(piece)
    length += piece.length
  }
  return Buffer.concat(pieces)
}

/** Bytes of which no two stretches are alike, so that any that are lost, doubled or swapped show. */
export function pattern(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length + 4)
  for (let at = 0; at < length; at += 4) bytes.writeUInt32LE(Math.imul(at, 0x9e3779b1) >>> 0, at)
  return bytes.subarray(0, length)
}
