import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import {
  alone,
  type CertificateRequest,
  clientAuth,
  type MadeCertificate,
  makeCertificate,
  makeRevocationList,
  type RevocationListRequest,
  serverAuth,
} from '../../../test/support/certificates.ts'
import { bitString, context, derNull, extension, oid, sequence, tagged } from '../../../test/support/der.ts'
import { needs } from '../../../test/support/needs.ts'
import type { SslPolicyKind } from '../../model/ssl-policies.ts'
import { readCertificate } from '../certificate.ts'
import { readRevocationList } from '../revocation-list.ts'
import { certificateFault } from './client-trust.ts'
import type { CertificateFault } from './failure.ts'

const now = new Date('2026-01-01')
const past = new Date('2025-06-01')
const future = new Date('2026-06-01')

type Changes = Partial<CertificateRequest>

function authority(name: string, changes: Changes = {}): MadeCertificate {
  return makeCertificate({ names: [name], keyType: 'p256', isAuthority: true, keyUsage: 0x06, ...changes })
}

function client(issuer: MadeCertificate | null, changes: Changes = {}): MadeCertificate {
  return makeCertificate({ names: ['client'], keyType: 'p256', issuer, keyUsage: 0x80, ...changes })
}

function listOf(issuer: MadeCertificate, changes: Partial<RevocationListRequest> = {}): string {
  return makeRevocationList({ issuer, revoked: [], ...changes })
}

const root = authority('root')
const middle = authority('middle', { issuer: root })
const lower = authority('lower', { issuer: middle })
const lowest = authority('lowest', { issuer: lower })
const stranger = authority('stranger')
const renewed = authority('root', { keyType: 'p384' })
const rsaRoot = authority('rsa root', { keyType: 'rsa2048' })

type Case = {
  readonly what: string
  /** Null: it is good. */
  readonly fault: CertificateFault | null
  /** What the client sends, each without those above it. */
  readonly sent: readonly MadeCertificate[]
  /** `root` unless given. */
  readonly trusted?: readonly MadeCertificate[]
  readonly lists?: readonly string[]
  readonly ignoreExpiry?: boolean
  readonly policyKind?: SslPolicyKind
  /** OpenSSL decides otherwise, for this reason. */
  readonly unlikeOpenssl?: string
}

/** A client and the one above it, of whom the root is the issuer. */
function below(changes: Changes, ofClient: Changes = {}): MadeCertificate[] {
  const above = authority('above', { issuer: root, ...changes })
  return [client(above, ofClient), above]
}

const selfSigned = client(null)
const noAuthority = client(root)
const wouldBe = client(root, { names: ['would-be'], keyUsage: 0x84 })
const noPathBelow = authority('last', { issuer: root, pathLength: 0 })
const belowNoPath = authority('below', { issuer: noPathBelow })
const shortRoot = authority('short', { pathLength: 1 })
const shortOne = authority('one', { issuer: shortRoot })
const shortTwo = authority('two', { issuer: shortOne })
/** The same authority under its own name with another key: it does not count for the length. */
const selfIssued = authority('short', { issuer: shortRoot, keyType: 'p384' })
const shortThree = authority('three', { issuer: selfIssued })

const unknownKey = sequence(sequence(oid('1.2.3.4')), bitString(Buffer.of(1, 2, 3)))
const brokenKey = sequence(sequence(oid('1.2.840.113549.1.1.1'), derNull), bitString(Buffer.of(1, 2, 3)))

