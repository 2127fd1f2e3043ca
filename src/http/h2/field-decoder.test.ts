import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { fieldsOf, usualBounds } from '../../../test/support/h2-endpoint.ts'
import { integer, literals, plainString } from '../../../test/support/h2-frames.ts'
import { Field } from '../h1/fields.ts'
import { FieldBlock, type FieldBounds } from './field-block.ts'
import { FieldDecoder } from './field-decoder.ts'
import { staticFields } from './static-table.ts'

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(/\s/g, ''), 'hex')
}

/** Decodes one block after the other, as they come on a connection. */
class Blocks {
  readonly fields = new FieldBlock()
  readonly #decoder = new FieldDecoder()
  readonly #bounds: FieldBounds

  constructor(bounds: Partial<FieldBounds> = {}) {
    this.#bounds = { ...usualBounds, ...bounds }
  }

  /** @returns whether it is valid HPACK */
  decode(block: Buffer): boolean {
    // It stands somewhere in a larger buffer, which is used again.
    const arrived = Buffer.concat([Buffer.alloc(3, 0x82), block, Buffer.alloc(3, 0x82)])
    const isValid = this.#decoder.decode(arrived, 3, 3 + block.length, this.fields, this.#bounds)
    arrived.fill(0)
    return isValid
  }

  lines(block: Buffer): readonly string[] {
    assert.equal(this.decode(block), true, 'valid HPACK')
    return fieldsOf(this.fields).map(pair => pair.join(': '))
  }
}

const requests = [
  [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'],
  [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com', 'cache-control: no-cache'],
  [':method: GET', ':scheme: https', ':path: /index.html', ':authority: www.example.com', 'custom-key: custom-value'],
]
const responses = [
  [
    ':status: 302',
    'cache-control: private',
    'date: Mon, 21 Oct 2013 20:13:21 GMT',
    'location: https://www.example.com',
  ],
  [
    ':status: 307',
    'cache-control: private',
    'date: Mon, 21 Oct 2013 20:13:21 GMT',
    'location: https://www.example.com',
  ],
  [
    ':status: 200',
    'cache-control: private',
    'date: Mon, 21 Oct 2013 20:13:22 GMT',
    'location: https://www.example.com',
    'content-encoding: gzip',
    'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
  ],
]
/** The responses of the RFC suppose a table of 256 bytes. */
const tableOf256 = '3f e1 01'

describe('the blocks of RFC 7541, appendix C', () => {
  it('C.2: each representation', () => {
    assert.deepEqual(new Blocks().lines(bytesOf('400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572')), [
      'custom-key: custom-header',
    ])
    assert.deepEqual(new Blocks().lines(bytesOf('040c 2f73 616d 706c 652f 7061 7468')), [':path: /sample/path'])
    const blocks = new Blocks()
    assert.deepEqual(blocks.lines(bytesOf('1008 7061 7373 776f 7264 0673 6563 7265 74')), ['password: secret'])
    assert.equal(blocks.fields.isNeverIndexed(0), true)
    assert.deepEqual(blocks.lines(bytesOf('82')), [':method: GET'])
    assert.equal(blocks.fields.isNeverIndexed(0), false)
  })

  const sequences: readonly (readonly [string, readonly string[], readonly (readonly string[])[]])[] = [
    [
      'C.3: requests without Huffman code',
      [
        '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '8286 84be 5808 6e6f 2d63 6163 6865',
        '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
      ],
      requests,
    ],
    [
      'C.4: requests with Huffman code',
      [
        '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
        '8286 84be 5886 a8eb 1064 9cbf',
        '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
      ],
      requests,
    ],
    [
      'C.5: responses without Huffman code, whose table overflows',
      [
        `${tableOf256} 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
         2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
        '4803 3330 37c1 c0bf',
        `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04
         677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49
         553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31`,
      ],
      responses,
    ],
    [
      'C.6: responses with Huffman code, whose table overflows',
      [
        `${tableOf256} 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
         2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
        '4883 640e ffc1 c0bf',
        `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7
         821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed
         4ee5 b106 3d50 07`,
      ],
      responses,
    ],
  ]
  for (const [name, hexes, expected] of sequences) {
    it(name, () => {
      const blocks = new Blocks()
      assert.deepEqual(
        hexes.map(hex => blocks.lines(bytesOf(hex))),
        expected,
      )
    })
  }

  it('the static table has every field of appendix A', () => {
    assert.equal(staticFields.length, 61)
    // Not all of them are fit for a message, but they are all understood.
    for (let index = 1; index <= 61; index++) assert.equal(new Blocks().decode(integer(0x80, 7, index)), true)
    assert.equal(new Blocks().decode(integer(0x80, 7, 62)), false)
  })
})

describe('a block that is no valid HPACK', () => {
  const invalid: readonly (readonly [string, Buffer])[] = [
    ['index 0', bytesOf('80')],
    ['an index above the tables', bytesOf('be')],
    ['a name by an index above the tables', bytesOf('7f 00 01 61')],
    ['a number that is cut short', bytesOf('ff')],
    ['a number cut short further on', bytesOf('ff 80')],
    ['a number beyond all that means anything', bytesOf('ff 80 80 80 80 01')],
    ['a field without a value', bytesOf('41')],
    ['a field without a name', bytesOf('40')],
    ['a name that is cut short', bytesOf('40 03 61 62')],
    ['a value that is cut short', bytesOf('41 03 61 62')],
    ['a length that no block can have', bytesOf('41 7f ff ff ff 7f')],
    ['Huffman code with too much padding', bytesOf('41 82 07 ff')],
    ['Huffman code with the end in it', bytesOf('41 84 ff ff ff ff')],
    ['Huffman code padded with zeros', bytesOf('41 81 00')],
    ['Huffman code in a name, as bad', bytesOf('40 81 00 01 61')],
    ['a table larger than allowed', bytesOf('3f e2 1f')],
    ['a table size behind a field', bytesOf('82 20')],
  ]
  for (const [what, block] of invalid) {
    it(`has ${what}`, () => {
      assert.equal(new Blocks().decode(block), false)
    })
  }

  it('is told from one that is valid: the largest table, sizes in a row, long numbers', () => {
    assert.deepEqual(new Blocks().lines(bytesOf('3f e1 1f 20 3f e1 1f 82')), [':method: GET'])
    assert.deepEqual(new Blocks().lines(bytesOf('41 7f 81 80 80 00 '.concat('61'.repeat(128)))), [
      `:authority: ${'a'.repeat(128)}`,
    ])
  })
})

/** Adds a field to the table. */
function indexed(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.of(0x40), plainString(name), plainString(value)])
}

