/** What a session sends, and when: windows, turns, a socket that is full. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  data,
  END_STREAM,
  type Fields,
  get,
  headers,
  hello,
  ok,
  post,
  Recorder,
  rstStream,
  settings,
  windowUpdate,
} from '../../../test/support/h2-frames.ts'
import type { H2Bounds } from './handler.ts'

/** A session that has begun, with so many requests. */
function serving(requests: number, bounds: Partial<H2Bounds> = {}): Recorder {
  const recorder = new Recorder('server', undefined, bounds)
  recorder.session.begin()
  recorder.read(hello)
  for (let i = 0; i < requests; i++) recorder.read(headers(2 * i + 1, get, END_STREAM))
  recorder.flush()
  recorder.events.length = 0
  recorder.sent.length = 0
  return recorder
}

/** What was sent since the last time. */
function news(recorder: Recorder): readonly string[] {
  recorder.flush()
  return recorder.sent.splice(0)
}

describe('a response', () => {
  it('leaves at once, and its end closes the stream', () => {
    const recorder = serving(1)
    const stream = recorder.stream(1)
    recorder.send(1, [[':status', '103']])
    recorder.send(1, ok)
    recorder.sendData(1, '')
    recorder.sendData(1, 'hello')
    assert.equal(stream.isClosed, false)
    recorder.sendData(1, '', true)
    assert.deepEqual([stream.isClosed, stream.isLocalEnded, stream.isCongested], [true, true, false])
    assert.deepEqual(news(recorder), [
      'HEADERS 1 :status=103',
      'HEADERS 1 :status=200',
      'DATA 1 "hello"',
      'DATA 1 end ""',
    ])
    assert.equal(recorder.session.streams.size, 0)
    assert.deepEqual(recorder.events, [])
  })

  it('may end with its head, or with trailers', () => {
    const recorder = serving(2)
    recorder.send(1, ok, true)
    recorder.send(3, ok)
    recorder.sendData(3, 'x')
    recorder.send(3, [['grpc-status', '0']], true)
    assert.deepEqual(news(recorder), [
      'HEADERS 1 end :status=200',
      'HEADERS 3 :status=200',
      'DATA 3 "x"',
      'HEADERS 3 end grpc-status=0',
    ])
  })

  it('keeps its stream open until the request has ended, too', () => {
    const recorder = serving(0)
    recorder.read(headers(1, post))
    const stream = recorder.stream(1)
    recorder.send(1, ok, true)
    assert.equal(stream.isClosed, false)
    recorder.read(data(1, 'x', END_STREAM))
    assert.equal(stream.isClosed, true)
  })

  it('has a large body in frames of 16 K, and many fields in as many frames as they need', () => {
    const recorder = serving(1)
    const many: Fields = [...ok, ...Array.from({ length: 40 }, (_, i) => [`n${i}`, `${i}`.repeat(500)] as const)]
    recorder.send(1, many)
    recorder.sendData(1, Buffer.alloc(40_000), true)
    const [head, next, last, ...bodies] = news(recorder)
    assert.equal(head, 'HEADERS 1 …')
    assert.equal(next, 'CONTINUATION 1 …')
    const told = many.map(([name, value]) => `${name}=${value}`).join(' ')
    assert.equal(last, `CONTINUATION 1 ${told}`)
    assert.deepEqual(bodies, ['DATA 1 16384 bytes', 'DATA 1 16384 bytes', 'DATA 1 end 7232 bytes'])
    recorder.read(headers(3, get, END_STREAM))
    recorder.send(3, many, true)
    assert.deepEqual(
      news(recorder).map(line => line.slice(0, 18)),
      ['HEADERS 3 end …', 'CONTINUATION 3 …', 'CONTINUATION 3 :st'],
    )
  })

  it('is over when it is: whoever sends more has made a mistake', () => {
    const over = /nothing is sent on a stream after its end/
    for (const end of [
      (recorder: Recorder) => recorder.send(1, ok, true),
      (recorder: Recorder) => recorder.sendData(1, 'x', true),
      (recorder: Recorder) => recorder.sendData(1, Buffer.alloc(70_000), true),
    ]) {
      const recorder = serving(0)
      recorder.read(headers(1, post))
      end(recorder)
      assert.throws(() => recorder.sendData(1, 'x'), over)
      assert.throws(() => recorder.send(1, ok), over)
    }
  })

  it('has no head behind data that waits', () => {
    const recorder = serving(1)
    recorder.sendData(1, Buffer.alloc(70_000))
    assert.throws(() => recorder.send(1, ok), /only trailers follow data/)
  })

  it('to a client with a smaller table says once that none is used, with the next fields that leave', () => {
    const recorder = serving(2)
    const sizeOfHead = (id: number) => {
      const size = recorder.sentBytes
      recorder.send(id, [['a', 'b']])
      recorder.flush()
      return recorder.sentBytes - size
    }
    const usual = headers(1, [['a', 'b']]).length
    recorder.read(settings([1, 4096], [1, 65_536]))
    assert.equal(sizeOfHead(1), usual)
    recorder.read(settings([1, 4095]))
    recorder.read(settings([1, 0], [1, 4096]))
    assert.equal(sizeOfHead(1), usual + 1)
    recorder.read(settings([1, 0]))
    assert.equal(sizeOfHead(3), usual)
    assert.deepEqual(
      news(recorder).filter(line => line.startsWith('HEADERS')),
      ['HEADERS 1 a=b', 'HEADERS 1 a=b', 'HEADERS 3 a=b'],
    )
  })

  it('has room, however full it is where its frames are put together', () => {
    for (const settled of [[], ['SETTINGS ack']]) {
      for (let size = 460; size < 520; size++) {
        const recorder = serving(1)
        recorder.takes = false
        // A size of the table that is owed is one byte more.
        if (settled.length > 0) recorder.read(settings([1, 0]))
        recorder.sendData(1, Buffer.alloc(size))
        recorder.session.beginHead()
        recorder.session.endHead(recorder.stream(1), true)
        assert.deepEqual(news(recorder), [...settled, `DATA 1 ${size} bytes`, 'HEADERS 1 end '])
      }
    }
  })
})

