/** Addresses and ports as sockets know them. */

import { isIPv6 } from 'node:net'

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
