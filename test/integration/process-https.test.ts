/** `openalb up --https`: HTTPS for development, as a user comes to it. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { makeCertificate } from '../support/certificates.ts'
import { forwardingConfig } from '../support/forwarding.ts'
import { freePort } from '../support/free-port.ts'
import { startTarget } from '../support/misbehaving-target.ts'
import { needs } from '../support/needs.ts'
import { type RunningProcess, runOpenAlb, startOpenAlb, testFolder } from '../support/running.ts'
import { echo } from '../support/target-scripts.ts'

async function startTo(t: TestContext, folder: string, port: number): Promise<RunningProcess> {
  const target = await startTarget(echo)
  t.after(() => target.close())
  return startOpenAlb(t, ['--https', '--to', `127.0.0.1:${target.port}`, '--listen', `${port}`], folder)
}

const authorityFile = (folder: string) => join(folder, '.openalb', 'https', 'authority.pem')

/** Trusts that authority and no other. */
async function curl(folder: string, ...args: readonly string[]): Promise<string> {
  const run = promisify(execFile)
  return (await run('curl', ['-sS', '--max-time', '10', '--cacert', authorityFile(folder), ...args])).stdout
}

test('a client that trusts the authority reaches a target by HTTPS, at every name', {
  skip: needs('curl'),
}, async t => {
  const [folder, port] = [testFolder(t), await freePort()]
  await startTo(t, folder, port)
  for (const host of ['localhost', '127.0.0.1', 'web-1.us-east-1.elb.localhost', 'web.elb.localhost']) {
    const answer = await curl(folder, '--resolve', `${host}:${port}:127.0.0.1`, `https://${host}:${port}/`)
    assert.match(answer, /^X-Forwarded-Proto: https\r$/m, host)
  }
  await assert.rejects(curl(folder, '--resolve', `a.example:${port}:127.0.0.1`, `https://a.example:${port}/`), /\(60\)/)
})

test('the first start says how to trust the authority, later ones where that is written', async t => {
  const [folder, port] = [testFolder(t), await freePort()]
  const first = await startTo(t, folder, port)
  const file = authorityFile(folder)
  const waysFile = join(folder, '.openalb', 'https', 'how-to-trust.txt')
  assert.match(
    first.text,
    /^certificate: for localhost, .*, 127\.0\.0\.1, ::1; until \d{4}-\d\d-\d\d, by the local auth/m,
  )
  for (const way of ['curl --cacert', 'NODE_EXTRA_CA_CERTS=', 'update-ca-certificates', 'certutil', 'security add-']) {
    assert.ok(first.text.includes(way), way)
  }
  assert.ok(first.text.includes(`Ready. Try: curl -v --cacert ${file} https://localhost:${port}/\n`))
  first.kill('SIGTERM')
  await first.exited()
  const certificate = readFileSync(join(folder, '.openalb/https/certificate.pem'), 'utf8')

  const second = await startTo(t, folder, port)
  assert.match(second.text, new RegExp(`^how to trust it: ${waysFile}$`, 'm'))
  assert.doesNotMatch(second.text, /update-ca-certificates/)
  assert.match(
    readFileSync(waysFile, 'utf8'),
    new RegExp(`^ {2}curl +curl --cacert ${file} https://localhost:${port}/$`, 'm'),
  )
  assert.equal(readFileSync(join(folder, '.openalb/https/certificate.pem'), 'utf8'), certificate)
})

/** As the usual one, by HTTPS. @param more lines of the listener, as YAML */
function secureConfig(port: number, more = ''): string {
  return forwardingConfig([], port).replace('- protocol: HTTP\n', `- protocol: HTTPS\n${more}`)
}

test('with a file, listeners that name no certificate get one; a reload may name another', {
  skip: needs('curl'),
}, async t => {
  const [folder, port] = [testFolder(t), await freePort()]
  writeFileSync(join(folder, 'openalb.yaml'), secureConfig(port))
  const openalb = await startOpenAlb(t, ['openalb.yaml', '--https'], folder)
  const url = `https://localhost:${port}/fixed`
  assert.equal(await curl(folder, url), 'fixed')

  const { certificate, privateKey } = makeCertificate({ names: ['localhost'], keyType: 'p256' })
  openalb.write('other.pem', certificate)
  openalb.write('other-key.pem', privateKey)
  const line = '        certificates: [{ certificate: other.pem, privateKey: other-key.pem }]\n'
  openalb.write('openalb.yaml', secureConfig(port, line))
  openalb.kill('SIGHUP')
  await openalb.says(/^configuration 2 is in force: /m)
  await openalb.says(/^warning: openalb\.yaml:\d+:\d+: .*has certificates for all its HTTPS listeners: --https has no/m)
  await assert.rejects(curl(folder, url), /\(60\)/)
  assert.equal(await curl(folder, '--cacert', join(folder, 'other.pem'), url), 'fixed')
})

for (const [what, config, args, complaint] of [
  ['a file without HTTPS', forwardingConfig([], 1), ['--https'], /has no listener with protocol HTTPS, which --https/],
  [
    'HTTPS without a certificate or --https',
    secureConfig(1),
    [],
    /at least one certificate\. For development, --https/,
  ],
] as const) {
  test(`${what} is refused, and nothing is made`, async t => {
    const folder = testFolder(t)
    writeFileSync(join(folder, 'openalb.yaml'), config)
    const { code, text } = await runOpenAlb(t, ['up', 'openalb.yaml', ...args], folder)
    assert.equal(code, 2)
    assert.match(text, complaint)
    assert.equal(existsSync(join(folder, '.openalb')), false)
  })
}

test('an authority that cannot be used ends the start with a word on what to do', async t => {
  const [folder, port] = [testFolder(t), await freePort()]
  const openalb = await startTo(t, folder, port)
  openalb.kill('SIGTERM')
  await openalb.exited()
  writeFileSync(join(folder, '.openalb/https/authority-key.pem'), 'none')
  const { code, text } = await runOpenAlb(t, ['up', '--https', '--to', '127.0.0.1:1', '--listen', `${port}`], folder)
  assert.equal(code, 2)
  assert.match(
    text,
    /^openalb: cannot use the local certificate authority in \.openalb\/https: its certificate or its/m,
  )
  assert.doesNotMatch(text, /^ +at /m)
})