describe('the dynamic table', () => {
  it('holds as the RFC says, whatever is added, resized and asked for', () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant('add' as const),
        name: fc.integer({ min: 0, max: 9 }),
        size: fc.oneof(fc.nat({ max: 60 }), fc.nat({ max: 1500 }), fc.nat({ max: 5000 })),
      }),
      fc.record({ kind: fc.constant('resize' as const), size: fc.nat({ max: 4096 }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        const blocks = new Blocks({ headerListBytesMax: 1e9, fieldBytesMax: 1e9, fieldsMax: 1e9 })
        let model: string[] = []
        let sizeMax = 4096
        const sizeOf = (line: string) => line.length - 2 + 32
        const evict = () => {
          while (model.reduce((sum, line) => sum + sizeOf(line), 0) > sizeMax) model.pop()
        }
        for (const [i, step] of steps.entries()) {
          if (step.kind === 'resize') {
            sizeMax = step.size
            assert.deepEqual(blocks.lines(integer(0x20, 5, sizeMax)), [])
          } else {
            const value = `${i}${'v'.repeat(step.size)}`
            assert.deepEqual(blocks.lines(indexed(`n${step.name}`, value)), [`n${step.name}: ${value}`])
            model = [`n${step.name}: ${value}`, ...model]
          }
          evict()
          assert.equal(blocks.decode(integer(0x80, 7, 62 + model.length)), false, 'nothing behind the oldest')
          const all = Buffer.concat(model.map((_, age) => integer(0x80, 7, 62 + age)))
          assert.deepEqual(blocks.lines(all), model)
        }
      }),
      { numRuns: 60 },
    )
  })

  it('gives names for new values, even the name of the very field that has to go', () => {
    const blocks = new Blocks()
    const name = 'n'.repeat(2000)
    blocks.lines(indexed(name, 'v'.repeat(2000)))
    const next = Buffer.concat([integer(0x40, 6, 62), plainString('w'.repeat(2000))])
    assert.deepEqual(blocks.lines(next), [`${name}: ${'w'.repeat(2000)}`])
    assert.deepEqual(blocks.lines(Buffer.of(0xbe)), [`${name}: ${'w'.repeat(2000)}`])
  })

  it('remembers of a field whether it is fit for a message', () => {
    const blocks = new Blocks()
    blocks.decode(indexed('Upper', 'x'))
    assert.equal(blocks.fields.fault, 'malformed')
    blocks.decode(Buffer.of(0xbe))
    assert.equal(blocks.fields.fault, 'malformed')
    blocks.decode(Buffer.concat([integer(0, 4, 62), plainString('y')]))
    assert.equal(blocks.fields.fault, 'malformed', 'its name with another value')
    blocks.decode(indexed('te', 'gzip'))
    blocks.decode(Buffer.concat([integer(0, 4, 62), plainString('trailers')]))
    assert.equal(blocks.fields.fault, null, 'a name that is good is good again')
  })

  it('is filled by blocks that are too large or malformed as by others', () => {
    const blocks = new Blocks({ fieldsMax: 1 })
    blocks.decode(Buffer.concat([indexed('a', '1'), indexed('b', '2'), indexed('c', '3')]))
    assert.equal(blocks.fields.fault, 'tooLarge')
    assert.deepEqual(blocks.lines(Buffer.of(0xbe)), ['c: 3'])
    assert.deepEqual(blocks.lines(Buffer.of(0xc0)), ['a: 1'])
  })
})

