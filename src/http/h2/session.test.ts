/** What a session in server role makes of whatever a client sends; every transcript is read whole and cut everywhere. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  ACK,
  type Act,
  data,
  END_HEADERS,
  END_STREAM,
  type Fields,
  frame,
  get,
  goAway,
  headers,
  hello,
  literals,
  PADDED,
  PRIORITY,
  padded,
  post,
  preface,
  Recorder,
  rstStream,
  settings,
  u32,
  windowUpdate,
} from '../../../test/support/h2-frames.ts'
import type { H2Bounds } from './handler.ts'

type Case = {
  readonly bytes: readonly Buffer[]
  readonly events: readonly string[]
  /** Behind what every session begins with, and the acknowledgement of the first SETTINGS. */
  readonly sent?: readonly string[]
  readonly act?: (recorder: Recorder) => Act
  readonly bounds?: Partial<H2Bounds>
}

/** Data is consumed as it comes. */
function consuming({ session }: Recorder): Act {
  return { onData: (stream, _bytes, from, to) => session.consumed(stream, to - from) }
}

function run({ bytes, act = consuming, bounds = {} }: Case, cuts: readonly number[]): Recorder {
  const recorder = new Recorder('server', act, bounds)
  recorder.session.begin()
  recorder.read(Buffer.concat(bytes), cuts)
  recorder.flush()
  return recorder
}

const begun = ['SETTINGS 3=128 4=65536', 'WINDOW_UPDATE 0 2147418112', 'SETTINGS ack']

function holds(test: Case): void {
  const whole = run(test, [])
  assert.deepEqual(whole.events, test.events)
  if (test.sent !== undefined) assert.deepEqual(whole.sent.slice(begun.length), test.sent)
  const { length } = Buffer.concat(test.bytes)
  const everywhere = [...Array(length).keys()].slice(1)
  for (const cuts of [everywhere, ...everywhere.map(cut => [cut])]) {
    const again = run(test, cuts)
    assert.deepEqual(again.events, whole.events, `cut at ${cuts}`)
    assert.deepEqual(again.sent, whole.sent, `cut at ${cuts}`)
  }
}

const getLine = ':method=GET :scheme=https :authority=a :path=/'
const postLine = ':method=POST :scheme=https :authority=a :path=/'
const request = headers(1, get, END_STREAM)
const upload = headers(1, post)

describe('a session begins', () => {
  it('with the settings of a server, and acknowledges those of the client', () => {
    assert.deepEqual(run({ bytes: [hello], events: [] }, []).sent, begun)
    holds({ bytes: [preface, settings([1, 100], [2, 0], [3, 7], [5, 16_384], [99, 1])], events: [], sent: [] })
  })

  const broken: readonly (readonly [string, Buffer, string])[] = [
    ['no preface', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'a client must begin with the preface of HTTP/2'],
    [
      'a preface that is wrong at its end',
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\n'),
      'a client must begin with the preface of HTTP/2',
    ],
    ['another frame than SETTINGS', Buffer.concat([preface, request]), 'SETTINGS must come first'],
    ['SETTINGS that only acknowledge', Buffer.concat([preface, frame('SETTINGS', ACK, 0)]), 'SETTINGS must come first'],
  ]
  for (const [what, bytes, text] of broken) {
    it(`and ends at once with ${what}`, () => {
      holds({ bytes: [bytes], events: [`error protocolError: ${text}`] })
    })
  }
})

