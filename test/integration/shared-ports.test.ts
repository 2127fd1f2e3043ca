/** Several load balancers on one address and port, told apart by the DNS name that is asked for. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { type MadeCertificate, makeCertificate } from '../support/certificates.ts'
import { within } from '../support/deadline.ts'
import { logFields, startPlane, type TestPlane } from '../support/plane.ts'
import { connectClient, type RawClient } from '../support/raw-client.ts'
import { caughtUp, until } from '../support/turns.ts'

type Described = {
  readonly name: string
  readonly attributes?: Readonly<Record<string, string>>
  readonly certificate?: MadeCertificate
  /** Of clients that show certificates. */
  readonly trusts?: MadeCertificate
}

/** Each answers with its name. */
function config(loadBalancers: readonly Described[]): string {
  return JSON.stringify({
    trustStores: loadBalancers.flatMap(({ name, trusts }) =>
      trusts === undefined ? [] : [{ name, caCertificatesBundle: trusts.certificate }],
    ),
    loadBalancers: loadBalancers.map(({ name, attributes = {}, certificate, trusts }) => ({
      name,
      attributes,
      listeners: [
        {
          ...(certificate === undefined ? { protocol: 'HTTP' } : { protocol: 'HTTPS', certificates: [certificate] }),
          ...(trusts === undefined ? {} : { mutualAuthentication: { mode: 'verify', trustStore: name } }),
          port: 8080,
          defaultActions: [{ type: 'fixed-response', fixedResponse: { statusCode: 200, messageBody: name } }],
        },
      ],
    })),
  })
}

async function start(t: TestContext, loadBalancers: readonly Described[]): Promise<TestPlane> {
  const plane = await startPlane({ config: config(loadBalancers) })
  t.after(() => plane.close())
  return plane
}

const found = (plane: TestPlane, name: string) =>
  plane.publisher.snapshot.loadBalancers.find(loadBalancer => loadBalancer.name === name)!
const dnsName = (plane: TestPlane, name: string) => found(plane, name).dnsName
const count = (plane: TestPlane, name: string, counter: 'RequestCount' | 'NewConnectionCount' | 'exchanges') =>
  plane.counters.loadBalancer(found(plane, name).nodes[0]!.slot, counter)
const active = (plane: TestPlane, name: string): number => {
  const { slot } = found(plane, name).nodes[0]!
  const { counters } = plane
  return counters.loadBalancer(slot, 'connectionsOpened') - counters.loadBalancer(slot, 'connectionsClosed')
}

async function client(t: TestContext, plane: TestPlane): Promise<RawClient> {
  const client = await connectClient(plane.port)
  t.after(() => client.close())
  return client
}

