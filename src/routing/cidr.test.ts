import assert from 'node:assert/strict'
import { BlockList, isIPv4 } from 'node:net'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseAddress } from '../base/ip-address.ts'
import { contains, parseCidr } from './cidr.ts'

function holds(block: string, address: string): boolean {
  const parsed = parseCidr(block)
  const words = parseAddress(address)
  assert(parsed !== null && words !== null)
  return contains(parsed, words)
}

describe('a block of addresses', () => {
  it('holds what Node says it holds', t => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    t.diagnostic(`seed ${seed}`)
    const v4 = fc.tuple(fc.ipV4(), fc.nat(32))
    const v6 = fc.tuple(fc.ipV6(), fc.nat(128))
    let heldCount = 0
    fc.assert(
      fc.property(fc.oneof(v4, v6), fc.oneof(fc.ipV4(), fc.ipV6()), fc.boolean(), ([base, length], other, isBase) => {
        const address = isBase ? base : other
        const family = (text: string) => (isIPv4(text) ? 'ipv4' : 'ipv6')
        // Node finds IPv4 addresses in IPv6 blocks that map them; the service keeps families apart.
        if (family(base) !== family(address)) return assert.equal(holds(`${base}/${length}`, address), false)
        const list = new BlockList()
        list.addSubnet(base, length, family(base))
        const expected = list.check(address, family(address))
        if (expected) heldCount++
        assert.equal(holds(`${base}/${length}`, address), expected)
      }),
      { seed, numRuns: 3000 },
    )
    assert(heldCount > 500, `only ${heldCount} addresses were held`)
  })

  it('holds addresses up to its last bit', () => {
    for (const [block, inside, outside] of [
      ['192.0.2.128/25', '192.0.2.255', '192.0.2.127'],
      ['192.0.2.4/31', '192.0.2.5', '192.0.2.6'],
      ['255.255.255.0/24', '255.255.255.255', '255.255.254.255'],
      ['2001:db8::/33', '2001:db8:7fff::1', '2001:db8:8000::1'],
      ['::ffff:192.0.2.0/120', '::ffff:192.0.2.9', '::ffff:192.0.3.9'],
      ['fe80::/10', 'fe80::1%eth0', 'fec0::1'],
    ] as const) {
      assert.equal(holds(block, inside), true, block)
      assert.equal(holds(block, outside), false, block)
    }
  })

  it('is told from what is none', () => {
    const texts = [
      '',
      '10.0.0.0',
      '10.0.0.0/',
      '10.0.0.0/33',
      '10.0.0/8',
      '::/129',
      '::/-1',
      'a/8',
      '/8',
      '::%eth0/x',
      '1.2.3.4/ 8',
    ]
    for (const text of texts) assert.equal(parseCidr(text), null, text)
  })
})
