/** The tests' own tools must do what they say, or the tests that use them prove nothing. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import type { Command } from '../../scripts/debian-packages.ts'
import { within } from './deadline.ts'
import { type MisbehavingTarget, type Script, startTarget } from './misbehaving-target.ts'
import { needs } from './needs.ts'
import { connectClient, type RawClient } from './raw-client.ts'
import { refusedPort } from './refused-port.ts'
import * as scripts from './target-scripts.ts'

const get = 'GET /a HTTP/1.1\r\nHost: a\r\n\r\n'

async function meeting(script: Script, run: (client: RawClient, target: MisbehavingTarget) => Promise<void>) {
  const target = await startTarget(script)
  const client = await connectClient(target.port)
  try {
    await run(client, target)
  } finally {
    client.close()
    await target.close()
  }
}

test('a request is recorded as it came, wherever its bytes were cut', async () => {
  const post =
    'POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n'
  await meeting(scripts.answering(201, 'ok'), async (client, target) => {
    await client.sendCutAt(
      post,
      Array.from(post, (_, at) => at),
    )
    const response = await client.readResponse()
    assert.equal(response.status, 201)
    assert.equal(response.body.toString(), 'ok')
    const [request] = await target.receivedRequests(1)
    assert.equal(request?.raw.toString('latin1'), post)
    assert.equal(request?.body.toString(), 'abcde')
    assert.deepEqual(request?.trailers, ['T: 1'])
    assert.equal(request?.method, 'POST')
  })
})

test('responses to pipelined requests are read one at a time, each with its bytes counted', async () => {
  await meeting(scripts.echo, async (client, target) => {
    await client.send(get + get.replace('/a', '/b'))
    const first = await client.readResponse()
    const second = await client.readResponse()
    assert.equal(first.body.toString(), get.trimEnd())
    assert.match(second.body.toString(), /^GET \/b /)
    assert.equal(first.byteCount, first.raw.length)
    assert.ok(first.raw.toString('latin1').endsWith('\r\n\r\nGET /a HTTP/1.1\r\nHost: a'))
    assert.equal(target.connectionCount, 1)
  })
})

test('HEAD, interim, chunked and close-delimited responses end where they should', async () => {
  const answer =
    'HTTP/1.1 100 Continue\r\n\r\n' +
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nT: 2\r\n\r\n' +
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n' +
    'HTTP/1.0 200 OK\r\n\r\nuntil the end'
  const script: Script = async connection => {
    await connection.readRequest()
    await connection.send(answer)
  }
  await meeting(script, async client => {
    await client.send(get)
    assert.equal((await client.readResponse()).status, 100)
    const chunked = await client.readResponse()
    assert.equal(chunked.body.toString(), 'hi')
    assert.deepEqual(chunked.trailers, ['T: 2'])
    assert.equal((await client.readResponse('HEAD')).body.length, 0)
    assert.equal((await client.readResponse()).body.toString(), 'until the end')
  })
})

test('a close is told from a reset, before an answer and between two', async () => {
  await meeting(scripts.closesBeforeAnswer, async client => {
    await client.send(get)
    assert.deepEqual(await client.readUntilClose(), { bytes: Buffer.alloc(0), ending: 'fin' })
  })
  await meeting(scripts.resetsBeforeAnswer, async client => {
    await client.send(get)
    assert.deepEqual(await client.readUntilClose(), { bytes: Buffer.alloc(0), ending: 'reset' })
  })
  await meeting(scripts.answersThenCloses(), async client => {
    await client.send(get)
    assert.equal((await client.readResponse()).status, 200)
    assert.equal((await client.readUntilClose()).ending, 'fin')
  })
  await meeting(scripts.resetsWhenReused(), async client => {
    await client.send(get)
    assert.equal((await client.readResponse()).status, 200)
    await client.send(get)
    assert.equal((await client.readUntilClose()).ending, 'reset')
  })
})

test('a response that breaks off is an error that says what had come', async () => {
  await meeting(scripts.truncatedBody(10, 4), async client => {
    await client.send(get)
    await assert.rejects(client.readResponse(), /the peer closed before the body of a response; 43 bytes had come/)
  })
  await meeting(scripts.truncatedChunks(['abc']), async client => {
    await client.send(get)
    await assert.rejects(client.readResponse(), /the peer closed before a chunk size/)
  })
  await meeting(scripts.garbage(), async client => {
    await client.send(get)
    await assert.rejects(client.readResponse(), /not a status line/)
  })
})

test('a huge head has exactly the size asked for', async () => {
  await meeting(scripts.hugeHead(32_769, 'body'), async client => {
    await client.send(get)
    const response = await client.readResponse()
    assert.equal(response.byteCount, 32_769 + 4)
    assert.equal(response.body.toString(), 'body')
  })
})

test('the test sets the pace of a slow body', async () => {
  const steps = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let asked = -1
  const script = scripts.slowBody(['ab', 'cd'], index => {
    asked = index
    return steps[index]?.promise ?? Promise.resolve()
  })
  await meeting(script, async client => {
    await client.send(get)
    const response = client.readResponse()
    steps[0]?.resolve()
    steps[1]?.resolve()
    assert.equal((await response).body.toString(), 'abcd')
    assert.equal(asked, 1)
  })
})

test('what a client leaves unfinished is kept apart from requests', async () => {
  const target = await startTarget(scripts.answering())
  const client = await connectClient(target.port)
  await client.send('POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab')
  client.halfClose()
  assert.equal((await client.readUntilClose()).ending, 'fin')
  await target.closedConnections()
  assert.equal(target.requests.length, 0)
  assert.deepEqual(target.unfinished.map(String), ['POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab'])
  client.close()
  await target.close()
})

test('connections follow their scripts in turn', async () => {
  const target = await startTarget(scripts.inTurn(scripts.resetsBeforeAnswer, scripts.answering(200, 'second')))
  const endings: string[] = []
  for (let i = 0; i < 2; i++) {
    const client = await connectClient(target.port)
    await client.send(get)
    endings.push(
      await client.readResponse().then(
        response => response.body.toString(),
        error => error.ending,
      ),
    )
    client.close()
  }
  assert.deepEqual(endings, ['reset', 'second'])
  await target.close()
})

test('a target that reads nothing makes its sender wait, and the wait names what it waits for', async () => {
  await meeting(scripts.neverReads, async client => {
    const sending = client.send(Buffer.alloc(32 * 1024 * 1024), 200)
    await assert.rejects(sending, /waited 200 ms for the kernel to take 33554432 bytes; the peer does not read/)
  })
})

test('a mistake in a script surfaces when the target is closed', async () => {
  const target = await startTarget(async () => assert.fail('wrong script'))
  const client = await connectClient(target.port)
  assert.equal((await client.readUntilClose()).ending, 'fin')
  client.close()
  await assert.rejects(target.close(), /wrong script/)
})

test('nothing listens on a refused port', async () => {
  const socket = connect(await refusedPort(), '127.0.0.1')
  const outcome = Promise.withResolvers<string>()
  socket.once('connect', () => outcome.resolve('connected'))
  socket.once('error', (error: NodeJS.ErrnoException) => outcome.resolve(error.code ?? error.message))
  assert.equal(await outcome.promise, 'ECONNREFUSED')
})

test('a wait that is not met says what was awaited', async () => {
  await assert.rejects(
    within(new Promise(() => {}), () => 'the end of days', 5),
    /waited 5 ms for the end of days/,
  )
})

test('a present command is no reason to skip, a missing one is', () => {
  assert.equal(needs('node' as Command), false)
  assert.equal(needs('nonesuch' as Command), 'nonesuch is not installed (apt-get install nonesuch)')
})