const paths: readonly Case[] = [
  { what: 'issued by a trusted authority', sent: [client(root)], fault: null },
  { what: 'two authorities below', sent: [client(lower), lower, middle], fault: null },
  { what: 'three below, four certificates in all', sent: [client(lowest), lowest, lower, middle], fault: null },
  {
    what: 'five in all, with the root',
    sent: [client(lowest), lowest, lower, middle, root],
    fault: 'ClientCertMaxChainDepthExceeded',
    unlikeOpenssl: 'the quota is not its own',
  },
  { what: 'with the root, which is trusted anyhow', sent: [client(middle), middle, root], fault: null },
  { what: 'in another order', sent: [client(lower), middle, lower], fault: null },
  {
    what: 'with others that have nothing to do with it',
    sent: [client(middle), stranger, middle, selfSigned],
    fault: null,
  },
  { what: 'under a trusted authority that is no root', sent: [client(middle)], trusted: [middle], fault: null },
  { what: 'under two trusted ones', sent: [client(middle)], trusted: [root, middle], fault: null },
  { what: 'trusted itself', sent: [selfSigned], trusted: [selfSigned], fault: null },
  { what: 'self-signed', sent: [selfSigned], fault: 'ClientCertUntrusted' },
  { what: 'of an authority that is not trusted', sent: [client(stranger), stranger], fault: 'ClientCertUntrusted' },
  { what: 'with one missing in between', sent: [client(lower), lower], fault: 'ClientCertUntrusted' },
  { what: 'of somebody else by the trusted name', sent: [client(renewed)], fault: 'ClientCertUntrusted' },
  {
    what: 'of an authority that has an old and a new key',
    sent: [client(renewed)],
    trusted: [root, renewed],
    fault: null,
    unlikeOpenssl: 'it tries one of a name',
  },
  { what: 'issued by no authority', sent: [client(noAuthority), noAuthority], fault: 'ClientCertUntrusted' },
  { what: 'issued by one that is none but says so', sent: [client(wouldBe), wouldBe], fault: 'ClientCertUntrusted' },
  {
    what: 'of an authority that may not sign certificates',
    sent: below({ keyUsage: 0x02 }),
    fault: 'ClientCertUntrusted',
  },
  {
    what: 'of an authority whose key nobody knows',
    sent: below({ publicKeyInfo: unknownKey }),
    fault: 'ClientCertUntrusted',
  },
  {
    what: 'of an authority whose key is broken',
    sent: below({ publicKeyInfo: brokenKey }),
    fault: 'ClientCertUntrusted',
  },
  { what: 'of an authority that may do anything', sent: below({ keyUsage: 0xff }), fault: null },
  { what: 'right below one that may have no authorities below', sent: [client(noPathBelow), noPathBelow], fault: null },
  {
    what: 'of such an authority all the same',
    sent: [client(belowNoPath), belowNoPath, noPathBelow],
    fault: 'ClientCertUntrusted',
  },
  { what: 'one below a root that allows one', sent: [client(shortOne), shortOne], trusted: [shortRoot], fault: null },
  {
    what: 'two below it',
    sent: [client(shortTwo), shortTwo, shortOne],
    trusted: [shortRoot],
    fault: 'ClientCertUntrusted',
  },
  {
    what: 'two below it, one of which is its own new key',
    sent: [client(shortThree), shortThree, selfIssued],
    trusted: [shortRoot],
    fault: null,
    unlikeOpenssl: 'it tries one of a name',
  },
]

const times: readonly Case[] = [
  { what: 'expired', sent: [client(root, { notAfter: past })], fault: 'ClientCertExpired' },
  {
    what: 'expired, where that is ignored',
    sent: [client(root, { notAfter: past })],
    ignoreExpiry: true,
    fault: null,
    unlikeOpenssl: 'expiry alone cannot be ignored',
  },
  { what: 'in the second that is its last', sent: [client(root, { notAfter: now })], fault: 'ClientCertExpired' },
  { what: 'in its first second', sent: [client(root, { notBefore: now })], fault: null },
  { what: 'not yet valid', sent: [client(root, { notBefore: future })], fault: 'ClientCertNotYetValid' },
  {
    what: 'not yet valid, with expiry ignored',
    sent: [client(root, { notBefore: future })],
    ignoreExpiry: true,
    fault: 'ClientCertNotYetValid',
  },
  { what: 'of an expired authority', sent: below({ notAfter: past }), fault: 'ClientCertExpired' },
  {
    what: 'of an expired authority, with expiry ignored',
    sent: below({ notAfter: past }),
    ignoreExpiry: true,
    fault: 'ClientCertExpired',
  },
  {
    what: 'of an expired trusted one',
    sent: [client(authority('old', { notAfter: past }))],
    trusted: [authority('old', { notAfter: past })],
    fault: 'ClientCertExpired',
  },
  {
    what: 'of a trusted one that was renewed with its key',
    sent: [client(root)],
    trusted: [authority('root', { sameKeyAs: root, notAfter: past }), root],
    fault: null,
  },
  {
    what: 'expired and not trusted, with expiry ignored',
    sent: [client(stranger, { notAfter: past })],
    ignoreExpiry: true,
    fault: 'ClientCertUntrusted',
  },
  {
    what: 'expired and for another purpose, with expiry ignored',
    sent: [client(root, { notAfter: past, extendedKeyUsage: [serverAuth] })],
    ignoreExpiry: true,
    fault: 'ClientCertPurposeInvalid',
  },
]

