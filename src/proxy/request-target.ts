/** Where a request wants to go: the forms of its target, its host and path (RFC 9112, section 3.2). */

import { Field, type RequestHead } from '../http/h1.ts'
import { hostByte, targetByte } from '../http/tables.ts'
import { forwardedForAddressesMax } from '../model/limits.ts'
import type { OutBuffer } from '../net/buffers.ts'
import type { Exchange } from './exchange.ts'

const slash = 0x2f
const colon = 0x3a

/**
 * Fills in host, authority and path. The authority of an absolute target outweighs the Host field.
 *
 * @returns false when there is no usable host, or the target has a form that means nothing here
 */
export function readRequestTarget(exchange: Exchange): boolean {
  const { head } = exchange
  const { bytes, targetFrom: from, targetTo: to } = head
  exchange.pathFrom = from
  if (bytes[from] === slash) return readHostField(exchange)
  if (to - from === 1 && bytes[from] === 0x2a)
    return head.text(head.methodFrom, head.methodTo) === 'OPTIONS' && readHostField(exchange)
  const scheme = head.text(from, Math.min(to, from + 8)).toLowerCase()
  if (!scheme.startsWith('http://') && scheme !== 'https://') return false
  const authorityFrom = from + (scheme === 'https://' ? 8 : 7)
  let at = authorityFrom
  while (at < to && bytes[at] !== slash && bytes[at] !== 0x3f) at++
  exchange.pathFrom = at
  return at > authorityFrom && readAuthority(exchange, authorityFrom, at)
}

function readHostField(exchange: Exchange): boolean {
  const { head } = exchange
  const at = head.meaning.hostAt
  if (at !== -1) return readAuthority(exchange, head.valueFrom(at), head.valueTo(at))
  if (head.minorVersion > 0) return false
  // HTTP/1.0 needs no Host; the load balancer's own name takes its place.
  exchange.authority = exchange.listener!.loadBalancer.dnsName
  exchange.host = exchange.authority.toLowerCase()
  return true
}

/** Most requests name the host that the one before named: then nothing is read again, and no string is made. */
function readAuthority(exchange: Exchange, from: number, to: number): boolean {
  if (!isAscii(exchange.head.bytes, from, to, exchange.seenAuthority)) {
    if (!readNewAuthority(exchange, from, to)) return false
    exchange.seenAuthority = exchange.authority
    exchange.seenHost = exchange.host
  }
  exchange.authority = exchange.seenAuthority
  exchange.host = exchange.seenHost
  return true
}

function isAscii(bytes: Uint8Array, from: number, to: number, text: string): boolean {
  if (to - from !== text.length || text.length === 0) return false
  for (let i = 0; i < text.length; i++) if (bytes[from + i] !== text.charCodeAt(i)) return false
  return true
}

function readNewAuthority(exchange: Exchange, from: number, to: number): boolean {
  const { bytes } = exchange.head
  let hostTo = to
  for (let at = from; at < to; at++) if (hostByte[bytes[at]!] === 0) return false
  const closing = bytes[from] === 0x5b ? bytes.indexOf(0x5d, from) : -1
  if (bytes[from] === 0x5b && (closing === -1 || closing >= to)) return false
  for (let at = closing === -1 ? from : closing; at < to; at++) {
    if (bytes[at] !== colon) continue
    hostTo = at
    for (let digit = at + 1; digit < to; digit++) if (bytes[digit]! < 0x30 || bytes[digit]! > 0x39) return false
    break
  }
  if (hostTo === from) return false
  exchange.authority = exchange.head.text(from, to)
  exchange.host = exchange.head.text(from, hostTo).toLowerCase()
  return true
}

/** The path that rules compare: never the query. Spaces and controls are percent-encoded, as the target gets them. */
export function pathOf(exchange: Exchange): string {
  const { head, pathFrom } = exchange
  const query = head.bytes.indexOf(0x3f, pathFrom)
  const to = query === -1 || query > head.targetTo ? head.targetTo : query
  return to === pathFrom ? '/' : targetText(head, pathFrom, to)
}

/** Without the question mark; '' when there is none. */
export function queryOf(exchange: Exchange): string {
  const { head, pathFrom } = exchange
  const query = head.bytes.indexOf(0x3f, pathFrom)
  return query === -1 || query >= head.targetTo ? '' : targetText(head, query + 1, head.targetTo)
}

function targetText(head: RequestHead, from: number, to: number): string {
  if (!head.meaning.hasOddTarget) return head.text(from, to)
  let text = ''
  for (let at = from; at < to; at++) {
    const byte = head.bytes[at]!
    text += targetByte[byte] === 1 ? String.fromCharCode(byte) : percentEncoded(byte)
  }
  return text
}

function percentEncoded(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
}

/** The most bytes that `writeEncoded` makes of one. */
export const encodedBytesMax = 3

/** Writes a part of a target with spaces and controls percent-encoded; everything else stays as it is. */
export function writeEncoded(bytes: Buffer, from: number, to: number, out: OutBuffer): void {
  let at = from
  while (at < to) {
    const runFrom = at
    while (at < to && targetByte[bytes[at]!] === 1) at++
    out.copy(bytes, runFrom, at)
    if (at < to) out.ascii(percentEncoded(bytes[at++]!))
  }
}

/** Whether X-Forwarded-For, over all its fields, names more addresses than are accepted. */
export function hasTooManyForwardedFor(head: RequestHead): boolean {
  let addresses = 0
  for (let i = 0; i < head.fieldCount; i++) {
    if (head.field(i) !== Field.forwardedFor) continue
    if (head.valueTo(i) > head.valueFrom(i)) addresses++
    for (let at = head.valueFrom(i); at < head.valueTo(i); at++) if (head.bytes[at] === 0x2c) addresses++
  }
  return addresses > forwardedForAddressesMax
}
