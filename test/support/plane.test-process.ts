/** A data plane alone in a process, so that its memory can be told from that of the test. Argument: its configuration. */
import { memoryInUse } from './memory.ts'
import { startPlane } from './plane.ts'

/** Values in bytes. */
const memory = {
  peakRss: async () => process.resourceUsage().maxRSS * 1024,
  held: async () => {
    const { heapBytes, bufferBytes } = await memoryInUse()
    return heapBytes + bufferBytes
  },
}
export type Memory = keyof typeof memory
export type FromPlaneProcess = { readonly port: number } | { readonly bytes: number }

const plane = await startPlane({ config: process.argv[2]! })
const tell = (message: FromPlaneProcess) => process.send!(message)
process.on('message', async (which: Memory) => tell({ bytes: await memory[which]() }))
process.on('disconnect', () => void plane.close())
tell({ port: plane.port })