describe('data beyond a window', () => {
  it('waits with its stream until that is widened, and leaves piece by piece', () => {
    const recorder = serving(1)
    recorder.read(settings([4, 3]))
    const stream = recorder.stream(1)
    recorder.send(1, ok)
    recorder.sendData(1, 'hello')
    assert.equal(stream.isCongested, true)
    recorder.sendData(1, ', world', true)
    assert.deepEqual(news(recorder), ['SETTINGS ack', 'HEADERS 1 :status=200', 'DATA 1 "hel"'])
    recorder.read(windowUpdate(1, 4))
    assert.deepEqual(news(recorder), ['DATA 1 "lo, "'])
    assert.deepEqual(recorder.events, [])
    recorder.read(windowUpdate(1, 4))
    assert.deepEqual(news(recorder), ['DATA 1 "worl"'])
    assert.equal(stream.isClosed, false)
    recorder.read(windowUpdate(1, 1))
    assert.deepEqual(news(recorder), ['DATA 1 end "d"'])
    assert.deepEqual(recorder.events, ['drained 1'])
    assert.deepEqual([stream.isClosed, stream.isCongested], [true, false])
  })

  it('holds back trailers, but no end that has no data', () => {
    const recorder = serving(2)
    recorder.read(settings([4, 0]))
    recorder.send(1, ok)
    recorder.sendData(1, 'x')
    recorder.send(1, [['a', 'b']], true)
    recorder.send(3, ok)
    recorder.sendData(3, '', true)
    assert.deepEqual(news(recorder).slice(1), ['HEADERS 1 :status=200', 'HEADERS 3 :status=200', 'DATA 3 end ""'])
    recorder.read(windowUpdate(1, 1))
    assert.deepEqual(news(recorder), ['DATA 1 "x"', 'HEADERS 1 end a=b'])
    assert.deepEqual(recorder.events, ['drained 1'])
    assert.equal(recorder.session.streams.size, 0)
  })

  it('of the whole connection waits too, and streams take turns', () => {
    const recorder = serving(3)
    for (const id of [1, 3, 5]) {
      recorder.send(id, ok)
      recorder.sendData(id, Buffer.alloc(60_000), true)
    }
    assert.equal(recorder.stream(3).isCongested, true)
    news(recorder)
    recorder.read(windowUpdate(0, 60_000))
    assert.deepEqual(news(recorder), [
      'DATA 3 16384 bytes',
      'DATA 3 16384 bytes',
      'DATA 5 16384 bytes',
      'DATA 5 10848 bytes',
    ])
    recorder.read(windowUpdate(0, 100_000))
    assert.deepEqual(news(recorder), [
      'DATA 3 16384 bytes',
      'DATA 3 end 5313 bytes',
      'DATA 5 16384 bytes',
      'DATA 5 end 16384 bytes',
    ])
    assert.deepEqual(recorder.events, ['drained 3', 'drained 5'])
  })

  it('may come to less than nothing, and is then more than nothing again', () => {
    const recorder = serving(1)
    recorder.read(settings([4, 5]))
    recorder.send(1, ok)
    recorder.sendData(1, 'hello, world', true)
    recorder.read(settings([4, 1]))
    assert.equal(recorder.stream(1).sendWindow, -4)
    recorder.read(windowUpdate(1, 4))
    assert.equal(news(recorder).filter(line => line.startsWith('DATA')).length, 1)
    recorder.read(settings([4, 3], [4, 4]))
    assert.deepEqual(news(recorder), ['SETTINGS ack', 'DATA 1 ", w"'])
    recorder.read(settings([4, 1000]))
    assert.deepEqual(news(recorder), ['SETTINGS ack', 'DATA 1 end "orld"'])
  })

  it('may be ended by nothing while the window is less than nothing', () => {
    const recorder = serving(1)
    recorder.read(settings([4, 5]))
    recorder.send(1, ok)
    recorder.sendData(1, 'hello')
    recorder.read(settings([4, 1]))
    recorder.sendData(1, '', true)
    assert.equal(news(recorder).at(-1), 'DATA 1 end ""')
  })

  it('is for new streams what settings say, and for open ones what they change', () => {
    const recorder = serving(1)
    recorder.send(1, ok)
    recorder.sendData(1, 'hello')
    recorder.read(settings([4, 100]))
    recorder.read(headers(3, get, END_STREAM))
    assert.deepEqual([recorder.stream(1).sendWindow, recorder.stream(3).sendWindow], [95, 100])
  })

  for (const [what, bytes, events] of [
    [
      'a window of 2^31 for a stream is its end',
      windowUpdate(1, 2 ** 31 - 65_535),
      ['reset 1 flowControlError a window must stay below 2^31 bytes'],
    ],
    [
      'a stream that is widened by nothing is reset',
      windowUpdate(1, 0),
      ['reset 1 protocolError a window must be widened by at least one byte'],
    ],
  ] as const) {
    it(what, () => {
      const recorder = serving(2)
      recorder.read(bytes)
      assert.deepEqual(recorder.events, events)
      assert.equal(recorder.session.streams.size, 1)
    })
  }

  it('settings that make a window of 2^31 end the session', () => {
    const recorder = serving(1)
    recorder.read(windowUpdate(1, 2 ** 31 - 1 - 65_535))
    recorder.read(settings([4, 65_536]))
    assert.deepEqual(recorder.events, [
      'reset 1 flowControlError',
      'error flowControlError: a window must stay below 2^31 bytes',
    ])
  })
})

