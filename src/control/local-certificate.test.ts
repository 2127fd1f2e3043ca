import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { makeCertificate } from '../../test/support/certificates.ts'
import { needs } from '../../test/support/needs.ts'
import type { Resources } from '../model/resources.ts'
import { formatProblem, parseConfig } from './config.ts'
import { issueCertificate } from './local-certificate/issue.ts'
import { type LocalCertificate, LocalCertificateUnusable, withLocalCertificate } from './local-certificate.ts'

const dayMs = 24 * 60 * 60 * 1000
const nowMs = Date.now()

/** @param listeners as YAML */
function resourcesOf(...listeners: readonly string[]): Resources {
  const text = `
loadBalancers:
  - name: web
    listeners: [${listeners.join(', ')}]
targetGroups:
  - { name: app, protocol: HTTP, port: 80, targets: [{ id: 127.0.0.1 }] }
`
  const parsed = parseConfig([{ name: 'test.yaml', text }], { usesLocalCertificate: true })
  if (!parsed.ok) throw new Error(parsed.problems.map(formatProblem).join('\n'))
  return parsed.config.resources
}

const forward = 'defaultActions: [{ type: forward, targetGroup: app }]'
const bare = resourcesOf(`{ protocol: HTTPS, port: 443, ${forward} }`)

function withHosts(...hosts: readonly string[]): Resources {
  const rules = hosts.map((host, i) => {
    const conditions = `[{ field: host-header, values: ["${host}"] }]`
    return `{ priority: ${i + 1}, conditions: ${conditions}, actions: [{ type: forward, targetGroup: app }] }`
  })
  return resourcesOf(`{ protocol: HTTPS, port: 443, rules: [${rules.join(', ')}], ${forward} }`)
}

class Machine {
  readonly folder: string
  hostName = 'Laptop.Example'

