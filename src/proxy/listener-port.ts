/**
 * Where connections find the listener that they are for. Several load balancers may listen on one address and port, which
 * the service has no way to do: there they are told apart by the DNS name that is asked for, in TLS by the server name
 * of the handshake, in the clear by the host of each request. To any other name, the one that was created first answers.
 */

import type { RunningListener } from './context.ts'

/** A load balancer's listener on an address and port. */
export type ListenerPort = {
  /** Replaced from under its connections by a publication. */
  running: RunningListener
  isClosing: boolean
  /** Null: nobody else listens there. */
  shared: SharedPort | null
}

export type SharedPort = {
  readonly first: ListenerPort
  /** By the DNS name of the load balancer, in lower case. */
  readonly byName: ReadonlyMap<string, ListenerPort>
}

/** @param name in lower case; null or '' where none is known */
export function portNamed({ first, byName }: SharedPort, name: string | null): ListenerPort {
  return byName.get(name ?? '') ?? first
}
