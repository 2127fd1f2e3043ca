/**
 * Writes to a TCP socket past Node's streams, whose bookkeeping is a twenty-fifth of what a small request costs.
 *
 * It rests on what `net.Socket` itself is made of and nobody documents: the handle's `writeBuffer` and the request
 * object that it takes. Should either go, connections write to the stream, as they do with TLS: slower, otherwise the
 * same.
 */

import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { getSystemErrorName } from 'node:util'

/** Of a write: free again as soon as the kernel has taken all of it, which is nearly always at once. */
type WriteRequest = {
  /** Called once by the handle for a write that had to wait. @param status below 0: an error of the system */
  oncomplete: (status: number) => void
  /** Memory that must stay as it is until then. */
  buffer: Uint8Array | null
}

type Handle = {
  /** @returns 0 or an error of the system, negative */
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number
}

type StreamWrap = {
  readonly WriteWrap: new () => WriteRequest
  /** What the last call of a handle's method came to. */
  readonly streamBaseState: Int32Array
  readonly kLastWriteWasAsync: number
}

type Bindings = { binding(name: 'stream_wrap'): StreamWrap }

const streamWrap = findStreamWrap()
/** For the next write, of whatever socket. */
let spare: WriteRequest | null = null

/** Who sent bytes that the kernel did not take at once. */
export type DirectSender = {
  /** They have left. Does not come for a socket that was destroyed before. */
  onSent(): void
}

/** Whether a socket can be written to so at all; what TLS sends, it makes of the stream. */
export function takesDirectWrites(socket: Socket): boolean {
  return streamWrap !== null && !(socket instanceof TLSSocket)
}

/** Whether it can be right now: it is open, and nothing waits in the stream that would be overtaken. */
export function isOpenForDirectWrites(socket: Socket): boolean {
  if (socket.writableLength > 0 || socket.writableEnded || socket.connecting) return false
  return typeof handleOf(socket)?.writeBuffer === 'function'
}

/**
 * Writes to a socket that is open for it. An error destroys the socket, as it does in a stream.
 *
 * @returns whether the memory is the caller's again; otherwise it must stay as it is until `onSent`
 */
export function writeDirectly(socket: Socket, bytes: Uint8Array, sender: DirectSender): boolean {
  const { WriteWrap, streamBaseState, kLastWriteWasAsync } = streamWrap!
  const request = spare ?? new WriteWrap()
  spare = null
  const status = handleOf(socket)!.writeBuffer!(request, bytes)
  if (status !== 0) {
    socket.destroy(systemError(status))
    return true
  }
  if (streamBaseState[kLastWriteWasAsync] === 0) {
    spare = request
    return true
  }
  request.buffer = bytes
  request.oncomplete = status => {
    request.buffer = null
    if (socket.destroyed) return
    if (status < 0) socket.destroy(systemError(status))
    else sender.onSent()
  }
  return false
}

/** Null once the socket was destroyed. */
function handleOf(socket: Socket): Partial<Handle> | null | undefined {
  return (socket as unknown as { readonly _handle?: Partial<Handle> | null })._handle
}

function systemError(status: number): Error {
  const code = getSystemErrorName(status)
  return Object.assign(new Error(`write ${code}`), { code, errno: status, syscall: 'write' })
}

function findStreamWrap(): StreamWrap | null {
  try {
    const found = (process as unknown as Bindings).binding('stream_wrap')
    const isKnown = typeof found.WriteWrap === 'function' && typeof found.kLastWriteWasAsync === 'number'
    return isKnown && found.streamBaseState instanceof Int32Array ? found : null
  } catch {
    return null
  }
}
