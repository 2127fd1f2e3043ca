/** Blocks of addresses, compared bit by bit. An address of the other family is in no block. */

import { type AddressWords, parseAddress } from '../base/ip-address.ts'

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

export function contains(block: Cidr, address: AddressWords): boolean {
  const { words, masks } = block
  if (words.length !== address.length) return false
  for (let i = 0; i < words.length; i++) if ((address[i]! & masks[i]!) >>> 0 !== words[i]) return false
  return true
}