  constructor(t: TestContext) {
    const folder = mkdtempSync(join(tmpdir(), 'openalb-local-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    this.folder = join(folder, 'https')
  }

  async start(resources: Resources = bare, days = 0): Promise<LocalCertificate> {
    const options = { folder: this.folder, hostName: this.hostName, nowMs: nowMs + days * dayMs }
    const { local } = await withLocalCertificate(resources, options)
    assert.ok(local !== null)
    return local
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  authority(): X509Certificate {
    return new X509Certificate(readFileSync(this.path('authority.pem')))
  }
}

const leafOf = ({ certificate }: LocalCertificate) => new X509Certificate(certificate.certificate)

test('the first use makes an authority and a certificate for the names of this machine', async t => {
  const machine = new Machine(t)
  const local = await machine.start()
  const leaf = leafOf(local)
  const all = ['localhost', '*.localhost', '*.elb.localhost', '*.us-east-1.elb.localhost', 'laptop.example']
  assert.deepEqual(local.names, [...all, '127.0.0.1', '::1'])
  for (const name of ['localhost', 'web-1.elb.localhost', 'web-1.us-east-1.elb.localhost', 'laptop.example']) {
    assert.equal(leaf.checkHost(name) !== undefined, true, name)
  }
  assert.equal(leaf.checkIP('127.0.0.1'), '127.0.0.1')
  assert.equal(leaf.checkIP('::1'), '::1')
  assert.ok(leaf.verify(machine.authority().publicKey))
  assert.deepEqual([local.isAuthorityNew, local.namesLeftOut], [true, []])
  assert.equal(local.authorityFile, machine.path('authority.pem'))
  assert.match(leaf.issuer, /^CN=OpenALB since \d{4}-\d\d-\d\d on Laptop\.Example$/)
})

test('keys are for their owner only, also when somebody has opened them', {
  skip: process.platform === 'win32',
}, async t => {
  const machine = new Machine(t)
  const modes = () => readdirSync(machine.folder).map(name => [name, statSync(machine.path(name)).mode & 0o777])
  const expected = [
    ['authority-key.pem', 0o600],
    ['authority.pem', 0o644],
    ['certificate.pem', 0o644],
    ['key.pem', 0o600],
  ]
  await machine.start()
  assert.deepEqual(modes(), expected)
  for (const name of ['authority-key.pem', 'key.pem']) chmodSync(machine.path(name), 0o644)
  await machine.start()
  assert.deepEqual(modes(), expected)
})

test('openssl takes the certificate for a server, by the strictest rules', { skip: needs('openssl') }, async t => {
  const machine = new Machine(t)
  await machine.start()
  const verify = (...options: readonly string[]) =>
    execFileSync('openssl', [
      ...['verify', '-x509_strict', '-purpose', 'sslserver', ...options],
      ...['-CAfile', machine.path('authority.pem'), machine.path('certificate.pem')],
    ]).toString()
  assert.match(verify('-verify_hostname', 'localhost'), /: OK\n$/)
  assert.match(verify('-verify_ip', '::1'), /: OK\n$/)
})

for (const [name, is] of [
  ['www.example.com', 'no name of this machine'],
  ['192.0.2.1', 'no address of loopback'],
] as const) {
  test(`who has the authority's key cannot be ${name}, which is ${is}`, { skip: needs('openssl') }, async t => {
    const machine = new Machine(t)
    await machine.start()
    const [certificate, privateKey] = ['authority.pem', 'authority-key.pem'].map(file =>
      readFileSync(machine.path(file), 'utf8'),
    )
    const forged = await issueCertificate({ certificate: certificate!, privateKey: privateKey! }, [name], nowMs)
    writeFileSync(machine.path('forged.pem'), forged.certificate)
    const args = ['verify', '-CAfile', machine.path('authority.pem'), machine.path('forged.pem')]
    assert.throws(() => execFileSync('openssl', args, { stdio: 'pipe' }), /permitted subtree violation/)
  })
}

test('both are used again', async t => {
  const machine = new Machine(t)
  const first = await machine.start()
  const again = await machine.start(bare, 366)
  assert.deepEqual(again, { ...first, isAuthorityNew: false })
})

test('in its last 30 days the certificate is renewed, by the same authority', async t => {
  const machine = new Machine(t)
  const first = await machine.start()
  const authority = machine.authority()
  const renewed = await machine.start(bare, 368)
  assert.equal(machine.authority().fingerprint256, authority.fingerprint256)
  assert.notEqual(renewed.certificate.arn, first.certificate.arn)
  assert.equal(renewed.expiresAtMs - first.expiresAtMs, 368 * dayMs)
  assert.equal(renewed.isAuthorityNew, false)
})

test('an authority that its certificates would outlive is replaced', async t => {
  const machine = new Machine(t)
  await machine.start()
  const before = machine.authority().fingerprint256
  assert.equal((await machine.start(bare, 3650 - 398)).isAuthorityNew, false)
  assert.equal(machine.authority().fingerprint256, before)
  const later = await machine.start(bare, 3650 - 396)
  assert.equal(later.isAuthorityNew, true)
  assert.notEqual(machine.authority().fingerprint256, before)
  assert.ok(leafOf(later).verify(machine.authority().publicKey))
})

test('names below localhost that rules ask for stand in the certificate, and renew it when they change', async t => {
  const machine = new Machine(t)
  const first = await machine.start()
  const hosts = ['Shop.localhost', '*.api.localhost', 'a?c.localhost', 'www.example.com']
  const second = await machine.start(withHosts(...hosts))
  assert.deepEqual(second.names.toSorted(), [...first.names, 'shop.localhost', '*.api.localhost'].sort())
  assert.deepEqual(second.namesLeftOut, ['www.example.com'])
  assert.notEqual(second.certificate.arn, first.certificate.arn)
  assert.equal((await machine.start(withHosts(...hosts))).certificate.arn, second.certificate.arn)
})

test('a machine that has got another name keeps its authority, which does not vouch for that', async t => {
  const machine = new Machine(t)
  const first = await machine.start()
  machine.hostName = 'other.example'
  const second = await machine.start()
  assert.deepEqual(second.namesLeftOut, ['other.example'])
  assert.equal(second.names.includes('laptop.example'), false)
  assert.equal(second.isAuthorityNew, false)
  assert.equal(leafOf(second).issuer, leafOf(first).issuer)
})

for (const hostName of ['localhost', 'Büro', 'a_b', '', 'x'.repeat(64)]) {
  test(`a machine called ${JSON.stringify(hostName)} gets a certificate as well`, {
    skip: needs('openssl'),
  }, async t => {
    const machine = new Machine(t)
    machine.hostName = hostName
    const local = await machine.start()
    assert.equal(leafOf(local).checkHost('localhost'), 'localhost')
    const args = ['verify', '-CAfile', machine.path('authority.pem'), machine.path('certificate.pem')]
    assert.match(execFileSync('openssl', args).toString(), /: OK\n$/)
  })
}

for (const [damage, file, text] of [
  ['of another', 'authority-key.pem', makeCertificate({ names: ['a'], keyType: 'p256' }).privateKey],
  ['that is damaged', 'authority-key.pem', 'none'],
] as const) {
  test(`an authority with a key ${damage} is refused, and nothing is made in its place`, async t => {
    const machine = new Machine(t)
    await machine.start()
    const before = machine.authority().fingerprint256
    writeFileSync(machine.path(file), text)
    await assert.rejects(machine.start(), error => {
      assert.ok(error instanceof LocalCertificateUnusable)
      assert.ok(error.message.startsWith(`cannot use the local certificate authority in ${machine.folder}: its `))
      return true
    })
    assert.equal(machine.authority().fingerprint256, before)
  })
}

test('an authority whose key is missing is refused', async t => {
  const machine = new Machine(t)
  await machine.start()
  rmSync(machine.path('authority-key.pem'))
  await assert.rejects(machine.start(), /its certificate or its key is damaged or missing\. Remove that folder/)
})

for (const [what, damage] of [
  ['damaged', (machine: Machine) => writeFileSync(machine.path('certificate.pem'), 'none')],
  ['without its key', (machine: Machine) => rmSync(machine.path('key.pem'))],
  [
    'by another authority',
    (machine: Machine) => {
      const { certificate, privateKey } = makeCertificate({ names: ['localhost'], keyType: 'p256' })
      writeFileSync(machine.path('certificate.pem'), certificate)
      writeFileSync(machine.path('key.pem'), privateKey)
    },
  ],
] as const) {
  test(`a certificate that is ${what} is made anew`, async t => {
    const machine = new Machine(t)
    await machine.start()
    damage(machine)
    const local = await machine.start()
    assert.ok(leafOf(local).verify(machine.authority().publicKey))
    assert.equal(local.isAuthorityNew, false)
  })
}

test('only listeners of HTTPS without certificates get it; without any, nothing is made', async t => {
  const machine = new Machine(t)
  const other = new Machine(t)
  await other.start()
  const [certificate, privateKey] = ['certificate.pem', 'key.pem'].map(name => other.path(name))
  const certified = `{ protocol: HTTPS, port: 443, certificates: [{ certificate: ${certificate}, privateKey: ${privateKey} }], ${forward} }`
  const plain = `{ protocol: HTTP, port: 80, ${forward} }`
  const options = { folder: machine.folder, hostName: machine.hostName, nowMs }
  const without = resourcesOf(certified, plain)
  assert.deepEqual(await withLocalCertificate(without, options), { resources: without, local: null })
  assert.throws(() => statSync(machine.folder), /ENOENT/)

  const before = resourcesOf(certified, plain, `{ protocol: HTTPS, port: 8443, ${forward} }`)
  const { resources, local } = await withLocalCertificate(before, options)
  const [first, second, third] = resources.loadBalancers[0]!.listeners
  assert.deepEqual([first, second], before.loadBalancers[0]!.listeners.slice(0, 2))
  assert.deepEqual(third!.tls!.certificates, [local!.certificate])
})

test('the addresses that a load balancer binds are names as well, those of loopback', async t => {
  const text = `
loadBalancers:
  - { name: web, bind: [127.31.1.1, 192.0.2.1], listeners: [{ protocol: HTTPS, port: 443, ${forward} }] }
targetGroups:
  - { name: app, protocol: HTTP, port: 80 }
`
  const parsed = parseConfig([{ name: 'test.yaml', text }], { usesLocalCertificate: true })
  assert.ok(parsed.ok)
  const local = await new Machine(t).start(parsed.config.resources)
  assert.equal(leafOf(local).checkIP('127.31.1.1'), '127.31.1.1')
  assert.deepEqual(local.namesLeftOut, ['192.0.2.1'])
})
