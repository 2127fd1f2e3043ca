import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hexValue, ipv6Byte, nameByte, plainNameByte, targetByte, tokenByte, valueByte } from './tables.ts'

function allowed(table: Uint8Array): string {
  const bytes = [...table.keys()].filter(byte => table[byte] === 1)
  return Buffer.from(bytes).toString('latin1')
}

const digits = '0123456789'
const upper = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
const lower = upper.toLowerCase()
const sorted = (text: string) => [...text].sort().join('')
const obsText = String.fromCharCode(...Array.from({ length: 128 }, (_, i) => 0x80 + i))
const visible = String.fromCharCode(...Array.from({ length: 94 }, (_, i) => 0x21 + i))

describe('byte tables', () => {
  it('know the bytes of a token (RFC 9110, section 5.6.2)', () => {
    assert.equal(allowed(tokenByte), sorted(`!#$%&'*+-.^_\`|~${digits}${upper}${lower}`))
  })

  it('know the bytes of a field value (RFC 9110, section 5.5)', () => {
    assert.equal(allowed(valueByte), `\t ${visible}${obsText}`)
  })

  it('know the bytes of a plain name, a request target and a host', () => {
    assert.equal(allowed(plainNameByte), sorted(`-${digits}${upper}${lower}`))
    assert.equal(allowed(targetByte), `${visible}${obsText}`)
    assert.equal(allowed(nameByte), sorted(`-._~!$&'()*+,;=${digits}${upper}${lower}`))
    assert.equal(allowed(ipv6Byte), sorted(`:.${digits}abcdefABCDEF`))
  })

  it('know the value of every hexadecimal digit, and no other', () => {
    for (let byte = 0; byte < 256; byte++) {
      const text = String.fromCharCode(byte)
      assert.equal(hexValue[byte], /[0-9a-fA-F]/.test(text) ? Number.parseInt(text, 16) : 255)
    }
  })
})
