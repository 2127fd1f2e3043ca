import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { type Clock, ManualClock } from '../base/clock.ts'
import { logBlockBytes, logBlocksMax, logDeliveryMinutes, logFlushMs } from '../model/limits.ts'
import { LogDelivery } from './log-delivery.ts'
import { liveLogPath, parseSpoolName, spoolFolder, spoolPartBytesMax, spoolSettleMs } from './log-files.ts'
import {
  countedLine,
  filesBelow,
  numbersOf,
  readLogLines,
  source,
  temporaryFolder,
  upTo,
  writeLine,
} from './log-test-support.ts'
import { WorkerLog, type WorkerLogOptions } from './log-writer.ts'

const otherProcess = fileURLToPath(new URL('./log-writer.test-process.ts', import.meta.url))
const intervalMs = logDeliveryMinutes * 60_000

/** A worker's log in a folder of its own; the test fails when an error is reported that it did not ask for. */
async function makeLog(t: TestContext, options: Partial<WorkerLogOptions> = {}) {
  const folder = options.folder ?? (await temporaryFolder(t))
  const clock = new ManualClock()
  const onError = (path: string, error: Error): void => assert.fail(`${path}: ${error.message}`)
  const log = new WorkerLog({ folder, token: 'test', worker: 0, clock, onError, ...options })
  t.after(() => log.settled())
  return { folder, clock, log, writer: log.writer(source) }
}

const spoolLines = (folder: string): Promise<string[]> => readLogLines(spoolFolder(folder))
const liveLines = async (folder: string): Promise<string[]> =>
  (await readFile(liveLogPath(folder, 'access'), 'latin1')).split('\n').slice(0, -1)

test('a line is in the live file and in the spool once logFlushMs have passed, and not before', async t => {
  const { folder, clock, log, writer } = await makeLog(t)
  writeLine(writer, 'first')
  clock.advance(logFlushMs - 1)
  writeLine(writer, 'second')
  await log.settled()
  assert.deepEqual(await filesBelow(folder), [])
  clock.advance(1)
  await log.settled()
  assert.deepEqual(await liveLines(folder), ['first', 'second'])
  assert.deepEqual(await spoolLines(folder), ['first', 'second'])
})

test('all writers of a worker share one timer, and none runs while there is no line', async t => {
  const manual = new ManualClock()
  let timers = 0
  const after: Clock['after'] = (delayMs, run) => {
    timers++
    return manual.after(delayMs, run)
  }
  const { log, writer } = await makeLog(t, { clock: { ...manual, after } })
  assert.equal(timers, 0)
  writeLine(writer, 'a')
  writeLine(writer, 'b')
  writeLine(log.writer({ ...source, nodeIp: '127.31.2.1' }), 'c')
  assert.equal(timers, 1)
  manual.advance(10 * logFlushMs)
  await log.settled()
  assert.equal(timers, 1)
})

test('a full block goes out without waiting for the timer, and takes whole lines only', async t => {
  const { folder, log, writer } = await makeLog(t)
  const perBlock = Math.floor(logBlockBytes / 1000)
  for (let number = 0; number <= perBlock; number++) writeLine(writer, countedLine(0, number, 1000 - 12))
  await log.settled()
  const lines = await spoolLines(folder)
  assert.ok(lines.length >= perBlock - 5 && lines.length <= perBlock)
  assert.deepEqual(numbersOf(0, lines), upTo(lines.length))
  await log.close()
  assert.deepEqual(numbersOf(0, await spoolLines(folder)), upTo(perBlock + 1))
})

test('a line longer than a block gets a block of its own size', async t => {
  const { folder, log, writer } = await makeLog(t)
  for (const [number, fillBytes] of [10, logBlockBytes, 10].entries()) {
    writeLine(writer, countedLine(0, number, fillBytes))
  }
  await log.close()
  assert.deepEqual(numbersOf(0, await spoolLines(folder)), upTo(3))
})

test('what was reserved and not committed is not written', async t => {
  const { folder, writer } = await makeLog(t)
  writer.block.fill('x', writer.reserve(100))
  writeLine(writer, 'kept')
  writer.block.fill('x', writer.reserve(100))
  await writer.close()
  assert.deepEqual(await spoolLines(folder), ['kept'])
})

test('a line that outgrew its reservation or lacks its end is our own mistake', async t => {
  const { writer } = await makeLog(t)
  const at = writer.reserve(10)
  assert.throws(() => writer.commit(writer.block.length + 1), /within what was reserved/)
  assert.throws(() => writer.commit(at), /within what was reserved/)
  writer.block[at] = 0x61
  assert.throws(() => writer.commit(at + 1), /line end/)
})

