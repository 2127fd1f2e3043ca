/** How a client comes in: a connection is accepted, secured where the listener says so, and written down. */

import type { Socket } from 'node:net'
import { adoptAccepted } from '../net/accept.ts'
import { type TlsFailure, TlsHandshake, type TlsListener, type TlsSession } from '../net/accept-tls.ts'
import { type ConnectionTls, writeConnectionLogLine } from '../observe/connection-log.ts'
import { LoadBalancerColumn } from '../observe/counters.ts'
import { ClientConnection, plainAddress } from './client-connection.ts'
import { clientTls } from './client-tls.ts'
import type { PlaneContext } from './context.ts'
import { H2ClientConnection } from './h2-client-connection.ts'
import { type ListenerPort, portNamed } from './listener-port.ts'

/** @param accepted comes from a server with `pauseOnConnect` */
export function acceptClient(plane: PlaneContext, accepted: Socket, port: ListenerPort): void {
  const { tls } = port.running
  if (tls === null) {
    new ClientConnection(plane, read => adoptAccepted(accepted, read), port, null, recordPlain)
    return
  }
  const peer = peerOf(accepted)
  const listener = new TlsChoice(port, tls)
  new TlsHandshake(plane.net, accepted, listener, {
    onSecure(session, open) {
      const { port } = listener
      const tls = clientTls(session, listener.tls.mode)
      const recordSecured = (client: ClientConnection | H2ClientConnection) =>
        record(plane, port, client, securedBy(session))
      if (session.alpnProtocol === 'h2') recordSecured(new H2ClientConnection(plane, open, port, tls))
      else new ClientConnection(plane, open, port, tls, recordSecured)
    },
    onPlainHttp(open) {
      const { port } = listener
      new ClientConnection(plane, open, port, null, client => record(plane, port, client, failed))
      countFailure(plane, port)
    },
    onFailed(failure, session) {
      const { port } = listener
      record(plane, port, { ...peer, traceId: plane.ids.connectionTraceId() }, failedBy(failure, session))
      countFailure(plane, port)
    },
  })
}

/** Whose handshake it is: where several load balancers share the port, the server name that the client asks for says so. */
class TlsChoice {
  port: ListenerPort
  /** As the handshake found it: a publication meanwhile may have made the port's listener another one, or a plain one. */
  tls: TlsListener

  constructor(port: ListenerPort, tls: TlsListener) {
    this.port = port
    this.tls = tls
  }

  listenerFor(serverName: string | null): TlsListener {
    const { shared } = this.port
    if (shared !== null) this.port = portNamed(shared, serverName)
    this.tls = this.port.running.tls ?? this.tls
    return this.tls
  }
}

const recordPlain = (client: ClientConnection, port: ListenerPort): void => record(client.plane, port, client, null)

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
