/**
 * Whether a port is free to take. Workers share theirs with SO_REUSEPORT, which would also let a second load balancer
 * of the same user take half of the connections in silence; so the port is first bound alone, for a moment.
 */

import { createServer } from 'node:net'

/** @returns why it cannot be bound (`EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL` …), or null */
export function whyNotFree(host: string, port: number): Promise<string | null> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'UNKNOWN'))
    server.listen({ host, port, exclusive: true, ipv6Only: host === '::' }, () => server.close(() => resolve(null)))
  })
}
