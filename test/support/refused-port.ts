import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'

/**
 * A port of 127.0.0.1 where nothing listens, and nothing will while this process lives: it is held as the local end
 * of an open connection, so the kernel gives it to nobody else. (A port that was merely closed may be handed to the
 * next server that asks for any.)
 */
export async function refusedPort(): Promise<number> {
  const server = createServer(socket => socket.unref())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const holder = connect(port, '127.0.0.1')
  await once(holder, 'connect')
  holder.unref()
  server.unref()
  return (holder.address() as AddressInfo).port
}
