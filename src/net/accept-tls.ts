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
import { lingerMs } from '../model/limits.ts'
import type { ListenerTls, MutualAuthentication } from '../model/resources.ts'
import { findSslPolicy, type SslPolicy, type TlsProtocol } from '../model/ssl-policies.ts'
import { readByEvents } from './accept.ts'
import type { NetContext, SocketRead } from './connection.ts'
import { refusal, trafficSecretIn } from './tls/alert.ts'
import { CertificateChoice, type Choice, ServerCertificate } from './tls/certificate-choice.ts'
import { ClientAuthentication, type Judgement } from './tls/client-authentication.ts'
import type { ClientCertificate } from './tls/client-certificate.ts'
import { type ClientHello, readFirstBytes } from './tls/client-hello.ts'
import {
  type CertificateFault,
  failureWithCertificate,
  type SocketError,
  type TlsFailure,
  tlsFailure,
} from './tls/failure.ts'

import { keyExchangeGroup } from './tls/key-exchange.ts'
import { type PolicyOptions, policyOptions } from './tls/policy-options.ts'

export type { CertificateDetails, ClientCertificate } from './tls/client-certificate.ts'
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
  /** Null where none was asked for, or the client had none. */
  readonly clientCertificate: ClientCertificate | null
}

/** What `Connection` is opened with. It must be used at once, or the socket is closed. */
export type OpenSocket = (read: SocketRead) => Socket

