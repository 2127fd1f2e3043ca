/** What is told of an exchange that went wrong, beside its log line. */

import type { FaultCode } from './faults.ts'

/** One exchange that went wrong, for whoever watches. Counters have them all; events are thinned out under load. */
export type FaultEvent = {
  readonly fault: FaultCode
  /** Milliseconds since the epoch. */
  readonly atMs: number
  /** `app/<name>/<id>` */
  readonly loadBalancer: string
  readonly targetAddress: string | null
  readonly statusCode: number
  readonly request: string
  readonly traceId: string
}
