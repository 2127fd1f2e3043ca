import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ResponseHead } from './response-head.ts'

function read(...pieces: string[]): ResponseHead {
  const head = new ResponseHead()
  for (const piece of pieces) {
    if (head.isComplete || head.problem !== null) break
    head.feed(piece)
  }
  return head
}

const good = 'HTTP/1.1 204 No Content\r\nServer: x\r\nX-Empty:\r\n\r\n'

describe('response head', () => {
  it('gives the same status wherever it is cut', () => {
    const text = `HTTP/1.1 100 Continue\r\n\r\n${good}body`
    for (let cut = 0; cut <= text.length; cut++) {
      const head = read(text.slice(0, cut), text.slice(cut))
      assert.deepEqual([head.isComplete, head.statusCode, head.problem], [true, 204, null], `cut at ${cut}`)
    }
    assert.equal(read(...text).statusCode, 204)
  })

  it('is incomplete until its empty line', () => {
    for (let length = 0; length < good.length; length++) {
      const head = read(good.slice(0, length))
      assert.deepEqual([head.isComplete, head.problem, head.byteCount], [false, null, length])
    }
  })

  it('takes HTTP/1.0, an empty reason phrase and a 101 as they are', () => {
    assert.equal(read('HTTP/1.0 200 OK\r\n\r\n').statusCode, 200)
    assert.equal(read('HTTP/1.1 200 \r\n\r\n').statusCode, 200)
    const switching = read('HTTP/1.1 101 Switching Protocols\r\n\r\n')
    assert.deepEqual([switching.isComplete, switching.statusCode], [true, 101])
  })

  it('names what is wrong', () => {
    const cases: [text: string, problem: string][] = [
      ['HTTP/2 200 OK\r\n', 'the status line is not valid HTTP/1.1'],
      ['HTTP/1.1 200\r\n', 'the status line is not valid HTTP/1.1'],
      ['HTTP/1.1 20 OK\r\n', 'the status line is not valid HTTP/1.1'],
      ['HTTP/1.1 099 OK\r\n', 'the status line is not valid HTTP/1.1'],
      ['http/1.1 200 OK\r\n', 'the status line is not valid HTTP/1.1'],
      ['HTTP/1.1 200 O\0K\r\n', 'the status line is not valid HTTP/1.1'],
      ['\r\nHTTP/1.1 200 OK\r\n', 'the status line is not valid HTTP/1.1'],
      ['HTTP/1.1 200 OK\n', 'a line does not end in CRLF'],
      ['HTTP/1.1 200 OK\r\nA: b\n', 'a line does not end in CRLF'],
      ['HTTP/1.1 200 OK\r\nno colon\r\n', 'a header field is not valid'],
      ['HTTP/1.1 200 OK\r\nA : b\r\n', 'a header field is not valid'],
      ['HTTP/1.1 200 OK\r\n: b\r\n', 'a header field is not valid'],
      ['HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n', 'a header field is not valid'],
      ['HTTP/1.1 200 OK\r\nA: b\rc\r\n', 'a header field is not valid'],
    ]
    for (const [text, problem] of cases) assert.equal(read(text).problem, problem, JSON.stringify(text))
  })

  it('may have 32 K and not one byte more, in lines or without', () => {
    const start = 'HTTP/1.1 200 OK\r\nA: '
    const filled = (total: number) => `${start}${'x'.repeat(total - start.length - 4)}\r\n\r\n`
    assert.equal(read(filled(32 * 1024)).isComplete, true)
    assert.equal(read(filled(32 * 1024 + 1)).problem, 'it is larger than 32 K')
    assert.equal(read('x'.repeat(32 * 1024)).problem, null)
    assert.equal(read('x'.repeat(32 * 1024), 'x').problem, 'it is larger than 32 K')
    const interim = 'HTTP/1.1 103 Early Hints\r\n\r\n'
    assert.equal(read(interim.repeat(2000)).problem, 'it is larger than 32 K')
  })
})
