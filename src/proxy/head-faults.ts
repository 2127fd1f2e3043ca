/** What a request head that cannot be read is called. */

import type { HeadFault } from '../http/h1.ts'
import type { FaultCode } from '../model/faults.ts'

export const headFaults: Readonly<Record<HeadFault, FaultCode>> = {
  malformed: 'clientHeadMalformed',
  startLineTooLong: 'clientUriTooLarge',
  fieldTooLong: 'clientHeadTooLarge',
  headTooLarge: 'clientHeadTooLarge',
  version: 'clientVersion',
}
