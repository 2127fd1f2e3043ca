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
const keptMs = cookieKeyRotationMs + stickinessSecondsMax * 1000
const keyBytes = 32

export type CookieKeysOptions = {
  readonly store: DatabaseSync
  readonly clock: Clock
  /** There is a new key, and perhaps an old one fewer. */
  readonly onRotated: () => void
}

export class CookieKeys {
  readonly #options: CookieKeysOptions
  #keys: readonly CookieKey[] = []
  #timer: Timer

  constructor(options: CookieKeysOptions) {
    this.#options = options
    this.#timer = this.#rotate()
  }

  /** Newest first; at least one. */
  get keys(): readonly CookieKey[] {
    return this.#keys
  }

  close(): void {
    this.#timer.cancel()
  }

  /** Makes a key if the newest is too old, and forgets those that no valid cookie needs. @returns the next rotation */
  #rotate(): Timer {
    const { store, clock, onRotated } = this.#options
    const nowMs = Math.round(clock.originMs + clock.now())
    store.prepare('DELETE FROM cookie_keys WHERE created_ms <= ?').run(nowMs - keptMs)
    // A key from the future means that the clock was set back; it would otherwise seal until then.
    const newest = store
      .prepare('SELECT created_ms FROM cookie_keys WHERE created_ms BETWEEN ? AND ? ORDER BY id DESC LIMIT 1')
      .get(nowMs - cookieKeyRotationMs + 1, nowMs)
    if (newest === undefined) {
      store.prepare('INSERT INTO cookie_keys (key, created_ms) VALUES (?, ?)').run(randomBytes(keyBytes), nowMs)
    }
    this.#keys = store
      .prepare('SELECT id, key FROM cookie_keys ORDER BY id DESC')
      .all()
      .map(row => ({ id: Number(row.id), key: row.key as Uint8Array }))
    const sinceMs = newest === undefined ? nowMs : Number(newest.created_ms)
    return clock.after(sinceMs + cookieKeyRotationMs - nowMs, () => {
      this.#timer = this.#rotate()
      onRotated()
    })
  }
}
