import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Field } from './fields.ts'
import { readRequestMeaning } from './read-meaning.ts'
import { RequestHead } from './request-head.ts'
import { ResponseHead } from './response-head.ts'

function readRequest(text: string, head = new RequestHead()): RequestHead {
  const bytes = Buffer.from(text, 'latin1')
  head.read(bytes, 0, bytes.length)
  return head
}

describe('a head', () => {
  it('keeps its bytes when those it was read from are overwritten', () => {
    const bytes = Buffer.from('GET /a HTTP/1.1\r\nHost: b\r\n\r\n')
    const head = new RequestHead()
    head.read(bytes, 0, bytes.length)
    bytes.fill(0)
    assert.equal(head.text(0, head.length), 'GET /a HTTP/1.1\r\nHost: b\r\n\r\n')
    assert.equal(head.text(head.targetFrom, head.targetTo), '/a')
    assert.equal(head.text(head.valueFrom(0), head.valueTo(0)), 'b')
  })

  it('takes nothing of what follows it', () => {
    const bytes = Buffer.from('xxGET / HTTP/1.1\r\n\r\nbody')
    const head = new RequestHead()
    assert.equal(head.read(bytes, 2, bytes.length), bytes.length - 4)
    assert.equal(head.length, bytes.length - 6)
  })

  it('says where each field line ends, so that unchanged ones can be copied in runs', () => {
    const head = readRequest('GET / HTTP/1.1\r\nHost: a\r\nX:  b \r\n\r\n')
    const lines = [0, 1].map(i => head.text(head.nameFrom(i), head.lineEnd(i)))
    assert.deepEqual(lines, ['Host: a\r\n', 'X:  b \r\n'])
  })

  it('finds the first field of a kind', () => {
    const head = readRequest('GET / HTTP/1.1\r\nX: y\r\nDate: 1\r\nDate: 2\r\n\r\n')
    assert.equal(head.indexOf(Field.date), 1)
    assert.equal(head.indexOf(Field.host), -1)
  })

  it('says that its start line is there as soon as it is', () => {
    const head = readRequest('HEAD / HTTP/1.1\r')
    assert.equal(head.hasStartLine, false)
    readRequest('\n', head)
    assert.equal(head.hasStartLine, true)
    readRequest('broken\r\n', head)
    assert.equal(head.fault, 'malformed')
    assert.equal(head.text(head.methodFrom, head.methodTo), 'HEAD', 'known although the head is broken')
  })

  it('says whether bytes of it have come', () => {
    const head = new RequestHead()
    assert.equal(head.hasBytes, false)
    readRequest('G', head)
    assert.equal(head.hasBytes, true)
    head.reset()
    assert.equal(head.hasBytes, false)
  })

  it('forgets everything at a reset, except how much memory it had', () => {
    const head = readRequest(
      `GET / HTTP/1.0\r\n${'A_B: c\r\n'.repeat(100)}Content-Length: 5\r\nConnection: close, x\r\n\r\n`,
    )
    readRequestMeaning(head)
    head.reset()
    const fresh = readRequest('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    readRequest('GET / HTTP/1.1\r\nHost: a\r\n\r\n', head)
    readRequestMeaning(head)
    readRequestMeaning(fresh)
    assert.deepEqual(head.meaning, fresh.meaning)
    assert.deepEqual([head.length, head.fieldCount, head.minorVersion], [fresh.length, 1, 1])
    assert.equal(head.hasPlainNamesOnly, true)
  })

  it('forgets at a reset what was odd about it', () => {
    const head = readRequest('GET /a b HTTP/0.9 \nContent-Type: x\n y\n: \x01\n z\nContent-Length: 05\n\n')
    readRequestMeaning(head)
    assert(head.isOdd && head.isOldest && head.hasBareLf && head.hasFolding && head.meaning.hasOddTarget)
    head.reset()
    const fresh = readRequest('GET / HTTP/1.1\r\n x\r\n')
    readRequest('GET / HTTP/1.1\r\n x\r\n', head)
    assert.equal(head.hasFolding, fresh.hasFolding, 'no Content-Type of another request is continued')
    head.reset()
    readRequest('GET /\r\n', head)
    assert(head.isSimple && head.length > 0)
    head.reset()
    assert(!(head.isSimple || head.isOdd || head.isOldest || head.hasBareLf || head.hasFolding))
    readRequest('GET / HTTP/1.1\r\n\r\n', head)
    readRequestMeaning(head)
    assert.equal(head.meaning.desync, 0)
  })

  it('is whole where every line of it was as it should be, and odd otherwise', () => {
    assert.equal(readRequest('GET / HTTP/1.1\r\nA_B: \t1 \r\n\r\n').isOdd, false)
    for (const line of ['A : 1\r\n', 'A: \x01\r\n', 'A: 1\n', 'A: 1\r\n 2\r\n', ':\r\n', 'a@b: 1\r\n']) {
      assert.equal(readRequest(`GET / HTTP/1.1\r\n${line}\r\n`).isOdd, true, line)
    }
  })

  it('may be read after a fault once it was reset', () => {
    const head = readRequest('\0')
    assert.equal(head.fault, 'malformed')
    head.reset()
    readRequest('GET / HTTP/1.1\r\n\r\n', head)
    assert.equal(head.fault, null)
    assert.equal(head.length, 18)
  })

  it('holds no more than its bound of a head that came in pieces', () => {
    const head = new ResponseHead()
    const line = Buffer.from(`X: ${'a'.repeat(1000)}\r\n`)
    head.read(Buffer.from('HTTP/1.1 200 OK\r\n'), 0, 17)
    while (head.fault === null) head.read(line, 0, line.length)
    assert.equal(head.fault, 'headTooLarge')
    assert(head.bytes.length <= 64 * 1024, `${head.bytes.length}`)
  })
})

describe('known field names', () => {
  const nameless = ['other', 'likeTransferEncoding', 'likeContentLength', 'folded', 'misnamed']
  const names = Object.keys(Field).filter(name => !nameless.includes(name)) as (keyof typeof Field)[]
  const spelled: Partial<Record<keyof typeof Field, string>> = {
    forwardedFor: 'x-forwarded-for',
    forwardedProto: 'x-forwarded-proto',
    forwardedPort: 'x-forwarded-port',
    traceId: 'x-amzn-trace-id',
  }

  for (const name of names) {
    const lower = spelled[name] ?? name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
    it(`${lower} is known in any case, and nothing else is taken for it`, () => {
      assert.equal(fieldOfLine(lower), Field[name])
      assert.equal(fieldOfLine(lower.toUpperCase()), Field[name])
      for (const other of [`${lower}s`, lower.slice(1), `${lower.slice(0, -1)}_`, lower.replace(/-|.$/, '~')]) {
        assert.notEqual(fieldOfLine(other), Field[name], other)
      }
    })
  }

  it('are none where letters are all they share with the two that say how long a body is', () => {
    for (const name of ['Transfer_Encoding', '-transfer-encoding', 'TRANSFER--ENCODING', 'TransferXEncoding']) {
      assert.equal(fieldOfLine(name), Field.likeTransferEncoding, name)
    }
    for (const name of ['Content_Length', 'content-length-', 'Content.Length', 'Con tent-Length', ' Content-Length']) {
      assert.equal(fieldOfLine(name), Field.likeContentLength, name)
    }
    for (const name of [
      'ContentLength',
      'Content-Lengths',
      'X-Content-Length',
      'Transfer-Encodings',
      'Content-Langth',
    ]) {
      assert.equal(fieldOfLine(name), Field.other, name)
    }
  })

  function fieldOfLine(name: string): Field {
    return readRequest(`GET / HTTP/1.1\r\n${name}: 1\r\n\r\n`).field(0)
  }
})
