/** Makes of good sequences of HTTP/2 frames worse ones. */

import {
  ACK,
  data,
  END_HEADERS,
  END_STREAM,
  type Fields,
  frame,
  get,
  goAway,
  headers,
  integer,
  literals,
  ok,
  PADDED,
  PRIORITY,
  padded,
  plainString,
  post,
  rstStream,
  settings,
  u32,
  windowUpdate,
} from '../support/h2-frames.ts'
import type { Random } from './random.ts'

const ids = [0, 1, 3, 5, 7, 2, 2 ** 31 - 1]
const values = [0, 1, 2, 100, 16_383, 16_384, 65_535, 65_536, 2 ** 24, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]

/** Blocks in all representations, some of which refer to what others have put into the table. */
const blocks: readonly Buffer[] = [
  literals(get),
  literals(post),
  literals(ok),
  literals([...post, ['content-length', '5']]),
  literals([['grpc-status', '0']]),
  Buffer.concat([literals(get), Buffer.of(0x40), plainString('cookie'), plainString('a=b')]),
  Buffer.concat([literals(get), Buffer.of(0xbe)]),
  Buffer.concat([integer(0x20, 5, 0), integer(0x20, 5, 4096), literals(get)]),
  Buffer.from('828684418cf1e3c2e5f23a6ba0ab90f4ff', 'hex'),
  Buffer.from('8286845886a8eb10649cbf', 'hex'),
]

/** What clients, or targets, may well send. */
export function goodFrames(role: 'server' | 'client'): readonly (readonly Buffer[])[] {
  const head: Fields = role === 'server' ? post : ok
  const lone: Fields = role === 'server' ? get : ok
  const block = literals(head)
  return [
    [settings(), headers(1, lone, END_STREAM)],
    [
      settings([4, 10], [3, 5]),
      headers(1, head),
      data(1, 'hello'),
      data(1, '', END_STREAM),
      headers(3, lone, END_STREAM),
    ],
    [settings([1, 0]), headers(1, head), data(1, 'hello'), headers(1, [['a', 'b']], END_STREAM), goAway(0, 0)],
    [
      settings(),
      frame('PING', 0, 0, '12345678'),
      headers(1, lone),
      windowUpdate(0, 5),
      windowUpdate(1, 5),
      rstStream(1, 8),
    ],
    [
      settings(),
      frame('HEADERS', 0, 1, block.subarray(0, 9)),
      frame('CONTINUATION', 0, 1, block.subarray(9, 20)),
      frame('CONTINUATION', END_HEADERS, 1, block.subarray(20)),
      padded('DATA', 0, 1, 'hello', 7),
      padded('DATA', END_STREAM, 1, '', 3),
    ],
    [
      settings([5, 16_384]),
      headers(1, head),
      headers(3, head),
      headers(5, lone, END_STREAM),
      data(3, 'x', END_STREAM),
      data(1, 'y'),
    ],
    [
      settings(),
      frame('PRIORITY', 0, 3, Buffer.concat([u32(1), Buffer.of(9)])),
      frame('HEADERS', END_HEADERS | PRIORITY, 1, Buffer.concat([u32(0), Buffer.of(9), block])),
      data(1, 'hello', END_STREAM),
    ],
  ]
}

export function mutateFrames(original: readonly Buffer[], random: Random): readonly Buffer[] {
  let frames = [...original]
  for (let i = random.below(1 + random.below(4)); i >= 0; i--) frames = mutateOnce(frames, random)
  return frames
}

function mutateOnce(frames: readonly Buffer[], random: Random): Buffer[] {
  const at = random.below(frames.length + 1)
  const [before, after] = [frames.slice(0, at), frames.slice(at)]
  const [first, ...rest] = after
  switch (random.below(7)) {
    case 0:
      return [...before, anyFrame(random), ...after]
    case 1:
      return [...before, ...rest]
    case 2: // a frame again, perhaps many times
      return [...before, ...Array(1 + random.below(4)).fill(first ?? anyFrame(random)), ...after]
    case 3: // a frame moved elsewhere
      return first === undefined ? [...before] : [...rest, first, ...before]
    case 4: // another stream
      return first === undefined ? [...before] : [...before, withByte(first, 8, random.pick(ids)), ...rest]
    case 5: // other flags
      return first === undefined ? [...before] : [...before, withByte(first, 4, random.below(256)), ...rest]
    default:
      return first === undefined
        ? [...before]
        : [...before, withByte(first, random.below(first.length), random.below(256)), ...rest]
  }
}

function withByte(frame: Buffer, at: number, byte: number): Buffer {
  const copy = Buffer.from(frame)
  copy[at] = byte
  return copy
}

function anyFrame(random: Random): Buffer {
  const id = random.pick(ids)
  const flags = random.pick([0, 0, END_STREAM, END_HEADERS, END_HEADERS | END_STREAM, PADDED, PRIORITY, ACK, 0xff])
  const bytes = Buffer.from(Array.from({ length: random.below(20) }, () => random.below(256)))
  switch (random.below(10)) {
    case 0:
      return frame('HEADERS', flags, id, random.pick(blocks))
    case 1:
      return frame('CONTINUATION', flags, id, random.pick(blocks))
    case 2:
      return frame('DATA', flags, id, bytes)
    case 3:
      return rstStream(id, random.pick(values))
    case 4:
      return windowUpdate(id, random.pick(values))
    case 5:
      return settings([1 + random.below(6), random.pick(values)], [1 + random.below(6), random.pick(values)])
    case 6:
      return goAway(id, random.below(14))
    case 7:
      return frame('PRIORITY', flags, id, Buffer.concat([u32(random.pick(ids)), Buffer.of(1)]))
    case 8:
      return frame('HEADERS', END_HEADERS | (flags & END_STREAM), id, Buffer.concat([random.pick(blocks), bytes]))
    default:
      return frame(random.below(12), flags, id, bytes)
  }
}
