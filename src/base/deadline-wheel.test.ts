import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ManualClock } from './clock.ts'
import { DeadlineWheel, type Watched, wheelTurnMs } from './deadline-wheel.ts'

/** Falls due `idleMs` after its last activity; being told, it leaves the wheel. */
class Entry implements Watched {
  readonly wheel: DeadlineWheel
  readonly idleMs: number
  readonly toldAt: number[] = []
  readonly slot: number
  lastActivity: number
  asked = 0

  constructor(wheel: DeadlineWheel, clock: ManualClock, idleMs: number) {
    this.wheel = wheel
    this.idleMs = idleMs
    this.lastActivity = clock.now()
    this.slot = wheel.watch(this)
  }

  deadlineMs(): number {
    this.asked++
    return this.lastActivity + this.idleMs
  }

  onDeadline(now: number): void {
    this.toldAt.push(now)
    this.forget()
  }

  forget(): void {
    this.wheel.forget(this, this.slot)
  }
}

function start() {
  const clock = new ManualClock()
  return { clock, wheel: new DeadlineWheel(clock) }
}

describe('a deadline wheel', () => {
  it('tells every entry at its deadline, to the millisecond', () => {
    const { clock, wheel } = start()
    const entries = Array.from({ length: 100 }, (_, i) => {
      clock.advance(7.5)
      return { entry: new Entry(wheel, clock, wheelTurnMs + 37 * i), dueAt: clock.now() + wheelTurnMs + 37 * i }
    })
    clock.advance(10_000)
    for (const { entry, dueAt } of entries) assert.deepEqual(entry.toldAt, [dueAt])
    assert.equal(wheel.size, 0)
  })

  it('tells nothing while there is activity', () => {
    const { clock, wheel } = start()
    const entry = new Entry(wheel, clock, 5000)
    for (let i = 0; i < 100; i++) {
      clock.advance(4999)
      entry.lastActivity = clock.now()
    }
    assert.deepEqual(entry.toldAt, [])
    clock.advance(5000)
    assert.deepEqual(entry.toldAt, [clock.now()])
  })

  it('tells of a deadline that moved closer, if more than a turn of the wheel is left', () => {
    const { clock, wheel } = start()
    const entry = new Entry(wheel, clock, 60_000)
    clock.advance(1234)
    entry.lastActivity = clock.now() - 60_000 + wheelTurnMs
    clock.advance(10_000)
    assert.deepEqual(entry.toldAt, [1234 + wheelTurnMs])
  })

  it('never tells an entry without a deadline', () => {
    const { clock, wheel } = start()
    const entry = new Entry(wheel, clock, Number.POSITIVE_INFINITY)
    clock.advance(1_000_000)
    assert.deepEqual(entry.toldAt, [])
  })

  it('tells an entry that was forgotten nothing, even just before its deadline', () => {
    const { clock, wheel } = start()
    const entry = new Entry(wheel, clock, 5000)
    clock.advance(4999)
    entry.forget()
    assert.equal(wheel.size, 0)
    clock.advance(10_000)
    assert.deepEqual(entry.toldAt, [])
  })

  it('takes being told to forget twice', () => {
    const { clock, wheel } = start()
    const entries = [new Entry(wheel, clock, 5000), new Entry(wheel, clock, 5000)]
    entries[0]!.forget()
    entries[0]!.forget()
    assert.equal(wheel.size, 1)
    assert.deepEqual([...wheel.entries()], [entries[1]])
  })

  it('looks at each entry about once a second, however long its deadline is', () => {
    const { clock, wheel } = start()
    const entry = new Entry(wheel, clock, 1_000_000)
    clock.advance(100_000)
    assert(entry.asked >= 99 && entry.asked <= 101, `${entry.asked}`)
  })

  it('rests while it is empty, and turns again afterwards', () => {
    const clock = new ManualClock()
    let timers = 0
    const counting = {
      ...clock,
      originMs: clock.originMs,
      after: (ms: number, run: () => void) => {
        timers++
        return clock.after(ms, run)
      },
    }
    const wheel = new DeadlineWheel(counting)
    clock.advance(10_000)
    assert.equal(timers, 0)
    new Entry(wheel, clock, 2000).forget()
    clock.advance(10_000)
    const timersBefore = timers
    clock.advance(10_000)
    assert.equal(timers, timersBefore)
    const entry = new Entry(wheel, clock, 2000)
    clock.advance(10_000)
    assert.deepEqual(entry.toldAt, [32_000])
  })
})
