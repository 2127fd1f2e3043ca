import assert from 'node:assert/strict'
import { copyFile, mkdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { ManualClock } from '../base/clock.ts'
import { logDeliveryMinutes } from '../model/limits.ts'
import {
  busyShareMin,
  compressPauseMs,
  deliveryPassMs,
  groupsDue,
  LogDelivery,
  mayWait,
  waitingBytesMax,
} from './log-delivery.ts'
import {
  intervalEndMs,
  liveLogBytesMax,
  liveLogPath,
  logKinds,
  type OnLogError,
  parseSpoolName,
  type SpoolFile,
  spoolFolder,
  spoolPath,
  spoolSettleMs,
} from './log-files.ts'
import { filesBelow, readLogLines, source, temporaryFolder, writeLine } from './log-test-support.ts'
import { WorkerLog } from './log-writer.ts'

const intervalMs = logDeliveryMinutes * 60_000
const startMs = Date.UTC(2025, 11, 11, 13, 26, 40)
const token = 'ours'

const failTest: OnLogError = (path, error) => assert.fail(`${path}: ${error.message}`)

/** What one process has: delivery, and two workers. The test fails on an error that it did not ask for. */
async function makeProcess(t: TestContext, onError: OnLogError = failTest) {
  const folder = await temporaryFolder(t)
  const clock = new ManualClock(startMs)
  const machine = { cpuShare: 0 }
  const delivery = new LogDelivery({ folder, token, clock, cpuShare: () => machine.cpuShare, onError })
  const workers = [0, 1].map(worker => new WorkerLog({ folder, token, worker, clock, onError }))
  t.after(() => delivery.close())
  const log = async (text: string, worker = 0, of = source): Promise<void> => {
    const writer = workers[worker]!.writer(of)
    writeLine(writer, text)
    await writer.close()
  }
  const objects = async (): Promise<string[]> => (await filesBelow(folder)).filter(path => path.startsWith('AWSLogs'))
  const delivered = (): Promise<string[]> => readLogLines(join(folder, 'AWSLogs'))
  const spooled = (): Promise<string[]> => filesBelow(spoolFolder(folder))
  return { folder, clock, machine, delivery, log, objects, delivered, spooled }
}

const ended: SpoolFile = {
  kind: 'access',
  loadBalancer: 'web.1fa8b17e4c17e7c7',
  node: '127.31.1.1',
  intervalEndMs: startMs - 100_000,
  token: 'dead',
  worker: 0,
  part: 0,
}

async function leaveBehind(folder: string, file: SpoolFile, text: string): Promise<void> {
  await mkdir(spoolFolder(folder), { recursive: true })
  await writeFile(spoolPath(folder, file), text)
}

test('when an interval has settled, a node gets one object with the lines of all workers, under the key of the service', async t => {
  const { clock, delivery, log, objects, delivered, spooled } = await makeProcess(t)
  await delivery.start()
  await log('of worker 1', 1)
  await log('of worker 0')
  await log('of worker 0 again')
  clock.advance(200_000 + spoolSettleMs - 1)
  await delivery.deliverDue()
  assert.deepEqual(await objects(), [])
  clock.advance(1)
  await delivery.deliverDue()
  const [object, ...others] = await objects()
  assert.deepEqual(others, [])
  assert.match(
    object!,
    /^AWSLogs\/123456789012\/elasticloadbalancing\/us-east-1\/2025\/12\/11\/123456789012_elasticloadbalancing_us-east-1_app\.web\.1fa8b17e4c17e7c7_20251211T1330Z_127\.31\.1\.1_[0-9a-z]{8}\.log\.gz$/,
  )
  assert.deepEqual(await delivered(), ['of worker 0', 'of worker 0 again', 'of worker 1'])
  assert.deepEqual(await spooled(), [])
})

test('delivery goes on by itself, interval after interval, and an interval without lines delivers nothing', async t => {
  const { clock, delivery, log, objects } = await makeProcess(t)
  await delivery.start()
  for (const count of [1, 2]) {
    await log('a line')
    clock.advance(2 * intervalMs)
    for (let passes = 0; (await objects()).length < count; passes++) {
      clock.advance(deliveryPassMs)
      await setImmediate()
      assert.ok(passes < 10_000, 'delivered without being asked')
    }
    assert.equal((await objects()).length, count)
  }
})

test('each node of each load balancer gets objects of its own', async t => {
  const { clock, delivery, log, objects } = await makeProcess(t)
  await log('a', 0, source)
  await log('b', 0, { ...source, nodeIp: '2001:db8::1' })
  await log('c', 0, { ...source, loadBalancerName: 'api-1' })
  clock.advance(intervalMs + spoolSettleMs)
  await delivery.deliverDue()
  const names = (await objects()).map(path => basename(path).split('_').slice(3, 6).join(' '))
  assert.deepEqual(names.sort(), [
    'app.api-1.1fa8b17e4c17e7c7 20251211T1330Z 127.31.1.1',
    'app.web.1fa8b17e4c17e7c7 20251211T1330Z 127.31.1.1',
    'app.web.1fa8b17e4c17e7c7 20251211T1330Z 2001.db8..1',
  ])
})

test('an object is dated by the day of delivery', async t => {
  const { folder, delivery, objects } = await makeProcess(t)
  await leaveBehind(folder, { ...ended, intervalEndMs: Date.UTC(2025, 11, 9, 23, 55) }, 'a line\n')
  await delivery.start()
  assert.match((await objects())[0]!, /\/2025\/12\/11\/.*_20251209T2355Z_/)
})

test('start delivers what a killed process left, without the line it was writing, and clears its temporary files', async t => {
  const { folder, delivery, delivered, spooled } = await makeProcess(t)
  await leaveBehind(folder, ended, `whole\ncut${'x'.repeat(600_000)}`)
  await leaveBehind(folder, { ...ended, worker: 1 }, 'only a piece')
  await leaveBehind(folder, { ...ended, worker: 2 }, '')
  await writeFile(join(spoolFolder(folder), 'abcdefgh.log.gz.tmp'), 'half an object')
  await delivery.start()
  assert.deepEqual(await delivered(), ['whole'])
  assert.deepEqual(await spooled(), [])
})

test('what another process left of the running interval waits for its end: that process may still live', async t => {
  const { folder, clock, delivery, log, objects, delivered } = await makeProcess(t)
  await leaveBehind(folder, { ...ended, intervalEndMs: intervalEndMs(startMs) }, 'of the other\n')
  await delivery.start()
  await log('ours')
  assert.deepEqual(await objects(), [])
  clock.advance(intervalMs + spoolSettleMs)
  await delivery.deliverDue()
  assert.equal((await objects()).length, 1)
  assert.deepEqual(await delivered(), ['of the other', 'ours'])
})

test('close delivers what this process logged, and nothing of another one in the same interval', async t => {
  const { folder, delivery, log, delivered, spooled } = await makeProcess(t)
  await delivery.start()
  const ofAnother = { ...ended, intervalEndMs: intervalEndMs(startMs) }
  await leaveBehind(folder, ofAnother, 'of the other\n')
  await log('ours')
  await delivery.close()
  assert.deepEqual(await delivered(), ['ours'])
  assert.deepEqual((await spooled()).map(parseSpoolName), [ofAnother])
})

test('a part that its worker has left is delivered at once, as an object of its own', async t => {
  const { folder, clock, delivery, objects, delivered } = await makeProcess(t)
  const running = { ...ended, intervalEndMs: intervalEndMs(startMs) }
  await leaveBehind(folder, running, 'part 0\n')
  await leaveBehind(folder, { ...running, part: 1 }, 'part 1\n')
  await leaveBehind(folder, { ...running, worker: 1 }, 'of another worker\n')
  await delivery.start()
  assert.deepEqual(await delivered(), ['part 0'])
  clock.advance(intervalMs + spoolSettleMs)
  await delivery.deliverDue()
  assert.equal((await objects()).length, 2)
  assert.deepEqual((await delivered()).sort(), ['of another worker', 'part 0', 'part 1'])
})

test('while traffic needs the cores, delivery waits for a quieter moment', async t => {
  const { clock, machine, delivery, log, objects, delivered } = await makeProcess(t)
  await delivery.start()
  await log('a line')
  clock.advance(200_000 + spoolSettleMs)
  machine.cpuShare = busyShareMin
  await delivery.deliverDue()
  assert.deepEqual(await objects(), [])
  machine.cpuShare = busyShareMin - 0.01
  await delivery.deliverDue()
  assert.deepEqual(await delivered(), ['a line'])
})

test('delivery waits for one interval at most', async t => {
  const { clock, machine, delivery, log, objects, delivered } = await makeProcess(t)
  await delivery.start()
  await log('a line')
  machine.cpuShare = 1
  clock.advance(200_000 + intervalMs - 1)
  await delivery.deliverDue()
  assert.deepEqual(await objects(), [])
  clock.advance(1)
  await delivery.deliverDue()
  assert.deepEqual(await delivered(), ['a line'])
})

test('close waits for no quieter moment', async t => {
  const { machine, delivery, log, delivered } = await makeProcess(t)
  await delivery.start()
  await log('a line')
  machine.cpuShare = 1
  await delivery.close()
  assert.deepEqual(await delivered(), ['a line'])
})

test('what waits is not more than the spool should hold', () => {
  const isPutOff = (bytes: number) => mayWait([ended], bytes, busyShareMin, startMs)
  assert.equal(isPutOff(waitingBytesMax), true)
  assert.equal(isPutOff(waitingBytesMax + 1), false)
})

test('the more waits, the less others are spared', () => {
  assert.equal(compressPauseMs(waitingBytesMax), 2)
  assert.equal(compressPauseMs(waitingBytesMax + 1), 1)
  assert.equal(compressPauseMs(2 * waitingBytesMax + 1), 0)
})

test('what cannot be delivered is reported once, stays in the spool, and is delivered when it can be', async t => {
  const errors: string[] = []
  const { folder, delivery, delivered, spooled } = await makeProcess(t, path => errors.push(path))
  await leaveBehind(folder, ended, 'a line\n')
  await leaveBehind(folder, { ...ended, node: '127.31.2.1' }, 'of another node\n')
  await writeFile(join(folder, 'AWSLogs'), 'not a folder')
  await delivery.start()
  await delivery.deliverDue()
  assert.deepEqual(errors, [spoolFolder(folder)])
  assert.equal((await spooled()).length, 2) // and no temporary file
  await rm(join(folder, 'AWSLogs'))
  await delivery.deliverDue()
  assert.deepEqual((await delivered()).sort(), ['a line', 'of another node'])
  assert.deepEqual(await spooled(), [])
  assert.equal(errors.length, 1)
})

test('one node that cannot be delivered does not hold up the others', async t => {
  const errors: string[] = []
  const { folder, delivery, delivered } = await makeProcess(t, path => errors.push(path))
  await mkdir(spoolPath(folder, { ...ended, node: '127.31.0.1' }), { recursive: true }) // a folder is not to be read
  await leaveBehind(folder, ended, 'a line\n')
  await delivery.start()
  assert.deepEqual(await delivered(), ['a line'])
  assert.equal(errors.length, 1)
})

test('a crash between delivery and removal delivers twice, under two names', async t => {
  const { folder, clock, delivery, objects, delivered } = await makeProcess(t)
  await leaveBehind(folder, ended, 'a line\n')
  const kept = join(folder, 'kept')
  await copyFile(spoolPath(folder, ended), kept)
  await delivery.start()
  await copyFile(kept, spoolPath(folder, ended)) // as if it had not been removed
  const restarted = new LogDelivery({ folder, token: 'next', clock, cpuShare: () => 0, onError: failTest })
  await restarted.start()
  await restarted.close()
  assert.equal((await objects()).length, 2)
  assert.deepEqual(await delivered(), ['a line', 'a line'])
})

test('a large object is whole', async t => {
  const { folder, delivery, delivered } = await makeProcess(t)
  const lines = Array.from({ length: 100_000 }, (_, index) => `line ${index} of worker`)
  const half = lines.length / 2
  await leaveBehind(folder, ended, `${lines.slice(0, half).join('\n')}\n`)
  await leaveBehind(folder, { ...ended, worker: 10 }, `${lines.slice(half).join('\n')}\n`)
  await leaveBehind(folder, { ...ended, worker: 9 }, '')
  await delivery.start()
  assert.deepEqual(await delivered(), lines)
})

test('the live file moves to access.log.1 at its size, and lines go on in a new one', async t => {
  const { folder, delivery, log } = await makeProcess(t)
  const live = liveLogPath(folder, 'access')
  await log('old')
  await truncate(live, liveLogBytesMax)
  await delivery.deliverDue()
  await log('at the limit')
  assert.ok((await stat(live)).size > liveLogBytesMax)
  await delivery.deliverDue()
  await log('new')
  assert.equal(await readFile(live, 'latin1'), 'new\n')
  assert.ok((await stat(`${live}.1`)).size > liveLogBytesMax)
})

test('a spool name carries all that delivery needs', () => {
  const label = fc.stringMatching(/^[0-9A-Za-z-]{1,32}$/)
  const file = fc.record({
    kind: fc.constantFrom(...logKinds),
    loadBalancer: fc.tuple(label, fc.stringMatching(/^[0-9a-f]{16}$/)).map(([name, id]) => `${name}.${id}`),
    node: fc.stringMatching(/^[0-9a-f.]{1,39}$/),
    intervalEndMs: fc.integer({ min: 0, max: 4e12 }).map(intervalEndMs),
    token: fc.stringMatching(/^[0-9a-z]{8}$/),
    worker: fc.nat(),
    part: fc.nat(),
  })
  fc.assert(fc.property(file, value => assert.deepEqual(parseSpoolName(basename(spoolPath('', value))), { ...value })))
  for (const name of ['access.log', 'abcdefgh.log.gz.tmp', '', `${basename(spoolPath('', ended))}.tmp`]) {
    assert.equal(parseSpoolName(name), null, name)
  }
})

test('what is due is what has settled, is closed, or was left by its worker for the next part', () => {
  const running = { ...ended, intervalEndMs: intervalEndMs(startMs) }
  const next = { ...running, part: 1 }
  const ofOurs = { ...running, token }
  const files = [next, ofOurs, running]
  assert.deepEqual(groupsDue(files, startMs, null), [[running]])
  assert.deepEqual(groupsDue(files, startMs, token), [[running], [ofOurs]])
  assert.deepEqual(groupsDue(files, running.intervalEndMs + spoolSettleMs, null), [[running, next, ofOurs]])
})

test('each kind of log has files of its own, live and delivered', async t => {
  const { folder, log, delivery, objects } = await makeProcess(t)
  for (const kind of logKinds) {
    await log(`of ${kind}`, 0, { ...source, kind })
    assert.equal(await readFile(liveLogPath(folder, kind), 'latin1'), `of ${kind}\n`)
  }
  await delivery.close()
  const names = (await objects()).map(path => basename(path).replace(/_[0-9a-z]{8}\.log\.gz$/, ''))
  const access = names.find(name => /^\d/.test(name))
  assert.deepEqual(names.toSorted(), [access, `conn_log_${access}`, `health_check_log_${access}`])
})