test('lines beyond the blocks that may wait are dropped and counted, and those before and after arrive', async t => {
  const { folder, log, writer } = await makeLog(t)
  const perBlock = 4
  const fillBytes = logBlockBytes / perBlock - 100
  // One block is on its way to disk, `logBlocksMax` wait, and the next is dropped; no event comes in between.
  const kept = (1 + logBlocksMax) * perBlock
  for (let number = 0; number <= kept + perBlock; number++) writeLine(writer, countedLine(0, number, fillBytes))
  assert.equal(writer.linesDropped, perBlock)
  await log.close()
  assert.deepEqual(numbersOf(0, await spoolLines(folder)), [...upTo(kept), kept + perBlock])
  assert.equal(writer.linesDropped, perBlock)
})

test('more writers flushed at once than blocks may wait lose nothing', async t => {
  const { folder, clock, log } = await makeLog(t)
  const nodes = upTo(3 * logBlocksMax).map(n => log.writer({ ...source, nodeIp: `127.31.1.${n}` }))
  for (const [number, writer] of nodes.entries()) writeLine(writer, countedLine(0, number, 10))
  clock.advance(logFlushMs)
  await log.settled()
  assert.equal((await spoolLines(folder)).length, nodes.length)
  assert.equal((await filesBelow(spoolFolder(folder))).length, nodes.length)
})

test('a spool that cannot be written is reported once per outage, its lines are counted, and it recovers', async t => {
  const errors: string[] = []
  const { folder, writer } = await makeLog(t, { onError: path => errors.push(path) })
  for (const outage of [1, 2]) {
    await rm(spoolFolder(folder), { recursive: true, force: true })
    await writeFile(spoolFolder(folder), 'not a folder')
    for (let i = 0; i < 3; i++) {
      writeLine(writer, 'lost')
      await writer.close()
    }
    assert.equal(writer.linesDropped, 3 * outage)
    assert.equal(errors.length, outage)
    assert.match(errors[0]!, /spool/)
    await unlink(spoolFolder(folder))
    writeLine(writer, `kept ${outage}`)
    await writer.close()
    assert.deepEqual(await spoolLines(folder), [`kept ${outage}`])
  }
})

const noFullDisk = !existsSync('/dev/full') && 'this system has no /dev/full'

test('a full disk under the live file is reported once, and costs the spool nothing', { skip: noFullDisk }, async t => {
  const errors: string[] = []
  const { folder, writer } = await makeLog(t, { onError: (_, error) => errors.push(error.code ?? '') })
  await symlink('/dev/full', liveLogPath(folder, 'access'))
  for (const text of ['a', 'b']) {
    writeLine(writer, text)
    await writer.close()
  }
  await unlink(liveLogPath(folder, 'access'))
  writeLine(writer, 'c')
  await writer.close()
  assert.deepEqual(errors, ['ENOSPC'])
  assert.equal(writer.linesDropped, 0)
  assert.deepEqual(await spoolLines(folder), ['a', 'b', 'c'])
  assert.deepEqual(await liveLines(folder), ['c'])
})

test('a block that fits only in part leaves no piece of a line in the spool', async t => {
  const folder = await temporaryFolder(t)
  const limited = `ulimit -f 100; exec "$0" "$@"`
  const args = ['-c', limited, process.execPath, otherProcess, folder, 'on-full-disk']
  const { stdout } = await promisify(execFile)('bash', args)
  const { errors, linesDropped } = JSON.parse(stdout) as { errors: string[]; linesDropped: number }
  assert.deepEqual(errors, ['EFBIG', 'EFBIG']) // each file once
  const numbers = numbersOf(0, await spoolLines(folder))
  assert.deepEqual(numbers.slice(0, -1), upTo(200 - linesDropped))
  assert.ok(linesDropped >= 100 && linesDropped < 120)
  // The live file keeps the piece that fitted, and the next line begins on a line of its own.
  assert.equal((await liveLines(folder)).at(-1), countedLine(0, 200, 10))
})

test('a line goes into the file of the interval in which it is written', async t => {
  const { folder, clock, log, writer } = await makeLog(t)
  writeLine(writer, 'early')
  await writer.close()
  clock.advance(intervalMs - 1)
  writeLine(writer, 'late, flushed in the next interval')
  clock.advance(logFlushMs)
  await log.settled()
  const [first, second, ...others] = await filesBelow(spoolFolder(folder))
  assert.deepEqual(others, [])
  assert.equal(parseSpoolName(first!)?.intervalEndMs, clock.originMs + intervalMs)
  assert.equal(parseSpoolName(second!)?.intervalEndMs, clock.originMs + 2 * intervalMs)
  assert.equal(await readFile(join(spoolFolder(folder), first!), 'latin1'), 'early\n')
})