describe('a socket that holds enough', () => {
  it('gets heads, but no data until it is drained; then all in turn', () => {
    const recorder = serving(2)
    const { session } = recorder
    recorder.read(windowUpdate(0, 1_000_000))
    session.isBlocked = true
    for (const id of [1, 3]) {
      recorder.send(id, ok)
      recorder.sendData(id, Buffer.alloc(40_000), true)
    }
    recorder.take()
    assert.deepEqual(recorder.sent.splice(0), ['HEADERS 1 :status=200', 'HEADERS 3 :status=200'])
    assert.equal(session.isBlocked, true)
    session.isBlocked = false
    recorder.take()
    assert.deepEqual(recorder.sent, [
      'DATA 1 16384 bytes',
      'DATA 1 16384 bytes',
      'DATA 3 16384 bytes',
      'DATA 3 16384 bytes',
    ])
    assert.deepEqual(recorder.events, [])
    session.isBlocked = false
    assert.deepEqual(recorder.events, ['drained 1', 'drained 3'])
  })

  it('gets no more at once than the bound, and the rest when that was taken', () => {
    const recorder = serving(5, { outBytesMax: 20_000 })
    recorder.read(windowUpdate(0, 1_000_000))
    recorder.takes = false
    for (const id of [1, 3, 5, 7, 9]) recorder.sendData(id, Buffer.alloc(16_384), true)
    assert(recorder.session.out.length < 20_000 + 16_384 + 9)
    const sizes: number[] = []
    while (recorder.session.out.length > 0) {
      sizes.push(recorder.session.out.length)
      recorder.flush()
    }
    assert.deepEqual(sizes, [2 * 16_393, 2 * 16_393, 16_393])
    assert.deepEqual(recorder.events, ['drained 5', 'drained 7', 'drained 9'])
  })

  it('is told of once, until what is there was taken', () => {
    const recorder = serving(2)
    recorder.takes = false
    const before = recorder.told
    recorder.send(1, ok)
    recorder.sendData(1, 'x')
    recorder.send(3, ok)
    assert.equal(recorder.told - before, 1)
    recorder.take()
    recorder.sendData(1, 'y')
    recorder.sendData(1, 'z')
    assert.equal(recorder.told - before, 2)
  })
})

