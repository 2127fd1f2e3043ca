/** Health checks of a running load balancer, as an operator sees them: in `openalb status` and in the log. Time flies. */
import assert from 'node:assert/strict'
import { globSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { HealthEvent, Status, TargetStatus } from '../../src/control/status.ts'
import { freePort } from '../support/free-port.ts'
import { type MisbehavingTarget, type Script, startTarget } from '../support/misbehaving-target.ts'
import { type RunningProcess, runOpenAlb, startOpenAlb, testFolder } from '../support/running.ts'
import { answering } from '../support/target-scripts.ts'

async function scripted(t: TestContext, script: Script): Promise<MisbehavingTarget> {
  const target = await startTarget(script)
  t.after(() => target.close())
  return target
}

type Setting = { readonly listenerPort: number; readonly targetPorts: readonly number[]; readonly timeScale?: number }

function configOf({ listenerPort, targetPorts, timeScale = 100 }: Setting): string {
  const defaultActions = [{ type: 'forward', targetGroup: 'app' }]
  const targets = targetPorts.map(port => ({ id: '127.0.0.1', port }))
  // Long enough for a machine that has other things to do.
  const healthCheck = { intervalSeconds: 100, timeoutSeconds: 90 }
  return JSON.stringify({
    loadBalancers: [
      { name: 'web', bind: '127.0.0.1', listeners: [{ protocol: 'HTTP', port: listenerPort, defaultActions }] },
    ],
    targetGroups: [{ name: 'app', protocol: 'HTTP', port: 80, healthCheck, targets }],
    lab: { timeScale },
  })
}

async function start(t: TestContext, setting: Setting): Promise<RunningProcess> {
  const folder = testFolder(t)
  writeFileSync(join(folder, 'openalb.json'), configOf(setting))
  return startOpenAlb(t, ['openalb.json', '--data', 'data', '--workers', '1'], folder)
}

const targetOf = ({ targetGroups }: Status, { port }: { port: number }): TargetStatus | undefined =>
  targetGroups[0]!.targets.find(target => target.port === port)

/** The way of a target, without what can differ. */
const wayOf = (history: readonly HealthEvent[] | undefined) => history?.map(({ from, to }) => `${from} > ${to}`)

/** Asked directly, before time has flown. */
async function withHistory({ apiPort }: RunningProcess): Promise<Status> {
  return (await fetch(`http://127.0.0.1:${apiPort}/_openalb/status?history`)).json() as Promise<Status>
}

async function asJson(t: TestContext, openalb: RunningProcess): Promise<Status> {
  const args = ['status', '--json', '--api-port', String(openalb.apiPort)]
  return JSON.parse((await runOpenAlb(t, args, openalb.cwd)).text)
}

test('what a target goes through, from its registration to its end, can be read with the reasons', async t => {
  const good = await scripted(t, answering(200))
  const bad = await scripted(t, answering(503, 'down for lunch'))
  const setting = { listenerPort: await freePort(), targetPorts: [good.port, bad.port] }
  const openalb = await start(t, setting)
  await openalb.statusWith(
    status => targetOf(status, good)?.state === 'healthy' && targetOf(status, bad)?.state === 'unhealthy',
    'one healthy and one unhealthy target',
  )
  const unhealthy = targetOf(await asJson(t, openalb), bad)!
  assert.equal(unhealthy.reason, 'Target.ResponseCodeMismatch')
  assert.equal(unhealthy.description, 'Health checks failed with these codes: [503]')
  const { lastCheck, history } = unhealthy
  assert.deepEqual([lastCheck?.reason, lastCheck?.ending, lastCheck?.stage], ['TargetError', 'answered', 'response'])
  assert.equal(lastCheck?.bodyStart, 'down for lunch')
  assert.deepEqual(wayOf(history), ['unused > initial', 'initial > unhealthy'])
  assert.equal(history?.[1]?.check?.detail, 'answered 503, expected 200')

  const text = await runOpenAlb(t, ['status', '--history', '--api-port', String(openalb.apiPort)], openalb.cwd)
  assert.equal(text.code, 1, 'a target is unhealthy')
  const why = 'Target.ResponseCodeMismatch: Health checks failed with these codes: [503]'
  const seen = '(answered 503, expected 200: "down for lunch")'
  const shown = text.text.split('\n').filter(line => line.includes(`127.0.0.1:${bad.port}`))
  assert.equal(shown.length, 3)
  assert.ok(shown[0]!.includes(`unhealthy ${why} ${seen}`))
  assert.match(shown[1]!, / unused → initial Elb\.InitialHealthChecking: Initial health checks in progress$/)
  assert.ok(shown[2]!.endsWith(` initial → unhealthy ${why} ${seen}`))

  openalb.write('openalb.json', configOf({ ...setting, targetPorts: [good.port] }))
  openalb.kill('SIGHUP')
  await openalb.statusWith(status => targetOf(status, bad)?.state === 'draining', 'the target to drain')
  const draining = targetOf(await withHistory(openalb), bad)!
  assert.equal(draining.reason, 'Target.DeregistrationInProgress')
  assert.deepEqual(wayOf(draining.history)?.slice(1), ['initial > unhealthy', 'unhealthy > draining'])
  await openalb.statusWith(status => targetOf(status, bad) === undefined, 'the delay to be over')

  openalb.kill('SIGTERM')
  await openalb.exited()
  const lines = openalb.read('data/logs/health-check.log').split('\n')
  const line = (target: MisbehavingTarget, rest: string) =>
    new RegExp(
      `^http \\S+Z \\d+\\.\\d{9} 127\\.0\\.0\\.1:${target.port} app ${rest} app/web/[0-9a-f]{16} 127\\.0\\.0\\.1$`,
    )
  assert.ok(lines.some(each => line(good, 'PASS 200 -').test(each)))
  assert.ok(lines.some(each => line(bad, 'FAIL 503 TargetError').test(each)))
  const delivered = globSync('data/logs/AWSLogs/**/health_check_log_*.log.gz', { cwd: openalb.cwd })
  assert.ok(delivered.length > 0)
})

test('a pace of time is announced at the start and stays to the end', async t => {
  const setting = { listenerPort: await freePort(), targetPorts: [] }
  const openalb = await start(t, setting)
  assert.match(openalb.text, /^lab: time passes 100 times as fast: /m)
  openalb.write('openalb.json', configOf({ ...setting, timeScale: 1 }))
  openalb.kill('SIGHUP')
  await openalb.says(/refused; the running one stays: lab\.timeScale is 100 for as long as the process lives/)
})
