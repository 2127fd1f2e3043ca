import assert from 'node:assert/strict'
import { basename, resolve } from 'node:path'
import { test } from 'node:test'
import {
  alone,
  type CertificateRequest,
  type MadeCertificate,
  makeCertificate,
  makeRevocationList,
} from '../../../test/support/certificates.ts'
import { context, derNull, extension, octetString, sequence, tagged } from '../../../test/support/der.ts'
import type { ListenerTls } from '../../model/resources.ts'
import { type ConfigOptions, formatProblem, parseConfig } from '../config.ts'
import { assertProblems, assertValid, testRefused } from './marked.test-support.ts'

function authority(name: string, changes: Partial<CertificateRequest> = {}): MadeCertificate {
  return makeCertificate({ names: [name], keyType: 'p256', isAuthority: true, keyUsage: 0x06, ...changes })
}

const root = authority('root')
const middle = authority('middle', { issuer: root })
const server = makeCertificate({ names: ['a.example.com'], keyType: 'p256' })
const quote = JSON.stringify

const fixed = '{ type: fixed-response, fixedResponse: { statusCode: 200 } }'
const own = `certificates: [{ certificate: ${quote(server.certificate)}, privateKey: ${quote(server.privateKey)} }]`

/** Line 9 has what follows `mutualAuthentication:`, and the trust stores begin in line 11. */
function withSettings(
  settings: string,
  trustStores = `- { name: clients, caCertificatesBundle: ${quote(root.certificate)} }`,
) {
  return `loadBalancers:
  - name: web
    listeners:
      - protocol: HTTPS
        port: 443
        ${own}
        defaultActions:
          - ${fixed}
        mutualAuthentication: ${settings}
trustStores:
  ${trustStores}`
}

function withStore(members: string): string {
  return withSettings('{ mode: verify, trustStore: clients }', `- name: clients\n    ${members}`)
}

const withBundle = (bundle: string) => withStore(`caCertificatesBundle: «${quote(bundle)}`)
const withLists = (...lists: readonly string[]) => {
  const items = lists.map(list => `{ revocationContent: «${quote(list)} }`)
  return withStore(`caCertificatesBundle: ${quote(root.certificate)}\n    revocationLists: [${items.join(', ')}]`)
}

function settingsOf(text: string, options: ConfigOptions = {}): ListenerTls['mutualAuthentication'] {
  const result = parseConfig([{ name: 'openalb.yaml', text }], options)
  assert.ok(result.ok, result.ok ? '' : result.problems.map(formatProblem).join('\n'))
  return result.config.resources.loadBalancers[0]!.listeners[0]!.tls!.mutualAuthentication
}

function warningsOf(text: string): string[] {
  const result = parseConfig([{ name: 'openalb.yaml', text: text.replaceAll('«', '') }])
  assert.ok(result.ok, result.ok ? '' : result.problems.map(formatProblem).join('\n'))
  return result.config.warnings.map(({ message }) => message)
}

test('a listener that says nothing, or off, asks for no certificates', () => {
  assert.deepEqual(settingsOf(withSettings('{ mode: off }', '[]')), { mode: 'off' })
  assert.deepEqual(settingsOf(withSettings('', '[]').replace(/\n.*mutualAuthentication.*/, '')), { mode: 'off' })
})

test('passthrough needs no trust store', () => {
  assert.deepEqual(settingsOf(withSettings('{ mode: passthrough }', '[]')), { mode: 'passthrough' })
})

test('what verifies clients has what its trust store holds, and the defaults of the service', () => {
  const list = makeRevocationList({ issuer: root, revoked: [] })
  const settings = settingsOf(withLists(list).replaceAll('«', ''))
  assert.deepEqual(settings, {
    mode: 'verify',
    trustStore: {
      arn: 'arn:aws:elasticloadbalancing:us-east-1:123456789012:truststore/clients/896071e327bdee28',
      name: 'clients',
      caCertificates: [root.certificate],
      revocationLists: [list.trimEnd()],
    },
    ignoreClientCertificateExpiry: false,
    advertiseTrustStoreCaNames: false,
  })
})

