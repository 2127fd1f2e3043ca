import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { AssertionError } from '../base/assert.ts'
import { replayBytesMax } from '../model/limits.ts'
import { HeldBody } from './held-body.ts'

const textOf = ({ bytes, length }: HeldBody) => bytes.toString('latin1', 0, length)

function take(body: HeldBody, how: 'hold' | 'keep', text: string): void {
  // What it took must be a copy.
  const bytes = Buffer.from(`<${text}>`)
  body[how](bytes, 1, 1 + text.length)
  bytes.fill('#')
}

describe('the body of a request that may be sent again', () => {
  it('is empty and whole at first', () => {
    const body = new HeldBody()
    assert.deepEqual([textOf(body), body.isWhole, body.sent()], ['', true, 0])
  })

  it('is all that came, in order, and stays so however often it is sent', () => {
    const body = new HeldBody()
    take(body, 'hold', 'one')
    assert.equal(body.sent(), 3)
    take(body, 'keep', 'two')
    assert.equal(textOf(body), 'onetwo')
    assert.equal(body.sent(), 0, 'no byte counts twice')
    take(body, 'hold', 'three')
    take(body, 'hold', '')
    assert.equal(textOf(body), 'onetwothree')
    assert.deepEqual([body.sent(), body.sent()], [5, 0])
    assert.deepEqual([textOf(body), body.isWhole], ['onetwothree', true])
  })

  it('is let go as more is sent than the bound', () => {
    const body = new HeldBody()
    take(body, 'keep', 'x'.repeat(replayBytesMax))
    take(body, 'keep', '')
    assert.deepEqual([body.length, body.isWhole], [replayBytesMax, true])
    take(body, 'keep', 'y')
    assert.deepEqual([body.length, body.isWhole], [0, false])
    take(body, 'keep', 'z')
    assert.deepEqual([body.length, body.isWhole], [0, false], 'what follows passes through')
  })

  it('may wait beyond the bound, and is let go once all of it was sent', () => {
    const body = new HeldBody()
    take(body, 'keep', 'x'.repeat(replayBytesMax))
    take(body, 'hold', 'y')
    assert.deepEqual([body.length, body.isWhole], [replayBytesMax + 1, true])
    assert.equal(body.sent(), 1)
    assert.deepEqual([body.length, body.isWhole], [0, false])
  })

  it('never waits when a part of it is gone', () => {
    const body = new HeldBody()
    body.letGo()
    assert.throws(() => take(body, 'hold', 'x'), AssertionError)
  })

  it('is whole or nothing, and each byte is new once, whatever happens in which order', () => {
    const size = fc.oneof(fc.nat(10), fc.constantFrom(replayBytesMax - 1, replayBytesMax, 30_000))
    const step = fc.oneof(
      fc.tuple(fc.constantFrom('hold' as const, 'keep' as const), size),
      fc.tuple(fc.constant('sent' as const), fc.constant(0)),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), steps => {
        const body = new HeldBody()
        let came = 0
        let waiting = 0
        for (const [what, count] of steps) {
          // Only who sends on a connection has nothing wait, and only a whole body waits.
          if ((what === 'keep' && waiting > 0) || (what === 'hold' && !body.isWhole)) continue
          if (what === 'sent') {
            assert.equal(body.sent(), waiting)
            waiting = 0
          } else {
            take(body, what, 'x'.repeat(count))
            came += count
            if (what === 'hold') waiting += count
          }
          assert.equal(body.length, body.isWhole ? came : 0)
        }
      }),
    )
  })
})
