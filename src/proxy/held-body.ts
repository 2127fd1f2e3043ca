/**
 * The body of a request, for as long as it may have to be sent on another connection than the last: at first there may
 * be none to send it on, and then the target may say that it never looked at the request (RFC 9113, section 8.7).
 *
 * It is here from its first byte on, or it was let go and only passes through. So what is sent on a new connection is
 * always all that is held, how often whatever was sent before.
 */

import { assert } from '../base/assert.ts'
import { ByteWriter } from '../base/byte-writer.ts'
import { replayBytesMax } from '../model/limits.ts'

const nothing = Buffer.alloc(0)

export class HeldBody {
  #body: ByteWriter | null = null
  /** So many bytes of it were sent on some connection. */
  #sentSize = 0
  #isLetGo = false

  get bytes(): Buffer {
    return this.#body === null ? nothing : this.#body.bytes
  }

  get length(): number {
    return this.#body === null ? 0 : this.#body.length
  }

  /** All of the body that came is here. */
  get isWhole(): boolean {
    return !this.#isLetGo
  }

  /** Takes what came while there is no connection. */
  hold(bytes: Buffer, from: number, to: number): void {
    assert(!this.#isLetGo, 'a body that has to wait is whole')
    this.#body ??= new ByteWriter(to - from)
    this.#body.reserve(to - from)
    this.#body.copy(bytes, from, to)
  }

  /** Takes what is sent as it comes; more than the bound is let go. */
  keep(bytes: Buffer, from: number, to: number): void {
    if (this.#isLetGo) return
    if (this.length + to - from <= replayBytesMax) {
      this.hold(bytes, from, to)
      this.#sentSize = this.length
    } else this.letGo()
  }

  /**
   * All that is held was sent; more than the bound is let go. What waits may be more, by what a client may send beyond
   * what was sent once.
   *
   * @returns how many bytes were sent for the first time
   */
  sent(): number {
    const size = this.length - this.#sentSize
    this.#sentSize = this.length
    if (this.length > replayBytesMax) this.letGo()
    return size
  }

  /** It will not be sent again. */
  letGo(): void {
    this.#body = null
    this.#sentSize = 0
    this.#isLetGo = true
  }
}
