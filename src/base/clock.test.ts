import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { epochMsOf, ManualClock, pacedClock, realTime, systemClock } from './clock.ts'

describe('a manual clock', () => {
  it('stands still until it is told to move', () => {
    const clock = new ManualClock(1_000_000)
    assert.deepEqual([clock.now(), clock.originMs], [0, 1_000_000])
    clock.advance(1.5)
    assert.equal(clock.now(), 1.5)
  })

  it('fires what falls due in the order of time, ties in the order they were set', () => {
    const clock = new ManualClock()
    const fired: string[] = []
    const note = (name: string) => () => fired.push(`${name} at ${clock.now()}`)
    clock.after(20, note('b'))
    clock.after(10, note('a'))
    clock.after(20, note('c'))
    clock.after(21, note('later'))
    clock.advance(20)
    assert.deepEqual(fired, ['a at 10', 'b at 20', 'c at 20'])
    clock.advance(1)
    assert.deepEqual(fired.slice(3), ['later at 21'])
  })

  it('fires timers that timers set, on the way', () => {
    const clock = new ManualClock()
    const fired: number[] = []
    const again = () => {
      fired.push(clock.now())
      clock.after(10, again)
    }
    clock.after(10, again)
    clock.advance(35)
    assert.deepEqual([fired, clock.now()], [[10, 20, 30], 35])
  })

  it('fires a timer once, and a cancelled one never', () => {
    const clock = new ManualClock()
    const fired: string[] = []
    clock.after(5, () => fired.push('once'))
    const cancelled = clock.after(5, () => fired.push('cancelled'))
    clock.after(1, () => cancelled.cancel())
    clock.advance(5)
    clock.advance(100)
    cancelled.cancel()
    assert.deepEqual(fired, ['once'])
  })

  it('fires a delay below zero at once when it next moves', () => {
    const clock = new ManualClock()
    const fired: number[] = []
    clock.advance(7)
    clock.after(-5, () => fired.push(clock.now()))
    clock.advance(0)
    assert.deepEqual(fired, [7])
  })
})

describe('the system clock', () => {
  it('agrees with the wall clock, and fires', async () => {
    assert(Math.abs(systemClock.originMs + systemClock.now() - Date.now()) < 1000)
    const before = systemClock.now()
    const fired = Promise.withResolvers<void>()
    const keepsAlive = setTimeout(() => fired.reject(new Error('never fired')), 5000)
    systemClock.after(1, fired.resolve)
    await fired.promise
    clearTimeout(keepsAlive)
    assert(systemClock.now() > before)
  })

  it('fires a delay below zero at once, and Node warns nobody of it', async t => {
    const warnings: string[] = []
    const keep = ({ message }: Error) => warnings.push(message)
    process.on('warning', keep)
    t.after(() => process.off('warning', keep))
    const keepsAlive = setTimeout(() => {}, 5000)
    await new Promise<void>(resolve => systemClock.after(-5, resolve))
    clearTimeout(keepsAlive)
    assert.deepEqual(warnings, [])
  })

  it('fires nothing that was cancelled', async () => {
    let hasFired = false
    systemClock
      .after(0, () => {
        hasFired = true
      })
      .cancel()
    await new Promise(resolve => setTimeout(resolve, 5))
    assert.equal(hasFired, false)
  })
})

describe('a paced clock', () => {
  it('shows the same wall time as others in the moment at which it begins, and runs ahead from there', () => {
    const real = new ManualClock(1_000_000)
    real.advance(500)
    const paced = pacedClock({ scale: 10, sinceEpochMs: 1_000_500 }, real)
    assert.equal(epochMsOf(paced), 1_000_500)
    const before = paced.now()
    real.advance(60)
    assert.equal(paced.now() - before, 600)
    assert.equal(epochMsOf(paced), 1_001_100)
  })

  it('fires in its own time', () => {
    const real = new ManualClock()
    const paced = pacedClock({ scale: 10, sinceEpochMs: real.originMs }, real)
    const fired: number[] = []
    paced.after(300_000, () => fired.push(paced.now()))
    const cancelled = paced.after(1, () => fired.push(-1))
    cancelled.cancel()
    real.advance(29_999)
    assert.deepEqual(fired, [])
    real.advance(1)
    assert.deepEqual(fired, [300_000])
  })

  it('has the same time in all threads, whenever they began', () => {
    const [early, late] = [new ManualClock(1_000_000), new ManualClock(1_002_000)]
    early.advance(3_000)
    late.advance(1_000)
    const pace = { scale: 7, sinceEpochMs: 1_000_100 }
    assert.equal(epochMsOf(pacedClock(pace, early)), epochMsOf(pacedClock(pace, late)))
  })

  it('is the system clock itself where time passes as it does', () => {
    assert.equal(pacedClock(realTime), systemClock)
  })
})
