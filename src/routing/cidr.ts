/** Blocks of addresses, compared bit by bit. An address of the other family is in no block. */

import { isIPv4, isIPv6 } from 'node:net'

/** 32-bit words, the first one highest: one for IPv4, four for IPv6. */
export type AddressWords = readonly number[]

export type Cidr = { readonly words: AddressWords; readonly masks: AddressWords }

/**
 * @param text `192.0.2.0/24` or `2001:db8::/32`; bits behind the prefix are ignored
 * @returns null if it is none
 */
export function parseCidr(text: string): Cidr | null {
  const slash = text.indexOf('/')
  const words = parseAddress(slash === -1 ? '' : text.slice(0, slash))
  const digits = text.slice(slash + 1)
  if (words === null || !/^\d{1,3}$/.test(digits)) return null
  const length = Number(digits)
  if (length > words.length * 32) return null
  const masks = words.map((_, i) => maskOf(length - 32 * i))
  return { words: words.map((word, i) => (word & masks[i]!) >>> 0), masks }
}

function maskOf(bits: number): number {
  if (bits <= 0) return 0
  return bits >= 32 ? 0xffff_ffff : (0xffff_ffff << (32 - bits)) >>> 0
}

/** @returns null if it is no address */
export function parseAddress(text: string): AddressWords | null {
  if (isIPv4(text)) return [ipv4Word(text)]
  // A link-local peer comes with its interface, fe80::1%eth0.
  const zone = text.indexOf('%')
  const bare = zone === -1 ? text : text.slice(0, zone)
  return isIPv6(bare) ? ipv6Words(bare) : null
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

export function contains(block: Cidr, address: AddressWords): boolean {
  const { words, masks } = block
  if (words.length !== address.length) return false
  for (let i = 0; i < words.length; i++) if ((address[i]! & masks[i]!) >>> 0 !== words[i]) return false
  return true
}
