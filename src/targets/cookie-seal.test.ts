import assert from 'node:assert/strict'
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { CookieKey } from '../model/snapshot.ts'
import { CookieSeal, type CookieTicket, sealedCharacters } from './cookie-seal.ts'

const keyOf = (id: number): CookieKey => ({ id, key: new Uint8Array(32).fill(id % 251) })
const groupId = '0123456789abcdef'
const expiresAtMs = Date.UTC(2026, 5, 1)
const target: CookieTicket = { kind: 'target', groupId, ip: '10.1.2.3', port: 8080, expiresAtMs }
const targetGroup: CookieTicket = { kind: 'targetGroup', groupId, expiresAtMs }

/** A value whose tag is right, around a plaintext that `change` has worked on. */
function sealedAround({ id, key }: CookieKey, change: (plaintext: Buffer) => void): string {
  const plaintext = Buffer.alloc(64)
  plaintext.set([1, 1])
  change(plaintext)
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  const head = Buffer.alloc(4)
  head.writeUInt32BE(id)
  return Buffer.concat([head, nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]).toString('base64')
}

/** What stands inside a value, in hex. */
function plaintextOf(value: string, { key }: CookieKey): string {
  const bytes = Buffer.from(value, 'base64')
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(4, 16)).setAuthTag(bytes.subarray(80))
  return decipher.update(bytes.subarray(16, 80), undefined, 'hex') + decipher.final('hex')
}

