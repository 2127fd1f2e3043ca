/** What it means for a health check that its connection broke. */

import { type TlsFailure, tlsAlert, tlsFailure } from '../../targets/target-tls.ts'
import type { ProbeEnding, ProbeStage } from '../probe.ts'

export type Failure = {
  readonly ending: ProbeEnding
  readonly logReason: 'ConnectionReset' | 'TimedOut' | 'InternalError'
  readonly tlsAlert: string | null
  /** For a person. */
  readonly text: string
}

/** Where the probe was. */
export type Whereabouts = {
  readonly stage: ProbeStage
  readonly address: string
  /** Such as `24 bytes came`. */
  readonly received: string
}

/** @param code the system's or the TLS library's; null for a FIN */
export function connectionFailure(code: string | null, where: Whereabouts): Failure {
  const tls = tlsFailure(code)
  if (tls !== null) return { ...byTarget('tlsFailed', tlsText(tls, code)), tlsAlert: tlsAlert(code) }
  switch (code) {
    case null:
      return byTarget('closed', `closed ${before(where)}`)
    case 'ECONNREFUSED':
      return byTarget('refused', `connection refused: nothing listens on ${where.address}`)
    case 'ECONNRESET':
    case 'ECONNABORTED':
    case 'EPIPE':
      return byTarget('reset', `connection reset ${before(where)}`)
    case 'EHOSTUNREACH':
    case 'EHOSTDOWN':
    case 'ENETUNREACH':
    case 'ENETDOWN':
      return byTarget('unreachable', `the network said that ${where.address} cannot be reached (${code})`)
    case 'ETIMEDOUT': // The kernel lost patience before we did.
      return timedOut('the operating system waited no longer (ETIMEDOUT)')
    default: // Out of ports, descriptors or memory, or something that we do not understand: ours, not the target's.
      return {
        ending: 'internal',
        logReason: 'InternalError',
        tlsAlert: null,
        text: `the operating system could not carry the connection (${code})`,
      }
  }
}

/** What was answered is no valid response. */
export function malformed(problem: string): Failure {
  return byTarget('malformed', `malformed response: ${problem}`)
}

/** The target does not speak HTTP/2 where it should (assumed to be logged as the others are). */
export function notHttp2(how: string): Failure {
  return byTarget('notHttp2', `the target does not speak HTTP/2 on this port: ${how}`)
}

/** @param code as RFC 9113 names it */
export function streamReset(code: string): Failure {
  return byTarget('reset', `the target reset the stream (${code})`)
}

export function timedOut(text: string): Failure {
  return { ending: 'timedOut', logReason: 'TimedOut', tlsAlert: null, text }
}

/** The log has no reason for refused, malformed and the like, so all share the nearest one (assumed). */
function byTarget(ending: ProbeEnding, text: string): Failure {
  return { ending, logReason: 'ConnectionReset', tlsAlert: null, text }
}

function before({ stage, received }: Whereabouts): string {
  return stage === 'tls' ? 'within the TLS handshake' : `before a complete response head: ${received}`
}

function tlsText(failure: TlsFailure, code: string | null): string {
  switch (failure) {
    case 'TLS_HANDSHAKE_FAILURE':
      return `the target refused TLS with the alert ${tlsAlert(code)}: most often no cipher in common`
    case 'TLS_PROTOCOL_VERSION':
      return 'the target and the load balancer have no TLS version in common'
    case 'TLS_ALERT':
      return `the target refused TLS with the alert ${tlsAlert(code)}`
    case 'TLS_NOT_TLS':
      return 'what the target sent in the TLS handshake is not TLS: its port speaks something else'
    default:
      return `what the target sent is not valid TLS (${code})`
  }
}
