/** Bodies larger than memory should be: each side goes as fast as the other, and nothing piles up in between. */
import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { openSocket, readHead, startBareServer } from '../support/bare-server.ts'
import { within } from '../support/deadline.ts'
import { forwardingConfig, forwardToPorts } from '../support/forwarding.ts'
import { PatternCheck, PatternSource } from '../support/pattern.ts'
import { keepsMemory } from '../support/plane-process.ts'
import { stalled } from '../support/turns.ts'

/** What kernel buffers of two loopback connections may hold together, with room to spare. */
const inKernelMax = 32 * 2 ** 20

/** One exchange per connection, since `serve` reads one request. */
const answerHead = (length: number) => `HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n`
const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const postHead = (length: number) => `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`

/** Reads and checks the pattern until `length` bytes of it have come. */
function readPattern(socket: Socket, first: Buffer, length: number, check = new PatternCheck()): Promise<void> {
  check.take(first)
  return within(
    new Promise<void>((resolve, reject) => {
      socket.on('data', (bytes: Buffer) => {
        try {
          check.take(bytes)
        } catch (error) {
          reject(error)
        }
        if (check.byteCount >= length) resolve()
      })
      socket.once('close', () => reject(new Error(`closed after ${check.byteCount} bytes`)))
    }),
    () => `${length} bytes; ${check.byteCount} had come`,
    25_000,
  )
}

test('a gibibyte goes down in bounded memory, every byte in its place', async t => {
  let length = 0
  const targetPort = await startBareServer(t, async socket => {
    socket.write(answerHead(length))
    await new PatternSource().writeTo(socket, length)
  })
  await keepsMemory(t, forwardingConfig([targetPort]), async (port, bytes) => {
    length = bytes
    const client = await openSocket(t, port)
    client.write(get)
    const first = await readHead(client)
    assert.ok(first !== null)
    await readPattern(client, first, bytes)
    client.destroy()
  })
})

test('a gibibyte goes up in bounded memory, every byte in its place', async t => {
  let length = 0
  const targetPort = await startBareServer(t, async (socket, first) => {
    await readPattern(socket, first, length)
    socket.write(answerHead(0))
  })
  await keepsMemory(t, forwardingConfig([targetPort]), async (port, bytes) => {
    length = bytes
    const client = await openSocket(t, port)
    client.write(postHead(bytes))
    await new PatternSource().writeTo(client, bytes)
    await within(readHead(client), () => 'the answer')
    client.destroy()
  })
})

test('a client that stops reading stops its target, and gets all of it in the end', async t => {
  const length = 2 * inKernelMax
  const source = new PatternSource()
  const targetPort = await startBareServer(t, async socket => {
    socket.write(answerHead(length))
    await source.writeTo(socket, length)
  })
  const plane = await forwardToPorts(t, [targetPort])
  const client = await openSocket(t, plane.port)
  client.write(get)
  const first = await readHead(client)
  assert.ok(first !== null)
  await stalled(() => source.byteCount)
  assert.ok(source.byteCount < inKernelMax, `${source.byteCount} bytes were taken from the target`)
  await readPattern(client, first, length)
  assert.equal(source.byteCount, length)
  assert.deepEqual(plane.faults, [])
})

test('a target that stops reading stops its client, and gets all of it in the end', async t => {
  const length = 2 * inKernelMax
  const resumed = Promise.withResolvers<void>()
  const targetPort = await startBareServer(t, async (socket, first) => {
    await resumed.promise
    await readPattern(socket, first, length)
    socket.write(answerHead(0))
  })
  const plane = await forwardToPorts(t, [targetPort])
  const client = await openSocket(t, plane.port)
  const source = new PatternSource()
  client.write(postHead(length))
  const sent = source.writeTo(client, length)
  await stalled(() => source.byteCount)
  assert.ok(source.byteCount < inKernelMax, `${source.byteCount} bytes were taken from the client`)
  resumed.resolve()
  await sent
  await within(readHead(client), () => 'the answer')
  assert.deepEqual(plane.faults, [])
})

test('a chunked body is held back and relayed as a body with a length is', async t => {
  const length = 2 * inKernelMax
  const chunk = 100_000
  const source = new PatternSource()
  const targetPort = await startBareServer(t, async socket => {
    socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (let at = 0; at < length; at += chunk) {
      const size = Math.min(chunk, length - at)
      socket.write(`${size.toString(16)}\r\n`)
      await source.writeTo(socket, at + size)
      socket.write('\r\n')
    }
    socket.write('0\r\n\r\n')
  })
  const plane = await forwardToPorts(t, [targetPort])
  const client = await openSocket(t, plane.port)
  // To a client of HTTP/1.0 the chunks are taken off, so what arrives is the pattern alone.
  client.write('GET / HTTP/1.0\r\n\r\n')
  const first = await readHead(client)
  assert.ok(first !== null)
  await stalled(() => source.byteCount)
  assert.ok(source.byteCount < inKernelMax, `${source.byteCount} bytes were taken from the target`)
  await readPattern(client, first, length)
})
