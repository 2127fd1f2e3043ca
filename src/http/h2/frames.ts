/** Frames as they stand on the wire (RFC 9113, sections 3.4, 4 and 6). */

import type { ByteWriter } from '../../base/byte-writer.ts'

export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

export const Flag = { ack: 0x1, endStream: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const

export const Setting = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
} as const

/** What a client begins with. */
export const preface: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

export const frameHeadBytes = 9
/** The least that everybody takes. We announce no more, and send no larger ones to those who would take them. */
export const framePayloadMax = 16_384
export const maxFrameSizeMax = 0xffffff
/** What every window begins with, until settings say otherwise. */
export const defaultWindowBytes = 65_535
export const windowBytesMax = 0x7fffffff
/** What every table of fields begins with, until settings say otherwise (RFC 9113, section 6.5.2). */
export const defaultTableBytes = 4096

/** There must be room for the frame. */
export function writeFrameHead(out: ByteWriter, length: number, type: number, flags: number, streamId: number): void {
  const { bytes } = out
  const at = out.length
  bytes[at] = length >>> 16
  bytes[at + 1] = length >>> 8
  bytes[at + 2] = length
  bytes[at + 3] = type
  bytes[at + 4] = flags
  bytes[at + 5] = streamId >>> 24
  bytes[at + 6] = streamId >>> 16
  bytes[at + 7] = streamId >>> 8
  bytes[at + 8] = streamId
  out.length = at + frameHeadBytes
}

/** Without the reserved bit. */
export function readUint31(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! & 0x7f) << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
}
