/** Waiting for what others do, without waiting for a while. */

import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { deadlineMs } from './deadline.ts'

/** Turns the event loop until `isReached`; for what has no event of its own. */
export async function until(isReached: () => boolean, awaited: () => string): Promise<void> {
  const endsAt = performance.now() + deadlineMs
  while (!isReached()) {
    if (performance.now() > endsAt) throw new Error(`waited ${deadlineMs} ms for ${awaited()}`)
    await setImmediate()
  }
}

/**
 * Resolves when everything in this process has read what it was sent before. Loopback delivers in order and within
 * the call that sends, so what a connection of our own brings there and back came behind all that.
 */
export async function caughtUp(): Promise<void> {
  const server = createServer(socket => socket.pipe(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  for (let i = 0; i < 3; i++) {
    socket.write('.')
    await once(socket, 'data')
    await setImmediate()
  }
  socket.destroy()
  server.close()
  await once(server, 'close')
}

/** Resolves when `progress`, having begun, has come to a stop: whatever fills buffers has filled them. */
export async function stalled(progress: () => number): Promise<void> {
  await until(
    () => progress() > 0,
    () => 'progress to begin',
  )
  for (let before = 0; before !== progress(); ) {
    before = progress()
    for (let i = 0; i < 5; i++) await caughtUp()
  }
}
