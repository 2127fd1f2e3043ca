import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { copyFile, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { devNull, tmpdir } from 'node:os'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createSecureContext } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { makeCertificate } from '../../test/support/certificates.ts'
import type { Listener } from '../model/resources.ts'
import { withHttps } from './config/marked.test-support.ts'
import { type ConfigOptions, type ConfigResult, formatProblem, loadConfig, parseConfig } from './config.ts'

const root = makeCertificate({ names: ['root'], keyType: 'p256', isAuthority: true })
const signed = makeCertificate({ names: ['a.example.com'], keyType: 'p256', issuer: root })
/** What an authority sends: the certificate, and apart from it the chain. */
const signedAlone = signed.certificate.slice(0, -root.certificate.length)
const selfSigned = makeCertificate({ names: ['b.example.com'], keyType: 'p384' })

const texts: Readonly<Record<string, string>> = {
  'cert.pem': signedAlone,
  'key.pem': signed.privateKey,
  'chain.pem': root.certificate,
  'self.pem': selfSigned.certificate,
  'self-key.pem': selfSigned.privateKey,
}
const withFiles = withHttps(`certificates:
          - { certificate: cert.pem, privateKey: key.pem, certificateChain: chain.pem }
          - { certificate: self.pem, privateKey: self-key.pem }`)

function readFrom(files: Readonly<Record<string, string>>): (path: string) => string {
  return path => {
    const text = files[basename(path)]
    if (text === undefined) throw Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT' })
    return text
  }
}

/** A PEM text as a block of YAML, under a key of a certificate in a list. */
function block(key: string, pem: string): string {
  return `${key}: |\n${pem.trimEnd().replaceAll(/^/gm, ' '.repeat(14))}`
}

function listenerOf(result: ConfigResult): Listener {
  assert.ok(result.ok, result.ok ? '' : result.problems.map(formatProblem).join('\n'))
  return result.config.resources.loadBalancers[0]!.listeners[0]!
}

function parsedListener(text: string, options: ConfigOptions = {}): Listener {
  return listenerOf(parseConfig([{ name: 'openalb.yaml', text }], options))
}

function problemsOf(result: ConfigResult): string[] {
  return result.ok ? [] : result.problems.map(formatProblem)
}

async function folderWith(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'openalb-https-'))
  t.after(() => rm(folder, { recursive: true }))
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  return folder
}

test('an HTTPS listener has its policy and its certificates, each followed by its chain', () => {
  const listener = parsedListener(
    withHttps(`sslPolicy: ELBSecurityPolicy-TLS13-1-2-2021-06
        certificates:
          - ${block('certificate', signedAlone)}
            ${block('privateKey', signed.privateKey)}
            ${block('certificateChain', root.certificate)}`),
  )
  assert.equal(listener.protocol, 'HTTPS')
  assert.equal(listener.tls!.sslPolicy, 'ELBSecurityPolicy-TLS13-1-2-2021-06')
  assert.equal(listener.tls!.certificates.length, 1)
  const { certificate, privateKey } = listener.tls!.certificates[0]!
  assert.equal(certificate, signed.certificate)
  assert.equal(privateKey, signed.privateKey)
  createSecureContext({ cert: certificate, key: privateKey })
})

test('what stands around the PEM, its line ends and the kind of its key make no other certificate', () => {
  const explained = `subject=CN=b.example.com\r\n${selfSigned.certificate.replaceAll('\n', '\r\n')}\r\n`
  const sec1 = createPrivateKey(selfSigned.privateKey).export({ type: 'sec1', format: 'pem' }) as string
  const of = (self: string, key: string) =>
    parsedListener(withFiles, { readPem: readFrom({ ...texts, 'self.pem': self, 'self-key.pem': key }) }).tls
  assert.deepEqual(of(explained, sec1), of(selfSigned.certificate, selfSigned.privateKey))
})

test('a listener that names no policy has the default of the service, one of HTTP has no TLS', () => {
  assert.equal(parsedListener(withFiles, { readPem: readFrom(texts) }).tls!.sslPolicy, 'ELBSecurityPolicy-2016-08')
  const fixed = '{ type: fixed-response, fixedResponse: { statusCode: 200 } }'
  const http = `loadBalancers: [{ name: web, listeners: [{ protocol: HTTP, port: 80, defaultActions: [${fixed}] }] }]`
  assert.equal(parsedListener(http).tls, null)
})

test("a certificate's ARN follows from the certificate alone", () => {
  const arns = (text: string) =>
    parsedListener(text, { readPem: readFrom(texts) }).tls!.certificates.map(({ arn }) => arn)
  const [first, second] = arns(withFiles)
  assert.match(
    first!,
    /^arn:aws:acm:us-east-1:123456789012:certificate\/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/,
  )
  assert.notEqual(first, second)
  const { fingerprint256 } = new X509Certificate(signed.certificate)
  const digits = first!.split('/')[1]!.replaceAll('-', '')
  assert.ok(fingerprint256.replaceAll(':', '').toLowerCase().startsWith(digits))
  assert.deepEqual(arns(withFiles.replace(', certificateChain: chain.pem', '')), [first, second])
  assert.deepEqual(arns(withFiles.replace('name: web', 'name: other')), [first, second])
})

