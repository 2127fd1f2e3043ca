/**
 * Whatever a client sends, what a target is sent of it is one request, whose body is as long as we think it is: so say
 * the codec in another instance and the parser of node:http, with another request right behind it.
 *
 * In `monitor` mode, which lets most through. `FUZZ_SEED` repeats a run, `FUZZ_INPUTS` makes it longer.
 */

import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, METHODS, type Server } from 'node:http'
import { join } from 'node:path'
import { duplexPair } from 'node:stream'
import { describe, it } from 'node:test'
import { BodyKind, RequestHead, readRequestMeaning } from '../../src/http/h1.ts'
import { isBreaking, targetByte, tokenByte, valueByte } from '../../src/http/tables.ts'
import { desyncReason } from '../../src/model/desync.ts'
import { forwardOrFault } from '../transcripts/forwarded.ts'
import { escapeBytes, readTranscripts } from '../transcripts/transcript.ts'
import { mutate, mutatedBytesMax } from './mutate.ts'
import { Random, runSeed } from './random.ts'

const inputCount = Number(process.env.FUZZ_INPUTS ?? 10_000)
const next = Buffer.from('GET /next HTTP/1.1\r\nHost: next\r\n\r\n')
/** A longer one is believed. */
const bodyBytesMax = 10_000

describe('what a target is sent', () => {
  it('is one request, to whoever reads it', async t => {
    const seed = runSeed()
    t.diagnostic(`FUZZ_SEED=${seed}`)
    const random = new Random(seed)
    const transcripts = readTranscripts(join(import.meta.dirname, '../transcripts/requests'))
    const corpus = transcripts.map(({ bytes }) => bytes).filter(bytes => bytes.length <= mutatedBytesMax)
    const judge = new NodeJudge()
    t.after(() => judge.close())
    const seen = { forwarded: 0, odd: 0, byNode: 0 }
    for (let i = 0; i < inputCount; i++) {
      const bytes = i < corpus.length ? corpus[i]! : mutate(random.pick(corpus), corpus, random)
      const head = new RequestHead()
      head.read(bytes, 0, bytes.length)
      if (head.length === 0) continue
      readRequestMeaning(head)
      const sent = forwardOrFault(head, 'monitor')
      if (typeof sent === 'string') continue
      const shown = `FUZZ_SEED=${seed}, input ${i}\n> ${escapeBytes(bytes)}\n= ${escapeBytes(sent)}\n`
      try {
        seen.forwarded++
        if (head.isOdd) seen.odd++
        checkBytes(sent)
        checkByCodec(sent, head)
        if (!isReadByNode(head, sent)) continue
        seen.byNode++
        await judge.check(sent, bodyOf(head))
      } catch (error) {
        throw new Error(`${shown}${error instanceof Error ? error.message : error}`, { cause: error })
      }
    }
    t.diagnostic(JSON.stringify(seen))
    for (const [kind, count] of Object.entries(seen)) assert(count > inputCount / 50, `${kind}: only ${count}`)
  })
})

/** No line ends but CRLF, no line that begins with white space, nothing in a line that somebody may take for its end. */
function checkBytes(sent: Buffer): void {
  const lines = sent.toString('latin1').split('\r\n')
  assert.deepEqual(lines.splice(-2), ['', ''], 'it ends in one empty line')
  for (const line of lines) {
    assert.notEqual(line, '')
    for (const byte of Buffer.from(line, 'latin1')) assert(valueByte[byte] === 1 && !isBreaking(byte), `byte ${byte}`)
  }
  const words = lines[0]!.split(' ')
  assert.equal(words.length, 3, 'a method, a target and a version')
  for (const byte of Buffer.from(words[1]!, 'latin1')) assert.equal(targetByte[byte], 1)
  const names = lines.slice(1).map(line => line.slice(0, line.indexOf(':')))
  for (const name of names) assert.match(name, /^[!-9;-~]+$/)
  const lower = names.map(name => name.toLowerCase())
  for (const once of ['host', 'connection', 'content-length', 'transfer-encoding', 'x-amzn-trace-id']) {
    assert(lower.filter(name => name === once).length <= 1, `${once} twice`)
  }
  assert(!(lower.includes('content-length') && lower.includes('transfer-encoding')), 'framed twice')
}

