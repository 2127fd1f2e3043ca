/**
 * Reads HTTP/1.1 messages off a socket, for the client and the target of the tests. On purpose simple and apart from
 * the product's own codec: a test that used the same code for both sides would believe its own mistakes.
 */
import type { Socket } from 'node:net'
import { deadlineMs, within } from './deadline.ts'

export type Message = {
  readonly startLine: string
  /** Field lines as they came, without their CRLF. */
  readonly headers: readonly string[]
  /** The body with any chunking taken off. */
  readonly body: Buffer
  readonly trailers: readonly string[]
  /** Everything as it was on the wire. */
  readonly raw: Buffer
}

export type Framing = 'none' | 'close' | 'chunked' | number

/** How the peer ended its side: with a FIN, or with a reset (or another failure of the socket). */
export type Ending = 'fin' | 'reset'

/** The peer ended before what was awaited was complete. */
export class EndedEarly extends Error {
  override readonly name = 'EndedEarly'
  readonly ending: Ending
  /** What of the message had come. */
  readonly received: Buffer

  constructor(awaited: string, ending: Ending, received: Buffer) {
    super(`${ending === 'fin' ? 'the peer closed' : 'the peer reset'} before ${awaited}; ${describe(received)}`)
    this.ending = ending
    this.received = received
  }
}

export class MessageReader {
  readonly #socket: Socket
  readonly #limitMs: number | null
  #ending: Ending | null = null
  #wake: () => void = () => {}
  /** Received and not yet part of a message that was returned. */
  #bytes: Buffer = Buffer.alloc(0)

  /** @param limitMs how long a single wait may take; null for a target, which waits as long as there is a peer */
  constructor(socket: Socket, limitMs: number | null = deadlineMs) {
    this.#socket = socket
    this.#limitMs = limitMs
    const ended = (ending: Ending) => {
      this.#ending ??= ending
      this.#wake()
    }
    socket.on('readable', () => this.#wake())
    socket.on('end', () => ended('fin'))
    socket.on('error', () => ended('reset'))
    socket.on('close', () => ended('fin'))
  }

  /** @param framing decides from the head how the body ends */
  async readMessage(
    awaited: string,
    framing: (startLine: string, headers: readonly string[]) => Framing,
  ): Promise<Message> {
    const headEnd = await this.#find('\r\n\r\n', 0, `the head of ${awaited}`)
    const [startLine = '', ...headers] = this.#bytes.toString('latin1', 0, headEnd).split('\r\n')
    const bodyStart = headEnd + 4
    const how = framing(startLine, headers)
    const found = await this.#readBody(how, bodyStart, `the body of ${awaited}`)
    return { startLine, headers, body: found.body, trailers: found.trailers, raw: this.#take(found.end) }
  }

  async readBytes(size: number, awaited: string): Promise<Buffer> {
    await this.#atLeast(size, awaited)
    return this.#take(size)
  }

  /** Everything until the peer ends its side. */
  async readToEnd(awaited: string): Promise<{ readonly bytes: Buffer; readonly ending: Ending }> {
    while (await this.#more(awaited));
    return { bytes: this.#take(this.#bytes.length), ending: this.#ending ?? 'fin' }
  }

  /** False when the peer ended its side without another byte. */
  async hasMore(awaited: string): Promise<boolean> {
    return this.#bytes.length > 0 || (await this.#more(awaited))
  }

  async #readBody(framing: Framing, from: number, awaited: string) {
    const none: readonly string[] = []
    if (framing === 'none') return { body: Buffer.alloc(0), trailers: none, end: from }
    if (framing === 'chunked') return this.#readChunks(from, awaited)
    if (framing === 'close') {
      while (await this.#more(awaited));
      if (this.#ending === 'reset') throw this.#endedEarly(awaited)
    } else {
      await this.#atLeast(from + framing, awaited)
    }
    const end = framing === 'close' ? this.#bytes.length : from + framing
    return { body: Buffer.from(this.#bytes.subarray(from, end)), trailers: none, end }
  }

  async #readChunks(from: number, awaited: string) {
    const pieces: Buffer[] = []
    let at = from
    for (;;) {
      const lineEnd = await this.#find('\r\n', at, `a chunk size in ${awaited}`)
      const line = this.#bytes.toString('latin1', at, lineEnd)
      if (!/^[0-9a-fA-F]+(;.*)?$/.test(line)) throw new Error(`not a chunk size in ${awaited}: ${JSON.stringify(line)}`)
      const size = Number.parseInt(line, 16)
      at = lineEnd + 2
      if (size === 0) break
      await this.#atLeast(at + size + 2, awaited)
      pieces.push(this.#bytes.subarray(at, at + size))
      at += size + 2
    }
    const trailers: string[] = []
    for (;;) {
      const lineEnd = await this.#find('\r\n', at, `the end of ${awaited}`)
      const line = this.#bytes.toString('latin1', at, lineEnd)
      at = lineEnd + 2
      if (line === '') return { body: Buffer.concat(pieces), trailers, end: at }
      trailers.push(line)
    }
  }

  async #find(text: string, from: number, awaited: string): Promise<number> {
    for (;;) {
      const at = this.#bytes.indexOf(text, from, 'latin1')
      if (at !== -1) return at
      if (!(await this.#more(awaited))) throw this.#endedEarly(awaited)
    }
  }

  async #atLeast(length: number, awaited: string): Promise<void> {
    while (this.#bytes.length < length) {
      if (!(await this.#more(awaited))) throw this.#endedEarly(awaited)
    }
  }

  /** Pulls what the socket has, waiting when that is nothing; false at the end. Nobody pulls, nothing is read: backpressure. */
  async #more(awaited: string): Promise<boolean> {
    for (;;) {
      const chunk: Buffer | null = this.#socket.read()
      if (chunk !== null) {
        this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
        return true
      }
      if (this.#ending !== null) return false
      const woken = Promise.withResolvers<void>()
      this.#wake = woken.resolve
      if (this.#limitMs === null) await woken.promise
      else await within(woken.promise, () => `${awaited}; ${describe(this.#bytes)}`, this.#limitMs)
    }
  }

  #take(end: number): Buffer {
    const taken = Buffer.from(this.#bytes.subarray(0, end))
    this.#bytes = this.#bytes.subarray(end)
    return taken
  }

  #endedEarly(awaited: string): EndedEarly {
    return new EndedEarly(awaited, this.#ending ?? 'fin', this.#take(this.#bytes.length))
  }
}

/** The value of the first field of that name, trimmed. */
export function fieldValue(headers: readonly string[], name: string): string | null {
  const prefix = `${name.toLowerCase()}:`
  const line = headers.find(header => header.toLowerCase().startsWith(prefix))
  return line === undefined ? null : line.slice(prefix.length).trim()
}

function describe(bytes: Buffer): string {
  if (bytes.length === 0) return 'nothing had come'
  const shown = JSON.stringify(bytes.toString('latin1', 0, 200))
  return `${bytes.length} bytes had come: ${shown}${bytes.length > 200 ? '…' : ''}`
}
