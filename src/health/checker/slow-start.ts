/**
 * The slow start of one target: from its turning healthy until its time is over or it is healthy no more. What that
 * means for its share of requests is for those who pick targets.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html#slow-start-mode
 */

import type { Clock, Timer } from '../../base/clock.ts'
import type { TargetStates } from '../../model/target-states.ts'

export class SlowStart {
  readonly #clock: Clock
  readonly #states: TargetStates
  readonly #slot: number
  #beganAtMs = 0
  #end: Timer | null = null

  constructor(clock: Clock, states: TargetStates, slot: number) {
    this.#clock = clock
    this.#states = states
    this.#slot = slot
  }

  begin(durationSeconds: number): void {
    this.#beganAtMs = this.#clock.now()
    this.#states.beginSlowStart(this.#slot, this.#clock.originMs + this.#beganAtMs)
    this.#endAfter(durationSeconds)
  }

  /** A slow start under way takes a changed duration, 0 included; there is none to begin. */
  configure(durationSeconds: number): void {
    if (this.#states.isSlowStarting(this.#slot)) this.#endAfter(durationSeconds)
  }

  end(): void {
    if (!this.#states.isSlowStarting(this.#slot)) return
    this.#end?.cancel()
    this.#states.endSlowStart(this.#slot)
  }

  #endAfter(durationSeconds: number): void {
    this.#end?.cancel()
    const leftMs = this.#beganAtMs + durationSeconds * 1000 - this.#clock.now()
    if (leftMs <= 0) this.end()
    else this.#end = this.#clock.after(leftMs, () => this.end())
  }
}