function checkByCodec(sent: Buffer, meant: RequestHead): void {
  const head = new RequestHead()
  const bytes = Buffer.concat([sent, next])
  assert.equal(head.read(bytes, 0, bytes.length), sent.length, 'it ends where it should')
  readRequestMeaning(head)
  assert.equal(head.meaning.bodyKind, meant.meaning.bodyKind)
  assert.equal(head.meaning.contentLength, meant.meaning.contentLength)
  assert.equal(head.meaning.isUnreadable, false)
  const { reason } = desyncReason(head.meaning.desync)
  // Names of visible bytes go on as they came, and so do bodies that have no meaning.
  const allowed = ['-', 'NonCompliantHeader', 'GetHeadZeroContentLength', 'UndefinedContentLengthSemantics']
  assert([...allowed, 'UndefinedTransferEncodingSemantics'].includes(reason), reason)
}

function bodyOf({ meaning }: RequestHead): Buffer {
  if (meaning.bodyKind === BodyKind.length) return Buffer.alloc(meaning.contentLength, 'GET / HTTP/1.1\r\n')
  return Buffer.from(meaning.bodyKind === BodyKind.chunked ? '3\r\nabc\r\n0\r\n\r\n' : '')
}

/** node:http knows the methods of a list, no targets above ASCII, and no names but tokens. */
function isReadByNode({ meaning }: RequestHead, sent: Buffer): boolean {
  const lines = sent.toString('latin1').split('\r\n')
  const [method, target] = lines[0]!.split(' ')
  if (!METHODS.includes(method!) || /[^!-~]/.test(target!)) return false
  if (meaning.isWebSocketUpgrade || meaning.contentLength > bodyBytesMax) return false
  const names = lines.slice(1, -2).map(line => Buffer.from(line.slice(0, line.indexOf(':')), 'latin1'))
  return names.every(name => name.every(byte => tokenByte[byte] === 1))
}

/** The parser of node:http, which nobody here wrote. */
class NodeJudge {
  readonly #server: Server
  #seen: string[] = []
  #settle: () => void = () => {}

  constructor() {
    this.#server = createServer({ maxHeaderSize: 1 << 20 })
    const onRequest = (request: IncomingMessage) => this.#onRequest(request)
    for (const event of ['request', 'checkContinue', 'checkExpectation']) this.#server.on(event, onRequest)
    this.#server.on('clientError', error => {
      this.#seen.push(`error ${error.message}`)
      this.#settle()
    })
  }

  async check(sent: Buffer, body: Buffer): Promise<void> {
    this.#seen = []
    const settled = new Promise<void>(resolve => {
      this.#settle = resolve
    })
    const [ours, theirs] = duplexPair()
    this.#server.emit('connection', theirs)
    ours.resume().write(Buffer.concat([sent, body, next]))
    await settled
    ours.destroy()
    const isChunked = /\r\nTransfer-Encoding: chunked\r\n/i.test(sent.toString('latin1'))
    const target = sent.toString('latin1').split(' ')[1]
    assert.deepEqual(this.#seen, [`${target} ${isChunked ? 3 : body.length}`, '/next 0'])
  }

  close(): void {
    this.#server.close()
  }

  #onRequest(request: IncomingMessage): void {
    let length = 0
    request.on('data', piece => {
      length += piece.length
    })
    request.on('end', () => {
      this.#seen.push(`${request.url} ${length}`)
      if (request.url === '/next' || this.#seen.length > 2) this.#settle()
    })
  }
}
