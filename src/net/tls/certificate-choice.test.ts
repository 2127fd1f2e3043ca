import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type KeyType, makeCertificate, type SignatureHash } from '../../../test/support/certificates.ts'
import { certificateArn } from '../../model/arns.ts'
import { CertificateChoice, ServerCertificate } from './certificate-choice.ts'

const now = Date.UTC(2026, 0, 1)

type Wanted = {
  names?: readonly string[]
  keyType?: KeyType
  hash?: SignatureHash
  until?: number
  hasCommonNameOnly?: boolean
}

function certificate(
  id: string,
  { names = ['a.test'], keyType = 'p256', hash = 'sha256', until = 2030, hasCommonNameOnly = false }: Wanted,
) {
  const notAfter = new Date(Date.UTC(until, 0, 1))
  return new ServerCertificate({
    arn: certificateArn(id),
    ...makeCertificate({ names, keyType, hash, notAfter, hasCommonNameOnly }),
  })
}

/** The ids of what a handshake may use, in order; `!` when the name is none of a certificate. */
function chosen(serverName: string | null, ...certificates: readonly ServerCertificate[]): string {
  const { certificates: found, isMatch } = new CertificateChoice(certificates).choose(serverName, now)
  return found.map(each => each.arn.slice(certificateArn('').length)).join(' ') + (isMatch ? '' : '!')
}

describe('the certificate for a name', () => {
  const other = certificate('default', { names: ['default.test', '*.default.test'] })
  const exact = certificate('exact', { names: ['a.test', 'x.b.test'] })
  const wildcard = certificate('wildcard', { names: ['*.a.test', '*.B.test'], hash: 'sha384' })
  const rows = [
    [null, 'default!'],
    ['a.test', 'exact'],
    ['www.a.test', 'wildcard'],
    ['www.www.a.test', 'default!'],
    ['y.b.test', 'wildcard'],
    ['b.test', 'default!'],
    ['test', 'default!'],
    ['default.test', 'default'],
    ['www.default.test', 'default'],
    ['nobody.test', 'default!'],
    // Both match, and the signature of one has the better hash.
    ['x.b.test', 'wildcard'],
  ] as const
  for (const [name, expected] of rows) {
    it(`${JSON.stringify(name)} gets ${expected}`, () => {
      assert.equal(chosen(name, other, exact, wildcard), expected)
    })
  }

  it('may be the common name, where there are no alternatives', () => {
    const old = certificate('old', { names: ['Old.test'], hasCommonNameOnly: true })
    assert.equal(chosen('old.test', other, exact, old), 'old')
  })
})

describe('of several certificates for one name', () => {
  const other = certificate('default', { names: ['default.test'] })
  const rows: readonly (readonly [string, Wanted, Wanted])[] = [
    ['one that is valid beats one that has expired', { until: 2030 }, { until: 2025, hash: 'sha512', keyType: 'p384' }],
    ['the better hash wins', { hash: 'sha512' }, { hash: 'sha384', keyType: 'p384', until: 2040 }],
    ['any SHA beats MD5', { keyType: 'rsa2048', hash: 'sha1' }, { keyType: 'rsa3072', hash: 'md5' }],
    ['the longer key wins', { keyType: 'p384' }, { keyType: 'p256', until: 2040 }],
    ['the longer RSA key wins', { keyType: 'rsa3072' }, { keyType: 'rsa2048', until: 2040 }],
    ['the later end wins', { until: 2040 }, { until: 2039 }],
  ]
  for (const [what, better, worse] of rows) {
    it(`${what}, whichever comes first`, () => {
      const good = certificate('good', better)
      const bad = certificate('bad', worse)
      // The default one is of ECDSA, and never joins those that match.
      assert.deepEqual([chosen('a.test', other, good, bad), chosen('a.test', other, bad, good)], ['good', 'good'])
    })
  }

  it('the best ECDSA one goes before the best RSA one, even if it has expired', () => {
    const all = [
      certificate('rsa', { keyType: 'rsa2048' }),
      certificate('long rsa', { keyType: 'rsa3072' }),
      certificate('expired ecdsa', { until: 2025 }),
    ]
    assert.equal(chosen('a.test', other, ...all), 'expired ecdsa long rsa')
  })

  it('a client that cannot use the only one, of ECDSA, is left the default one, of RSA', () => {
    const rsaDefault = certificate('default rsa', { names: ['default.test'], keyType: 'rsa2048' })
    assert.equal(chosen('a.test', rsaDefault, certificate('ecdsa', {})), 'ecdsa default rsa')
    assert.equal(chosen('a.test', other, certificate('rsa', { keyType: 'rsa2048' })), 'rsa')
  })
})
