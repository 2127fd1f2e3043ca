/** The ports that load balancers bind: which they are, and whether they are free to take. */

import type { Resources } from '../model/resources.ts'
import { whyNotFree } from '../net/port-check.ts'
import { bindsOverlap } from './config/address.ts'

export class PortNotFree extends Error {
  override readonly name = 'PortNotFree'
}

type BoundPort = { readonly ip: string; readonly port: number; readonly name: string }

export function boundPorts({ loadBalancers }: Resources): BoundPort[] {
  return loadBalancers.flatMap(({ name, availabilityZones, listeners }) => {
    const addresses = availabilityZones.flatMap(zone => zone.addresses)
    return listeners.flatMap(({ bindPort }) => addresses.map(ip => ({ ip, port: bindPort, name })))
  })
}

/**
 * @param held are bound by this process already
 * @throws PortNotFree
 */
export async function checkPorts(held: readonly BoundPort[], resources: Resources): Promise<void> {
  for (const { ip, port, name } of boundPorts(resources)) {
    if (held.some(other => other.port === port && bindsOverlap(other.ip, ip))) continue
    const why = await whyNotFree(ip, port)
    if (why !== null)
      throw new PortNotFree(`load balancer ${name} cannot listen on ${ip} port ${port}: ${portText(why, port)}`)
  }
}

function portText(code: string, port: number): string {
  if (code === 'EADDRINUSE') return `another process listens there already. See which: ss -ltnp 'sport = :${port}'`
  if (code === 'EACCES') return 'ports below 1024 need privileges. --port-offset 8000 binds 80 as 8080 and 443 as 8443'
  if (code === 'EADDRNOTAVAIL') return 'this machine does not have that address'
  return code
}
