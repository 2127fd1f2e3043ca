import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseOptions, UsageError } from './options.ts'

test('without options every case but flat runs, against every peer but base', () => {
  const options = parseOptions([])
  assert.deepEqual(options?.cases, [
    '60B',
    '10KB',
    '1MB',
    'POST64KB',
    'TLS60B',
    'TLSfull',
    'TLSresumed',
    'H2',
    'idle',
    'rules',
  ])
  assert.deepEqual(options?.peers, ['nginx', 'haproxy', 'caddy', 'openalb'])
})

test('cases and peers run in a fixed order, each once', () => {
  const options = parseOptions(['--cases', '1MB,60B,60B', '--peers', 'openalb, nginx', '--flat'])
  assert.deepEqual(options?.cases, ['60B', '1MB', 'flat'])
  assert.deepEqual(options?.peers, ['nginx', 'openalb'])
})

test('a command for base brings in the peer base, and the peer needs the command', () => {
  assert.deepEqual(parseOptions(['--peers', 'openalb', '--base', 'x'])?.peers, ['openalb', 'base'])
  assert.throws(() => parseOptions(['--peers', 'base']), UsageError)
})

for (const wrong of [
  ['--cases', '60b'],
  ['--cases', ''],
  ['--peers', 'envoy'],
  ['--rounds', '0'],
  ['--fast'],
  ['60B'],
]) {
  test(`${wrong.join(' ')} is refused`, () => {
    assert.throws(() => parseOptions(wrong), UsageError)
  })
}
