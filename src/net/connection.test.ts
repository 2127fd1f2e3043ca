import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { within } from '../../test/support/deadline.ts'
import { adoptAccepted } from './accept.ts'
import { Pause } from './connection.ts'
import { Net, type Opened, pattern, readBytes } from './net-test-support.ts'

/** Sends until the kernel takes no more. @returns how many bytes it was given, the queued ones included */
function fill({ connection }: Opened): number {
  const { bytesWritten } = connection
  while (!connection.isCongested) connection.send(Buffer.alloc(64 * 1024, 'f'))
  return connection.bytesWritten - bytesWritten
}

/** Sends until one small write is queued: so short a queue is no congestion, and ends in no drain. */
function fillBarely({ connection }: Opened): number {
  const { bytesWritten } = connection
  while (connection.send(Buffer.alloc(1024)));
  return connection.bytesWritten - bytesWritten
}

describe('a connection whose peer does not read', () => {
  it('says that it is congested and still needs the memory, until the peer reads', async t => {
    const opened = await new Net(t).open(adoptAccepted)
    const { connection, peer } = opened
    const filled = fill(opened)
    assert.equal(connection.send(Buffer.from('last')), false, 'the memory is lent')
    assert.equal(connection.events.includes('drained'), false)
    const got = await within(readBytes(peer, filled + 4), () => 'all that was sent')
    await within(connection.saw('drained'), () => 'the drain')
    assert.equal(connection.isCongested, false)
    assert(got.equals(Buffer.from(`${'f'.repeat(filled)}last`)))
    assert.equal(connection.send(Buffer.from('x')), true, 'nothing is lent any more')
  })

  for (const isBulk of [false, true]) {
    const how = isBulk ? "buffers of the connection's own" : 'the shared buffer'
    it(`gets every byte passed on from ${how}, whatever is read meanwhile`, async t => {
      const net = new Net(t)
      const [from, to, busy] = await Promise.all([
        net.open(adoptAccepted),
        net.open(adoptAccepted),
        net.open(adoptAccepted),
      ])
      if (isBulk) {
        from.connection.startBulk()
        busy.connection.startBulk()
      }
      const congested = Promise.withResolvers<void>()
      from.connection.whenBytes = (bytes, size) => {
        from.connection.passOn(bytes, 0, size, to.connection)
        if (!to.connection.isCongested) return
        from.connection.pause(Pause.congestion)
        congested.resolve()
      }
      to.connection.whenDrained = () => from.connection.resume(Pause.congestion)
      const sent = pattern(24_000_000)
      from.peer.write(sent)
      await within(congested.promise, () => 'congestion')
      // Another connection reads through all the memory that is free, and gives it back.
      const noise = Buffer.alloc(4_000_000, 0xee)
      busy.peer.write(noise)
      await within(busy.connection.receivedBytes(noise.length), () => 'the noise')
      const taken = Array.from({ length: 80 }, () => net.buffers.take().fill(0xdd))
      for (const buffer of taken) net.buffers.give(buffer)

      const got = await within(readBytes(to.peer, sent.length), () => 'all that was passed on')
      assert(got.equals(sent))
      assert(to.connection.events.includes('drained'))
    })
  }

  it('gets a piece as it was, though the next one is read before it has left', async t => {
    const net = new Net(t)
    const [from, to] = await Promise.all([net.open(adoptAccepted), net.open(adoptAccepted)])
    const filled = fillBarely(to)
    from.connection.startBulk()
    from.peer.write('.') // the read that is under way still goes into the shared buffer
    await within(from.connection.receivedBytes(1), () => 'a byte')
    from.connection.whenBytes = (bytes, size) => from.connection.passOn(bytes, 0, size, to.connection)
    from.peer.write(pattern(pieceBytes))
    await within(from.connection.receivedBytes(1 + pieceBytes), () => 'a piece')
    assert.equal(to.connection.isCongested, false)
    from.connection.whenBytes = () => {}
    for (const next of ['x', 'y']) {
      const { length } = from.connection.received
      from.peer.write(next.repeat(pieceBytes))
      await within(from.connection.receivedBytes(length + pieceBytes), () => 'the next piece')
    }
    const got = await within(readBytes(to.peer, filled + pieceBytes), () => 'the piece')
    assert(got.subarray(filled).equals(pattern(pieceBytes)))
  })

  it('gives the memory it was lent back to the pool when it has drained', async t => {
    const net = new Net(t)
    const [from, to] = await Promise.all([net.open(adoptAccepted), net.open(adoptAccepted)])
    const filled = fill(to)
    const own = await readIntoOwnBuffer(from)
    from.connection.passOn(own, 0, pieceBytes, to.connection)
    assert.equal(net.buffers.given.includes(own), false, 'it is lent')
    await within(readBytes(to.peer, filled + pieceBytes), () => 'all that was sent')
    await within(to.connection.saw('drained'), () => 'the drain')
    assert.equal(net.buffers.given.includes(own), true, 'it is back')
  })

  it('gives memory back that it was lent for less than makes it congested', async t => {
    const net = new Net(t)
    const [from, to] = await Promise.all([net.open(adoptAccepted), net.open(adoptAccepted)])
    const sentBytes = fillBarely(to)
    const own = await readIntoOwnBuffer(from)
    from.connection.passOn(own, 0, pieceBytes, to.connection)
    assert.deepEqual([to.connection.isCongested, net.buffers.given.includes(own)], [false, false])
    await within(readBytes(to.peer, sentBytes + pieceBytes), () => 'all that was sent')
    assert.equal(to.connection.queuedBytes, 0)
    to.connection.send(Buffer.from('x'))
    assert.equal(net.buffers.given.includes(own), true, 'it is back')
  })
})

