/** A data plane alone in a process, so that its memory can be told from that of the test. Argument: its configuration. */
import { startPlane } from './plane.ts'

export type FromPlaneProcess = { readonly port: number } | { readonly peakRssBytes: number }

const plane = await startPlane({ config: process.argv[2]! })
const tell = (message: FromPlaneProcess) => process.send!(message)
process.on('message', () => tell({ peakRssBytes: process.resourceUsage().maxRSS * 1024 }))
process.on('disconnect', () => void plane.close())
tell({ port: plane.port })