const critical = (id: string) => [extension(id, derNull, true)]

const kinds: readonly Case[] = [
  ...[unknownKey, brokenKey].map(
    (publicKeyInfo, at): Case => ({
      what: `a key that is ${['unknown', 'broken'][at]}`,
      sent: [client(root, { publicKeyInfo })],
      fault: 'ClientCertTypeUnsupported',
      unlikeOpenssl: 'it takes more than the service does',
    }),
  ),
  ...(['rsa2048', 'rsa3072', 'rsa4096', 'rsaPss2048', 'p256', 'p384', 'p521'] as const).map(
    (keyType): Case => ({ what: `a key of the kind ${keyType}`, sent: [client(root, { keyType })], fault: null }),
  ),
  { what: 'an RSA key of 8192 bits', sent: [client(root, { madeUpRsaBits: 8192 })], fault: null },
  ...(['rsa1024', 'secp256k1', 'ed25519'] as const).map(
    (keyType): Case => ({
      what: `a key of the kind ${keyType}`,
      sent: [client(root, { keyType })],
      fault: 'ClientCertTypeUnsupported',
      unlikeOpenssl: 'it takes more than the service does',
    }),
  ),
  {
    what: 'an RSA key of more than 8192 bits',
    sent: [client(root, { madeUpRsaBits: 8200 })],
    fault: 'ClientCertTypeUnsupported',
    unlikeOpenssl: 'it takes more than the service does',
  },
  ...(['rsa2048', 'p256', 'p384', 'p521'] as const).flatMap(keyType =>
    (['sha256', 'sha384', 'sha512'] as const).map(
      (hash): Case => ({
        what: `signed with ${hash} by ${keyType}`,
        sent: [client(authority('signer', { keyType }), { hash })],
        trusted: [authority('signer', { keyType })],
        fault: null,
      }),
    ),
  ),
  ...(['sha256', 'sha384', 'sha512'] as const).map(
    (hash): Case => ({
      what: `signed with RSASSA-PSS and ${hash}`,
      sent: [client(rsaRoot, { hash, isPss: true })],
      trusted: [rsaRoot],
      fault: null,
    }),
  ),
  ...[
    { what: 'signed with SHA-1', changes: { hash: 'sha1' } },
    { what: 'signed with RSASSA-PSS and SHA-1', changes: { hash: 'sha1', isPss: true } },
  ].map(
    ({ what, changes }): Case => ({
      what,
      sent: [client(rsaRoot, changes as Changes)],
      trusted: [rsaRoot],
      fault: 'ClientCertTypeUnsupported',
      unlikeOpenssl: 'it takes more than the service does',
    }),
  ),
  {
    what: 'of an authority that is signed with SHA-1',
    sent: [
      client(authority('above', { issuer: rsaRoot, hash: 'sha1' })),
      authority('above', { issuer: rsaRoot, hash: 'sha1' }),
    ],
    trusted: [rsaRoot],
    fault: 'ClientCertTypeUnsupported',
    unlikeOpenssl: 'it takes more than the service does',
  },
  {
    what: 'of version 1',
    sent: [client(root, { version: 1 })],
    fault: 'ClientCertTypeUnsupported',
    unlikeOpenssl: 'it takes more than the service does',
  },
  {
    what: 'with a critical extension that nobody knows',
    sent: [client(root, { extensions: critical('1.2.3.4') })],
    fault: 'ClientCertInvalid',
  },
  {
    what: 'with one that need not be known',
    sent: [client(root, { extensions: [extension('1.2.3.4', derNull)] })],
    fault: null,
  },
  {
    what: 'with a policy, critical',
    sent: [
      client(root, { extensions: [extension('2.5.29.32', sequence(sequence(tagged(6, Buffer.of(0x2a)))), true)] }),
    ],
    fault: null,
  },
  {
    what: 'of an authority with such an extension',
    sent: below({ extensions: critical('1.2.3.4') }),
    fault: 'ClientCertInvalid',
  },
  {
    what: 'of an authority whose names are constrained',
    sent: below({
      extensions: [extension('2.5.29.30', sequence(context(0, sequence(tagged(0x82, Buffer.from('client'))))))],
    }),
    fault: 'ClientCertInvalid',
    unlikeOpenssl: 'it looks whether they are as they must be',
  },
  {
    what: 'with another that cannot be read, though nobody needs it',
    sent: [
      client(root),
      client(stranger, { extensions: [extension('1.2.3.4', derNull), extension('1.2.3.4', derNull)] }),
    ],
    fault: 'ClientCertInvalid',
    unlikeOpenssl: 'it does not mind',
  },
  {
    what: 'with an extension twice',
    sent: [client(root, { extensions: [extension('1.2.3.4', derNull), extension('1.2.3.4', derNull)] })],
    fault: 'ClientCertInvalid',
    unlikeOpenssl: 'it does not mind',
  },
]

