import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { backendPolicy, defaultSslPolicy, findSslPolicy, sslPolicies } from './ssl-policies.ts'

const prefix = 'ELBSecurityPolicy-'

describe('the predefined security policies', () => {
  it('are 46, each under one name', () => {
    assert.equal(new Set(sslPolicies.map(policy => policy.name)).size, 46)
    for (const policy of sslPolicies) assert.equal(findSslPolicy(policy.name), policy)
    assert.equal(findSslPolicy('2016-08'), null)
  })

  // Protocols and numbers of ciphers as the user guide's tables have them.
  const rows = [
    ['2016-08', ['TLSv1', 'TLSv1.1', 'TLSv1.2'], 18],
    ['TLS-1-0-2015-04', ['TLSv1', 'TLSv1.1', 'TLSv1.2'], 19],
    ['TLS-1-2-2017-01', ['TLSv1.2'], 12],
    ['FS-1-1-2019-08', ['TLSv1.1', 'TLSv1.2'], 12],
    ['TLS13-1-3-2021-06', ['TLSv1.3'], 3],
    ['TLS13-1-2-Res-PQ-2025-09', ['TLSv1.2', 'TLSv1.3'], 7],
    ['TLS13-1-2-Ext1-PQ-2025-09', ['TLSv1.2', 'TLSv1.3'], 15],
    ['TLS13-1-2-Ext2-2021-06', ['TLSv1.2', 'TLSv1.3'], 21],
    ['TLS13-1-0-FIPS-2023-04', ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'], 20],
    ['TLS13-1-2-Ext0-FIPS-2023-04', ['TLSv1.2', 'TLSv1.3'], 14],
    ['TLS13-1-2-RFC9151-INTEROP2-FIPS-2023-07', ['TLSv1.2', 'TLSv1.3'], 10],
    ['TLS13-1-2-RFC9151-INTEROP4-FIPS-2023-07', ['TLSv1.2', 'TLSv1.3'], 20],
  ] as const
  for (const [suffix, protocols, count] of rows) {
    it(`${suffix} has ${count} ciphers`, () => {
      const { ciphers, protocols: actual } = findSslPolicy(prefix + suffix)!
      assert.deepEqual([actual, new Set(ciphers).size], [protocols, count])
    })
  }

  it('have ciphers of TLS 1.3 exactly where they have TLS 1.3, in front', () => {
    for (const { name, ciphers, protocols } of sslPolicies) {
      assert.equal(ciphers[0]!.startsWith('TLS_'), protocols.includes('TLSv1.3'), name)
      const firstOther = ciphers.findIndex(cipher => !cipher.startsWith('TLS_'))
      assert.equal(firstOther !== -1, protocols.includes('TLSv1.2'), name)
      assert.ok(firstOther === -1 || !ciphers.slice(firstOther).some(cipher => cipher.startsWith('TLS_')), name)
    }
  })
})

describe('the policy towards targets', () => {
  const rows = [
    [[], defaultSslPolicy],
    [['FS-2018-06', 'TLS-1-2-2017-01'], defaultSslPolicy],
    [['2016-08', 'TLS13-1-3-2021-06'], `${prefix}TLS13-1-0-2021-06`],
    [['TLS13-1-3-2021-06', 'TLS13-1-2-PQ-2025-09'], `${prefix}TLS13-1-0-PQ-2025-09`],
    [['TLS13-1-2-PQ-2025-09', 'TLS13-1-3-FIPS-2023-04'], `${prefix}TLS13-1-0-FIPS-2023-04`],
    [['TLS13-1-3-FIPS-2023-04', 'TLS13-1-3-FIPS-PQ-2025-09'], `${prefix}TLS13-1-0-FIPS-PQ-2025-09`],
    [
      ['TLS13-1-3-FIPS-PQ-2025-09', 'TLS13-1-3-RFC9151-FIPS-2023-07'],
      `${prefix}TLS13-1-2-RFC9151-INTEROP4-FIPS-2023-07`,
    ],
    [['TLS13-1-2-RFC9151-INTEROP1-FIPS-2023-07'], `${prefix}TLS13-1-2-RFC9151-INTEROP4-FIPS-2023-07`],
  ] as const
  for (const [suffixes, expected] of rows) {
    it(`for ${suffixes.join(' and ') || 'no HTTPS listener'} is ${expected}`, () => {
      assert.equal(backendPolicy(suffixes.map(suffix => prefix + suffix)).name, expected)
      assert.equal(backendPolicy(suffixes.toReversed().map(suffix => prefix + suffix)).name, expected)
    })
  }
})
