/** WebSocket clients and servers of the library `ws`, and the handshake and frames of RFC 6455 for bare sockets. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { type ClientOptions, type ServerOptions, WebSocket, WebSocketServer } from 'ws'
import { readHead } from './bare-server.ts'
import { within } from './deadline.ts'
import { secureClient } from './secure-listener.ts'
import { secureTarget } from './secure-target.ts'

/** The example of RFC 6455, section 1.2. */
export const key = 'dGhlIHNhbXBsZSBub25jZQ=='
export const accept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

/** @param headers further lines, or others for those that are there */
export function upgradeRequest(path = '/chat', ...headers: readonly string[]): string {
  const usual = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${key}`]
  return `GET ${path} HTTP/1.1\r\nHost: a\r\n${[...usual, ...headers].join('\r\n')}\r\n\r\n`
}

export function switching(...headers: readonly string[]): string {
  const usual = ['Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${accept}`]
  return `HTTP/1.1 101 Switching Protocols\r\n${[...usual, ...headers].join('\r\n')}\r\n\r\n`
}

export type Server = {
  readonly port: number
  readonly sockets: WebSocketServer
  /** The sockets in the order they were accepted, as far as they were asked for. */
  readonly next: () => Promise<WebSocket>
}

export async function startWebSocketServer(
  t: TestContext,
  { isSecure = false, ...options }: ServerOptions & { readonly isSecure?: boolean } = {},
): Promise<Server> {
  const server = isSecure ? createSecureServer(secureTarget) : createServer()
  const sockets = new WebSocketServer({ server, ...options })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const waiting: WebSocket[] = []
  sockets.on('connection', socket => {
    socket.on('error', () => {}) // A connection that breaks is told by its `close`.
    waiting.push(socket)
  })
  t.after(() => {
    for (const socket of sockets.clients) socket.terminate()
    sockets.close()
    server.close()
  })
  const next = async () => {
    if (waiting.length === 0) await within(once(sockets, 'connection'), () => 'a WebSocket to reach the target')
    return waiting.shift()!
  }
  return { port: (server.address() as AddressInfo).port, sockets, next }
}

export type WebSocketOptions = ClientOptions & {
  /** By wss. */
  readonly isSecure?: boolean
  readonly path?: string
  readonly protocols?: string[]
}

/** A client whose handshake has succeeded. */
export async function openWebSocket(t: TestContext, port: number, given: WebSocketOptions = {}): Promise<WebSocket> {
  const { isSecure = false, path = '/chat', protocols = [], ...options } = given
  const url = `${isSecure ? 'wss' : 'ws'}://127.0.0.1:${port}${path}`
  const socket = new WebSocket(url, protocols, isSecure ? { ...secureClient, ...options } : options)
  t.after(() => socket.terminate())
  await within(once(socket, 'open'), () => 'the handshake')
  socket.on('error', () => {}) // See above.
  return socket
}

export type Meeting = { readonly client: WebSocket; readonly server: WebSocket }

/** A client and a server that talk through the load balancer on that port. */
export async function meet(
  t: TestContext,
  port: number,
  server: Server,
  options: WebSocketOptions = {},
): Promise<Meeting> {
  const client = await openWebSocket(t, port, options)
  return { client, server: await server.next() }
}

export type Message = { readonly data: Buffer; readonly isBinary: boolean }

export async function nextMessage(socket: WebSocket): Promise<Message> {
  const [data, isBinary] = await within(once(socket, 'message'), () => 'a message')
  return { data: data as Buffer, isBinary: isBinary as boolean }
}

export type Closing = { readonly code: number; readonly reason: string }

export async function closing(socket: WebSocket): Promise<Closing> {
  const [code, reason] = await within(once(socket, 'close'), () => 'the WebSocket to close')
  return { code: code as number, reason: String(reason) }
}

/** Has a bare client upgrade, which reads nothing further by itself. */
export async function upgrade(socket: Socket): Promise<void> {
  socket.write(upgradeRequest())
  const rest = await within(readHead(socket), () => 'the 101')
  if (rest === null) throw new Error('the peer closed before its 101')
  if (rest.length > 0) socket.unshift(rest)
}

/** One unmasked text frame, as servers send them; at most 125 bytes. */
export function textFrame(text: string): Buffer {
  return Buffer.concat([Buffer.from([0x81, text.length]), Buffer.from(text)])
}

/** One masked text frame, as clients send them; at most 125 bytes. The mask is all zero, which leaves the text as it is. */
export function maskedTextFrame(text: string): Buffer {
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)])
}