const purposes: readonly Case[] = [
  { what: 'for clients', sent: [client(root, { extendedKeyUsage: [clientAuth] })], fault: null },
  {
    what: 'for servers and clients',
    sent: [client(root, { extendedKeyUsage: [serverAuth, clientAuth] })],
    fault: null,
  },
  { what: 'for servers', sent: [client(root, { extendedKeyUsage: [serverAuth] })], fault: 'ClientCertPurposeInvalid' },
  {
    what: 'for anything',
    sent: [client(root, { extendedKeyUsage: ['2.5.29.37.0'] })],
    fault: 'ClientCertPurposeInvalid',
  },
  { what: 'for signatures', sent: [client(root, { keyUsage: 0x80 })], fault: null },
  { what: 'for key agreement', sent: [client(root, { keyUsage: 0x08 })], fault: null },
  { what: 'for encryption', sent: [client(root, { keyUsage: 0x20 })], fault: 'ClientCertPurposeInvalid' },
  { what: 'of an authority for clients', sent: below({ extendedKeyUsage: [clientAuth] }), fault: null },
  {
    what: 'of an authority for servers',
    sent: below({ extendedKeyUsage: [serverAuth] }),
    fault: 'ClientCertPurposeInvalid',
  },
  {
    what: 'of a trusted authority for servers',
    sent: [client(authority('for servers', { extendedKeyUsage: [serverAuth] }))],
    trusted: [authority('for servers', { extendedKeyUsage: [serverAuth] })],
    fault: null,
    unlikeOpenssl: 'to be trusted is not enough for it',
  },
]

const revoked = client(root, { names: ['revoked'] })
const other = client(root, { names: ['other'] })
const ofRsa = client(rsaRoot)
const upper = authority('upper', { issuer: root })
const belowUpper = client(upper)
const uri = tagged(0x86, Buffer.from('http://lists.example/1.crl'))
const otherUri = tagged(0x86, Buffer.from('http://lists.example/2.crl'))
const place = (...names: readonly Buffer[]) => context(0, context(0, ...names))
const withPlace = client(root, {
  names: ['placed'],
  extensions: [extension('2.5.29.31', sequence(sequence(place(uri))))],
})
const flag = (number: number) => tagged(0x80 + number, Buffer.of(0xff))
const scope = (...parts: readonly Buffer[]) => [extension('2.5.29.28', sequence(...parts), true)]

