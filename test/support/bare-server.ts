/** A target that is only a socket, for tests that stream more than a message reader should hold. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { secureAccepted } from './secure-target.ts'

const headEnd = Buffer.from('\r\n\r\n')

/**
 * Starts a server for one test. `serve` gets each connection when a request head was read, paused, with what came
 * behind the head, and what carries it: without TLS, itself.
 *
 * @returns its port on 127.0.0.1
 */
export async function startBareServer(
  t: TestContext,
  serve: (socket: Socket, rest: Buffer, accepted: Socket) => void | Promise<void>,
  { isSecure = false }: { readonly isSecure?: boolean } = {},
): Promise<number> {
  const sockets = new Set<Socket>()
  const failures: unknown[] = []
  const server = createServer({ allowHalfOpen: true, noDelay: true }, async accepted => {
    sockets.add(accepted)
    const socket = isSecure ? secureAccepted(accepted) : accepted
    socket.on('error', () => {}) // Peers that reset are part of the tests.
    try {
      const rest = await readHead(socket)
      if (rest !== null) await serve(socket, rest, accepted)
    } catch (error) {
      failures.push(error)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
    if (failures.length > 0) throw failures[0]
  })
  return (server.address() as AddressInfo).port
}

/** A client's socket that reads only when told to, and stays open for reading when it has closed its side. */
export async function openSocket(t: TestContext, port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  t.after(() => socket.destroy())
  socket.on('error', () => {}) // See above.
  await once(socket, 'connect')
  return socket
}

/** Reads a head and leaves the socket paused; returns the bytes behind it, or null when the peer closed. */
export async function readHead(socket: Socket): Promise<Buffer | null> {
  let head = Buffer.alloc(0)
  for (;;) {
    const bytes: Buffer | null = socket.read()
    if (bytes !== null) head = Buffer.concat([head, bytes])
    const end = head.indexOf(headEnd)
    if (end !== -1) return head.subarray(end + headEnd.length)
    if (socket.readableEnded || socket.destroyed) return null
    await Promise.race([once(socket, 'readable'), once(socket, 'end'), once(socket, 'close')])
  }
}

/** Everything that still comes until the peer closes its side. */
export async function readToEnd(socket: Socket): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const bytes of socket.iterator({ destroyOnReturn: false })) pieces.push(bytes as Buffer)
  return Buffer.concat(pieces)
}
