import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { promises as dns } from 'node:dns'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { needs } from '../../test/support/needs.ts'
import { type Clock, ManualClock } from '../base/clock.ts'
import { DnsPortNotFree, type Lookup, startDnsServer } from './dns-server.ts'

const names: Readonly<Record<string, readonly string[]>> = {
  'elb.localhost': [],
  'us-east-1.elb.localhost': [],
  'web-1.us-east-1.elb.localhost': ['127.31.1.1', '127.31.2.1', '::1'],
  'wide-1.us-east-1.elb.localhost': Array.from({ length: 12 }, (_, at) => `127.31.${at + 1}.1`),
  'v4-1.us-east-1.elb.localhost': ['127.31.1.1'],
}
const lookup: Lookup = name => names[name] ?? null

async function start(t: TestContext, clock: Clock = new ManualClock()): Promise<number> {
  const server = await startDnsServer(0, lookup, clock)
  t.after(() => server.close())
  return server.port
}

async function resolver(t: TestContext): Promise<dns.Resolver> {
  const port = await start(t)
  const resolver = new dns.Resolver({ tries: 1, timeout: 5_000 })
  resolver.setServers([`127.0.0.1:${port}`])
  return resolver
}

/** What `dig` says, in the parts that tests look at. */
async function dig(port: number, ...args: readonly string[]) {
  const asked = ['@127.0.0.1', '-p', String(port), '+tries=1', '+time=5', ...args]
  const { stdout } = await promisify(execFile)('dig', asked)
  const section = (name: string) => {
    const from = stdout.indexOf(`;; ${name} SECTION:\n`)
    if (from === -1) return []
    return stdout
      .slice(stdout.indexOf('\n', from) + 1)
      .split('\n\n', 1)[0]!
      .split('\n')
  }
  return {
    stdout,
    status: /status: (\w+)/.exec(stdout)?.[1],
    flags: /flags: ([\w ]+);/.exec(stdout)?.[1],
    answers: section('ANSWER').map(line => line.replaceAll(/\s+/g, ' ')),
    authority: section('AUTHORITY').map(line => line.replaceAll(/\s+/g, ' ')),
    question: section('QUESTION')[0],
  }
}

test('a resolver finds the addresses of a load balancer, of each kind, for a minute', async t => {
  const from = await resolver(t)
  const name = 'web-1.us-east-1.elb.localhost'
  const found = await from.resolve4(name, { ttl: true })
  assert.deepEqual(found.map(({ address }) => address).sort(), ['127.31.1.1', '127.31.2.1'])
  assert.deepEqual(new Set(found.map(({ ttl }) => ttl)), new Set([60]))
  assert.deepEqual(await from.resolve6(name), ['::1'])
})

test('the addresses take turns to come first', async t => {
  const from = await resolver(t)
  const first = async () => (await from.resolve4('web-1.us-east-1.elb.localhost'))[0]
  assert.deepEqual([await first(), await first(), await first()], ['127.31.1.1', '127.31.2.1', '127.31.1.1'])
})

test('of more than eight addresses, eight are told', async t => {
  const from = await resolver(t)
  assert.equal((await from.resolve4('wide-1.us-east-1.elb.localhost')).length, 8)
})

test('a name that is not there is told apart from one that has no such address', async t => {
  const from = await resolver(t)
  await assert.rejects(from.resolve4('no-1.us-east-1.elb.localhost'), { code: 'ENOTFOUND' })
  await assert.rejects(from.resolve6('v4-1.us-east-1.elb.localhost'), { code: 'ENODATA' })
  await assert.rejects(from.resolve4('us-east-1.elb.localhost'), { code: 'ENODATA' })
  await assert.rejects(from.resolveTxt('web-1.us-east-1.elb.localhost'), { code: 'ENODATA' })
  await assert.rejects(from.resolve4('example.com'), { code: 'EREFUSED' })
})

const wantsDig = { skip: needs('dig') }

test('dig is answered with authority and the name as it wrote it, over UDP and TCP', wantsDig, async t => {
  const port = await start(t)
  for (const protocol of ['+notcp', '+tcp']) {
    const answer = await dig(port, protocol, 'V4-1.Us-East-1.ELB.localhost')
    assert.equal(answer.status, 'NOERROR', answer.stdout)
    assert.equal(answer.flags, 'qr aa rd')
    assert.deepEqual(answer.answers, ['V4-1.Us-East-1.ELB.localhost. 60 IN A 127.31.1.1'])
    assert.match(answer.question!, /^;V4-1\.Us-East-1\.ELB\.localhost\.\s+IN\s+A$/)
    assert.match(answer.stdout, /; EDNS: version: 0, flags:; udp: 1232\n/)
  }
  assert.doesNotMatch((await dig(port, '+noedns', 'v4-1.us-east-1.elb.localhost')).stdout, /EDNS/)
})