const revocations: readonly Case[] = [
  { what: 'not on the list', sent: [other], lists: [listOf(root, { revoked: [revoked] })], fault: null },
  {
    what: 'on the list',
    sent: [revoked],
    lists: [listOf(root, { revoked: [other, revoked] })],
    fault: 'ClientCertCrlHit',
  },
  {
    what: 'on the second list',
    sent: [revoked],
    lists: [listOf(root), listOf(root, { revoked: [revoked] })],
    fault: 'ClientCertCrlHit',
    unlikeOpenssl: 'it looks at one list of an issuer',
  },
  { what: 'an empty list', sent: [revoked], lists: [listOf(root)], fault: null },
  {
    what: 'a serial number on the list of another authority',
    sent: [revoked],
    lists: [listOf(stranger, { revoked: [revoked] }), listOf(root)],
    fault: null,
  },
  {
    what: 'only a list of another authority',
    sent: [revoked],
    lists: [listOf(stranger, { revoked: [revoked] })],
    fault: 'ClientCertCrlProcessingError',
  },
  {
    what: 'on a list that another signed in the name of the authority',
    sent: [revoked],
    lists: [listOf(root, { revoked: [revoked], signer: stranger })],
    fault: 'ClientCertCrlProcessingError',
  },
  {
    what: 'an authority on the list of its own',
    sent: [belowUpper, upper],
    lists: [listOf(root, { revoked: [upper] }), listOf(upper)],
    fault: 'ClientCertCrlHit',
  },
  { what: 'a list for each of two', sent: [belowUpper, upper], lists: [listOf(root), listOf(upper)], fault: null },
  {
    what: 'a list for the upper of two only',
    sent: [belowUpper, upper],
    lists: [listOf(root)],
    fault: 'ClientCertCrlProcessingError',
  },
  {
    what: 'a list for the lower of two only',
    sent: [belowUpper, upper],
    lists: [listOf(upper)],
    fault: 'ClientCertCrlProcessingError',
  },
  {
    what: 'a list for the only one below a trusted one that is no root',
    sent: [belowUpper],
    trusted: [upper],
    lists: [listOf(upper)],
    fault: null,
  },
  {
    what: 'trusted itself, with lists of others',
    sent: [selfSigned],
    trusted: [selfSigned],
    lists: [listOf(stranger)],
    fault: null,
    unlikeOpenssl: 'it wants one for the trusted as well',
  },
  {
    what: 'an expired list',
    sent: [other],
    lists: [listOf(root, { nextUpdate: past })],
    fault: 'ClientCertCrlProcessingError',
  },
  {
    what: 'on an expired list',
    sent: [revoked],
    lists: [listOf(root, { nextUpdate: past, revoked: [revoked] })],
    fault: 'ClientCertCrlHit',
  },
  {
    what: 'an expired list and its successor',
    sent: [other],
    lists: [listOf(root, { nextUpdate: past }), listOf(root)],
    fault: null,
  },
  {
    what: 'a list of the future',
    sent: [other],
    lists: [listOf(root, { thisUpdate: future })],
    fault: 'ClientCertCrlProcessingError',
  },
  { what: 'a list without an end', sent: [other], lists: [listOf(root, { nextUpdate: null })], fault: null },
  {
    what: 'a list of an authority that may sign none',
    sent: [client(authority('no lists', { keyUsage: 0x04 }))],
    trusted: [authority('no lists', { keyUsage: 0x04 })],
    lists: [listOf(authority('no lists', { keyUsage: 0x04 }))],
    fault: 'ClientCertCrlProcessingError',
  },
  {
    what: 'a list signed with RSA',
    sent: [ofRsa],
    trusted: [rsaRoot],
    lists: [listOf(rsaRoot, { revoked: [ofRsa] })],
    fault: 'ClientCertCrlHit',
  },
  {
    what: 'a list signed with RSASSA-PSS',
    sent: [ofRsa],
    trusted: [rsaRoot],
    lists: [listOf(rsaRoot, { isPss: true, hash: 'sha384' })],
    fault: null,
  },
  {
    what: 'a list signed with SHA-1',
    sent: [ofRsa],
    trusted: [rsaRoot],
    lists: [listOf(rsaRoot, { hash: 'sha1' })],
    fault: 'ClientCertCrlProcessingError',
    unlikeOpenssl: 'it takes more than the service does',
  },
  {
    what: 'a list of changes only',
    sent: [other],
    lists: [listOf(root, { extensions: [extension('2.5.29.27', tagged(2, Buffer.of(1)), true)] })],
    fault: 'ClientCertCrlProcessingError',
  },
  {
    what: 'a list with an extension that need not be known',
    sent: [other],
    lists: [listOf(root, { extensions: [extension('2.5.29.20', tagged(2, Buffer.of(7)))] })],
    fault: null,
  },
  {
    what: 'a list with entries of other issuers',
    sent: [other],
    lists: [listOf(root, { revoked: [revoked], entryExtensions: [extension('2.5.29.29', sequence(), true)] })],
    fault: 'ClientCertCrlProcessingError',
    unlikeOpenssl: 'it can read such lists',
  },
  {
    what: 'on a list that says why',
    sent: [revoked],
    lists: [
      listOf(root, { revoked: [revoked], entryExtensions: [extension('2.5.29.21', tagged(0x0a, Buffer.of(1)))] }),
    ],
    fault: 'ClientCertCrlHit',
  },
  {
    what: 'a list for the place that it names',
    sent: [withPlace],
    lists: [listOf(root, { extensions: scope(place(uri)) })],
    fault: null,
  },
  {
    what: 'a list for several places',
    sent: [withPlace],
    lists: [listOf(root, { extensions: scope(place(otherUri, uri)) })],
    fault: null,
  },
  {
    what: 'a list for another place',
    sent: [withPlace],
    lists: [listOf(root, { extensions: scope(place(otherUri)) })],
    fault: 'ClientCertCrlProcessingError',
  },
  {
    what: 'a list for a place that it does not name',
    sent: [other],
    lists: [listOf(root, { extensions: scope(place(uri)) })],
    fault: 'ClientCertCrlProcessingError',
  },
  { what: 'a list without a place', sent: [withPlace], lists: [listOf(root)], fault: null },
  {
    what: 'a list of those who are no authorities',
    sent: [other],
    lists: [listOf(root, { extensions: scope(flag(1)) })],
    fault: null,
  },
  {
    what: 'a list of authorities',
    sent: [other],
    lists: [listOf(root, { extensions: scope(flag(2)) })],
    fault: 'ClientCertCrlProcessingError',
  },
  {
    what: 'two lists that share the work',
    sent: [belowUpper, upper],
    lists: [listOf(root, { extensions: scope(flag(2)) }), listOf(upper, { extensions: scope(flag(1)) })],
    fault: null,
  },
  {
    what: 'a list that is indirect',
    sent: [other],
    lists: [listOf(root, { extensions: scope(flag(4)) })],
    fault: 'ClientCertCrlProcessingError',
    unlikeOpenssl: 'it can read such lists',
  },
  {
    what: 'a list for some reasons',
    sent: [other],
    lists: [listOf(root, { extensions: scope(tagged(0x83, Buffer.of(1, 0x40))) })],
    fault: 'ClientCertCrlProcessingError',
  },
  {
    what: 'revoked and expired',
    sent: [client(root, { notAfter: past })],
    lists: [listOf(root, { revoked: [client(root, { notAfter: past })] })],
    fault: 'ClientCertCrlHit',
  },
  {
    what: 'a negative serial number, which cannot be revoked',
    sent: [client(root, { serialNumber: Buffer.of(0x80, 1) })],
    lists: [listOf(root, { revoked: [Buffer.of(0, 0x80, 1)] })],
    fault: null,
  },
]

