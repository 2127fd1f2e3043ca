/**
 * One HTTP/2 connection, in either role (RFC 9113): what each frame means for streams, windows and the connection. It
 * knows bytes and time, no sockets and no load balancer.
 *
 * Whatever a peer does is a value: a stream ends with `onReset`, the session with `onSessionError`. Nothing is held but
 * frames that are cut, header blocks that are not complete, and what the owner sent and the peer does not take.
 */

import { assert } from '../../base/assert.ts'
import type { ByteWriter } from '../../base/byte-writer.ts'
import { h2LeftStreamsMax } from '../../model/limits.ts'
import { BlockReader } from './block-reader.ts'
import { checkRequest, checkResponse, checkTrailers, lengthText } from './check-message.ts'
import { Closed, ClosedStreams } from './closed-streams.ts'
import { H2Error } from './errors.ts'
import { faultOfShape, type H2Fault, h2Faults } from './faults.ts'
import { FieldBlock } from './field-block.ts'
import { FieldDecoder } from './field-decoder.ts'
import { Found, FrameReader } from './frame-reader.ts'
import {
  defaultWindowBytes,
  Flag,
  FrameType,
  frameHeadBytes,
  framePayloadMax,
  maxFrameSizeMax,
  preface,
  readUint31,
  readUint32,
  Setting,
  windowBytesMax,
} from './frames.ts'
import type { H2Bounds, H2Handler } from './handler.ts'
import { Outbox } from './outbox.ts'
import { PeerAccount } from './peer-account.ts'
import { H2Stream } from './stream.ts'

/** One for all sessions of a thread: handlers do not keep it, and no session reads while another does. */
const fields = new FieldBlock()

export class H2Session<User> {
  /** Client role: how many streams the peer takes at once. Until it says so, as many as it should (RFC 9113, 6.5.2). */
  peerMaxConcurrentStreams = 100
  /** What the peer begins with has come: its bounds are known. */
  hasPeerSettings = false
  /** We have said that no more streams are taken, or the peer has. */
  isGoingAway = false
  /** Requests begun on this session. */
  streamsBegun = 0
  /** When HEADERS or DATA came last; frames that only concern the connection are no life. */
  lastActivity = 0
  /** Of the event that is being handled. `read` sets it; whoever acts on another event may set it first. */
  now = 0
  readonly #isServer: boolean
  readonly #handler: H2Handler<User>
  readonly #bounds: H2Bounds
  readonly #streams = new Map<number, H2Stream<User>>()
  /** Those whose client has its whole answer and has not ended its request, by when they were left. */
  readonly #left = new Map<number, H2Stream<User>>()
  readonly #closed = new ClosedStreams()
  readonly #frames = new FrameReader()
  readonly #decoder = new FieldDecoder()
  readonly #outbox: Outbox<User>
  readonly #account = new PeerAccount()
  #isOver = false
  #isAnnounced = false
  /** How much of the preface was read. */
  #prefaceAt: number
  #hasSettings = false
  /** Of the last stream that was begun, by whoever begins them here. */
  #lastStreamId: number
  /** Client role: the last that was opened. */
  #opened: H2Stream<User> | null = null
  /** Of the last that was not refused for going away. */
  #lastTakenId = 0
  /** What a stream may send at first, by the peer's settings. */
  #sendWindow = defaultWindowBytes
  #receiveWindow: number
  /** Consumed bytes of the connection that the peer has not been told of. */
  #credit = 0
  readonly #block: BlockReader
  /** Of the DATA frame that is being read; null: what comes of the payload is of no interest. */
  #dataStream: H2Stream<User> | null = null
  /** Data that is still to come, and padding before its length is known. */
  #dataLeft = 0
  #dataIsEnd = false
  #dataIsPadded = false

  constructor(role: 'server' | 'client', handler: H2Handler<User>, bounds: H2Bounds) {
    assert(bounds.initialWindowBytes >= defaultWindowBytes, 'windows can only be widened before the peer knows of them')
    assert(bounds.connectionWindowBytes >= defaultWindowBytes, 'the window of a connection can only be widened')
    this.#isServer = role === 'server'
    this.#handler = handler
    this.#bounds = bounds
    this.#outbox = new Outbox(bounds.outBytesMax)
    this.#block = new BlockReader(bounds.headerBlockBytesMax)
    this.#prefaceAt = this.#isServer ? 0 : preface.length
    this.#lastStreamId = this.#isServer ? 0 : -1
    this.#receiveWindow = bounds.connectionWindowBytes
  }

