/**
 * Feeds bytes to the codec, cut wherever the caller says, and writes down what it reports. Bytes arrive the way sockets
 * bring them, in one buffer that the next piece overwrites, so the codec must have copied what it keeps.
 *
 * A chunked body is read twice at once, with and without its framing. `body` is the data; `kept` is what a chunked
 * receiver would be sent, and is left out where that is what came.
 */

import assert from 'node:assert/strict'
import {
  BodyKind,
  BodyReader,
  type Head,
  RequestHead,
  ResponseHead,
  readRequestMeaning,
  readResponseMeaning,
} from '../../src/http/h1.ts'
import { desyncReason } from '../../src/model/desync.ts'
import { forwardedHead } from './forwarded.ts'
import { escapeBytes } from './transcript.ts'

export type Side = 'request' | 'response'

export type ReplayOptions = {
  /** Positions before which the bytes are cut, ascending. */
  readonly cuts?: readonly number[]
  readonly answersHead?: boolean
}

/**
 * @returns the events, and all fields of every head under it
 * @throws when the codec breaks its own promises: no progress, a position out of bounds, spans that overlap
 */
export function replay(side: Side, bytes: Buffer, options: ReplayOptions = {}): string[] {
  return new Replay(side, options.answersHead ?? false).run(bytes, options.cuts ?? [])
}

/** May be used for one run after the other, as a connection uses its readers. */
export class Replay {
  readonly #head: RequestHead | ResponseHead
  readonly #answersHead: boolean
  readonly #data = new BodyReader()
  readonly #kept = new BodyReader()
  #arrived: Buffer = Buffer.alloc(0)
  #events: string[] = []
  #isInBody = false
  #isOver = false
  /** Offset of the message's first byte, and of its body's. */
  #messageAt = 0
  #bodyAt = 0
  #dataPieces: Buffer[] = []
  #keptPieces: Buffer[] = []
  #lastDataAt = 0

  constructor(side: Side, answersHead: boolean) {
    this.#head = side === 'request' ? new RequestHead() : new ResponseHead()
    this.#answersHead = answersHead
  }