describe('cookie seal', () => {
  it('a value is 128 characters of plain base64, and says what was sealed', () => {
    const seal = new CookieSeal([keyOf(7)])
    const tickets: CookieTicket[] = [
      target,
      targetGroup,
      { ...target, ip: '2001:db8::17', port: 65_535 },
      { ...target, ip: '::ffff:10.1.2.3', port: 1, groupId: 'ffffffffffffffff', expiresAtMs: 2 ** 48 - 1 },
      { ...targetGroup, groupId: '0000000000000000', expiresAtMs: 0 },
    ]
    for (const ticket of tickets) {
      const value = seal.seal(ticket)
      assert.match(value, /^[A-Za-z0-9+/]{128}$/)
      assert.deepEqual(seal.open(value), ticket)
    }
  })

  it('a value holds the key id, and what the layout says', () => {
    const key = keyOf(7)
    const seal = new CookieSeal([key])
    const value = seal.seal({ ...target, expiresAtMs: 0x0102_0304_0506 })
    assert.equal(Buffer.from(value, 'base64').readUInt32BE(), 7)
    const common = '0123456789abcdef010203040506'
    assert.equal(plaintextOf(value, key), `0104${common}1f900a010203${'00'.repeat(42)}`)
  })

  it('one ticket after another leaves nothing of itself behind', () => {
    const key = keyOf(7)
    const seal = new CookieSeal([key])
    seal.seal({ ...target, ip: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', port: 65_535 })
    const bare = plaintextOf(seal.seal({ kind: 'targetGroup', groupId, expiresAtMs: 0 }), key)
    assert.equal(bare, `0101${groupId}${'00'.repeat(54)}`)
    assert.deepEqual(seal.open(seal.seal({ ...target, ip: '::1', port: 1 })), { ...target, ip: '::1', port: 1 })
    const [one, other] = [seal.seal(target), seal.seal(targetGroup)]
    assert.deepEqual([seal.open(one), seal.open(other)], [target, targetGroup])
  })

  it('a fraction of a millisecond is cut off', () => {
    const seal = new CookieSeal([keyOf(7)])
    const value = seal.seal({ ...targetGroup, expiresAtMs: expiresAtMs + 0.9 })
    assert.deepEqual(seal.open(value), targetGroup)
  })

  it('no two values are the same, however many are sealed', () => {
    const seal = new CookieSeal([keyOf(7)])
    const values = new Set(Array.from({ length: 2000 }, () => seal.seal(target)))
    const nonces = new Set([...values].map(value => Buffer.from(value, 'base64').toString('hex', 4, 16)))
    assert.deepEqual([values.size, nonces.size], [2000, 2000])
  })

  it('the newest key seals, and every key opens until it is gone', () => {
    const [old, current] = [keyOf(2 ** 32 - 1), keyOf(3)]
    const before = new CookieSeal([old]).seal(target)
    const rotated = new CookieSeal([current, old])
    assert.deepEqual(rotated.open(before), target)
    const after = rotated.seal(target)
    assert.deepEqual(new CookieSeal([current]).open(after), target)
    assert.equal(new CookieSeal([old]).open(after), null)
    assert.equal(new CookieSeal([current]).open(before), null)
    assert.equal(new CookieSeal([]).open(before), null)
    assert.equal(new CookieSeal([{ ...keyOf(5), id: 3 }]).open(after), null)
  })

  it('sealing without a key is our own mistake, and so is the id of no target group', () => {
    assert.throws(() => new CookieSeal([]).seal(target), /sealed with a key/)
    const seal = new CookieSeal([keyOf(7)])
    for (const id of ['0123', '0123456789abcdeg']) {
      assert.throws(() => seal.seal({ ...targetGroup, groupId: id }), /16 hex digits/)
    }
  })

  it('a value with any bit of it changed does not open', () => {
    const seal = new CookieSeal([keyOf(7), keyOf(6)])
    for (const ticket of [target, targetGroup]) {
      const bytes = Buffer.from(seal.seal(ticket), 'base64')
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        bytes[bit >> 3]! ^= 1 << (bit & 7)
        assert.equal(seal.open(bytes.toString('base64')), null, `bit ${bit}`)
        bytes[bit >> 3]! ^= 1 << (bit & 7)
      }
      assert.deepEqual(seal.open(bytes.toString('base64')), ticket)
    }
  })

  it('a value of another length or alphabet does not open, though decoders would forgive it', () => {
    const seal = new CookieSeal([keyOf(7)])
    let value = seal.seal(target)
    while (!value.includes('+') || !value.includes('/')) value = seal.seal(target)
    const wrong = [
      '',
      value.slice(0, -1),
      value.slice(0, -4),
      `${value}A`,
      `${value} `,
      `${value}====`,
      ` ${value.slice(1)}`,
      `${value.slice(0, -1)}=`,
      value.replaceAll('+', '-'),
      value.replaceAll('/', '_'),
      encodeURIComponent(value),
      `${value.slice(0, -1)}Ā`,
      `${value.slice(0, -1)}\uffff`,
      '='.repeat(sealedCharacters),
      'A'.repeat(sealedCharacters),
    ]
    for (const text of wrong) assert.equal(seal.open(text), null, text)
  })

  it('what another version sealed does not open', () => {
    const key = keyOf(7)
    const seal = new CookieSeal([key])
    assert.deepEqual(seal.open(sealedAround(key, () => {})), {
      kind: 'targetGroup',
      groupId: '0000000000000000',
      expiresAtMs: 0,
    })
    for (const version of [0, 2, 255]) {
      assert.equal(seal.open(sealedAround(key, plaintext => plaintext.set([version, 1]))), null)
    }
    for (const kind of [0, 2, 3, 5, 7, 255]) {
      assert.equal(seal.open(sealedAround(key, plaintext => plaintext.set([1, kind]))), null)
    }
  })

  it('whatever text a client makes up, it does not open and nothing is thrown', () => {
    const seal = new CookieSeal([keyOf(0)]) // the id that zeros would name
    const characters = [...'ABab01+/=-_ %']
    fc.assert(fc.property(fc.string({ unit: 'binary' }), text => seal.open(text) === null))
    const long = fc.string({ unit: fc.constantFrom(...characters), minLength: 120, maxLength: 132 })
    fc.assert(fc.property(long, text => seal.open(text) === null))
    const sized = fc.uint8Array({ minLength: 92, maxLength: 92 })
    fc.assert(
      fc.property(sized, bytes => seal.open(Buffer.concat([Buffer.alloc(4), bytes]).toString('base64')) === null),
    )
  })
})
