/**
 * Whatever a client sends as its certificate, or stands in a revocation list, reading it ends in something read or in
 * "it cannot be read". `FUZZ_SEED` repeats a run, `FUZZ_INPUTS` makes it longer.
 */

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { readCertificate } from '../../src/net/certificate.ts'
import { readRevocationList } from '../../src/net/revocation-list.ts'
import { clientAuth, makeCertificate, makeRevocationList } from '../support/certificates.ts'
import { context, derOf, distinguishedName, extension, pem, sequence, tagged, utf8String } from '../support/der.ts'
import { mutate } from './mutate.ts'
import { Random, runSeed } from './random.ts'

const inputCount = Number(process.env.FUZZ_INPUTS ?? 30_000) / 2

const root = makeCertificate({ names: ['root'], keyType: 'rsa2048', isAuthority: true, pathLength: 3, keyUsage: 0x06 })
const place = context(0, context(0, tagged(0x86, Buffer.from('http://lists.example/1.crl'))))
const leaf = makeCertificate({
  names: ['client', '127.0.0.1'],
  keyType: 'p256',
  issuer: root,
  isPss: true,
  keyUsage: 0x80,
  extendedKeyUsage: [clientAuth],
  subject: distinguishedName(['2.5.4.6', tagged(0x13, Buffer.from('US'))], ['1.2.3.4', utf8String('ü')]),
  extensions: [extension('2.5.29.31', sequence(sequence(place)))],
})
const certificates = [root, leaf].map(({ certificate }) => derOf(certificate))
const lists = [
  makeRevocationList({ issuer: root, revoked: [leaf, root, Buffer.of(1)], nextUpdate: null }),
  makeRevocationList({
    issuer: root,
    revoked: Array.from({ length: 20 }, (_, at) => Buffer.of(1, at)),
    extensions: [extension('2.5.29.28', sequence(place), true)],
    entryExtensions: [extension('2.5.29.21', tagged(0x0a, Buffer.of(1)))],
    isPss: true,
  }),
].map(derOf)

function fuzz(what: string, corpus: readonly Buffer[], read: (bytes: Buffer, random: Random) => boolean): void {
  test(what, t => {
    const seed = runSeed()
    t.diagnostic(`FUZZ_SEED=${seed}`)
    const random = new Random(seed)
    const seen = { read: 0, refused: 0 }
    for (let i = 0; i < inputCount; i++) {
      const bytes = mutate(random.pick(corpus), corpus, random)
      try {
        seen[read(bytes, random) ? 'read' : 'refused']++
      } catch (error) {
        throw new Error(`FUZZ_SEED=${seed}, input ${i}: ${bytes.toString('hex')}`, { cause: error })
      }
    }
    t.diagnostic(JSON.stringify(seen))
    // Were all of one kind, the inputs would be worth nothing.
    for (const [ending, count] of Object.entries(seen)) assert(count > inputCount / 100, `${ending}: only ${count}`)
  })
}

fuzz('any certificate is read or is not', certificates, bytes => {
  // What OpenSSL would refuse before is read as well.
  const certificate = readCertificate({ raw: bytes } as X509Certificate)
  if (certificate === null) return false
  const { subject, issuer, notBeforeMs, notAfterMs } = certificate
  for (const { text } of [subject, issuer]) assert.match(text, /^[ -~]*$/)
  assert.ok(!Number.isNaN(new Date(notBeforeMs).getTime() + new Date(notAfterMs).getTime()))
  return true
})

fuzz('any revocation list is read or is not', lists, (bytes, random) => {
  const list = readRevocationList(pem('X509 CRL', bytes).trimEnd())
  if (list === null) return false
  assert.match(list.issuer.text, /^[ -~]*$/)
  list.has(Buffer.of(random.below(256), random.below(256)))
  list.isSignedBy(readCertificate(new X509Certificate(root.certificate))!)
  return true
})

test('a revocation list has what was put into it, and nothing else', () => {
  const random = new Random(runSeed())
  for (let round = 0; round < 20; round++) {
    // Short ones, so that many have the same hash, or are there twice.
    const serialNumber = () =>
      Buffer.from([1 + random.below(100), ...Array.from({ length: random.below(2) }, () => random.below(256))])
    const revoked = Array.from({ length: random.below(300) }, serialNumber)
    const list = readRevocationList(makeRevocationList({ issuer: root, revoked, hash: 'sha256' }).trimEnd())!
    assert.equal(list.entryCount, revoked.length)
    const expected = new Set(revoked.map(each => each.toString('hex')))
    for (let i = 0; i < 1000; i++) {
      const asked = serialNumber()
      assert.equal(list.has(asked), expected.has(asked.toString('hex')), asked.toString('hex'))
    }
    for (const each of revoked) assert.equal(list.has(each), true)
  }
})
