import assert from 'node:assert/strict'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ManualClock } from '../base/clock.ts'
import { stickinessSecondsMax } from '../model/limits.ts'
import { CookieKeys, cookieKeyRotationMs } from './cookie-keys.ts'
import { openStore, StoreUnusable } from './store.ts'

async function storePath(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'openalb-store-'))
  t.after(() => rm(folder, { recursive: true }))
  return join(folder, 'state.db')
}

async function makeKeys(t: TestContext, clock = new ManualClock(), path?: string) {
  const store = openStore(path ?? (await storePath(t)))
  let rotations = 0
  const troubles: string[] = []
  const keys = new CookieKeys({
    store,
    clock,
    onRotated: () => rotations++,
    onTrouble: message => troubles.push(message),
  })
  t.after(() => {
    keys.close()
    if (store.isOpen) store.close()
  })
  return { store, keys, clock, troubles, rotations: () => rotations }
}

const ids = ({ keys }: CookieKeys): number[] => keys.map(({ id }) => id)

test('a new store begins with one key of 32 bytes', async t => {
  const { keys } = await makeKeys(t)
  assert.deepEqual(ids(keys), [1])
  assert.equal(keys.keys[0]!.key.length, 32)
})

test('a restart finds the same keys', async t => {
  const path = await storePath(t)
  const first = await makeKeys(t, new ManualClock(), path)
  const before = first.keys.keys
  first.keys.close()
  first.store.close()
  const again = await makeKeys(t, new ManualClock(), path)
  assert.deepEqual(again.keys.keys, before)
})

test('a new key opens for a day before it seals, so that no worker meets a cookie of a key that it lacks', async t => {
  const { keys, clock, rotations } = await makeKeys(t)
  clock.advance(cookieKeyRotationMs - 1)
  assert.deepEqual([ids(keys), rotations()], [[1], 0])
  clock.advance(1)
  assert.deepEqual([ids(keys), rotations()], [[1, 2], 1])
  assert.notDeepEqual(keys.keys[0]!.key, keys.keys[1]!.key)
  clock.advance(cookieKeyRotationMs)
  assert.deepEqual([ids(keys), rotations()], [[2, 3, 1], 2])
})

test('a store that takes nothing is told of, the keys serve on, and the rotation is tried again', async t => {
  const { store, keys, clock, troubles, rotations } = await makeKeys(t)
  store.exec('PRAGMA query_only = 1')
  clock.advance(cookieKeyRotationMs)
  assert.deepEqual([ids(keys), rotations()], [[1], 0])
  assert.match(troubles[0]!, /^keys for stickiness cookies could not be rotated: /)
  store.exec('PRAGMA query_only = 0')
  clock.advance(60_000)
  assert.deepEqual([ids(keys), rotations(), troubles.length], [[1, 2], 1, 1])
})

test('a restart in the middle of a day does not put off the rotation', async t => {
  const path = await storePath(t)
  const first = await makeKeys(t, new ManualClock(), path)
  first.keys.close()
  first.store.close()
  const clock = new ManualClock()
  clock.advance(cookieKeyRotationMs / 2)
  const { keys } = await makeKeys(t, clock, path)
  assert.deepEqual(ids(keys), [1])
  clock.advance(cookieKeyRotationMs / 2)
  assert.deepEqual(ids(keys), [1, 2])
})

test('a key is forgotten when the last cookie that it sealed has expired', async t => {
  const { keys, clock } = await makeKeys(t)
  clock.advance(stickinessSecondsMax * 1000 + cookieKeyRotationMs)
  assert.ok(ids(keys).includes(1))
  clock.advance(cookieKeyRotationMs)
  assert.ok(!ids(keys).includes(1))
})

test('after the clock was set back, a key of the future does not stop the rotation', async t => {
  const path = await storePath(t)
  const later = new ManualClock(Date.UTC(2027, 0, 1))
  const first = await makeKeys(t, later, path)
  first.keys.close()
  first.store.close()
  const { keys } = await makeKeys(t, new ManualClock(Date.UTC(2026, 0, 1)), path)
  assert.deepEqual(ids(keys), [1, 2])
})

test('only its owner can read the store', { skip: process.platform === 'win32' }, async t => {
  const path = await storePath(t)
  await writeFile(path, '', { mode: 0o644 })
  openStore(path).close()
  assert.equal((await stat(path)).mode & 0o777, 0o600)
})

test('a file that is no database is refused by name, and left as it is', async t => {
  const path = await storePath(t)
  await writeFile(path, 'not a database, but long enough to be taken for one'.repeat(10))
  assert.throws(
    () => openStore(path),
    new StoreUnusable(`cannot use the store ${path}: file is not a database. Move it away to begin with a new one`),
  )
})

test('a store of a newer version is refused', async t => {
  const path = await storePath(t)
  const store = openStore(path)
  store.exec('PRAGMA user_version = 99')
  store.close()
  assert.throws(() => openStore(path), /from a newer OpenALB/)
})
