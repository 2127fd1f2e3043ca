/** Mutual TLS as a user sets it up: files, curl, and a revocation while it runs. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { type MadeCertificate, makeCertificate, makeRevocationList } from '../support/certificates.ts'
import { freePort } from '../support/free-port.ts'
import { startTarget } from '../support/misbehaving-target.ts'
import { needs } from '../support/needs.ts'
import { type RunningProcess, startOpenAlb, testFolder } from '../support/running.ts'
import { echo } from '../support/target-scripts.ts'

const server = makeCertificate({ names: ['a.example'], keyType: 'p256' })
const authority = makeCertificate({ names: ['authority'], keyType: 'rsa2048', isAuthority: true })
const alice = makeCertificate({ names: ['alice'], keyType: 'p256', issuer: authority })
const bob = makeCertificate({ names: ['bob'], keyType: 'rsa2048', issuer: authority })

const config = (port: number, target: number) => `
loadBalancers:
  - name: web
    bind: 127.0.0.1
    listeners:
      - protocol: HTTPS
        port: ${port}
        certificates: [{ certificate: server.pem, privateKey: server-key.pem }]
        mutualAuthentication: { mode: verify, trustStore: clients }
        defaultActions: [{ type: forward, targetGroup: app }]
targetGroups:
  - { name: app, protocol: HTTP, port: ${target}, targets: [{ id: 127.0.0.1 }] }
trustStores:
  - name: clients
    caCertificatesBundle: ca.pem
    revocationLists: [{ revocationContent: crl.pem }]
`

async function start(t: TestContext, port: number): Promise<RunningProcess> {
  const folder = testFolder(t)
  const target = await startTarget(echo)
  t.after(() => target.close())
  const files = {
    'openalb.yaml': config(port, target.port),
    'server.pem': server.certificate,
    'server-key.pem': server.privateKey,
    'ca.pem': authority.certificate,
    'crl.pem': makeRevocationList({ issuer: authority, revoked: [] }),
    ...filesOf('alice', alice),
    ...filesOf('bob', bob),
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return startOpenAlb(t, ['openalb.yaml', '--watch', '--workers', '2'], folder)
}

function filesOf(name: string, { certificate, privateKey }: MadeCertificate): Record<string, string> {
  return { [`${name}.pem`]: certificate, [`${name}-key.pem`]: privateKey }
}

/** What the target got, or how curl failed. */
async function ask({ cwd }: RunningProcess, port: number, name: string | null): Promise<string> {
  const shown = name === null ? [] : ['--cert', `${name}.pem`, '--key', `${name}-key.pem`]
  const options = ['-sSk', '--max-time', '10', ...shown, `https://127.0.0.1:${port}/`]
  const run = promisify(execFile)('curl', options, { cwd })
  return run.then(
    ({ stdout }) => stdout,
    (error: { stderr: string }) => error.stderr,
  )
}

test('clients show their certificates, and one whose is revoked is refused from then on', {
  skip: needs('curl'),
}, async t => {
  const port = await freePort()
  const openalb = await start(t, port)
  assert.match(await ask(openalb, port, 'alice'), /^X-Amzn-Mtls-Clientcert-Subject: CN=alice\r$/m)
  assert.match(await ask(openalb, port, 'bob'), /^X-Amzn-Mtls-Clientcert-Subject: CN=bob\r$/m)
  assert.match(await ask(openalb, port, null), /alert handshake failure/)

  openalb.write('crl.pem', 'not a list')
  await openalb.says(/^the changed configuration was refused; the running one stays$/m)
  await openalb.says(/^openalb\.yaml:16:44: revocationContent is not PEM/m)
  assert.match(await ask(openalb, port, 'bob'), /CN=bob/)

  openalb.write('crl.pem', makeRevocationList({ issuer: authority, revoked: [bob] }))
  await openalb.says(/^configuration 2 is in force/m)
  assert.match(await ask(openalb, port, 'bob'), /alert certificate revoked/)
  assert.match(await ask(openalb, port, 'alice'), /CN=alice/)

  openalb.kill('SIGTERM')
  await openalb.exited()
  const log = openalb.read('.openalb/logs/connection.log')
  assert.match(log, / "CN=bob" NotBefore=\S+ [0-9A-F]{32} Failed:ClientCertCrlHit TID_/)
  assert.match(log, / "CN=alice" NotBefore=\S+ [0-9A-F]{32} Success TID_/)
})
