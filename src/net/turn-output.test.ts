import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { within } from '../../test/support/deadline.ts'
import { ByteWriter } from '../base/byte-writer.ts'
import { adoptAccepted } from './accept.ts'
import { Net, readBytes } from './net-test-support.ts'
import { TurnOutput } from './turn-output.ts'

const piece = Buffer.alloc(17, 'p')

async function open(t: TestContext) {
  const { connection, peer } = await new Net(t).open(adoptAccepted)
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
