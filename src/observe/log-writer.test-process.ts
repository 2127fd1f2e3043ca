/** The other threads and processes in the tests of the log writer: a worker thread, or a child process by its role. */

import { existsSync, statSync, truncateSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { isMainThread, workerData } from 'node:worker_threads'
import { ManualClock, systemClock } from '../base/clock.ts'
import { logFlushMs } from '../model/limits.ts'
import { liveLogPath } from './log-files.ts'
import { countedLine, source, writeLine } from './log-test-support.ts'
import { WorkerLog } from './log-writer.ts'

/** Lines of all lengths, a few of them as long as a line can be, with small blocks and full ones between them. */
async function writeMany(folder: string, worker: number, count: number): Promise<void> {
  const log = new WorkerLog({ folder, token: 'test', worker, clock: systemClock, onError: throwError })
  const writer = log.writer(source)
  for (let number = 0; number < count; number++) {
    writeLine(writer, countedLine(worker, number, number % 500 === 0 ? 100_000 : (number * 37) % 900))
    if (number % 50 === 0) writer.flush()
    if (number % 200 === 0) await log.settled()
  }
  await log.close()
}

/** Has 1000 lines flushed by the clock, says so, and goes on writing lines that no time passes for. */
async function writeUntilKilled(folder: string): Promise<void> {
  const clock = new ManualClock()
  const writer = new WorkerLog({ folder, token: 'killed', worker: 0, clock, onError: throwError }).writer(source)
  let number = 0
  while (number < 1000) writeLine(writer, countedLine(0, number++, 100))
  clock.advance(logFlushMs)
  while (!existsSync(liveLogPath(folder, 'access')) || statSync(liveLogPath(folder, 'access')).size < 100_000)
    await setImmediate()
  for (;;) {
    for (let i = 0; i < 10; i++) writeLine(writer, countedLine(0, number++, 100))
    if (number === 1100) process.stdout.write('flushed\n')
    await setImmediate()
    if (number > 1_000_000) throw new Error('nobody killed us')
  }
}

/** Runs into the limit on a file's size, which cuts a write short as a full disk does. */
async function writeOnFullDisk(folder: string): Promise<void> {
  process.on('SIGXFSZ', () => {}) // without a listener it would end the process
  const errors: string[] = []
  const onError = (_: string, error: NodeJS.ErrnoException): void => void errors.push(error.code ?? error.message)
  const log = new WorkerLog({ folder, token: 'full', worker: 0, clock: new ManualClock(), onError })
  const writer = log.writer(source)
  for (let number = 0; number < 200; number++) {
    writeLine(writer, countedLine(0, number, 1000))
    if (number % 10 === 9) await writer.close()
  }
  const linesDropped = writer.linesDropped
  truncateSync(liveLogPath(folder, 'access'), 50_000) // room again, behind a piece of a line
  writeLine(writer, countedLine(0, 200, 10))
  await log.close()
  process.stdout.write(JSON.stringify({ errors, linesDropped }))
}

function throwError(_: string, error: Error): void {
  throw error
}

const [folder = '', role] = process.argv.slice(2)
if (!isMainThread) {
  const { worker, count } = workerData as { worker: number; count: number }
  await writeMany((workerData as { folder: string }).folder, worker, count)
} else if (role === 'until-killed') {
  await writeUntilKilled(folder)
} else if (role === 'on-full-disk') {
  await writeOnFullDisk(folder)
}
