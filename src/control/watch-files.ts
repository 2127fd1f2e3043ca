/**
 * Says when a config file was saved. It is the folders that are watched: many editors, and whatever deploys files as
 * symbolic links, put another file in the place of the old one, and a watch on the old one would never speak again.
 */

import { realpathSync, statSync, watch } from 'node:fs'
import { dirname } from 'node:path'

/** A file may be written in several steps: it has to stay the same for so long. */
const settleMs = 100

/**
 * @returns ends the watch
 * @throws the system's error when a folder cannot be watched
 */
export function watchFiles(files: readonly string[], onSaved: () => void): () => void {
  let reported = versionsOf(files)
  let seen = reported
  let timer: NodeJS.Timeout | null = null
  const look = () => {
    timer = null
    const now = versionsOf(files)
    if (now === reported) return
    if (now !== seen) {
      seen = now
      lookSoon()
    } else {
      reported = now
      onSaved()
    }
  }
  const lookSoon = () => {
    timer ??= setTimeout(look, settleMs)
  }
  const folders = files.flatMap(file => [dirname(file), dirname(realpathSync(file))])
  const watchers = [...new Set(folders)].map(folder => watch(folder, lookSoon))
  return () => {
    for (const watcher of watchers) watcher.close()
    if (timer !== null) clearTimeout(timer)
  }
}

/** Changes whenever one of the files was written or replaced. */
function versionsOf(files: readonly string[]): string {
  return files
    .map(file => {
      const stat = statSync(file, { throwIfNoEntry: false })
      return stat === undefined ? 'missing' : `${stat.ino} ${stat.ctimeMs} ${stat.size}`
    })
    .join()
}
