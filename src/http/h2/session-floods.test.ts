/** Whatever a peer does, however often: it is bounded, and its end has a name. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type Act,
  data,
  END_HEADERS,
  END_STREAM,
  frame,
  get,
  headers,
  hello,
  integer,
  literals,
  ok,
  post,
  Recorder,
  rstStream,
  settings,
  windowUpdate,
} from '../../../test/support/h2-frames.ts'
import type { H2Bounds } from './handler.ts'

function serving(bounds: Partial<H2Bounds> = {}, act?: (recorder: Recorder) => Act): Recorder {
  const recorder = new Recorder('server', act, bounds)
  recorder.session.begin()
  recorder.read(hello)
  return recorder
}

/** An owner that sends what it is to send, and forgets it. */
function discard(recorder: Recorder): void {
  recorder.session.out.length = 0
  recorder.session.isBlocked = false
}

/** Sends the same over and over, at most so many MiB. @returns how many bytes it took to be thrown out */
function flood(recorder: Recorder, bytes: Buffer, mebibytesMax: number): number {
  recorder.takes = false
  const chunk = Buffer.concat(Array(Math.ceil(64_000 / bytes.length)).fill(bytes))
  let sent = 0
  while (sent < mebibytesMax * 2 ** 20 && !recorder.events.some(event => event.startsWith('error'))) {
    recorder.session.read(chunk, 0, chunk.length, recorder.now)
    discard(recorder)
    if (!recorder.events.at(-1)?.startsWith('error')) recorder.events.length = 0
    sent += chunk.length
  }
  return sent
}

const overhead = 'error enhanceYourCalm: too many frames for what they carry'

describe('a flood of frames that carry nothing ends the session', () => {
  for (const [what, bytes] of [
    ['SETTINGS', settings([4, 1], [4, 100])],
    ['SETTINGS that acknowledge', frame('SETTINGS', 1, 0)],
    ['PING', frame('PING', 0, 0, '12345678')],
    ['PRIORITY', frame('PRIORITY', 0, 3, Buffer.alloc(5))],
    ['WINDOW_UPDATE, and back by SETTINGS', Buffer.concat([windowUpdate(1, 1), settings([4, 0]), settings([4, 1])])],
    ['empty DATA', data(1, '')],
    ['DATA of nothing but padding', frame('DATA', 8, 1, Buffer.of(1, 0))],
    ['frames of no known type', frame(99, 0, 0, Buffer.alloc(1000))],
    ['GOAWAY', frame('GOAWAY', 0, 0, Buffer.alloc(100))],
    ['RST_STREAM of a stream that is gone', rstStream(3, 8)],
    ['DATA of a stream that is gone', data(3, 'x')],
  ] as const) {
    it(what, () => {
      const recorder = serving()
      recorder.read(Buffer.concat([headers(1, post), headers(3, post)]))
      recorder.session.reset(recorder.stream(3), 8)
      const sent = flood(recorder, bytes, 64)
      assert.equal(recorder.events.at(-1), overhead)
      assert(sent < 10 * 2 ** 20, `${sent}`)
    })
  }

  it('but not the same frames among data that is worth it, either way', () => {
    const recorder = serving({}, ({ session }) => ({
      onData: (stream, _bytes, from, to) => session.consumed(stream, to - from),
    }))
    recorder.read(headers(1, post))
    flood(
      recorder,
      Buffer.concat([data(1, Buffer.alloc(1000)), ...Array(20).fill(frame('PING', 0, 0, '12345678'))]),
      30,
    )
    recorder.read(Buffer.concat([settings([4, 2 ** 31 - 1]), windowUpdate(0, 2 ** 31 - 1 - 65_535)]))
    const body = Buffer.alloc(16_384)
    for (let i = 0; i < 1500; i++) {
      recorder.session.sendData(recorder.stream(1), body, 0, body.length, false)
      discard(recorder)
      if (i % 2 === 1) flood(recorder, windowUpdate(1, 1), 0.001)
    }
    assert.deepEqual(
      recorder.events.filter(event => event.startsWith('error')),
      [],
    )
  })
})