describe('a request', () => {
  it('is told of with its fields', () => {
    holds({ bytes: [hello, request], events: [`head 1 end ${getLine}`], sent: [] })
  })

  it('is told of piece by piece', () => {
    const bytes = [hello, upload, data(1, 'he'), data(1, ''), data(1, 'llo'), headers(1, [['a', 'b']], END_STREAM)]
    holds({ bytes, events: [`head 1 ${postLine}`, 'data 1 hello', 'trailers 1 a=b'], sent: [] })
  })

  it('may end with data, or without any more', () => {
    holds({
      bytes: [hello, upload, data(1, 'hello', END_STREAM), headers(3, post), data(3, '', END_STREAM)],
      events: [`head 1 ${postLine}`, 'data 1 hello end', `head 3 ${postLine}`, 'data 3  end'],
      sent: [],
    })
  })

  it('may be padded and have a priority', () => {
    const prioritized = Buffer.concat([u32(0x80000003), Buffer.of(255), literals(post)])
    holds({
      bytes: [
        hello,
        padded('HEADERS', END_HEADERS | PRIORITY, 1, prioritized, 7),
        padded('DATA', 0, 1, 'hel', 255),
        padded('DATA', 0, 1, '', 3),
        padded('DATA', END_STREAM, 1, 'lo', 9),
        padded('HEADERS', END_HEADERS | END_STREAM, 3, literals(get), 0),
        headers(5, post),
        padded('DATA', END_STREAM, 5, '', 5),
      ],
      events: [`head 1 ${postLine}`, 'data 1 hello end', `head 3 end ${getLine}`, `head 5 ${postLine}`, 'data 5  end'],
      sent: [],
    })
  })

  it('may have its fields in many frames, empty ones among them', () => {
    const block = literals(get)
    holds({
      bytes: [
        hello,
        frame('HEADERS', END_STREAM, 1, ''),
        frame('CONTINUATION', 0, 1, block.subarray(0, 5)),
        frame('CONTINUATION', 0, 1, ''),
        frame('CONTINUATION', END_HEADERS, 1, block.subarray(5)),
        frame('HEADERS', 0, 3, block.subarray(0, 1)),
        frame('CONTINUATION', END_HEADERS, 3, block.subarray(1)),
      ],
      events: [`head 1 end ${getLine}`, `head 3 ${getLine}`],
      sent: [],
    })
  })

  it('may leave numbers out', () => {
    holds({ bytes: [hello, headers(7, get, END_STREAM)], events: [`head 7 end ${getLine}`], sent: [] })
  })

  it('is not disturbed by what means nothing: unknown frames, flags, reserved bits, priorities', () => {
    const reserved = Buffer.from(request)
    reserved[5] = 0x80
    reserved[4]! |= 0xd2 & ~PADDED & ~PRIORITY
    holds({
      bytes: [
        hello,
        frame(77, 255, 1, 'whatever'),
        frame(10, 0, 0, ''),
        frame('PRIORITY', 0, 1, Buffer.concat([u32(3), Buffer.of(1)])),
        frame('SETTINGS', ACK, 0),
        frame('PING', ACK, 0, '12345678'),
        goAway(0, 0),
        reserved,
      ],
      events: [`head 1 end ${getLine}`],
      sent: [],
    })
  })

  it('CONNECT has no path and no scheme', () => {
    const fields: Fields = [
      [':method', 'CONNECT'],
      [':authority', 'a:1'],
    ]
    holds({ bytes: [hello, headers(1, fields)], events: ['head 1 :method=CONNECT :authority=a:1'], sent: [] })
  })

  it('that is too large is so first of all, even if what it must have is what was too large', () => {
    holds({
      bytes: [hello, headers(1, [...get.slice(0, 3), [':path', `/${'a'.repeat(100)}`]], END_STREAM)],
      bounds: { fieldBytesMax: 100 },
      events: ['head 1 end :method=GET :scheme=https :authority=a tooLarge: a field is too long'],
      sent: [],
    })
  })

  it('that is too large is left to the owner, and the session goes on', () => {
    holds({
      bytes: [hello, headers(1, [...get, ['a', 'b'.repeat(100)]], END_STREAM), headers(3, get, END_STREAM)],
      bounds: { fieldBytesMax: 100 },
      events: [`head 1 end ${getLine} tooLarge: a field is too long`, `head 3 end ${getLine}`],
      sent: [],
    })
  })
})

