/**
 * Makes an accepted socket read into memory of ours.
 *
 * `net.connect` takes `onread`; a server's sockets do not, so the accepted handle is moved into a socket made with it.
 * The constructor option `handle` is undocumented: should it ever go, sockets fall back to `data` events, slower and
 * otherwise the same.
 */

import { Socket } from 'node:net'
import type { SocketRead } from './connection.ts'

type WithHandle = { _handle: unknown }

/** @param accepted comes from a server with `pauseOnConnect`, so that nothing has been read yet */
export function adoptAccepted(accepted: Socket, read: SocketRead): Socket {
  const handle = (accepted as unknown as WithHandle)._handle
  if (typeof handle !== 'object' || handle === null || !('useUserBuffer' in handle)) return readByEvents(accepted, read)
  const options = { handle, allowHalfOpen: true, onread: { buffer: read.buffer, callback: read.callback } }
  const socket = new Socket(options as unknown as ConstructorParameters<typeof Socket>[0])
  ;(accepted as unknown as WithHandle)._handle = null
  return socket
}

/** Also for sockets that have no handle of the expected kind; one that was accepted paused is set going. */
export function readByEvents(socket: Socket, read: SocketRead): Socket {
  socket.on('data', bytes => {
    read.callback(bytes.length, bytes as unknown as Uint8Array)
  })
  return socket.resume()
}