describe('what waits is dropped', () => {
  it('when the client resets its stream', () => {
    const recorder = serving(2)
    recorder.read(settings([4, 0]))
    for (const id of [1, 3]) recorder.sendData(id, 'hello', true)
    recorder.read(rstStream(1, 8))
    recorder.read(settings([4, 100]))
    assert.deepEqual(recorder.events, ['reset 1 cancel by peer', 'drained 3'])
    assert.deepEqual(
      news(recorder).filter(line => line.startsWith('DATA')),
      ['DATA 3 end "hello"'],
    )
  })

  it('when the owner does, who is told nothing', () => {
    const recorder = serving(2)
    recorder.read(settings([4, 0]))
    for (const id of [1, 3]) recorder.sendData(id, 'hello')
    const stream = recorder.stream(3)
    recorder.session.reset(stream, 2)
    recorder.session.reset(stream, 2)
    assert.deepEqual([stream.isClosed, stream.isCongested], [true, false])
    recorder.session.sendData(stream, Buffer.from('x'), 0, 1, true)
    recorder.read(settings([4, 100]))
    assert.deepEqual(recorder.events, ['drained 1'])
    assert.deepEqual(news(recorder).slice(1), ['RST_STREAM 3 internalError', 'SETTINGS ack', 'DATA 1 "hello"'])
  })

  it('and what is sent in answer to being drained, waits in turn', () => {
    let rounds = 0
    const recorder = new Recorder('server', ({ session }) => ({
      onStreamDrained(stream) {
        if (rounds++ < 3) session.sendData(stream, Buffer.from('again'), 0, 5, false)
      },
    }))
    recorder.session.begin()
    recorder.read(Buffer.concat([hello, settings([4, 1]), headers(1, get, END_STREAM)]))
    recorder.sendData(1, 'once')
    for (let i = 0; i < 18; i++) recorder.read(windowUpdate(1, 1))
    assert.equal(rounds, 4)
    assert.equal(recorder.stream(1).isCongested, false)
  })
})

