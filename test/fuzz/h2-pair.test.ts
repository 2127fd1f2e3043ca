/**
 * Two sessions that talk to each other: whatever is asked and answered arrives as it was sent, however small the windows
 * are, wherever the bytes are cut, whenever sockets are full and bodies are read.
 */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { type FieldBlock, type H2Handler, H2Session, type H2Stream, writeField } from '../../src/http/h2.ts'
import { tokenByte, valueByte } from '../../src/http/tables.ts'
import { fieldsOf, usualBounds } from '../support/h2-endpoint.ts'
import { frame, u32, windowUpdate } from '../support/h2-frames.ts'
import { Random } from './random.ts'

/** `FUZZ_INPUTS` makes a run longer; each talk is worth many. */
const inputCount = Number(process.env.FUZZ_INPUTS ?? 10_000)

type Fields = readonly (readonly [string, string])[]
type Message = {
  readonly fields: Fields
  /** Its body, in the pieces in which it is sent: how long each is, and which byte it repeats. */
  readonly pieces: readonly (readonly [size: number, byte: number])[]
  readonly trailers: Fields | null
}
type Talk = { readonly requests: readonly Message[]; readonly responses: readonly Message[] }

function textOf(allowed: (byte: number) => boolean, maxLength: number): fc.Arbitrary<string> {
  const bytes = [...Array(256).keys()].filter(allowed)
  return fc.array(fc.constantFrom(...bytes), { maxLength }).map(codes => Buffer.from(codes).toString('latin1'))
}

const name = textOf(byte => tokenByte[byte] === 1, 10).map(text => `x-${text.toLowerCase()}`)
const value = textOf(byte => valueByte[byte] === 1, 30).map(text => text.replace(/^[ \t]+|[ \t]+$/g, ''))
const fields = fc.array(fc.tuple(name, value), { maxLength: 6 })
const size = fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 3000 }), fc.nat({ max: 100_000 }))
const message: fc.Arbitrary<Message> = fc.record({
  fields,
  pieces: fc.array(fc.tuple(size, fc.nat({ max: 255 })), { maxLength: 4 }),
  trailers: fc.option(fields),
})
const talk: fc.Arbitrary<Talk> = fc
  .array(fc.tuple(message, message), { minLength: 1, maxLength: 12 })
  .map(all => ({ requests: all.map(([request]) => request), responses: all.map(([, response]) => response) }))

const requestPseudo: Fields = [
  [':method', 'POST'],
  [':scheme', 'https'],
  [':path', '/'],
]
const responsePseudo: Fields = [[':status', '200']]

it('two sessions understand each other', () => {
  fc.assert(
    fc.property(talk, fc.nat(), fc.constantFrom(0, 1, 100, 20_000, 65_536), (talk, seed, window) => {
      new Pair(talk, new Random(seed), window).run()
    }),
    { numRuns: inputCount / 100 },
  )
})

function bodyOf({ pieces }: Message): Buffer {
  return Buffer.concat(pieces.map(([size, byte]) => Buffer.alloc(size, byte)))
}

/** What one side has heard of one message. */
class Heard {
  fields: Fields = []
  trailers: Fields | null = null
  isOver = false
  /** Compared as it comes, since it may be long. */
  bodySize = 0
}

class Side implements H2Handler<Heard> {
  readonly session: H2Session<Heard>
  readonly heard: Heard[] = []
  /** What has left here and not arrived there. */
  readonly wire: Buffer[] = []
  /** Bytes that were read and not `consumed`. */
  readonly #unread: [H2Stream<Heard>, number][] = []
  /** What is left to be sent, by stream. */
  readonly sending = new Map<H2Stream<Heard>, { readonly message: Message; piece: number }>()
  readonly #expected: readonly Message[]
  readonly #random: Random
  readonly onRequest: (stream: H2Stream<Heard>) => void

  constructor(
    role: 'server' | 'client',
    expected: readonly Message[],
    random: Random,
    onRequest: (stream: H2Stream<Heard>) => void,
  ) {
    this.#expected = expected
    this.#random = random
    this.onRequest = onRequest
    this.session = new H2Session(role, this, { ...usualBounds, connectionWindowBytes: 100_000, outBytesMax: 30_000 })
    this.session.begin()
  }

  onOutput(): void {}

  onHead(stream: H2Stream<Heard>, fields: FieldBlock, isEnd: boolean): void {
    assert.equal(fields.fault, null, fields.faultText)
    const heard = new Heard()
    heard.fields = fieldsOf(fields).slice(fields.pseudoCount)
    heard.isOver = isEnd
    stream.user = heard
    this.heard[(stream.id - 1) / 2] = heard
    this.onRequest(stream)
  }

  onData(stream: H2Stream<Heard>, bytes: Buffer, from: number, to: number, isEnd: boolean): void {
    const heard = stream.user!
    const piece = bodyOf(this.#expected[(stream.id - 1) / 2]!).subarray(heard.bodySize, heard.bodySize + to - from)
    assert(bytes.subarray(from, to).equals(piece), 'the bytes of a body, in their order')
    heard.bodySize += to - from
    heard.isOver = isEnd
    if (to > from) this.#unread.push([stream, to - from])
  }

  onTrailers(stream: H2Stream<Heard>, fields: FieldBlock): void {
    stream.user!.trailers = fieldsOf(fields)
    stream.user!.isOver = true
  }

  onStreamDrained(): void {}

  onReset(): void {
    assert.fail('nothing is reset')
  }

  onGoAway(): void {
    assert.fail('nobody goes away')
  }

  onSessionError(_code: number, text: string): void {
    assert.fail(text)
  }

  begin(stream: H2Stream<Heard>, message: Message, pseudo: Fields): void {
    const isEnd = message.pieces.length === 0 && message.trailers === null
    this.#sendFields(stream, [...pseudo, ...message.fields], isEnd)
    if (!isEnd) this.sending.set(stream, { message, piece: 0 })
  }

  #sendFields(stream: H2Stream<Heard>, fields: Fields, isEnd: boolean): void {
    const out = this.session.beginHead()
    for (const [name, value] of fields) {
      const line = Buffer.from(`${name}: ${value}`, 'latin1')
      writeField(out, line, 0, name.length, name.length + 2, line.length)
    }
    this.session.endHead(stream, isEnd)
  }

