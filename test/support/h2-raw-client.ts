/** A client of HTTP/2 that sends exactly the frames it is told, and shows those that come back as lines. */

import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { within } from './deadline.ts'
import {
  END_HEADERS,
  END_STREAM,
  type Fields,
  type Frame,
  FrameTeller,
  frame,
  hello,
  literals,
  readFrames,
} from './h2-frames.ts'

/** @param greeting sent at once; what every client begins with unless given */
export async function connectRawH2(t: TestContext, port: number, greeting = hello): Promise<RawH2Client> {
  const options = { rejectUnauthorized: false, ALPNProtocols: ['h2'], servername: 'a.example', allowHalfOpen: true }
  const socket = connect({ host: '127.0.0.1', port, ...options } as ConnectionOptions)
  socket.on('error', () => {}) // 'close' tells.
  socket.setNoDelay(true)
  t.after(() => socket.destroy())
  await within(once(socket, 'secureConnect'), () => `a handshake with port ${port}`)
  const client = new RawH2Client(socket)
  await client.send(greeting)
  // Only then is the handshake over for the other side as well.
  await client.sees(/^SETTINGS 3=/)
  return client
}

export class RawH2Client {
  readonly socket: TLSSocket
  readonly localPort: number
  /** All frames so far. */
  readonly frames: Frame[] = []
  /** The same as lines; see `FrameTeller`. */
  readonly lines: string[] = []
  /** The peer sent FIN, or the connection broke. */
  isOver = false
  readonly #teller = new FrameTeller()
  #rest: Buffer = Buffer.alloc(0)
  readonly #watchers = new Set<() => void>()

  constructor(socket: TLSSocket) {
    this.socket = socket
    this.localPort = socket.localPort ?? 0
    socket.on('data', (bytes: Buffer) => this.#take(bytes))
    const end = () => {
      this.isOver = true
      this.#notify()
    }
    socket.once('end', end)
    socket.once('close', end)
  }

  /** Resolves when the kernel has the bytes, or the connection is gone. */
  async send(...frames: readonly Buffer[]): Promise<void> {
    if (this.socket.destroyed) return
    await new Promise<void>(resolve => this.socket.write(Buffer.concat(frames), () => resolve()))
  }

  /** Resolves when some line so far is or matches that. */
  async sees(line: string | RegExp): Promise<string> {
    const find = () => this.lines.find(seen => (typeof line === 'string' ? seen === line : line.test(seen)))
    await this.#until(
      () => find() !== undefined,
      () => `${line}`,
    )
    return find()!
  }

  /** The lines of one stream, up to the end of what it is sent; a reset behind the end has to be waited for by `sees`. */
  async answer(id: number): Promise<readonly string[]> {
    const frames = () => this.frames.filter(frame => frame.id === id)
    const isOver = () =>
      frames().some(({ type, flags }) => type === 'RST_STREAM' || (sends.has(type) && (flags & END_STREAM) !== 0))
    await this.#until(isOver, () => `the end of stream ${id}`)
    return this.linesOf(id)
  }

  linesOf(id: number): readonly string[] {
    return this.lines.filter((_, i) => this.frames[i]!.id === id)
  }

  /** Bytes of all frames that make up the answer of a stream, as the log counts them. */
  answerBytes(id: number): number {
    const ofAnswer = this.frames.filter(({ id: of, type }) => of === id && countedTypes.has(type))
    return ofAnswer.reduce((sum, { payload }) => sum + 9 + payload.length, 0)
  }

  /** The data of one stream, so far. */
  body(id: number): Buffer {
    return Buffer.concat(this.frames.filter(({ type, id: of }) => type === 'DATA' && of === id).map(f => f.payload))
  }

  /** Resolves when the peer has said that nothing more comes. */
  async ends(): Promise<readonly string[]> {
    await this.#until(
      () => this.isOver,
      () => 'the peer to close',
    )
    return this.lines
  }

  /** From here on the peer's bytes pile up in the kernel. */
  stopReading(): void {
    this.socket.pause()
  }

  #take(bytes: Buffer): void {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    const whole = wholeFrames(this.#rest)
    for (const frame of readFrames(this.#rest.subarray(0, whole))) {
      this.frames.push(frame)
      this.lines.push(this.#teller.tell(frame))
    }
    this.#rest = this.#rest.subarray(whole)
    this.#notify()
  }

  #notify(): void {
    for (const wake of this.#watchers) wake()
    this.#watchers.clear()
  }

  async #until(isReached: () => boolean, awaited: () => string): Promise<void> {
    while (!isReached()) {
      const told = () => `${awaited()}; there was\n${this.lines.slice(-20).join('\n')}`
      if (this.isOver) throw new Error(`the connection ended before ${told()}`)
      const woken = Promise.withResolvers<void>()
      this.#watchers.add(woken.resolve)
      await within(woken.promise, told)
    }
  }
}

/** A block of fields too long for one frame. */
export function longHeaders(id: number, fields: Fields, flags = 0): Buffer {
  const block = literals(fields)
  const frames: Buffer[] = []
  for (let at = 0; at < block.length; at += framePayloadMax) {
    const piece = block.subarray(at, at + framePayloadMax)
    const last = at + framePayloadMax >= block.length ? END_HEADERS : 0
    frames.push(at === 0 ? frame('HEADERS', flags | last, id, piece) : frame('CONTINUATION', last, id, piece))
  }
  return Buffer.concat(frames)
}

const framePayloadMax = 16_384

const sends = new Set(['DATA', 'HEADERS'])
const countedTypes = new Set(['DATA', 'HEADERS', 'CONTINUATION'])

/** @returns how many bytes of it are frames that are complete */
function wholeFrames(bytes: Buffer): number {
  let at = 0
  for (;;) {
    if (at + 9 > bytes.length) return at
    const end = at + 9 + bytes.readUIntBE(at, 3)
    if (end > bytes.length) return at
    at = end
  }
}