describe('a connection that holds what its peer has not read', () => {
  it('sends all of it before its end', async t => {
    const opened = await new Net(t).open(adoptAccepted)
    const { connection, peer } = opened
    const filled = fill(opened)
    connection.send(Buffer.from('last'))
    connection.end()
    const got = await within(readBytes(peer, filled + 4), () => 'all that was sent')
    assert.equal(got.toString('latin1', filled), 'last')
    await within(once(peer.resume(), 'end'), () => 'the end')
    assert.equal(connection.isClosed, false)
    peer.end()
    await within(connection.saw('closed'), () => 'the close')
    assert.equal(connection.errorCode, null)
  })

  it('sends all of it before it closes', async t => {
    const opened = await new Net(t).open(adoptAccepted)
    const { connection, peer } = opened
    const filled = fill(opened)
    connection.closeSoon()
    connection.end()
    await within(readBytes(peer, filled), () => 'all that was sent')
    await within(Promise.all([once(peer.resume(), 'end'), connection.saw('closed')]), () => 'the end and the close')
  })

  for (const isEnding of [false, true]) {
    it(`is reset when it is aborted${isEnding ? ', though it was about to end' : ''}`, async t => {
      const opened = await new Net(t).open(adoptAccepted)
      const { connection, peer } = opened
      fill(opened)
      if (isEnding) connection.end()
      const closed = once(connection.socket, 'close')
      const broken = once(peer, 'error')
      connection.abort()
      assert.deepEqual(connection.events, ['closed'])
      await within(closed, () => "the socket's close")
      peer.resume()
      const [error] = await within(broken, () => 'the reset')
      assert.equal((error as NodeJS.ErrnoException).code, 'ECONNRESET')
    })
  }

  it('is told once when its peer is gone', async t => {
    const opened = await new Net(t).open(adoptAccepted)
    const { connection, peer } = opened
    fill(opened)
    peer.resetAndDestroy()
    await within(connection.saw('closed'), () => 'the close')
    assert.equal(connection.errorCode, 'ECONNRESET')
    assert.deepEqual(connection.events, ['closed'])
  })
})

/** Enough to be lent instead of copied, and not enough to be congestion. */
const pieceBytes = 20_000