describe('a malformed request is told of, reset, and leaves the others alone', () => {
  const cases: readonly (readonly [string, Fields])[] = [
    ['a field name must be a token in lower case', [...get, ['X-Test', 'ok']]],
    ['pseudo-headers must come first', [['x', 'y'], ...get]],
    ['a pseudo-header must not be repeated', [...get, [':path', '/']]],
    ['a pseudo-header must be one of those defined', [...get, [':test', 'ok']]],
    ['a pseudo-header must have a valid value', [...get.slice(0, 3), [':path', '']]],
    ['a request must not have :status', [...get, [':status', '200']]],
    ['a request must have :method', get.slice(1)],
    ['a request must have :scheme', get.filter(([name]) => name !== ':scheme')],
    ['a request must have :path', get.slice(0, 3)],
    ['a request must have :method', []],
    ['CONNECT must have neither :path nor :scheme', [[':method', 'CONNECT'], ...get.slice(1)]],
    [
      'CONNECT must have neither :path nor :scheme',
      [
        [':method', 'CONNECT'],
        [':authority', 'a'],
        [':path', '/'],
      ],
    ],
    [
      'CONNECT must have neither :path nor :scheme',
      [
        [':method', 'CONNECT'],
        [':authority', 'a'],
        [':scheme', 'https'],
      ],
    ],
    ['CONNECT must have :authority', [[':method', 'CONNECT']]],
    [
      'a request must have :scheme',
      [
        [':method', 'OPTIONS'],
        [':path', '*'],
      ],
    ],
    ['a field about the connection has no place here', [...get, ['connection', 'close']]],
    ['a field about the connection has no place here', [...get, ['te', 'trailers, deflate']]],
    ['content-length must be one decimal number', [...get, ['content-length', 'x']]],
    ['content-length must be the length of the data', [...get, ['content-length', '1']]],
  ]
  for (const [text, fields] of cases) {
    it(`${text}: ${fields.map(([name, value]) => `${name} ${value}`).join(', ')}`, () => {
      const recorder = run(
        { bytes: [hello, headers(1, fields, END_STREAM), headers(3, get, END_STREAM)], events: [] },
        [],
      )
      const [head, ...others] = recorder.events
      assert.match(head!, /^head 1 end /)
      assert.equal(head?.endsWith(` malformed: ${text}`), true)
      assert.deepEqual(others, [`reset 1 protocolError ${text}`, `head 3 end ${getLine}`])
      assert.deepEqual(recorder.sent.slice(begun.length), ['RST_STREAM 1 protocolError'])
    })
  }

  it('a stream must not depend on itself', () => {
    const payload = Buffer.concat([u32(1), Buffer.of(0), literals(get)])
    holds({
      bytes: [hello, frame('HEADERS', END_HEADERS | PRIORITY, 1, payload)],
      events: [
        `head 1 ${getLine} malformed: a stream must not depend on itself`,
        'reset 1 protocolError a stream must not depend on itself',
      ],
      sent: ['RST_STREAM 1 protocolError'],
    })
  })

  it('and the owner cannot answer it', () => {
    holds({
      bytes: [hello, headers(1, get.slice(1), END_STREAM)],
      act: ({ session }) => ({
        onHead(stream) {
          session.beginHead()
          session.endHead(stream, false)
          session.sendData(stream, Buffer.from('no'), 0, 2, true)
          session.reset(stream, 8)
          session.consumed(stream, 1)
        },
      }),
      events: [
        `head 1 end ${getLine.slice(12)} malformed: a request must have :method`,
        'reset 1 protocolError a request must have :method',
      ],
      sent: ['RST_STREAM 1 protocolError'],
    })
  })

  const lengths: readonly (readonly [string, readonly Buffer[], string])[] = [
    ['more data than said', [data(1, 'hell'), data(1, 'o!')], 'data 1 hell'],
    ['more data than said at its end', [data(1, 'hello!', END_STREAM)], ''],
    ['more data than said, padded', [padded('DATA', 0, 1, 'hello!', 4)], ''],
    ['less data than said', [data(1, 'hell', END_STREAM)], ''],
    ['less data than said, padded', [padded('DATA', END_STREAM, 1, 'hell', 4)], ''],
    ['no data at all', [data(1, '', END_STREAM)], ''],
    ['trailers before all data came', [data(1, 'hell'), headers(1, [['a', 'b']], END_STREAM)], 'data 1 hell'],
  ]
  for (const [what, frames, event] of lengths) {
    it(`content-length must be the length of the data: ${what}`, () => {
      const text = 'content-length must be the length of the data'
      holds({
        bytes: [hello, headers(1, [...post, ['content-length', '5']]), ...frames],
        events: [
          `head 1 ${postLine} content-length=5`,
          ...(event === '' ? [] : [event]),
          `reset 1 protocolError ${text}`,
        ],
        sent: ['RST_STREAM 1 protocolError'],
      })
    })
  }

  it('content-length may be the length of the data, however it comes', () => {
    holds({
      bytes: [
        hello,
        headers(1, [...post, ['content-length', '5']]),
        data(1, 'he'),
        padded('DATA', 0, 1, 'llo', 5),
        headers(1, [], END_STREAM),
        headers(3, [...get, ['content-length', '0']], END_STREAM),
      ],
      events: [
        `head 1 ${postLine} content-length=5`,
        'data 1 hello',
        'trailers 1 ',
        `head 3 end ${getLine} content-length=0`,
      ],
      sent: [],
    })
  })

  for (const [what, trailers, text] of [
    ['do not end the stream', headers(1, [['a', 'b']]), 'a second head must end the stream'],
    ['have pseudo-headers', headers(1, [[':method', 'POST']], END_STREAM), 'trailers must have no pseudo-headers'],
    ['have bad fields', headers(1, [['A', 'b']], END_STREAM), 'a field name must be a token in lower case'],
  ] as const) {
    it(`trailers that ${what}`, () => {
      holds({
        bytes: [hello, upload, data(1, 'x'), trailers],
        events: [`head 1 ${postLine}`, 'data 1 x', `reset 1 protocolError ${text}`],
        sent: ['RST_STREAM 1 protocolError'],
      })
    })
  }

  it('trailers that are too large are left to the owner', () => {
    holds({
      bytes: [hello, upload, headers(1, [['a', 'b'.repeat(100)]], END_STREAM)],
      bounds: { fieldBytesMax: 100 },
      events: [`head 1 ${postLine}`, 'trailers 1  tooLarge'],
      sent: [],
    })
  })
})

