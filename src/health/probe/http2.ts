/**
 * A health check in HTTP/2: a GET, judged by its status; in gRPC groups a call with an empty message, judged by
 * `grpc-status`, whether that comes in trailers or in the only head.
 *
 * Documented: which of the two is used for which group, the User-Agent, and that gRPC is judged by its status. The
 * fields and their order, and the empty message, are assumed; so is that an answer which is no 200 in HTTP is judged
 * by that.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */

import {
  type FieldBlock,
  type H2Bounds,
  H2Error,
  type H2Handler,
  H2Session,
  type H2Stream,
  StaticName,
  writeFieldText,
  writeKnownText,
  writeMethod,
  writePath,
  writeScheme,
} from '../../http/h2.ts'
import { headerFieldsMax, responseHeadBytesMax } from '../../model/limits.ts'
import { BodyStart, type Dialogue, probeAcceptEncoding, probeUserAgent, type Question } from './dialogue.ts'
import { type Failure, malformed, notHttp2, streamReset } from './failures.ts'
import { type Judged, judgeGrpc, judgeGrpcStatus, judgeStatus } from './judge.ts'

/** The least that the protocol allows: of an answer's body no more than a beginning is of interest. */
const windowBytes = 65_535

const bounds: H2Bounds = {
  streamsMax: 1,
  initialWindowBytes: windowBytes,
  connectionWindowBytes: windowBytes,
  headerListBytesMax: responseHeadBytesMax,
  fieldBytesMax: responseHeadBytesMax,
  fieldsMax: headerFieldsMax,
  headerBlockBytesMax: responseHeadBytesMax,
  outBytesMax: 16 * 1024,
}

const get = Buffer.from('GET')
const post = Buffer.from('POST')
/** Not compressed, of length 0. */
const emptyMessage = Buffer.alloc(5)
/** What a target says that speaks HTTP/1.1 only. */
const http1Answer = Buffer.from('HTTP/1.')

export class Http2Dialogue implements Dialogue, H2Handler<null> {
  judged: Judged | null = null
  failure: Failure | null = null
  isDone = false
  readonly awaited: string
  readonly #question: Question
  readonly #isGrpc: boolean
  readonly #session: H2Session<null>
  #send: (bytes: Uint8Array) => void = () => {}
  #hasRead = false
  #bodyStart: BodyStart | null = null

  constructor(question: Question, isGrpc: boolean) {
    this.#question = question
    this.#isGrpc = isGrpc
    this.awaited = isGrpc ? 'grpc-status' : 'complete response head'
    this.#session = new H2Session('client', this, bounds)
  }

  get bodyStart(): string {
    return this.#bodyStart?.text ?? ''
  }

  begin(send: (bytes: Uint8Array) => void): void {
    this.#send = send
    const session = this.#session
    session.begin()
    const stream = session.openStream()!
    const { scheme, authority, path } = this.#question
    const out = session.beginHead()
    const method = this.#isGrpc ? post : get
    const pathBytes = Buffer.from(path, 'latin1')
    writeMethod(out, method, 0, method.length)
    writeScheme(out, scheme)
    writeKnownText(out, StaticName.authority, authority)
    writePath(out, pathBytes, 0, pathBytes.length)
    if (this.#isGrpc) {
      writeKnownText(out, StaticName.contentType, 'application/grpc')
      writeFieldText(out, 'te', 'trailers')
    }
    writeFieldText(out, 'user-agent', probeUserAgent)
    if (!this.#isGrpc) writeFieldText(out, 'accept-encoding', probeAcceptEncoding)
    session.endHead(stream, !this.#isGrpc)
    if (this.#isGrpc) session.sendData(stream, emptyMessage, 0, emptyMessage.length, true)
    this.#flush()
  }

  read(bytes: Buffer, size: number): void {
    if (!this.#hasRead && bytes.subarray(0, Math.min(size, http1Answer.length)).equals(http1Answer)) {
      this.failure = notHttp2('what it answers is HTTP/1.1')
      return
    }
    this.#hasRead = true
    this.#session.read(bytes, 0, size, 0)
    this.#flush()
  }

  #flush(): void {
    const session = this.#session
    while (session.out.length > 0) {
      this.#send(Buffer.from(session.out.bytes.subarray(0, session.out.length)))
      session.out.length = 0
      session.isBlocked = false
    }
  }

  #judge(judged: Judged, isEnd: boolean): void {
    this.judged = judged
    this.isDone = isEnd || judged.verdict.result === 'pass'
    if (!this.isDone) this.#bodyStart = new BodyStart()
  }

  /** What a call failed of is told in a field, where others have a page. */
  #judgeGrpc(fields: FieldBlock): void {
    this.#judge(judgeGrpcStatus(valueNamed(fields, 'grpc-status'), this.#question.matcher), true)
    const message = valueNamed(fields, 'grpc-message')
    if (message === null || this.judged?.verdict.result === 'pass') return
    this.#bodyStart = new BodyStart()
    this.#bodyStart.add(Buffer.from(message, 'latin1'), 0, message.length)
  }

  // What the session tells.

  onOutput(): void {} // Whatever makes output here flushes it.

  onHead(_stream: H2Stream<null>, fields: FieldBlock, isEnd: boolean): void {
    if (fields.fault !== null) {
      this.failure = malformed(fields.faultText)
      return
    }
    const status = Number(textOf(fields, fields.pseudo(':status')))
    if (status < 200) return
    const { matcher } = this.#question
    if (!this.#isGrpc) this.#judge(judgeStatus(status, matcher), isEnd)
    else if (status !== 200) this.#judge(judgeGrpc(status, matcher), isEnd)
    else if (isEnd) this.#judgeGrpc(fields)
  }

  onTrailers(_stream: H2Stream<null>, fields: FieldBlock): void {
    if (this.judged === null) this.#judgeGrpc(fields)
    this.isDone = true
  }

  onData(stream: H2Stream<null>, bytes: Buffer, from: number, to: number, isEnd: boolean): void {
    this.#session.consumed(stream, to - from)
    this.#bodyStart?.add(bytes, from, to)
    if (isEnd && this.judged === null) this.#judge(judgeGrpcStatus(null, this.#question.matcher), true)
    if (isEnd || this.#bodyStart?.isFull === true) this.isDone = true
  }

  onReset(stream: H2Stream<null>, code: number, byPeer: boolean): void {
    if (byPeer) this.failure ??= streamReset(nameOf(code))
    else if (stream.resetText !== '') this.failure ??= malformed(stream.resetText)
    // Otherwise the session has ended, and tells why behind this.
  }

  onStreamDrained(): void {} // Nothing waits: an empty message fits any window.

  onGoAway(): void {} // Where it concerns our stream, that is reset.

  onSessionError(_code: number, text: string): void {
    this.failure ??= malformed(text)
  }
}

function textOf(fields: FieldBlock, i: number): string {
  return fields.text(fields.valueFrom(i), fields.valueTo(i))
}

function valueNamed(fields: FieldBlock, name: string): string | null {
  for (let i = fields.pseudoCount; i < fields.count; i++) {
    if (fields.text(fields.nameFrom(i), fields.nameTo(i)) === name) return textOf(fields, i)
  }
  return null
}

/** As RFC 9113, section 7 writes it: `REFUSED_STREAM`. */
function nameOf(code: number): string {
  const name = Object.entries(H2Error).find(([, value]) => value === code)?.[0]
  return name?.replace(/[A-Z0-9]+/g, '_$&').toUpperCase() ?? `error ${code}`
}