const strictRoot = authority('strict', { keyType: 'p384', hash: 'sha384' })
const strict = { trusted: [strictRoot], policyKind: 'rfc9151-strict', unlikeOpenssl: 'it knows no policy' } as const
const strictClient = (changes: Changes) => [client(strictRoot, { keyType: 'p384', hash: 'sha384', ...changes })]
const compatibility: readonly Case[] = [
  { ...strict, what: 'P-384 with SHA-384', sent: strictClient({}), fault: null },
  { ...strict, what: 'RSA of 3072 bits', sent: strictClient({ keyType: 'rsa3072' }), fault: null },
  { ...strict, what: 'RSA of 2048 bits', sent: strictClient({ keyType: 'rsa2048' }), fault: 'ClientCertIncompatible' },
  { ...strict, what: 'P-256', sent: strictClient({ keyType: 'p256' }), fault: 'ClientCertIncompatible' },
  { ...strict, what: 'SHA-256', sent: strictClient({ hash: 'sha256' }), fault: 'ClientCertIncompatible' },
  {
    ...strict,
    what: 'a trusted authority with P-256',
    sent: strictClient({ issuer: root }),
    trusted: [root],
    fault: 'ClientCertIncompatible',
  },
  {
    ...strict,
    what: 'the same under a policy that is not strict',
    sent: strictClient({ issuer: root }),
    trusted: [root],
    policyKind: 'rfc9151-interop',
    fault: null,
  },
]