test('expiry can be ignored, and names advertised', () => {
  const members = 'ignoreClientCertificateExpiry: true, advertiseTrustStoreCaNames: on'
  const settings = settingsOf(withSettings(`{ mode: verify, trustStore: clients, ${members} }`))
  assert.equal(settings.mode === 'verify' && settings.ignoreClientCertificateExpiry, true)
  assert.equal(settings.mode === 'verify' && settings.advertiseTrustStoreCaNames, true)
})

test('listeners of one trust store share it', () => {
  const listener = (port: number) =>
    `{ protocol: HTTPS, port: ${port}, ${own}, defaultActions: [${fixed}], mutualAuthentication: { mode: verify, trustStore: a } }`
  const text = `loadBalancers: [{ name: web, listeners: [${listener(1)}, ${listener(2)}] }]
trustStores: [{ name: a, caCertificatesBundle: ${quote(root.certificate)} }]`
  const result = parseConfig([{ name: 'openalb.yaml', text }])
  assert.ok(result.ok)
  const [one, other] = result.config.resources.loadBalancers[0]!.listeners.map(({ tls }) => tls!.mutualAuthentication)
  assert.ok(one?.mode === 'verify' && other?.mode === 'verify' && one.trustStore === other.trustStore)
})

test('a trust store may be in another file than who uses it', () => {
  const [text, stores] = withSettings('{ mode: verify, trustStore: clients }').split('\ntrustStores:')
  const texts = [
    { name: 'a.yaml', text: text! },
    { name: 'b.yaml', text: `trustStores:${stores}` },
  ]
  assert.ok(parseConfig(texts).ok)
})

test('PEM may be in files, relative to the config file, which belong to the configuration', () => {
  const files: Readonly<Record<string, string>> = {
    'ca.pem': `# The one above.\n${root.certificate}# The one below.\n${alone(middle)}`,
    'one.pem': makeRevocationList({ issuer: root, revoked: [] }),
    'two.pem': makeRevocationList({ issuer: middle, revoked: [] }),
  }
  const lists = '[{ revocationContent: one.pem, revocationType: CRL }, { revocationContent: ./two.pem }]'
  const text = withStore(`caCertificatesBundle: ca.pem\n    revocationLists: ${lists}`)
  const readPem = (path: string) => files[basename(path)] ?? assert.fail(path)
  const result = parseConfig([{ name: 'openalb.yaml', text, folder: '/etc/openalb' }], { readPem })
  assert.ok(result.ok, result.ok ? '' : result.problems.map(formatProblem).join('\n'))
  assert.deepEqual(
    result.files,
    Object.keys(files).map(name => resolve('/etc/openalb', name)),
  )
  const { mutualAuthentication } = result.config.resources.loadBalancers[0]!.listeners[0]!.tls!
  assert.ok(mutualAuthentication.mode === 'verify')
  assert.deepEqual(mutualAuthentication.trustStore.caCertificates, [root.certificate, alone(middle)])
  assert.deepEqual(mutualAuthentication.trustStore.revocationLists.length, 2)
})

