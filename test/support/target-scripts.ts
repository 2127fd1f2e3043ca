/** What targets do in the field, as scripts for `startTarget`. */
import type { ReceivedRequest, Script, TargetConnection } from './misbehaving-target.ts'

/** Answers every request on a connection that it keeps. `headers` are whole field lines. */
export function answering(status = 200, body = '', headers: readonly string[] = []): Script {
  return async connection => {
    for (let request = await connection.readRequest(); request !== null; request = await connection.readRequest()) {
      await connection.send(response(status, request.method === 'HEAD' ? null : body, headers, body.length))
    }
  }
}

/** Answers with the head of the request, as received, in the body. */
export const echo: Script = async connection => {
  for (let request = await connection.readRequest(); request !== null; request = await connection.readRequest()) {
    const isHead = request.method === 'HEAD'
    await connection.send(
      response(200, isHead ? null : request.head, ['Content-Type: text/plain'], request.head.length),
    )
  }
}

/** Answers each request with its target, as the body. */
export const tellsUri: Script = async connection => {
  for (let request = await connection.readRequest(); request !== null; request = await connection.readRequest()) {
    const [, uri] = request.head.split(' ', 2)
    await connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${uri!.length}\r\n\r\n${uri}`)
  }
}

/** Reads all that comes, says nothing, and waits for the other side to give up. */
export const neverAnswers: Script = async connection => {
  await connection.readRequest()
  await connection.drain()
}

/** Accepts and reads nothing, so that a sender feels backpressure. */
export const neverReads: Script = connection => connection.stall()

export const closesBeforeAnswer: Script = async connection => {
  await connection.readRequest()
}

export const resetsBeforeAnswer: Script = async connection => {
  await connection.readRequest()
  connection.reset()
}

/** Answers the first request, then closes: a keep-alive timeout shorter than the load balancer's idle timeout. */
export function answersThenCloses(status = 200, body = ''): Script {
  return async connection => {
    if ((await connection.readRequest()) !== null) await connection.send(response(status, body))
  }
}

/** Answers the first request and resets when a second arrives: the race of a reused connection with its closing. */
export function resetsWhenReused(status = 200, body = ''): Script {
  return async connection => {
    if ((await connection.readRequest()) === null) return
    await connection.send(response(status, body))
    if ((await connection.readRequest()) !== null) connection.reset()
  }
}

/** Answers as soon as the connection is open, before anything was asked. */
export function answersUnasked(status = 200, body = ''): Script {
  return async connection => {
    await connection.send(response(status, body))
    await connection.drain()
  }
}

/** Answers with something that is not HTTP. */
export function garbage(bytes: string | Uint8Array = '\x00\x01 this is not HTTP\r\n\r\n'): Script {
  return sendsAfterRequest(() => bytes)
}

/** Answers 200 with a head of exactly `bytes` bytes, its empty line included. */
export function hugeHead(bytes: number, body = ''): Script {
  const start = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nX-Padding: `
  const end = '\r\n\r\n'
  return sendsAfterRequest(() => start + 'a'.repeat(bytes - start.length - end.length) + end + body)
}

/** Promises a body of `promised` bytes and closes after `sent`. */
export function truncatedBody(promised: number, sent: number): Script {
  return async connection => {
    if ((await connection.readRequest()) !== null) await connection.send(beginning(promised, sent))
  }
}

/** Promises a body of `promised` bytes and falls silent after `sent`, the connection open. */
export function stalledBody(promised: number, sent: number): Script {
  return sendsAfterRequest(() => beginning(promised, sent))
}

/** Sends chunks and closes without the last one, of size 0. */
export function truncatedChunks(chunks: readonly string[]): Script {
  return async connection => {
    if ((await connection.readRequest()) === null) return
    await connection.send(`${chunkedHead}${chunks.map(chunk).join('')}`)
  }
}

/** Sends a chunked body, asking `next` for when to send each piece; the test thus sets the pace, not a timer. */
export function slowBody(pieces: readonly string[], next: (index: number) => Promise<void>): Script {
  return async connection => {
    for (let request = await connection.readRequest(); request !== null; request = await connection.readRequest()) {
      await connection.send(chunkedHead)
      for (const [index, piece] of pieces.entries()) {
        await next(index)
        await connection.send(chunk(piece))
      }
      await connection.send('0\r\n\r\n')
    }
  }
}

/** The answer to one request, as bytes the test writes itself; then waits for the other side to close. */
export function sendsAfterRequest(answer: (request: ReceivedRequest) => string | Uint8Array): Script {
  return async connection => {
    const request = await connection.readRequest()
    if (request === null) return
    await connection.send(answer(request))
    await connection.drain()
  }
}

/** The first connection follows the first script and so on; the last script serves all further ones. */
export function inTurn(first: Script, ...others: readonly Script[]): Script {
  const scripts = [first, ...others]
  return (connection: TargetConnection) => (scripts[connection.number - 1] ?? scripts.at(-1) ?? first)(connection)
}

const chunkedHead = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'

function chunk(data: string): string {
  return `${Buffer.byteLength(data, 'latin1').toString(16)}\r\n${data}\r\n`
}

function beginning(promised: number, sent: number): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${promised}\r\n\r\n${'a'.repeat(sent)}`
}

function response(
  status: number,
  body: string | null,
  headers: readonly string[] = [],
  length = body?.length ?? 0,
): string {
  const fields = [...headers, `Content-Length: ${length}`]
  return `HTTP/1.1 ${status} Scripted\r\n${fields.join('\r\n')}\r\n\r\n${body ?? ''}`
}
