/** Makes of good and bad messages worse ones. */

import type { Random } from './random.ts'

const tokens = [
  ...['\r\n', '\r', '\n', '\r\n\r\n', ' ', '\t', ':', ';', ',', '\0', '\x7f', '\x80', '\xa0', '\xff', '0\r\n\r\n'],
  ...['0', '5', 'f', '-', '+', '0x', 'fffffffffffff', '00000000000000', '9'.repeat(20), '5\r\nhello\r\n'],
  ...['GET / HTTP/1.1\r\n', 'HTTP/1.1 200 OK\r\n', 'HTTP/1.0', 'HTTP/2.0', 'Host: a\r\n', 'Expect: 100-continue\r\n'],
  ...[
    'Content-Length: 5\r\n',
    'Content-Length: 0\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Transfer-Encoding: gzip\r\n',
  ],
  ...[
    'Transfer_Encoding: chunked\r\n',
    'Content-Length : 5\r\n',
    '\r\n fold\r\n',
    '\r\n\tContent-Length: 5\r\n',
    ': x\r\n',
  ],
  ...[
    '\x0b',
    '\x0c',
    '\x85',
    '\x1e',
    '%0a',
    'a@b: c\n',
    'X-\xc4\xb1: y\r\n',
    ' HTTP/1.1',
    ' HTTP/0.9',
    '\nHost: b\n',
    '\rX: y\r',
  ],
  ...['Connection: close\r\n', 'Connection: upgrade\r\n', 'Upgrade: websocket\r\n', 'chunked', 'identity', ';a="b"'],
].map(text => Buffer.from(text, 'latin1'))

export const mutatedBytesMax = 4096

/** @param corpus what is spliced in, beside tokens of the protocol */
export function mutate(original: Buffer, corpus: readonly Buffer[], random: Random): Buffer {
  let bytes: Buffer = Buffer.from(original)
  for (let i = random.below(1 + random.below(4)); i >= 0; i--) bytes = mutateOnce(bytes, corpus, random)
  return bytes.subarray(0, mutatedBytesMax)
}

function mutateOnce(bytes: Buffer, corpus: readonly Buffer[], random: Random): Buffer {
  const at = random.below(bytes.length + 1)
  const to = Math.min(bytes.length, at + random.below(random.below(2) === 0 ? 4 : 64))
  const [before, slice, after] = [bytes.subarray(0, at), bytes.subarray(at, to), bytes.subarray(to)]
  switch (random.below(7)) {
    case 0:
      if (at < bytes.length) bytes[at]! ^= 1 << random.below(8)
      return bytes
    case 1: // a cut
      return Buffer.concat([before, after])
    case 2: // a piece again, perhaps many times
      return Buffer.concat([before, ...Array(1 + random.below(8)).fill(slice), slice, after])
    case 3: {
      const token = random.pick(tokens)
      return Buffer.concat([before, ...Array(1 + random.below(3)).fill(token), after])
    }
    case 4: // a piece moved elsewhere
      return Buffer.concat([slice, before, after])
    case 5: {
      const other = random.pick(corpus)
      return Buffer.concat([before, other.subarray(random.below(other.length + 1))])
    }
    default:
      if (at < bytes.length) bytes[at] = random.below(256)
      return bytes
  }
}

/** Up to seven positions to cut at, ascending. */
export function randomCuts(length: number, random: Random): readonly number[] {
  const cuts = Array.from({ length: 1 + random.below(7) }, () => random.below(length + 1))
  return cuts.sort((a, b) => a - b)
}