testRefused([
  [
    'an unknown mode',
    withSettings('{ mode: «require }', '[]'),
    'mode must be off, passthrough or verify, not "require"',
  ],
  ['no mode', withSettings('«{ trustStore: clients }'), 'mode is missing: it must be off, passthrough or verify'],
  [
    'verify without a trust store',
    withSettings('«{ mode: verify }', '[]'),
    'trustStore is missing: to verify clients takes a trust store',
  ],
  [
    'a trust store that is not there, but nearly',
    withSettings('{ mode: verify, trustStore: «client }'),
    'trustStore names no trust store: "client"; did you mean "clients"?',
  ],
  [
    'a trust store that is not there at all',
    withSettings('{ mode: verify, trustStore: «partners }'),
    'trustStore names no trust store: "partners"; defined are clients',
  ],
  [
    'one where there are none',
    withSettings('{ mode: verify, trustStore: «partners }', '[]'),
    'trustStore names no trust store: "partners"; none is defined',
  ],
  [
    'what only verify has',
    withSettings(
      '{ mode: passthrough, trustStore: «clients, ignoreClientCertificateExpiry: «false, advertiseTrustStoreCaNames: «"off" }',
    ),
    'trustStore is for the mode verify, and this one is passthrough',
    'ignoreClientCertificateExpiry is for the mode verify, and this one is passthrough',
    'advertiseTrustStoreCaNames is for the mode verify, and this one is passthrough',
  ],
  [
    'values of another kind',
    withSettings(
      '{ mode: verify, trustStore: clients, ignoreClientCertificateExpiry: «"true", advertiseTrustStoreCaNames: «true }',
    ),
    'ignoreClientCertificateExpiry must be true or false, not "true"',
    'advertiseTrustStoreCaNames must be on or off, not true',
  ],
  [
    'an ARN',
    withSettings('{ mode: verify, trustStore: clients, «trustStoreArn: "arn:aws:x" }'),
    'trustStoreArn is not needed: trustStore names one of trustStores',
  ],
  [
    'an HTTP listener',
    `loadBalancers:
  - name: web
    listeners: [{ protocol: HTTP, port: 80, defaultActions: [${fixed}], mutualAuthentication: «{ mode: off } }]`,
    'mutualAuthentication is for HTTPS listeners, and this one is HTTP',
  ],
  [
    'names that the service does not allow',
    withSettings('{ mode: off }', `- { name: «a--b, caCertificatesBundle: ${quote(root.certificate)} }`),
    'name must be 1 to 32 letters, digits and hyphens, with no hyphen first or last, and no two in a row, not "a--b"',
  ],
  [
    'two of one name',
    withSettings(
      '{ mode: verify, trustStore: a }',
      `- { name: a, caCertificatesBundle: ${quote(root.certificate)} }\n  - { name: «a, caCertificatesBundle: ${quote(root.certificate)} }`,
    ),
    /name must be unique: a trust store "a" is also at openalb\.yaml:11:13/,
  ],
  [
    'a place in S3',
    withStore('«caCertificatesBundleS3Bucket: b\n    caCertificatesBundle: «nothing.pem'),
    'caCertificatesBundleS3Bucket is not needed: caCertificatesBundle is the path of a PEM file, or PEM text',
    /caCertificatesBundle cannot be read: there is no such file: .*nothing\.pem/,
  ],
  ['no certificates', withStore('caCertificatesBundle: «""'), 'caCertificatesBundle must not be empty'],
  [
    'a list of another kind',
    withStore(`caCertificatesBundle: ${quote(root.certificate)}\n    revocationLists: [«{ revocationType: «OCSP }]`),
    'revocationContent is missing: it must be the path of a PEM file, or PEM text',
    'revocationType must be CRL, not "OCSP"',
  ],
])

const rule = 'around certificates there may be comments only, which start with # and hold no hyphen'
const { certificate } = root
const otherwise = 'is signed otherwise than with SHA-256, SHA-384 or SHA-512 by RSA, RSASSA-PSS or ECDSA'
const nameConstraints = extension('2.5.29.30', sequence(context(0, sequence(tagged(0x82, Buffer.from('a'))))), true)