async function ask(client: RawClient, host: string, target = '/'): Promise<string> {
  await client.send(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  return (await client.readResponse()).body.toString()
}

const two = [{ name: 'first' }, { name: 'second' }]

test('the one answers whose DNS name is asked for, and to all other names the first created', async t => {
  const plane = await start(t, two)
  const name = dnsName(plane, 'second')
  assert.equal(plane.plane.addresses.length, 1)
  for (const [host, answer] of [
    [name, 'second'],
    [name.toUpperCase(), 'second'],
    [`${name}:8080`, 'second'],
    [dnsName(plane, 'first'), 'first'],
    ['example.com', 'first'],
    [`www.${name}`, 'first'],
    [`${name}.`, 'first'],
    ['[::1]:8080', 'first'],
  ] as const) {
    assert.equal(await ask(await client(t, plane), host), answer, host)
  }
})

test('an absolute target outweighs the Host field here, too', async t => {
  const plane = await start(t, two)
  const name = dnsName(plane, 'second')
  assert.equal(await ask(await client(t, plane), 'a', `http://${name}/`), 'second')
  assert.equal(await ask(await client(t, plane), name, 'http://a/'), 'first')
})

test('a request without a host, or that cannot be read, is for the first created', async t => {
  const plane = await start(t, two)
  const old = await client(t, plane)
  await old.send('GET / HTTP/1.0\r\n\r\n')
  assert.equal((await old.readResponse()).body.toString(), 'first')
  const broken = await client(t, plane)
  await broken.send('GET / HTTP/1.1\r\nHost\r\n\r\n')
  assert.equal((await broken.readResponse()).status, 400)
  assert.deepEqual([count(plane, 'first', 'exchanges'), count(plane, 'second', 'exchanges')], [2, 0])
})

test('each request on a connection is answered, counted and logged by the one that it names', async t => {
  const plane = await start(t, two)
  const one = await client(t, plane)
  const name = dnsName(plane, 'second')
  assert.deepEqual([await ask(one, name), await ask(one, 'a'), await ask(one, name)], ['second', 'first', 'second'])
  assert.deepEqual([count(plane, 'first', 'exchanges'), count(plane, 'second', 'exchanges')], [1, 2])
  const elbs = (await plane.logLines()).map(line => logFields(line)[3]!.split('/')[1])
  assert.deepEqual(elbs.sort(), ['first', 'second', 'second'])
})

test('the first request decides who counts and logs the connection; without one, it is the first created', async t => {
  const plane = await start(t, two)
  const one = await client(t, plane)
  assert.deepEqual([active(plane, 'first'), active(plane, 'second')], [0, 0])
  await ask(one, dnsName(plane, 'second'))
  await ask(one, 'a')
  assert.deepEqual([active(plane, 'first'), active(plane, 'second')], [0, 1])
  const silent = await client(t, plane)
  silent.close()
  await until(
    () => count(plane, 'first', 'NewConnectionCount') === 1,
    () => 'the connection without a request to be counted',
  )
  assert.equal(count(plane, 'second', 'NewConnectionCount'), 1)
  assert.equal(active(plane, 'first'), 0)
  assert.equal((await plane.connectionLines()).length, 2)
})

test('the idle timeout between requests is that of whom the latest one was for', async t => {
  const attributes = { 'idle_timeout.timeout_seconds': '10' }
  const plane = await start(t, [{ name: 'first' }, { name: 'second', attributes }])
  const [patient, hasty] = [await client(t, plane), await client(t, plane)]
  await ask(patient, 'a')
  await ask(hasty, dnsName(plane, 'second'))
  plane.clock.advance(12_000)
  assert.equal((await hasty.readUntilClose()).ending, 'fin')
  assert.equal(await ask(patient, 'a'), 'first')
})

test('how long a connection is kept is said by whom its first request was for', async t => {
  const attributes = { 'client_keep_alive.seconds': '60' }
  const plane = await start(t, [{ name: 'first' }, { name: 'second', attributes }])
  const name = dnsName(plane, 'second')
  const one = await client(t, plane)
  await ask(one, name)
  plane.clock.advance(50_000)
  await ask(one, name)
  plane.clock.advance(50_000)
  await ask(one, name)
  assert.equal((await one.readUntilClose()).ending, 'fin')
})

test('one that comes later to a port is found on connections that were there before', async t => {
  const plane = await start(t, [{ name: 'first' }])
  const { port } = plane
  const one = await client(t, plane)
  await ask(one, 'a')
  await plane.publish(config(two))
  assert.equal(plane.port, port)
  assert.equal(await ask(one, dnsName(plane, 'second')), 'second')
})

test('when the first created goes, its connections end, and the next one answers on the same port', async t => {
  const plane = await start(t, two)
  const { port } = plane
  const [one, other] = [await client(t, plane), await client(t, plane)]
  await ask(one, 'a')
  await ask(other, dnsName(plane, 'second'))
  await plane.publish(config([{ name: 'second' }]))
  assert.equal(plane.port, port)
  assert.equal((await one.readUntilClose()).ending, 'fin')
  assert.equal(await ask(other, 'a'), 'second')
  assert.equal(await ask(await client(t, plane), 'a'), 'second')
})

const certificates = {
  first: makeCertificate({ names: ['first.example'], keyType: 'p256' }),
  second: makeCertificate({ names: ['second.example'], keyType: 'p256' }),
}
const twoSecured = (['first', 'second'] as const).map(name => ({ name, certificate: certificates[name] }))

async function secure(
  t: TestContext,
  plane: TestPlane,
  servername: string,
  options: ConnectionOptions = {},
): Promise<TLSSocket> {
  const { port } = plane
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, servername, ...options })
  t.after(() => socket.destroy())
  await within(once(socket, 'secureConnect'), () => 'the handshake')
  return socket
}

