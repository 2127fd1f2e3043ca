import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { before, describe, it } from 'node:test'
import { type ConnectionOptions, connect } from 'node:tls'
import { type ClientHello, readFirstBytes } from './client-hello.ts'

/** What a client of Node's says first. */
async function helloOf(options: ConnectionOptions): Promise<Buffer> {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const accepting = once(server, 'connection')
  const client = connect({ port: (server.address() as AddressInfo).port, ...options }).on('error', () => {})
  const [socket] = (await accepting) as [Socket]
  const [hello] = (await once(socket, 'data')) as [Buffer]
  client.destroy()
  socket.destroy()
  server.close()
  return hello
}

describe('the first bytes of a client', () => {
  let hello: Buffer
  const expected: ClientHello = {
    serverName: 'www.a.test',
    alpnProtocols: ['h2', 'http/1.1'],
    groups: [29, 23],
    keyShares: [29],
  }
  before(async () => {
    hello = await helloOf({ servername: 'WWW.a.test', ALPNProtocols: ['h2', 'http/1.1'], ecdhCurve: 'X25519:P-256' })
  })

  it('are a hello with name, protocols and groups', () => {
    assert.deepEqual(readFirstBytes(hello), expected)
  })

  it('are incomplete wherever they are cut', () => {
    for (let size = 0; size < hello.length; size++) {
      assert.equal(readFirstBytes(hello.subarray(0, size)), 'incomplete', `${size}`)
    }
  })

  it('may spread a hello over several records', () => {
    const message = hello.subarray(5)
    for (const size of [1, 3, 100]) {
      const records: Buffer[] = []
      for (let at = 0; at < message.length; at += size) {
        const piece = message.subarray(at, at + size)
        records.push(Buffer.of(22, 3, 1, 0, piece.length), piece)
      }
      assert.deepEqual(readFirstBytes(Buffer.concat(records)), expected, `${size}`)
    }
  })

  it('are a hello whatever comes behind it in the same read', () => {
    const changeCipherSpec = Buffer.of(20, 3, 3, 0, 1, 1)
    const earlyData = Buffer.concat([Buffer.of(23, 3, 3, 0, 40), Buffer.alloc(40, 0x16)])
    const finished = Buffer.concat([hello.subarray(0, 5), hello.subarray(5), Buffer.of(20, 0, 0, 0)])
    finished.writeUInt16BE(finished.length - 5, 3)
    const behind = [
      Buffer.concat([hello, changeCipherSpec]),
      Buffer.concat([hello, changeCipherSpec, earlyData]),
      Buffer.concat([hello, earlyData.subarray(0, 9)]),
      Buffer.concat([hello, Buffer.from('GET / HTTP/1.1\r\n')]),
      finished,
    ]
    for (const [i, bytes] of behind.entries()) assert.deepEqual(readFirstBytes(bytes), expected, `${i}`)
  })

  it('are no hello where something else comes in between', () => {
    const alert = Buffer.of(21, 3, 3, 0, 2, 2, 0)
    const cut = Buffer.from(hello.subarray(0, 100))
    cut.writeUInt16BE(95, 3)
    assert.equal(readFirstBytes(Buffer.concat([cut, alert])), 'unknown')
  })

  it('are a hello without a name, where that is none of a host', async () => {
    for (const name of ['*.a.test', '.a.test', 'a..test', 'a.test.', 'a"\n.a.test']) {
      const first = readFirstBytes(await helloOf({ servername: name }))
      assert.equal(typeof first === 'object' && first.serverName, null, name)
    }
  })

  it('never make it throw or wait, whatever bytes are changed', () => {
    for (let at = 5; at < hello.length; at++) {
      for (const value of [0, 0xff, hello[at]! ^ 1]) {
        const changed = Buffer.from(hello)
        changed[at] = value
        const first = readFirstBytes(changed)
        // A message said to be longer than what came is waited for: its length stands in bytes 6 to 8.
        assert.ok(first !== 'plainHttp' && (first !== 'incomplete' || at <= 8), `${at} ${value} ${first}`)
      }
    }
  })

  it('of a client without extensions are a hello without a name', () => {
    const body = Buffer.concat([Buffer.of(3, 1), Buffer.alloc(32), Buffer.of(0, 0, 2, 0, 0x2f, 1, 0)])
    const bytes = Buffer.concat([Buffer.of(22, 3, 1, 0, body.length + 4, 1, 0, 0, body.length), body])
    assert.deepEqual(readFirstBytes(bytes), { serverName: null, alpnProtocols: [], groups: [], keyShares: [] })
  })

  it('are given up when a hello gets longer than any', () => {
    const record = Buffer.concat([Buffer.of(22, 3, 1, 0x40, 0), Buffer.of(1, 0, 0xff, 0xff), Buffer.alloc(0x4000 - 4)])
    assert.equal(readFirstBytes(record), 'unknown')
  })

  const others = [
    ['GET / HTTP/1.1\r\n', 'plainHttp'],
    ['OPTIONS *', 'plainHttp'],
    ['PRI * HTTP/2.0\r\n', 'plainHttp'],
    ['GET', 'incomplete'],
    ['A'.repeat(31), 'incomplete'],
    ['A'.repeat(32), 'unknown'],
    ['get / HTTP/1.1\r\n', 'unknown'],
    ['GET\t/', 'unknown'],
    [' GET /', 'unknown'],
    ['\r\nGET /', 'unknown'],
    ['\x16\x02\x01', 'unknown'],
    ['\x16\x03\x01\x00\x00', 'unknown'],
    ['\x16\x03\x01\x40\x01', 'unknown'],
    ['\x16\x03\x01\x00\x05\x02', 'unknown'],
    ['\x80\x2e\x01\x03\x01', 'unknown'],
  ] as const
  for (const [text, expectedFirst] of others) {
    it(`${JSON.stringify(text)} are ${expectedFirst}`, () => {
      assert.equal(readFirstBytes(Buffer.from(text, 'latin1')), expectedFirst)
    })
  }
})
