/** The HTTP/2 codec by itself, over sockets, with peers that others wrote. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import { type AddressInfo, connect as connectSocket, createServer as createSocketServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { H2Error, type H2Session, type H2Stream, writeField, writeFieldText, writeStatus } from '../../src/http/h2.ts'
import { within } from '../support/deadline.ts'
import { freePort } from '../support/free-port.ts'
import { fieldsOf, H2Endpoint, type H2Events } from '../support/h2-endpoint.ts'
import { needs } from '../support/needs.ts'
import { startServer } from '../support/real-server.ts'
import { testFolder } from '../support/running.ts'

const megabytes = Buffer.alloc(3_000_000, 'a body that is longer than any window ')

/** Serves HTTP/2 without TLS on our session, in server role. */
async function serve<User>(
  t: TestContext,
  events: (session: H2Session<User>) => H2Events<User>,
): Promise<{ readonly port: number; readonly endpoints: readonly H2Endpoint<User>[] }> {
  const endpoints: H2Endpoint<User>[] = []
  const server = createSocketServer(socket => {
    endpoints.push(new H2Endpoint(socket, 'server', events))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const { socket } of endpoints) socket.destroy()
  })
  return { port: (server.address() as AddressInfo).port, endpoints }
}

/** Sends back what comes, as it comes: no more is taken than goes on. Pseudo-headers come back as `x-method` and so on. */
function echo(session: H2Session<number>): H2Events<number> {
  /** Bytes that went into a queue; `user` counts them. */
  const consume = (stream: H2Stream<number>) => {
    session.consumed(stream, stream.user!)
    stream.user = 0
  }
  return {
    onHead(stream, fields, isEnd) {
      stream.user = 0
      const out = session.beginHead()
      writeStatus(out, fields.fault === null ? 200 : 431)
      for (const [i, [name, value]] of fieldsOf(fields).entries()) {
        writeFieldText(out, i < fields.pseudoCount ? `x-${name.slice(1)}` : name, value)
      }
      session.endHead(stream, isEnd)
    },
    onData(stream, bytes, from, to, isEnd) {
      session.sendData(stream, bytes, from, to, isEnd)
      stream.user! += to - from
      if (!stream.isCongested) consume(stream)
    },
    onTrailers(stream, fields) {
      const out = session.beginHead()
      for (let i = 0; i < fields.count; i++) {
        writeField(out, fields.bytes, fields.nameFrom(i), fields.nameTo(i), fields.valueFrom(i), fields.valueTo(i))
      }
      session.endHead(stream, true)
    },
    onStreamDrained: consume,
  }
}

async function connectTo(t: TestContext, port: number, options = {}): Promise<ClientHttp2Session> {
  const client = connect(`http://127.0.0.1:${port}`, options)
  t.after(() => client.destroy())
  await once(client, 'connect')
  return client
}

type Answer = { readonly headers: IncomingHttpHeaders; readonly body: Buffer; readonly trailers: IncomingHttpHeaders }

async function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  let headers: IncomingHttpHeaders = {}
  let trailers: IncomingHttpHeaders = {}
  const pieces: Buffer[] = []
  stream.on('response', response => {
    headers = response
  })
  stream.on('trailers', fields => {
    trailers = fields
  })
  stream.on('data', (piece: Buffer) => pieces.push(piece))
  await within(once(stream, 'close'), () => 'the stream to close')
  return { headers, trailers, body: Buffer.concat(pieces) }
}

test('a client of node:http2 is served: heads, long bodies, trailers', async t => {
  const { port, endpoints } = await serve(t, echo)
  const client = await connectTo(t, port)
  const get = await answerOf(client.request({ ':path': '/a?b', 'x-odd': '~^\u00ff', cookie: ['a=1', 'b=2'] }))
  assert.equal(get.headers[':status'], 200)
  assert.equal(get.headers['x-path'], '/a?b')
  assert.equal(get.headers['x-odd'], '~^\u00ff')
  assert.equal(get.headers.cookie, 'a=1; b=2')

  const upload = client.request({ ':method': 'POST', 'content-length': megabytes.length }, { waitForTrailers: true })
  upload.on('wantTrailers', () => upload.sendTrailers({ 'x-sum': '42' }))
  upload.end(megabytes)
  const answer = await answerOf(upload)
  assert.ok(answer.body.equals(megabytes))
  assert.equal(answer.trailers['x-sum'], '42')

  const many = await Promise.all(
    Array.from({ length: 100 }, (_, i) => {
      const stream = client.request({ ':method': 'POST', ':path': `/${i}` })
      stream.end(megabytes.subarray(0, i * 1000))
      return answerOf(stream)
    }),
  )
  for (const [i, { headers, body }] of many.entries()) {
    assert.equal(headers['x-path'], `/${i}`)
    assert.equal(body.length, i * 1000)
  }
  assert.equal(endpoints[0]!.session.streams.size, 0)
  assert.equal(endpoints[0]!.session.streamsBegun, 102)
})

