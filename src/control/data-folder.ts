/** The data folder: one running load balancer at a time, since two would deliver each other's logs. */

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export class DataFolderInUse extends Error {
  override readonly name = 'DataFolderInUse'
}

export type DataFolder = {
  readonly logs: string
  /** The file of the store. */
  readonly store: string
  readonly release: () => Promise<void>
}

/** Claims a folder, made when missing. @throws DataFolderInUse, or the system's error when it cannot be written */
export async function claimDataFolder(path: string): Promise<DataFolder> {
  await mkdir(path, { recursive: true })
  const lock = join(path, 'openalb.pid')
  try {
    await writeFile(lock, `${process.pid}\n`, { flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    const owner = Number((await readFile(lock, 'utf8')).trim())
    if (isAlive(owner)) {
      throw new DataFolderInUse(`the data folder ${path} is in use by process ${owner}; name another with --data DIR`)
    }
    await writeFile(lock, `${process.pid}\n`)
  }
  const release = () => rm(lock, { force: true })
  return { logs: join(path, 'logs'), store: join(path, 'state.db'), release }
}

/** A process that was killed leaves its lock behind. */
function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