/** Has the connection read a piece into a buffer of its own. */
async function readIntoOwnBuffer({ connection, peer }: Opened): Promise<Buffer> {
  connection.startBulk()
  peer.write('.') // the read that is under way still goes into the shared buffer
  await within(connection.receivedBytes(1), () => 'a byte')
  peer.write(pattern(pieceBytes))
  await within(connection.receivedBytes(1 + pieceBytes), () => 'a piece')
  return connection.buffers.at(-1)!
}

describe('a connection', () => {
  it('keeps its own buffer from others until its socket has the next one', async t => {
    const net = new Net(t)
    const opened = await net.open(adoptAccepted)
    const { connection, peer } = opened
    const own = await readIntoOwnBuffer(opened)
    assert.notEqual(own, net.buffers.shared)
    connection.endBulk()
    assert.equal(net.buffers.given.includes(own), false, 'the socket still reads into it')
    peer.write('next')
    await within(connection.receivedBytes(1 + pieceBytes + 4), () => 'next')
    assert.equal(connection.buffers.at(-1), own)
    assert.equal(net.buffers.given.includes(own), true)
    peer.write('more')
    await within(connection.receivedBytes(1 + pieceBytes + 8), () => 'more')
    assert.equal(connection.buffers.at(-1), net.buffers.shared)
  })

  it('reads again only when nobody holds it up any more', async t => {
    const { connection, peer } = await new Net(t).open(adoptAccepted)
    connection.pause(Pause.congestion)
    connection.pause(Pause.pipelined)
    connection.pause(Pause.pipelined)
    connection.resume(Pause.pipelined)
    assert.equal(connection.socket.isPaused(), true)
    connection.resume(Pause.congestion)
    peer.write('x')
    await within(connection.receivedBytes(1), () => 'a byte')
  })

  it('closes when it sends to a peer that is gone, and says why', async t => {
    const { connection, peer } = await new Net(t).open(adoptAccepted)
    connection.pause(Pause.congestion) // so that it is not by reading that it learns of it
    await within(once(peer.resetAndDestroy(), 'close'), () => 'the reset')
    assert.equal(connection.send(Buffer.from('x')), true)
    await within(connection.saw('closed'), () => 'the close')
    assert.match(connection.errorCode ?? '', /^(ECONNRESET|EPIPE)$/)
    assert.deepEqual(connection.events, ['closed'])
  })

  it('sends nothing and takes no memory once it is closed', async t => {
    const { connection } = await new Net(t).open(adoptAccepted)
    connection.close()
    assert.equal(connection.send(Buffer.from('x')), true)
    assert.equal(connection.bytesWritten, 0)
  })

  it('says that it was closed once, at once, and leaves the wheel', async t => {
    const net = new Net(t)
    const { connection, peer } = await net.open(adoptAccepted)
    assert.equal(net.wheel.size, 1)
    connection.close()
    assert.deepEqual(connection.events, ['closed'])
    assert.equal(net.wheel.size, 0)
    connection.close()
    const closed = new Promise(resolve => connection.socket.once('close', resolve))
    await within(
      Promise.all([closed, new Promise(resolve => peer.resume().once('end', resolve))]),
      () => "the peer's end",
    )
    assert.deepEqual(connection.events, ['closed'])
  })

  it('stamps when a byte last came, and ends at its deadline', async t => {
    const net = new Net(t)
    const { connection, peer } = await net.open(adoptAccepted)
    net.clock.advance(500)
    peer.write('x')
    await within(connection.receivedBytes(1), () => 'a byte')
    assert.equal(connection.lastActivity, 500)
    connection.deadline = connection.lastActivity + 5000
    net.clock.advance(4999)
    assert.deepEqual(connection.events, ['bytes 1'])
    net.clock.advance(1)
    assert.deepEqual(connection.events, ['bytes 1', 'deadline', 'closed'])
  })

  it('hears nothing any more of what comes after it closed itself', async t => {
    const { connection, peer } = await new Net(t).open(adoptAccepted)
    connection.whenBytes = () => connection.close()
    peer.write(pattern(300_000))
    await within(connection.saw('closed'), () => 'the close')
    await new Promise(resolve => setImmediate(resolve))
    assert.equal(connection.events.filter(event => event.startsWith('bytes')).length, 1)
  })
})
