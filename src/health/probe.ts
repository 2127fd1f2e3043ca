/**
 * One health check of one target over HTTP/1.1: a connection of its own, a GET, the head of the answer. Reports once
 * what exactly happened; knows no thresholds and no schedule.
 *
 * Documented: GET, CRLF line ends, the User-Agent, the target's address as Host, the connection closed afterwards.
 * From field reports or assumed: the order of the fields, `Connection` and `Accept-Encoding` and their values, the
 * port left out of Host when it is 80, brackets around an IPv6 address; redirects are not followed.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
 */

import { connect, type Socket } from 'node:net'
import type { Clock, Timer } from '../base/clock.ts'
import { formatAddress, type StatusRange } from '../model/resources.ts'
import { ResponseHead } from './probe/response-head.ts'
import type { ProbeVerdict } from './state-machine.ts'

export const probeUserAgent = 'ELB-HealthChecker/2.0'
export const probeAcceptEncoding = 'gzip, compressed'
/** The port that a Host header leaves out. */
const defaultPort = 80

export type ProbeRequest = {
  readonly ip: string
  readonly port: number
  readonly path: string
  /** For the whole health check, from the first packet to the end of the response head. */
  readonly timeoutMs: number
  readonly matcher: readonly StatusRange[]
}

export type ProbeOutcome = ProbeVerdict & {
  /** Wall time. */
  readonly startedAtMs: number
  readonly latencyMs: number
  /** What happened, for a person. */
  readonly detail: string
}

/** What probes are read into. One buffer serves all: its bytes are taken before the callback returns. */
const readBuffer = Buffer.alloc(16 * 1024)

/** The request's bytes, all of them ASCII. */
export function probeRequestBytes(ip: string, port: number, path: string): string {
  const address = formatAddress(ip, port)
  const host = port === defaultPort ? address.slice(0, address.lastIndexOf(':')) : address
  return (
    `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n` +
    `User-Agent: ${probeUserAgent}\r\nAccept-Encoding: ${probeAcceptEncoding}\r\n\r\n`
  )
}

export class Probe {
  readonly #clock: Clock
  readonly #request: ProbeRequest
  readonly #onOutcome: (outcome: ProbeOutcome) => void
  readonly #startedMs: number
  readonly #timer: Timer
  readonly #socket: Socket
  readonly #head = new ResponseHead()
  #connectedMs = -1
  #isOver = false

  /** Starts at once. `onOutcome` is called once, never before the constructor returns, never after `cancel`. */
  constructor(clock: Clock, request: ProbeRequest, onOutcome: (outcome: ProbeOutcome) => void) {
    this.#clock = clock
    this.#request = request
    this.#onOutcome = onOutcome
    this.#startedMs = clock.now()
    this.#timer = clock.after(request.timeoutMs, () => this.timeOut())
    const { ip, port, path } = request
    const onread = { buffer: readBuffer, callback: (length: number) => this.#onBytes(length) }
    this.#socket = connect({ host: ip, port, onread })
      .on('connect', () => this.#onConnect())
      .on('end', () => this.#onEnd())
      .on('error', (error: NodeJS.ErrnoException) => this.#onError(error.code ?? error.name))
    this.#socket.write(probeRequestBytes(ip, port, path), 'latin1')
  }

  /** Ends it as timed out; without effect once it is over. */
  timeOut(): void {
    this.#finish({ result: 'fail', statusCode: null, logReason: 'TimedOut' }, this.#describeTimeout())
  }

  /** Ends it without an outcome. */
  cancel(): void {
    this.#isOver = true
    this.#timer.cancel()
    this.#socket.destroy()
  }

  #onConnect(): void {
    this.#connectedMs = this.#clock.now()
  }

  /** @returns false to read no further */
  #onBytes(length: number): boolean {
    if (this.#isOver) return false
    const head = this.#head
    head.feed(readBuffer.toString('latin1', 0, length))
    if (head.problem !== null) this.#fail(`malformed response head: ${head.problem}`)
    else if (head.isComplete) this.#judge(head.statusCode)
    return !this.#isOver
  }

  #judge(statusCode: number): void {
    const { matcher } = this.#request
    if (matcher.some(range => statusCode >= range.from && statusCode <= range.to)) {
      this.#finish({ result: 'pass', statusCode, logReason: null }, `answered ${statusCode}`)
      return
    }
    const logReason = statusCode >= 500 && statusCode <= 599 ? 'TargetError' : 'ResponseCodeMismatch'
    const detail = `answered ${statusCode}, expected ${formatMatcher(matcher)}`
    this.#finish({ result: 'fail', statusCode, logReason }, detail)
  }

  #onEnd(): void {
    this.#fail(`closed before a complete response head: ${this.#describeBytes()}`)
  }

  #onError(code: string): void {
    const { ip, port } = this.#request
    switch (code) {
      case 'ECONNREFUSED':
        this.#fail(`connection refused: nothing listens on ${formatAddress(ip, port)}`)
        break
      case 'ECONNRESET':
      case 'ECONNABORTED':
      case 'EPIPE':
        this.#fail(`connection reset before a complete response head: ${this.#describeBytes()}`)
        break
      case 'EHOSTUNREACH':
      case 'EHOSTDOWN':
      case 'ENETUNREACH':
      case 'ENETDOWN':
        this.#fail(`the network said that ${ip} cannot be reached (${code})`)
        break
      case 'ETIMEDOUT': // The kernel lost patience before we did.
        this.timeOut()
        break
      default: // Out of ports, descriptors or memory, or something that we do not understand: ours, not the target's.
        this.#finish(
          { result: 'fail', statusCode: null, logReason: 'InternalError' },
          `the operating system could not carry the connection (${code})`,
        )
    }
  }

  /** No valid response. The log has no reason for refused and malformed, so they share the nearest one (assumed). */
  #fail(detail: string): void {
    this.#finish({ result: 'fail', statusCode: null, logReason: 'ConnectionReset' }, detail)
  }

  #finish(verdict: ProbeVerdict, detail: string): void {
    if (this.#isOver) return
    this.cancel()
    const startedAtMs = this.#clock.originMs + this.#startedMs
    this.#onOutcome({ ...verdict, startedAtMs, latencyMs: this.#clock.now() - this.#startedMs, detail })
  }

  #describeTimeout(): string {
    const timeout = `${this.#request.timeoutMs / 1000} s`
    if (this.#connectedMs === -1) return `no connection within ${timeout}: neither accepted nor refused`
    const connected = `connected after ${Math.round(this.#connectedMs - this.#startedMs)} ms`
    const what = this.#head.byteCount === 0 ? 'answer' : 'complete response head'
    return `no ${what} within ${timeout}: ${connected}, ${this.#describeBytes()}`
  }

  #describeBytes(): string {
    const count = this.#head.byteCount
    if (count === 0) return 'no bytes came'
    return count === 1 ? '1 byte came' : `${count} bytes came`
  }
}

function formatMatcher(matcher: readonly StatusRange[]): string {
  return matcher.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(',')
}
