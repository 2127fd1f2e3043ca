/**
 * The store of one machine: `state.db` in the data folder, a SQLite database. Holds what must outlive the process and
 * stands in no configuration file.
 */

import { chmodSync, closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

export class StoreUnusable extends Error {
  override readonly name = 'StoreUnusable'
}

/** How long somebody else may hold the file, a backup for one. */
const busyTimeoutMs = 2_000

/** Each step takes the schema from the version of its index to the next; none is ever changed. */
const migrations: readonly string[] = [
  'CREATE TABLE cookie_keys (id INTEGER PRIMARY KEY, key BLOB NOT NULL, created_ms INTEGER NOT NULL) STRICT',
]

/**
 * Opens the store, made when missing, readable by its owner only: it holds keys.
 *
 * @throws StoreUnusable when it is damaged, or from a newer OpenALB
 */
export function openStore(path: string): DatabaseSync {
  let database: DatabaseSync | null = null
  try {
    closeSync(openSync(path, 'a', 0o600))
    chmodSync(path, 0o600)
    database = new DatabaseSync(path, { timeout: busyTimeoutMs })
    migrate(database, path)
    return database
  } catch (error) {
    database?.close()
    if (error instanceof StoreUnusable) throw error
    const reason = (error as Error).message
    throw new StoreUnusable(`cannot use the store ${path}: ${reason}. Move it away to begin with a new one`)
  }
}

function migrate(database: DatabaseSync, path: string): void {
  const version = Number(database.prepare('PRAGMA user_version').get()!.user_version)
  if (version > migrations.length) {
    throw new StoreUnusable(`the store ${path} is from a newer OpenALB; use that one, or another --data DIR`)
  }
  for (let i = version; i < migrations.length; i++) {
    database.exec(`BEGIN; ${migrations[i]}; PRAGMA user_version = ${i + 1}; COMMIT`)
  }
}
