/**
 * The read side over HTTP, on the API port: `GET /_openalb/status`, with `?history` what targets went through as well,
 * and `/_openalb/health`. Only for this machine, also where a web page has a name that leads here.
 */

import Fastify, { type FastifyError, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Status } from './status.ts'

export type StatusServer = { readonly port: number; readonly close: () => Promise<void> }

/** @throws an error with the system's `code` when the port cannot be bound */
export async function startStatusServer(port: number, status: (withHistory: boolean) => Status): Promise<StatusServer> {
  const server = Fastify({
    logger: false,
    forceCloseConnections: true,
    frameworkErrors: ({ message }: FastifyError, _: FastifyRequest, reply: FastifyReply) => {
      reply.code(400).send({ error: message })
    },
  })
  server.addHook('onRequest', async (request, reply) => {
    if (!isLocalName(request.hostname)) {
      await reply.code(403).send({ error: `the host ${request.hostname} is not this machine; ask for 127.0.0.1` })
    }
  })
  server.setErrorHandler((error: FastifyError, _, reply) =>
    reply.code(error.statusCode ?? 500).send({ error: error.message }),
  )
  server.get('/_openalb/status', request => status('history' in (request.query as object)))
  server.get('/_openalb/health', () => ({ status: 'ok' }))
  server.setNotFoundHandler((request, reply) =>
    reply.code(404).send({ error: `there is no ${request.method} ${request.url} here; try GET /_openalb/status` }),
  )
  const url = await server.listen({ host: '127.0.0.1', port })
  return { port: Number(new URL(url).port), close: () => server.close() }
}

function isLocalName(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
}
