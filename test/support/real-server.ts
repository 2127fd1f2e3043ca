/** Servers of other projects, as peers of a test. */
import type { TestContext } from 'node:test'
import { type Command, findCommand } from '../../scripts/debian-packages.ts'
import { within } from './deadline.ts'
import { connectClient } from './raw-client.ts'
import { RunningProcess } from './running.ts'

/** Starts a server of another project in the foreground, for one test, and waits until its port answers. */
export async function startServer(
  t: TestContext,
  command: Command,
  args: readonly string[],
  folder: string,
  port: number,
): Promise<void> {
  const server = new RunningProcess(t, args, folder, [findCommand(command)!])
  const listening = async () => {
    for (;;) {
      try {
        ;(await connectClient(port)).close()
        return
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') throw error
        await new Promise(resolve => setImmediate(resolve))
      }
    }
  }
  await within(listening(), () => `${command} to listen; it said:\n${server.text}`)
}