describe('a session ends when a frame is not as it must be', () => {
  const length = 'frameSizeError: a frame must have a length that its type allows'
  const place = 'protocolError: a frame must name a stream where its type does, and only there'
  const padding = 'protocolError: padding must be shorter than the frame'
  const self = 'protocolError: a stream must not depend on itself'
  const setting = 'protocolError: a setting must have a value that it may have'
  const window = 'flowControlError: a window must stay below 2^31 bytes'
  const increment = 'protocolError: a window must be widened by at least one byte'
  const push = 'protocolError: nothing must be pushed'
  const hpack = 'compressionError: a header block must be valid HPACK'
  const cases: readonly (readonly [string, Buffer, string])[] = [
    ['a frame of 16 K and one', frame(99, 0, 0, Buffer.alloc(16_385)), length],
    ['DATA on the connection', data(0, 'x'), place],
    ['HEADERS on the connection', headers(0, get), place],
    ['PRIORITY on the connection', frame('PRIORITY', 0, 0, Buffer.alloc(5)), place],
    ['RST_STREAM on the connection', rstStream(0, 0), place],
    ['SETTINGS on a stream', frame('SETTINGS', 0, 1), place],
    ['PING on a stream', frame('PING', 0, 1, '12345678'), place],
    ['GOAWAY on a stream', frame('GOAWAY', 0, 1, '12345678'), place],
    ['PRIORITY of 4 bytes', frame('PRIORITY', 0, 1, Buffer.alloc(4)), length],
    ['RST_STREAM of 3 bytes', frame('RST_STREAM', 0, 1, Buffer.alloc(3)), length],
    ['SETTINGS of 5 bytes', frame('SETTINGS', 0, 0, Buffer.alloc(5)), length],
    ['SETTINGS that acknowledge something', frame('SETTINGS', ACK, 0, Buffer.alloc(6)), length],
    ['PING of 6 bytes', frame('PING', 0, 0, '123456'), length],
    ['GOAWAY of 7 bytes', frame('GOAWAY', 0, 0, '1234567'), length],
    ['WINDOW_UPDATE of 3 bytes', frame('WINDOW_UPDATE', 0, 0, '123'), length],
    ['padded DATA without the length of the padding', frame('DATA', PADDED, 1), length],
    ['padded HEADERS without the length of the padding', frame('HEADERS', PADDED, 1), length],
    ['HEADERS with half a priority', frame('HEADERS', PRIORITY | PADDED, 1, Buffer.alloc(5)), length],
    ['HEADERS with more padding than frame', frame('HEADERS', PADDED | END_HEADERS, 1, Buffer.of(1)), padding],
    [
      'HEADERS with padding that eats the priority',
      frame('HEADERS', PADDED | PRIORITY, 1, '\x01123456'.slice(0, 6)),
      padding,
    ],
    ['a priority on itself', frame('PRIORITY', 0, 1, Buffer.concat([u32(1), Buffer.of(0)])), self],
    ['a setting of ENABLE_PUSH that is no boolean', settings([2, 2]), setting],
    ['a setting of MAX_FRAME_SIZE that is too small', settings([5, 16_383]), setting],
    ['a setting of MAX_FRAME_SIZE that is too large', settings([5, 2 ** 24]), setting],
    ['a setting of INITIAL_WINDOW_SIZE that is too large', settings([4, 2 ** 31]), window],
    ['a window of the connection that is too large', windowUpdate(0, 2 ** 31 - 65_535), window],
    ['a window that is widened by nothing', windowUpdate(0, 0), increment],
    ['PUSH_PROMISE', frame('PUSH_PROMISE', END_HEADERS, 1, u32(2)), push],
    ['a block that is no HPACK', frame('HEADERS', END_HEADERS, 1, Buffer.of(0x80)), hpack],
    [
      'a stream number that is even',
      headers(2, get),
      'protocolError: a new stream must have an odd number above those before',
    ],
  ]
  for (const [what, bytes, text] of cases) {
    it(what, () => {
      const recorder = run({ bytes: [hello, bytes, headers(3, get)], events: [] }, [])
      assert.deepEqual(recorder.events, [`error ${text}`])
      assert.equal(recorder.sent.at(-1), `GOAWAY 0 ${text.split(':')[0]}`)
      if (bytes.length < 100) holds({ bytes: [hello, bytes], events: [`error ${text}`] })
    })
  }

  const open = 'protocolError: a header block must be complete before anything else comes'
  const stray = 'protocolError: CONTINUATION must follow a header block that is not complete'
  const begun = frame('HEADERS', 0, 1, literals(get))
  const sequences: readonly (readonly [string, readonly Buffer[], readonly string[]])[] = [
    ['another frame within a header block', [begun, data(1, 'x')], [open]],
    ['a frame of no known type within a header block', [begun, frame(99, 0, 1)], [open]],
    ['another header block within a header block', [begun, headers(3, get)], [open]],
    ['CONTINUATION of another stream', [begun, frame('CONTINUATION', END_HEADERS, 3)], [open]],
    ['CONTINUATION on the connection', [begun, frame('CONTINUATION', END_HEADERS, 0)], [place]],
    ['CONTINUATION from nowhere', [frame('CONTINUATION', END_HEADERS, 1, literals(get))], [stray]],
  ]
  for (const [what, frames, [text]] of sequences) {
    it(what, () => {
      holds({ bytes: [hello, ...frames], events: [`error ${text}`] })
    })
  }

  it('and all open streams are told', () => {
    holds({
      bytes: [hello, upload, headers(3, get), headers(5, get, END_STREAM), data(0, 'x'), data(1, 'y')],
      events: [
        `head 1 ${postLine}`,
        `head 3 ${getLine}`,
        `head 5 end ${getLine}`,
        'reset 1 protocolError',
        'reset 3 protocolError',
        'reset 5 protocolError',
        `error ${place}`,
      ],
      sent: ['GOAWAY 5 protocolError'],
    })
  })

  it('or DATA has more padding than frame', () => {
    holds({
      bytes: [hello, upload, frame('DATA', PADDED, 1, Buffer.of(3, 0, 0))],
      events: [`head 1 ${postLine}`, 'reset 1 protocolError', `error ${padding}`],
    })
  })
})

