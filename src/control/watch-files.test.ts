import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../base/clock.ts'
import { FileWatch } from './watch-files.ts'

function fixture(t: TestContext, ...names: string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'openalb-watch-'))
  const at = (name: string) => join(folder, name)
  for (const name of names) writeFileSync(at(name), '0')
  let saved = 0
  let wake = () => {}
  const watchAll = (...watched: string[]) => {
    const watch = new FileWatch(systemClock, watched.map(at), () => {
      saved++
      wake()
    })
    t.after(() => {
      watch.end()
      rmSync(folder, { recursive: true })
    })
    return watch
  }
  /** Resolves at the next save that is told of; the test's own time limit ends a wait in vain. */
  const nextSave = () =>
    new Promise<void>(resolve => {
      wake = resolve
    })
  return { at, watchAll, nextSave, saves: () => saved }
}

test('a file that is written in place is told of, time and again', async t => {
  const { at, watchAll, nextSave } = fixture(t, 'a')
  watchAll('a')
  for (const text of ['1', '2', '3']) {
    const saved = nextSave()
    writeFileSync(at('a'), text)
    await saved
  }
})

test('a file that another is put in the place of is told of, time and again', async t => {
  const { at, watchAll, nextSave } = fixture(t, 'a')
  watchAll('a')
  for (const text of ['1', '2', '3']) {
    const saved = nextSave()
    writeFileSync(at('a.tmp'), text)
    renameSync(at('a.tmp'), at('a'))
    await saved
  }
})

test('a link that is turned to another file is told of', async t => {
  const { at, watchAll, nextSave } = fixture(t)
  for (const version of ['1', '2', '3']) {
    mkdirSync(at(version))
    writeFileSync(join(at(version), 'a'), version)
  }
  symlinkSync('1', at('current'))
  symlinkSync('current/a', at('a'))
  watchAll('a')
  for (const version of ['2', '3']) {
    const saved = nextSave()
    symlinkSync(version, at('next'))
    renameSync(at('next'), at('current'))
    await saved
  }
})

test('a file that a link leads to is told of', async t => {
  const { at, watchAll, nextSave } = fixture(t)
  mkdirSync(at('elsewhere'))
  writeFileSync(at('elsewhere/a'), '0')
  symlinkSync('elsewhere/a', at('a'))
  watchAll('a')
  const saved = nextSave()
  writeFileSync(at('elsewhere/a'), '1')
  await saved
})

test('several files are one: each is told of, and all at once only once', async t => {
  const { at, watchAll, nextSave, saves } = fixture(t, 'a', 'b')
  watchAll('a', 'b')
  const saved = nextSave()
  writeFileSync(at('a'), '1')
  writeFileSync(at('b'), '1')
  await saved
  const again = nextSave()
  writeFileSync(at('b'), '2')
  await again
  assert.equal(saves(), 2)
})

test('other files of the folder are none of its business', async t => {
  const { at, watchAll, nextSave, saves } = fixture(t, 'a', 'other')
  watchAll('a')
  writeFileSync(at('other'), '1')
  writeFileSync(at('new'), '1')
  // A save behind them is the first to be told of.
  const saved = nextSave()
  writeFileSync(at('a'), '1')
  await saved
  assert.equal(saves(), 1)
})

test('a file that is included later is told of from then on, and the others as before', async t => {
  const { at, watchAll, nextSave } = fixture(t, 'a', 'b')
  const watch = watchAll('a')
  writeFileSync(at('b'), '1')
  watch.include(at('b'))
  watch.include(at('b'))
  for (const name of ['b', 'a']) {
    const saved = nextSave()
    writeFileSync(at(name), '2')
    await saved
  }
})

test('a folder that is not there is the error of the system', t => {
  const { watchAll } = fixture(t)
  assert.throws(() => watchAll('none/a'), { code: 'ENOENT' })
})
