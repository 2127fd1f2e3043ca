/**
 * The keys that seal stickiness cookies. They are kept in the store, so that a restart unties no client, and rotated;
 * a key is kept for as long as a cookie that it sealed may be valid.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/sticky-sessions.html
 */

import { randomBytes } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import type { Clock, Timer } from '../base/clock.ts'
import { stickinessSecondsMax } from '../model/limits.ts'
import type { CookieKey } from '../model/snapshot.ts'

/** How long a key seals. The service says that keys rotate, not how often (assumed). */
export const cookieKeyRotationMs = 24 * 60 * 60 * 1000
/** Made, handed out, sealing, and then for as long as the last cookie is valid. */
const keptMs = 2 * cookieKeyRotationMs + stickinessSecondsMax * 1000
/** After a rotation that the store did not take. */
const retryMs = 60_000
const keyBytes = 32

export type CookieKeysOptions = {
  readonly store: DatabaseSync
  readonly clock: Clock
  /** There is a new key, and perhaps an old one fewer. */
  readonly onRotated: () => void
  /** The store did not take the new key; the ones before serve on, and it is tried again. */
  readonly onTrouble: (message: string) => void
}

type StoredKey = CookieKey & { readonly createdMs: number }

export class CookieKeys {
  readonly #options: CookieKeysOptions
  #keys: readonly StoredKey[] = []
  #timer: Timer

  /** @throws when the store cannot be read or written */
  constructor(options: CookieKeysOptions) {
    this.#options = options
    this.#rotate()
    this.#timer = this.#schedule(this.#untilRotationMs())
  }

  /**
   * The sealing one first. The newest comes behind it, so that all workers open what one of them seals: a key seals
   * only a rotation after it was handed out.
   */
  get keys(): readonly CookieKey[] {
    const [newest, sealing, ...older] = this.#keys
    if (newest === undefined) return []
    return sealing === undefined ? [newest] : [sealing, newest, ...older]
  }

  close(): void {
    this.#timer.cancel()
  }

  #schedule(delayMs: number): Timer {
    return this.#options.clock.after(delayMs, () => {
      try {
        this.#rotate()
        this.#timer = this.#schedule(this.#untilRotationMs())
        this.#options.onRotated()
      } catch (error) {
        this.#timer = this.#schedule(retryMs)
        this.#options.onTrouble(`keys for stickiness cookies could not be rotated: ${(error as Error).message}`)
      }
    })
  }

  /** Makes a key if the newest is too old, and forgets those that no valid cookie needs. */
  #rotate(): void {
    const { store } = this.#options
    const nowMs = this.#epochMs()
    store.prepare('DELETE FROM cookie_keys WHERE created_ms <= ?').run(nowMs - keptMs)
    this.#read()
    const newestMs = this.#keys[0]?.createdMs
    // A key from the future means that the clock was set back; it would otherwise serve until then.
    if (newestMs !== undefined && newestMs <= nowMs && newestMs > nowMs - cookieKeyRotationMs) return
    store.prepare('INSERT INTO cookie_keys (key, created_ms) VALUES (?, ?)').run(randomBytes(keyBytes), nowMs)
    this.#read()
  }

  #read(): void {
    this.#keys = this.#options.store
      .prepare('SELECT id, key, created_ms FROM cookie_keys ORDER BY id DESC')
      .all()
      .map(row => ({ id: Number(row.id), key: row.key as Uint8Array, createdMs: Number(row.created_ms) }))
  }

  #untilRotationMs(): number {
    return this.#keys[0]!.createdMs + cookieKeyRotationMs - this.#epochMs()
  }

  #epochMs(): number {
    const { clock } = this.#options
    return Math.round(clock.originMs + clock.now())
  }
}
