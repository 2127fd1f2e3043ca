import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import { test } from 'node:test'
import { isOpenForDirectWrites, takesDirectWrites } from './direct-write.ts'

test('sockets take direct writes on the Node that this project brings along', () => {
  assert.equal(takesDirectWrites(new Socket()), true)
})

/** What a Node of another time may have in place of what is looked for. */
const others: readonly (readonly [string, unknown])[] = [
  ['has no bindings', undefined],
  ['refuses the binding', () => assert.fail('No such binding: stream_wrap')],
  ['has another binding', () => ({ WriteWrap: class {}, streamBaseState: [] })],
]

for (const [i, [what, binding]] of others.entries()) {
  test(`none does where Node ${what}`, async t => {
    const process_ = process as unknown as { binding: unknown }
    const { binding: own } = process_
    t.after(() => {
      process_.binding = own
    })
    process_.binding = binding
    const found: typeof import('./direct-write.ts') = await import(`./direct-write.ts?${i}`)
    assert.equal(found.takesDirectWrites(new Socket()), false)
  })
}

test('a socket whose handle is not of the expected kind is never open for them', () => {
  for (const handle of [undefined, null, {}]) {
    assert.equal(isOpenForDirectWrites(Object.assign(new Socket(), { _handle: handle })), false)
  }
})
