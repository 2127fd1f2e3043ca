/**
 * TLS for accepted connections: handshakes by a listener's policy and certificates. Knows nothing of HTTP; a connection
 * is handed on when it is secure.
 *
 * The client's first message is read here before the TLS library gets it. That picks the certificate, shows a client
 * that speaks plain HTTP while it can still be answered, and keeps an unknown protocol in ALPN from ending the
 * handshake, which Node would insist on.
 */

import { constants, createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls'
import { assert } from '../base/assert.ts'
import type { Watched } from '../base/deadline-wheel.ts'
import type { CertificateArn } from '../model/arns.ts'
import type { ListenerTls } from '../model/resources.ts'
import { findSslPolicy, type SslPolicy, type TlsProtocol } from '../model/ssl-policies.ts'
import { readByEvents } from './accept.ts'
import type { NetContext, SocketRead } from './connection.ts'
import { CertificateChoice, type Choice, ServerCertificate } from './tls/certificate-choice.ts'
import { type ClientHello, readFirstBytes } from './tls/client-hello.ts'
import { type TlsFailure, tlsFailure } from './tls/failure.ts'
import { keyExchangeGroup } from './tls/key-exchange.ts'
import { type PolicyOptions, policyOptions } from './tls/policy-options.ts'

export type { TlsFailure } from './tls/failure.ts'

/** Assumed: the service does not say how long a handshake may take. */
export const tlsHandshakeTimeoutMs = 10_000

export type TlsSession = {
  readonly protocol: TlsProtocol
  /** As OpenSSL calls it. */
  readonly cipher: string
  /** What the client asked for, in lower case, if a certificate is for it. */
  readonly serverName: string | null
  /** Null when the session was resumed: no certificate was sent. */
  readonly certificateArn: CertificateArn | null
  /** Null when the client offered none of ours. */
  readonly alpnProtocol: string | null
  /** The group, as IANA calls it; null for key exchange by RSA. */
  readonly keyExchange: string | null
  /** From the client's first byte. */
  readonly handshakeMs: number
}

/** What `Connection` is opened with. It must be used at once, or the socket is closed. */
export type OpenSocket = (read: SocketRead) => Socket

/** Exactly one of them is called, once; none after `close`. */
export type TlsHandlers = {
  onSecure(session: TlsSession, open: OpenSocket): void
  /** The client speaks HTTP, in the clear: the connection is as it was accepted, nothing has been consumed or sent. */
  onPlainHttp(open: OpenSocket): void
  /** The socket is closed. */
  onFailed(failure: TlsFailure): void
}

/** What of a predefined policy the TLS library cannot do, as clauses; empty when it can do all. */
export function sslPolicyLimits(name: string): readonly string[] {
  return policyOptions(policyNamed(name)).limits
}

function policyNamed(name: string): SslPolicy {
  const policy = findSslPolicy(name)
  assert(policy !== null, 'a validated listener has a predefined policy')
  return policy
}

/** A listener's certificates and policy, ready for handshakes. A publication replaces it; connections keep theirs. */
export class TlsListener {
  readonly #policy: PolicyOptions
  readonly #ticketKeys: Uint8Array
  readonly #choice: CertificateChoice
  /** By the certificates in them. */
  readonly #contexts = new Map<string, SecureContext>()
  readonly #sessionIdContext: string
  readonly #alpnProtocols: readonly string[]

  /**
   * Throws what the library says of a certificate or key that it refuses.
   *
   * @param ticketKeys 48 bytes: sessions begun with the same ones are resumed, if policy and certificates are the same
   * @param alpnProtocols offered to clients, the preferred one first
   */
  constructor(tls: ListenerTls, ticketKeys: Uint8Array, alpnProtocols: readonly string[] = ['http/1.1']) {
    assert(ticketKeys.length === 48, 'ticket keys have 48 bytes')
    this.#policy = policyOptions(policyNamed(tls.sslPolicy))
    this.#ticketKeys = ticketKeys
    this.#alpnProtocols = alpnProtocols
    this.#sessionIdContext = identityOf(tls)
    this.#choice = new CertificateChoice(tls.certificates.map(certificate => new ServerCertificate(certificate)))
    // All that are needed now are made now: it takes a while, and is when a bad certificate is noticed.
    const now = Date.now()
    this.#contextOf(this.#choice.choose(null, now))
    for (const name of this.#choice.names) this.#contextOf(this.#choice.choose(name, now))
  }

  /** By itself, a listener is there for all names. */
  listenerFor(): TlsListener {
    return this
  }

  prepare(hello: ClientHello | null, epochMs: number): Prepared {
    const choice = this.#choice.choose(hello?.serverName ?? null, epochMs)
    const alpn = this.#alpnProtocols.find(protocol => hello?.alpnProtocols.includes(protocol)) ?? null
    return { hello, choice, alpn, context: this.#contextOf(choice), groups: this.#policy.groups }
  }

  #contextOf({ certificates }: Choice): SecureContext {
    const id = certificates.map(certificate => certificate.fingerprint).join(' ')
    const known = this.#contexts.get(id)
    if (known !== undefined) return known
    const context = createSecureContext({
      ...this.#policy.context,
      cert: certificates.map(each => each.certificate),
      key: certificates.map(each => each.privateKey),
      honorCipherOrder: true,
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      ticketKeys: Buffer.from(this.#ticketKeys),
      sessionIdContext: this.#sessionIdContext,
    })
    this.#contexts.set(id, context)
    return context
  }
}

export type TlsListenerChoice = {
  /** Called once. @param serverName in lower case; null when the client names none */
  listenerFor(serverName: string | null): TlsListener
}

/** What a handshake goes on with once the client's first message is known, or known to be unreadable. */
type Prepared = {
  readonly hello: ClientHello | null
  readonly choice: Choice
  readonly alpn: string | null
  readonly context: SecureContext
  readonly groups: PolicyOptions['groups']
}

/** All workers share ticket keys, and all listeners do; yet a session is good only where it would be begun likewise. */
function identityOf(tls: ListenerTls): string {
  const hash = createHash('sha256').update(tls.sslPolicy)
  for (const certificate of tls.certificates) hash.update(certificate.certificate)
  return hash.digest('hex').slice(0, 32)
}

/** One handshake, from the accepted socket to a secure one or none. */
export class TlsHandshake implements Watched {
  readonly #net: NetContext
  readonly #accepted: Socket
  readonly #listener: TlsListenerChoice
  readonly #handlers: TlsHandlers
  readonly #deadlineMs: number
  readonly #wheelSlot: number
  /** What the client sent, until it is a message. */
  #first: Buffer = Buffer.alloc(0)
  #beganMs = -1
  #secure: TLSSocket | null = null
  #isOver = false

  /** @param accepted comes from a server with `pauseOnConnect` and `allowHalfOpen` */
  constructor(net: NetContext, accepted: Socket, listener: TlsListenerChoice, handlers: TlsHandlers) {
    this.#net = net
    this.#accepted = accepted
    this.#listener = listener
    this.#handlers = handlers
    this.#deadlineMs = net.clock.now() + tlsHandshakeTimeoutMs
    this.#wheelSlot = net.wheel.watch(this)
    accepted.on('error', this.#onError).on('end', this.#onEnd).on('close', this.#onEnd)
    accepted.on('data', this.#onFirstBytes).resume()
  }

  /** Gives up, without telling anybody. */
  close(): void {
    this.#finish()
    this.#destroy()
  }

  deadlineMs(): number {
    return this.#deadlineMs
  }

  onDeadline(): void {
    this.#fail({ reason: 'timeout' })
  }

  readonly #onFirstBytes = (bytes: Buffer): void => {
    if (this.#beganMs === -1) this.#beganMs = this.#net.clock.now()
    this.#first = this.#first.length === 0 ? bytes : Buffer.concat([this.#first, bytes])
    const first = readFirstBytes(this.#first)
    if (first === 'incomplete') return
    this.#accepted.off('data', this.#onFirstBytes).pause()
    this.#accepted.unshift(this.#first)
    if (first === 'plainHttp') {
      this.#finish()
      this.#handOver(this.#accepted, open => this.#handlers.onPlainHttp(open))
    } else {
      const hello = first === 'unknown' ? null : first
      this.#secureWith(this.#listener.listenerFor(hello?.serverName ?? null).prepare(hello, this.#epochMs()))
    }
  }

  #secureWith(prepared: Prepared): void {
    const { context, alpn } = prepared
    const options = { isServer: true, secureContext: context, ...(alpn === null ? {} : { ALPNProtocols: [alpn] }) }
    const secure = new TLSSocket(this.#accepted, options)
    this.#secure = secure
    secure.on('error', this.#onError).on('end', this.#onEnd).on('close', this.#onEnd)
    // Without a tls.Server the socket keeps what breaks it later, such as a bad record, to itself.
    secure.on('_tlsError', (error: Error) => {
      if (!secure.destroyed) secure.destroy(error)
    })
    secure.once('secure', () => {
      if (this.#isOver) return
      const session = this.#describe(secure, prepared)
      this.#finish()
      this.#handOver(secure, open => this.#handlers.onSecure(session, open))
    })
  }

  #describe(secure: TLSSocket, { hello, choice, alpn, groups }: Prepared): TlsSession {
    const protocol = secure.getProtocol() as TlsProtocol
    const cipher = secure.getCipher().name
    return {
      protocol,
      cipher,
      serverName: choice.isMatch ? (hello?.serverName ?? null) : null,
      certificateArn: secure.isSessionReused() ? null : servedCertificate(secure, choice).arn,
      alpnProtocol: alpn,
      keyExchange: hello === null ? null : keyExchangeGroup(hello, groups, protocol, cipher),
      handshakeMs: this.#net.clock.now() - this.#beganMs,
    }
  }

  #handOver(socket: Socket, tell: (open: OpenSocket) => void): void {
    let isOpened = false
    tell(read => {
      isOpened = true
      return readByEvents(socket, read)
    })
    if (!isOpened) socket.destroy()
  }

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    this.#fail(tlsFailure(error.code ?? 'UNKNOWN'))
  }

  readonly #onEnd = (): void => {
    this.#fail({ reason: 'closed' })
  }

  #fail(failure: TlsFailure): void {
    if (this.#isOver) return
    this.#finish()
    this.#destroy()
    this.#handlers.onFailed(failure)
  }

  #finish(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#net.wheel.forget(this, this.#wheelSlot)
    this.#first = Buffer.alloc(0)
    for (const socket of [this.#accepted, this.#secure]) {
      // The listener for errors stays: nobody else may be listening, and an error is then fatal to the process.
      socket?.off('end', this.#onEnd).off('close', this.#onEnd)
    }
  }

  #destroy(): void {
    const socket = this.#secure ?? this.#accepted
    socket.destroy()
  }

  #epochMs(): number {
    return this.#net.clock.originMs + this.#net.clock.now()
  }
}

function servedCertificate(secure: TLSSocket, { certificates }: Choice): ServerCertificate {
  const [first, second] = certificates
  if (second === undefined) return first
  const fingerprint = secure.getX509Certificate()?.fingerprint256
  return fingerprint === second.fingerprint ? second : first
}
