/**
 * Frames of HTTP/2 as bytes and as text, made and read without the codec, and a session whose every event is written
 * down.
 */

import { FieldBlock } from '../../src/http/h2/field-block.ts'
import { FieldDecoder } from '../../src/http/h2/field-decoder.ts'
import { type H2Bounds, H2Error, type H2Handler, H2Session, type H2Stream } from '../../src/http/h2.ts'
import { fieldsOf, usualBounds } from './h2-endpoint.ts'

export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

const typeNames = [
  ...['DATA', 'HEADERS', 'PRIORITY', 'RST_STREAM', 'SETTINGS', 'PUSH_PROMISE', 'PING', 'GOAWAY'],
  ...['WINDOW_UPDATE', 'CONTINUATION'],
] as const
export type FrameName = (typeof typeNames)[number]

export const END_STREAM = 1
export const ACK = 1
export const END_HEADERS = 4
export const PADDED = 8
export const PRIORITY = 0x20

export function frame(type: FrameName | number, flags: number, id: number, payload: Buffer | string = ''): Buffer {
  const bytes = Buffer.from(payload)
  const head = Buffer.alloc(9)
  head.writeUIntBE(bytes.length, 0, 3)
  head[3] = typeof type === 'number' ? type : typeNames.indexOf(type)
  head[4] = flags
  head.writeUInt32BE(id, 5)
  return Buffer.concat([head, bytes])
}

export type Fields = readonly (readonly [name: string, value: string])[]

/** HPACK in its plainest form: every field in full, without Huffman code, for no table. */
export function literals(fields: Fields): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), plainString(name), plainString(value)]))
}

export function plainString(text: string): Buffer {
  return Buffer.concat([integer(0, 7, text.length), Buffer.from(text, 'latin1')])
}

/** RFC 7541, section 5.1. */
export function integer(flags: number, bits: number, value: number): Buffer {
  const most = 2 ** bits - 1
  if (value < most) return Buffer.of(flags | value)
  const bytes = [flags | most]
  let rest = value - most
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push(128 + (rest % 128))
  return Buffer.from([...bytes, rest])
}

export const get: Fields = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':authority', 'a'],
  [':path', '/'],
]
export const post: Fields = [[':method', 'POST'], ...get.slice(1)]
export const ok: Fields = [[':status', '200']]

export function headers(id: number, fields: Fields, flags = 0): Buffer {
  return frame('HEADERS', END_HEADERS | flags, id, literals(fields))
}

export function data(id: number, text: Buffer | string, flags = 0): Buffer {
  return frame('DATA', flags, id, text)
}

/** @param padding how much of it is said to follow, and how much does */
export function padded(type: FrameName, flags: number, id: number, payload: Buffer | string, padding: number): Buffer {
  return frame(
    type,
    flags | PADDED,
    id,
    Buffer.concat([Buffer.of(padding), Buffer.from(payload), Buffer.alloc(padding)]),
  )
}

export function settings(...pairs: readonly (readonly [setting: number, value: number])[]): Buffer {
  return frame(
    'SETTINGS',
    0,
    0,
    Buffer.concat(pairs.map(([setting, value]) => Buffer.concat([u16(setting), u32(value)]))),
  )
}

export function rstStream(id: number, code: number): Buffer {
  return frame('RST_STREAM', 0, id, u32(code))
}

export function windowUpdate(id: number, increment: number): Buffer {
  return frame('WINDOW_UPDATE', 0, id, u32(increment))
}

export function goAway(lastId: number, code: number): Buffer {
  return frame('GOAWAY', 0, 0, Buffer.concat([u32(lastId), u32(code)]))
}