testRefused([
  [
    'a blank line',
    withBundle(`${certificate}\n${certificate}`),
    new RegExp(`caCertificatesBundle holds in line \\d+ nothing: ${rule}`),
  ],
  [
    'a blank line at the end',
    withBundle(`${certificate}\n`),
    new RegExp(`caCertificatesBundle holds in line \\d+ nothing: ${rule}`),
  ],
  [
    'text around',
    withBundle(`Certificate:\n${certificate}`),
    `caCertificatesBundle holds in line 1 "Certificate:": ${rule}`,
  ],
  [
    'a comment with a hyphen',
    withBundle(`${certificate}# one - two\n`),
    new RegExp(`caCertificatesBundle holds in line \\d+ "# one - two": ${rule}`),
  ],
  [
    'a private key',
    withBundle(certificate + server.privateKey),
    'caCertificatesBundle must hold CERTIFICATE blocks only, not PRIVATE KEY',
  ],
  [
    'one cut off',
    withBundle(certificate.slice(0, -20)),
    'caCertificatesBundle is not PEM: it has no -----BEGIN …----- with its -----END …-----',
  ],
  [
    'one damaged',
    withBundle(certificate + certificate.replace('MII', 'MIJ')),
    'caCertificatesBundle holds as number 2 a certificate that cannot be read',
  ],
  [
    'a key that is too short',
    withBundle(authority('a', { keyType: 'rsa1024' }).certificate),
    'caCertificatesBundle holds as number 1 a certificate that is of "CN=a" and has a key that is neither RSA with 2048 to 8192 bits nor EC on P-256, P-384 or P-521',
  ],
  [
    'SHA-1',
    withBundle(authority('a', { hash: 'sha1' }).certificate),
    `caCertificatesBundle holds as number 1 a certificate that is of "CN=a" and ${otherwise}`,
  ],
  [
    'X.509 version 1',
    withBundle(authority('a', { version: 1 }).certificate),
    'caCertificatesBundle holds as number 1 a certificate that is of "CN=a" and is not of X.509 version 3',
  ],
  [
    'name constraints',
    withBundle(authority('a', { extensions: [nameConstraints] }).certificate),
    'caCertificatesBundle holds as number 1 a certificate that is of "CN=a" and has name constraints, which is not supported',
  ],
  [
    'a critical extension of their own',
    withBundle(authority('a', { extensions: [extension('1.2.3.4', derNull, true)] }).certificate),
    'caCertificatesBundle holds as number 1 a certificate that is of "CN=a" and has the critical extension 1.2.3.4, which is not supported',
  ],
  [
    'more than 16 KB',
    withBundle(authority('a', { extensions: [extension('1.2.3.4', octetString(Buffer.alloc(16_384)))] }).certificate),
    /caCertificatesBundle holds as number 1 a certificate that is of "CN=a" and has 16\d\d\d bytes, more than the service's 16384/,
  ],
])

const list = makeRevocationList({ issuer: root, revoked: [middle] })
testRefused([
  [
    'two lists in one',
    withLists(list + list),
    'revocationContent must hold one list, not 2: each is an item of its own',
  ],
  [
    'a list that is a certificate',
    withLists(certificate),
    'revocationContent must hold X509 CRL blocks only, not CERTIFICATE',
  ],
  [
    'a list that is damaged',
    withLists(list.replace('MI', 'MJ')),
    'revocationContent is damaged: its PEM holds no X.509 revocation list that can be read',
  ],
  [
    'a list that another has signed',
    withLists(makeRevocationList({ issuer: root, revoked: [], signer: middle })),
    'revocationContent must be signed by "CN=root", whose name it bears, with SHA-256, SHA-384 or SHA-512 by RSA, RSASSA-PSS or ECDSA',
  ],
  [
    'a list of changes',
    withLists(
      makeRevocationList({
        issuer: root,
        revoked: [],
        extensions: [extension('2.5.29.27', tagged(2, Buffer.of(1)), true)],
      }),
    ),
    'revocationContent is of a kind that is not supported: indirect, of changes only, or with a critical extension of its own',
  ],
])

function quotaProblem(count: number, what: string, most: number, quota: string): string {
  return `trustStores[0] has ${count} ${what}, more than the quota of ${most} (quotas.${quota} raises it)`
}

