/** A client that sends exactly the bytes it is told and shows exactly the bytes that come back. */
import { connect, type Socket } from 'node:net'
import { deadlineMs, within } from './deadline.ts'
import { type Ending, type Framing, fieldValue, type Message, MessageReader } from './message-reader.ts'
import { secureConnected } from './secure-listener.ts'

export type RawResponse = Message & {
  readonly status: number
  /** Bytes on the wire, head and framing included. */
  readonly byteCount: number
}

export async function connectClient(port: number, host = '127.0.0.1'): Promise<RawClient> {
  return new RawClient(await connected(port, host))
}

/** The same over TLS. */
export async function connectSecureClient(port: number): Promise<RawClient> {
  return new RawClient(await secureConnected(await connected(port, '127.0.0.1')))
}

async function connected(port: number, host: string): Promise<Socket> {
  const socket = connect({ port, host, allowHalfOpen: true, noDelay: true })
  const opened = Promise.withResolvers<void>()
  socket.once('connect', opened.resolve).once('error', opened.reject)
  await within(opened.promise, () => `a connection to ${host}:${port}`)
  return socket
}

export class RawClient {
  readonly #socket: Socket
  readonly #reader: MessageReader
  readonly localPort: number

  constructor(socket: Socket) {
    this.#socket = socket
    this.#reader = new MessageReader(socket)
    this.localPort = socket.localPort ?? 0
  }

  /** Resolves when the kernel has the bytes. */
  async send(bytes: string | Uint8Array, limitMs = deadlineMs): Promise<void> {
    const written = Promise.withResolvers<void>()
    this.#socket.write(toBytes(bytes), error => (error ? written.reject(error) : written.resolve()))
    const awaited = () => `the kernel to take ${bytes.length} bytes; the peer does not read`
    await within(written.promise, awaited, limitMs)
  }

  /** Sends in pieces, cut before each of the ascending positions; every piece is a segment of its own. */
  async sendCutAt(bytes: string | Uint8Array, positions: readonly number[]): Promise<void> {
    const all = toBytes(bytes)
    let from = 0
    for (const to of [...positions, all.length]) {
      if (to <= from) continue
      await this.send(all.subarray(from, to))
      // A turn of the event loop, so that a peer in this process reads a piece before the next is sent.
      await new Promise(resolve => setImmediate(resolve))
      from = to
    }
  }

  /**
   * Reads exactly one response, an interim one included; bytes that follow it stay for the next call.
   *
   * @param method of the request: a response to HEAD or a successful CONNECT has no body
   */
  async readResponse(method = 'GET'): Promise<RawResponse> {
    const message = await this.#reader.readMessage('a response', (line, headers) => framing(method, line, headers))
    return { ...message, status: statusOf(message.startLine), byteCount: message.raw.length }
  }

  async readUntilClose(): Promise<{ readonly bytes: Buffer; readonly ending: Ending }> {
    return this.#reader.readToEnd('the peer to close')
  }

  /** Sends a FIN and goes on reading. */
  halfClose(): void {
    this.#socket.end()
  }

  /** Sends an RST; not over TLS. */
  reset(): void {
    this.#socket.resetAndDestroy()
  }

  close(): void {
    this.#socket.destroy()
  }
}

function framing(method: string, statusLine: string, headers: readonly string[]): Framing {
  const status = statusOf(statusLine)
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return 'none'
  if (method === 'CONNECT' && status < 300) return 'none'
  if (fieldValue(headers, 'transfer-encoding')?.toLowerCase().endsWith('chunked')) return 'chunked'
  const length = fieldValue(headers, 'content-length')
  return length === null ? 'close' : Number(length)
}

function statusOf(statusLine: string): number {
  const status = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(statusLine)?.[1]
  if (status === undefined) throw new Error(`not a status line: ${JSON.stringify(statusLine)}`)
  return Number(status)
}

function toBytes(bytes: string | Uint8Array): Uint8Array {
  return typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
}
