import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { clientAuth, makeCertificate, serverAuth } from '../../test/support/certificates.ts'
import { context, derNull, derOf, derTrue, extension, sequence, tagged } from '../../test/support/der.ts'
import { readCertificate } from './certificate.ts'

const place = tagged(0x86, Buffer.from('http://lists.example/1.crl'))
const certificate = makeCertificate({
  names: ['a.example'],
  keyType: 'p256',
  hash: 'sha384',
  isAuthority: true,
  pathLength: 2,
  keyUsage: 0x86,
  extendedKeyUsage: [clientAuth, serverAuth],
  serialNumber: Buffer.of(0x80, 1),
  notBefore: new Date('2023-09-21T01:50:17Z'),
  notAfter: new Date('2024-09-20T01:50:17Z'),
  extensions: [extension('2.5.29.31', sequence(sequence(context(0, context(0, place))), sequence()))],
})

/** As if it had come so; nothing but its bytes is looked at. */
const read = (der: Buffer) => readCertificate({ raw: der } as X509Certificate)

test('a certificate is read to its last extension', () => {
  const x509 = new X509Certificate(certificate.certificate)
  const name = { text: 'CN=a.example', key: '550403="a.example"' }
  assert.deepEqual(readCertificate(x509), {
    x509,
    version: 3,
    signature: { scheme: 'ecdsa', hash: 'sha384', saltLength: 0 },
    serialNumber: Buffer.of(0x80, 1),
    issuer: name,
    subject: name,
    subjectSize: 22,
    notBeforeMs: Date.UTC(2023, 8, 21, 1, 50, 17),
    notAfterMs: Date.UTC(2024, 8, 20, 1, 50, 17),
    extensions: {
      isAuthority: true,
      pathLength: 2,
      keyUsage: 0b1100001,
      extendedKeyUsage: new Set(['2b06010505070302', '2b06010505070301']),
      distributionPoints: new Set([place.toString('hex')]),
      notUnderstood: null,
    },
  })
})

test('one of version 1 has no extensions, and says nothing by that', () => {
  const { version, extensions } = read(
    derOf(makeCertificate({ names: ['a'], keyType: 'p256', version: 1 }).certificate),
  )!
  assert.deepEqual([version, extensions.isAuthority, extensions.keyUsage], [1, false, null])
})

const der = derOf(certificate.certificate)
const broken: readonly (readonly [what: string, der: Buffer])[] = [
  ['nothing', Buffer.alloc(0)],
  ['something behind it', Buffer.concat([der, derNull])],
  ['one cut off', der.subarray(0, -1)],
  ['another algorithm outside than inside', withOuterSha256()],
  ...[
    ['basic constraints that are none', extension('2.5.29.19', derNull)],
    ['a length of the path that is negative', extension('2.5.29.19', sequence(derTrue, tagged(2, Buffer.of(0xff))))],
    ['a key usage that is none', extension('2.5.29.15', derNull)],
    ['an extended key usage that is none', extension('2.5.29.37', sequence(derNull))],
    ['distribution points that are none', extension('2.5.29.31', derNull)],
    ['something behind what an extension says', extension('2.5.29.37', Buffer.concat([sequence(), derNull]))],
  ].map(([what, each]) => [what as string, withExtension(each as Buffer)] as const),
]
for (const [what, bytes] of broken) {
  test(`not read: ${what}`, () => {
    assert.equal(read(bytes), null)
  })
}

function withExtension(each: Buffer): Buffer {
  return derOf(makeCertificate({ names: ['a'], keyType: 'p256', extensions: [each], hasTheseOnly: true }).certificate)
}

/** The last algorithm in it is the outer one, ECDSA with SHA-384. */
function withOuterSha256(): Buffer {
  const bytes = Buffer.from(der)
  bytes[bytes.lastIndexOf(Buffer.from('2a8648ce3d040303', 'hex')) + 7] = 2
  return bytes
}
