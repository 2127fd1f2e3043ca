/** What makes targets speak TLS: a certificate for a name that nobody asks for, which is as good as any other. */

import type { Socket } from 'node:net'
import { createSecureContext, TLSSocket } from 'node:tls'
import { makeCertificate } from './certificates.ts'

const { certificate, privateKey } = makeCertificate({ names: ['target.example'], keyType: 'p256' })

export const secureTarget = { cert: certificate, key: privateKey } as const

/** TLS on a connection that was accepted. */
export function secureAccepted(accepted: Socket): TLSSocket {
  return new TLSSocket(accepted, { isServer: true, secureContext: createSecureContext(secureTarget) })
}
