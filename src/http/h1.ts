/**
 * HTTP/1.1 on bytes: the face of the codec. A reader is fed whatever arrived and reports, in order, a head, pieces of
 * the body, the end, or a fault; how the bytes were cut makes no difference. It knows no load balancer.
 */

import { ChunkedReader } from './h1/chunked.ts'
import { BodyKind } from './h1/meaning.ts'

export { Field, fieldOf } from './h1/fields.ts'
export { Head, type HeadFault } from './h1/head.ts'
export { BodyKind } from './h1/meaning.ts'
export { readRequestMeaning, readResponseMeaning } from './h1/read-meaning.ts'
export { RequestHead } from './h1/request-head.ts'
export { ResponseHead } from './h1/response-head.ts'

/**
 * Reads one body of any kind. `spanFrom` to `spanTo` is what the last `read` found to pass on.
 */
export class BodyReader {
  spanFrom = 0
  spanTo = 0
  isDone = true
  /** Why the body cannot be read, a constant. */
  fault: string | null = null
  kind: BodyKind = BodyKind.none
  /** Bytes still to come, for `BodyKind.length`. */
  remaining = 0
  readonly #chunked = new ChunkedReader()

  /** @param keepsFraming whether spans of a chunked body are to hold its framing, ready for a chunked receiver */
  start(kind: BodyKind, contentLength: number, keepsFraming: boolean): void {
    this.kind = kind
    this.fault = null
    this.remaining = kind === BodyKind.length ? contentLength : 0
    this.isDone = kind === BodyKind.none
    if (kind === BodyKind.chunked) this.#chunked.start(keepsFraming)
  }

  /** @returns the position after what was read; call again until that is `end`, or `isDone`, or a `fault` is set */
  read(bytes: Uint8Array, at: number, end: number): number {
    switch (this.kind) {
      case BodyKind.length: {
        const next = Math.min(end, at + this.remaining)
        this.remaining -= next - at
        this.isDone = this.remaining === 0
        this.spanFrom = at
        this.spanTo = next
        return next
      }
      case BodyKind.chunked: {
        const chunked = this.#chunked
        const next = chunked.read(bytes, at, end)
        this.spanFrom = chunked.spanFrom
        this.spanTo = chunked.spanTo
        this.isDone = chunked.isDone
        this.fault = chunked.fault
        return next
      }
      case BodyKind.untilClose:
        this.spanFrom = at
        this.spanTo = end
        return end
      default:
        this.spanFrom = this.spanTo = at
        return at
    }
  }
}