describe('on a stream', () => {
  const closed = 'nothing must follow the end of a stream'
  const answering = ({ session }: Recorder): Act => ({
    onHead(stream) {
      session.beginHead()
      session.endHead(stream, true)
    },
  })
  const cancelling = ({ session }: Recorder): Act => ({ onHead: stream => session.reset(stream, 8) })
  const idle = 'error protocolError: a stream must begin with a head'

  for (const [what, bytes] of [
    ['DATA', data(1, 'x')],
    ['RST_STREAM', rstStream(1, 8)],
    ['WINDOW_UPDATE', windowUpdate(1, 1)],
    ['WINDOW_UPDATE of a number that is no client’s', windowUpdate(2, 1)],
  ] as const) {
    it(`that has not begun, ${what} ends the session`, () => {
      holds({ bytes: [hello, bytes], events: [idle] })
    })
  }

  it('that the client has ended, more of it is a stream error', () => {
    for (const more of [data(1, 'x'), headers(1, [['a', 'b']], END_STREAM)]) {
      holds({
        bytes: [hello, request, more, headers(3, get, END_STREAM)],
        events: [`head 1 end ${getLine}`, `reset 1 streamClosed ${closed}`, `head 3 end ${getLine}`],
        sent: ['RST_STREAM 1 streamClosed'],
      })
    }
  })

  it('that both sides have ended, data is answered with a reset and a head ends the session', () => {
    const head = `head 1 end ${getLine}`
    const bytes = [hello, request, data(1, 'x'), data(1, 'y')]
    const sent = ['HEADERS 1 end ', 'RST_STREAM 1 streamClosed', 'RST_STREAM 1 streamClosed']
    const act = answering
    holds({ bytes, act, events: [head], sent })
    holds({ bytes: [hello, request, request], act, events: [head, `error streamClosed: ${closed}`] })
  })

  it('that both sides have ended, what may still come is passed over', () => {
    const late = [windowUpdate(1, 5), windowUpdate(1, 0), rstStream(1, 8), frame('PRIORITY', 0, 1, Buffer.alloc(5))]
    holds({
      bytes: [hello, request, ...late],
      act: answering,
      events: [`head 1 end ${getLine}`],
      sent: ['HEADERS 1 end '],
    })
  })

  it('that the client has reset, more of it is answered with a reset', () => {
    holds({
      bytes: [hello, upload, rstStream(1, 8), data(1, 'x'), headers(1, [], END_STREAM), rstStream(1, 8)],
      events: [`head 1 ${postLine}`, 'reset 1 cancel by peer'],
      sent: ['RST_STREAM 1 streamClosed', 'RST_STREAM 1 streamClosed'],
    })
  })

  it('that is gone, padding must still be shorter than the frame', () => {
    for (const padding of [3, 255]) {
      holds({
        bytes: [
          hello,
          upload,
          data(1, 'x'),
          padded('DATA', 0, 1, 'x', 5),
          frame('DATA', PADDED, 1, Buffer.of(padding, 0, 0)),
        ],
        act: cancelling,
        events: [`head 1 ${postLine}`, 'error protocolError: padding must be shorter than the frame'],
        sent: ['RST_STREAM 1 cancel', 'GOAWAY 1 protocolError'],
      })
    }
  })

  it('that we have reset, what was on its way is passed over, and its fields are still decoded', () => {
    const indexed = Buffer.concat([Buffer.of(0x40, 1), Buffer.from('a'), Buffer.of(1), Buffer.from('b')])
    holds({
      bytes: [
        hello,
        upload,
        data(1, 'x'),
        frame('HEADERS', END_HEADERS | END_STREAM, 1, indexed),
        windowUpdate(1, 1),
        rstStream(1, 8),
        frame('HEADERS', END_HEADERS | END_STREAM, 3, Buffer.concat([literals(get), Buffer.of(0xbe)])),
      ],
      act: cancelling,
      events: [`head 1 ${postLine}`, `head 3 end ${getLine} a=b`],
      sent: ['RST_STREAM 1 cancel', 'RST_STREAM 3 cancel'],
    })
  })

  it('is known for a while how it closed, whatever has closed since', () => {
    const late = (id: number) => data(id, 'x')
    holds({
      bytes: [hello, upload, headers(3, post), headers(5, post), rstStream(5, 8), late(1), late(3), late(5)],
      act: ({ session }) => ({ onHead: stream => stream.id !== 5 && session.reset(stream, 8) }),
      events: [`head 1 ${postLine}`, `head 3 ${postLine}`, `head 5 ${postLine}`, 'reset 5 cancel by peer'],
      sent: ['RST_STREAM 1 cancel', 'RST_STREAM 3 cancel', 'RST_STREAM 5 streamClosed'],
    })
  })

  it('that was left out, nothing may begin', () => {
    holds({
      bytes: [hello, headers(5, get, END_STREAM), headers(3, get, END_STREAM)],
      act: answering,
      events: [`head 5 end ${getLine}`, 'error protocolError: a new stream must have an odd number above those before'],
      sent: ['HEADERS 5 end ', 'GOAWAY 5 protocolError'],
    })
  })

  it('above as many as may be open, nothing begins until one has closed', () => {
    holds({
      bytes: [
        hello,
        upload,
        headers(3, post),
        headers(5, get, END_STREAM),
        data(5, 'x'),
        rstStream(3, 8),
        headers(7, get, END_STREAM),
      ],
      bounds: { streamsMax: 2 },
      events: [`head 1 ${postLine}`, `head 3 ${postLine}`, 'reset 3 cancel by peer', `head 7 end ${getLine}`],
      sent: ['RST_STREAM 5 refusedStream'],
    })
  })

  it('is counted what was received and sent for it, frame heads included', () => {
    const recorder = run({ bytes: [hello, upload, data(1, 'hello'), padded('DATA', 0, 1, 'x', 9)], events: [] }, [])
    const stream = recorder.stream(1)
    assert.equal(stream.receivedBytes, upload.length + 9 + 5 + 9 + 11)
    recorder.send(1, [[':status', '200']])
    recorder.sendData(1, 'hello, world')
    recorder.flush()
    assert.equal(stream.sentBytes, headers(1, [[':status', '200']]).length + 9 + 12)
  })

  it('a head or data is life, and nothing else', () => {
    const recorder = new Recorder('server')
    recorder.session.begin()
    recorder.read(hello)
    const lifeAt = (now: number, bytes: Buffer) => {
      recorder.now = now
      recorder.read(bytes)
      return recorder.session.lastActivity
    }
    assert.equal(lifeAt(1, upload), 1)
    assert.equal(lifeAt(2, frame('PING', 0, 0, '12345678')), 1)
    assert.equal(lifeAt(3, windowUpdate(1, 1)), 1)
    assert.equal(lifeAt(4, settings()), 1)
    assert.equal(lifeAt(5, frame('PRIORITY', 0, 1, Buffer.alloc(5))), 1)
    assert.equal(lifeAt(6, data(1, 'x')), 6)
    assert.equal(lifeAt(7, rstStream(1, 8)), 6)
  })
})