/** Exactly one of them is called, once; none after `close`. */
export type TlsHandlers = {
  onSecure(session: TlsSession, open: OpenSocket): void
  /** The client speaks HTTP, in the clear: the connection is as it was accepted, nothing has been consumed or sent. */
  onPlainHttp(open: OpenSocket): void
  /**
   * The socket is closed, or will be when the client has had time to read why.
   *
   * @param session what was agreed on, where it came so far
   */
  onFailed(failure: TlsFailure, session: TlsSession | null): void
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
  /** Whether clients are asked for certificates, and what for. */
  readonly mode: MutualAuthentication['mode']
  /** Null where they are not. */
  readonly #clients: ClientAuthentication | null

  /**
   * Throws what the library says of a certificate or key that it refuses.
   *
   * @param ticketKeys 48 bytes: sessions begun with the same ones are resumed, if policy and certificates are the same
   * @param epochMs wall time; what is made for certificates that are chosen then need not be made later
   * @param alpnProtocols offered to clients, the preferred one first
   */
  constructor(
    tls: ListenerTls,
    ticketKeys: Uint8Array,
    epochMs: number,
    alpnProtocols: readonly string[] = ['http/1.1'],
  ) {
    assert(ticketKeys.length === 48, 'ticket keys have 48 bytes')
    const policy = policyNamed(tls.sslPolicy)
    const { mutualAuthentication } = tls
    this.#policy = policyOptions(policy, mutualAuthentication.mode !== 'off')
    this.mode = mutualAuthentication.mode
    this.#clients =
      mutualAuthentication.mode === 'off' ? null : new ClientAuthentication(mutualAuthentication, policy.kind)
    this.#ticketKeys = ticketKeys
    this.#alpnProtocols = alpnProtocols
    this.#sessionIdContext = identityOf(tls)
    this.#choice = new CertificateChoice(tls.certificates.map(certificate => new ServerCertificate(certificate)))
    // All that are needed now are made now: it takes a while, and is when a bad certificate is noticed.
    this.#contextOf(this.#choice.choose(null, epochMs))
    for (const name of this.#choice.names) this.#contextOf(this.#choice.choose(name, epochMs))
  }

  /** By itself, a listener is there for all names. */
  listenerFor(): TlsListener {
    return this
  }

  prepare(hello: ClientHello | null, epochMs: number): Prepared {
    const choice = this.#choice.choose(hello?.serverName ?? null, epochMs)
    const alpn = this.#alpnProtocols.find(protocol => hello?.alpnProtocols.includes(protocol)) ?? null
    const { groups } = this.#policy
    return { hello, choice, alpn, context: this.#contextOf(choice), groups, clients: this.#clients }
  }

  #contextOf({ certificates }: Choice): SecureContext {
    const id = certificates.map(certificate => certificate.fingerprint).join(' ')
    const known = this.#contexts.get(id)
    if (known !== undefined) return known
    const { SSL_OP_NO_RENEGOTIATION, SSL_OP_NO_TICKET } = constants
    const advertised = this.#clients?.advertised ?? null
    const context = createSecureContext({
      ...this.#policy.context,
      cert: certificates.map(each => each.certificate),
      key: certificates.map(each => each.privateKey),
      honorCipherOrder: true,
      // Where clients show certificates, no session is resumed, wherever it began (documented).
      secureOptions: this.#clients === null ? SSL_OP_NO_RENEGOTIATION : SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET,
      ticketKeys: Buffer.from(this.#ticketKeys),
      sessionIdContext: this.#sessionIdContext,
      ...(advertised && { ca: [...advertised] }),
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
  readonly clients: ClientAuthentication | null
}

/** All workers share ticket keys, and all listeners do; yet a session is good only where it would be begun likewise. */
function identityOf(tls: ListenerTls): string {
  const hash = createHash('sha256').update(tls.sslPolicy)
  for (const certificate of tls.certificates) hash.update(certificate.certificate)
  return hash.digest('hex').slice(0, 32)
}

const notAsked: Judgement = { certificate: null, fault: null }

/** One handshake, from the accepted socket to a secure one or none. */
export class TlsHandshake implements Watched {
  readonly #net: NetContext
  readonly #accepted: Socket
  readonly #listener: TlsListenerChoice
  readonly #handlers: TlsHandlers
  #deadlineMs: number
  readonly #wheelSlot: number
  /** What the client sent, until it is a message. */
  #first: Buffer = Buffer.alloc(0)
  #beganMs = -1
  #secure: TLSSocket | null = null
  /** What TLS 1.3 encrypts with from here on; kept where it may come to an alert of ours. */
  #trafficSecret: Buffer | null = null
  /** The client is asked for a certificate, which may be what the library stumbles over. */
  #isAsking = false
  /** The client was told that its certificate is not good, and the handlers were, too. */
  #isRefused = false
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
    const { context, alpn, clients } = prepared
    const secure = new TLSSocket(this.#accepted, {
      isServer: true,
      secureContext: context,
      // Whoever has no certificate is refused here, like whoever has a bad one.
      requestCert: clients !== null,
      rejectUnauthorized: false,
      ...(alpn === null ? {} : { ALPNProtocols: [alpn] }),
    })
    this.#secure = secure
    this.#isAsking = clients !== null
    secure.on('error', this.#onError).on('end', this.#onEnd).on('close', this.#onEnd)
    // Without a tls.Server the socket keeps what breaks it later, such as a bad record, to itself.
    secure.on('_tlsError', (error: Error) => {
      if (!secure.destroyed) secure.destroy(error)
    })
    if (clients !== null) secure.on('keylog', this.#onKeylog)
    secure.once('secure', () => {
      if (!this.#isOver) this.#onSecure(secure, prepared)
    })
  }

  readonly #onKeylog = (line: Buffer): void => {
    this.#trafficSecret ??= trafficSecretIn(line)
  }

  #onSecure(secure: TLSSocket, prepared: Prepared): void {
    const { certificate, fault } = prepared.clients?.judge(secure, this.#epochMs()) ?? notAsked
    const session = this.#describe(secure, prepared, certificate)
    if (fault === null) {
      this.#finish()
      this.#handOver(secure, open => this.#handlers.onSecure(session, open))
    } else this.#refuse(secure, session, fault)
  }

  /**
   * The library, which is in the middle of its handshake as it calls, has not sent its last message yet. It cannot any
   * more behind the alert and the end of the stream; were it to change its mind about that order, a client would get a
   * record that it cannot decipher and fail all the same.
   */
  #refuse(secure: TLSSocket, session: TlsSession, fault: CertificateFault): void {
    const { protocol, cipher } = session
    this.#isRefused = true
    this.#deadlineMs = this.#net.clock.now() + lingerMs
    this.#accepted.end(refusal(fault, { protocol, cipher, trafficSecret: this.#trafficSecret }))
    // To close with something unread would reset the connection, and the client might never see the alert.
    secure.resume()
    this.#handlers.onFailed({ reason: 'clientCertificate', fault }, session)
  }

  #describe(secure: TLSSocket, prepared: Prepared, clientCertificate: ClientCertificate | null): TlsSession {
    const { hello, choice, alpn, groups } = prepared
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
      clientCertificate,
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

  readonly #onError = (error: SocketError): void => {
    this.#fail(this.#isAsking ? failureWithCertificate(error) : tlsFailure(error))
  }

  readonly #onEnd = (): void => {
    this.#fail({ reason: 'closed' })
  }

  #fail(failure: TlsFailure): void {
    if (this.#isOver) return
    this.#finish()
    this.#destroy()
    if (!this.#isRefused) this.#handlers.onFailed(failure, null)
  }

  #finish(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#net.wheel.forget(this, this.#wheelSlot)
    this.#first = Buffer.alloc(0)
    this.#secure?.off('keylog', this.#onKeylog)
    this.#trafficSecret = null
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
