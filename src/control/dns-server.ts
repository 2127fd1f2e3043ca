/**
 * Answers DNS questions for the names of load balancers with the addresses of their zones, as the service's DNS does: up
 * to eight of them, for a minute, of healthy zones only. For this machine alone.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health.html
 */

import { createSocket, type Socket as DatagramSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer, isIPv6, type Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'
import { dnsDomain } from '../model/arns.ts'
import { type Answer, classInternet, type Question, Rcode, RecordType, readQuery, writeAnswer } from './dns/message.ts'

export type DnsServer = { readonly port: number; readonly close: () => Promise<void> }

/** @returns the addresses that a name has now; null when there is no such name. @param name in lower case */
export type Lookup = (name: string) => readonly string[] | null

const host = '127.0.0.1'
const ttlSeconds = 60
const answersMax = 8
/** Over TCP: bytes of a query, and how long a client may be silent. */
const queryBytesMax = 1024
const silenceMs = 10_000
const connectionsMax = 64
/** Both protocols take the same port, so one that is free for one may be taken for the other. */
const anyPortTries = 10

export class DnsPortNotFree extends Error {
  override readonly name = 'DnsPortNotFree'
}

/**
 * @param port 0 takes any
 * @throws DnsPortNotFree
 */
export async function startDnsServer(port: number, lookup: Lookup, clock: Clock): Promise<DnsServer> {
  const responder = new Responder(lookup)
  for (let tries = 1; ; tries++) {
    try {
      return await listen(port, responder, clock)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (port === 0 && code === 'EADDRINUSE' && tries < anyPortTries) continue
      throw new DnsPortNotFree(
        `the DNS port ${port} cannot be used: ${reasonOf(code)}. Choose one with --dns-port PORT`,
      )
    }
  }
}

function reasonOf(code: string | undefined): string {
  if (code === 'EADDRINUSE') return 'another process listens there already'
  if (code === 'EACCES') return 'ports below 1024 need privileges'
  return code ?? 'it cannot be bound'
}

async function listen(port: number, responder: Responder, clock: Clock): Promise<DnsServer> {
  const streams = new Set<Socket>()
  const server = createServer({ noDelay: true }, socket => {
    streams.add(socket)
    socket.once('close', () => streams.delete(socket))
    serveStream(socket, responder, clock)
  })
  server.maxConnections = connectionsMax
  server.listen(port, host)
  await once(server, 'listening')
  const bound = (server.address() as AddressInfo).port
  const datagrams = createSocket('udp4')
  try {
    datagrams.bind(bound, host)
    await once(datagrams, 'listening')
  } catch (error) {
    server.close()
    datagrams.close()
    throw error
  }
  serveDatagrams(datagrams, responder)
  return {
    port: bound,
    async close() {
      datagrams.close()
      server.close()
      for (const stream of streams) stream.destroy()
      await once(server, 'close')
    },
  }
}

function serveDatagrams(socket: DatagramSocket, responder: Responder): void {
  // Nobody is left to tell when an answer could not be sent: the client asks again.
  socket.on('error', () => {})
  socket.on('message', (bytes, { address, port }) => {
    const answer = responder.answer(bytes)
    if (answer !== null) socket.send(answer, port, address, () => {})
  })
}

/** Each message has its length before it (RFC 1035, section 4.2.2). */
function serveStream(socket: Socket, responder: Responder, clock: Clock): void {
  let held: Buffer = Buffer.alloc(0)
  const waitForClient = () => clock.after(silenceMs, () => socket.destroy())
  let silence = waitForClient()
  socket.once('close', () => silence.cancel())
  socket.on('error', () => socket.destroy())
  socket.on('data', (bytes: Buffer) => {
    silence.cancel()
    silence = waitForClient()
    held = Buffer.concat([held, bytes])
    while (held.length >= 2) {
      const length = held.readUInt16BE(0)
      if (length > queryBytesMax) {
        socket.destroy()
        return
      }
      if (held.length < 2 + length) return
      const answer = responder.answer(held.subarray(2, 2 + length))
      held = held.subarray(2 + length)
      // Who does not read gets no more answers either.
      if (answer === null || socket.writableNeedDrain) {
        socket.destroy()
        return
      }
      const size = Buffer.alloc(2)
      size.writeUInt16BE(answer.length, 0)
      socket.write(Buffer.concat([size, answer]))
    }
  })
}

class Responder {
  readonly #lookup: Lookup
  /** Where the next answer begins among the addresses: clients mostly take the first. */
  #turn = 0

  constructor(lookup: Lookup) {
    this.#lookup = lookup
  }

  /** @returns null when there is nothing to be said */
  answer(bytes: Buffer): Buffer | null {
    const query = readQuery(bytes)
    if (query === null) return null
    if (query.fault !== null || query.question === null) {
      return writeAnswer(query, refusal(query.fault ?? Rcode.formErr))
    }
    return writeAnswer(query, this.#find(query.question))
  }

  #find({ name, type, class: questionClass }: Question): Answer {
    const isOurs = name === dnsDomain || name.endsWith(`.${dnsDomain}`)
    if (!isOurs || questionClass !== classInternet) return refusal(Rcode.refused)
    const found = this.#lookup(name)
    const all = (found ?? []).filter(address => matches(type, address))
    const from = all.length === 0 ? 0 : this.#turn++ % all.length
    const addresses = [...all.slice(from), ...all.slice(0, from)].slice(0, answersMax)
    const rcode = found === null ? Rcode.nxDomain : Rcode.noError
    return { rcode, addresses, ttlSeconds, authority: addresses.length === 0 ? dnsDomain : null }
  }
}

/** Whoever asks for anything may be given a part of it (RFC 8482, section 4.1). */
function matches(type: number, address: string): boolean {
  return type === RecordType.any || type === (isIPv6(address) ? RecordType.aaaa : RecordType.a)
}

function refusal(rcode: Rcode): Answer {
  return { rcode, addresses: [], ttlSeconds, authority: null }
}
