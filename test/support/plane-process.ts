/** A data plane in a process of its own, whose memory is looked at from outside. */

import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { within } from './deadline.ts'
import type { FromPlaneProcess, Memory } from './plane.test-process.ts'

const gibibyte = 2 ** 30
const grownMbMax = 80

/** Has that much exchanged, behind some bytes that make everything as large as it usually is. */
export async function keepsMemory(
  t: TestContext,
  config: string,
  exchange: (port: number, bytes: number) => Promise<void>,
  size = gibibyte,
): Promise<void> {
  const plane = new PlaneProcess(t, config)
  await plane.start()
  await exchange(plane.port, 2 ** 24)
  const before = await plane.peakRssBytes()
  await exchange(plane.port, size)
  const grownMb = ((await plane.peakRssBytes()) - before) / 2 ** 20
  t.diagnostic(`peak memory grew by ${grownMb.toFixed(1)} MB`)
  assert.ok(grownMb < grownMbMax, `grew by ${grownMb.toFixed(1)} MB`)
}

export class PlaneProcess {
  readonly #child: ChildProcess
  port = 0

  constructor(t: TestContext, config: string) {
    this.#child = fork(new URL('plane.test-process.ts', import.meta.url), [config])
    t.after(async () => {
      this.#child.disconnect()
      await once(this.#child, 'exit')
    })
  }

  async start(): Promise<void> {
    const message = await this.#hear()
    assert.ok('port' in message)
    this.port = message.port
  }

  peakRssBytes(): Promise<number> {
    return this.#memory('peakRss')
  }

  /** What is in use: heap and buffers, without garbage. */
  heldBytes(): Promise<number> {
    return this.#memory('held')
  }

  async #memory(which: Memory): Promise<number> {
    const answer = this.#hear()
    this.#child.send(which)
    const message = await answer
    assert.ok('bytes' in message)
    return message.bytes
  }

  async #hear(): Promise<FromPlaneProcess> {
    const [message] = await within(once(this.#child, 'message'), () => 'the process with the data plane')
    return message as FromPlaneProcess
  }
}