test('the port offset moves 443 as it moves 80', () => {
  const { port, bindPort } = parsedListener(withFiles, { portOffset: 8000, readPem: readFrom(texts) })
  assert.deepEqual({ port, bindPort }, { port: 443, bindPort: 8443 })
})

test('a target group may have targets that speak TLS; it is checked by HTTP unless told otherwise', () => {
  const text = 'targetGroups: [{ name: app, protocol: HTTPS, port: 8443 }]'
  const result = parseConfig([{ name: 'openalb.yaml', text }])
  assert.ok(result.ok)
  const { protocol, healthCheck } = result.config.resources.targetGroups[0]!
  assert.deepEqual([protocol, healthCheck.protocol], ['HTTPS', 'HTTP'])
})

test('each file is read once, and all are told, found or not', () => {
  const reads: string[] = []
  const readPem = (path: string) => {
    reads.push(relative('', path))
    return readFrom(texts)(path)
  }
  const entry = '{ certificate: cert.pem, privateKey: key.pem }'
  const text = withHttps(`certificates: [${entry}, ${entry}, { certificate: none.pem, privateKey: ./key.pem }]`)
  const result = parseConfig([{ name: 'openalb.yaml', text }], { readPem })
  assert.equal(result.ok, false)
  assert.deepEqual(reads, ['cert.pem', 'key.pem', 'none.pem'])
  assert.deepEqual(
    result.files,
    reads.map(path => resolve(path)),
  )
})

test('text in the place of a file is no file of the configuration', () => {
  const [certificate, privateKey] = [selfSigned.certificate, selfSigned.privateKey].map(text => JSON.stringify(text))
  const text = withHttps(`certificates: [{ certificate: ${certificate}, privateKey: ${privateKey} }]`)
  const result = parseConfig([{ name: 'openalb.yaml', text }])
  assert.deepEqual([result.ok, result.files], [true, []])
})

test('files are found from the folder of the config file that names them', async t => {
  const folder = await folderWith(t, {
    'a/openalb.yaml': withFiles,
    'a/cert.pem': signedAlone,
    'a/key.pem': signed.privateKey,
    'a/chain.pem': root.certificate,
    'a/self.pem': selfSigned.certificate,
    'a/self-key.pem': selfSigned.privateKey,
    'b/openalb.yaml': withHttps('certificates: [{ certificate: tls/cert.pem, privateKey: ../a/self-key.pem }]')
      .replaceAll('app', 'api')
      .replace('name: web', 'name: other')
      .replace('443', '444'),
    'b/tls/cert.pem': selfSigned.certificate,
  })
  const result = await loadConfig([join(folder, 'a/openalb.yaml'), join(folder, 'b/openalb.yaml')])
  assert.equal(listenerOf(result).tls!.certificates[0]!.certificate, signed.certificate)
  assert.deepEqual(result.files, [
    ...['cert', 'key', 'chain', 'self', 'self-key'].map(name => join(folder, 'a', `${name}.pem`)),
    join(folder, 'b/tls/cert.pem'),
  ])
  const { loadBalancers } = (result.ok && result.config.resources) || { loadBalancers: [] }
  assert.equal(loadBalancers[1]!.listeners[0]!.tls!.certificates[0]!.certificate, selfSigned.certificate)
})

test('what cannot be read as a file of PEM is refused where it is named', async t => {
  const folder = await folderWith(t, {
    'openalb.yaml': withHttps(`certificates:
          - certificate: folder
            privateKey: large.pem
            certificateChain: ${devNull}`),
    'folder/a': '',
    'large.pem': '',
  })
  await truncate(join(folder, 'large.pem'), 2_097_153)
  const file = join(folder, 'openalb.yaml')
  assert.deepEqual(problemsOf(await loadConfig([file])), [
    `${file}:8:26: certificate cannot be read: it is a directory: ${join(folder, 'folder')}`,
    `${file}:9:25: privateKey cannot be read: it has 2097153 bytes, too many for PEM: ${join(folder, 'large.pem')}`,
    `${file}:10:31: certificateChain cannot be read: it is not a file: ${devNull}`,
  ])
})

test('the example https is valid with the certificate that it says to make, without a warning', async t => {
  const folder = await folderWith(t, { 'cert.pem': selfSigned.certificate, 'key.pem': selfSigned.privateKey })
  const example = fileURLToPath(new URL('../../examples/https/openalb.yaml', import.meta.url))
  await copyFile(example, join(folder, 'openalb.yaml'))
  const result = await loadConfig([join(folder, 'openalb.yaml')])
  assert.deepEqual(problemsOf(result), [])
  assert.deepEqual(result.ok && result.config.warnings, [])
})
