/**
 * Reads the chunked transfer coding (RFC 9112, section 7.1) and says which bytes to pass on.
 *
 * With `keepsFraming`, spans are what a chunked receiver is sent: sizes, data and line ends as they came, cut free of
 * extensions and trailers, so the result is what we would have written ourselves and still needs no copy. Without it,
 * spans are the data alone.
 */

import { chunkOverheadBytesMax, chunkSizeDigitsMax } from '../../model/limits.ts'
import { CR, HTAB, hexValue, LF, SP, tokenByte, valueByte } from '../tables.ts'

const State = {
  size: 0,
  blank: 1,
  extension: 2,
  sizeLf: 3,
  data: 4,
  dataCr: 5,
  dataLf: 6,
  trailerStart: 7,
  trailerName: 8,
  trailer: 9,
  trailerLf: 10,
  endLf: 11,
  done: 12,
} as const
type State = (typeof State)[keyof typeof State]

/** 1 for the states whose bytes belong to what is passed on when the framing is kept. */
const isKept = new Uint8Array(13)
for (const state of [State.size, State.sizeLf, State.data, State.dataCr, State.dataLf, State.endLf]) isKept[state] = 1

const semicolon = 0x3b
const colon = 0x3a

export class ChunkedReader {
  /** What the last `read` found to pass on, as positions in the bytes it was given; equal when there is nothing. */
  spanFrom = 0
  spanTo = 0
  /** Why the body cannot be read, a constant; null while all is well. */
  fault: string | null = null
  #state: State = State.size
  #keepsFraming = true
  #size = 0
  #digits = 0
  #overhead = 0

  start(keepsFraming: boolean): void {
    this.fault = null
    this.#state = State.size
    this.#keepsFraming = keepsFraming
    this.#size = 0
    this.#digits = 0
    this.#overhead = 0
  }

  get isDone(): boolean {
    return this.#state === State.done
  }

  /**
   * Reads on from `at`, at most to the next place where what is passed on has a gap.
   *
   * @returns the position after what was read; call again from there until it is `end`, `isDone` or a `fault`
   */
  read(bytes: Uint8Array, at: number, end: number): number {
    const keeps = this.#keepsFraming
    let state: State = this.#state
    let from = keeps ? (isKept[state] === 1 ? at : -1) : -1
    let to = -1
    scan: while (at < end) {
      const byte = bytes[at]!
      switch (state) {
        case State.size: {
          const value = hexValue[byte]!
          if (value !== 255) {
            if (++this.#digits > chunkSizeDigitsMax) return this.#fail('chunk size has too many digits', from, at)
            this.#size = this.#size * 16 + value
            break
          }
          if (this.#digits === 0) return this.#fail('chunk size must start with a hexadecimal digit', from, at)
          if (byte === CR) {
            state = State.sizeLf
            break
          }
          if (byte !== semicolon && byte !== SP && byte !== HTAB) {
            return this.#fail('chunk size must end in CRLF', from, at)
          }
          state = byte === semicolon ? State.extension : State.blank
          if (keeps) {
            to = at++
            break scan
          }
          break
        }
        case State.blank:
          if (byte === semicolon) state = State.extension
          else if (byte !== SP && byte !== HTAB) return this.#fail('only an extension may follow white space', from, at)
          if (++this.#overhead > chunkOverheadBytesMax) return this.#fail('chunk extension is too long', from, at)
          break
        case State.extension:
          if (byte === CR) {
            state = State.sizeLf
            if (keeps) from = at
            break
          }
          if (valueByte[byte] === 0) return this.#fail('chunk extension holds a control byte', from, at)
          if (++this.#overhead > chunkOverheadBytesMax) return this.#fail('chunk extension is too long', from, at)
          break
        case State.sizeLf:
          if (byte !== LF) return this.#fail('chunk size must end in CRLF', from, at)
          state = this.#size === 0 ? State.trailerStart : State.data
          this.#overhead = 0
          if (state === State.trailerStart && keeps) {
            // What follows is passed on only if it is the closing empty line, so the span ends here for now.
            if (at + 2 < end && bytes[at + 1] === CR && bytes[at + 2] === LF) {
              this.#state = State.done
              return this.#span(from, at + 3, at + 3)
            }
            to = ++at
            break scan
          }
          break
        case State.data: {
          const length = Math.min(this.#size, end - at)
          this.#size -= length
          if (this.#size === 0) state = State.dataCr
          if (!keeps) {
            this.#state = state
            return this.#span(at, at + length, at + length)
          }
          at += length - 1
          break
        }
        case State.dataCr:
          if (byte !== CR) return this.#fail('chunk data must end in CRLF', from, at)
          state = State.dataLf
          break
        case State.dataLf:
          if (byte !== LF) return this.#fail('chunk data must end in CRLF', from, at)
          state = State.size
          this.#size = 0
          this.#digits = 0
          break
        case State.trailerStart:
          if (byte === CR) {
            state = State.endLf
            if (keeps) from = at
            break
          }
          if (tokenByte[byte] === 0) return this.#fail('trailer field must begin with its name', from, at)
          state = State.trailerName
          continue
        case State.trailerName:
          if (byte === colon) state = State.trailer
          else if (tokenByte[byte] === 0) return this.#fail('trailer field name must end in a colon', from, at)
          if (++this.#overhead > chunkOverheadBytesMax) return this.#fail('trailer section is too long', from, at)
          break
        case State.trailer:
          if (byte === CR) state = State.trailerLf
          else if (valueByte[byte] === 0) return this.#fail('trailer field holds a control byte', from, at)
          if (++this.#overhead > chunkOverheadBytesMax) return this.#fail('trailer section is too long', from, at)
          break
        case State.trailerLf:
          if (byte !== LF) return this.#fail('trailer field must end in CRLF', from, at)
          state = State.trailerStart
          break
        case State.endLf:
          if (byte !== LF) return this.#fail('chunked body must end in CRLF', from, at)
          this.#state = State.done
          return this.#span(from, at + 1, at + 1)
        default:
          return this.#fail('nothing may follow', from, at)
      }
      at++
    }
    this.#state = state
    return this.#span(from, to === -1 ? at : to, at)
  }

  #span(from: number, to: number, next: number): number {
    if (from === -1) from = to
    this.spanFrom = from
    this.spanTo = to
    return next
  }

  /** What stands before the fault is passed on, as it would have been had the bytes been cut there. */
  #fail(why: string, from: number, at: number): number {
    this.fault = why
    return this.#span(from, at, at)
  }
}
