/**
 * A health check in HTTP/1.1: a GET, and the head of what is answered, read as strictly as the answers to clients are.
 *
 * Documented: GET, CRLF line ends, the User-Agent, the target's address as Host, the connection closed afterwards.
 * From field reports or assumed: the order of the fields, `Connection` and `Accept-Encoding` and their values;
 * redirects are not followed, and the body has no say.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
 */

import { BodyKind, BodyReader, ResponseHead, readResponseMeaning } from '../../http/h1.ts'
import { responseHeadBytesMax } from '../../model/limits.ts'
import { BodyStart, type Dialogue, probeAcceptEncoding, probeUserAgent, type Question } from './dialogue.ts'
import { type Failure, malformed } from './failures.ts'
import { type Judged, judgeStatus } from './judge.ts'

/** Most heads come in one piece: they are all read with this one. What must wait for more takes it along. */
let sharedHead = new ResponseHead()

export class Http1Dialogue implements Dialogue {
  judged: Judged | null = null
  failure: Failure | null = null
  isDone = false
  readonly awaited = 'complete response head'
  readonly #question: Question
  /** Of a head that has begun and is not complete. */
  #head: ResponseHead | null = null
  #interimBytes = 0
  /** Of an answer that failed. */
  #body: BodyReader | null = null
  #bodyStart: BodyStart | null = null

  constructor(question: Question) {
    this.#question = question
  }

  get bodyStart(): string {
    return this.#bodyStart?.text ?? ''
  }

  begin(send: (bytes: string) => void): void {
    const { authority, path } = this.#question
    send(
      `GET ${path} HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\n` +
        `User-Agent: ${probeUserAgent}\r\nAccept-Encoding: ${probeAcceptEncoding}\r\n\r\n`,
    )
  }

  read(bytes: Buffer, size: number): void {
    const at = this.judged === null ? this.#readHead(bytes, size) : 0
    if (this.#body !== null) this.#readBody(this.#body, bytes, at, size)
  }

  /** Interim responses announce another head; a 101 is the last one of its connection that is HTTP. */
  #readHead(bytes: Buffer, size: number): number {
    let at = 0
    while (at < size && this.judged === null && this.failure === null) {
      const head = this.#head ?? sharedHead
      if (this.#head === null) head.reset()
      at = head.read(bytes, at, size)
      if (head.fault !== null) this.failure = malformed(head.faultText)
      else if (head.length === 0) this.#keep(head)
      else if (head.statusCode >= 200 || head.statusCode === 101) this.#judge(head)
      else this.#passOver(head)
    }
    return at
  }

  #keep(head: ResponseHead): void {
    if (this.#head === null) sharedHead = new ResponseHead()
    this.#head = head
  }

  #passOver(interim: ResponseHead): void {
    this.#interimBytes += interim.length
    if (this.#interimBytes > responseHeadBytesMax) this.failure = malformed('too many interim responses')
    this.#head = null
  }

  #judge(head: ResponseHead): void {
    readResponseMeaning(head, false)
    const { fault, bodyKind, contentLength } = head.meaning
    if (fault !== null) {
      this.failure = malformed(fault)
      return
    }
    this.judged = judgeStatus(head.statusCode, this.#question.matcher)
    this.isDone = this.judged.verdict.result === 'pass' || bodyKind === BodyKind.none
    if (this.isDone) return
    this.#body = new BodyReader()
    this.#body.start(bodyKind, contentLength, false)
    this.#bodyStart = new BodyStart()
  }

  #readBody(body: BodyReader, bytes: Buffer, from: number, to: number): void {
    const start = this.#bodyStart
    let at = from
    while (start !== null && at < to && !this.isDone) {
      at = body.read(bytes, at, to)
      start.add(bytes, body.spanFrom, body.spanTo)
      this.isDone = body.isDone || body.fault !== null || start.isFull
    }
  }
}
