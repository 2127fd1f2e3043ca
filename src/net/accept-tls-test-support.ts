/** A listener with TLS that writes down how each of its handshakes ended. */

import { EventEmitter, once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import { makeCertificate } from '../../test/support/certificates.ts'
import { within } from '../../test/support/deadline.ts'
import { certificateArn } from '../model/arns.ts'
import type { Certificate, ListenerTls } from '../model/resources.ts'
import { type TlsFailure, TlsHandshake, TlsListener, type TlsSession } from './accept-tls.ts'
import { Net, RecordingConnection } from './net-test-support.ts'

export const ticketKeys: Uint8Array = new Uint8Array(48).fill(7)
/** When listeners are made. */
export const madeMs: number = Date.UTC(2026, 0, 1)

export type Ended =
  | { readonly how: 'secure'; readonly session: TlsSession; readonly connection: RecordingConnection }
  | { readonly how: 'plainHttp'; readonly connection: RecordingConnection }
  | { readonly how: 'failed'; readonly failure: TlsFailure; readonly session: TlsSession | null }

export class TlsServer {
  readonly net: Net
  readonly port: number
  /** Of the next handshakes. */
  listener: TlsListener
  readonly handshakes: TlsHandshake[] = []
  readonly #ended: Ended[] = []
  #closedCount = 0
  readonly #happened = new EventEmitter()

  static async start(t: TestContext, tls: ListenerTls): Promise<TlsServer> {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    const started = new TlsServer(new Net(t), port, new TlsListener(tls, ticketKeys, madeMs))
    const accepted = new Set<Socket>()
    server.on('connection', socket => {
      accepted.add(socket)
      socket.on('close', () => {
        started.#closedCount++
        started.#happened.emit('event')
      })
      started.#accept(socket)
    })
    t.after(() => {
      for (const socket of accepted) socket.destroy()
      server.close()
    })
    return started
  }

  private constructor(net: Net, port: number, listener: TlsListener) {
    this.net = net
    this.port = port
    this.listener = listener
  }

  #accept(socket: Socket): void {
    const handshake = new TlsHandshake(this.net, socket, this.listener, {
      onSecure: (session, open) =>
        this.#note({ how: 'secure', session, connection: new RecordingConnection(this.net, open) }),
      onPlainHttp: open => this.#note({ how: 'plainHttp', connection: new RecordingConnection(this.net, open) }),
      onFailed: (failure, session) => this.#note({ how: 'failed', failure, session }),
    })
    this.handshakes.push(handshake)
    this.#happened.emit('event')
  }

  #note(ended: Ended): void {
    this.#ended.push(ended)
    this.#happened.emit('event')
  }

  /** How many handshakes ended that nobody has asked for. */
  get endedCount(): number {
    return this.#ended.length
  }

  async accepted(count: number): Promise<void> {
    await within(
      this.#until(() => this.handshakes.length >= count),
      () => 'a connection',
    )
  }

  /** How the next handshake ended, of those not yet asked for. */
  async ended(): Promise<Ended> {
    await within(
      this.#until(() => this.#ended.length > 0),
      () => 'the end of a handshake',
    )
    return this.#ended.shift()!
  }

  /** Resolves when every connection so far is closed, and nothing watches any. */
  async allClosed(): Promise<void> {
    await this.#until(() => this.#closedCount === this.handshakes.length)
    if (this.net.wheel.size > 0) throw new Error('a connection that is closed is still watched')
  }

  async secured(): Promise<Extract<Ended, { how: 'secure' }>> {
    const ended = await this.ended()
    if (ended.how === 'secure') return ended
    throw new Error(`the handshake ended otherwise: ${JSON.stringify(ended)}`)
  }

  async failure(): Promise<TlsFailure> {
    const ended = await this.ended()
    if (ended.how === 'failed') return ended.failure
    throw new Error(`the handshake did not fail: ${ended.how}`)
  }

  async #until(isReached: () => boolean): Promise<void> {
    while (!isReached()) await once(this.#happened, 'event')
  }

  /** A client's socket, without TLS. */
  async connect(t: TestContext): Promise<Socket> {
    const socket = connect({ port: this.port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    socket.on('error', () => {}) // a test may break the connection
    t.after(() => socket.destroy())
    await once(socket, 'connect')
    return socket
  }

  /** A client of Node's; resolves when its side of the handshake is over. */
  async connectTls(t: TestContext, options: ConnectionOptions = {}): Promise<TLSSocket> {
    const socket = this.startTls(t, options)
    await within(once(socket, 'secureConnect'), () => 'the handshake')
    return socket
  }

  startTls(t: TestContext, options: ConnectionOptions = {}): TLSSocket {
    const socket = connectTls({ port: this.port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
    socket.on('error', () => {})
    t.after(() => socket.destroy())
    return socket
  }
}

/** For a name each, with an ARN that ends in it. */
export function certificateFor(id: string, request: Parameters<typeof makeCertificate>[0]): Certificate {
  return { arn: certificateArn(id), ...makeCertificate(request) }
}

export const bothKinds: readonly Certificate[] = [
  certificateFor('rsa', { names: ['a.test'], keyType: 'rsa2048' }),
  certificateFor('ecdsa', { names: ['a.test'], keyType: 'p256' }),
]
