import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { basename } from 'node:path'
import { test } from 'node:test'
import { type CertificateRequest, type MadeCertificate, makeCertificate } from '../../../test/support/certificates.ts'
import { type ConfigResult, formatProblem, parseConfig } from '../config.ts'
import { keyProblem } from './certificate.ts'
import { assertProblems, assertValid, withHttps } from './marked.test-support.ts'
import { pemBlocks } from './pem.ts'

function make(name: string, request: Partial<CertificateRequest> = {}): MadeCertificate & { readonly leaf: string } {
  const made = makeCertificate({ names: [name], keyType: 'p256', ...request })
  return { ...made, leaf: pemBlocks(made.certificate)[0]!.text }
}

const root = make('root', { isAuthority: true })
const middle = make('middle', { isAuthority: true, issuer: root })
const leaf = make('a.example.com', { issuer: middle })
const other = make('b.example.com')
const key = createPrivateKey(leaf.privateKey)

/** By name: what the files next to the config file hold. */
const files: Readonly<Record<string, string>> = {
  'cert.pem': leaf.leaf,
  'key.pem': leaf.privateKey,
  'chain.pem': `${middle.leaf}\n${root.leaf}`,
  'issuer.pem': middle.leaf,
  'root.pem': root.leaf,
  'reversed.pem': `${root.leaf}\n${middle.leaf}`,
  'fullchain.pem': `${leaf.leaf}\n${middle.leaf}\n${root.leaf}`,
  'other.pem': other.leaf,
  'impostor.pem': make('middle', { isAuthority: true, keyType: 'p384' }).leaf,
  'explained.pem': `subject=/CN=a.example.com\r\n${leaf.leaf.replaceAll('\n', '\r\n')}\r\nissuer=/CN=middle\r\n`,
  'empty.pem': '',
  'prose.pem': 'hello\n',
  'binary.pem': new X509Certificate(leaf.leaf).raw.toString('utf8'),
  'joined.pem': leaf.leaf.replaceAll('\n', ' '),
  'damaged.pem': '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
  'cut.pem': `${middle.leaf}\n${root.leaf.slice(0, 200)}`,
  'damaged-chain.pem': `${middle.leaf}\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
  'small.pem': make('a', { keyType: 'rsa1024' }).leaf,
  'large.pem': `${leaf.leaf}${'x'.repeat(32_769 - leaf.leaf.length)}`,
  'combined.pem': `${leaf.leaf}\n${leaf.privateKey}`,
  'sec1.pem': key.export({ type: 'sec1', format: 'pem' }) as string,
  'with-curve.pem': `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${key.export({ type: 'sec1', format: 'pem' })}`,
  'only-curve.pem': '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n',
  'encrypted.pem': key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'x' }) as string,
  'encrypted-sec1.pem': key.export({ type: 'sec1', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'x' }) as string,
  'two-keys.pem': leaf.privateKey + other.privateKey,
  'damaged-key.pem': '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n',
  'large-key.pem': `${leaf.privateKey}${'x'.repeat(5121 - leaf.privateKey.length)}`,
}

function readPem(path: string): string {
  const text = files[basename(path)]
  if (text === undefined) throw Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT' })
  return text
}

const nowMs = Date.UTC(2026, 0, 1)
const options = { readPem, nowMs }
const one = (members: string) => withHttps(`certificates: [{ ${members} }]`)

function parse(text: string, nowMs = options.nowMs): ConfigResult {
  return parseConfig([{ name: 'openalb.yaml', text }], { readPem, nowMs })
}

for (const [what, members] of [
  ['without a chain', 'certificate: cert.pem, privateKey: key.pem'],
  ['with its issuer', 'certificate: cert.pem, privateKey: key.pem, certificateChain: issuer.pem'],
  ['with a chain up to the root', 'certificate: cert.pem, privateKey: key.pem, certificateChain: chain.pem'],
  ['with explanations around it, and CRLF', 'certificate: explained.pem, privateKey: key.pem'],
  ['with a key of SEC 1', 'certificate: cert.pem, privateKey: sec1.pem'],
  ['with a key that names its curve first', 'certificate: cert.pem, privateKey: with-curve.pem'],
]) {
  test(`accepted: a certificate ${what}`, () => assertValid(one(members!), options))
}

for (const keyType of ['rsa2048', 'p384', 'p521'] as const) {
  test(`accepted: a certificate that signs itself, with a key of ${keyType}`, () => {
    const { certificate, privateKey } = make('self.example.com', { keyType })
    const [inlineCertificate, inlineKey] = [certificate, privateKey].map(text => JSON.stringify(text))
    assertValid(one(`certificate: ${inlineCertificate}, privateKey: ${inlineKey}`), options)
  })
}

const noKey = 'has no -----BEGIN …----- with its -----END …-----'

for (const [what, members, ...messages] of [
  [
    'a certificate that is not there',
    'certificate: «none.pem, privateKey: key.pem',
    /certificate cannot be read: there is no such file: \/.*\/none\.pem/,
  ],
  ['a key that is not there', 'certificate: cert.pem, privateKey: «../none.pem', /privateKey cannot be read: .*/],
  ['no certificate', '«privateKey: key.pem', /certificate is missing: it must be the path of a PEM file, or PEM text/],
  ['no key', '«certificate: cert.pem', /privateKey is missing: it must be the path of a PEM file, or PEM text/],
  ['an empty name', 'certificate: «"", privateKey: key.pem', 'certificate must not be empty'],
  [
    'a number',
    'certificate: «7, privateKey: key.pem',
    'certificate must be the path of a PEM file, or PEM text, not 7',
  ],
  ['an ARN', '«certificateArn: x, certificate: cert.pem, privateKey: key.pem', 'certificateArn is not supported yet'],
  [
    'a text that is neither',
    'certificate: «"MIIB\\nAAAA", privateKey: key.pem',
    'certificate must be the path of a PEM file, or PEM text, which starts with -----BEGIN',
  ],
  ['an empty file', 'certificate: «empty.pem, privateKey: key.pem', `certificate is not PEM: it ${noKey}`],
  ['prose', 'certificate: «prose.pem, privateKey: «prose.pem', `certificate is not PEM: it ${noKey}`, /.* not PEM.*/],
  [
    'DER',
    'certificate: «binary.pem, privateKey: key.pem',
    'certificate is binary, perhaps DER or PKCS #12, and must be PEM',
  ],
  [
    'PEM on one line',
    'certificate: «joined.pem, privateKey: key.pem',
    'certificate is PEM that has lost its line breaks: in YAML, write the text as a block after "|"',
  ],
  [
    'a damaged certificate',
    'certificate: «damaged.pem, privateKey: key.pem',
    'certificate is damaged: its PEM holds no X.509 certificate that can be read',
  ],
  [
    'a certificate too large',
    'certificate: «large.pem, privateKey: key.pem',
    'certificate must be at most 32768 bytes of PEM, not 32769',
  ],
  [
    'a certificate with its chain',
    'certificate: «fullchain.pem, privateKey: key.pem',
    'certificate must hold one certificate, not 3: the first belongs here, those that issued it in certificateChain',
  ],
  [
    'a certificate with its key',
    'certificate: «combined.pem, privateKey: «combined.pem',
    'certificate must hold CERTIFICATE blocks only, not PRIVATE KEY',
    'privateKey must hold PRIVATE KEY blocks only, not CERTIFICATE',
  ],
  [
    'a key too small for the service',
    'certificate: «small.pem, privateKey: key.pem',
    'certificate must have a key of RSA with 2048, 3072 or 4096 bits, or of EC on P-256, P-384 or P-521, not RSA of 1024 bits',
  ],
  [
    "another certificate's key",
    'certificate: other.pem, privateKey: «key.pem',
    'privateKey does not belong to the certificate, which is "CN=b.example.com"',
  ],
  ...['encrypted.pem', 'encrypted-sec1.pem'].map(
    name =>
      [
        `an encrypted key, ${name}`,
        `certificate: cert.pem, privateKey: «${name}`,
        'privateKey is encrypted: take its passphrase off, as with openssl pkey -in key.pem -out plain.pem',
      ] as const,
  ),
  ['two keys', 'certificate: cert.pem, privateKey: «two-keys.pem', 'privateKey must hold one private key, not 2'],
  [
    'a curve without a key',
    'certificate: cert.pem, privateKey: «only-curve.pem',
    'privateKey must hold one private key, not none',
  ],
  [
    'a damaged key',
    'certificate: cert.pem, privateKey: «damaged-key.pem',
    'privateKey is damaged: its PEM holds no private key',
  ],
  [
    'a key too large',
    'certificate: cert.pem, privateKey: «large-key.pem',
    'privateKey must be at most 5120 bytes of PEM, not 5121',
  ],
  [
    'a chain in the wrong order',
    'certificate: cert.pem, privateKey: key.pem, certificateChain: «reversed.pem',
    'certificateChain is in the wrong order or not of this certificate: each certificate must have issued the one before it, and "CN=root" did not issue "CN=a.example.com"',
  ],
  [
    'a chain with a gap',
    'certificate: cert.pem, privateKey: key.pem, certificateChain: «root.pem',
    /certificateChain is in the wrong order .*, and "CN=root" did not issue "CN=a.example.com"/,
  ],
  [
    'a chain of another by the same name',
    'certificate: cert.pem, privateKey: key.pem, certificateChain: «impostor.pem',
    /certificateChain is in the wrong order .*, and "CN=middle" did not issue "CN=a.example.com"/,
  ],
  [
    'a chain that begins with the certificate',
    'certificate: cert.pem, privateKey: key.pem, certificateChain: «fullchain.pem',
    'certificateChain must begin with the issuer of the certificate, not with the certificate itself',
  ],
  [
    'a chain that is cut off',
    'certificate: cert.pem, privateKey: key.pem, certificateChain: «cut.pem',
    'certificateChain is damaged: one of its PEM blocks has no end',
  ],
  [
    'a damaged chain',
    'certificate: cert.pem, privateKey: key.pem, certificateChain: «damaged-chain.pem',
    'certificateChain is damaged: its PEM block 2 holds no X.509 certificate that can be read',
  ],
  [
    'several mistakes at once',
    'certificate: «prose.pem, privateKey: «two-keys.pem, certificateChain: «none.pem',
    /certificate is not PEM.*/,
    'privateKey must hold one private key, not 2',
    /certificateChain cannot be read: .*/,
  ],
] as const) {
  test(`refused: ${what}`, () => {
    // What is missing is shown at the map itself.
    const text = what.startsWith('no ') ? withHttps(`certificates: [«{ ${members.replace('«', '')} }]`) : one(members)
    assertProblems(text, messages, options)
  })
}

test('an algorithm that listeners do not take is named', () => {
  const of = (type: 'secp256k1' | 'ed25519' | 'rsa-pss') => {
    if (type === 'secp256k1') return generateKeyPairSync('ec', { namedCurve: type }).publicKey
    if (type === 'rsa-pss') return generateKeyPairSync(type, { modulusLength: 2048 }).publicKey
    return generateKeyPairSync(type).publicKey
  }
  assert.match(keyProblem(of('secp256k1'))!, /, not EC on secp256k1$/)
  assert.match(keyProblem(of('ed25519'))!, /, not ed25519$/)
  assert.match(keyProblem(of('rsa-pss'))!, /, not rsa-pss$/)
})

const [issuedFrom, issuedTo] = [new Date('2025-03-01'), new Date('2025-06-01')]
const shortLived = make('short.example.com', { issuer: middle, notBefore: issuedFrom, notAfter: issuedTo })
const shortIssuer = make('short', { isAuthority: true, notBefore: issuedFrom, notAfter: issuedTo })
const longLived = make('long.example.com', { issuer: shortIssuer })
const inline = (made: typeof leaf, chain = '') =>
  one(`certificate: ${JSON.stringify(made.leaf)}, privateKey: ${JSON.stringify(made.privateKey)}${chain}`)

for (const [what, text, nowMs, warning] of [
  ['on its last day', inline(shortLived), issuedTo.getTime(), null],
  ['on its first day', inline(shortLived), issuedFrom.getTime(), null],
  [
    'past its time',
    inline(shortLived),
    issuedTo.getTime() + 1,
    '7:39: certificate has expired: it was valid until 2025-06-01T00:00:00Z',
  ],
  [
    'before its time',
    inline(shortLived),
    issuedFrom.getTime() - 1,
    '7:39: certificate is not valid yet: it will be from 2025-03-01T00:00:00Z',
  ],
  [
    'whose issuer is past its time',
    inline(longLived, `, certificateChain: "${shortIssuer.leaf.replaceAll('\n', '\\n')}"`),
    issuedTo.getTime() + 1,
    /7:\d+: certificateChain holds "CN=short", which has expired: it was valid until 2025-06-01T00:00:00Z$/,
  ],
] as const) {
  test(`a certificate ${what} is served${warning === null ? '' : ', with a warning'}`, () => {
    const result = parse(text, nowMs)
    assert.ok(result.ok)
    const [found, ...more] = result.config.warnings.map(formatProblem)
    assert.deepEqual(more, [])
    if (warning instanceof RegExp) assert.match(found!, warning)
    else assert.equal(found, warning === null ? undefined : `openalb.yaml:${warning}`)
  })
}

test('no problem shows anything of a private key', () => {
  const secret = leaf.privateKey.split('\n')[1]!
  const texts = [
    one(`certificate: other.pem, privateKey: ${JSON.stringify(leaf.privateKey)}`),
    one(`privateKey: ${JSON.stringify(leaf.privateKey)}, certificate: none.pem`),
    one(`certificate: cert.pem, privateKey: ${JSON.stringify(leaf.privateKey.replaceAll('\n', ' '))}`),
    withHttps(`certificates:
          - certificate: other.pem
            privateKey: |
${leaf.privateKey.replaceAll(/^/gm, '              ')}`),
    `a: |\n  -----BEGIN PRIVATE KEY-----\n\t${secret}\n- b`,
  ]
  for (const text of texts) {
    assert.ok(text.includes(secret))
    const result = parse(text)
    assert.ok(!result.ok && result.problems.length > 0)
    assert.ok(!JSON.stringify(result.problems).includes(secret.slice(0, 10)), JSON.stringify(result.problems))
  }
})
