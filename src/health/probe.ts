/**
 * One health check of one target, over a connection of its own. Reports once what exactly happened; knows no
 * thresholds and no schedule. What is said and how the answer is read is in the dialogue of each protocol version.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
 */

import { connect, type Socket, type TcpNetConnectOpts } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Clock, Timer } from '../base/clock.ts'
import { type CodeRange, formatAddress, type ProtocolVersion } from '../model/resources.ts'
import type { TargetTls } from '../targets/target-tls.ts'
import type { Dialogue, Question } from './probe/dialogue.ts'
import { connectionFailure, type Failure, notHttp2, timedOut } from './probe/failures.ts'
import { Http1Dialogue } from './probe/http1.ts'
import { Http2Dialogue } from './probe/http2.ts'
import type { ProbeVerdict } from './state-machine.ts'

export type ProbeRequest = {
  readonly ip: string
  readonly port: number
  /** null for HTTP. */
  readonly tls: TargetTls | null
  readonly protocolVersion: ProtocolVersion
  readonly path: string
  /** For the whole health check, from the first packet until the answer can be judged. */
  readonly timeoutMs: number
  readonly matcher: readonly CodeRange[]
}

/** What a probe waits for, in this order: `tls` only where there is any. */
export type ProbeStage = 'connect' | 'tls' | 'firstByte' | 'response'

/** How a probe ended. */
export type ProbeEnding =
  /** The answer could be judged. */
  | 'answered'
  | 'timedOut'
  | 'refused'
  | 'unreachable'
  /** By a RST, and by a FIN. */
  | 'reset'
  | 'closed'
  /** The two could not agree, or the target refused. */
  | 'tlsFailed'
  | 'malformed'
  /** HTTP/1.1 was all that the target wanted to speak. */
  | 'notHttp2'
  /** We could not do it. */
  | 'internal'

export type ProbeOutcome = ProbeVerdict & {
  /** Wall time. */
  readonly startedAtMs: number
  /** Until it could be judged. */
  readonly latencyMs: number
  readonly ending: ProbeEnding
  /** The stage it ended in. */
  readonly stage: ProbeStage
  /** How long each stage lasted, the one it ended in included; null where it did not come so far. */
  readonly stageMs: Readonly<Record<ProbeStage, number | null>>
  /** What the target refused TLS with, as RFC 8446 calls it, such as `handshake_failure`. */
  readonly tlsAlert: string | null
  /** How the body of an answer that failed begins; '' where none came in time. */
  readonly bodyStart: string
  /** What happened, for a person. */
  readonly detail: string
}

export type StartProbe = (
  clock: Clock,
  request: ProbeRequest,
  onOutcome: (outcome: ProbeOutcome) => void,
) => RunningProbe

export type RunningProbe = {
  /** Ends it as timed out; without effect once it is over. */
  timeOut(): void
  /** Ends it without an outcome. */
  cancel(): void
}

/** Starts at once. `onOutcome` is called once, never before this returned, never after `cancel`. */
export const startProbe: StartProbe = (clock, request, onOutcome) => new Probe(clock, request, onOutcome)

/** What probes are read into. One buffer serves all: its bytes are taken before the callback returns. */
const readBuffer = Buffer.alloc(16 * 1024)

/**
 * Ours: how long the body of an answer that failed is waited for. It often says why, and many servers send it in a
 * packet of its own, right behind the head. The verdict does not depend on it.
 */
export const bodyMomentMs = 100

class Probe implements RunningProbe {
  readonly #clock: Clock
  readonly #request: ProbeRequest
  readonly #onOutcome: (outcome: ProbeOutcome) => void
  readonly #startedMs: number
  readonly #socket: Socket
  readonly #dialogue: Dialogue
  readonly #stageMs: Record<ProbeStage, number | null> = { connect: null, tls: null, firstByte: null, response: null }
  #timer: Timer
  #stage: ProbeStage = 'connect'
  #stageBeganMs: number
  #byteCount = 0
  #hasEnded = false
  #isOver = false

  constructor(clock: Clock, request: ProbeRequest, onOutcome: (outcome: ProbeOutcome) => void) {
    this.#clock = clock
    this.#request = request
    this.#onOutcome = onOutcome
    this.#startedMs = clock.now()
    this.#stageBeganMs = this.#startedMs
    this.#timer = clock.after(request.timeoutMs, () => this.timeOut())
    this.#dialogue = dialogueFor(request)
    this.#socket = this.#open()
  }

  timeOut(): void {
    this.#fail(timedOut(this.#timeoutText()))
  }

  cancel(): void {
    this.#end()
    this.#socket.destroy()
  }