async function askSecurely(socket: TLSSocket, host: string): Promise<string> {
  socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  const [bytes] = (await within(once(socket, 'data'), () => 'an answer')) as [Buffer]
  return bytes.toString().split('\r\n\r\n')[1]!
}

const subject = (socket: TLSSocket) => String(socket.getPeerCertificate().subjectaltname)

test('in TLS the server name decides, for the certificate and for all requests', async t => {
  const plane = await start(t, twoSecured)
  const name = dnsName(plane, 'second')
  const one = await secure(t, plane, name.toUpperCase())
  assert.equal(subject(one), 'DNS:second.example')
  assert.equal(await askSecurely(one, name), 'second')
  assert.equal(await askSecurely(one, dnsName(plane, 'first')), 'second')
  assert.deepEqual([active(plane, 'first'), active(plane, 'second')], [0, 1])
})

test('in TLS, a name of nobody or none at all is for the first created', async t => {
  const plane = await start(t, twoSecured)
  for (const servername of ['second.example', '']) {
    const socket = await secure(t, plane, servername)
    assert.equal(subject(socket), 'DNS:first.example')
    assert.equal(await askSecurely(socket, dnsName(plane, 'second')), 'first')
  }
})

test('a failed handshake counts for the one that was asked for', async t => {
  const plane = await start(t, twoSecured)
  const socket = connect({
    host: '127.0.0.1',
    port: plane.port,
    rejectUnauthorized: false,
    servername: dnsName(plane, 'second'),
    // Not with a certificate of this kind.
    maxVersion: 'TLSv1.2',
    ciphers: 'AES128-SHA',
  })
  socket.on('error', () => {})
  t.after(() => socket.destroy())
  const failures = (name: string) =>
    plane.counters.loadBalancer(found(plane, name).nodes[0]!.slot, 'ClientTLSNegotiationErrorCount')
  await until(
    () => failures('second') + failures('first') > 0,
    () => 'a failed handshake to be counted',
  )
  assert.deepEqual([failures('first'), failures('second')], [0, 1])
})

test('who is asked for, asks clients for certificates, and judges them', async t => {
  const root = makeCertificate({ names: ['root'], keyType: 'p256', isAuthority: true })
  const [first, second] = twoSecured
  const plane = await start(t, [first!, { ...second!, trusts: root }])
  const good = makeCertificate({ names: ['client'], keyType: 'p256', issuer: root })
  const expired = makeCertificate({
    names: ['client'],
    keyType: 'p256',
    issuer: root,
    notAfter: new Date('2021-01-01'),
  })
  const shown = ({ certificate, privateKey }: MadeCertificate) => ({ cert: certificate, key: privateKey })
  assert.equal(await askSecurely(await secure(t, plane, dnsName(plane, 'second'), shown(good)), 'a'), 'second')
  assert.equal(await askSecurely(await secure(t, plane, dnsName(plane, 'first'), shown(expired)), 'a'), 'first')
  assert.equal(await askSecurely(await secure(t, plane, 'a.example'), dnsName(plane, 'second')), 'first')
  const servername = dnsName(plane, 'second')
  const refused = connect({
    host: '127.0.0.1',
    port: plane.port,
    rejectUnauthorized: false,
    servername,
    ...shown(expired),
  })
  t.after(() => refused.destroy())
  await within(once(refused, 'error'), () => 'the alert')
  const failed = (await plane.connectionLines()).filter(line => line.includes('Failed:'))
  assert.deepEqual(
    failed.map(line => /Failed:(\w+).* app\/(\w+)\//.exec(line)?.slice(1)),
    [['ClientCertExpired', 'second']],
  )
})

test('a client that was accepted before its listener turned to plain HTTP gets its handshake', async t => {
  const plane = await start(t, twoSecured)
  const accepted = connectTcp(plane.port, '127.0.0.1')
  t.after(() => accepted.destroy())
  await once(accepted, 'connect')
  await caughtUp()
  await plane.publish(config(two))
  const socket = connect({ socket: accepted, rejectUnauthorized: false, servername: dnsName(plane, 'second') })
  await within(once(socket, 'secureConnect'), () => 'the handshake')
  assert.equal(subject(socket), 'DNS:first.example')
})
