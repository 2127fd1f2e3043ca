/** What ends a session, or a stream: the code that the peer is told, and what was expected of it, for the log. */

import { H2Error } from './errors.ts'
import { Flag, FrameType, framePayloadMax } from './frames.ts'

export type H2Fault = { readonly code: number; readonly text: string }

export const h2Faults = {
  preface: { code: H2Error.protocolError, text: 'a client must begin with the preface of HTTP/2' },
  settingsFirst: { code: H2Error.protocolError, text: 'SETTINGS must come first' },
  frameLength: { code: H2Error.frameSizeError, text: 'a frame must have a length that its type allows' },
  frameStream: { code: H2Error.protocolError, text: 'a frame must name a stream where its type does, and only there' },
  padding: { code: H2Error.protocolError, text: 'padding must be shorter than the frame' },
  push: { code: H2Error.protocolError, text: 'nothing must be pushed' },
  interleaved: { code: H2Error.protocolError, text: 'a header block must be complete before anything else comes' },
  continuation: { code: H2Error.protocolError, text: 'CONTINUATION must follow a header block that is not complete' },
  selfDependency: { code: H2Error.protocolError, text: 'a stream must not depend on itself' },
  compression: { code: H2Error.compressionError, text: 'a header block must be valid HPACK' },
  streamId: { code: H2Error.protocolError, text: 'a new stream must have an odd number above those before' },
  idleStream: { code: H2Error.protocolError, text: 'a stream must begin with a head' },
  closedStream: { code: H2Error.streamClosed, text: 'nothing must follow the end of a stream' },
  setting: { code: H2Error.protocolError, text: 'a setting must have a value that it may have' },
  windowSize: { code: H2Error.flowControlError, text: 'a window must stay below 2^31 bytes' },
  windowIncrement: { code: H2Error.protocolError, text: 'a window must be widened by at least one byte' },
  windowExceeded: { code: H2Error.flowControlError, text: 'no more data must be sent than the connection allows' },
  streamWindowExceeded: { code: H2Error.flowControlError, text: 'no more data must be sent than the stream allows' },
  blockBytes: { code: H2Error.enhanceYourCalm, text: 'a header block is too long' },
  blockFrames: { code: H2Error.enhanceYourCalm, text: 'a header block comes in too many frames' },
  overhead: { code: H2Error.enhanceYourCalm, text: 'too many frames for what they carry' },
  resets: { code: H2Error.enhanceYourCalm, text: 'streams are reset too often' },
  replies: { code: H2Error.enhanceYourCalm, text: 'too many answers wait to be read' },
} as const satisfies Record<string, H2Fault>

/** What the head of a frame tells by itself, before any of its payload has come. */
export function faultOfShape(type: number, flags: number, length: number, streamId: number): H2Fault | null {
  if (length > framePayloadMax) return h2Faults.frameLength
  switch (type) {
    case FrameType.data:
    case FrameType.headers:
    case FrameType.continuation:
      if (streamId === 0) return h2Faults.frameStream
      return length < leastLength(type, flags) ? h2Faults.frameLength : null
    case FrameType.priority:
      return fixedShape(length === 5, streamId !== 0)
    case FrameType.rstStream:
      return fixedShape(length === 4, streamId !== 0)
    case FrameType.windowUpdate:
      return fixedShape(length === 4, true)
    case FrameType.settings:
      return fixedShape((flags & Flag.ack) === 0 ? length % 6 === 0 : length === 0, streamId === 0)
    case FrameType.ping:
      return fixedShape(length === 8, streamId === 0)
    case FrameType.goAway:
      return fixedShape(length >= 8, streamId === 0)
    case FrameType.pushPromise:
      return h2Faults.push
    default:
      return null
  }
}

function fixedShape(hasLength: boolean, hasPlace: boolean): H2Fault | null {
  if (!hasPlace) return h2Faults.frameStream
  return hasLength ? null : h2Faults.frameLength
}

/** What stands before the payload proper: the length of the padding, and of HEADERS a priority. */
function leastLength(type: number, flags: number): number {
  if (type === FrameType.continuation) return 0
  const padding = (flags & Flag.padded) === 0 ? 0 : 1
  return type === FrameType.headers && (flags & Flag.priority) !== 0 ? padding + 5 : padding
}