describe('a stream whose client has its whole answer before it has ended its request', () => {
  const leaving = ({ session }: Recorder): Act => ({
    onHead(stream, _fields, isEnd) {
      session.beginHead()
      session.endHead(stream, true)
      if (!isEnd) session.reset(stream, 0)
    },
  })
  const head = `head 1 ${postLine} content-length=5`
  const begun = headers(1, [...post, ['content-length', '5']])
  const answer = 'HEADERS 1 end '
  const next = headers(3, get, END_STREAM)
  const nextLine = `head 3 end ${getLine}`
  const after = 'HEADERS 3 end '

  it('may end in the way that was begun, of which nobody is told', () => {
    for (const rest of [
      [data(1, 'hello', END_STREAM)],
      [data(1, 'hel'), padded('DATA', END_STREAM, 1, 'lo', 9)],
      [data(1, 'hel'), data(1, 'lo'), headers(1, [['a', 'b']], END_STREAM)],
      [windowUpdate(1, 5), rstStream(1, 8), windowUpdate(1, 0)],
      [],
    ]) {
      holds({ bytes: [hello, begun, ...rest, next], act: leaving, events: [head, nextLine], sent: [answer, after] })
    }
  })

  it('is over when it is', () => {
    const ended = [hello, begun, data(1, 'hello', END_STREAM)]
    holds({
      bytes: [...ended, data(1, 'x')],
      act: leaving,
      events: [head],
      sent: [answer, 'RST_STREAM 1 streamClosed'],
    })
    const error = 'error streamClosed: nothing must follow the end of a stream'
    holds({ bytes: [...ended, begun], act: leaving, events: [head, error] })
    const reset = [hello, begun, rstStream(1, 8), data(1, 'x')]
    holds({ bytes: reset, act: leaving, events: [head], sent: [answer, 'RST_STREAM 1 streamClosed'] })
  })

  for (const [what, bytes, code] of [
    ['more data than was said', data(1, 'hello!'), 'protocolError'],
    ['less data than was said', padded('DATA', END_STREAM, 1, 'hell', 1), 'protocolError'],
    ['trailers with pseudo-headers', headers(1, [[':path', '/']], END_STREAM), 'protocolError'],
    ['a head that does not end it', headers(1, [['a', 'b']]), 'protocolError'],
    ['a window that is widened by nothing', windowUpdate(1, 0), 'protocolError'],
    ['a window of 2^31', windowUpdate(1, 2 ** 31 - 1), 'flowControlError'],
  ] as const) {
    it(`must still keep the rules: ${what}`, () => {
      holds({
        bytes: [hello, begun, bytes, data(1, 'x'), next],
        act: leaving,
        events: [head, nextLine],
        sent: [answer, `RST_STREAM 1 ${code}`, after],
      })
    })
  }

  it('is none of the open ones, nor is anything done on it', () => {
    const recorder = run({ bytes: [hello, upload], events: [] }, [])
    const stream = recorder.stream(1)
    recorder.read(data(1, 'hello'))
    recorder.send(1, [[':status', '200']], true)
    recorder.session.reset(stream, 0)
    assert.deepEqual([stream.isClosed, recorder.session.streams.size], [true, 0])
    recorder.session.consumed(stream, 5)
    recorder.session.sendData(stream, Buffer.from('x'), 0, 1, true)
    recorder.session.reset(stream, 8)
    recorder.session.close(8, 0)
    assert.equal(recorder.sent.at(-1), 'HEADERS 1 end :status=200')
    assert.equal(recorder.events.at(-1), 'data 1 hello')
  })

  it('is told to stop when its window is all but used up, which nobody widens', () => {
    const recorder = run(
      { bytes: [hello, upload], act: leaving, bounds: { connectionWindowBytes: 65_535 }, events: [] },
      [],
    )
    const before = recorder.sent.length
    for (let i = 0; i < 3; i++) recorder.read(data(1, Buffer.alloc(16_384)))
    assert.deepEqual(recorder.sent.slice(before), ['WINDOW_UPDATE 0 32768'])
    recorder.read(data(1, Buffer.alloc(10)))
    recorder.read(data(1, Buffer.alloc(16_000)))
    assert.deepEqual(recorder.sent.slice(before + 1), ['RST_STREAM 1 noError'])
    assert.deepEqual(recorder.events, [`head 1 ${postLine}`])
  })

  it('is told to stop when there are too many of them', () => {
    const bytes = Array.from({ length: 18 }, (_, i) => headers(2 * i + 1, post))
    const { sent } = run({ bytes: [hello, ...bytes], act: leaving, events: [] }, [])
    assert.deepEqual(
      sent.filter(line => line.startsWith('RST_STREAM')),
      ['RST_STREAM 1 noError', 'RST_STREAM 3 noError'],
    )
  })

  it('is told to stop at once where the answer is not whole', () => {
    const recorder = run({ bytes: [hello, upload, settings([4, 1])], events: [] }, [])
    recorder.sendData(1, 'hello', true)
    recorder.session.reset(recorder.stream(1), 0)
    recorder.read(Buffer.concat([data(1, 'x'), windowUpdate(1, 0)]))
    assert.deepEqual(recorder.sent.slice(-2), ['DATA 1 "h"', 'RST_STREAM 1 noError'])
  })
})

