/**
 * Reads the head of an HTTP/1 response from pieces of any size, only to learn its status code. Fields are checked
 * for their form and dropped; the body is nobody's business here.
 */

import { responseHeadBytesMax } from '../../model/limits.ts'

/** RFC 9112, section 4. The reason phrase may be empty, the space before it may not be missing. */
const statusLine = /^HTTP\/1\.[01] ([1-9][0-9]{2}) [\t\x20-\x7e\x80-\xff]*$/
/** RFC 9112, section 5. A line folded with leading white space is refused too: its first byte is no name. */
const fieldLine = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*$/

export class ResponseHead {
  /** Of the latest status line; an interim response's until the final one has come. */
  statusCode = -1
  /** Why it is not a response head, for a person; null while it may still become one. */
  problem: string | null = null
  isComplete = false
  /** Bytes taken in, interim responses included; what follows the head is not counted. */
  byteCount = 0
  #isStatusLineNext = true
  #line = ''

  /** @param text bytes as Latin-1. Nothing more may be fed after the head is complete or has a problem. */
  feed(text: string): void {
    let from = 0
    // Only the new piece is searched, so that a head that comes byte by byte costs no more than one that does not.
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', from)) {
      const line = this.#line + text.slice(from, end)
      this.#line = ''
      this.byteCount += end + 1 - from
      from = end + 1
      this.#endLine(line)
      if (this.isComplete || this.problem !== null) return
    }
    this.#line += text.slice(from)
    this.byteCount += text.length - from
    if (this.byteCount > responseHeadBytesMax) this.problem = 'it is larger than 32 K'
  }

  #endLine(line: string): void {
    if (this.byteCount > responseHeadBytesMax) this.problem = 'it is larger than 32 K'
    else if (!line.endsWith('\r')) this.problem = 'a line does not end in CRLF'
    else if (this.#isStatusLineNext) this.#readStatusLine(line.slice(0, -1))
    else if (line === '\r') this.#endHead()
    else if (!fieldLine.test(line.slice(0, -1))) this.problem = 'a header field is not valid'
  }

  #readStatusLine(line: string): void {
    const match = statusLine.exec(line)
    if (match === null) {
      this.problem = 'the status line is not valid HTTP/1.1'
      return
    }
    this.statusCode = Number(match[1])
    this.#isStatusLineNext = false
  }

  /** Interim responses announce another head; a 101 is the last one of its connection that is HTTP. */
  #endHead(): void {
    const isInterim = this.statusCode < 200 && this.statusCode !== 101
    if (isInterim) this.#isStatusLineNext = true
    else this.isComplete = true
  }
}
