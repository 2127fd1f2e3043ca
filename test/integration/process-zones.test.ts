/** Zones as clients meet them: DNS leads to those that are well, and traffic goes where it leads. */
import assert from 'node:assert/strict'
import { promises as dns } from 'node:dns'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { within } from '../support/deadline.ts'
import { freePort } from '../support/free-port.ts'
import { type MisbehavingTarget, startTarget } from '../support/misbehaving-target.ts'
import { connectClient } from '../support/raw-client.ts'
import { type RunningProcess, startOpenAlb, testFolder } from '../support/running.ts'
import { answering } from '../support/target-scripts.ts'

const onLinux = { skip: process.platform !== 'linux' && 'only Linux has all of 127.0.0.0/8' }
const zones = ['us-east-1a', 'us-east-1b']

type Scene = {
  readonly openalb: RunningProcess
  readonly targets: readonly MisbehavingTarget[]
  readonly port: number
  readonly config: (awayFrom: string | null, enabled?: string[]) => string
  readonly resolver: dns.Resolver
  readonly dnsName: string
}

/** A target in each zone, which answers with its zone's name. */
async function start(t: TestContext, attributes: Readonly<Record<string, string>>): Promise<Scene> {
  const targets = await Promise.all(zones.map(zone => startTarget(answering(200, zone))))
  t.after(() => Promise.all(targets.map(target => target.close())))
  const port = await freePort()
  const config = (awayFrom: string | null, enabled = zones) =>
    JSON.stringify({
      loadBalancers: [
        {
          name: 'web',
          availabilityZones: enabled.map(zoneName => ({ zoneName })),
          attributes: { 'zonal_shift.config.enabled': 'true' },
          listeners: [{ protocol: 'HTTP', port, defaultActions: [{ type: 'forward', targetGroup: 'app' }] }],
        },
      ],
      targetGroups: [
        {
          name: 'app',
          protocol: 'HTTP',
          port: 80,
          attributes,
          healthCheck: { intervalSeconds: 0.1, timeoutSeconds: 0.05 },
          targets: targets.map((target, at) => ({ id: '127.0.0.1', port: target.port, availabilityZone: zones[at] })),
        },
      ],
      zonalShifts: awayFrom === null ? [] : [{ resourceIdentifier: 'web', awayFrom }],
      lab: { healthCheckIntervalSecondsMin: 0.1 },
    })
  const folder = testFolder(t)
  writeFileSync(join(folder, 'openalb.yaml'), config(null))
  const openalb = await startOpenAlb(t, ['openalb.yaml', '--workers', '2', '--dns-port', '0'], folder)
  const [, dnsPort, dnsName] = await openalb.says(
    /^DNS: 127\.0\.0\.1 port (\d+)\. Try: dig @127\.0\.0\.1 -p \d+ (\S+)$/m,
  )
  const resolver = new dns.Resolver({ tries: 1 })
  resolver.setServers([`127.0.0.1:${dnsPort}`])
  return { openalb, targets, port, config, resolver, dnsName: dnsName! }
}

async function resolves({ resolver, dnsName }: Scene, expected: readonly string[]): Promise<void> {
  let latest: string[] = []
  const ask = async () => {
    for (;;) {
      latest = (await resolver.resolve4(dnsName)).sort()
      if (latest.join() === expected.join()) return
    }
  }
  await within(ask(), () => `DNS to say ${expected}; it said ${latest}`)
}

async function ask({ port }: Scene, address: string): Promise<string> {
  const client = await connectClient(port, address)
  await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  const { body } = await client.readResponse()
  client.close()
  return body.toString()
}

const bothHealthy = ({ openalb }: Scene) =>
  openalb.statusWith(
    ({ targetGroups }) => targetGroups[0]!.targets.every(({ state }) => state === 'healthy'),
    'both targets to be healthy, to both nodes',
  )

test('a zone whose targets fail leaves DNS', onLinux, async t => {
  const scene = await start(t, { 'load_balancing.cross_zone.enabled': 'false' })
  await bothHealthy(scene)
  await resolves(scene, ['127.31.1.1', '127.31.2.1'])
  assert.equal(await ask(scene, '127.31.1.1'), 'us-east-1a')
  assert.equal(await ask(scene, '127.31.2.1'), 'us-east-1b')
  await scene.targets[1]!.close()
  await resolves(scene, ['127.31.1.1'])
  const { loadBalancers } = await scene.openalb.status()
  assert.deepEqual(
    loadBalancers[0]!.availabilityZones.map(({ zoneName, isInDns }) => [zoneName, isInDns]),
    [
      ['us-east-1a', true],
      ['us-east-1b', false],
    ],
  )
})

test('a zonal shift that is saved takes effect with the reload, and so does its end', onLinux, async t => {
  const scene = await start(t, {})
  await bothHealthy(scene)
  scene.openalb.write('openalb.yaml', scene.config('us-east-1b'))
  scene.openalb.kill('SIGHUP')
  await scene.openalb.says(/^configuration 2 is in force/m)
  await resolves(scene, ['127.31.1.1'])
  // Whoever has the address still is served, by the targets of the other zone.
  assert.equal(await ask(scene, '127.31.2.1'), 'us-east-1a')
  scene.openalb.write('openalb.yaml', scene.config(null))
  scene.openalb.kill('SIGHUP')
  await scene.openalb.says(/^configuration 3 is in force/m)
  await resolves(scene, ['127.31.1.1', '127.31.2.1'])
})

test('the first line to try leads to a zone that there is', onLinux, async t => {
  const scene = await start(t, {})
  await scene.openalb.says(new RegExp(`^Ready\\. Try: curl -v http://127\\.31\\.1\\.1:${scene.port}/$`, 'm'))
})

test('what a zone counted is not lost when the zone goes', onLinux, async t => {
  const scene = await start(t, {})
  await bothHealthy(scene)
  for (const address of ['127.31.1.1', '127.31.2.1', '127.31.2.1']) await ask(scene, address)
  await scene.openalb.statusWith(
    ({ loadBalancers }) => loadBalancers[0]!.counters.RequestCount === 3,
    'all three requests to be counted',
  )
  scene.openalb.write('openalb.yaml', scene.config(null, ['us-east-1a']))
  scene.openalb.kill('SIGHUP')
  await scene.openalb.says(/^configuration 2 is in force/m)
  const { loadBalancers, targetGroups } = await scene.openalb.status()
  assert.equal(loadBalancers[0]!.availabilityZones.length, 1)
  assert.equal(loadBalancers[0]!.counters.RequestCount, 3)
  assert.deepEqual(
    targetGroups[0]!.targets.map(({ requests }) => requests),
    [2, 1],
    'each node began with the first target',
  )
})
