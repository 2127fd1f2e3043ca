/**
 * The thread behind `Compressor`. It may wait for the disk as long as it likes: nobody waits for it.
 *
 * Whatever runs on a core that has traffic stops that for as long as it runs, at any priority: the scheduler lets it
 * have its slice. So nothing here takes longer than a fifth of a millisecond, and there is a pause behind each step, as
 * long as whoever sent the job thinks right.
 */

import { once } from 'node:events'
import { closeSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs'
import { setPriority } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { parentPort } from 'node:worker_threads'
import { createGzip } from 'node:zlib'
import { assert } from '../../base/assert.ts'
import type { CompressJob, CompressResult } from './compress.ts'

/** Gives way at once to a thread that has traffic. */
const niceness = 10
/** What is compressed in one go: half as much costs a third more, because each step begins with cold caches. */
const pieceBytes = 32 * 1024
/** Nearly twice as fast as the default on access logs, for 4 % more bytes: processor time belongs to the traffic. */
const gzipOptions = { level: 2, memLevel: 9, chunkSize: 64 * 1024 }

assert(parentPort !== null, 'runs as a worker thread')
const port = parentPort
// Only Linux gives threads a priority of their own; elsewhere this would be that of the whole process.
if (process.platform === 'linux') setPriority(0, niceness)
/** Always the same: with a stream's fresh ones, 64 MB of logs meant collecting garbage several times. */
const buffer = Buffer.allocUnsafeSlow(pieceBytes)

port.on('message', async (job: CompressJob) => {
  port.postMessage(await resultOf(job))
})

async function resultOf(job: CompressJob): Promise<CompressResult> {
  try {
    await compress(job)
    return { error: null }
  } catch (error) {
    return { error: (error as Error).message }
  }
}

async function compress({ pieces, to, pauseMs }: CompressJob): Promise<void> {
  const out = openSync(to, 'wx')
  try {
    const gzip = createGzip(gzipOptions)
    gzip.on('data', (chunk: Buffer) => writeWhole(out, chunk))
    gzip.on('error', () => {}) // whoever waits for the write has it
    for (const { path, bytes } of pieces) {
      const from = openSync(path, 'r')
      try {
        for (let at = 0; at < bytes; ) {
          const size = readSync(from, buffer, 0, Math.min(pieceBytes, bytes - at), at)
          assert(size > 0, 'only delivery makes a spool file shorter')
          at += size
          await new Promise<void>((resolve, reject) => {
            gzip.write(buffer.subarray(0, size), error => (error ? reject(error) : resolve()))
          })
          if (pauseMs > 0) await setTimeout(pauseMs)
        }
      } finally {
        closeSync(from)
      }
    }
    gzip.end()
    await once(gzip, 'end')
    fsyncSync(out)
  } finally {
    closeSync(out)
  }
}

function writeWhole(file: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
}
