/**
 * Whatever comes, reading it ends in events, in a fault, or in needing more; it never throws, goes back or stands still
 * (`Replay` asserts that), and where the bytes were cut makes no difference.
 *
 * `FUZZ_SEED` repeats a run, `FUZZ_INPUTS` makes it longer. An input that broke something is kept in `corpus/`, in the
 * notation of transcripts, under a name that says what it broke.
 */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Replay, type Side } from '../transcripts/replay.ts'
import { escapeBytes, readTranscripts } from '../transcripts/transcript.ts'
import { mutate, mutatedBytesMax, randomCuts } from './mutate.ts'
import { Random, runSeed } from './random.ts'

const inputCount = Number(process.env.FUZZ_INPUTS ?? 30_000)
/** Of each input: as many ways to cut it at random; every tenth is also read byte by byte. */
const cutsEach = 2

const folders: Readonly<Record<Side, string>> = { request: 'requests', response: 'responses' }

for (const side of ['request', 'response'] as const) {
  describe(`reading any ${side} bytes`, () => {
    const kept = readTranscripts(join(import.meta.dirname, 'corpus', folders[side]))
    for (const { name, bytes } of kept) {
      it(name, () => {
        const expected = new Replay(side, false).run(bytes, [])
        const reused = new Replay(side, false)
        for (let cut = 1; cut < bytes.length; cut++) {
          assert.deepEqual(reused.run(bytes, [cut]), expected, `cut at ${cut}`)
        }
      })
    }

    it('ends in the same events, however it is cut', t => {
      const seed = runSeed()
      t.diagnostic(`FUZZ_SEED=${seed}`)
      const random = new Random(seed)
      const transcripts = readTranscripts(join(import.meta.dirname, '../transcripts', folders[side]))
      const corpus = [...transcripts, ...kept]
        .map(({ bytes }) => bytes)
        .filter(bytes => bytes.length <= mutatedBytesMax)
      const accepted = corpus.filter(bytes => endingOf(new Replay(side, false).run(bytes, [])) !== 'faults')
      const seen = { events: 0, faults: 0, more: 0 }
      const reused = new Replay(side, false)
      for (let i = 0; i < inputCount / 2; i++) {
        const bytes = mutate(random.pick(random.below(4) === 0 ? corpus : accepted), corpus, random)
        const ending = hold(side, bytes, reused, random, i % 10 === 0, `FUZZ_SEED=${seed}, input ${i}`)
        seen[ending]++
      }
      t.diagnostic(JSON.stringify(seen))
      // Were all of one kind, the inputs would be worth nothing.
      for (const [ending, count] of Object.entries(seen)) assert(count > inputCount / 50, `${ending}: only ${count}`)
    })
  })
}

type Ending = 'events' | 'faults' | 'more'

function hold(side: Side, bytes: Buffer, reused: Replay, random: Random, byteByByte: boolean, where: string): Ending {
  const shown = `${where}\n> ${escapeBytes(bytes)}\n`
  try {
    const whole = new Replay(side, false).run(bytes, [])
    for (let i = 0; i < cutsEach; i++) {
      const cuts = randomCuts(bytes.length, random)
      assert.deepEqual(reused.run(bytes, cuts), whole, `cut at ${cuts}`)
    }
    if (byteByByte) assert.deepEqual(reused.run(bytes, [...bytes.keys()]), whole, 'byte by byte')
    return endingOf(whole)
  } catch (error) {
    throw new Error(`${shown}${error instanceof Error ? error.message : error}`, { cause: error })
  }
}

function endingOf(events: readonly string[]): Ending {
  const last = events.at(-1) ?? 'more'
  if (last === 'more') return 'more'
  return / fault /.test(last) ? 'faults' : 'events'
}
