import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { claimDataFolder, DataFolderInUse } from './data-folder.ts'

function testFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'openalb-data-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

test('a folder is made with all above it, marked with the process, and released', async t => {
  const path = join(testFolder(t), 'a', 'b')
  const folder = await claimDataFolder(path)
  assert.equal(folder.logs, join(path, 'logs'))
  assert.equal(readFileSync(join(path, 'openalb.pid'), 'utf8'), `${process.pid}\n`)
  await folder.release()
  assert.equal(existsSync(join(path, 'openalb.pid')), false)
  await (await claimDataFolder(path)).release()
})

test('a folder that a living process uses is refused, and stays its own', async t => {
  const path = testFolder(t)
  const owner = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  const ended = once(owner, 'exit')
  writeFileSync(join(path, 'openalb.pid'), `${owner.pid}\n`)
  await assert.rejects(claimDataFolder(path), error => {
    assert.ok(error instanceof DataFolderInUse)
    assert.equal(
      error.message,
      `the data folder ${path} is in use by process ${owner.pid}; name another with --data DIR`,
    )
    return true
  })
  assert.equal(readFileSync(join(path, 'openalb.pid'), 'utf8'), `${owner.pid}\n`)
  owner.kill('SIGKILL')
  await ended
  await claimDataFolder(path)
  assert.equal(
    readFileSync(join(path, 'openalb.pid'), 'utf8'),
    `${process.pid}\n`,
    'what a killed process left is free',
  )
})

for (const [what, mark] of [
  ['empty', ''],
  ['not a number', 'openalb\n'],
  ['no process', '-1\n'],
] as const) {
  test(`a mark that is ${what} holds nobody off`, async t => {
    const path = testFolder(t)
    writeFileSync(join(path, 'openalb.pid'), mark)
    await (await claimDataFolder(path)).release()
  })
}

test('a path that cannot be a folder is the error of the system', async t => {
  const path = join(testFolder(t), 'file')
  writeFileSync(path, '')
  await assert.rejects(claimDataFolder(path), { code: 'EEXIST' })
  await assert.rejects(claimDataFolder(join(path, 'below')), { code: 'ENOTDIR' })
})
