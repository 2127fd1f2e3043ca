/** What is told of an exchange that went wrong, beside its log line, or of a connection. */

import type { FaultCode } from './faults.ts'

/** One thing that went wrong, for whoever watches. Counters have them all; events are thinned out under load. */
export type FaultEvent = {
  readonly fault: FaultCode
  /** Milliseconds since the epoch. */
  readonly atMs: number
  /** `app/<name>/<id>` */
  readonly loadBalancer: string
  readonly targetAddress: string | null
  /** Null: no answer was to be given. */
  readonly statusCode: number | null
  /** Method and path, or the connection that it is about. */
  readonly request: string
  readonly traceId: string
  /** What exactly, where the fault leaves that open. */
  readonly detail: string | null
}