describe('streams that are begun to be reset', () => {
  const resets = 'error enhanceYourCalm: streams are reset too often'

  /** Many requests, each followed by something. @returns how many streams were begun */
  function begin(recorder: Recorder, most: number, follow: (id: number) => Buffer): number {
    recorder.takes = false
    for (let i = 0; i < most && !recorder.session.isGoingAway; i++) {
      recorder.read(Buffer.concat([headers(2 * i + 1, get), follow(2 * i + 1)]))
      discard(recorder)
    }
    return recorder.session.streamsBegun
  }

  for (const [what, follow] of [
    ['by the client (CVE-2023-44487)', (id: number) => rstStream(id, 8)],
    ['by us, for a window that is widened by nothing (CVE-2025-8671)', (id: number) => windowUpdate(id, 0)],
    ['by us, for trailers that are malformed', (id: number) => headers(id, [[':path', '/']], END_STREAM)],
  ] as const) {
    it(`end the session, ${what}`, () => {
      const recorder = serving()
      recorder.now = 1e9
      assert.equal(begin(recorder, 5000, follow), 1001)
      assert.equal(recorder.events.at(-1), resets)
    })
  }

  it('end the session where they are malformed from the start', () => {
    const recorder = serving()
    for (let i = 0; i < 5000 && !recorder.session.isGoingAway; i++) recorder.read(headers(2 * i + 1, []))
    assert.equal(recorder.events.at(-1), resets)
    assert.equal(recorder.session.streamsBegun, 1001)
  })

  it('end the session where they are more than may be open', () => {
    const recorder = serving({ streamsMax: 1 })
    for (let i = 0; i < 5000 && !recorder.session.isGoingAway; i++) recorder.read(headers(2 * i + 1, get))
    assert.deepEqual(recorder.events.slice(-2), ['reset 1 enhanceYourCalm', resets])
    assert.equal(recorder.session.streamsBegun, 1)
  })

  it('are fine when they are as many as a client may give up in the course of time', () => {
    const recorder = serving()
    begin(recorder, 10_000, id => {
      recorder.now += 1000 / 33
      return rstStream(id, 8)
    })
    assert.equal(recorder.session.streamsBegun, 10_000)
  })

  it('are fine when we reset them of our own accord', () => {
    const recorder = serving({}, ({ session }) => ({ onHead: stream => session.reset(stream, 0) }))
    assert.equal(
      begin(recorder, 5000, id => data(id, 'x')),
      5000,
    )
  })
})

describe('a header block', () => {
  const begun = frame('HEADERS', 0, 1, literals(get))

  it('in more frames than anybody needs ends the session, empty ones too (CVE-2024-27316)', () => {
    for (const more of ['', '\x00\x01a\x01b']) {
      const recorder = serving()
      recorder.read(begun)
      for (let i = 0; i < 32; i++) recorder.read(frame('CONTINUATION', 0, 1, more))
      assert.deepEqual(recorder.events, [])
      recorder.read(frame('CONTINUATION', 0, 1, more))
      assert.deepEqual(recorder.events, ['error enhanceYourCalm: a header block comes in too many frames'])
    }
  })

  it('that is too long ends the session, as soon as it is', () => {
    const recorder = serving({ headerBlockBytesMax: 20_000 })
    const fields = frame('HEADERS', 0, 1, Buffer.alloc(16_384))
    recorder.read(Buffer.concat([fields, frame('CONTINUATION', 0, 1, Buffer.alloc(20_000 - 16_384))]))
    assert.deepEqual(recorder.events, [])
    recorder.read(frame('CONTINUATION', 0, 1, Buffer.alloc(1)))
    assert.deepEqual(recorder.events, ['error enhanceYourCalm: a header block is too long'])
  })

  it('that is a bomb is too large, and costs nothing', () => {
    const recorder = serving({ headerBlockBytesMax: 100_000 })
    const bomb = Buffer.concat([Buffer.of(0x40, 1), Buffer.from('a'), integer(0, 7, 4000), Buffer.alloc(4000, 'x')])
    recorder.read(frame('HEADERS', END_HEADERS, 1, Buffer.concat([literals(get), bomb])))
    const before = process.memoryUsage().arrayBuffers
    for (let id = 3; id < 203; id += 2) {
      recorder.read(frame('HEADERS', END_HEADERS, id, Buffer.concat([literals(get), Buffer.alloc(16_000, 0xbe)])))
      recorder.session.reset(recorder.stream(id), 8)
    }
    assert(recorder.events.at(-1)?.endsWith('tooLarge: the fields are too long together'))
    assert(process.memoryUsage().arrayBuffers - before < 20 * 2 ** 20)
  })

  it('that changes the size of the table all the time is an ordinary one', () => {
    const recorder = serving()
    const games = Buffer.concat(Array(2000).fill(Buffer.concat([integer(0x20, 5, 0), integer(0x20, 5, 4096)])))
    recorder.read(frame('HEADERS', END_HEADERS | END_STREAM, 1, Buffer.concat([games, literals(get)])))
    assert.equal(recorder.events.length, 1)
    assert(recorder.events[0]?.startsWith('head 1 end :method=GET'))
  })
})

