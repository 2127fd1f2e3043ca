/**
 * A target that does on cue what targets do in the field: answer, stall, close, reset, talk nonsense. A script says
 * what happens on one connection; `target-scripts.ts` has the usual ones.
 */
import { createServer, type Socket } from 'node:net'
import { createSecureContext, type SecureContextOptions, TLSSocket } from 'node:tls'
import { within } from './deadline.ts'
import { EndedEarly, type Framing, fieldValue, MessageReader } from './message-reader.ts'

/** Runs once per connection. When it returns, the target closes its side (FIN) unless the script ended it otherwise. */
export type Script = (connection: TargetConnection) => Promise<void>

export type ReceivedRequest = {
  /** From the request line to the empty line, which is not included. */
  readonly head: string
  readonly method: string
  readonly headers: readonly string[]
  readonly body: Buffer
  readonly trailers: readonly string[]
  /** As it was on the wire. */
  readonly raw: Buffer
  /** Counts from 1, in the order of acceptance. */
  readonly connection: number
}

export async function startTarget(script: Script, host = '127.0.0.1'): Promise<MisbehavingTarget> {
  const target = new MisbehavingTarget(script)
  await target.listen(host)
  return target
}

export class MisbehavingTarget {
  /** Complete requests, in the order they became complete. */
  readonly requests: ReceivedRequest[] = []
  /** What had come of requests that the peer left unfinished. */
  readonly unfinished: Buffer[] = []
  connectionCount = 0
  port = 0
  readonly #script: Script
  readonly #server = createServer({ allowHalfOpen: true, noDelay: true }, socket => this.#accept(socket))
  readonly #sockets = new Set<Socket>()
  readonly #scriptErrors: unknown[] = []
  #watchers: (() => void)[] = []

  constructor(script: Script) {
    this.#script = script
  }

  async listen(host: string): Promise<void> {
    const listening = Promise.withResolvers<void>()
    this.#server.once('listening', listening.resolve).once('error', listening.reject).listen(0, host)
    await listening.promise
    const address = this.#server.address()
    if (address !== null && typeof address === 'object') this.port = address.port
  }

  get openConnectionCount(): number {
    return this.#sockets.size
  }

  /** Resolves with the first `count` requests as soon as there are as many. */
  async receivedRequests(count: number): Promise<readonly ReceivedRequest[]> {
    const progress = () => `${count} requests at the target; ${this.requests.length} had come`
    await this.#until(() => this.requests.length >= count, progress)
    return this.requests.slice(0, count)
  }

  /** Resolves when that many connections were accepted in all. */
  async acceptedConnections(count: number): Promise<void> {
    const progress = () => `${count} connections to the target; ${this.connectionCount} had come`
    await this.#until(() => this.connectionCount >= count, progress)
  }

  /** Resolves when the peers have left no connection open. */
  async closedConnections(): Promise<void> {
    const progress = () => `the peers to close; ${this.#sockets.size} connections were open`
    await this.#until(() => this.#sockets.size === 0, progress)
  }

  /** Closes whatever is open; fails when a script failed, so that no mistake in one goes unseen. */
  async close(): Promise<void> {
    const closed = Promise.withResolvers<void>()
    this.#server.close(() => closed.resolve())
    for (const socket of this.#sockets) socket.destroy()
    await closed.promise
    if (this.#scriptErrors.length > 0) throw this.#scriptErrors[0]
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      this.#notify()
    })
    const connection = new TargetConnection(socket, ++this.connectionCount, {
      onRequest: request => this.requests.push(request),
      onUnfinished: bytes => this.unfinished.push(bytes),
      onChange: () => this.#notify(),
    })
    this.#notify()
    this.#script(connection)
      .catch(error => this.#scriptErrors.push(error))
      .finally(() => connection.end())
  }

  async #until(isReached: () => boolean, progress: () => string): Promise<void> {
    if (isReached()) return
    const reached = Promise.withResolvers<void>()
    const watcher = () => {
      if (isReached()) reached.resolve()
    }
    this.#watchers.push(watcher)
    try {
      await within(reached.promise, progress)
    } finally {
      this.#watchers = this.#watchers.filter(other => other !== watcher)
    }
  }

  #notify(): void {
    for (const watcher of this.#watchers) watcher()
  }
}

export type ServerTlsOptions = SecureContextOptions & {
  /** A peer without a certificate is refused. */
  readonly requestCert?: boolean
  readonly ALPNProtocols?: readonly string[]
}