test('a write that ends when delivery may have taken its file is repeated in the next', async t => {
  const { folder, clock, log, writer } = await makeLog(t)
  writeLine(writer, 'slow')
  writer.flush() // the file is chosen now, and while it opens ...
  clock.advance(intervalMs + spoolSettleMs)
  await log.settled()
  assert.deepEqual(await spoolLines(folder), ['slow', 'slow'])
  assert.equal((await filesBelow(spoolFolder(folder))).length, 2)
})

test('a spool file that was taken never comes back; the next part follows it', async t => {
  const { folder, writer } = await makeLog(t)
  writeLine(writer, 'taken')
  await writer.close()
  const [taken] = await filesBelow(spoolFolder(folder))
  await unlink(join(spoolFolder(folder), taken!))
  writeLine(writer, 'kept')
  await writer.close()
  const [next, ...others] = await filesBelow(spoolFolder(folder))
  assert.deepEqual(others, [])
  assert.deepEqual(parseSpoolName(next!), { ...parseSpoolName(taken!), part: 1 })
})

test('a worker restarted under its number never appends to the files of the one before', async t => {
  const { folder, writer } = await makeLog(t)
  writeLine(writer, 'before')
  await writer.close()
  const restarted = await makeLog(t, { folder })
  writeLine(restarted.writer, 'after')
  await restarted.log.close()
  const parts = (await filesBelow(spoolFolder(folder))).map(name => parseSpoolName(name)?.part)
  assert.deepEqual(parts, [0, 1])
})

test('a spool file goes on in a next part at its size, with no line lost', async t => {
  const { folder, log, writer } = await makeLog(t)
  const fillBytes = 100_000
  const count = Math.ceil((spoolPartBytesMax * 1.1) / fillBytes)
  for (let number = 0; number < count; number++) {
    writeLine(writer, countedLine(0, number, fillBytes))
    if (number % 50 === 0) await log.settled()
  }
  await log.close()
  const files = (await filesBelow(spoolFolder(folder))).map(parseSpoolName)
  assert.deepEqual(
    files.map(file => file?.part),
    [0, 1],
  )
  assert.deepEqual(numbersOf(0, await spoolLines(folder)), upTo(count))
})

test('lines of several threads never mix, not even while the live file is moved away', async t => {
  const folder = await temporaryFolder(t)
  const count = 4000
  const workers = [0, 1, 2, 3].map(worker => new Worker(otherProcess, { workerData: { folder, worker, count } }))
  const ends = workers.map(worker => once(worker, 'exit'))
  let running = workers.length
  for (const end of ends) end.then(() => running--)
  const moved = join(folder, 'moved')
  await mkdir(moved)
  for (let n = 0; running > 0; n++) {
    await rename(liveLogPath(folder, 'access'), join(moved, String(n).padStart(6, '0'))).catch(() => {}) // there is none yet
    for (let i = 0; i < 20; i++) await setImmediate()
  }
  assert.deepEqual(await Promise.all(ends), [[0], [0], [0], [0]])
  await rename(liveLogPath(folder, 'access'), join(moved, '999999')).catch(() => {})
  const [live, spool] = [await readLogLines(moved), await spoolLines(folder)]
  for (const worker of [0, 1, 2, 3]) {
    assert.deepEqual(numbersOf(worker, live), upTo(count))
    assert.deepEqual(numbersOf(worker, spool), upTo(count))
  }
})

test('SIGKILL loses only what was not flushed, and the next process delivers the rest', async t => {
  const folder = await temporaryFolder(t)
  const child = spawn(process.execPath, [otherProcess, folder, 'until-killed'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL'])

  const clock = new ManualClock() // as the child's, so that the interval is over for us
  clock.advance(intervalMs + spoolSettleMs)
  const cpuShare = () => 0
  const delivery = new LogDelivery({
    folder,
    token: 'next',
    clock,
    cpuShare,
    onError: (_, error) => assert.fail(error),
  })
  await delivery.start()
  await delivery.close()
  assert.deepEqual(await filesBelow(spoolFolder(folder)), [])
  const numbers = numbersOf(0, await readLogLines(join(folder, 'AWSLogs')))
  assert.deepEqual(numbers, upTo(numbers.length))
  assert.ok(numbers.length >= 1000)
})