  /** Frames to be sent. The owner sends them and sets `length` to 0; it may put other memory in place of `bytes`. */
  get out(): ByteWriter {
    return this.#outbox.out
  }

  /** Open ones. */
  get streams(): ReadonlyMap<number, H2Stream<User>> {
    return this.#streams
  }

  /** The socket holds enough: DATA is queued instead of written. Setting it to false writes what waits, in turn. */
  get isBlocked(): boolean {
    return this.#outbox.isBlocked
  }
  set isBlocked(isBlocked: boolean) {
    this.#outbox.isBlocked = isBlocked
    if (isBlocked) return
    this.#account.repliesSent()
    this.#drain()
    this.#announce()
  }

  /** Writes what a connection begins with. */
  begin(): void {
    const { initialWindowBytes, connectionWindowBytes, streamsMax } = this.#bounds
    this.#prepare()
    if (!this.#isServer) {
      this.out.reserve(preface.length)
      this.out.copy(preface, 0, preface.length)
    }
    this.#outbox.writeSettings([
      this.#isServer ? [Setting.maxConcurrentStreams, streamsMax] : [Setting.enablePush, 0],
      [Setting.initialWindowSize, initialWindowBytes],
    ])
    const more = connectionWindowBytes - defaultWindowBytes
    if (more > 0) this.#outbox.writeWord(FrameType.windowUpdate, 0, more)
    this.#announce()
  }

  /** Client role: how many more may be opened now. None where the peer goes away or ids are used up. */
  get streamsLeft(): number {
    if (this.isGoingAway || this.#lastStreamId + 2 > windowBytesMax) return 0
    return Math.min(this.peerMaxConcurrentStreams, this.#bounds.streamsMax) - this.#streams.size
  }

  /** Client role. @returns null when no more may be opened */
  openStream(): H2Stream<User> | null {
    assert(!this.#isServer, 'only clients open streams')
    const opened = this.#opened
    assert(opened === null || opened.isHeadSent || opened.isClosed, 'a head is sent before another stream is opened')
    if (this.streamsLeft <= 0) return null
    this.#lastStreamId += 2
    this.#opened = this.#addStream(this.#lastStreamId)
    return this.#opened
  }

  #addStream(id: number): H2Stream<User> {
    const stream = new H2Stream<User>(id, this.#sendWindow, this.#bounds.initialWindowBytes)
    this.#streams.set(id, stream)
    this.streamsBegun++
    return stream
  }

  /** The caller writes the fields into what is returned, then calls `endHead`, with nothing else in between. */
  beginHead(): ByteWriter {
    assert(!this.#outbox.isWriting, 'one block of fields at a time')
    this.#prepare()
    return this.#outbox.beginBlock()
  }

  /** Sends them, as a head, or as trailers where they end a stream that has one; behind queued data if there is some. */
  endHead(stream: H2Stream<User>, isEnd: boolean): void {
    assert(!stream.isLocalEnded || stream.isClosed, 'nothing is sent on a stream after its end')
    this.#outbox.endBlock(stream, isEnd)
    this.#closeIfDone(stream)
    this.#announce()
  }

  /** Takes everything: what may not be written now is copied and queued, and the stream is congested. */
  sendData(stream: H2Stream<User>, bytes: Buffer, from: number, to: number, isEnd: boolean): void {
    if (stream.isClosed) return
    assert(!stream.isLocalEnded, 'nothing is sent on a stream after its end')
    assert(!this.#outbox.isWriting, 'nothing is written between the fields of a head')
    this.#prepare()
    this.#outbox.send(stream, bytes, from, to, isEnd)
    this.#closeIfDone(stream)
    this.#announce()
  }

  /** So many bytes of the stream's data have gone on: the peer may send as many more. */
  consumed(stream: H2Stream<User>, size: number): void {
    // What a stream had not consumed was given back when it closed.
    if (stream.isClosed) return
    assert(size <= stream.unconsumed, 'no more is consumed than came')
    this.#prepare()
    this.#consume(stream, size)
    this.#announce()
  }

  /**
   * RST_STREAM, unless both directions are over. Nothing more is told of the stream.
   *
   * Server role, `noError` behind a whole answer: the client is to stop (RFC 9113, section 8.1). It may first finish what is
   * on its way, by the rules; only if it goes on beyond that is it told.
   */
  reset(stream: H2Stream<User>, code: number): void {
    if (stream.isClosed || (stream.hasEnded && stream.isEndSent)) return
    this.#prepare()
    if (this.#isServer && stream.isEndSent && code === H2Error.noError) this.#leave(stream)
    else {
      // A stream that the peer does not know of yet needs no reset.
      if (this.#isServer || stream.isHeadSent) this.#outbox.writeWord(FrameType.rstStream, stream.id, code)
      this.#close(stream, Closed.byUs)
    }
    this.#announce()
  }

  #leave(stream: H2Stream<User>): void {
    const [longest] = this.#left.values()
    if (longest !== undefined && this.#left.size === h2LeftStreamsMax) this.#tellToStop(longest)
    this.#release(stream)
    this.#left.set(stream.id, stream)
    stream.isLeft = true
  }

  #tellToStop(stream: H2Stream<User>): void {
    this.#outbox.writeWord(FrameType.rstStream, stream.id, H2Error.noError)
    this.#close(stream, Closed.byUs)
  }

  /** GOAWAY: no streams are taken from now on; those open finish. */
  goAway(code: number): void {
    if (this.#isOver) return
    this.isGoingAway = true
    this.#prepare()
    this.#outbox.writeGoAway(this.#lastTakenId, code)
    this.#announce()
  }

  /** The connection is gone: every open stream is told with `onReset`. */
  close(code: number, now: number): void {
    this.now = now
    this.#isOver = true
    this.isGoingAway = true
    this.#tellAll(code)
  }

  /** @param now milliseconds of a clock that never goes back */
  read(bytes: Buffer, from: number, to: number, now: number): void {
    if (this.#isOver) return
    this.now = now
    const at = this.#prefaceAt < preface.length ? this.#readPreface(bytes, from, to) : from
    this.#readFrames(bytes, at, to)
    this.#drain()
    this.#announce()
  }

  #readPreface(bytes: Buffer, from: number, to: number): number {
    let at = from
    while (at < to && this.#prefaceAt < preface.length) {
      if (bytes[at++] === preface[this.#prefaceAt++]) continue
      this.#fail(h2Faults.preface)
      break
    }
    return at
  }

  #readFrames(bytes: Buffer, from: number, to: number): void {
    const frames = this.#frames
    let at = from
    while (!this.#isOver) {
      at = frames.read(bytes, at, to)
      if (frames.found === Found.nothing) return
      this.#prepare()
      const fault = this.#takeFound(frames)
      if (fault !== null) this.#fail(fault)
    }
  }

  #takeFound(frames: FrameReader): H2Fault | null {
    switch (frames.found) {
      case Found.head:
        return this.#onFrameHead(frames)
      case Found.piece:
        return this.#onDataPiece(frames)
      default:
        return this.#onFrame(frames)
    }
  }

  #onFrameHead(frames: FrameReader): H2Fault | null {
    const { length, type, flags, streamId } = frames
    const shapeFault = faultOfShape(type, flags, length, streamId)
    if (shapeFault !== null) return shapeFault
    const orderFault = this.#faultOfOrder(type, flags, streamId)
    if (orderFault !== null) return orderFault
    this.#account.receive(frameHeadBytes + length)
    if (this.#account.isFlood(this.#outbox.dataBytes)) return h2Faults.overhead
    if (type > FrameType.continuation) {
      // An extension, to be passed over (RFC 9113, section 5.5).
      this.#dataStream = null
      this.#dataIsPadded = false
      frames.pass()
      return null
    }
    if (type === FrameType.data) {
      frames.pass()
      return this.#beginData(frames)
    }
    frames.hold()
    return null
  }

  #faultOfOrder(type: number, flags: number, streamId: number): H2Fault | null {
    const isContinuation = type === FrameType.continuation
    if (this.#block.isOpen) {
      return isContinuation && streamId === this.#block.streamId ? null : h2Faults.interleaved
    }
    if (isContinuation) return h2Faults.continuation
    if (this.#hasSettings) return null
    if (type !== FrameType.settings || (flags & Flag.ack) !== 0) return h2Faults.settingsFirst
    this.#hasSettings = true
    return null
  }

  /** A frame that is whole. */
  #onFrame(frames: FrameReader): H2Fault | null {
    const { bytes, from, to, flags, streamId } = frames
    switch (frames.type) {
      case FrameType.headers:
        return this.#block.begin(frames) ?? this.#onBlock(this.#block)
      case FrameType.continuation:
        return this.#block.add(frames, from, to) ?? this.#onBlock(this.#block)
      case FrameType.priority:
        // Priorities have no effect (RFC 9113, section 5.3).
        return readUint31(bytes, from) === streamId ? h2Faults.selfDependency : null
      case FrameType.rstStream:
        return this.#onRstStream(streamId, readUint32(bytes, from))
      case FrameType.settings:
        return (flags & Flag.ack) === 0 ? this.#onSettings(bytes, from, to) : null
      case FrameType.ping:
        return (flags & Flag.ack) === 0 ? this.#onPing(bytes, from, to) : null
      case FrameType.goAway:
        return this.#onGoAway(readUint31(bytes, from), readUint32(bytes, from + 4))
      default:
        return this.#onWindowUpdate(streamId, readUint31(bytes, from))
    }
  }

  #onBlock(block: BlockReader): H2Fault | null {
    if (block.isOpen) return null
    const { streamId: id, bytes, from, to } = block
    const isValid = this.#decoder.decode(bytes, from, to, fields, this.#bounds)
    block.release()
    if (!isValid) return h2Faults.compression
    this.lastActivity = this.now
    const stream = this.#find(id)
    if (stream === undefined) return this.#isServer ? this.#onRequest(id, to - from) : this.#onStrayHead(id)
    if (!this.#isServer && !stream.isHeadSent) return h2Faults.idleStream
    stream.receivedBytes += this.#block.frameBytes
    if (stream.hasEnded) return this.#failStream(stream, h2Faults.closedStream)
    this.#account.credit(to - from)
    return stream.hasHead ? this.#onTrailers(stream) : this.#onResponse(stream)
  }

  #onRequest(id: number, blockSize: number): H2Fault | null {
    if (id % 2 === 0) return h2Faults.streamId
    if (id <= this.#lastStreamId) return this.#onStrayHead(id)
    this.#lastStreamId = id
    if (this.isGoingAway) {
      this.#closed.add(id, Closed.byUs)
      return null
    }
    if (this.#streams.size >= this.#bounds.streamsMax) {
      this.#outbox.writeWord(FrameType.rstStream, id, H2Error.refusedStream)
      this.#closed.add(id, Closed.byUs)
      return this.#spendReset()
    }
    // Its answer has a head at least, which is written whatever the socket holds.
    const flood = this.#spendReply()
    if (flood !== null) return flood
    this.#account.credit(blockSize)
    this.#lastTakenId = id
    const stream = this.#addStream(id)
    stream.receivedBytes = this.#block.frameBytes
    stream.hasHead = true
    checkRequest(fields, this.#block.isEnd)
    return this.#tellHead(stream, fields.contentLength)
  }

  #onResponse(stream: H2Stream<User>): H2Fault | null {
    const isEnd = this.#block.isEnd
    const status = checkResponse(fields, isEnd)
    stream.hasHead = status === -1 || status >= 200
    if (!stream.hasHead) return this.#tellHead(stream, -1)
    // These have no data, and may say how much another answer would have (RFC 9110, section 8.6).
    const isBare = stream.answersHead || status === 204 || status === 304
    const contentLength = isBare ? 0 : fields.contentLength
    if (isEnd && contentLength > 0) fields.fail(lengthText)
    return this.#tellHead(stream, contentLength)
  }

  #tellHead(stream: H2Stream<User>, contentLength: number): H2Fault | null {
    const isEnd = this.#block.isEnd
    if (this.#block.dependsOnItself) fields.fail(h2Faults.selfDependency.text)
    if (fields.fault === 'malformed') {
      this.#refuse(stream, malformed(fields.faultText))
      this.#handler.onHead(stream, fields, isEnd, this.now)
      this.#handler.onReset(stream, H2Error.protocolError, false, this.now)
      return this.#spendReset()
    }
    stream.contentLeft = contentLength
    stream.hasEnded = isEnd
    this.#handler.onHead(stream, fields, isEnd, this.now)
    this.#closeIfDone(stream)
    return null
  }

  #onTrailers(stream: H2Stream<User>): H2Fault | null {
    checkTrailers(fields)
    if (!this.#block.isEnd) fields.fail('a second head must end the stream')
    if (stream.contentLeft > 0) fields.fail(lengthText)
    if (fields.fault === 'malformed') return this.#failStream(stream, malformed(fields.faultText))
    stream.hasEnded = true
    if (!stream.isClosed) this.#handler.onTrailers(stream, fields, this.now)
    this.#closeIfDone(stream)
    return null
  }

  /** A head on a stream that is not open, and not for opening. */
  #onStrayHead(id: number): H2Fault | null {
    if (this.#isIdle(id)) return h2Faults.idleStream
    switch (this.#closed.of(id)) {
      case Closed.byUs:
        return null
      case Closed.byPeer:
        return this.#answerStray(id)
      case Closed.ended:
        return h2Faults.closedStream
      default:
        // A client's head must be of a new stream; a target's may have been long on its way.
        return this.#isServer ? h2Faults.streamId : null
    }
  }

  #answerStray(id: number): H2Fault | null {
    this.#outbox.writeWord(FrameType.rstStream, id, H2Error.streamClosed)
    return this.#spendReply()
  }

  #find(id: number): H2Stream<User> | undefined {
    return this.#streams.get(id) ?? this.#left.get(id)
  }

  /** Whether nobody has begun that stream yet. */
  #isIdle(id: number): boolean {
    return id % 2 === 0 || id > this.#lastStreamId
  }

  #beginData(frames: FrameReader): H2Fault | null {
    const { length, flags, streamId } = frames
    this.#dataStream = null
    this.#dataIsPadded = (flags & Flag.padded) !== 0
    this.#dataIsEnd = (flags & Flag.endStream) !== 0
    this.#dataLeft = length
    if (length > this.#receiveWindow) return h2Faults.windowExceeded
    this.#receiveWindow -= length
    const stream = this.#find(streamId)
    if (stream === undefined || !(this.#isServer || stream.isHeadSent)) return this.#onStrayData(streamId, length)
    stream.receivedBytes += frameHeadBytes + length
    const breach = this.#breachOfData(stream, length)
    if (breach !== null) {
      this.#giveBack(length)
      return this.#failStream(stream, breach)
    }
    stream.receiveWindow -= length
    this.lastActivity = this.now
    this.#dataStream = stream
    return this.#dataIsPadded ? null : this.#countData(stream)
  }

  #breachOfData(stream: H2Stream<User>, length: number): H2Fault | null {
    if (stream.hasEnded) return h2Faults.closedStream
    if (!stream.hasHead) return h2Faults.idleStream
    return length > stream.receiveWindow ? h2Faults.streamWindowExceeded : null
  }

  #onStrayData(id: number, length: number): H2Fault | null {
    if (this.#isIdle(id) || this.#streams.has(id)) return h2Faults.idleStream
    this.#giveBack(length)
    return this.#closed.of(id) === Closed.byUs ? null : this.#answerStray(id)
  }

  /** Holds the length of a frame's data, which is known, against what the head said. */
  #countData(stream: H2Stream<User>): H2Fault | null {
    this.#account.credit(this.#dataLeft)
    if (stream.contentLeft === -1) return null
    stream.contentLeft -= this.#dataLeft
    if (stream.contentLeft >= 0 && !(this.#dataIsEnd && stream.contentLeft > 0)) return null
    this.#giveBack(this.#dataLeft)
    this.#dataStream = null
    return this.#failStream(stream, malformed(lengthText))
  }

  #onDataPiece(frames: FrameReader): H2Fault | null {
    let at = frames.from
    if (this.#dataIsPadded) {
      const fault = this.#beginPadded(frames.bytes[at++]!)
      if (fault !== null) return fault
    }
    const stream = this.#dataStream
    if (stream === null) return null
    if (stream.isClosed) return this.#dropData(stream)
    const to = Math.min(frames.to, at + this.#dataLeft)
    this.#dataLeft -= to - at
    const isDone = this.#dataLeft === 0
    // Padding is no business of anybody.
    if (isDone) this.#dataStream = null
    const isEnd = isDone && this.#dataIsEnd
    if (at === to && !isEnd) return null
    stream.unconsumed += to - at
    stream.hasEnded = isEnd
    this.#handler.onData(stream, frames.bytes, at, to, isEnd, this.now)
    this.#closeIfDone(stream)
    return null
  }

  /** What comes of a frame whose stream is gone, or left. */
  #dropData(stream: H2Stream<User>): null {
    this.#giveBack(this.#dataLeft)
    this.#dataStream = null
    if (!stream.isLeft) return null
    stream.hasEnded = this.#dataIsEnd
    // Its window, which is widened no more, is about to be used up.
    if (!stream.hasEnded && stream.receiveWindow < framePayloadMax) this.#tellToStop(stream)
    this.#closeIfDone(stream)
    return null
  }

  #beginPadded(padding: number): H2Fault | null {
    this.#dataIsPadded = false
    this.#dataLeft -= 1 + padding
    if (this.#dataLeft < 0) return h2Faults.padding
    const stream = this.#dataStream
    if (stream === null) return null
    if (stream.isClosed && !stream.isLeft) {
      this.#giveBack(1 + padding)
      return null
    }
    stream.unconsumed += 1 + padding
    this.#consume(stream, 1 + padding)
    return this.#countData(stream)
  }

  #consume(stream: H2Stream<User>, size: number): void {
    stream.unconsumed -= size
    this.#giveBack(size)
    if (stream.hasEnded || stream.isClosed) return
    stream.credit += size
    if (stream.credit < this.#bounds.initialWindowBytes / 2) return
    this.#outbox.writeWord(FrameType.windowUpdate, stream.id, stream.credit)
    stream.receiveWindow += stream.credit
    stream.credit = 0
  }

  /** Lets the peer send as much again on the connection. */
  #giveBack(size: number): void {
    this.#credit += size
    if (this.#credit < this.#bounds.connectionWindowBytes / 2) return
    this.#outbox.writeWord(FrameType.windowUpdate, 0, this.#credit)
    this.#receiveWindow += this.#credit
    this.#credit = 0
  }

  #onRstStream(id: number, code: number): H2Fault | null {
    const stream = this.#find(id)
    if (stream === undefined) return this.#isIdle(id) ? h2Faults.idleStream : null
    if (!this.#isServer && !stream.isHeadSent) return h2Faults.idleStream
    const { isLeft } = stream
    this.#close(stream, Closed.byPeer)
    if (isLeft) return null
    this.#handler.onReset(stream, code, true, this.now)
    return this.#spendReset()
  }

  #onSettings(bytes: Buffer, from: number, to: number): H2Fault | null {
    let sendWindow = this.#sendWindow
    for (let at = from; at < to; at += 6) {
      const value = readUint32(bytes, at + 2)
      switch ((bytes[at]! << 8) | bytes[at + 1]!) {
        case Setting.headerTableSize:
          this.#outbox.limitTable(value)
          break
        case Setting.enablePush:
          if (value > (this.#isServer ? 1 : 0)) return h2Faults.setting
          break
        case Setting.maxConcurrentStreams:
          this.peerMaxConcurrentStreams = value
          break
        case Setting.initialWindowSize:
          if (value > windowBytesMax) return h2Faults.windowSize
          sendWindow = value
          break
        case Setting.maxFrameSize:
          if (value < framePayloadMax || value > maxFrameSizeMax) return h2Faults.setting
      }
    }
    this.hasPeerSettings = true
    this.#outbox.writeSettingsAck()
    return this.#changeSendWindows(sendWindow) ?? this.#spendReply()
  }

  /** All streams have had the old value to begin with, and may come to less than nothing (RFC 9113, section 6.9.2). */
  #changeSendWindows(size: number): H2Fault | null {
    const change = size - this.#sendWindow
    this.#sendWindow = size
    if (change === 0) return null
    for (const stream of this.#streams.values()) {
      stream.sendWindow += change
      if (stream.sendWindow > windowBytesMax) return h2Faults.windowSize
    }
    return null
  }

  #onPing(bytes: Buffer, from: number, to: number): H2Fault | null {
    this.#outbox.writePingAck(bytes, from, to)
    return this.#spendReply()
  }

  #onGoAway(lastStreamId: number, code: number): H2Fault | null {
    // A client that says it goes only says that it takes no pushed streams.
    if (this.#isServer) return null
    this.isGoingAway = true
    this.#handler.onGoAway(lastStreamId, code, this.now)
    for (const stream of this.#streams.values()) {
      if (stream.id <= lastStreamId) continue
      this.#close(stream, Closed.byPeer)
      this.#handler.onReset(stream, H2Error.refusedStream, true, this.now)
    }
    return null
  }

  #onWindowUpdate(id: number, increment: number): H2Fault | null {
    if (id === 0) {
      if (increment === 0) return h2Faults.windowIncrement
      return this.#outbox.widen(increment) ? null : h2Faults.windowSize
    }
    const stream = this.#find(id)
    if (stream === undefined) return this.#isIdle(id) ? h2Faults.idleStream : null
    if (increment === 0) return this.#failStream(stream, h2Faults.windowIncrement)
    stream.sendWindow += increment
    return stream.sendWindow <= windowBytesMax ? null : this.#failStream(stream, h2Faults.windowSize)
  }

  #spendReset(): H2Fault | null {
    // A target resets no more than we have opened.
    return !this.#isServer || this.#account.spendReset(this.now) ? null : h2Faults.resets
  }

  #spendReply(): H2Fault | null {
    return !this.isBlocked || this.#account.spendReply() ? null : h2Faults.replies
  }

  /** The peer broke the rules on the stream: the others go on, unless that happens too often. */
  #failStream(stream: H2Stream<User>, fault: H2Fault): H2Fault | null {
    const { isLeft } = stream
    this.#refuse(stream, fault)
    if (!isLeft) this.#handler.onReset(stream, fault.code, false, this.now)
    return this.#spendReset()
  }

  #refuse(stream: H2Stream<User>, { code, text }: H2Fault): void {
    stream.resetText = text
    this.#outbox.writeWord(FrameType.rstStream, stream.id, code)
    this.#close(stream, Closed.byUs)
  }

  #closeIfDone(stream: H2Stream<User>): void {
    const isOpen = !stream.isClosed || stream.isLeft
    if (isOpen && stream.hasEnded && stream.isEndSent) this.#close(stream, Closed.ended)
  }

  #close(stream: H2Stream<User>, closed: Closed): void {
    this.#release(stream)
    this.#left.delete(stream.id)
    stream.isLeft = false
    this.#closed.add(stream.id, closed)
  }

  /** It is no longer the owner's. */
  #release(stream: H2Stream<User>): void {
    stream.isClosed = true
    this.#streams.delete(stream.id)
    this.#outbox.forget(stream)
    this.#giveBack(stream.unconsumed)
    stream.unconsumed = 0
  }

  #fail(fault: H2Fault): void {
    this.#prepare()
    this.#outbox.writeGoAway(this.#lastTakenId, fault.code)
    this.#isOver = true
    this.isGoingAway = true
    this.#tellAll(fault.code)
    this.#handler.onSessionError(fault.code, fault.text, this.now)
  }

  #tellAll(code: number): void {
    for (const stream of this.#streams.values()) {
      this.#close(stream, Closed.byUs)
      this.#handler.onReset(stream, code, false, this.now)
    }
  }

  #drain(): void {
    this.#prepare()
    for (let stream = this.#outbox.drainNext(); stream !== null; stream = this.#outbox.drainNext()) {
      this.#closeIfDone(stream)
      this.#handler.onStreamDrained(stream, this.now)
    }
  }

  /** Before anything is written: was everything taken that was announced? */
  #prepare(): void {
    if (this.out.length === 0) this.#isAnnounced = false
  }

  #announce(): void {
    if (this.#isAnnounced || this.out.length === 0) return
    this.#isAnnounced = true
    this.#handler.onOutput()
  }
}

/** Of a stream; the others go on. */
function malformed(text: string): H2Fault {
  return { code: H2Error.protocolError, text }
}