describe('a block of fields', () => {
  it('has the lines of an HTTP/1.1 head, pseudo-headers apart', () => {
    const blocks = new Blocks()
    blocks.lines(
      literals([
        [':method', 'GET'],
        [':path', '/a?b'],
        ['user-agent', 'x y'],
        ['empty', ''],
      ]),
    )
    const { fields } = blocks
    const text = ':method: GET\r\n:path: /a?b\r\nuser-agent: x y\r\nempty: \r\n'
    assert.equal(fields.text(0, fields.length), text)
    assert.equal(fields.nameFrom(fields.pseudoCount), text.indexOf('user-agent'))
    assert.deepEqual([fields.count, fields.pseudoCount], [4, 2])
    assert.deepEqual([fields.pseudo(':path'), fields.pseudo(':method'), fields.pseudo(':status')], [1, 0, -1])
    assert.deepEqual(
      [0, 1, 2, 3].map(i => fields.field(i)),
      [Field.other, Field.other, Field.userAgent, Field.other],
    )
    blocks.lines(literals([['a', 'b']]))
    assert.deepEqual([fields.pseudoCount, fields.pseudo(':method')], [0, -1])
    blocks.lines(literals([[':method', 'GET']]))
    assert.deepEqual([fields.pseudoCount, fields.count], [1, 1])
    blocks.lines(Buffer.alloc(0))
    assert.deepEqual([fields.pseudoCount, fields.length, fields.count], [0, 0, 0])
  })

  it('says how long a body is, where it says so once and in digits', () => {
    const blocks = new Blocks()
    const lengthOf = (...values: readonly string[]) => {
      blocks.decode(literals(values.map(value => ['content-length', value])))
      return blocks.fields.fault ?? blocks.fields.contentLength
    }
    assert.equal(lengthOf(), -1)
    assert.equal(lengthOf('0'), 0)
    assert.equal(lengthOf('0123'), 123)
    assert.equal(lengthOf('999999999999999'), 999_999_999_999_999)
    for (const bad of ['', '-1', '+1', '1 ', '1,1', '0x1', '9'.repeat(16), 'a'])
      assert.equal(lengthOf(bad), 'malformed', bad)
    assert.equal(lengthOf('5', '5'), 'malformed')
  })

  const names: readonly (readonly [string, string, string | null])[] = [
    ['a token', "!#$%&'*+-.^_`|~09az", null],
    ['no name', '', 'a field name must be a token in lower case'],
    ['an upper-case letter', 'xY', 'a field name must be a token in lower case'],
    ['a space', 'x y', 'a field name must be a token in lower case'],
    ['a colon in it', 'x:y', 'a field name must be a token in lower case'],
    ['a line end', 'x\r\ny', 'a field name must be a token in lower case'],
    ['a byte above ASCII', 'x\xe9', 'a field name must be a token in lower case'],
    ['a pseudo-header that nobody knows', ':test', 'a pseudo-header must be one of those defined'],
    ['the beginning of a pseudo-header', ':pat', 'a pseudo-header must be one of those defined'],
    ['a colon alone', ':', 'a pseudo-header must be one of those defined'],
    ['a field about the connection', 'connection', 'a field about the connection has no place here'],
    ['another one', 'keep-alive', 'a field about the connection has no place here'],
    ['one that nobody defined', 'proxy-connection', 'a field about the connection has no place here'],
    ['a transfer coding', 'transfer-encoding', 'a field about the connection has no place here'],
    ['an upgrade', 'upgrade', 'a field about the connection has no place here'],
    ['another coding than trailers', 'te', 'a field about the connection has no place here'],
  ]
  for (const [what, name, fault] of names) {
    it(`with ${what} as a name: ${fault ?? 'fine'}`, () => {
      const blocks = new Blocks()
      const lines = blocks.lines(
        literals([
          ['good', '1'],
          [name, 'x'],
          ['later', '2'],
        ]),
      )
      assert.equal(blocks.fields.fault, fault === null ? null : 'malformed')
      assert.equal(blocks.fields.faultText, fault ?? '')
      assert.deepEqual(lines, fault === null ? ['good: 1', `${name}: x`, 'later: 2'] : ['good: 1'])
    })
  }

  it('without a name, is judged by nothing that stood there before', () => {
    const blocks = new Blocks()
    blocks.lines(literals([[':path', '/']]))
    blocks.decode(literals([['', 'x']]))
    assert.equal(blocks.fields.faultText, 'a field name must be a token in lower case')
  })

  for (const [name, good, bad] of [
    ['x', ['', 'a', 'a\tb c', '\x80\xff'], [' a', 'a ', '\ta', ' ', '\0', 'a\r\nb', 'a\nb', 'a\rb', '\x7f', '\x01']],
    ['te', ['trailers', 'Trailers'], ['', 'trailer', 'trailers, deflate', 'gzip']],
    [':method', ['GET', 'get', 'M-SEARCH'], ['', 'G T', 'GET\r\n', 'G:T']],
    [':scheme', ['https', 'http', 'coap+tcp'], ['', 'ht tp', 'http://']],
    [':path', ['/', '/a?b', '*', '/\xff'], ['', 'a', '**', '/ b', '/\t', '/\r\n', 'http://a/']],
    [':authority', ['a', 'a:1', '[::1]:2', 'a%20b'], ['', 'a b', 'u@a', 'a/', 'a\r\n', 'a,\xff']],
    [':status', ['200', '999', '100'], ['', '20', '2000', '2x0', '099', '101']],
  ] as const) {
    it(`has ${name} only with values that are fit for it`, () => {
      const blocks = new Blocks()
      for (const value of good) assert.deepEqual(blocks.lines(literals([[name, value]])), [`${name}: ${value}`])
      for (const value of bad) assert.deepEqual(blocks.lines(literals([[name, value]])), [], JSON.stringify(value))
    })
  }

  it('has pseudo-headers first, each once', () => {
    const blocks = new Blocks()
    assert.deepEqual(
      blocks.lines(
        literals([
          ['a', 'b'],
          [':path', '/'],
        ]),
      ),
      ['a: b'],
    )
    assert.equal(blocks.fields.faultText, 'pseudo-headers must come first')
    assert.deepEqual(
      blocks.lines(
        literals([
          [':path', '/'],
          [':path', '/'],
        ]),
      ),
      [':path: /'],
    )
    assert.equal(blocks.fields.faultText, 'a pseudo-header must not be repeated')
  })

  it('keeps every bound to the byte, and what came up to there', () => {
    const field: readonly [string, string] = ['abc', '1234567']
    const three = literals([field, field, field])
    for (const [bounds, text] of [
      [{ fieldBytesMax: 9 }, 'a field is too long'],
      [{ headerListBytesMax: 3 * 42 - 1 }, 'the fields are too long together'],
      [{ fieldsMax: 2 }, 'too many fields'],
    ] as const) {
      const blocks = new Blocks(bounds)
      const lines = blocks.lines(three)
      assert.deepEqual([blocks.fields.fault, blocks.fields.faultText], ['tooLarge', text])
      assert.equal(lines.length, text === 'a field is too long' ? 0 : 2)
    }
    const enough = { fieldBytesMax: 10, headerListBytesMax: 3 * 42, fieldsMax: 3 }
    assert.equal(new Blocks(enough).lines(three).length, 3)
  })

  it('does not grow by what one byte of a bomb stands for', () => {
    const blocks = new Blocks()
    blocks.lines(indexed('bomb', 'x'.repeat(4000)))
    blocks.decode(Buffer.alloc(16_000, 0xbe))
    assert.equal(blocks.fields.fault, 'tooLarge')
    assert(blocks.fields.bytes.length <= 2 * usualBounds.headerListBytesMax, `${blocks.fields.bytes.length}`)
  })

  it('is the same block again after one that had many fields', () => {
    const blocks = new Blocks()
    const many = Array.from({ length: 500 }, (_, i) => [`n${i}`, `${i}`] as const)
    assert.equal(blocks.lines(literals(many)).at(-1), 'n499: 499')
    const secrets = Buffer.concat(
      many.map(([name]) => Buffer.concat([Buffer.of(0x10), plainString(name), Buffer.of(0)])),
    )
    assert.equal(blocks.decode(secrets), true)
    assert.deepEqual(
      [0, 250, 499].map(i => blocks.fields.isNeverIndexed(i)),
      [true, true, true],
    )
    assert.equal(blocks.decode(literals([['A', 'b']])), true)
    assert.deepEqual(blocks.lines(literals([['a', 'b']])), ['a: b'])
    assert.deepEqual([blocks.fields.fault, blocks.fields.faultText, blocks.fields.isNeverIndexed(0)], [null, '', false])
  })
})
