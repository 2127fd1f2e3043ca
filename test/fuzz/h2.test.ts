/**
 * Whatever comes over an HTTP/2 connection, it ends in events, in streams that are reset, or in the end of the session; it
 * never throws, and where the bytes were cut makes no difference.
 *
 * `FUZZ_SEED` repeats a run, `FUZZ_INPUTS` makes it longer.
 */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { H2Error } from '../../src/http/h2.ts'
import { ACK, type Act, END_STREAM, ok, preface, Recorder, readFrames } from '../support/h2-frames.ts'
import { escapeBytes } from '../transcripts/transcript.ts'
import { goodFrames, mutateFrames } from './h2-frames.ts'
import { randomCuts } from './mutate.ts'
import { Random, runSeed } from './random.ts'

const inputCount = Number(process.env.FUZZ_INPUTS ?? 10_000)
/** So much may be open, and so little is queued before it shows. */
const bounds = { streamsMax: 4, fieldsMax: 30, headerBlockBytesMax: 3000 }

for (const role of ['server', 'client'] as const) {
  const corpus = goodFrames(role)

  /** What was read is answered in a way that does not depend on when that happens: heads need no window. */
  const answering = ({ session }: Recorder): Act => ({
    onHead(stream, fields) {
      if (role === 'client' || fields.fault === 'malformed') return
      session.beginHead()
      session.endHead(stream, fields.pseudo(':path') !== -1)
      // Answered as a whole, it may be left before it has ended.
      if (stream.id % 4 === 1) session.reset(stream, H2Error.noError)
    },
    onData: (stream, _bytes, from, to) => session.consumed(stream, to - from),
  })

  function begin(act: (recorder: Recorder) => Act): Recorder {
    const recorder = new Recorder(role, act, bounds)
    recorder.takes = false
    recorder.session.begin()
    recorder.session.out.length = 0
    recorder.takes = true
    if (role === 'client') for (let i = 0; i < 3; i++) recorder.send(recorder.session.openStream()!.id, ok, i === 0)
    return recorder
  }

  function run(bytes: Buffer, cuts: readonly number[]): readonly string[] {
    const recorder = begin(answering)
    recorder.read(bytes, cuts)
    return [...recorder.events, ...recorder.sent]
  }

  describe(`reading any frames in ${role} role`, () => {
    it('ends in the same events, however they are cut', t => {
      const seed = runSeed()
      t.diagnostic(`FUZZ_SEED=${seed}`)
      const random = new Random(seed)
      const seen = { fine: 0, resets: 0, errors: 0 }
      for (let i = 0; i < inputCount; i++) {
        const bytes = withPreface(mutateFrames(random.pick(corpus), random))
        try {
          const whole = run(bytes, [])
          assert.deepEqual(run(bytes, randomCuts(bytes.length, random)), whole, 'cut somewhere')
          if (i % 10 === 0) assert.deepEqual(run(bytes, [...bytes.keys()].slice(1)), whole, 'byte by byte')
          seen[kindOf(whole)]++
        } catch (error) {
          throw new Error(`FUZZ_SEED=${seed}, input ${i}\n> ${escapeBytes(bytes)}\n${error}`, { cause: error })
        }
      }
      t.diagnostic(JSON.stringify(seen))
      // Were all of one kind, the inputs would be worth nothing.
      for (const [kind, count] of Object.entries(seen)) assert(count > inputCount / 50, `${kind}: only ${count}`)
    })

    it('never sends what the peer does not allow, whatever the owner does', t => {
      const seed = runSeed()
      t.diagnostic(`FUZZ_SEED=${seed}`)
      const random = new Random(seed)
      for (let i = 0; i < inputCount / 2; i++) {
        const frames = mutateFrames(random.pick(corpus), random)
        try {
          new Unruly(role, begin, random).run(frames)
        } catch (error) {
          const bytes = escapeBytes(Buffer.concat(frames))
          throw new Error(`FUZZ_SEED=${seed}, input ${i}\n> ${bytes}\n${error}`, { cause: error })
        }
      }
    })
  })

  function withPreface(frames: readonly Buffer[]): Buffer {
    return Buffer.concat(role === 'server' ? [preface, ...frames] : frames)
  }
}

function kindOf(lines: readonly string[]): 'fine' | 'resets' | 'errors' {
  if (lines.some(line => line.startsWith('error'))) return 'errors'
  return lines.some(line => line.startsWith('reset') || line.startsWith('RST_STREAM')) ? 'resets' : 'fine'
}

/** An owner that does what comes to its mind, with a peer that keeps account of the windows it has given. */
class Unruly {
  readonly #role: 'server' | 'client'
  readonly #random: Random
  readonly #recorder: Recorder
  readonly #reset = new Set<number>()
  /** Those on which END_STREAM was sent. */
  readonly #ended = new Set<number>()
  #connectionWindow = 65_535
  #initialWindow = 65_535
  /** What they are to be, by the SETTINGS that were not acknowledged yet. */
  readonly #wanted: number[] = []
  readonly #windows = new Map<number, number>()
  /** What was read and is no whole frame yet: a mutated length makes the next ones part of it. */
  #unread = Buffer.alloc(0)

