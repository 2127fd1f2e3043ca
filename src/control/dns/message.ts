/**
 * DNS messages, as far as a server needs them that knows addresses and nothing else: queries with one question in,
 * answers with A and AAAA records out. Strict: what does not add up is no query.
 *
 * @see https://www.rfc-editor.org/rfc/rfc1035#section-4
 */

import { parseAddress } from '../../base/ip-address.ts'

export const Rcode = { noError: 0, formErr: 1, nxDomain: 3, notImp: 4, refused: 5, badVers: 16 } as const
export type Rcode = (typeof Rcode)[keyof typeof Rcode]

export const RecordType = { a: 1, soa: 6, aaaa: 28, opt: 41, any: 255 } as const
export const classInternet = 1

export type Query = {
  /** The first 12 bytes. */
  readonly header: Buffer
  /** Why it can only be refused; null when there is a question to look at. */
  readonly fault: Rcode | null
  readonly question: Question | null
  /** The client speaks EDNS, and an answer has to say that we do (RFC 6891, section 6.1.1). */
  readonly hasEdns: boolean
}

export type Question = {
  /** In lower case, without the dot at its end; '' is the root. A dot within a label is written `\.`. */
  readonly name: string
  readonly type: number
  readonly class: number
  /** As it came: clients compare it with what they sent, letter case included. */
  readonly bytes: Buffer
}

const headerBytes = 12
const labelBytesMax = 63
const nameBytesMax = 255
/** Of UDP messages that we take; nobody needs to send more than 512 to be told addresses. */
const ednsBytes = 1232

/** @returns null for what must not be answered: no message, or a response, which would go back and forth for ever */
export function readQuery(bytes: Buffer): Query | null {
  if (bytes.length < headerBytes) return null
  const header = bytes.subarray(0, headerBytes)
  const flags = header.readUInt16BE(2)
  if ((flags & 0x8000) !== 0) return null
  const refused = (fault: Rcode): Query => ({ header, fault, question: null, hasEdns: false })
  if ((flags & 0x7800) !== 0) return refused(Rcode.notImp)
  if (header.readUInt16BE(4) !== 1) return refused(Rcode.formErr)
  const question = readQuestion(bytes)
  if (question === null) return refused(Rcode.formErr)
  const versions = readEdnsVersions(bytes, headerBytes + question.bytes.length)
  if (versions === null || versions.length > 1) return refused(Rcode.formErr)
  const fault = versions[0] === undefined || versions[0] === 0 ? null : Rcode.badVers
  return { header, fault, question, hasEdns: versions.length > 0 }
}

function readQuestion(bytes: Buffer): Question | null {
  const labels: string[] = []
  let at = headerBytes
  for (;;) {
    const length = bytes[at]
    // A name before all others has nothing to point to, so a longer label is no compression either.
    if (length === undefined || length > labelBytesMax) return null
    at++
    if (length === 0) break
    labels.push(
      bytes
        .toString('latin1', at, at + length)
        .toLowerCase()
        .replaceAll('.', '\\.'),
    )
    at += length
    if (at - headerBytes >= nameBytesMax) return null
  }
  if (at + 4 > bytes.length) return null
  return {
    name: labels.join('.'),
    type: bytes.readUInt16BE(at),
    class: bytes.readUInt16BE(at + 2),
    bytes: bytes.subarray(headerBytes, at + 4),
  }
}

/** @returns the version of each OPT record behind the question; null when the message does not end with its records */
function readEdnsVersions(bytes: Buffer, from: number): number[] | null {
  const records = bytes.readUInt16BE(6) + bytes.readUInt16BE(8) + bytes.readUInt16BE(10)
  const versions: number[] = []
  let at = from
  for (let i = 0; i < records; i++) {
    const nameEnd = endOfName(bytes, at)
    if (nameEnd === -1 || nameEnd + 10 > bytes.length) return null
    if (bytes.readUInt16BE(nameEnd) === RecordType.opt) versions.push(bytes[nameEnd + 5]!)
    at = nameEnd + 10 + bytes.readUInt16BE(nameEnd + 8)
  }
  return at === bytes.length ? versions : null
}