  run(bytes: Buffer, cuts: readonly number[]): string[] {
    this.#events = []
    this.#isInBody = false
    this.#isOver = false
    this.#messageAt = 0
    this.#head.reset()
    let from = 0
    for (let i = 0; i <= cuts.length && !this.#isOver; i++) {
      const to = cuts[i] ?? bytes.length
      if (to > from) this.#arrive(bytes, from, to)
      from = to
    }
    if (this.#isInBody) this.#tellBody(bytes, bytes.length)
    if (!this.#isOver && (this.#isInBody || this.#head.hasBytes)) this.#events.push('more')
    return this.#events
  }

  /** Reads one piece, which stands somewhere in a buffer that is full of something else. */
  #arrive(bytes: Buffer, from: number, to: number): void {
    const margin = from % 3
    const size = to - from + 2 * margin
    if (this.#arrived.length < size) this.#arrived = Buffer.allocUnsafeSlow(Math.max(1024, size))
    const piece = this.#arrived.fill('\r\n', 0, size)
    bytes.copy(piece, margin, from, to)
    const offset = from - margin
    const end = margin + to - from
    let at = margin
    while (at < end && !this.#isOver) {
      const next = this.#isInBody
        ? this.#readBody(bytes, piece, at, end, offset)
        : this.#readHead(piece, at, end, offset)
      assert(next <= end, 'a position beyond the end')
      assert(next > at || this.#isOver, 'no progress')
      at = next
    }
    piece.fill(0xff, 0, size)
  }

  #readHead(piece: Buffer, at: number, end: number, offset: number): number {
    const head = this.#head
    const next = head.read(piece, at, end)
    if (head.fault !== null) {
      this.#fail(this.#messageAt + head.faultAt, head.fault, head.faultText)
      assert(this.#messageAt + head.faultAt < offset + end, 'a fault beyond the end')
    } else if (head.length > 0) {
      assert.equal(this.#messageAt + head.length, offset + next, 'a head ends where reading stopped')
      this.#tellHead()
      this.#bodyAt = this.#messageAt + head.length
      if (!this.#isOver) this.#startBody()
    } else assert.equal(next, end, 'an incomplete head takes all there is')
    return next
  }

  #tellHead(): void {
    const head = this.#head
    checkOffsets(head)
    const facts = head instanceof RequestHead ? requestFacts(head) : responseFacts(head, this.#answersHead)
    const last = this.#messageAt + head.length - 1
    this.#events.push(`@${last} head ${facts.join(' | ')}`)
    for (let i = 0; i < head.fieldCount; i++) {
      const value = escaped(head, head.valueFrom(i), head.valueTo(i))
      this.#events.push(`  ${escaped(head, head.nameFrom(i), head.nameTo(i))}:${value === '' ? '' : ` ${value}`}`)
    }
    if (head instanceof RequestHead)
      this.#events.push(`= ${forwardedHead(head, 'defensive').map(escapeText).join(' | ')}`)
    // Nothing follows a request of HTTP/0.9.
    if (head.isSimple) this.#isOver = true
    if (head instanceof ResponseHead && head.meaning.fault !== null) this.#fail(last, 'meaning', head.meaning.fault)
  }

  #startBody(): void {
    const { bodyKind, contentLength } = this.#head.meaning
    this.#data.start(bodyKind, contentLength, false)
    this.#kept.start(bodyKind, contentLength, true)
    this.#dataPieces = []
    this.#keptPieces = []
    this.#isInBody = bodyKind !== BodyKind.none
    assert.equal(this.#data.isDone, bodyKind === BodyKind.none, 'only no body is done at once')
    if (!this.#isInBody) this.#nextMessage(this.#bodyAt)
  }

  #readBody(bytes: Buffer, piece: Buffer, at: number, end: number, offset: number): number {
    const next = readSpans(this.#data, piece, at, end, (from, to) => {
      this.#dataPieces.push(Buffer.from(piece.subarray(from, to)))
      this.#lastDataAt = offset + to - 1
    })
    const keptNext = readSpans(this.#kept, piece, at, end, (from, to) => {
      this.#keptPieces.push(Buffer.from(piece.subarray(from, to)))
    })
    assert.equal(keptNext, next, 'both readers stop at the same place')
    assert.equal(this.#kept.fault, this.#data.fault, 'both readers find the same fault')
    assert.equal(this.#kept.isDone, this.#data.isDone, 'both readers end together')
    if (this.#data.fault !== null) {
      this.#tellBody(bytes, offset + next)
      this.#fail(offset + next, 'body', this.#data.fault)
    } else if (this.#data.isDone) {
      this.#tellBody(bytes, offset + next)
      this.#events.push(`@${offset + next - 1} end`)
      this.#nextMessage(offset + next)
    } else assert.equal(next, end, 'an incomplete body takes all there is')
    return next
  }

  /** @param to the end of what was read of it */
  #tellBody(bytes: Buffer, to: number): void {
    const data = Buffer.concat(this.#dataPieces)
    const kept = Buffer.concat(this.#keptPieces)
    if (data.length > 0) this.#events.push(`@${this.#lastDataAt} body ${escapeBytes(data)}`)
    if (!kept.equals(bytes.subarray(this.#bodyAt, to))) this.#events.push(`@${to - 1} kept ${escapeBytes(kept)}`)
  }

  #nextMessage(at: number): void {
    this.#isInBody = false
    this.#messageAt = at
    this.#head.reset()
  }

  #fail(at: number, what: string, why: string): void {
    this.#isOver = true
    this.#isInBody = false
    this.#events.push(`@${at} fault ${what} "${why}"`)
  }
}

/** Reads until the end, a fault or the end of the body. @returns the position after what was read */
function readSpans(
  reader: BodyReader,
  piece: Buffer,
  from: number,
  end: number,
  onSpan: (from: number, to: number) => void,
): number {
  let at = from
  while (at < end && !reader.isDone && reader.fault === null) {
    const next = reader.read(piece, at, end)
    assert(next > at || reader.fault !== null, 'no progress')
    assert(at <= reader.spanFrom && reader.spanFrom <= reader.spanTo && reader.spanTo <= next, 'a span out of bounds')
    if (reader.spanFrom < reader.spanTo) onSpan(reader.spanFrom, reader.spanTo)
    at = next
  }
  return at
}

function checkOffsets(head: Head): void {
  let at = 0
  for (let i = 0; i < head.fieldCount; i++) {
    assert(at <= head.nameFrom(i) && head.nameFrom(i) <= head.nameTo(i), 'names follow each other')
    assert(head.nameTo(i) <= head.valueFrom(i) && head.valueFrom(i) <= head.valueTo(i), 'a value follows its name')
    at = head.valueTo(i)
    if (head.isOdd) continue
    assert(head.nameFrom(i) < head.nameTo(i) && head.nameTo(i) < head.valueFrom(i), 'a colon follows a name')
    assert(head.valueTo(i) + 2 <= head.lineEnd(i), 'a line ends behind its value')
    assert.equal(head.text(head.lineEnd(i) - 2, head.lineEnd(i)), '\r\n', 'a line ends in CRLF')
    at = head.lineEnd(i)
  }
  assert(at <= head.length, 'fields end before the head does')
}

function requestFacts(head: RequestHead): string[] {
  readRequestMeaning(head)
  const { meaning } = head
  const method = head.text(head.methodFrom, head.methodTo)
  assert.equal(meaning.isGet, method === 'GET')
  assert.equal(meaning.isHead, method === 'HEAD')
  const version = head.isSimple ? 'HTTP/0.9' : `HTTP/1.${head.minorVersion}`
  const facts = [`${escapeText(method)} ${escaped(head, head.targetFrom, head.targetTo)} ${version}`]
  if (meaning.hostAt === -1) facts.push('no host')
  else facts.push(`host ${escaped(head, head.valueFrom(meaning.hostAt), head.valueTo(meaning.hostAt))}`.trimEnd())
  facts.push(...commonFacts(head))
  if (meaning.expectsContinue) facts.push('expects continue')
  if (meaning.isWebSocketUpgrade) facts.push('websocket')
  if (meaning.hasUnsupportedCoding) facts.push('unsupported coding')
  const { tier, reason } = desyncReason(meaning.desync)
  if (tier !== 'Compliant') facts.push(`${tier} ${reason}`)
  if (meaning.isUnreadable) facts.push('unreadable')
  return facts
}

function responseFacts(head: ResponseHead, answersHead: boolean): string[] {
  readResponseMeaning(head, answersHead)
  const { dateAt, contentTypeAt } = head.meaning
  const reason = escaped(head, head.reasonFrom, head.reasonTo)
  const facts = [`HTTP/1.${head.minorVersion} ${head.statusCode} ${reason}`.trimEnd()]
  if (head.meaning.fault !== null) return facts
  facts.push(...commonFacts(head))
  if (dateAt !== -1) facts.push(`date ${escaped(head, head.valueFrom(dateAt), head.valueTo(dateAt))}`)
  if (contentTypeAt !== -1) {
    facts.push(`type ${escaped(head, head.valueFrom(contentTypeAt), head.valueTo(contentTypeAt))}`)
  }
  return facts
}

function commonFacts(head: RequestHead | ResponseHead): string[] {
  const { meaning } = head
  const facts: string[] = []
  if (meaning.bodyKind === BodyKind.chunked) facts.push('chunked')
  if (meaning.bodyKind === BodyKind.untilClose) facts.push('until close')
  if (meaning.bodyKind === BodyKind.length) facts.push(`length ${meaning.contentLength}`)
  if (meaning.wantsClose) facts.push('close')
  if (meaning.wantsKeepAlive) facts.push('keep-alive')
  if (meaning.wantsUpgrade) facts.push('upgrade')
  if (meaning.nominated !== null) facts.push(`nominates ${meaning.nominated.join(', ')}`)
  if (!head.hasPlainNamesOnly) facts.push('odd names')
  return facts
}

function escapeText(text: string): string {
  return escapeBytes(Buffer.from(text, 'latin1'))
}

function escaped(head: Head, from: number, to: number): string {
  return escapeBytes(head.bytes.subarray(from, to))
}
