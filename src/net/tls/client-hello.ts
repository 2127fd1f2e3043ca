/**
 * Reads what a client says first, before the TLS library sees it: the certificate and the protocol offered inside
 * depend on it, and a client that speaks plain HTTP can still be answered. Decides nothing about validity: what cannot
 * be understood here is left to the library, which refuses it with the right alert.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8446#section-4.1.2
 */

export type ClientHello = {
  /** In lower case; null when the client names none, or nothing that is a host's name. */
  readonly serverName: string | null
  readonly alpnProtocols: readonly string[]
  /** Key exchange groups by their IANA numbers, and those that came with a key. */
  readonly groups: readonly number[]
  readonly keyShares: readonly number[]
}

export type FirstBytes = ClientHello | 'incomplete' | 'plainHttp' | 'unknown'

/** Ours: what is read at most to find the end of a client hello, of which the largest usual ones are a tenth. */
const firstBytesMax = 16 * 1024
const recordBytesMax = 16 * 1024

const recordHeadBytes = 5
const messageHeadBytes = 4

const handshakeRecord = 22
const clientHelloMessage = 1
const extensions = { serverName: 0, supportedGroups: 10, alpn: 16, keyShare: 51 } as const
/** More letters than any registered method has. */
const methodBytesMax = 32

/** @param bytes everything that the client sent so far */
export function readFirstBytes(bytes: Buffer): FirstBytes {
  if (bytes.length === 0) return 'incomplete'
  if (bytes[0] !== handshakeRecord) return readMethod(bytes)
  const message = readMessage(bytes)
  if (message === null || (message.length > 0 && message[0] !== clientHelloMessage)) return 'unknown'
  const end = endOfMessage(message, message.length)
  if (message.length < end) return bytes.length < firstBytesMax ? 'incomplete' : 'unknown'
  try {
    return readHello(new Reader(message.subarray(messageHeadBytes, end)))
  } catch (error) {
    if (error instanceof RangeError) return 'unknown'
    throw error
  }
}

/** A word in capital letters and a space. No TLS record begins with a letter. */
function readMethod(bytes: Buffer): FirstBytes {
  let at = 0
  while (at < bytes.length && at < methodBytesMax && bytes[at]! >= 0x41 && bytes[at]! <= 0x5a) at++
  if (at === bytes.length && at < methodBytesMax) return 'incomplete'
  return at > 0 && bytes[at] === 0x20 ? 'plainHttp' : 'unknown'
}

/**
 * The first message of a handshake, as far as it has come; null if the records in which it should stand are of something
 * else. What comes behind it is not looked at: early data, for one (RFC 8446, sections 4.2.10 and D.4).
 */
function readMessage(bytes: Buffer): Buffer | null {
  const message = Buffer.allocUnsafe(bytes.length)
  let length = 0
  for (let at = 0; at < bytes.length && length < endOfMessage(message, length); ) {
    if (bytes[at] !== handshakeRecord || (at + 1 < bytes.length && bytes[at + 1] !== 3)) return null
    if (at + recordHeadBytes > bytes.length) break
    const size = bytes.readUInt16BE(at + 3)
    if (size === 0 || size > recordBytesMax) return null
    at += recordHeadBytes
    length += bytes.copy(message, length, at, at + size)
    at += size
  }
  return message.subarray(0, length)
}

/** Its type, and its length in three bytes. @returns more than there is, while that is not known */
function endOfMessage(message: Buffer, length: number): number {
  return length < messageHeadBytes ? firstBytesMax : messageHeadBytes + message.readUIntBE(1, 3)
}

function readHello(hello: Reader): ClientHello {
  hello.take(2 + 32)
  hello.take(hello.uint8())
  hello.take(hello.uint16())
  hello.take(hello.uint8())
  let serverName: string | null = null
  let alpnProtocols: readonly string[] = []
  let groups: readonly number[] = []
  let keyShares: readonly number[] = []
  const all = hello.isAtEnd ? hello : hello.vector16()
  while (!all.isAtEnd) {
    const type = all.uint16()
    const content = all.vector16()
    if (type === extensions.serverName) serverName = readServerName(content)
    else if (type === extensions.alpn) alpnProtocols = readAlpn(content.vector16())
    else if (type === extensions.supportedGroups) groups = readGroups(content.vector16())
    else if (type === extensions.keyShare) keyShares = readKeyShares(content.vector16())
  }
  return { serverName, alpnProtocols, groups, keyShares }
}

function readServerName(content: Reader): string | null {
  const names = content.vector16()
  while (!names.isAtEnd) {
    const isHostName = names.uint8() === 0
    const name = names.take(names.uint16())
    if (isHostName) return hostName(name.toString('latin1').toLowerCase())
  }
  return null
}

/** Anything else matches no certificate, not even a wildcard, and so never reaches a log. */
function hostName(text: string): string | null {
  return /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(text) ? text : null
}

function readAlpn(content: Reader): string[] {
  const protocols: string[] = []
  while (!content.isAtEnd) protocols.push(content.take(content.uint8()).toString('latin1'))
  return protocols
}

function readGroups(content: Reader): number[] {
  const groups: number[] = []
  while (!content.isAtEnd) groups.push(content.uint16())
  return groups
}

function readKeyShares(content: Reader): number[] {
  const groups: number[] = []
  while (!content.isAtEnd) {
    groups.push(content.uint16())
    content.take(content.uint16())
  }
  return groups
}

/** Throws a RangeError where bytes are missing. */
class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.#at++)
  }

  uint16(): number {
    this.#at += 2
    return this.#bytes.readUInt16BE(this.#at - 2)
  }

  take(size: number): Buffer {
    if (this.#at + size > this.#bytes.length) throw new RangeError('the vector ends beyond its message')
    this.#at += size
    return this.#bytes.subarray(this.#at - size, this.#at)
  }

  vector16(): Reader {
    return new Reader(this.take(this.uint16()))
  }
}