test('a client of node:http2 may fill its table, and use it, as it likes', async t => {
  const { port } = await serve(t, echo)
  const client = await connectTo(t, port)
  for (let i = 0; i < 300; i++) {
    const sent: Record<string, string> = {
      'x-turn': `${i}`,
      'user-agent': `agent ${i % 7}`,
      [`x-${i % 40}`]: 'v'.repeat(i * 5),
    }
    for (const name of ['accept', 'etag', 'referer', 'if-none-match', 'www-authenticate', 'location'])
      sent[name] = `${i % 3}`
    const { headers } = await answerOf(client.request({ ':path': `/${i % 11}`, ...sent }))
    for (const [name, value] of Object.entries(sent)) assert.equal(headers[name], value)
  }
})

test('a client of node:http2 with a small window, or a slow one, gets everything in the end', async t => {
  const { port } = await serve(t, echo)
  const client = await connectTo(t, port, { settings: { initialWindowSize: 10, headerTableSize: 0 } })
  const slow = client.request({ ':method': 'POST' })
  slow.end(megabytes.subarray(0, 100_000))
  const fast = client.request({ ':method': 'POST' })
  fast.end(megabytes.subarray(0, 5_000))
  const [first, second] = await Promise.all([answerOf(slow), answerOf(fast)])
  assert.equal(first.body.length, 100_000)
  assert.equal(second.body.length, 5_000)
})

test('a client of node:http2 that cancels, pings, or is told to go, is understood', async t => {
  const resets: (readonly [number, boolean])[] = []
  const reset = Promise.withResolvers<void>()
  const { port, endpoints } = await serve<number>(t, session => ({
    ...echo(session),
    onReset(_stream, code, byPeer) {
      resets.push([code, byPeer])
      reset.resolve()
    },
  }))
  const client = await connectTo(t, port)
  const abort = new AbortController()
  const cancelled = client.request({ ':method': 'POST' }, { signal: abort.signal })
  cancelled.on('error', () => {}) // It says that it was aborted.
  await once(cancelled, 'response')
  abort.abort()
  await within(reset.promise, () => 'the reset')
  assert.deepEqual(resets, [[H2Error.cancel, true]])

  const payload = Buffer.from('12345678')
  const pong = Promise.withResolvers<Buffer>()
  client.ping(payload, (error, _duration, payload) => (error ? pong.reject(error) : pong.resolve(payload)))
  assert.deepEqual(await within(pong.promise, () => 'the answer to a PING'), payload)

  const last = client.request({ ':method': 'POST' })
  await once(last, 'response')
  endpoints[0]!.session.goAway(H2Error.noError)
  await within(once(client, 'goaway'), () => 'GOAWAY')
  last.end('x')
  assert.equal((await answerOf(last)).body.toString(), 'x')
})

test('a client of node:http2 that breaks the rules is told so', async t => {
  const { port } = await serve(t, echo)
  const client = await connectTo(t, port)
  const stream = client.request({ ':method': 'POST', 'content-length': 5 })
  stream.end('hello, world')
  const [error] = await within(once(stream, 'error'), () => 'an error')
  assert.match(String(error), /NGHTTP2_PROTOCOL_ERROR/)
})

const needsCurl = existsSync('/usr/bin/curl') ? false : 'curl is not installed'

test('curl is served', { skip: needsCurl }, async t => {
  const { port } = await serve(t, echo)
  const file = join(testFolder(t), 'upload')
  writeFileSync(file, megabytes)
  const args = ['--silent', '--show-error', '--max-time', '10', '--http2-prior-knowledge', '--upload-file', file]
  const curl = spawn('/usr/bin/curl', [...args, `http://127.0.0.1:${port}/up`])
  const pieces: Buffer[] = []
  curl.stdout.on('data', piece => pieces.push(piece))
  const [code] = await within(once(curl, 'close'), () => 'curl to end')
  assert.equal(code, 0)
  assert.ok(Buffer.concat(pieces).equals(megabytes))
})

/** Our session in client role; what comes for each stream is collected. */
class Client {
  readonly session: H2Session<Asked>
  readonly endpoint: H2Endpoint<Asked>
  readonly goAways: number[] = []

  constructor(t: TestContext, port: number) {
    const socket = connectSocket({ port, host: '127.0.0.1', noDelay: true })
    t.after(() => socket.destroy())
    this.endpoint = new H2Endpoint<Asked>(socket, 'client', session => ({
      onHead(stream, fields, isEnd) {
        assert.equal(fields.fault, null, fields.faultText)
        stream.user!.heads.push(new Map(fieldsOf(fields)))
        if (isEnd) stream.user!.finish()
      },
      onData(stream, bytes, from, to, isEnd) {
        stream.user!.pieces.push(Buffer.from(bytes.subarray(from, to)))
        session.consumed(stream, to - from)
        if (isEnd) stream.user!.finish()
      },
      onTrailers(stream, fields) {
        stream.user!.trailers = new Map(fieldsOf(fields))
        stream.user!.finish()
      },
      onReset(stream, code) {
        stream.user!.resetCode = code
        stream.user!.finish()
      },
      onGoAway: lastId => this.goAways.push(lastId),
    }))
    this.session = this.endpoint.session
  }

