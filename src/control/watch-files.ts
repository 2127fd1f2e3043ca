/**
 * Says when a config file was saved. It is the folders that are watched: many editors, and whatever deploys files as
 * symbolic links, put another file in the place of the old one, and a watch on the old one would never speak again.
 */

import { type FSWatcher, realpathSync, statSync, watch } from 'node:fs'
import { dirname } from 'node:path'
import type { Clock, Timer } from '../base/clock.ts'

/** A file may be written in several steps: it has to stay the same for so long. */
const settleMs = 100

export class FileWatch {
  readonly #clock: Clock
  readonly #onSaved: () => void
  /** By folder. */
  readonly #watchers = new Map<string, FSWatcher>()
  /** By file: what was last spoken of, and what was last seen. */
  readonly #reported = new Map<string, string>()
  readonly #seen = new Map<string, string>()
  #timer: Timer | null = null
  #isEnded = false

  /** @throws the system's error when the folder of a file cannot be watched */
  constructor(clock: Clock, files: readonly string[], onSaved: () => void) {
    this.#clock = clock
    this.#onSaved = onSaved
    try {
      for (const file of files) this.include(file)
    } catch (error) {
      this.end()
      throw error
    }
  }

  /**
   * Watches this file, too, from its present state on.
   *
   * @throws the system's error when its folder cannot be watched
   */
  include(file: string): void {
    if (this.#isEnded || this.#reported.has(file)) return
    const version = versionOf(file)
    for (const folder of [dirname(file), dirname(version === missing ? file : realpathSync(file))]) {
      if (this.#watchers.has(folder)) continue
      const watcher = watch(folder, () => this.#lookSoon())
      this.#watchers.set(folder, watcher)
    }
    this.#reported.set(file, version)
    this.#seen.set(file, version)
  }

  end(): void {
    this.#isEnded = true
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#timer?.cancel()
  }

  #lookSoon(): void {
    this.#timer ??= this.#clock.after(settleMs, () => this.#look())
  }

  #look(): void {
    this.#timer = null
    let isSaved = false
    let isMoving = false
    for (const [file, reported] of this.#reported) {
      const version = versionOf(file)
      if (version !== reported) isSaved = true
      if (version !== reported && version !== this.#seen.get(file)) isMoving = true
      this.#seen.set(file, version)
    }
    if (isMoving) this.#lookSoon()
    else if (isSaved) {
      for (const [file, version] of this.#seen) this.#reported.set(file, version)
      this.#onSaved()
    }
  }
}

const missing = 'missing'

/** Changes whenever the file is written or replaced. */
function versionOf(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false })
  return stat === undefined ? missing : `${stat.ino} ${stat.ctimeMs} ${stat.size}`
}
