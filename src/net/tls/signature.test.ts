import assert from 'node:assert/strict'
import { test } from 'node:test'
import { context, derNull, integer, oid, sequence } from '../../../test/support/der.ts'
import { makeKey, signed } from '../../../test/support/signing.ts'
import { DerError, DerReader, Tag } from './der.ts'
import { isSignedWith, readSignatureAlgorithm } from './signature.ts'

const sha256 = sequence(oid('2.16.840.1.101.3.4.2.1'), derNull)
const sha384 = sequence(oid('2.16.840.1.101.3.4.2.2'))
const mgf1 = (hash: Buffer) => sequence(oid('1.2.840.113549.1.1.8'), hash)
const pss = (...parameters: readonly Buffer[]) => sequence(oid('1.2.840.113549.1.1.10'), sequence(...parameters))
const salt = (bytes: number) => context(2, integer(Buffer.of(bytes)))
const trailer = (number: number) => context(3, integer(Buffer.of(number)))

const supported = [
  ['RSA', sequence(oid('1.2.840.113549.1.1.11'), derNull), { scheme: 'rsa', hash: 'sha256', saltLength: 0 }],
  ['RSA without parameters', sequence(oid('1.2.840.113549.1.1.13')), { scheme: 'rsa', hash: 'sha512', saltLength: 0 }],
  ['ECDSA', sequence(oid('1.2.840.10045.4.3.3')), { scheme: 'ecdsa', hash: 'sha384', saltLength: 0 }],
  [
    'PSS',
    pss(context(0, sha256), context(1, mgf1(sha256)), salt(32)),
    { scheme: 'rsa-pss', hash: 'sha256', saltLength: 32 },
  ],
  [
    'PSS with the usual salt',
    pss(context(0, sha384), context(1, mgf1(sha384))),
    { scheme: 'rsa-pss', hash: 'sha384', saltLength: 20 },
  ],
  [
    'PSS with the usual trailer spelt out',
    pss(context(0, sha256), context(1, mgf1(sha256)), trailer(1)),
    { scheme: 'rsa-pss', hash: 'sha256', saltLength: 20 },
  ],
] as const
for (const [what, algorithm, expected] of supported) {
  test(`supported: ${what}`, () => {
    assert.deepEqual(readSignatureAlgorithm(algorithm), expected)
  })
}

const unsupported = [
  ['RSA with SHA-1', sequence(oid('1.2.840.113549.1.1.5'), derNull)],
  ['RSA with MD5', sequence(oid('1.2.840.113549.1.1.4'), derNull)],
  ['ECDSA with SHA-1', sequence(oid('1.2.840.10045.4.1'))],
  ['Ed25519', sequence(oid('1.3.101.112'))],
  ['PSS with what is usual, which is SHA-1', pss()],
  ['PSS without a word', sequence(oid('1.2.840.113549.1.1.10'))],
  ['PSS with a mask of another hash', pss(context(0, sha256), context(1, mgf1(sha384)))],
  ['PSS with a mask of the usual hash', pss(context(0, sha256))],
  ['PSS with a mask that is no MGF1', pss(context(0, sha256), context(1, sequence(oid('1.2.3'), sha256)))],
  ['PSS with another trailer', pss(context(0, sha256), context(1, mgf1(sha256)), trailer(0))],
] as const
for (const [what, algorithm] of unsupported) {
  test(`not supported: ${what}`, () => {
    assert.equal(readSignatureAlgorithm(algorithm), null)
  })
}

const malformed = [
  ['nothing', sequence()],
  ['parameters of another kind', sequence(oid('1.2.840.113549.1.1.11'), integer(Buffer.of(1)))],
  ['something behind the parameters', sequence(oid('1.2.840.113549.1.1.11'), derNull, derNull)],
  ['a salt that is negative', pss(context(0, sha256), context(1, mgf1(sha256)), salt(0x80))],
] as const
for (const [what, algorithm] of malformed) {
  test(`malformed: ${what}`, () => {
    assert.throws(() => readSignatureAlgorithm(algorithm), DerError)
  })
}

test('a signature is that of its key, by its algorithm, over its bytes', () => {
  const keys = (['rsa2048', 'rsaPss2048', 'p256', 'p384'] as const).map(makeKey)
  for (const [at, { privateKey, publicKey }] of keys.entries()) {
    const isPss = privateKey.asymmetricKeyType === 'rsa-pss'
    const reader = new DerReader(signed(privateKey, { hash: 'sha384', isPss }, () => sequence())).enter(Tag.sequence)
    const bytes = reader.element()
    const algorithm = readSignatureAlgorithm(reader.element())!
    const signature = reader.bytesOfBits()
    for (const [other, each] of keys.entries()) {
      assert.equal(isSignedWith(each.publicKey, algorithm, bytes, signature), other === at)
    }
    assert.equal(isSignedWith(publicKey, { ...algorithm, hash: 'sha256' }, bytes, signature), false)
    assert.equal(isSignedWith(publicKey, algorithm, Buffer.of(0x30, 1, 0), signature), false)
    assert.equal(isSignedWith(publicKey, algorithm, bytes, Buffer.alloc(0)), false)
  }
})
