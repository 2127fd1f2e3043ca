/** Rules on what is bound: which listeners may meet on one socket. */

import { canonicalAddress } from '../../base/ip-address.ts'
import { bindsOverlap, offsetPort } from './address.ts'
import { nodeAddresses } from './check-zones.ts'
import { type Found, itemsOf, type ListenerDraft, type LoadBalancerDraft, type Report } from './draft.ts'
import type { Gathered } from './gather.ts'
import type { Place } from './source.ts'
import { checkUnique } from './unique.ts'

/** A listener on one address. */
type Binding = {
  readonly port: Place
  readonly bind: string
  /** Its position. */
  readonly loadBalancer: number
  readonly protocol: ListenerDraft['protocol']
}

export function checkBindings(all: Gathered, portOffset: number, report: Report): void {
  const bound = new Map<number, Binding[]>()
  for (const [position, { place, value, listeners }] of all.loadBalancers.entries()) {
    const found =
      'availabilityZones' in value
        ? nodeAddresses({ place, value }, position, all, report)
        : bindsOf(place.at('bind'), value)
    const binds = distinct(found, report)
    const ports = listeners.map(listener => ({ place: listener.place.at('port'), value: listener.value.port }))
    checkUnique(ports, report, (port, first) => `must be unique in its load balancer: ${port} is also at ${first}`)
    const seen = new Set<number>()
    for (const { place: at, value: listener } of listeners) {
      const { port, protocol } = listener
      if (port === undefined || seen.has(port)) continue
      seen.add(port)
      const bindings = binds.map(bind => ({ port: at.at('port'), bind, loadBalancer: position, protocol }))
      checkBinding(at.at('port'), port, bindings, portOffset, bound, report)
    }
  }
}

function bindsOf(place: Place, value: LoadBalancerDraft): Found<string>[] {
  const { bind = '0.0.0.0' } = value
  const found = typeof bind === 'string' ? [{ place, value: bind }] : itemsOf(place, bind)
  return 'bind' in value && value.bind === undefined ? [] : found
}

/** The addresses of a load balancer must not cover each other. */
function distinct(addresses: readonly Found<string>[], report: Report): string[] {
  const distinct: string[] = []
  for (const { place, value } of addresses) {
    const address = canonicalAddress(value)
    const other = distinct.find(earlier => bindsOverlap(earlier, address))
    if (other !== undefined) report(place, `is the same socket twice: ${address} overlaps with ${other}`)
    else distinct.push(address)
  }
  return distinct
}

function checkBinding(
  at: Place,
  port: number,
  bindings: readonly Binding[],
  portOffset: number,
  bound: Map<number, Binding[]>,
  report: Report,
): void {
  const bindPort = offsetPort(port, portOffset)
  const moved = bindPort === port ? '' : `, moved to ${bindPort} by the port offset,`
  if (bindPort > 65535) {
    report(at, `${port} plus the port offset ${portOffset} is ${bindPort}, above 65535`)
    return
  }
  const others = bound.get(bindPort) ?? []
  for (const other of others) {
    const why = bindings.map(own => whyApart(own, other)).find(reason => reason !== null)
    if (why === undefined) continue
    report(at, `${port}${moved} is already bound on ${other.bind} by the listener at ${other.port}${why}`)
    break
  }
  bound.set(bindPort, [...others, ...bindings])
}

/**
 * Load balancers may share an address and a port, where they are told apart by their DNS names.
 *
 * @returns why these two listeners cannot; null when they can, or do not meet
 */
function whyApart(own: Binding, other: Binding): string | null {
  if (!bindsOverlap(own.bind, other.bind)) return null
  if (own.loadBalancer === other.loadBalancer) return ''
  if (own.bind !== other.bind) return ': give both load balancers one address, or addresses apart'
  if (own.protocol === undefined || other.protocol === undefined || own.protocol === other.protocol) return null
  return `, which is ${other.protocol}: load balancers that share an address and a port have one protocol there`
}
