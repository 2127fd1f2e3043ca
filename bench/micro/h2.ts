/**
 * What one request over HTTP/2 costs the codec: its head is read, a head with six fields and a body of 60 bytes is
 * written. `node bench/micro/h2.ts`; microseconds of CPU, three rounds.
 */
import { ByteWriter } from '../../src/base/byte-writer.ts'
import {
  type H2Handler,
  H2Session,
  StaticName,
  writeContentLength,
  writeFieldText,
  writeKnownText,
  writePath,
  writeStatus,
} from '../../src/http/h2.ts'
import { usualBounds } from '../../test/support/h2-endpoint.ts'
import { END_HEADERS, END_STREAM, frame, hello, windowUpdate } from '../../test/support/h2-frames.ts'

const requests = 300_000
const requestsPerRead = 10
const body = Buffer.alloc(60, 'x')

function serving(): H2Session<null> {
  const handler: H2Handler<null> = {
    onOutput() {},
    onHead(stream) {
      const out = session.beginHead()
      writeStatus(out, 200)
      writeKnownText(out, StaticName.date, 'Wed, 25 Nov 2026 03:24:00 GMT')
      writeKnownText(out, StaticName.contentType, 'text/plain')
      writeContentLength(out, body.length)
      writeFieldText(out, 'Server', 'nginx/1.22.1')
      writeFieldText(out, 'ETag', '"5f3c-60"')
      writeFieldText(out, 'X-Request-Id', '7f3a2c9be01d')
      session.endHead(stream, false)
      session.sendData(stream, body, 0, body.length, true)
    },
    onTrailers() {},
    onData() {},
    onReset() {},
    onStreamDrained() {},
    onGoAway() {},
    onSessionError(_code, text) {
      throw new Error(text)
    },
  }
  const session = new H2Session<null>('server', handler, usualBounds)
  return session
}

/** What a browser sends first, all of it in full, and then again by index: 8 fields. */
const first = blockOf(out => {
  for (const index of [2, 7]) out.uint8(0x80 | index)
  writePath(out, Buffer.from('/api/items?id=12345'), 0, 19)
  writeKnownText(out, StaticName.authority, 'www.example.com')
  writeFieldText(
    out,
    'user-agent',
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0',
  )
  writeFieldText(out, 'accept', '*/*')
  writeFieldText(out, 'accept-encoding', 'gzip, deflate, br')
  writeFieldText(out, 'cookie', 'session=0123456789abcdef0123456789abcdef')
})
const again = Buffer.from([2, 7, 67, 66, 65, 64, 63, 62].map(index => 0x80 | index))

function blockOf(write: (out: ByteWriter) => void): Buffer {
  const out = new ByteWriter(1024)
  write(out)
  return Buffer.from(out.bytes.subarray(0, out.length))
}

/** @returns microseconds of CPU for one request */
function measure(block: Buffer): number {
  const session = serving()
  const head = (id: number, fields: Buffer) => frame('HEADERS', END_HEADERS | END_STREAM, id, fields)
  const begin = Buffer.concat([hello, windowUpdate(0, requests * body.length), head(1, first)])
  session.begin()
  session.read(begin, 0, begin.length, 0)
  const bytes = Buffer.concat(Array(requestsPerRead).fill(head(1, block)))
  const before = process.cpuUsage()
  for (let id = 3, i = 0; i < requests / requestsPerRead; i++) {
    session.out.length = 0
    session.isBlocked = false
    for (let k = 0; k < requestsPerRead; k++, id += 2) bytes.writeUInt32BE(id, k * (bytes.length / requestsPerRead) + 5)
    session.read(bytes, 0, bytes.length, i)
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / requests
}

for (const [name, block] of [
  ['by index', again],
  ['in full', first],
] as const) {
  measure(block)
  const rounds = [1, 2, 3].map(() => measure(block).toFixed(2))
  console.log(`a head ${name}: ${rounds.join(', ')} µs`)
}