  ask(method: string, path: string, body: Buffer | null = null): Asked {
    const { session } = this
    const stream = session.openStream()
    assert.notEqual(stream, null, 'a stream may be opened')
    const asked = new Asked()
    stream!.user = asked
    stream!.answersHead = method === 'HEAD'
    const out = session.beginHead()
    for (const [name, value] of [
      [':method', method],
      [':scheme', 'http'],
      [':authority', 'a.test'],
      [':path', path],
      ['te', 'trailers'],
    ] as const) {
      writeFieldText(out, name, value)
    }
    session.endHead(stream!, body === null)
    if (body !== null) session.sendData(stream!, body, 0, body.length, true)
    return asked
  }
}

class Asked {
  readonly heads: ReadonlyMap<string, string>[] = []
  readonly pieces: Buffer[] = []
  trailers: ReadonlyMap<string, string> = new Map()
  resetCode = -1
  readonly #done = Promise.withResolvers<void>()

  finish(): void {
    this.#done.resolve()
  }

  async body(): Promise<Buffer> {
    await within(this.#done.promise, () => 'the end of a response')
    return Buffer.concat(this.pieces)
  }
}

async function startTarget(t: TestContext, onStream: (stream: ServerHttp2Stream, path: string) => void, settings = {}) {
  const server = createServer({ settings })
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {}) // Resets are part of the tests.
    onStream(stream, String(headers[':path']))
  })
  server.on('session', session => t.after(() => session.destroy()))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}

test('a server of node:http2 is asked: heads, early hints, long bodies, trailers', async t => {
  const port = await startTarget(t, (stream, path) => {
    if (path === '/early') stream.additionalHeaders({ ':status': 103, link: 'x' })
    stream.respond({ ':status': 201, 'content-length': path === '/head' ? 5 : undefined }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    if (path === '/head') stream.end()
    else stream.pipe(stream)
  })
  const client = new Client(t, port)
  const answers = ['/early', '/b', '/c'].map(path => client.ask('POST', path, megabytes))
  for (const answer of answers) {
    assert.ok((await answer.body()).equals(megabytes))
    assert.equal(answer.trailers.get('grpc-status'), '0')
    assert.equal(answer.heads.at(-1)?.get(':status'), '201')
  }
  assert.equal(answers[0]!.heads[0]?.get('link'), 'x')
  const head = client.ask('HEAD', '/head')
  assert.equal((await head.body()).length, 0)
  assert.equal(head.heads[0]?.get('content-length'), '5')
  assert.equal(head.resetCode, -1)
  for (let i = 0; i < 200; i++) await client.ask('GET', `/${i}`).body()
  assert.equal(client.session.streams.size, 0)
})

test('a server of node:http2 that resets, limits and leaves is understood', async t => {
  const held: ServerHttp2Stream[] = []
  const port = await startTarget(
    t,
    (stream, path) => {
      if (path === '/reset') stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM)
      else if (path === '/leave') stream.session!.goaway(constants.NGHTTP2_NO_ERROR, stream.id)
      else held.push(stream)
      if (path === '/leave') stream.respond({ ':status': 200 }, { endStream: true })
    },
    { maxConcurrentStreams: 2 },
  )
  const client = new Client(t, port)
  const reset = client.ask('GET', '/reset')
  await reset.body()
  assert.equal(reset.resetCode, H2Error.enhanceYourCalm)
  assert.equal(client.session.peerMaxConcurrentStreams, 2)
  const waiting = client.ask('GET', '/wait')
  const leaving = client.ask('GET', '/leave')
  assert.equal(client.session.openStream(), null)
  await leaving.body()
  assert.deepEqual(client.goAways, [5])
  assert.equal(client.session.openStream(), null)
  held[0]!.respond({ ':status': 200 })
  held[0]!.end('still here')
  assert.equal((await waiting.body()).toString(), 'still here')
})

test('nginx is asked', { skip: needs('nginx') }, async t => {
  const folder = testFolder(t)
  const port = await freePort()
  mkdirSync(join(folder, 'www'))
  writeFileSync(join(folder, 'www', 'file'), megabytes)
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
    events {}
    http {
      access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
      fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
      server {
        listen 127.0.0.1:${port} http2; root ${folder}/www;
        location /said { return 200 "$request_method $http_host $server_protocol"; }
      }
    }`,
  )
  await startServer(t, 'nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')], folder, port)
  const client = new Client(t, port)
  const files = Array.from({ length: 5 }, () => client.ask('GET', '/file'))
  for (const file of files) assert.ok((await file.body()).equals(megabytes))
  assert.equal((await client.ask('GET', '/said').body()).toString(), 'GET a.test HTTP/2.0')
  const missing = client.ask('GET', '/none')
  await missing.body()
  assert.equal(missing.heads[0]?.get(':status'), '404')
})
