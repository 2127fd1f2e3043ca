import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { TurnWaiter } from '../net/turn.ts'
import { IdlePool, type Pooled } from './idle-pool.ts'

class Connection implements Pooled<Connection> {
  readonly name: string
  older: Connection | null = null
  newer: Connection | null = null

  constructor(name: string) {
    this.name = name
  }
}

/** A pool, four connections that are in none, and the end of a turn by hand. */
function makePool() {
  const pool = new IdlePool<Connection>()
  const waiters: TurnWaiter[] = []
  const add = (connection: Connection) => pool.add(connection, waiter => waiters.push(waiter))
  const endTurn = () => {
    for (const waiter of waiters.splice(0)) waiter.onTurnOver()
  }
  const [a, b, c, d] = [new Connection('a'), new Connection('b'), new Connection('c'), new Connection('d')]
  return { pool, a, b, c, d, waiters, add, endTurn }
}

test('within a turn, the connection that was released first is taken first', () => {
  const { pool, a, b, c, add } = makePool()
  for (const connection of [a, b, c]) add(connection)
  assert.equal(pool.take(), a)
  add(a)
  assert.deepEqual([pool.take(), pool.take(), pool.take(), pool.take()], [b, c, a, null])
})

test('of those released in earlier turns, the last is taken first, and only when none is left of this one', () => {
  const { pool, a, b, c, d, add, endTurn } = makePool()
  add(a)
  add(b)
  endTurn()
  add(c)
  add(d)
  assert.deepEqual([pool.take(), pool.take(), pool.take(), pool.take()], [c, d, b, a])
})

test('a pool asks for the end of a turn once in it', () => {
  const { waiters, a, b, c, add, endTurn } = makePool()
  add(a)
  add(b)
  assert.equal(waiters.length, 1)
  endTurn()
  add(c)
  assert.equal(waiters.length, 1)
})

test('one that closes is not taken any more; removing it twice, or one that was never in, changes nothing', () => {
  const { pool, a, b, c, d, add } = makePool()
  for (const connection of [a, b, c]) add(connection)
  pool.remove(a)
  pool.remove(a)
  pool.remove(d)
  assert.equal(pool.size, 2)
  assert.deepEqual(pool.takeAll(), [b, c])
  assert.equal(pool.size, 0)
})

test('one that is in the pool cannot be added again: two requests would share it', () => {
  const { pool, a, b, add, endTurn } = makePool()
  for (const connection of [a, b]) add(connection)
  for (const connection of [a, b]) assert.throws(() => add(connection), /in its pool once/)
  endTurn()
  assert.deepEqual(pool.takeAll(), [b, a])
})

test('whatever the order of calls, each connection is in the pool once or taken', () => {
  const steps = fc.array(fc.tuple(fc.constantFrom('add', 'take', 'remove', 'end of turn'), fc.nat(7)))
  fc.assert(
    fc.property(steps, steps => {
      const { pool, add, endTurn } = makePool()
      const connections = Array.from({ length: 8 }, (_, index) => new Connection(String(index)))
      const pooled = new Set<Connection>()
      for (const [step, index] of steps) {
        const connection = connections[index]!
        if (step === 'end of turn') endTurn()
        else if (step === 'take') {
          const taken = pool.take()
          assert.equal(taken === null, pooled.size === 0)
          if (taken !== null) assert.ok(pooled.delete(taken))
        } else if (step === 'remove') {
          pool.remove(connection)
          pooled.delete(connection)
        } else if (!pooled.has(connection)) {
          add(connection)
          pooled.add(connection)
        }
        assert.equal(pool.size, pooled.size)
      }
      assert.deepEqual(new Set(pool.takeAll()), pooled)
    }),
  )
})
