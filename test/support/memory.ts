/** What a process has in use, garbage not counted. */

import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

/** Bytes of the heap and of buffers outside it. */
export async function memoryInUse(): Promise<{ heapBytes: number; bufferBytes: number }> {
  collectGarbage()
  // What buffers held is given back behind the collection, and counted as theirs until the next one.
  await setImmediate()
  collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return { heapBytes: heapUsed, bufferBytes: arrayBuffers }
}
