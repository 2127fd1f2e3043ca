/** The read side over HTTP, on the API port: `GET /_openalb/status` and `/_openalb/health`. */

import Fastify from 'fastify'
import type { Status } from './status.ts'

export type StatusServer = { readonly port: number; readonly close: () => Promise<void> }

/** @throws an error with the system's `code` when the port cannot be bound */
export async function startStatusServer(port: number, status: () => Status): Promise<StatusServer> {
  const server = Fastify({ logger: false, forceCloseConnections: true })
  server.get('/_openalb/status', () => status())
  server.get('/_openalb/health', () => ({ status: 'ok' }))
  server.setNotFoundHandler((request, reply) =>
    reply.code(404).send({ error: `there is no ${request.method} ${request.url} here; try GET /_openalb/status` }),
  )
  const url = await server.listen({ host: '127.0.0.1', port })
  return { port: Number(new URL(url).port), close: () => server.close() }
}
