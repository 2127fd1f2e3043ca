/** CIDR blocks of `source-ip` conditions. */

import { isIP } from 'node:net'
import { canonicalAddress, formatAddressWords } from '../../base/ip-address.ts'
import { parseCidr } from '../../routing/cidr.ts'

/** Refused by the service by name. */
const broadcast = '255.255.255.255/32'

/** What is wrong with the text of a block, as a predicate; null when nothing is. */
export function cidrProblem(text: string): string | null {
  const [, ip = '', prefix] = /^([^/%]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? []
  const family = isIP(ip)
  if (family !== 0 && prefix === undefined) {
    return `must be a CIDR block: for this one address, "${canonicalAddress(ip)}/${family === 6 ? 128 : 32}"`
  }
  const cidr = family === 0 ? null : parseCidr(text)
  if (cidr === null) {
    return `must be a CIDR block such as "10.0.0.0/8" or "2001:db8::/32", not ${JSON.stringify(text)}`
  }
  if (text === broadcast) return `"${broadcast}" is not taken by the service`
  // What the service makes of bits behind the prefix is not published, so they are not guessed at.
  const network = formatAddressWords(cidr.words)
  if (network === canonicalAddress(ip)) return null
  return `must begin at its network address, as "${network}/${prefix}" does, not ${JSON.stringify(text)}`
}

/** @param text a block that has no problem */
export function canonicalCidr(text: string): string {
  const [ip = '', prefix] = text.split('/')
  return `${canonicalAddress(ip)}/${prefix}`
}
