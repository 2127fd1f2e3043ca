/** A publisher whose slots nobody uses. Only for tests. */

import type { Clock } from '../base/clock.ts'
import type { TargetStates } from '../model/target-states.ts'
import { Publisher, type PublisherOptions } from './publisher.ts'

export function testPublisher(
  clock: Clock,
  states: TargetStates,
  onSlotFreed: PublisherOptions['onSlotFreed'] = () => {},
): Publisher {
  return new Publisher({
    clock,
    machineClock: clock,
    states,
    cookieKeys: () => [],
    onDrained: () => {},
    isSlotBusy: () => false,
    onSlotFreed,
  })
}