  #end(): void {
    this.#isOver = true
    this.#timer.cancel()
  }

  #open(): Socket {
    const { ip, port, tls, protocolVersion } = this.#request
    const onread = { buffer: readBuffer, callback: (size: number) => this.#onBytes(size) }
    // A plain request is one write.
    const noDelay = tls !== null || protocolVersion !== 'HTTP1'
    const options = { host: ip, port, noDelay, onread }
    const socket = tls === null ? connect(options) : this.#openTls(options, tls)
    socket.once('connect', () => {
      if (tls === null) this.#begin()
      else this.#enter('tls')
    })
    socket.once('end', () => {
      this.#hasEnded = true
      // Within a handshake, an error follows that says so.
      if (this.#stage !== 'tls') this.#onBroken(null)
    })
    return socket.on('error', (error: NodeJS.ErrnoException) => this.#onError(error.code ?? error.name))
  }

  #openTls(options: TcpNetConnectOpts, tls: TargetTls): Socket {
    const isHttp2 = this.#request.protocolVersion !== 'HTTP1'
    const socket = connectTls({ ...options, ...tls, ...(isHttp2 ? { ALPNProtocols: ['h2'] } : {}) })
    return socket.once('secureConnect', () => {
      const chosen = socket.alpnProtocol || 'nothing'
      if (!isHttp2 || chosen === 'h2') this.#begin()
      else this.#fail(notHttp2(`in the TLS handshake (ALPN) it was offered h2 and chose ${chosen}`))
    })
  }

  #begin(): void {
    if (this.#isOver) return
    this.#enter('firstByte')
    this.#dialogue.begin(bytes => void this.#socket.write(bytes))
  }

  /** @returns false to read no further */
  #onBytes(size: number): boolean {
    if (this.#isOver) return false
    this.#byteCount += size
    if (this.#stage === 'firstByte') this.#enter('response')
    const dialogue = this.#dialogue
    const wasJudged = dialogue.judged !== null
    dialogue.read(readBuffer, size)
    if (dialogue.failure !== null) this.#fail(dialogue.failure)
    else if (dialogue.judged !== null) this.#onJudged(wasJudged)
    return !this.#isOver
  }

  #onJudged(wasJudged: boolean): void {
    if (!wasJudged) {
      this.#endStage()
      this.#timer.cancel()
      if (!this.#dialogue.isDone) this.#timer = this.#clock.after(bodyMomentMs, () => this.#finishAnswered())
    }
    if (this.#dialogue.isDone) this.#finishAnswered()
  }

  #onError(code: string): void {
    // What Node makes of a FIN within a handshake is a reset.
    this.#onBroken(this.#hasEnded && code === 'ECONNRESET' ? null : code)
  }

  /** @param code why it broke; null for a FIN */
  #onBroken(code: string | null): void {
    const { ip, port } = this.#request
    const where = { stage: this.#stage, address: formatAddress(ip, port), received: this.#received() }
    this.#fail(connectionFailure(code, where))
  }

  #enter(stage: ProbeStage): void {
    this.#endStage()
    this.#stage = stage
  }

  #endStage(): void {
    const now = this.#clock.now()
    this.#stageMs[this.#stage] = now - this.#stageBeganMs
    this.#stageBeganMs = now
  }

  /** However the connection ends behind an answer that was judged already, that answer counts. */
  #fail({ ending, logReason, tlsAlert, text }: Failure): void {
    if (this.#isOver) return
    if (this.#dialogue.judged !== null) {
      this.#finishAnswered()
      return
    }
    this.#endStage()
    this.#finish({ result: 'fail', statusCode: null, logReason }, ending, tlsAlert, text)
  }

  #finishAnswered(): void {
    const { verdict, text } = this.#dialogue.judged!
    this.#finish(verdict, 'answered', null, text)
  }

  #finish(verdict: ProbeVerdict, ending: ProbeEnding, tlsAlert: string | null, detail: string): void {
    this.#end()
    // A TLS target that answered is told in TLS that this is the end (RFC 8446, section 6.1).
    if (ending === 'answered' && this.#request.tls !== null) this.#socket.destroySoon()
    else this.#socket.destroy()
    this.#onOutcome({
      ...verdict,
      startedAtMs: this.#clock.originMs + this.#startedMs,
      latencyMs: this.#stageBeganMs - this.#startedMs,
      ending,
      stage: this.#stage,
      stageMs: this.#stageMs,
      tlsAlert,
      bodyStart: this.#dialogue.bodyStart,
      detail,
    })
  }

  #timeoutText(): string {
    const timeout = `${this.#request.timeoutMs / 1000} s`
    const took = (stage: ProbeStage) => `${Math.round(this.#stageMs[stage] ?? 0)} ms`
    const connected = `connected after ${took('connect')}`
    const secured = this.#request.tls === null ? connected : `${connected}, TLS after ${took('tls')} more`
    switch (this.#stage) {
      case 'connect':
        return `no connection within ${timeout}: neither accepted nor refused`
      case 'tls':
        return `no complete TLS handshake within ${timeout}: ${connected}`
      case 'firstByte':
        return `no answer within ${timeout}: ${secured}, ${this.#received()}`
      case 'response':
        return `no ${this.#dialogue.awaited} within ${timeout}: ${secured}, ${this.#received()}`
    }
  }

  #received(): string {
    if (this.#byteCount === 0) return 'no bytes came'
    return this.#byteCount === 1 ? '1 byte came' : `${this.#byteCount} bytes came`
  }
}

function dialogueFor({ ip, port, tls, protocolVersion, path, matcher }: ProbeRequest): Dialogue {
  const isSecure = tls !== null
  const authority = probeAuthority(ip, port, isSecure)
  const question: Question = { scheme: isSecure ? 'https' : 'http', authority, path, matcher }
  return protocolVersion === 'HTTP1'
    ? new Http1Dialogue(question)
    : new Http2Dialogue(question, protocolVersion === 'GRPC')
}

/**
 * How a Host header names the target. That 443 is left out for HTTPS, as 80 is for HTTP, and that an IPv6 address has
 * brackets, is assumed.
 */
export function probeAuthority(ip: string, port: number, isSecure: boolean): string {
  const address = formatAddress(ip, port)
  return port === (isSecure ? 443 : 80) ? address.slice(0, address.lastIndexOf(':')) : address
}
