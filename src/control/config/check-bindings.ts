/** Rules on what is bound: no two listeners on one socket. */

import { canonicalAddress } from '../../base/ip-address.ts'
import { bindsOverlap, offsetPort } from './address.ts'
import { nodeAddresses } from './check-zones.ts'
import { type Found, itemsOf, type LoadBalancerDraft, type Report } from './draft.ts'
import type { Gathered } from './gather.ts'
import type { Place } from './source.ts'
import { checkUnique } from './unique.ts'

type Binding = { readonly port: Place; readonly bind: string }

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
    for (const { place: at, value: port } of ports) {
      if (port === undefined || seen.has(port)) continue
      seen.add(port)
      checkBinding(at, port, binds, portOffset, bound, report)
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
  binds: readonly string[],
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
  const taken = others.find(other => binds.some(bind => bindsOverlap(bind, other.bind)))
  if (taken !== undefined) {
    const later = 'listeners that share an address and a port are not supported yet'
    report(at, `${port}${moved} is already bound on ${taken.bind} by the listener at ${taken.port}; ${later}`)
  }
  bound.set(bindPort, [...others, ...binds.map(bind => ({ port: at, bind }))])
}
