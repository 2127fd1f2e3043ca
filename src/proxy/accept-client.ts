/** How a client comes in: a connection is accepted, secured where the listener says so, and written down. */

import type { Socket } from 'node:net'
import { adoptAccepted } from '../net/accept.ts'
import { type TlsFailure, TlsHandshake, type TlsSession } from '../net/accept-tls.ts'
import { type ConnectionTls, writeConnectionLogLine } from '../observe/connection-log.ts'
import { LoadBalancerColumn } from '../observe/counters.ts'
import { ClientConnection, type ListenerPort, plainAddress } from './client-connection.ts'
import { clientTls } from './client-tls.ts'
import type { PlaneContext } from './context.ts'
import { H2ClientConnection } from './h2-client-connection.ts'

/** @param accepted comes from a server with `pauseOnConnect` */
export function acceptClient(plane: PlaneContext, accepted: Socket, port: ListenerPort): void {
  const { tls } = port.running
  if (tls === null) {
    const client = new ClientConnection(plane, read => adoptAccepted(accepted, read), port, null)
    record(plane, port, client, null)
    return
  }
  const peer = peerOf(accepted)
  new TlsHandshake(plane.net, accepted, tls, {
    onSecure(session, open) {
      const Connection = session.alpnProtocol === 'h2' ? H2ClientConnection : ClientConnection
      const client = new Connection(plane, open, port, clientTls(session, tls.mode))
      record(plane, port, client, securedBy(session))
    },
    onPlainHttp(open) {
      const client = new ClientConnection(plane, open, port, null)
      record(plane, port, client, failed)
      countFailure(plane, port)
    },
    onFailed(failure, session) {
      record(plane, port, { ...peer, traceId: plane.ids.connectionTraceId() }, failedBy(failure, session))
      countFailure(plane, port)
    },
  })
}

type Peer = { readonly ip: string; readonly port: number }

function peerOf(socket: Socket): Peer {
  return { ip: plainAddress(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 }
}

/** What of it the access log does not know. */
function securedBy({ protocol, cipher, keyExchange, handshakeMs, clientCertificate }: TlsSession): ConnectionTls {
  const certificate = clientCertificate?.details ?? null
  return { protocol, cipher, keyExchange: keyExchange ?? '', handshakeMs, certificate, verifyStatus: 'Success' }
}

function failedBy(failure: TlsFailure, session: TlsSession | null): ConnectionTls {
  if (failure.reason !== 'clientCertificate') return failed
  const agreed = session === null ? failed : { ...securedBy(session), handshakeMs: -1 }
  return { ...agreed, verifyStatus: `Failed:${failure.fault}` }
}

/** The service's codes are about client certificates; all else, plain HTTP included, has this one (assumed). */
const failed: ConnectionTls = {
  protocol: '',
  cipher: '',
  keyExchange: '',
  handshakeMs: -1,
  certificate: null,
  verifyStatus: 'Failed:UnmappedConnectionError',
}

function countFailure(plane: PlaneContext, { running }: ListenerPort): void {
  plane.counters.countLoadBalancer(running.loadBalancer.slot, LoadBalancerColumn.ClientTLSNegotiationErrorCount, 1)
}

function record(
  plane: PlaneContext,
  { running }: ListenerPort,
  client: Peer & { readonly traceId: string },
  tls: ConnectionTls | null,
): void {
  const { loadBalancer, port } = running
  writeConnectionLogLine(loadBalancer.connectionLog, {
    timeMs: plane.clock.originMs + plane.clock.now(),
    clientIp: client.ip,
    clientPort: client.port,
    listenerPort: port,
    tls,
    connectionTraceId: client.traceId,
    loadBalancer: loadBalancer.resourceId,
    nodeIp: loadBalancer.nodeIp,
  })
}