for (const [group, cases] of Object.entries({ paths, times, kinds, purposes, revocations, compatibility })) {
  describe(group, () => {
    for (const each of cases) {
      test(`${each.what}: ${each.fault ?? 'good'}`, () => {
        assert.equal(faultOf(each), each.fault)
      })
      if (each.unlikeOpenssl !== undefined) continue
      test(`${each.what}: openssl decides alike`, { skip: needs('openssl') }, async t => {
        assert.equal(await isGoodForOpenssl(t, each), each.fault === null)
      })
    }
  })
}

function faultOf({
  sent,
  trusted = [root],
  lists = [],
  ignoreExpiry = false,
  policyKind = 'tls13',
}: Case): CertificateFault | null {
  const trust = {
    authorities: trusted.map(each => readCertificate(parsed(each))!),
    revocationLists: lists.map(pem => readRevocationList(pem.trim())!),
    ignoreExpiry,
    policyKind,
  }
  return certificateFault(trust, sent.map(parsed), now.getTime())
}

function parsed(certificate: MadeCertificate): X509Certificate {
  return new X509Certificate(certificate.certificate)
}

async function isGoodForOpenssl(t: TestContext, { sent, trusted = [root], lists = [] }: Case): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'openalb-trust-'))
  t.after(() => rm(folder, { recursive: true }))
  const write = async (name: string, texts: readonly string[]) => {
    await writeFile(join(folder, name), texts.join(''))
    return join(folder, name)
  }
  const [leaf, ...others] = sent.map(alone)
  const options = [
    ...['verify', '-purpose', 'sslclient', '-partial_chain', '-attime', String(now.getTime() / 1000), '-no-CApath'],
    ...['-CAfile', await write('trusted.pem', trusted.map(alone))],
    ...['-untrusted', await write('sent.pem', others.length > 0 ? others : [leaf!])],
    // Asked about all, it wants a list for the trusted one as well.
    ...(lists.length === 0 ? [] : [sent.length === 1 ? '-crl_check' : '-crl_check_all']),
    ...(lists.length === 0 ? [] : ['-extended_crl', '-CRLfile', await write('lists.pem', lists)]),
    await write('leaf.pem', [leaf!]),
  ]
  return promisify(execFile)('openssl', options).then(
    () => true,
    () => false,
  )
}