function u16(value: number): Buffer {
  return Buffer.of(value >>> 8, value & 0xff)
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** What every client begins with. */
export const hello = Buffer.concat([preface, settings()])

export type Frame = { readonly type: string; readonly flags: number; readonly id: number; readonly payload: Buffer }

export function readFrames(bytes: Buffer): readonly Frame[] {
  const frames: Frame[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUIntBE(at, 3)
    const payload = bytes.subarray(at + 9, at + 9 + length)
    if (payload.length < length) throw new Error('a frame is cut short')
    frames.push({ type: typeNames[bytes[at + 3]!]!, flags: bytes[at + 4]!, id: bytes.readUInt32BE(at + 5), payload })
    at += 9 + length
  }
  return frames
}

/** Frames as lines; their blocks of fields are those of one connection, in order. */
export class FrameTeller {
  readonly #decoder = new FieldDecoder()
  #blocks: Buffer[] = []

  tell({ type, flags, id, payload }: Frame): string {
    const end = (flags & END_STREAM) !== 0 ? ' end' : ''
    switch (type) {
      case 'DATA':
        return `DATA ${id}${end} ${payload.length > 40 ? `${payload.length} bytes` : JSON.stringify(`${payload}`)}`
      case 'HEADERS':
      case 'CONTINUATION':
        this.#blocks.push(payload)
        return `${type} ${id}${end}${(flags & END_HEADERS) !== 0 ? this.#fields() : ' …'}`
      case 'RST_STREAM':
        return `${type} ${id} ${codeName(payload.readUInt32BE())}`
      case 'SETTINGS':
        return (flags & ACK) !== 0 ? 'SETTINGS ack' : `SETTINGS ${settingsOf(payload).join(' ')}`.trimEnd()
      case 'PING':
        return `PING${(flags & ACK) !== 0 ? ' ack' : ''} ${payload}`
      case 'GOAWAY':
        return `GOAWAY ${payload.readUInt32BE()} ${codeName(payload.readUInt32BE(4))}`
      case 'WINDOW_UPDATE':
        return `WINDOW_UPDATE ${id} ${payload.readUInt32BE()}`
      default:
        return `${type} ${id} ${payload.toString('hex')}`
    }
  }

  #fields(): string {
    const block = Buffer.concat(this.#blocks)
    this.#blocks = []
    const fields = new FieldBlock()
    if (!this.#decoder.decode(block, 0, block.length, fields, usualBounds)) return ' not HPACK'
    return ` ${linesOf(fields)}`
  }
}

function settingsOf(payload: Buffer): readonly string[] {
  return Array.from({ length: payload.length / 6 }, (_, i) => {
    return `${payload.readUInt16BE(i * 6)}=${payload.readUInt32BE(i * 6 + 2)}`
  })
}

function linesOf(fields: FieldBlock): string {
  return fieldsOf(fields)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
}

export function codeName(code: number): string {
  return Object.entries(H2Error).find(([, value]) => value === code)?.[0] ?? `${code}`
}

export type Act = Partial<H2Handler<string>>

/** A session, what it told its owner, and what it sent. */
export class Recorder {
  readonly session: H2Session<string>
  readonly events: string[] = []
  readonly sent: string[] = []
  sentBytes = 0
  /** Of what is read next. */
  now = 0
  /** Whether what is sent is taken at once. */
  takes = true
  /** How often it was told that there is something to be sent. */
  told = 0
  readonly #teller = new FrameTeller()

  constructor(
    role: 'server' | 'client',
    act: (recorder: Recorder) => Act = () => ({}),
    bounds: Partial<H2Bounds> = {},
  ) {
    this.session = new H2Session(
      role,
      this.#handler(() => act(this)),
      { ...usualBounds, ...bounds },
    )
  }

  #handler(act: () => Act): H2Handler<string> {
    return {
      onOutput: () => {
        this.told++
        if (this.takes) this.take()
      },
      onHead: (stream, fields, isEnd, now) => {
        const fault = fields.fault === null ? '' : ` ${fields.fault}: ${fields.faultText}`
        this.events.push(`head ${stream.id}${isEnd ? ' end' : ''} ${linesOf(fields)}${fault}`)
        act().onHead?.(stream, fields, isEnd, now)
      },
      onTrailers: (stream, fields, now) => {
        this.events.push(`trailers ${stream.id} ${linesOf(fields)}${fields.fault === null ? '' : ` ${fields.fault}`}`)
        act().onTrailers?.(stream, fields, now)
      },
      onData: (stream, bytes, from, to, isEnd, now) => {
        const last = this.events.at(-1) ?? ''
        const before =
          last.startsWith(`data ${stream.id} `) && !last.endsWith(' end') ? this.events.pop()! : `data ${stream.id} `
        this.events.push(`${before}${bytes.toString('latin1', from, to)}${isEnd ? ' end' : ''}`)
        act().onData?.(stream, bytes, from, to, isEnd, now)
      },
      onReset: (stream, code, byPeer, now) => {
        const why = byPeer ? 'by peer' : stream.resetText
        this.events.push(`reset ${stream.id} ${codeName(code)} ${why}`.trimEnd())
        act().onReset?.(stream, code, byPeer, now)
      },
      onStreamDrained: (stream, now) => {
        this.events.push(`drained ${stream.id}`)
        act().onStreamDrained?.(stream, now)
      },
      onGoAway: (lastId, code, now) => {
        this.events.push(`goaway ${lastId} ${codeName(code)}`)
        act().onGoAway?.(lastId, code, now)
      },
      onSessionError: (code, text, now) => {
        this.events.push(`error ${codeName(code)}: ${text}`)
        act().onSessionError?.(code, text, now)
      },
    }
  }

  /** Takes what stands in `out`, as an owner does. */
  take(): void {
    const { out } = this.session
    this.sentBytes += out.length
    for (const frame of readFrames(Buffer.from(out.bytes.subarray(0, out.length))))
      this.sent.push(this.#teller.tell(frame))
    out.length = 0
  }

  /** Takes it, and says that the socket holds no more of it than it should. */
  flush(): void {
    this.take()
    this.session.isBlocked = false
  }

  /** Bytes arrive in a buffer that is full of something else, and is overwritten afterwards. */
  read(bytes: Buffer, cuts: readonly number[] = []): void {
    let from = 0
    for (const to of [...cuts, bytes.length]) {
      const margin = from % 3
      const arrived = Buffer.alloc(to - from + 2 * margin, '\r\n')
      bytes.copy(arrived, margin, from, to)
      this.session.read(arrived, margin, margin + to - from, this.now)
      arrived.fill(0xff)
      from = to
    }
  }

  send(id: number, fields: Fields, isEnd = false): void {
    const stream = this.stream(id)
    const out = this.session.beginHead()
    const block = literals(fields)
    out.reserve(block.length)
    out.copy(block, 0, block.length)
    this.session.endHead(stream, isEnd)
  }

  sendData(id: number, bytes: Buffer | string, isEnd = false): void {
    const buffer = Buffer.from(bytes)
    this.session.sendData(this.stream(id), buffer, 0, buffer.length, isEnd)
    buffer.fill(0xff)
  }

  stream(id: number): H2Stream<string> {
    const stream = this.session.streams.get(id)
    if (stream === undefined) throw new Error(`no stream ${id} is open`)
    return stream
  }
}
