/** What a probe says over its connection and reads there: the part of it that differs between protocol versions. */

import type { CodeRange } from '../../model/resources.ts'
import type { Failure } from './failures.ts'
import type { Judged } from './judge.ts'

export type Question = {
  readonly scheme: 'http' | 'https'
  /** As the Host header names the target. */
  readonly authority: string
  readonly path: string
  readonly matcher: readonly CodeRange[]
}

export type Dialogue = {
  /** null until the answer can be judged. */
  readonly judged: Judged | null
  /** Why it is no answer; null while it may become one. Nothing is read after that. */
  readonly failure: Failure | null
  /** Nothing more of interest can come. */
  readonly isDone: boolean
  /** What is waited for once a first byte has come. */
  readonly awaited: string
  /** The beginning of the body of an answer that failed, such that it can be shown anywhere. */
  readonly bodyStart: string
  /** The connection stands. */
  begin(send: (bytes: Uint8Array | string) => void): void
  read(bytes: Buffer, size: number): void
}

export const probeUserAgent = 'ELB-HealthChecker/2.0'
export const probeAcceptEncoding = 'gzip, compressed'

/** Ours: the most bytes of a body that are kept. */
export const bodyStartBytesMax = 256

/** Collects the beginning of a body. */
export class BodyStart {
  readonly #bytes = Buffer.allocUnsafe(bodyStartBytesMax)
  #length = 0

  get isFull(): boolean {
    return this.#length === bodyStartBytesMax
  }

  /** One line of visible characters: what a target sent must not move a terminal's cursor. */
  get text(): string {
    const text = this.#bytes.toString('utf8', 0, this.#length)
    return text.replace(/[\s\p{C}]+/gu, ' ').trim()
  }

  add(bytes: Buffer, from: number, to: number): void {
    this.#length += bytes.copy(this.#bytes, this.#length, from, to)
  }
}
