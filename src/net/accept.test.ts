import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { describe, it } from 'node:test'
import { within } from '../../test/support/deadline.ts'
import { adoptAccepted, readByEvents } from './accept.ts'
import type { SocketRead } from './connection.ts'
import { Net, pattern, readBytes } from './net-test-support.ts'

/** As when the platform's sockets no longer have a handle of the expected kind. */
function adoptWithoutHandle(accepted: Socket, read: SocketRead): Socket {
  return readByEvents(accepted, read)
}

describe('an adopted socket', () => {
  it('reads into the shared buffer, without a data event', async t => {
    const net = new Net(t)
    let accepted: Socket | null = null
    const { connection, peer } = await net.open((socket, read) => {
      accepted = socket
      return adoptAccepted(socket, read)
    })
    const emitted: (string | symbol)[] = []
    const { emit } = connection.socket
    connection.socket.emit = (event: string | symbol, ...args: unknown[]) => {
      emitted.push(event)
      return Reflect.apply(emit, connection.socket, [event, ...args])
    }
    assert.notEqual(connection.socket, accepted, 'the handle has moved')
    peer.write('hello')
    await within(connection.receivedBytes(5), () => 'hello')
    peer.end('world')
    await within(connection.saw('end'), () => 'the end')
    assert.equal(String(connection.received), 'helloworld')
    assert.deepEqual(new Set(connection.buffers), new Set([net.buffers.shared]))
    assert.equal(emitted.includes('end'), true)
    assert.equal(emitted.includes('data'), false)
  })
})

const ways = [
  { name: 'an adopted socket', adopt: adoptAccepted },
  { name: 'a socket that is read by events', adopt: adoptWithoutHandle },
] as const

for (const { name, adopt } of ways) {
  describe(`${name}, like any other,`, () => {
    it('delivers bytes whole and in order', async t => {
      const { connection, peer } = await new Net(t).open(adopt)
      const sent = pattern(1_000_000)
      peer.write(sent)
      await within(connection.receivedBytes(sent.length), () => 'a megabyte')
      assert(connection.received.equals(sent))
    })

    it('knows both addresses', async t => {
      const { connection, peer } = await new Net(t).open(adopt)
      const { remoteAddress, remotePort, localPort } = connection.socket
      assert.deepEqual([remoteAddress, remotePort, localPort], ['127.0.0.1', peer.localPort, peer.remotePort])
    })

    it('sends', async t => {
      const { connection, peer } = await new Net(t).open(adopt)
      assert.equal(connection.send(Buffer.from('hello')), true)
      assert.equal(String(await within(readBytes(peer, 5), () => 'hello')), 'hello')
      assert.equal(connection.bytesWritten, 5)
    })

    it('may send after the peer has ended, and end after that', async t => {
      const { connection, peer } = await new Net(t).open(adopt)
      peer.end('bye')
      await within(connection.saw('end'), () => 'the end')
      assert.deepEqual(connection.events, ['bytes 3', 'end'])
      assert.deepEqual([connection.hasEnded, connection.isClosed], [true, false])
      connection.send(Buffer.from('late'))
      assert.equal(String(await within(readBytes(peer, 4), () => 'late')), 'late')
      const peerEnded = once(peer.resume(), 'end')
      connection.socket.end()
      await within(peerEnded, () => "the connection's own end")
      await within(connection.saw('closed'), () => 'the close')
      assert.equal(connection.errorCode, null)
    })

    it('tells of a reset, once, as ECONNRESET', async t => {
      const { connection, peer } = await new Net(t).open(adopt)
      peer.write('x')
      await within(connection.receivedBytes(1), () => 'a byte')
      peer.resetAndDestroy()
      await within(connection.saw('closed'), () => 'the close')
      assert.equal(connection.errorCode, 'ECONNRESET')
      assert.deepEqual(connection.events, ['bytes 1', 'closed'])
    })

    it('reads nothing while it is paused, and everything afterwards', async t => {
      const { connection, peer } = await new Net(t).open(adopt)
      peer.write('a')
      await within(connection.receivedBytes(1), () => 'a byte')
      connection.pause(1)
      await new Promise<void>(resolve => peer.write('bc', () => resolve()))
      // Time enough for a read that must not happen: the bytes are in the kernel, on loopback.
      await new Promise(resolve => setTimeout(resolve, 20))
      assert.deepEqual(connection.events, ['bytes 1'])
      connection.resume(1)
      await within(connection.receivedBytes(3), () => 'the rest')
      assert.equal(String(connection.received), 'abc')
    })
  })
}