describe('a client that does not read', () => {
  it('gets no more answers than the bound', () => {
    for (const [bytes, isStray] of [
      [frame('PING', 0, 0, '12345678'), false],
      [settings(), false],
      [data(1, ''), true],
    ] as const) {
      const recorder = serving()
      if (isStray) recorder.read(Buffer.concat([headers(1, post), rstStream(1, 8)]))
      recorder.takes = false
      recorder.session.isBlocked = true
      for (let i = 0; i < 1000; i++) recorder.read(bytes)
      assert.equal(recorder.session.isGoingAway, false)
      recorder.read(bytes)
      assert.equal(recorder.events.at(-1), 'error enhanceYourCalm: too many answers wait to be read')
      assert(recorder.session.out.length < 20_000)
    }
  })

  it('has no more requests answered, whose heads are written all the same', () => {
    const recorder = serving({}, ({ send }) => ({ onHead: ({ id }) => send.call(recorder, id, ok, true) }))
    recorder.takes = false
    recorder.session.isBlocked = true
    for (let i = 0; i < 1000; i++) recorder.read(headers(2 * i + 1, get, END_STREAM))
    assert.equal(recorder.session.isGoingAway, false)
    recorder.read(headers(2001, get, END_STREAM))
    assert.equal(recorder.events.at(-1), 'error enhanceYourCalm: too many answers wait to be read')
  })

  it('may go on when it has read', () => {
    const recorder = serving()
    for (let i = 0; i < 5; i++) {
      recorder.session.isBlocked = true
      for (let k = 0; k < 900; k++) recorder.read(frame('PING', 0, 0, '12345678'))
      recorder.session.isBlocked = false
    }
    assert.equal(recorder.session.isGoingAway, false)
  })

  it('or never opens a window holds what its owner let it hold, and nothing more', () => {
    const recorder = serving()
    recorder.read(settings([4, 0]))
    const body = Buffer.alloc(10_000)
    for (let id = 1; id < 257; id += 2) {
      recorder.read(headers(id, get, END_STREAM))
      recorder.send(id, ok)
      recorder.sendData(id, body, true)
    }
    recorder.flush()
    for (let i = 0; i < 10_000; i++) recorder.read(windowUpdate(0, 1))
    let held = 0
    for (const stream of recorder.session.streams.values()) held += stream.queue?.length ?? 0
    assert.equal(held, 128 * body.length)
    assert.equal(recorder.session.out.length, 0)
  })
})

describe('a frame that never ends', () => {
  it('holds at most its own length', () => {
    const recorder = serving()
    recorder.read(frame('HEADERS', END_HEADERS, 1, Buffer.alloc(16_384)).subarray(0, 16_000))
    recorder.read(frame('GOAWAY', 0, 0, Buffer.alloc(16_384)).subarray(0, 100))
    assert.deepEqual(recorder.events, [])
  })
})

it('the last stream number there is, 2^31 - 1, is a stream as any other', () => {
  const recorder = serving()
  recorder.read(headers(2 ** 31 - 1, get, END_STREAM))
  assert.equal(recorder.session.streams.get(2 ** 31 - 1)?.hasEnded, true)
  recorder.send(2 ** 31 - 1, ok, true)
  assert.equal(recorder.sent.at(-1), `HEADERS ${2 ** 31 - 1} end :status=200`)
})
