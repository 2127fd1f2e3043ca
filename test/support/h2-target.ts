/** A target that speaks HTTP/2 as Node does, on cue: what a handler is given can answer, reset, go away or be silent. */

import { once } from 'node:events'
import {
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { within } from './deadline.ts'
import { secureTarget } from './secure-target.ts'

export type H2Handler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, target: H2Target) => void

export type H2TargetOptions = Pick<ServerOptions, 'settings'> & {
  /** It speaks TLS and chooses `h2`. */
  readonly isSecure?: boolean
  /** Sees each session before its first stream. */
  readonly onSession?: (session: ServerHttp2Session, number: number) => void
}

/** It ends with its test. */
export async function startH2Target(
  t: TestContext,
  handler: H2Handler,
  options: H2TargetOptions = {},
): Promise<H2Target> {
  const target = new H2Target(handler, options)
  await target.listen()
  t.after(() => target.close())
  return target
}

export class H2Target {
  port = 0
  /** Every one that there was, in the order of acceptance. */
  readonly sessions: ServerHttp2Session[] = []
  /** What they run over; below TLS, if there is any. */
  readonly sockets: Socket[] = []
  /** In the order in which they came; those that were reset too. */
  readonly streams: ServerHttp2Stream[] = []
  readonly #server: Http2Server
  #watchers: (() => void)[] = []

  constructor(handler: H2Handler, { isSecure = false, onSession, settings }: H2TargetOptions) {
    const options = settings === undefined ? {} : { settings }
    this.#server = isSecure ? createSecureServer({ ...options, ...secureTarget }) : createServer(options)
    this.#server.on('connection', (socket: Socket) => {
      this.sockets.push(socket)
      socket.on('error', () => {}) // Peers that leave are part of the tests.
      socket.on('close', () => this.#notify())
    })
    this.#server.on('session', session => {
      this.sessions.push(session)
      session.on('error', () => {})
      onSession?.(session, this.sessions.length)
      this.#notify()
    })
    this.#server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      this.streams.push(stream)
      stream.on('error', () => {})
      handler(stream, headers, this)
      this.#notify()
    })
  }

  get address(): { readonly id: string; readonly port: number } {
    return { id: '127.0.0.1', port: this.port }
  }

  get openConnectionCount(): number {
    return this.sockets.filter(socket => !socket.destroyed).length
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    this.port = (this.#server.address() as AddressInfo).port
  }

  /** Resolves when that many streams were begun in all. */
  async begunStreams(count: number): Promise<void> {
    const progress = () => `${count} streams at the target; ${this.streams.length} had come`
    await this.#until(() => this.streams.length >= count, progress)
  }

  /** Resolves when no more than that many connections are open. */
  async openConnections(count: number): Promise<void> {
    const progress = () => `${count} open connections at the target; there were ${this.openConnectionCount}`
    await this.#until(() => this.openConnectionCount <= count, progress)
  }

  async close(): Promise<void> {
    const closed = Promise.withResolvers<void>()
    this.#server.close(() => closed.resolve())
    for (const session of this.sessions) session.destroy()
    for (const socket of this.sockets) socket.destroy()
    await closed.promise
  }

  async #until(isReached: () => boolean, progress: () => string): Promise<void> {
    if (isReached()) return
    const reached = Promise.withResolvers<void>()
    const watcher = () => {
      if (isReached()) reached.resolve()
    }
    this.#watchers.push(watcher)
    await within(reached.promise, progress)
  }

  #notify(): void {
    for (const watcher of this.#watchers) watcher()
  }
}

/** Answers with this body, whatever was asked and whether or not all of it came. */
export function answeringH2(body: string, headers: Record<string, string> = {}): H2Handler {
  return stream => {
    // One that nobody reads is cut off by Node when its last bytes have to wait for a window.
    stream.resume()
    stream.respond({ ':status': 200, ...headers })
    stream.end(body)
  }
}

/** Sends the body back that it gets. */
export const echoesH2: H2Handler = stream => {
  stream.respond({ ':status': 200 })
  stream.pipe(stream)
}

/** All that a stream brings. */
export async function bodyOf(stream: ServerHttp2Stream): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of stream) pieces.push(piece as Buffer)
  return Buffer.concat(pieces)
}
