import { createServer } from 'node:net'

/** Below the range that systems hand out themselves, so that nobody else is given one in the meantime. */
const from = 20_000
const count = 12_000
/** Test files run at the same time: each begins somewhere else. */
let next = (process.pid * 97) % count

/** A port of this machine that is free, for programs that must be told which to take. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = from + (next++ % count)
    if (await isFree(port)) return port
  }
}

export function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '0.0.0.0', exclusive: true }, () => server.close(() => resolve(true)))
  })
}
