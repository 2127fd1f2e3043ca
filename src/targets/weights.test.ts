import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { pickWeighted } from './weights.ts'

const weighted = (...weights: readonly number[]): { weight: number }[] => weights.map(weight => ({ weight }))

describe('choice by weight', () => {
  it('gives each item its part of what random says, and a weight of 0 no part', () => {
    const items = weighted(0, 1, 0, 3, 0)
    const picked = [0, 0.24, 0.25, 0.5, 0.99, 1 - 2 ** -53].map(value => pickWeighted(items, () => value))
    assert.deepEqual(picked, [1, 1, 3, 3, 3, 3])
  })

  it('picks nothing when all weights are 0, or there is nothing', () => {
    assert.equal(
      pickWeighted(weighted(0, 0), () => 0),
      -1,
    )
    assert.equal(
      pickWeighted([], () => 0),
      -1,
    )
  })

  it('is never past the last item, whatever the sum', () => {
    for (let sum = 1; sum <= 5 * 999; sum++)
      assert.equal(
        pickWeighted(weighted(sum, 0), () => 1 - 2 ** -53),
        0,
      )
  })

  it('honours the weights over 100,000 picks', () => {
    const items = weighted(1, 0, 10, 100, 999)
    const picks = 100_000
    const counts = items.map(() => 0)
    for (let pick = 0; pick < picks; pick++) counts[pickWeighted(items, Math.random)]!++
    for (const [i, { weight }] of items.entries()) {
      const share = weight / 1110
      // Binomial: 5 standard deviations are exceeded once in 1.7 million.
      const bound = 5 * Math.sqrt(picks * share * (1 - share))
      assert.ok(Math.abs(counts[i]! - picks * share) <= bound, `weight ${weight}: ${counts[i]} of ${picks}`)
    }
  })
})
