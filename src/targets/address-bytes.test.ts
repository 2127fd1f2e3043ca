import assert from 'node:assert/strict'
import { SocketAddress } from 'node:net'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ipv4Bytes, ipv6Bytes, readIpv4, readIpv6, writeAddress } from './address-bytes.ts'

const canonical = (ip: string): string => new SocketAddress({ address: ip, family: 'ipv6' }).address

/** Written between other bytes, which are to stay. */
function written(ip: string): { count: number; bytes: number[] } {
  const bytes = new Uint8Array(20).fill(0xee)
  const count = writeAddress(ip, bytes, 2)
  assert.ok([...bytes.subarray(0, 2), ...bytes.subarray(2 + count)].every(byte => byte === 0xee))
  return { count, bytes: [...bytes.subarray(2, 2 + count)] }
}

describe('address bytes', () => {
  it('IPv4 takes four bytes', () => {
    assert.deepEqual(written('10.0.255.7'), { count: ipv4Bytes, bytes: [10, 0, 255, 7] })
    assert.equal(readIpv4(Uint8Array.of(0xee, 10, 0, 255, 7), 1), '10.0.255.7')
  })

  it('IPv6 takes sixteen, however it is shortened', () => {
    const zeros = (count: number): number[] => Array.from({ length: count }, () => 0)
    const cases: [string, number[]][] = [
      ['::', zeros(16)],
      ['::1', [...zeros(15), 1]],
      ['fe80::', [0xfe, 0x80, ...zeros(14)]],
      ['2001:db8::a:17', [0x20, 0x01, 0x0d, 0xb8, ...zeros(8), 0, 0x0a, 0, 0x17]],
      ['1:2:3:4:5:6:7:8', [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]],
      ['::ffff:10.1.2.3', [...zeros(10), 0xff, 0xff, 10, 1, 2, 3]],
      ['1:2:3:4:5:6:10.1.2.3', [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 10, 1, 2, 3]],
    ]
    for (const [ip, bytes] of cases) assert.deepEqual(written(ip), { count: ipv6Bytes, bytes }, ip)
  })

  it('every address comes back as the configuration spells it', () => {
    const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }))
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), groups => {
        const ip = canonical(groups.map(each => each.toString(16)).join(':'))
        const bytes = new Uint8Array(18)
        writeAddress(ip, bytes, 1)
        assert.equal(readIpv6(bytes, 1), ip)
      }),
    )
    fc.assert(
      fc.property(fc.ipV4(), ip => {
        const bytes = new Uint8Array(6)
        writeAddress(ip, bytes, 1)
        assert.equal(readIpv4(bytes, 1), ip)
      }),
    )
  })
})