/** @returns the position behind it, or -1 */
function endOfName(bytes: Buffer, from: number): number {
  let at = from
  for (;;) {
    const length = bytes[at]
    if (length === undefined) return -1
    if (length === 0) return at + 1
    // A pointer ends a name.
    if (length >= 0xc0) return at + 2
    if (length > labelBytesMax) return -1
    at += 1 + length
  }
}

export type Answer = {
  readonly rcode: Rcode
  readonly addresses: readonly string[]
  readonly ttlSeconds: number
  /** The domain that the name is in, whose authority we are: an answer without addresses says so (RFC 2308). */
  readonly authority: string | null
}

export function writeAnswer(query: Query, answer: Answer): Buffer {
  const { question, hasEdns } = query
  const records = answer.addresses.map(address => addressRecord(address, answer.ttlSeconds))
  const authority = answer.authority === null ? [] : [soaRecord(answer.authority, answer.ttlSeconds)]
  const additional = hasEdns ? [optRecord(answer.rcode)] : []
  const header = Buffer.alloc(headerBytes)
  query.header.copy(header, 0, 0, 4)
  const isAuthoritative = records.length > 0 || authority.length > 0
  // Kept of the query: opcode, and whether recursion was desired.
  const flags = 0x8000 | (header.readUInt16BE(2) & 0x7900) | (isAuthoritative ? 0x0400 : 0) | (answer.rcode & 0xf)
  header.writeUInt16BE(flags, 2)
  header.writeUInt16BE(question === null ? 0 : 1, 4)
  header.writeUInt16BE(records.length, 6)
  header.writeUInt16BE(authority.length, 8)
  header.writeUInt16BE(additional.length, 10)
  return Buffer.concat([header, question?.bytes ?? Buffer.alloc(0), ...records, ...authority, ...additional])
}

/** Of the name in the question. */
function addressRecord(address: string, ttlSeconds: number): Buffer {
  const words = parseAddress(address)!
  const data = Buffer.alloc(words.length * 4)
  for (const [at, word] of words.entries()) data.writeUInt32BE(word >>> 0, at * 4)
  const pointer = Buffer.from([0xc0, headerBytes])
  return record(pointer, words.length === 1 ? RecordType.a : RecordType.aaaa, ttlSeconds, data)
}

/** What may be remembered of what is not there, and for how long; nobody transfers the zone, so the rest is form. */
function soaRecord(domain: string, ttlSeconds: number): Buffer {
  const times = Buffer.alloc(20)
  for (const [at, seconds] of [1, 7200, 900, 1_209_600, ttlSeconds].entries()) times.writeUInt32BE(seconds, at * 4)
  const data = Buffer.concat([nameBytes(domain), nameBytes(`hostmaster.${domain}`), times])
  return record(nameBytes(domain), RecordType.soa, ttlSeconds, data)
}

function record(name: Buffer, type: number, ttlSeconds: number, data: Buffer): Buffer {
  const head = Buffer.alloc(10)
  head.writeUInt16BE(type, 0)
  head.writeUInt16BE(classInternet, 2)
  head.writeUInt32BE(ttlSeconds, 4)
  head.writeUInt16BE(data.length, 8)
  return Buffer.concat([name, head, data])
}

/** Its class is the size that we take, and the upper bits of the code stand where others have their time to live. */
function optRecord(rcode: Rcode): Buffer {
  const bytes = Buffer.alloc(11)
  bytes.writeUInt16BE(RecordType.opt, 1)
  bytes.writeUInt16BE(ednsBytes, 3)
  bytes[5] = rcode >> 4
  return bytes
}

function nameBytes(name: string): Buffer {
  const labels = name
    .split('.')
    .map(label => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')]))
  return Buffer.concat([...labels, Buffer.alloc(1)])
}
