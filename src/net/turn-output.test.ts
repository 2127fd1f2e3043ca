import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it, type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { connect, TLSSocket } from 'node:tls'
import { makeCertificate } from '../../test/support/certificates.ts'
import { within } from '../../test/support/deadline.ts'
import { until } from '../../test/support/turns.ts'
import { ByteWriter } from '../base/byte-writer.ts'
import { adoptAccepted, readByEvents } from './accept.ts'
import { Net, readBytes } from './net-test-support.ts'
import { TurnOutput } from './turn-output.ts'

const piece = Buffer.alloc(17, 'p')

async function open(t: TestContext, adopt = adoptAccepted) {
  const { connection, peer } = await new Net(t).open(adopt)
  const out = new ByteWriter(512)
  const output = new TurnOutput(connection, out, () => {})
  return { connection, peer, out, output }
}

describe('the output of a turn, for a peer that does not read,', () => {
  it('costs about as much memory as it has bytes, however small its pieces', async t => {
    const { connection, out, output } = await open(t)
    while (connection.send(Buffer.alloc(1024)));
    const before = process.memoryUsage().arrayBuffers
    for (let i = 0; i < 2000; i++) {
      out.reserve(piece.length)
      out.copy(piece, 0, piece.length)
      output.sendSoon()
      await setImmediate()
    }
    assert.equal(connection.isCongested, false)
    const grownKb = (process.memoryUsage().arrayBuffers - before) / 1024
    assert.ok(grownKb < 1024, `grew by ${grownKb} KB`)
  })

  it('is kept while the socket is full, and leaves in one piece behind what was there', async t => {
    const { connection, peer, out, output } = await open(t)
    while (!connection.isCongested) connection.send(Buffer.alloc(64 * 1024, 'f'))
    const { bytesWritten } = connection
    for (let i = 0; i < 3; i++) {
      out.reserve(piece.length)
      out.copy(piece, 0, piece.length)
      output.sendSoon()
      await setImmediate()
    }
    assert.equal(connection.bytesWritten, bytesWritten)
    connection.whenDrained = () => output.sendSoon()
    const got = await within(readBytes(peer, bytesWritten + 3 * piece.length), () => 'all that was sent')
    assert.equal(got.toString('latin1', bytesWritten), 'p'.repeat(3 * piece.length))
  })
})

test('memory from which a socket with TLS still reads is used on behind that', async t => {
  const { certificate: cert, privateKey: key } = makeCertificate({ names: ['a.test'], keyType: 'p256' })
  const opened = await open(t, (accepted, read) =>
    readByEvents(new TLSSocket(accepted, { isServer: true, cert, key }), read),
  )
  const { connection, out, output } = opened
  const client = connect({ socket: opened.peer, rejectUnauthorized: false })
  await once(client, 'secureConnect')
  const memories = new Set<ArrayBufferLike>()
  const count = 300
  for (let i = 0; i < count; i++) {
    out.reserve(4)
    out.uint32(i)
    memories.add(out.bytes.buffer)
    output.sendSoon()
    await setImmediate()
    await until(
      () => connection.queuedBytes === 0,
      () => 'the socket to be done with it',
    )
  }
  const got = await within(readBytes(client, 4 * count), () => 'all that was sent')
  for (let i = 0; i < count; i++) assert.equal(got.readUInt32BE(4 * i), i)
  assert.ok(memories.size <= 2, `${memories.size} pieces of memory for ${got.length} bytes`)
})
