/** Where a request wants to go: the forms of its target, its host and path (RFC 9112, section 3.2). */

import { Field, type RequestHead } from '../http/h1.ts'
import { ipv6Byte, nameByte, targetByte } from '../http/tables.ts'
import { forwardedForAddressesMax } from '../model/limits.ts'
import type { OutBuffer } from '../net/buffers.ts'
import type { Exchange } from './exchange.ts'

const slash = 0x2f
const colon = 0x3a
const openingBracket = 0x5b
const closingBracket = 0x5d
const question = 0x3f

/**
 * Fills in host, authority and path. The authority of an absolute target outweighs the Host field, unless that is
 * preserved: rules then look at the host that the target will see.
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
  if (at === authorityFrom || !readAuthority(exchange, authorityFrom, at)) return false
  const { preserveHostHeader } = exchange.listener!.loadBalancer.attributes
  return !preserveHostHeader || head.meaning.hostAt === -1 || readHostField(exchange)
}

/**
 * The host that a request asks for, in lower case and without a port; '' for none. It says no more of the request, and
 * is for finding out which load balancer is to look at it.
 */
export function hostAsked(head: RequestHead): string {
  const target = head.text(head.targetFrom, head.targetTo)
  const at = head.meaning.hostAt
  const field = at === -1 ? '' : head.text(head.valueFrom(at), head.valueTo(at))
  const authority = target.startsWith('/') || !target.includes('://') ? field : target.split('/', 3)[2]!
  return authority.split(':', 1)[0]!.toLowerCase()
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
  const hostTo = bytes[from] === openingBracket ? endOfIpv6(bytes, from, to) : endOfName(bytes, from, to)
  if (hostTo <= from || (hostTo < to && !isPort(bytes, hostTo, to))) return false
  exchange.authority = exchange.head.text(from, to)
  exchange.host = exchange.head.text(from, hostTo).toLowerCase()
  return true
}

/** @returns the position behind it, or -1 */
function endOfName(bytes: Uint8Array, from: number, to: number): number {
  let at = from
  while (at < to && nameByte[bytes[at]!] === 1) at++
  return at === to || bytes[at] === colon ? at : -1
}

/** @returns the position behind the closing bracket, or -1 */
function endOfIpv6(bytes: Uint8Array, from: number, to: number): number {
  let at = from + 1
  while (at < to && ipv6Byte[bytes[at]!] === 1) at++
  if (at === from + 1 || at === to || bytes[at] !== closingBracket) return -1
  return at + 1 === to || bytes[at + 1] === colon ? at + 1 : -1
}

/** A colon, and a number that is a port; a colon alone is allowed (RFC 3986, section 3.2.3). */
function isPort(bytes: Uint8Array, from: number, to: number): boolean {
  let port = 0
  for (let at = from + 1; at < to; at++) {
    const digit = bytes[at]! - 0x30
    if (digit < 0 || digit > 9) return false
    port = port * 10 + digit
    if (port > 65_535) return false
  }
  return true
}

/** Without the query. Spaces and controls are percent-encoded, as the target gets them. */
export function pathOf({ head, pathFrom }: Exchange): string {
  const to = endOfPath(head, pathFrom)
  return to === pathFrom ? '/' : targetText(head, pathFrom, to)
}

/** Without the question mark; '' when there is none. */
export function queryOf({ head, pathFrom }: Exchange): string {
  const at = endOfPath(head, pathFrom)
  return at === head.targetTo ? '' : targetText(head, at + 1, head.targetTo)
}

/** Path and query as one text. */
export function uriOf({ head, pathFrom }: Exchange): string {
  const text = targetText(head, pathFrom, head.targetTo)
  return text === '' || text.startsWith('?') ? `/${text}` : text
}

function endOfPath({ bytes, targetTo }: RequestHead, from: number): number {
  let at = from
  while (at < targetTo && bytes[at] !== question) at++
  return at
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
