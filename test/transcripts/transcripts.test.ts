/** Replays every transcript whole, cut in two at every position, and byte by byte: the events are the same. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Replay, replay, type Side } from './replay.ts'
import { escapeBytes, parseTranscripts, readTranscripts, type Transcript, unescapeBytes } from './transcript.ts'

describe('request transcripts', () => replayAll('request', 'requests'))
describe('response transcripts', () => replayAll('response', 'responses'))

function replayAll(side: Side, folder: string): void {
  const transcripts = readTranscripts(join(import.meta.dirname, folder))
  it('have names of their own', () => {
    assert.equal(new Set(transcripts.map(({ name }) => name)).size, transcripts.length)
  })
  for (const transcript of transcripts) it(transcript.name, () => holds(side, transcript))
}

function holds(side: Side, { place, bytes, answersHead, events: expected }: Transcript): void {
  const whole = replay(side, bytes, { answersHead })
  const isHidden = (line: string, start: string) => line.startsWith(start) && !expected.some(e => e.startsWith(start))
  const shown = whole.filter(line => !isHidden(line, '  ') && !isHidden(line, '= '))
  assert.deepEqual(shown, expected, place)
  const crumbs = crumbCuts(bytes.length, whole)
  assert.deepEqual(replay(side, bytes, { answersHead, cuts: crumbs }), whole, `${place}, byte by byte`)
  const reused = new Replay(side, answersHead)
  for (const cut of crumbs) {
    assert.deepEqual(reused.run(bytes, [cut]), whole, `${place}, cut at ${cut}`)
  }
}

/** Every position; where there are very many, those near the ends and near what decided an event, and some between. */
function crumbCuts(length: number, events: readonly string[]): readonly number[] {
  const deciding = events.flatMap(line => (line.startsWith('@') ? [Number.parseInt(line.slice(1), 10)] : []))
  const cuts: number[] = []
  for (let at = 1; at < length; at++) {
    const isNear = (place: number) => Math.abs(place - at) <= 4
    if (length <= 4096 || at < 128 || at >= length - 128 || at % 499 === 0 || deciding.some(isNear)) cuts.push(at)
  }
  return cuts
}

describe('the notation of transcripts', () => {
  it('turns any bytes into text and back', () => {
    const bytes = Buffer.from([...Array(256).keys(), ...Array(30).fill(0), ...Array(30).fill(0x7b), 0x5c])
    assert.deepEqual(unescapeBytes(escapeBytes(bytes)), bytes)
    assert.equal(escapeBytes(Buffer.from('a'.repeat(24))), '{a*24}')
    assert.deepEqual(unescapeBytes('{\\r\\n*2}\\{}'), Buffer.from('\r\n\r\n{}'))
  })

  it('refuses what it does not know', () => {
    assert.throws(() => unescapeBytes('\\q'), /not an escape/)
    assert.throws(() => unescapeBytes('{a}'), /not a repetition/)
    assert.throws(() => parseTranscripts('> a', 'x.txt'), /x\.txt:1: expected "# name" first/)
    assert.throws(() => parseTranscripts('# a\n', 'x.txt'), /x\.txt:1: no "> " line/)
    assert.throws(() => parseTranscripts('# a\n> a\nfault', 'x.txt'), /x\.txt:3: not a line of a transcript/)
  })
})
