import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { decode, encode, encodedLength, lowerCaseCode, plainCode } from './huffman.ts'

function encoded(text: string, code = plainCode): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  const out = Buffer.alloc(encodedLength(code, bytes, 0, bytes.length))
  assert.equal(encode(code, bytes, 0, bytes.length, out, 0), out.length)
  return out
}

function decoded(hex: string): string | null {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex')
  const out = Buffer.alloc(bytes.length * 2)
  const end = decode(bytes, 0, bytes.length, out, 0)
  return end === -1 ? null : out.toString('latin1', 0, end)
}

/** RFC 7541, appendix C. */
const known: readonly (readonly [string, string])[] = [
  ['www.example.com', 'f1e3 c2e5 f23a 6ba0 ab90 f4ff'],
  ['no-cache', 'a8eb 1064 9cbf'],
  ['custom-key', '25a8 49e9 5ba9 7d7f'],
  ['custom-value', '25a8 49e9 5bb8 e8b4 bf'],
  ['302', '6402'],
  ['private', 'aec3 771a 4b'],
  ['Mon, 21 Oct 2013 20:13:21 GMT', 'd07a be94 1054 d444 a820 0595 040b 8166 e082 a62d 1bff'],
  ['https://www.example.com', '9d29 ad17 1863 c78f 0b97 c8e9 ae82 ae43 d3'],
  [
    'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
    '94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
  ],
]

describe('the Huffman code', () => {
  for (const [text, hex] of known) {
    it(`of "${text}" is that of the RFC, both ways`, () => {
      assert.equal(encoded(text).toString('hex'), hex.replaceAll(' ', ''))
      assert.equal(decoded(hex), text)
    })
  }

  it('of any bytes decodes to them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
        const text = Buffer.from(bytes).toString('latin1')
        assert.equal(decoded(encoded(text).toString('hex')), text)
      }),
    )
  })

  it('of every single byte and every pair is as long as foretold', () => {
    for (let a = 0; a < 256; a++) {
      for (const b of [0x30, 0x0a, 0xff, a]) {
        const text = String.fromCharCode(a, b)
        assert.equal(decoded(encoded(text).toString('hex')), text)
      }
    }
  })

  it('of a name is that of its lower case', () => {
    assert.deepEqual(encoded('X-Amzn-TRACE-Id_9', lowerCaseCode), encoded('x-amzn-trace-id_9'))
  })

  it('leaves what stands around alone', () => {
    const out = Buffer.alloc(6, 0xee)
    const bytes = Buffer.from('xx302xx')
    assert.equal(encode(plainCode, bytes, 2, 5, out, 2), 4)
    assert.equal(out.toString('hex'), 'eeee6402eeee')
    assert.equal(decode(out, 2, 4, out, 1), 4)
    assert.equal(out.toString('latin1', 1, 4), '302')
  })

  for (const [what, hex] of [
    ['eight bits of padding', '6402 ff'],
    ['padding of zeros', '64'],
    ['the end in the middle', 'ffff ffff'],
    ['the end behind a byte, and more', '1fff ffff ff1f'],
    ['a code cut short', 'fe'],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.equal(decoded(hex), null)
    })
  }

  it('refuses nothing that is whole: up to seven ones of padding, and none', () => {
    assert.equal(decoded(''), '')
    assert.equal(decoded('07'), '0')
    assert.equal(decoded('f807'), '&0')
  })
})
