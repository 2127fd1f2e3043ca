/** One test per row of the table of faults: what the client sees, the log says, the counters show. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type FaultCode, faultCodes, faults } from '../../src/model/faults.ts'
import {
  type LoadBalancerCounter,
  loadBalancerCounters,
  type TargetCounter,
  targetCounters,
} from '../../src/observe/counters.ts'
import { END_STREAM, get, headers, preface } from './h2-frames.ts'
import { connectRawH2, type RawH2Client } from './h2-raw-client.ts'
import { assertShape, type LineShape } from './log-line.ts'
import type { RawClient } from './raw-client.ts'
import { type Scene, type SceneOptions, startScene } from './scene.ts'
import { secureListener } from './secure-listener.ts'

export type Outcome = {
  readonly client: RawClient
  /** Exactly what the client is sent; null where the test looked at that itself. */
  readonly answer: string | null
  /** What becomes of the client's connection then; `gone`: the client had left. */
  readonly connection: 'keep-alive' | 'close' | 'gone'
  readonly line: LineShape
  /** Beside those that every exchange moves; received bytes where the log shows none of them. */
  readonly counters: Partial<Record<LoadBalancerCounter, number>>
  /** Of the first target, beside the requests begun and ended. */
  readonly targetCounters?: Partial<Record<TargetCounter, number>>
}

/** Of a fault on the stream with the number 1. */
export type StreamOutcome = Pick<Outcome, 'line' | 'counters' | 'targetCounters'> & {
  /** The frames that the stream is sent, as lines; null where the test looked at them itself. */
  readonly answer: readonly string[] | null
  /** The client had left. */
  readonly isGone?: true
}

type Provoke = (scene: Scene) => Promise<Outcome>
type ProvokeOnStream = (scene: Scene, client: RawH2Client) => Promise<StreamOutcome>
type Options = SceneOptions | ((t: TestContext) => Promise<SceneOptions>)

export class FaultTests {
  readonly #covered = new Set<FaultCode>()

  /** Registers a test that provokes this fault, and nothing else. */
  provokes(code: FaultCode, how: string, options: Options, provoke: Provoke): void {
    this.#covered.add(code)
    test(`${code}: ${how}`, async t => {
      const scene = await startScene(t, typeof options === 'function' ? await options(t) : options)
      const outcome = await provoke(scene)
      const { client, answer, connection, line } = outcome
      if (answer !== null) {
        const response = await client.readResponse((line.request ?? 'GET').split(' ')[0])
        assert.equal(response.raw.toString('latin1'), answer)
      }
      if (connection === 'close') assertClosed(await client.readUntilClose())
      await scene.recorded(1)
      assert.deepEqual(scene.plane.faults, [code])
      assertShape(await scene.line(), scene, client, line)
      assertCounters(scene, code, outcome)
      if (connection === 'keep-alive') await assertUsable(scene, client)
    })
  }

  /** The same by a client that speaks HTTP/2, whose connection lives on. */
  provokesOnStream(code: FaultCode, how: string, options: Options, provoke: ProvokeOnStream): void {
    this.#covered.add(code)
    test(`${code} over HTTP/2: ${how}`, async t => {
      const given = typeof options === 'function' ? await options(t) : options
      const scene = await startScene(t, { ...secureListener, ...given })
      const client = await connectRawH2(t, scene.plane.port)
      const outcome = await provoke(scene, client)
      if (outcome.answer !== null) assert.deepEqual(await client.answer(1), outcome.answer)
      await scene.recorded(1)
      assert.deepEqual(scene.plane.faults, [code])
      assertShape(await scene.line(), scene, client, { type: 'h2', ...outcome.line })
      assertCounters(scene, code, outcome)
      if (outcome.isGone !== true) await assertStreamUsable(scene, client)
    })
  }

  /**
   * A fault of a whole connection that speaks HTTP/2, told of beside whatever it carried.
   *
   * @param detail what is told of it
   */
  provokesOnConnection(code: FaultCode, how: string, frames: readonly Buffer[], detail: string): void {
    this.#covered.add(code)
    test(`${code}: ${how}`, async t => {
      const scene = await startScene(t, secureListener)
      const { plane, loadBalancer } = scene
      const client = await connectRawH2(t, plane.port, preface)
      await client.send(...frames)
      await client.ends()
      assert.match(client.lines.at(-1)!, /^GOAWAY 0 /)
      const told = { fault: code, detail, atMs: plane.clock.originMs, loadBalancer: `app/web/${loadBalancer.id}` }
      assert.deepEqual(plane.connectionFaults, [{ ...told, clientAddress: `127.0.0.1:${client.localPort}` }])
      assert.equal(plane.counters.fault(0, code), 1)
      assert.equal(plane.counters.loadBalancer(0, 'exchanges'), 0)
    })
  }

