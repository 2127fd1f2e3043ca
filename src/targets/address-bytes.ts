/** Addresses as the bytes of RFC 4291, between the canonical text of the configuration and a stickiness cookie. */

import { SocketAddress } from 'node:net'

export const ipv4Bytes = 4
export const ipv6Bytes = 16

/** @param ip a valid address @returns bytes written: `ipv4Bytes` or `ipv6Bytes` */
export function writeAddress(ip: string, bytes: Uint8Array, at: number): number {
  if (!ip.includes(':')) {
    writeIpv4(ip, bytes, at)
    return ipv4Bytes
  }
  const [before, after] = ip.split('::')
  bytes.fill(0, at, at + ipv6Bytes)
  writeGroups(before!, bytes, at)
  if (after !== undefined) writeGroups(after, bytes, at + ipv6Bytes - groupBytes(after))
  return ipv6Bytes
}

export function readIpv4(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`
}

/** In canonical form: shortened by the platform, as the configuration is. */
export function readIpv6(bytes: Uint8Array, at: number): string {
  const groups: string[] = []
  for (let i = at; i < at + ipv6Bytes; i += 2) groups.push(((bytes[i]! << 8) | bytes[i + 1]!).toString(16))
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address
}

/** Groups of 16 bits; the last may be an IPv4 address. An empty text is one group that parses as NaN: two zeros. */
function writeGroups(text: string, bytes: Uint8Array, at: number): void {
  let to = at
  for (const group of text.split(':')) {
    if (group.includes('.')) {
      writeIpv4(group, bytes, to)
    } else {
      const value = Number.parseInt(group, 16)
      bytes[to++] = value >> 8
      bytes[to++] = value
    }
  }
}

function groupBytes(text: string): number {
  return text.split(':').length * 2 + (text.includes('.') ? 2 : 0)
}

function writeIpv4(ip: string, bytes: Uint8Array, at: number): void {
  let to = at
  let value = 0
  for (let i = 0; i < ip.length; i++) {
    const digit = ip.charCodeAt(i) - 0x30
    if (digit >= 0) {
      value = value * 10 + digit
    } else {
      bytes[to++] = value // a dot
      value = 0
    }
  }
  bytes[to] = value
}
