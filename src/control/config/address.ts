/** Addresses and ports as sockets know them. */

import { isIPv6, SocketAddress } from 'node:net'

/** The one spelling of an address that we use: lower case, shortest form. @param ip a valid IPv4 or IPv6 address */
export function canonicalAddress(ip: string): string {
  return isIPv6(ip) ? new SocketAddress({ address: ip, family: 'ipv6' }).address : ip
}

/** Whether sockets bound to the two on one port would collide. Each family has its own `any` address. */
export function bindsOverlap(one: string, other: string): boolean {
  if (isIPv6(one) !== isIPv6(other)) return false
  const any = isIPv6(one) ? '::' : '0.0.0.0'
  return one === other || one === any || other === any
}

/** The port to bind for a listener port: only those that need privileges move. */
export function offsetPort(port: number, portOffset: number): number {
  return port < 1024 ? port + portOffset : port
}