  /** The same as `provokes` by a test file of its own, whose process may open only so many descriptors. */
  provokesElsewhere(code: FaultCode, file: string, descriptorsMax: number): void {
    this.#covered.add(code)
    test(`${code}: in a process with ${descriptorsMax} descriptors`, () => {
      const path = join(import.meta.dirname, file)
      const limited = `ulimit -n ${descriptorsMax} && exec "$0" "$1"`
      // Without the variable, the test runner's child would report to the runner of this file.
      const env = { ...process.env, NODE_TEST_CONTEXT: '' }
      const { status, stdout } = spawnSync('sh', ['-c', limited, process.execPath, path], { encoding: 'utf8', env })
      assert.equal(status, 0, stdout)
      assert.match(stdout, new RegExp(code))
    })
  }

  /** Registers the test that no row of one side was forgotten. */
  coverSide(side: 'client' | 'target' | 'balancer'): void {
    test(`every fault of the ${side} is provoked here`, () => {
      assert.deepEqual([...this.#covered].sort(), faultCodes.filter(code => faults[code].side === side).sort())
    })
  }
}

function assertClosed({ bytes, ending }: { readonly bytes: Buffer; readonly ending: string }): void {
  assert.equal(bytes.toString('latin1'), '')
  assert.equal(ending, 'fin')
}

const answersNext = { type: 'fixed-response', fixedResponse: { statusCode: 200, messageBody: 'next' } }

/** The connection that an answer was sent on carries another request; no target may spoil that one. */
async function assertUsable(scene: Scene, client: RawClient): Promise<void> {
  await scene.plane.publish(scene.config({ defaultAction: answersNext, rules: [] }))
  await client.send('GET /next HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.equal((await client.readResponse()).body.toString(), 'next')
}

async function assertStreamUsable(scene: Scene, client: RawH2Client): Promise<void> {
  await scene.plane.publish(scene.config({ ...secureListener, defaultAction: answersNext, rules: [] }))
  await client.send(headers(9, get, END_STREAM))
  await client.answer(9)
  assert.equal(client.body(9).toString(), 'next')
}

type Counted = Pick<Outcome, 'line' | 'counters' | 'targetCounters'>

function assertCounters(scene: Scene, code: FaultCode, { line, counters, targetCounters: ofTarget }: Counted): void {
  const { counters: slab, states } = scene.plane
  const [receivedBytes, sentBytes] = line.bytes.split(' ').map(Number) as [number, number]
  const expected: Partial<Record<LoadBalancerCounter, number>> = {
    connectionsOpened: 1,
    NewConnectionCount: 1,
    exchanges: 1,
    receivedBytes,
    sentBytes,
    ...counters,
  }
  // When a client's connection is gone is a matter of its own; see `connections.test.ts`.
  const moved = loadBalancerCounters.filter(name => name !== 'connectionsClosed')
  assert.deepEqual(
    nonZero(moved, name => slab.loadBalancer(0, name)),
    nonZero(moved, name => expected[name] ?? 0),
  )
  assert.equal(slab.fault(0, code), 1)
  for (const other of faultCodes) if (other !== code) assert.equal(slab.fault(0, other), 0)

  const requests = line.target === null ? {} : { requestsBegun: 1, requestsEnded: 1 }
  const expectedOfTarget: Partial<Record<TargetCounter, number>> = { ...requests, ...ofTarget }
  assert.deepEqual(
    nonZero(targetCounters, name => slab.target(0, name)),
    nonZero(targetCounters, name => expectedOfTarget[name] ?? 0),
  )
  assert.equal(states.requestsInFlight(0), 0)
}

function nonZero<Name extends string>(names: readonly Name[], countOf: (name: Name) => number): [Name, number][] {
  return names.map((name): [Name, number] => [name, countOf(name)]).filter(([, value]) => value !== 0)
}
