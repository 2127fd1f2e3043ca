/** Targets that read slowly, at the end of what they are sent. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { ManualClock } from '../../src/base/clock.ts'
import { DeadlineWheel } from '../../src/base/deadline-wheel.ts'
import { Buffers } from '../../src/net/buffers.ts'
import { turnEnd } from '../../src/net/turn.ts'
import { acquireConnection, type TargetUser } from '../../src/targets/target-connection.ts'
import { Target } from '../../src/targets/target-group.ts'
import { readToEnd } from '../support/bare-server.ts'
import { within } from '../support/deadline.ts'
import { until } from '../support/turns.ts'

test('a target that closed its side of a tunnel is sent the rest also when the tunnel is over', async t => {
  const accepted = Promise.withResolvers<Socket>()
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, accepted.resolve).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const clock = new ManualClock()
  const net = { clock, wheel: new DeadlineWheel(clock), buffers: new Buffers(), ...turnEnd() }
  const { port } = server.address() as { port: number }
  const connected = Promise.withResolvers<void>()
  const user: TargetUser = {
    onTargetConnected: () => connected.resolve(),
    onTargetUnreachable: code => connected.reject(new Error(code)),
    onTargetBytes: () => {},
    onTargetEnd: () => {},
    onTargetDrained: () => {},
    onTargetClosed: () => {},
  }
  const connection = acquireConnection(net, new Target({ slot: 0, ip: '127.0.0.1', port }, 60_000), user)
  const target = await within(accepted.promise, () => 'the connection')
  await connected.promise
  target.end()
  await until(
    () => connection.hasEnded,
    () => 'the FIN of the target',
  )
  const piece = Buffer.alloc(64 * 1024)
  let sentBytes = piece.length
  while (connection.send(piece)) sentBytes += piece.length // until the kernel takes no more of it
  connection.discard()
  assert.equal((await within(readToEnd(target), () => 'the rest')).length, sentBytes)
})