test('quotas of a trust store', () => {
  const store = (members: string) => withStore(members).replace('- name: clients', '- «name: clients')
  const bundle = (count: number) => `caCertificatesBundle: ${quote(certificate.repeat(count))}`
  const lists = (count: number) =>
    `revocationLists: [${Array(count)
      .fill(`{ revocationContent: ${quote(list)} }`)
      .join(', ')}]`
  assertProblems(store(bundle(26)), [quotaProblem(26, 'CA certificates', 25, 'caCertificatesPerTrustStore')])
  assertValid(withStore(`${bundle(26)}\nquotas: { caCertificatesPerTrustStore: 26 }`))
  assertProblems(store(`${bundle(1)}\n    ${lists(31)}`), [
    quotaProblem(31, 'revocation lists', 30, 'revocationListsPerTrustStore'),
  ])
  assertProblems(store(`${bundle(1)}\n    ${lists(2)}\nquotas: { revocationEntriesPerTrustStore: 1 }`), [
    quotaProblem(2, 'revocation entries', 1, 'revocationEntriesPerTrustStore'),
  ])
  // The name of the root takes 17 bytes.
  assertProblems(store(`${bundle(2)}\nquotas: { caCertificateSubjectSizePerTrustStore: 33 }`), [
    quotaProblem(34, 'bytes of subjects of CA certificates', 33, 'caCertificateSubjectSizePerTrustStore'),
  ])
  assertValid(withStore(`${bundle(2)}\nquotas: { caCertificateSubjectSizePerTrustStore: 34 }`))
})

test('trust stores are counted', () => {
  const stores = (count: number, mark: string) =>
    Array.from(
      { length: count },
      (_, at) => `- ${at === 20 ? mark : ''}{ name: s${at}, caCertificatesBundle: ${quote(certificate)} }`,
    )
  const text = (count: number, mark: string) =>
    withSettings('{ mode: verify, trustStore: s0 }', stores(count, mark).join('\n  '))
  assertValid(text(20, ''))
  assertProblems(text(21, '«'), [
    'trustStores[20] is one of 21 trust stores, more than the quota of 20 (quotas.trustStores raises it)',
  ])
  assertValid(`${text(21, '')}\nquotas: { trustStores: 21 }`)
})

test('two listeners of a load balancer may verify, no more', () => {
  const listeners = (...modes: readonly string[]) => {
    const items = modes.map(
      (mode, at) =>
        `{ protocol: HTTPS, port: ${at + 1}, ${own}, defaultActions: [${fixed}], mutualAuthentication: { mode: ${mode} } }`,
    )
    return `loadBalancers:
  - «name: web
    listeners: [${items.join(', ')}]
trustStores: [{ name: a, caCertificatesBundle: ${quote(certificate)} }]`
  }
  const verify = 'verify, trustStore: a'
  assertValid(listeners(verify, verify, 'passthrough').replace('«', ''))
  assertProblems(listeners(verify, verify, verify), [
    "loadBalancers[0] has 3 listeners whose mutual authentication verifies, more than the service's 2",
  ])
})

test('what is allowed but surely not meant is told', () => {
  const unused = withSettings('{ mode: passthrough }')
  assert.deepEqual(warningsOf(unused), ['name "clients" is not used: no listener verifies clients by it'])
  assert.deepEqual(warningsOf(withBundle(server.certificate)), [
    'caCertificatesBundle holds "CN=a.example.com", which is no authority: it vouches for nobody but itself',
  ])
  assert.deepEqual(warningsOf(withBundle(authority('old', { notAfter: new Date('2021-01-01') }).certificate)), [
    'caCertificatesBundle holds "CN=old", which has expired: it was valid until 2021-01-01T00:00:00Z',
  ])
  const expired = makeRevocationList({ issuer: root, revoked: [], nextUpdate: new Date('2025-02-01') })
  assert.deepEqual(warningsOf(withLists(expired)), [
    'revocationContent ended at 2025-02-01T00:00:00Z: outside of its time, clients of "CN=root" are refused',
  ])
  assert.deepEqual(warningsOf(withLists(makeRevocationList({ issuer: middle, revoked: [] }))), [
    'revocationLists holds no list of "CN=root": its clients are refused',
    'revocationContent is of "CN=middle", which is not in caCertificatesBundle: it counts for clients that send the certificate of that authority along',
  ])
})
