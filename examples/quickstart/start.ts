/** `npm start`: three targets in processes of their own, and a load balancer in front of them. */

import { fork } from 'node:child_process'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { main } from '../../src/main.ts'

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url))
const targetPorts = [3001, 3002, 3003]

for (const port of targetPorts) {
  if (await isTaken(port)) {
    console.error(
      `Port ${port} of 127.0.0.1 is taken, and the quickstart needs it for a target. See who has it: ss -ltnp`,
    )
    process.exit(2)
  }
}

// A target is its own process, so that one can be killed; it goes when this one does.
const targets = targetPorts.map(port => ({
  port,
  process: fork(here('target.ts'), [String(port)], { detached: true }),
}))
for (const target of targets) console.log(`target 127.0.0.1:${target.port}: process ${target.process.pid}`)
console.log(
  `To see a target fail: kill ${targets[0]!.process.pid}   To edit while it runs: examples/quickstart/openalb.yaml`,
)

const exitCode = await main(['up', here('openalb.yaml'), '--watch', ...process.argv.slice(2)])
for (const target of targets) if (target.process.connected) target.process.disconnect()
process.exit(exitCode)

function isTaken(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(true))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(false)))
  })
}
