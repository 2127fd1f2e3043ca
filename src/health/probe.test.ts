import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { ManualClock } from '../base/clock.ts'
import { Probe, type ProbeOutcome, type ProbeRequest, probeRequestBytes } from './probe.ts'

type Behaviour = (socket: Socket, request: string) => void

/** A target that does `behave` with each connection once it has the whole request. */
async function startTarget(t: TestContext, behave: Behaviour): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    let request = ''
    socket.on('error', () => {}) // the probe may reset what it has no use for
    socket.on('data', bytes => {
      request += bytes.toString('latin1')
      if (request.endsWith('\r\n\r\n')) behave(socket, request)
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

type Started = { readonly clock: ManualClock; readonly probe: Probe; readonly outcome: Promise<ProbeOutcome> }

function startProbe(port: number, request: Partial<ProbeRequest> = {}): Started {
  const clock = new ManualClock()
  const { promise: outcome, resolve, reject } = Promise.withResolvers<ProbeOutcome>()
  let isOver = false
  const probe = new Probe(
    clock,
    { ip: '127.0.0.1', port, path: '/', timeoutMs: 2000, matcher: [{ from: 200, to: 200 }], ...request },
    value => {
      if (isOver) reject(new Error('a probe reports once'))
      isOver = true
      resolve(value)
    },
  )
  return { clock, probe, outcome }
}

async function probe(t: TestContext, behave: Behaviour, request: Partial<ProbeRequest> = {}): Promise<ProbeOutcome> {
  return startProbe(await startTarget(t, behave), request).outcome
}

/** Once these bytes have gone round, what was written on loopback before them has arrived too. */
async function roundTrip(): Promise<void> {
  const server = createServer(socket => socket.pipe(socket))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  for (let turn = 0; turn < 3; turn++) {
    socket.write('.')
    await once(socket, 'data')
  }
  socket.destroy()
  server.close()
}

const answer =
  (text: string): Behaviour =>
  socket =>
    void socket.end(text, 'latin1')

const failed = { result: 'fail', statusCode: null, logReason: 'ConnectionReset' } as const

/** An outcome without its times. */
function untimed({ startedAtMs: _, latencyMs: __, ...rest }: ProbeOutcome) {
  return rest
}

describe('probe', () => {
  it('sends the bytes of the service', async t => {
    const { promise: request, resolve } = Promise.withResolvers<string>()
    const port = await startTarget(t, (socket, text) => {
      resolve(text)
      socket.end('HTTP/1.1 200 OK\r\n\r\n')
    })
    await startProbe(port, { path: '/up?deep=1' }).outcome
    assert.equal(
      await request,
      `GET /up?deep=1 HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n` +
        'User-Agent: ELB-HealthChecker/2.0\r\nAccept-Encoding: gzip, compressed\r\n\r\n',
    )
  })

  it('names port 80 never and brackets IPv6 always', () => {
    const host = (ip: string, port: number) => /\r\nHost: (.*)\r\n/.exec(probeRequestBytes(ip, port, '/'))?.[1]
    assert.equal(host('10.0.0.1', 80), '10.0.0.1')
    assert.equal(host('10.0.0.1', 8080), '10.0.0.1:8080')
    assert.equal(host('fd00::80', 80), '[fd00::80]')
    assert.equal(host('fd00::80', 443), '[fd00::80]:443')
  })

  it('passes a status that the matcher holds', async t => {
    const outcome = await probe(t, answer('HTTP/1.1 204 No Content\r\n\r\n'), { matcher: [{ from: 200, to: 299 }] })
    assert.deepEqual(untimed(outcome), { result: 'pass', statusCode: 204, logReason: null, detail: 'answered 204' })
  })

  it('tells a wrong code from an error of the target', async t => {
    for (const [code, logReason] of [
      [301, 'ResponseCodeMismatch'],
      [404, 'ResponseCodeMismatch'],
      [500, 'TargetError'],
      [600, 'ResponseCodeMismatch'],
    ] as const) {
      const matcher = [
        { from: 200, to: 299 },
        { from: 302, to: 302 },
      ]
      const outcome = await probe(t, answer(`HTTP/1.1 ${code} x\r\nLocation: /\r\n\r\n`), { matcher })
      const detail = `answered ${code}, expected 200-299,302`
      assert.deepEqual(untimed(outcome), { result: 'fail', statusCode: code, logReason, detail })
    }
  })

  it('reads past interim responses and takes a 101 for an answer', async t => {
    const hints = await probe(t, answer('HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n'))
    assert.equal(hints.result, 'pass')
    const switching = await probe(t, answer('HTTP/1.1 101 Switching Protocols\r\n\r\n'))
    assert.equal(switching.statusCode, 101)
  })

  it('reads a head that comes byte by byte', async t => {
    const outcome = await probe(t, async socket => {
      socket.setNoDelay()
      for (const byte of 'HTTP/1.1 200 OK\r\nA: b\r\n\r\n') await new Promise(sent => socket.write(byte, sent))
    })
    assert.equal(outcome.result, 'pass')
  })

  it('closes the connection itself, though the target keeps it open', async t => {
    const { promise: closed, resolve } = Promise.withResolvers<void>()
    const outcome = await probe(t, socket => {
      socket.on('close', resolve)
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nthe body goes on')
    })
    assert.equal(outcome.result, 'pass')
    await closed
  })

  it('says that nothing listens', async () => {
    const outcome = await startProbe(1).outcome
    assert.deepEqual(untimed(outcome), { ...failed, detail: 'connection refused: nothing listens on 127.0.0.1:1' })
  })

  it('says that the target reset the connection', async t => {
    const outcome = await probe(t, socket => void socket.resetAndDestroy())
    const detail = 'connection reset before a complete response head: no bytes came'
    assert.deepEqual(untimed(outcome), { ...failed, detail })
  })

  it('says that the target closed, before or within the head', async t => {
    const closed = 'closed before a complete response head'
    assert.deepEqual(untimed(await probe(t, answer(''))), { ...failed, detail: `${closed}: no bytes came` })
    const within = await probe(t, answer('HTTP/1.1 200 OK\r\n'))
    assert.deepEqual(untimed(within), { ...failed, detail: `${closed}: 17 bytes came` })
  })

  it('says what is wrong with the head', async t => {
    const garbage = await probe(t, answer('SSH-2.0-OpenSSH_9.6\r\n'))
    const malformed = 'malformed response head: '
    assert.deepEqual(untimed(garbage), {
      ...failed,
      detail: `${malformed}the status line is not valid HTTP/1.1`,
    })
    const endless = await probe(t, socket => void socket.write('x'.repeat(64 * 1024)))
    assert.deepEqual(untimed(endless), { ...failed, detail: `${malformed}it is larger than 32 K` })
  })

  const timedOut = { result: 'fail', statusCode: null, logReason: 'TimedOut' } as const

  it('times out while the connection is being made', async t => {
    const { clock, outcome } = startProbe(await startTarget(t, () => {}))
    clock.advance(2000) // before the event loop could tell of the connection
    assert.deepEqual(await outcome, {
      ...timedOut,
      startedAtMs: clock.originMs,
      latencyMs: 2000,
      detail: 'no connection within 2 s: neither accepted nor refused',
    })
  })

  it('times out when no answer comes, not a millisecond early', async t => {
    const { promise: asked, resolve } = Promise.withResolvers<void>()
    const { clock, outcome } = startProbe(await startTarget(t, () => resolve()))
    let isOver = false
    void outcome.then(() => {
      isOver = true
    })
    await asked
    clock.advance(1999)
    await roundTrip()
    assert.equal(isOver, false)
    clock.advance(1)
    const detail = 'no answer within 2 s: connected after 0 ms, no bytes came'
    assert.deepEqual(untimed(await outcome), { ...timedOut, detail })
  })

  it('times out when the head stalls', async t => {
    const { promise: sent, resolve } = Promise.withResolvers<void>()
    const port = await startTarget(t, socket => void socket.write('HTTP/1.1 200 OK\r\nServer:', () => resolve()))
    const { clock, outcome } = startProbe(port)
    await sent
    await roundTrip()
    clock.advance(2000)
    const detail = 'no complete response head within 2 s: connected after 0 ms, 24 bytes came'
    assert.deepEqual(untimed(await outcome), { ...timedOut, detail })
  })

  it('reports nothing after it was cancelled, and hangs up', async t => {
    const { promise: closed, resolve: onClosed } = Promise.withResolvers<void>()
    const { promise: asked, resolve: onAsked } = Promise.withResolvers<Socket>()
    const port = await startTarget(t, socket => {
      socket.on('close', onClosed)
      onAsked(socket)
    })
    const { clock, probe, outcome } = startProbe(port)
    let isOver = false
    void outcome.then(() => {
      isOver = true
    })
    const socket = await asked
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    probe.cancel()
    clock.advance(10_000)
    await closed
    assert.equal(isOver, false)
  })
})
