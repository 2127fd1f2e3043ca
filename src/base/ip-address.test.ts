import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { canonicalAddress, formatAddressWords, parseAddress } from './ip-address.ts'

describe('an IP address', () => {
  it('is one word for IPv4', () => {
    assert.deepEqual(parseAddress('10.0.255.7'), [0x0a00ff07])
    assert.deepEqual(parseAddress('255.255.255.255'), [0xffffffff])
  })

  it('is four words for IPv6, however it is shortened', () => {
    const cases: [string, number[]][] = [
      ['::', [0, 0, 0, 0]],
      ['::1', [0, 0, 0, 1]],
      ['fe80::', [0xfe800000, 0, 0, 0]],
      ['fe80::1%eth0', [0xfe800000, 0, 0, 1]],
      ['2001:db8::a:17', [0x20010db8, 0, 0, 0x000a0017]],
      ['1:2:3:4:5:6:7:8', [0x00010002, 0x00030004, 0x00050006, 0x00070008]],
      ['::ffff:10.1.2.3', [0, 0, 0xffff, 0x0a010203]],
      ['1:2:3:4:5:6:10.1.2.3', [0x00010002, 0x00030004, 0x00050006, 0x0a010203]],
    ]
    for (const [ip, words] of cases) assert.deepEqual(parseAddress(ip), words, ip)
  })

  it('is told from what is none', () => {
    for (const text of ['', '1.2.3', '1.2.3.256', ':', '1::2::3', 'a', '10.0.0.0/8']) {
      assert.equal(parseAddress(text), null, text)
    }
  })

  it('comes back as it is spelled in its canonical form', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), ip => {
        assert.equal(formatAddressWords(parseAddress(ip)!), canonicalAddress(ip))
      }),
    )
  })
})
