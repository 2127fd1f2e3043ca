/** IP addresses as numbers, and the one spelling of them that we use. */

import { isIPv4, isIPv6, SocketAddress } from 'node:net'

/** 32-bit words, the first one highest: one for IPv4, four for IPv6. */
export type AddressWords = readonly number[]

/** @returns null if it is no address */
export function parseAddress(text: string): AddressWords | null {
  if (isIPv4(text)) return [ipv4Word(text)]
  // A link-local peer comes with its interface, fe80::1%eth0.
  const zone = text.indexOf('%')
  const bare = zone === -1 ? text : text.slice(0, zone)
  return isIPv6(bare) ? ipv6Words(bare) : null
}

/** In canonical form. */
export function formatAddressWords(words: AddressWords): string {
  const halves = words.flatMap(word => [word >>> 16, word & 0xffff])
  if (words.length > 1) return canonicalAddress(halves.map(half => half.toString(16)).join(':'))
  return halves.flatMap(half => [half >>> 8, half & 0xff]).join('.')
}

/** Lower case, shortest form. @param ip a valid IPv4 or IPv6 address */
export function canonicalAddress(ip: string): string {
  return isIPv6(ip) ? new SocketAddress({ address: ip, family: 'ipv6' }).address : ip
}

function ipv4Word(text: string): number {
  return text.split('.').reduce((word, part) => word * 256 + Number(part), 0)
}

function ipv6Words(text: string): AddressWords {
  const [left, right] = text.split('::')
  const front = groupsOf(left!)
  const back = groupsOf(right ?? '')
  const groups = [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back]
  return [0, 2, 4, 6].map(i => groups[i]! * 65536 + groups[i + 1]!)
}

function groupsOf(text: string): readonly number[] {
  if (text === '') return []
  return text.split(':').flatMap(group => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)]
    const word = ipv4Word(group)
    return [word >>> 16, word & 0xffff]
  })
}
