/** What makes the listener of a scene one that speaks TLS, and with it HTTP/2; and how a client speaks it. */

import { once } from 'node:events'
import type { Socket } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { makeCertificate } from './certificates.ts'
import { within } from './deadline.ts'
import type { SceneOptions } from './scene.ts'

export const secureListener = {
  certificates: [makeCertificate({ names: ['a.example'], keyType: 'p256' })],
  port: 443,
} as const satisfies SceneOptions

/** As a client of that listener, whoever vouches for its certificate. */
export const secureClient = { servername: 'a.example', rejectUnauthorized: false } as const

/** TLS on a client's connection; without ALPN, so that HTTP/1.1 follows. */
export async function secureConnected(socket: Socket): Promise<TLSSocket> {
  const secure = connect({ ...secureClient, socket })
  await within(once(secure, 'secureConnect'), () => 'the handshake')
  return secure
}