  /** Does one of the things that may come next. @returns whether there was something to do */
  step(): boolean {
    const choices = [() => this.#sendNext(), () => this.#consume(), () => this.#take()]
    const first = this.#random.below(choices.length)
    for (let i = 0; i < choices.length; i++) if (choices[(first + i) % choices.length]!()) return true
    return false
  }

  #sendNext(): boolean {
    const ready = [...this.sending].filter(([stream]) => !stream.isCongested)
    if (ready.length === 0) return false
    const [stream, state] = this.#random.pick(ready)
    const { pieces, trailers } = state.message
    if (state.piece === pieces.length) {
      if (trailers !== null) this.#sendFields(stream, trailers, true)
      this.sending.delete(stream)
      return true
    }
    const piece = Buffer.alloc(...pieces[state.piece++]!)
    const isEnd = state.piece === pieces.length && trailers === null
    this.session.sendData(stream, piece, 0, piece.length, isEnd)
    piece.fill(0xee)
    return true
  }

  #consume(): boolean {
    const next = this.#unread.shift()
    if (next !== undefined) this.session.consumed(...next)
    return next !== undefined
  }

  /** As a socket that takes what it is given, and sometimes says that it was enough. */
  #take(): boolean {
    const { out } = this.session
    const size = out.length
    const wasBlocked = this.session.isBlocked
    if (size > 0) this.wire.push(Buffer.from(out.bytes.subarray(0, size)))
    out.length = 0
    this.session.isBlocked = !wasBlocked && this.#random.below(3) === 0
    return size > 0 || wasBlocked || out.length > 0
  }
}

class Pair {
  readonly #talk: Talk
  readonly #random: Random
  readonly #client: Side
  readonly #server: Side
  readonly #window: number
  readonly #widened = new Map<number, number>()
  #asked = 0

  /** @param window that the server is told of, until nothing else moves */
  constructor(talk: Talk, random: Random, window: number) {
    this.#talk = talk
    this.#window = window
    this.#random = random
    this.#client = new Side('client', talk.responses, random, () => {})
    this.#server = new Side('server', talk.requests, random, stream => {
      this.#server.begin(stream, talk.responses[(stream.id - 1) / 2]!, responsePseudo)
    })
    this.#narrow(window)
  }

  /** The server is told of smaller windows than the client has. */
  #narrow(window: number): void {
    const server = this.#server.session
    const { out } = this.#client.session
    server.read(out.bytes, 0, out.length, 0)
    out.length = 0
    const settings = frame('SETTINGS', 0, 0, Buffer.concat([Buffer.of(0, 4), u32(window)]))
    server.read(settings, 0, settings.length, 0)
  }

  run(): void {
    const sides = [this.#client, this.#server] as const
    for (let idle = 0; idle < 3; ) {
      if (this.#random.below(4) === 0) this.#ask()
      const isBusy = [this.#random.pick(sides), ...sides].some(side => side.step())
      const isMoving = this.#deliver() || isBusy || this.#ask() || this.#widen()
      idle = isMoving ? 0 : idle + 1
    }
    this.#check('requests', this.#server.heard)
    this.#check('responses', this.#client.heard)
    for (const { session } of sides) assert.equal(session.streams.size, 0, 'all streams have closed')
  }

  #ask(): boolean {
    const message = this.#talk.requests[this.#asked]
    if (message === undefined) return false
    const stream = this.#client.session.openStream()
    assert.notEqual(stream, null)
    this.#client.begin(stream!, message, requestPseudo)
    this.#asked++
    return true
  }

  /** Some of what is on its way arrives. */
  #deliver(): boolean {
    let isMoving = false
    for (const [from, to] of [
      [this.#client, this.#server],
      [this.#server, this.#client],
    ] as const) {
      const piece = from.wire.shift()
      if (piece === undefined) continue
      isMoving = true
      const cut = 1 + this.#random.below(piece.length)
      if (cut < piece.length) from.wire.unshift(piece.subarray(cut))
      to.session.read(piece, 0, cut, 0)
    }
    return isMoving
  }

  /** Nothing moves: what waits is told of some of what was kept back. */
  #widen(): boolean {
    let isMoving = false
    for (const stream of this.#server.session.streams.values()) {
      const left = usualBounds.initialWindowBytes - this.#window - (this.#widened.get(stream.id) ?? 0)
      if (!stream.isCongested || left === 0) continue
      const size = Math.min(left, 1 + this.#random.below(30_000))
      this.#widened.set(stream.id, (this.#widened.get(stream.id) ?? 0) + size)
      const update = windowUpdate(stream.id, size)
      this.#server.session.read(update, 0, update.length, 0)
      isMoving = true
    }
    return isMoving
  }

  #check(kind: keyof Talk, heard: readonly Heard[]): void {
    assert.equal(heard.length, this.#talk[kind].length)
    for (const [i, message] of this.#talk[kind].entries()) {
      const { isOver, bodySize, fields, trailers } = heard[i]!
      assert.deepEqual({ fields, trailers }, { fields: message.fields, trailers: message.trailers })
      assert.equal(bodySize, bodyOf(message).length)
      assert.equal(isOver, true)
    }
  }
}