type Listener = {
  readonly onRequest: (request: ReceivedRequest) => void
  readonly onUnfinished: (bytes: Buffer) => void
  readonly onChange: () => void
}

export class TargetConnection {
  /** Counts from 1, in the order of acceptance. */
  readonly number: number
  requestCount = 0
  /** As it was accepted; over TLS, what lies below. */
  readonly #accepted: Socket
  #socket: Socket
  #reader: MessageReader
  readonly #listener: Listener

  constructor(socket: Socket, number: number, listener: Listener) {
    this.number = number
    this.#accepted = socket
    this.#socket = socket
    this.#reader = new MessageReader(socket, null)
    this.#listener = listener
  }

  /**
   * Speaks TLS from here on. With `requestCert`, a peer without a certificate is refused.
   *
   * @returns null when the handshake failed: the connection is gone then
   */
  async startTls(options: ServerTlsOptions): Promise<TLSSocket | null> {
    const { requestCert = false, ALPNProtocols = [] } = options
    const secureContext = createSecureContext(options)
    const socket = new TLSSocket(this.#accepted, {
      isServer: true,
      secureContext,
      requestCert,
      rejectUnauthorized: true,
      ...(ALPNProtocols.length > 0 && { ALPNProtocols: [...ALPNProtocols] }),
    })
    const settled = Promise.withResolvers<boolean>()
    socket.once('secure', () => settled.resolve(true))
    socket.on('error', () => settled.resolve(false))
    socket.once('close', () => settled.resolve(false))
    if (!(await settled.promise)) return null
    this.#socket = socket
    this.#reader = new MessageReader(socket, null)
    return socket
  }

  /** Resolves when the peer has said something, which stays unread, or has closed. */
  async hears(): Promise<void> {
    await this.#reader.hasMore('a first byte')
  }

  /** Exactly so many bytes; null when the peer closed before. Waits as long as it takes. */
  async read(size: number): Promise<Buffer | null> {
    try {
      return await this.#reader.readBytes(size, `${size} bytes`)
    } catch (error) {
      if (!(error instanceof EndedEarly)) throw error
      return null
    }
  }

  /** The next request with its whole body; null when the peer closed instead, even midway. Waits as long as it takes. */
  async readRequest(): Promise<ReceivedRequest | null> {
    try {
      if (!(await this.#reader.hasMore('a request'))) return null
      const message = await this.#reader.readMessage('a request', (_line, headers) => requestFraming(headers))
      const head = [message.startLine, ...message.headers].join('\r\n')
      const method = message.startLine.slice(0, message.startLine.indexOf(' '))
      const { headers, body, trailers, raw } = message
      const request = { head, method, headers, body, trailers, raw, connection: this.number }
      this.requestCount++
      this.#listener.onRequest(request)
      return request
    } catch (error) {
      if (!(error instanceof EndedEarly)) throw error
      this.#listener.onUnfinished(error.received)
      return null
    } finally {
      this.#listener.onChange()
    }
  }

  /** Resolves when the kernel has the bytes; a peer that has left is no error, since tests provoke that. */
  async send(bytes: string | Uint8Array): Promise<void> {
    const data = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
    await new Promise<void>(resolve => {
      if (this.#socket.destroyed) resolve()
      else this.#socket.write(data, () => resolve())
    })
  }

  /** Sends a FIN, once. */
  end(): void {
    if (this.#socket.writable) this.#socket.end()
  }

  /** Sends a FIN that TLS does not know of. */
  endBelowTls(): void {
    this.#accepted.end()
  }

  /** Sends an RST. */
  reset(): void {
    this.#accepted.resetAndDestroy()
  }

  /** Reads and drops until the peer ends its side. */
  async drain(): Promise<void> {
    await this.rest()
  }

  /** All that comes until the peer ends its side. */
  async rest(): Promise<Buffer> {
    return (await this.#reader.readToEnd('the peer to close')).bytes
  }

  /** Neither reads nor writes any more until the target is closed. */
  async stall(): Promise<void> {
    if (this.#socket.destroyed) return
    await new Promise<void>(resolve => this.#socket.once('close', () => resolve()))
  }
}

function requestFraming(headers: readonly string[]): Framing {
  if (fieldValue(headers, 'transfer-encoding') !== null) return 'chunked'
  return Number(fieldValue(headers, 'content-length') ?? 'none') || 'none'
}