it('a stream that its owner resets between the head of a frame and its padding is reset once', () => {
  const recorder = run({ bytes: [hello, headers(1, [...post, ['content-length', '5']])], events: [] }, [])
  const frame = padded('DATA', 0, 1, 'hello, world', 3)
  recorder.read(frame.subarray(0, 9))
  recorder.session.reset(recorder.stream(1), 8)
  recorder.read(frame.subarray(9))
  assert.deepEqual(recorder.events, [`head 1 ${postLine} content-length=5`])
  assert.deepEqual(recorder.sent.slice(begun.length), ['RST_STREAM 1 cancel'])
})

describe('PING', () => {
  it('is answered with what it holds', () => {
    holds({ bytes: [hello, frame('PING', 0, 0, 'abcdefgh')], events: [], sent: ['PING ack abcdefgh'] })
  })
})

describe('a session that goes away', () => {
  it('finishes what is open, and passes over what is begun after that', () => {
    const recorder = run({ bytes: [hello, upload], events: [] }, [])
    recorder.session.goAway(0)
    assert.equal(recorder.session.isGoingAway, true)
    recorder.read(Buffer.concat([headers(3, post), data(3, 'x'), data(1, 'y', END_STREAM), headers(3, [], END_STREAM)]))
    recorder.send(1, [[':status', '200']], true)
    assert.deepEqual(recorder.events, [`head 1 ${postLine}`, 'data 1 y end'])
    assert.deepEqual(recorder.sent.slice(begun.length), ['GOAWAY 1 noError', 'HEADERS 1 end :status=200'])
    assert.equal(recorder.session.streams.size, 0)
    assert.equal(recorder.session.streamsBegun, 1)
  })

  it('tells every open stream when the connection is gone, and says nothing more', () => {
    const recorder = run({ bytes: [hello, upload, headers(3, get, END_STREAM)], events: [] }, [])
    const before = recorder.sent.length
    recorder.session.close(8, 5)
    recorder.session.close(8, 5)
    recorder.session.goAway(0)
    recorder.read(headers(5, get))
    assert.deepEqual(recorder.events.slice(2), ['reset 1 cancel', 'reset 3 cancel'])
    assert.equal(recorder.sent.length, before)
  })
})
