/** Valid requests, made at random, and how they are written. */

import fc from 'fast-check'
import { tokenByte, valueByte } from '../../src/http/tables.ts'

export type Body =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly data: Buffer }
  | { readonly kind: 'chunked'; readonly chunks: readonly Chunk[]; readonly last: string; readonly trailers: string }

export type Chunk = {
  readonly data: Buffer
  /** As it stands before the line end: with leading zeros, in either case. */
  readonly size: string
  /** What stands behind the size: an extension with its semicolon, or nothing. */
  readonly extension: string
}

export type Message = {
  readonly method: string
  readonly target: string
  readonly fields: readonly {
    readonly name: string
    readonly value: string
    readonly before: string
    readonly after: string
  }[]
  readonly body: Body
}

function textOf(allowed: (byte: number) => boolean, options: { minLength?: number; maxLength: number }) {
  const bytes = [...Array(256).keys()].filter(allowed)
  return fc.array(fc.constantFrom(...bytes), options).map(codes => Buffer.from(codes).toString('latin1'))
}

const token = textOf(byte => tokenByte[byte] === 1, { minLength: 1, maxLength: 20 })
const blanks = fc.string({ unit: fc.constantFrom(' ', '\t'), maxLength: 3 })
const value = textOf(byte => valueByte[byte] === 1, { maxLength: 40 }).map(text => text.replace(/^[ \t]+|[ \t]+$/g, ''))
const target = textOf(byte => byte > 0x20 && byte !== 0x7f, { maxLength: 60 }).map(text => `/${text}`)
const data = fc.uint8Array({ maxLength: 80 }).map(bytes => Buffer.from(bytes))

const field = fc.record({ name: token.map(name => `X-${name}`), value, before: blanks, after: blanks })

const extension = fc.oneof(
  fc.constant(''),
  fc
    .tuple(
      blanks,
      textOf(byte => valueByte[byte] === 1, { maxLength: 20 }),
    )
    .map(([blank, text]) => `${blank};${text}`),
)

const chunk: fc.Arbitrary<Chunk> = fc
  .record({
    data: data.filter(bytes => bytes.length > 0),
    zeros: fc.nat({ max: 8 }),
    isUpper: fc.boolean(),
    extension,
  })
  .map(({ data, zeros, isUpper, extension }) => {
    const size = '0'.repeat(zeros) + data.length.toString(16)
    return { data, size: isUpper ? size.toUpperCase() : size, extension }
  })

export const chunkedBody: fc.Arbitrary<Body & { kind: 'chunked' }> = fc.record({
  kind: fc.constant('chunked' as const),
  chunks: fc.array(chunk, { maxLength: 6 }),
  last: fc.tuple(fc.constantFrom('0', '000'), extension).map(parts => parts.join('')),
  trailers: fc
    .array(fc.tuple(token, value), { maxLength: 3 })
    .map(all => all.map(pair => `${pair.join(':')}\r\n`).join('')),
})

export const message: fc.Arbitrary<Message> = fc.record({
  method: fc.oneof(fc.constantFrom('GET', 'HEAD', 'POST'), token),
  target,
  fields: fc.array(field, { maxLength: 8 }),
  body: fc.oneof(
    fc.constant({ kind: 'none' as const }),
    data.filter(bytes => bytes.length > 0).map(bytes => ({ kind: 'length' as const, data: bytes })),
    chunkedBody,
  ),
})

export function writeMessage({ method, target, fields, body }: Message): Buffer {
  const lines = [`${method} ${target} HTTP/1.1`, 'Host: a']
  if (body.kind === 'length') lines.push(`Content-Length: ${body.data.length}`)
  if (body.kind === 'chunked') lines.push('Transfer-Encoding: chunked')
  for (const { name, value, before, after } of fields) lines.push(`${name}:${before}${value}${after}`)
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), writeBody(body)])
}

export function writeBody(body: Body): Buffer {
  if (body.kind === 'none') return Buffer.alloc(0)
  return body.kind === 'length' ? body.data : writeChunks(body, true)
}

/** @param withAll also the extensions and trailers, which nobody passes on */
export function writeChunks({ chunks, last, trailers }: Body & { kind: 'chunked' }, withAll: boolean): Buffer {
  const pieces: Buffer[] = []
  const add = (text: string) => pieces.push(Buffer.from(text, 'latin1'))
  for (const { data, size, extension } of chunks) {
    add(`${size}${withAll ? extension : ''}\r\n`)
    pieces.push(data)
    add('\r\n')
  }
  add(withAll ? `${last}\r\n${trailers}\r\n` : `${/^0+/.exec(last)![0]}\r\n\r\n`)
  return Buffer.concat(pieces)
}

export function dataOf(body: Body): Buffer {
  if (body.kind === 'none') return Buffer.alloc(0)
  return body.kind === 'length' ? body.data : Buffer.concat(body.chunks.map(chunk => chunk.data))
}