describe('the client may send more', () => {
  const half = Buffer.alloc(16_384)

  /** Reads until the client has sent so much on a stream. */
  function upload(recorder: Recorder, id: number, size: number): void {
    for (let left = size; left > 0; left -= half.length) recorder.read(data(id, half.subarray(0, left)))
  }

  it('when half of a window was consumed, in one update', () => {
    const recorder = serving(0, { connectionWindowBytes: 200_000 })
    recorder.read(headers(1, post))
    upload(recorder, 1, 65_536)
    const stream = recorder.stream(1)
    recorder.session.consumed(stream, 32_767)
    assert.deepEqual(news(recorder), [])
    recorder.session.consumed(stream, 1)
    assert.deepEqual(news(recorder), ['WINDOW_UPDATE 1 32768'])
    recorder.session.consumed(stream, 32_768)
    assert.deepEqual(news(recorder), ['WINDOW_UPDATE 1 32768'])
    upload(recorder, 1, 65_536)
    assert.deepEqual(recorder.events.slice(2), [])
    recorder.session.consumed(stream, 34_464)
    assert.deepEqual(news(recorder), ['WINDOW_UPDATE 0 100000', 'WINDOW_UPDATE 1 34464'])
  })

  it('on the connection when a stream closes with data that nobody consumed', () => {
    const recorder = serving(0, { connectionWindowBytes: 100_000 })
    for (const id of [1, 3]) {
      recorder.read(headers(id, post))
      upload(recorder, id, 40_000)
    }
    recorder.session.reset(recorder.stream(1), 8)
    assert.deepEqual(news(recorder), ['RST_STREAM 1 cancel'])
    recorder.read(rstStream(3, 8))
    assert.deepEqual(news(recorder), ['WINDOW_UPDATE 0 80000'])
  })

  it('on the connection after data for a stream that is gone, even from the middle of a frame', () => {
    const recorder = new Recorder('server', ({ session }) => ({ onData: stream => session.reset(stream, 8) }), {
      connectionWindowBytes: 65_535,
    })
    recorder.session.begin()
    recorder.read(Buffer.concat([hello, headers(1, post)]))
    for (let i = 0; i < 3; i++) recorder.read(data(1, half), [100, 200])
    recorder.flush()
    assert.deepEqual(recorder.sent.slice(2), ['RST_STREAM 1 cancel', 'WINDOW_UPDATE 0 32768'])
    assert.deepEqual(recorder.events.slice(1), [`data 1 ${'\0'.repeat(91)}`])
  })

  it('as much again as was padding', () => {
    const recorder = serving(0)
    recorder.read(headers(1, post))
    for (let i = 0; i < 200; i++) recorder.read(data(1, Buffer.alloc(256, 0xff), 8))
    assert.deepEqual(news(recorder), ['WINDOW_UPDATE 1 32768'])
    assert.equal(recorder.stream(1).unconsumed, 0)
  })

  it('no more on a stream that it has ended', () => {
    const recorder = serving(0)
    recorder.read(headers(1, post))
    upload(recorder, 1, 65_536)
    recorder.read(data(1, '', END_STREAM))
    recorder.session.consumed(recorder.stream(1), 65_536)
    assert.deepEqual(news(recorder), [])
  })

  it('than a stream allows is the end of the stream', () => {
    const recorder = serving(0)
    recorder.read(headers(1, post))
    upload(recorder, 1, 65_536)
    recorder.read(data(1, ''))
    recorder.read(data(1, 'x'))
    assert.deepEqual(recorder.events.slice(2), [
      'reset 1 flowControlError no more data must be sent than the stream allows',
    ])
    assert.deepEqual(news(recorder), ['RST_STREAM 1 flowControlError'])
  })

  it('than the connection allows is the end of the session', () => {
    const recorder = serving(0, { connectionWindowBytes: 65_535 })
    recorder.read(headers(1, post))
    upload(recorder, 1, 65_535)
    recorder.read(data(1, 'x'))
    assert.deepEqual(recorder.events.slice(2), [
      'reset 1 flowControlError',
      'error flowControlError: no more data must be sent than the connection allows',
    ])
  })

  it('nothing that was not there can be consumed', () => {
    const recorder = serving(0)
    recorder.read(Buffer.concat([headers(1, post), data(1, 'hello')]))
    const stream = recorder.stream(1)
    assert.throws(() => recorder.session.consumed(stream, 6), /no more is consumed than came/)
  })
})