  constructor(role: 'server' | 'client', begin: (act: (recorder: Recorder) => Act) => Recorder, random: Random) {
    this.#role = role
    this.#random = random
    this.#recorder = begin(() => ({
      onHead: () => this.#act(),
      onData: () => this.#act(),
      onTrailers: () => this.#act(),
      onStreamDrained: stream => {
        assert.equal(stream.isCongested, false)
        if (random.below(2) === 0) this.#act()
      },
      onReset: stream => {
        assert(!this.#reset.has(stream.id), 'a stream is reset once')
        this.#reset.add(stream.id)
        assert.equal(stream.isClosed, true)
      },
      onSessionError: () => assert.equal(this.#recorder.session.streams.size, 0, 'all streams were told'),
    }))
    this.#recorder.takes = false
  }

  run(frames: readonly Buffer[]): void {
    if (this.#role === 'server') this.#recorder.read(preface)
    for (const frame of frames) {
      this.#account(frame)
      this.#recorder.read(frame, randomCuts(frame.length, this.#random))
      this.#act()
      if (this.#random.below(2) === 0) this.#take()
    }
    this.#take()
    const { streams } = this.#recorder.session
    assert(streams.size <= bounds.streamsMax, 'no more are open than may be')
    for (const stream of streams.values()) {
      assert.equal(stream.isClosed, false)
      assert.equal(stream.isCongested, stream.queue !== null)
    }
  }

  #act(): void {
    const { session } = this.#recorder
    const stream = this.#random.pick([...session.streams.values(), undefined])
    if (stream === undefined) {
      if (this.#random.below(20) === 0) session.goAway(0)
      return
    }
    const size = this.#random.pick([0, 1, 10, 100_000])
    const isEnd = this.#random.below(4) === 0
    switch (this.#random.below(8)) {
      case 0:
        session.reset(stream, this.#random.pick([H2Error.noError, H2Error.cancel]))
        break
      case 1:
        session.consumed(stream, this.#random.below(stream.unconsumed + 1))
        break
      case 2:
      case 3:
        if (!stream.isLocalEnded) session.sendData(stream, Buffer.alloc(size), 0, size, isEnd)
        break
      case 4:
        if (stream.isLocalEnded) break
        session.beginHead()
        session.endHead(stream, stream.isCongested || isEnd)
        break
      case 5:
        session.isBlocked = true
    }
  }

  #take(): void {
    const { session } = this.#recorder
    const { out } = session
    for (const { type, id, flags, payload } of readFrames(Buffer.from(out.bytes.subarray(0, out.length)))) {
      if (type === 'SETTINGS' && (flags & ACK) !== 0) this.#initialWindow = this.#wanted.shift() ?? Number.NaN
      if (type !== 'DATA' && type !== 'HEADERS') continue
      assert(!this.#ended.has(id), `${type} after the end of stream ${id}`)
      if (type === 'DATA') this.#spend(id, payload.length)
      if ((flags & END_STREAM) !== 0) this.#ended.add(id)
    }
    out.length = 0
    session.isBlocked = this.#random.below(4) === 0
  }

  #spend(id: number, size: number): void {
    const left = (this.#windows.get(id) ?? 0) + this.#initialWindow - size
    this.#windows.set(id, left - this.#initialWindow)
    this.#connectionWindow -= size
    if (size === 0) return
    assert(left >= 0, `stream ${id} was sent ${-left} more than allowed`)
    assert(this.#connectionWindow >= 0, 'the connection was sent more than allowed')
  }

  #account(bytes: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, bytes])
    while (this.#unread.length >= 9) {
      const size = 9 + this.#unread.readUIntBE(0, 3)
      if (this.#unread.length < size) return
      this.#accountFrame(this.#unread.subarray(0, size))
      this.#unread = this.#unread.subarray(size)
    }
  }

  /** What a frame is worth, if it is a good one: windows are wider at once, settings hold when they are acknowledged. */
  #accountFrame(bytes: Buffer): void {
    const id = bytes.readUInt32BE(5) & 0x7fffffff
    if (bytes[3] === 8 && bytes.length === 13) {
      const increment = bytes.readUInt32BE(9) & 0x7fffffff
      if (id === 0) this.#connectionWindow += increment
      else this.#windows.set(id, (this.#windows.get(id) ?? 0) + increment)
    }
    if (bytes[3] !== 4 || (bytes[4]! & ACK) !== 0) return
    let wanted = this.#wanted.at(-1) ?? this.#initialWindow
    for (let at = 9; at + 6 <= bytes.length; at += 6) {
      if (bytes.readUInt16BE(at) === 4) wanted = bytes.readUInt32BE(at + 2)
    }
    this.#wanted.push(wanted)
  }
}
