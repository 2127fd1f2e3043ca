import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Field } from './fields.ts'
import { RequestHead, ResponseHead } from './head.ts'
import { readRequestMeaning } from './read-meaning.ts'

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
    readRequest(' broken\r\n', head)
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
  const names = Object.keys(Field).filter(name => name !== 'other') as (keyof typeof Field)[]
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

  function fieldOfLine(name: string): Field {
    return readRequest(`GET / HTTP/1.1\r\n${name}: 1\r\n\r\n`).field(0)
  }
})
