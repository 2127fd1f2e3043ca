/** What a proxy keeps in memory for a client that has made its request and stays connected. */
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Child, type Children, Core } from './children.ts'
import type { Settled } from './clients.ts'
import type { RunningPeer } from './peers.ts'
import { residentBytes } from './proc.ts'
import { loadCases } from './targets.ts'
import { runWrk } from './wrk.ts'

export const idleConnections = 10_000

export type IdleSample = {
  readonly connections: number
  readonly baseBytes: number
  readonly growthBytes: number
  readonly bytesPerConnection: number
  /** Connections refused, unanswered or closed before the end. */
  readonly lost: number
  readonly firstFailure: string
}

/** Time for a heap to be tidied and for a buffered log to be written. */
const settleMs = 2000

/** The peer should be fresh: memory that an earlier case left free would hide the growth. */
export async function measureIdle(children: Children, folder: string, peer: RunningPeer): Promise<IdleSample> {
  // First some traffic, so that code, pools and buffers that any use brings are not counted as connections.
  const loadCase = loadCases[0]!
  await runWrk(children, folder, `http://127.0.0.1:${peer.port}`, loadCase, 1)
  await sleep(settleMs)
  const baseBytes = residentBytes(peer.child.pid)
  const clients = children.launch(
    [
      process.execPath,
      join(import.meta.dirname, 'clients.ts'),
      String(peer.port),
      String(idleConnections),
      loadCase.path,
    ],
    { core: Core.load, cwd: folder, outputFile: join(folder, 'clients-output'), ipc: true },
  )
  try {
    const settled = await message<Settled>(clients, 60_000)
    await sleep(settleMs)
    const growthBytes = residentBytes(peer.child.pid) - baseBytes
    clients.process.send('count')
    const open = await message<number>(clients, 10_000)
    return {
      connections: open,
      baseBytes,
      growthBytes,
      bytesPerConnection: growthBytes / Math.max(1, open),
      lost: idleConnections - open,
      firstFailure: settled.firstFailure,
    }
  } finally {
    await children.stop(clients)
  }
}

async function message<Expected>(child: Child, patienceMs: number): Promise<Expected> {
  const [value] = await once(child.process, 'message', { signal: AbortSignal.timeout(patienceMs) })
  return value as Expected // sent by our own clients.ts
}
