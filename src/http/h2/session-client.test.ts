/** A session in client role, and what it makes of whatever a target sends. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type Act,
  data,
  END_HEADERS,
  END_STREAM,
  frame,
  get,
  goAway,
  headers,
  ok,
  Recorder,
  rstStream,
  settings,
  u32,
  windowUpdate,
} from '../../../test/support/h2-frames.ts'
import type { H2Bounds } from './handler.ts'

const begun = ['SETTINGS 2=0 4=65536', 'WINDOW_UPDATE 0 2147418112', 'SETTINGS ack']

/** A session that has begun and asked for so much. */
function asking(requests: number, bounds: Partial<H2Bounds> = {}, act?: (recorder: Recorder) => Act): Recorder {
  const recorder = new Recorder('client', act, bounds)
  begin(recorder)
  recorder.read(settings())
  for (let i = 0; i < requests; i++) ask(recorder, true)
  return recorder
}

/** The preface is no frame. */
function begin(recorder: Recorder): void {
  const { session } = recorder
  recorder.takes = false
  session.begin()
  const { out } = session
  assert.equal(out.bytes.toString('latin1', 0, 24), 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  out.bytes.copyWithin(0, 24, out.length)
  out.length -= 24
  recorder.take()
  recorder.takes = true
}

function ask(recorder: Recorder, isEnd: boolean): number {
  const stream = recorder.session.openStream()
  assert.notEqual(stream, null)
  recorder.send(stream!.id, get, isEnd)
  return stream!.id
}

/** Reads the bytes whole, and again byte by byte. */
function holds(bytes: readonly Buffer[], events: readonly string[], act?: (recorder: Recorder) => Act): void {
  const whole = Buffer.concat(bytes)
  for (const cuts of [[], [...whole.keys()].slice(1)]) {
    const recorder = asking(2, {}, act)
    recorder.read(whole, cuts)
    assert.deepEqual(recorder.events, events)
  }
}

describe('a client', () => {
  it('begins with the preface, takes no pushed streams, and asks', () => {
    const recorder = asking(1)
    assert.deepEqual(recorder.sent, [...begun, 'HEADERS 1 end :method=GET :scheme=https :authority=a :path=/'])
  })

  it('reads responses: interim heads, a head, data, trailers', () => {
    holds(
      [
        headers(1, [
          [':status', '103'],
          ['link', 'x'],
        ]),
        headers(3, ok),
        headers(1, [[':status', '100']]),
        headers(1, [
          [':status', '404'],
          ['content-length', '5'],
        ]),
        data(1, 'hel'),
        data(3, 'x', END_STREAM),
        data(1, 'lo'),
        headers(1, [['grpc-status', '0']], END_STREAM),
      ],
      [
        'head 1 :status=103 link=x',
        'head 3 :status=200',
        'head 1 :status=100',
        'head 1 :status=404 content-length=5',
        'data 1 hel',
        'data 3 x end',
        'data 1 lo',
        'trailers 1 grpc-status=0',
      ],
    )
  })

  it('is done with a stream when both sides are', () => {
    const recorder = asking(1)
    ask(recorder, false)
    recorder.read(Buffer.concat([headers(1, ok, END_STREAM), headers(3, ok, END_STREAM)]))
    assert.deepEqual([...recorder.session.streams.keys()], [3])
    recorder.sendData(3, 'x', true)
    assert.equal(recorder.session.streams.size, 0)
  })

  it('knows responses that have no data whatever their length says', () => {
    const recorder = asking(3)
    recorder.stream(5).answersHead = true
    recorder.read(
      Buffer.concat([
        headers(
          1,
          [
            [':status', '304'],
            ['content-length', '5'],
          ],
          END_STREAM,
        ),
        headers(
          3,
          [
            [':status', '204'],
            ['content-length', '5'],
          ],
          END_STREAM,
        ),
        headers(
          5,
          [
            [':status', '200'],
            ['content-length', '5'],
          ],
          END_STREAM,
        ),
      ]),
    )
    assert.deepEqual(
      recorder.events.filter(event => event.startsWith('reset')),
      [],
    )
    assert.equal(recorder.session.streams.size, 0)
  })

  it('leaves a response that is too large to its owner', () => {
    const recorder = asking(1, { fieldBytesMax: 100 })
    recorder.read(headers(1, [...ok, ['a', 'b'.repeat(100)]], END_STREAM))
    assert.deepEqual(recorder.events, ['head 1 end :status=200 tooLarge: a field is too long'])
  })

  for (const [text, fields, isEnd] of [
    ['a response must have :status', [['a', 'b']], false],
    ['a response must have no pseudo-header but :status', [...ok, [':path', '/']], false],
    ['a pseudo-header must have a valid value', [[':status', '101']], false],
    ['an interim response must not end the stream', [[':status', '103']], true],
    ['content-length must be the length of the data', [...ok, ['content-length', '5']], true],
    ['a field about the connection has no place here', [...ok, ['connection', 'close']], false],
  ] as const) {
    it(`resets a stream with a malformed response: ${text}`, () => {
      const recorder = asking(2)
      recorder.read(Buffer.concat([headers(1, fields, isEnd ? END_STREAM : 0), headers(3, ok, END_STREAM)]))
      assert.equal(recorder.events[0]?.endsWith(`malformed: ${text}`), true)
      assert.deepEqual(recorder.events.slice(1), [`reset 1 protocolError ${text}`, 'head 3 end :status=200'])
      assert.equal(recorder.sent.at(-1), 'RST_STREAM 1 protocolError')
    })
  }

  it('resets a stream whose data comes before its head', () => {
    holds(
      [headers(1, [[':status', '100']]), data(1, 'x'), headers(3, ok)],
      ['head 1 :status=100', 'reset 1 protocolError a stream must begin with a head', 'head 3 :status=200'],
    )
  })

  it('is told of resets', () => {
    holds(
      [rstStream(1, 7), headers(3, ok, END_STREAM), rstStream(3, 0)],
      ['reset 1 refusedStream by peer', 'head 3 end :status=200'],
    )
  })

  it('passes over what comes for streams that are gone', () => {
    holds(
      [
        headers(1, ok, END_STREAM),
        headers(3, [[':status', '103']]),
        headers(3, ok),
        data(3, 'x'),
        headers(3, [['a', 'b']], END_STREAM),
        rstStream(3, 8),
      ],
      ['head 1 end :status=200', 'head 3 :status=103'],
      ({ session }) => ({ onHead: stream => session.reset(stream, 8) }),
    )
  })

  it('does not take a head that is long late for a fault, however many streams have closed since', () => {
    const recorder = asking(0)
    for (let i = 0; i < 300; i++) recorder.session.reset(recorder.stream(ask(recorder, true)), 8)
    recorder.read(headers(1, ok, END_STREAM))
    assert.deepEqual(recorder.events, [])
  })

  for (const [what, bytes, error] of [
    ['a head on a stream that nobody opened', headers(5, ok), 'protocolError: a stream must begin with a head'],
    ['a head on a stream of the target', headers(2, ok), 'protocolError: a stream must begin with a head'],
    ['data on a stream that nobody opened', data(5, 'x'), 'protocolError: a stream must begin with a head'],
    ['a pushed stream', frame('PUSH_PROMISE', END_HEADERS, 1, u32(2)), 'protocolError: nothing must be pushed'],
    ['a wish to push', settings([2, 1]), 'protocolError: a setting must have a value that it may have'],
  ] as const) {
    it(`ends the session over ${what}`, () => {
      const recorder = asking(0)
      recorder.read(bytes)
      assert.deepEqual(recorder.events, [`error ${error}`])
      assert.equal(recorder.sent.at(-1), 'GOAWAY 0 protocolError')
    })
  }

  it('ends the session over anything but SETTINGS first', () => {
    const recorder = new Recorder('client')
    begin(recorder)
    ask(recorder, true)
    recorder.read(headers(1, ok))
    assert.deepEqual(recorder.events, ['reset 1 protocolError', 'error protocolError: SETTINGS must come first'])
  })
})

describe('streams are opened', () => {
  it('as many as the target takes, and as the bounds allow', () => {
    const recorder = asking(0, { streamsMax: 3 })
    const { session } = recorder
    assert.equal(session.peerMaxConcurrentStreams, 100)
    for (let i = 0; i < 3; i++) ask(recorder, true)
    assert.equal(session.openStream(), null)
    recorder.read(settings([3, 2]))
    assert.equal(session.peerMaxConcurrentStreams, 2)
    recorder.read(headers(1, ok, END_STREAM))
    assert.equal(session.openStream(), null)
    recorder.read(headers(3, ok, END_STREAM))
    assert.equal(ask(recorder, true), 7)
    assert.equal(session.streamsBegun, 4)
  })

  it('until the target goes away: those that it did not see may be tried elsewhere', () => {
    const recorder = asking(3)
    recorder.read(goAway(3, 0))
    assert.deepEqual(recorder.events, ['goaway 3 noError', 'reset 5 refusedStream by peer'])
    assert.equal(recorder.session.openStream(), null)
    assert.equal(recorder.session.isGoingAway, true)
    recorder.read(Buffer.concat([headers(1, ok, END_STREAM), goAway(1, 0), headers(5, ok)]))
    assert.deepEqual(recorder.events.slice(2), [
      'head 1 end :status=200',
      'goaway 1 noError',
      'reset 3 refusedStream by peer',
    ])
  })

  it('until we go away', () => {
    const recorder = asking(1)
    recorder.session.goAway(0)
    assert.equal(recorder.session.openStream(), null)
    assert.equal(recorder.sent.at(-1), 'GOAWAY 0 noError')
    recorder.read(headers(1, ok, END_STREAM))
    assert.equal(recorder.events.at(-1), 'head 1 end :status=200')
  })

  it('and given up without a word before their head was sent', () => {
    const recorder = asking(0)
    const stream = recorder.session.openStream()!
    recorder.session.reset(stream, 8)
    assert.deepEqual(recorder.sent, begun)
    assert.equal(ask(recorder, true), 3)
  })

  it('and are nothing to the target before their head was sent', () => {
    for (const bytes of [headers(1, ok), data(1, 'x'), rstStream(1, 8)]) {
      const recorder = asking(0)
      recorder.session.openStream()
      recorder.read(bytes)
      assert.deepEqual(recorder.events, [
        'reset 1 protocolError',
        'error protocolError: a stream must begin with a head',
      ])
    }
  })

  it('one after the other, since a head with a lower number is none', () => {
    const { session } = asking(0)
    const first = session.openStream()!
    assert.throws(() => session.openStream(), /a head is sent before another stream is opened/)
    session.reset(first, 8)
    assert.notEqual(session.openStream(), null)
  })

  it('by clients only', () => {
    assert.throws(() => new Recorder('server').session.openStream(), /only clients open streams/)
  })
})

describe('a request body', () => {
  it('waits for the windows of the target', () => {
    const recorder = asking(0)
    recorder.read(settings([4, 5]))
    ask(recorder, false)
    recorder.sendData(1, 'hello, world', true)
    assert.equal(recorder.sent.at(-1), 'DATA 1 "hello"')
    recorder.read(windowUpdate(1, 100))
    assert.equal(recorder.sent.at(-1), 'DATA 1 end ", world"')
    assert.deepEqual(recorder.events, ['drained 1'])
  })

  it('is over when the target has answered and says to stop', () => {
    const recorder = asking(0)
    ask(recorder, false)
    recorder.read(Buffer.concat([headers(1, ok, END_STREAM), rstStream(1, 0)]))
    assert.deepEqual(recorder.events, ['head 1 end :status=200', 'reset 1 noError by peer'])
  })
})
