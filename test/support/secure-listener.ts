/** What makes the listener of a scene one that speaks TLS, and with it HTTP/2. */

import { makeCertificate } from './certificates.ts'
import type { SceneOptions } from './scene.ts'

export const secureListener = {
  certificates: [makeCertificate({ names: ['a.example'], keyType: 'p256' })],
  port: 443,
} as const satisfies SceneOptions
