/** Bodies through HTTP/2 on both sides: who is slow holds up nobody else, and nothing piles up in between. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ClientHttp2Stream, ServerHttp2Stream } from 'node:http2'
import { test } from 'node:test'
import { within } from '../support/deadline.ts'
import { askH2, beginH2, connectH2, responseH2 } from '../support/h2-client.ts'
import { overHttp2, startH2Scene } from '../support/h2-scene.ts'
import { type H2Handler, startH2Target } from '../support/h2-target.ts'
import { PatternCheck, PatternSource, patternAt } from '../support/pattern.ts'
import { keepsMemory } from '../support/plane-process.ts'
import { Scene } from '../support/scene.ts'
import { stalled } from '../support/turns.ts'

const megabyte = 2 ** 20
/** Windows of both sides, what Node queues of its own, and kernel buffers of the shared connections. */
const underWayMax = 16 * megabyte

/** Writes that much of the pattern, as fast as it is taken. */
async function send(stream: ClientHttp2Stream | ServerHttp2Stream, bytes: number, source = new PatternSource()) {
  await source.writeTo(stream, bytes)
  stream.end()
}

async function check(stream: ClientHttp2Stream | ServerHttp2Stream, bytes: number): Promise<void> {
  const pattern = new PatternCheck()
  for await (const piece of stream) pattern.take(piece as Buffer)
  assert.equal(pattern.byteCount, bytes)
}

test('a client that does not read holds up its own stream only, and gets all of it in the end', async t => {
  const source = new PatternSource(16_384)
  const { scene, target, client } = await startH2Scene(t, (stream, { ':path': path }) => {
    stream.resume()
    stream.respond()
    if (path === '/large') void send(stream, 64 * megabyte, source)
    else stream.end('ok')
  })
  const large = beginH2(client, { ':path': '/large' })
  await once(large, 'response')
  await stalled(() => source.byteCount)
  assert.ok(source.byteCount < underWayMax, `${source.byteCount} bytes were taken`)
  for (let i = 0; i < 3; i++) assert.equal((await askH2(client)).body.toString(), 'ok')
  assert.equal(target.sessions.length, 1)
  await check(large, 64 * megabyte)
  assert.deepEqual(scene.plane.faults, [])
})

test('a target that does not read holds up that request only, and gets all of it in the end', async t => {
  const source = new PatternSource(16_384)
  let waiting: ServerHttp2Stream | null = null
  const { scene, target, client } = await startH2Scene(t, (stream, { ':path': path }) => {
    if (path === '/large') waiting = stream
    else stream.resume().respond(undefined, { endStream: true })
  })
  const large = beginH2(client, { ':method': 'POST', ':path': '/large' }, null)
  const answered = responseH2(large)
  void send(large, 64 * megabyte, source)
  await stalled(() => source.byteCount)
  assert.ok(source.byteCount < underWayMax, `${source.byteCount} bytes were taken`)
  for (let i = 0; i < 3; i++) assert.equal((await askH2(client, { ':method': 'POST' }, 'small')).status, 200)
  assert.equal(target.sessions.length, 1)
  await check(waiting!, 64 * megabyte)
  waiting!.respond()
  waiting!.end()
  assert.equal((await answered).status, 200)
  assert.deepEqual(scene.plane.faults, [])
})

for (const isSecure of [false, true]) {
  test(`a quarter of a gibibyte goes ${isSecure ? 'up to a target in TLS' : 'down from one in the clear'} in bounded memory, every byte in its place`, async t => {
    const handler: H2Handler = async (stream, { 'x-bytes': bytes }) => {
      if (isSecure) await check(stream, Number(bytes))
      else stream.resume()
      stream.respond()
      if (isSecure) stream.end()
      else await send(stream, Number(bytes))
    }
    const exchange = async (port: number, bytes: number) => {
      const client = await connectH2(t, port)
      const headers = { ':method': isSecure ? 'POST' : 'GET', 'x-bytes': `${bytes}` }
      const stream = beginH2(client, headers, isSecure ? null : '')
      if (isSecure) await Promise.all([responseH2(stream, 25_000), send(stream, bytes)])
      else await within(check(stream, bytes), () => `${bytes} bytes`, 25_000)
      client.close()
    }
    const target = await startH2Target(t, handler, { isSecure })
    const groupProtocol = isSecure ? 'HTTPS' : 'HTTP'
    const scene = new Scene([], { ...overHttp2, groupProtocol, addresses: [target.address] })
    await keepsMemory(t, scene.config(), exchange, 256 * megabyte)
  })
}

test('bodies of many streams at once come through whole, both ways', async t => {
  const { client } = await startH2Scene(t, stream => {
    stream.respond()
    stream.pipe(stream)
  })
  const echoes = Array.from({ length: 30 }, async (_, i) => {
    const bytes = 200_000 + i * 1111
    const stream = beginH2(client, { ':method': 'POST' }, Buffer.from(patternAt(0, bytes)))
    await check(stream, bytes)
  })
  await Promise.all(echoes)
})