test('dig is told what there is not: names, types, classes, versions, operations', wantsDig, async t => {
  const port = await start(t)
  const name = 'v4-1.us-east-1.elb.localhost'
  const soa = 'elb.localhost. 60 IN SOA elb.localhost. hostmaster.elb.localhost. 1 7200 900 1209600 60'
  for (const [args, status, authority] of [
    [['nobody.elb.localhost'], 'NXDOMAIN', [soa]],
    [[name, 'AAAA'], 'NOERROR', [soa]],
    [[name, 'HTTPS'], 'NOERROR', [soa]],
    [['elb.localhost', 'SOA'], 'NOERROR', [soa]],
    [['elb.localhost.example'], 'REFUSED', []],
    [['xelb.localhost'], 'REFUSED', []],
    [['.', 'NS'], 'REFUSED', []],
    [['-c', 'CH', name], 'REFUSED', []],
    [['+edns=1', '+noednsnegotiation', name], 'BADVERS', []],
    [['+opcode=NOTIFY', name], 'NOTIMP', []],
  ] as const) {
    const answer = await dig(port, ...args)
    assert.deepEqual([answer.status, answer.answers, answer.authority], [status, [], authority], answer.stdout)
  }
  const any = await dig(port, '+notcp', 'web-1.us-east-1.elb.localhost', 'ANY')
  assert.deepEqual(any.answers.map(line => line.split(' ')[3]).sort(), ['A', 'A', 'AAAA'])
})

test('an answer without a question that can be read says FORMERR, and what is no query gets none', async t => {
  const port = await start(t)
  const socket = createSocket('udp4')
  t.after(() => socket.close())
  const ask = (hex: string) => socket.send(Buffer.from(hex, 'hex'), port, '127.0.0.1')
  ask('0001')
  ask('000281000001000000000000')
  ask('000301000001000000000000')
  const [answer] = (await once(socket, 'message')) as [Buffer]
  assert.equal(answer.toString('hex'), '000381010000000000000000')
})

const overTcp = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex')
const query = (id: string) => `${id} 0100 0001 0000 0000 0000 00 0001 0001`

async function open(t: TestContext, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

test('queries on one TCP connection are answered in order, however they are cut', async t => {
  const socket = await open(t, await start(t))
  const bytes = overTcp(`0011 ${query('0001')} 0011 ${query('0002')}`)
  for (const byte of bytes) socket.write(Buffer.of(byte))
  let answers = Buffer.alloc(0)
  while (answers.length < 38) answers = Buffer.concat([answers, (await once(socket, 'data'))[0] as Buffer])
  const refused = (id: string) => `0011 ${id} 8105 0001 0000 0000 0000 00 0001 0001`
  assert.equal(answers.toString('hex'), overTcp(`${refused('0001')} ${refused('0002')}`).toString('hex'))
})

test('a TCP client that announces too much is not listened to', async t => {
  const socket = await open(t, await start(t))
  socket.write(overTcp('ffff 0001'))
  await once(socket, 'close')
})

test('a TCP client may be silent for ten seconds after each query', async t => {
  const clock = new ManualClock()
  const socket = await open(t, await start(t, clock))
  const closed = once(socket, 'close')
  for (const id of ['0001', '0002', '0003']) {
    socket.write(overTcp(`0011 ${query(id)}`))
    const [answer] = (await once(socket, 'data')) as [Buffer]
    assert.equal(answer.toString('hex', 2, 4), id)
    clock.advance(9_999)
  }
  clock.advance(1)
  await closed
})

test('a stopped server ends what is open, and its port is free again', async t => {
  const server = await startDnsServer(0, lookup, new ManualClock())
  const socket = await open(t, server.port)
  const closed = once(socket, 'close')
  await server.close()
  await closed
  const again = await startDnsServer(server.port, lookup, new ManualClock())
  await again.close()
})

test('a port that is taken is refused by name, in either protocol', async t => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.after(() => taken.close())
  const { port } = taken.address() as { port: number }
  const expected = {
    name: DnsPortNotFree.name,
    message: `the DNS port ${port} cannot be used: another process listens there already. Choose one with --dns-port PORT`,
  }
  await assert.rejects(startDnsServer(port, lookup, new ManualClock()), expected)
  const datagrams = createSocket('udp4')
  datagrams.bind(0, '127.0.0.1')
  await once(datagrams, 'listening')
  t.after(() => datagrams.close())
  await assert.rejects(startDnsServer(datagrams.address().port, lookup, new ManualClock()), {
    name: DnsPortNotFree.name,
  })
})
