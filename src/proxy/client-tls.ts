/**
 * How a client's connection was secured, once for all of its requests: what the access log shows of it, and what
 * targets are told of the client's certificate.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/mutual-authentication.html#mtls-http-headers
 */

import { assert } from '../base/assert.ts'
import { requestHeaderNameCharactersMax } from '../model/limits.ts'
import type { MutualAuthentication, RequestHeaderNames } from '../model/resources.ts'
import type { ClientCertificate, TlsSession } from '../net/accept-tls.ts'
import type { LoggedTls } from '../observe/access-log.ts'
import type { RunningRequestHeaders } from './context.ts'

export type ClientTls = LoggedTls & {
  readonly certificateFields: readonly CertificateField[]
  /** The most that they take in a head of HTTP/1.1. */
  readonly certificateBytesMax: number
}

type CertificateField = readonly [name: keyof RequestHeaderNames, value: string]

/** @param mode of the listener, as the handshake found it */
export function clientTls(session: TlsSession, mode: MutualAuthentication['mode']): ClientTls {
  const { cipher, protocol, serverName, certificateArn, clientCertificate } = session
  const fields = clientCertificate === null ? [] : fieldsOf(clientCertificate, mode)
  const around = requestHeaderNameCharactersMax + ': \r\n'.length
  return {
    cipher,
    protocol,
    domainName: serverName ?? '',
    chosenCertificate: certificateArn ?? 'session-reused',
    certificateFields: fields,
    certificateBytesMax: fields.reduce((sum, [, value]) => sum + value.length + around, 0),
  }
}

function fieldsOf(certificate: ClientCertificate, mode: MutualAuthentication['mode']): CertificateField[] {
  const { details, leaf, chain } = certificate
  if (mode === 'passthrough') return [['mtlsChain', urlEncoded(chain)]]
  assert(details !== null, 'what was verified could be read')
  return [
    ['mtlsSerialNumber', details.serialNumber],
    ['mtlsIssuer', details.issuer],
    ['mtlsSubject', details.subject],
    ['mtlsValidity', details.validity],
    ['mtlsLeaf', urlEncoded(leaf)],
  ]
}

/** `+`, `=` and `/` stay as they are (documented); of what else is in PEM, only blanks and line ends need encoding. */
function urlEncoded(pem: string): string {
  return encodeURIComponent(pem).replaceAll('%2B', '+').replaceAll('%3D', '=').replaceAll('%2F', '/')
}

/** A field's name without what many targets make no difference by: case, and hyphens or underscores. */
export function reservable(name: string): string {
  return name.toLowerCase().replaceAll('_', '-')
}

/** Writes what this client's targets are told, field by field. */
export function writeTlsFields<Out>(
  tls: ClientTls | null,
  { names, tellsTls }: RunningRequestHeaders,
  out: Out,
  write: (out: Out, name: string, value: string) => void,
): void {
  if (tls === null) return
  if (tellsTls) {
    write(out, names.tlsVersion, tls.protocol)
    write(out, names.tlsCipherSuite, tls.cipher)
  }
  for (const [name, value] of tls.certificateFields) write(out, names[name], value)
}
