import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatProblem } from './config.ts'
import { type QuickOptions, quickConfig } from './config-quick.ts'

function problemsOf(options: QuickOptions): string[] {
  const result = quickConfig(options)
  return result.ok ? [] : result.problems.map(formatProblem)
}

test('one target is enough for a load balancer on 8080', () => {
  const result = quickConfig({ to: ['localhost:3000'] })
  assert.ok(result.ok)
  const [loadBalancer] = result.config.resources.loadBalancers
  const [group] = result.config.resources.targetGroups
  const defaultAction = {
    type: 'forward',
    targetGroups: [{ arn: group!.arn, weight: 1 }],
    stickinessSeconds: null,
  }
  assert.equal(loadBalancer!.name, 'openalb')
  assert.deepEqual(
    loadBalancer!.listeners.map(({ port, bindPort, defaultAction, rules }) => ({
      port,
      bindPort,
      defaultAction,
      rules,
    })),
    [{ port: 8080, bindPort: 8080, defaultAction, rules: [] }],
  )
  assert.equal(group!.name, 'targets')
  assert.deepEqual(group!.targets, [{ ip: '127.0.0.1', port: 3000, availabilityZone: 'us-east-1a' }])
  assert.deepEqual(group!.healthCheck, {
    protocol: 'HTTP',
    port: 'traffic-port',
    path: '/',
    intervalSeconds: 5,
    timeoutSeconds: 2,
    healthyThresholdCount: 2,
    unhealthyThresholdCount: 2,
    matcher: [{ from: 200, to: 499 }],
  })
  assert.deepEqual(result.config.warnings, [])
})

test('with a local certificate the listener is HTTPS, on 8443, with the policy of the console', () => {
  const result = quickConfig({ to: ['localhost:3000'], usesLocalCertificate: true })
  assert.ok(result.ok)
  const [listener] = result.config.resources.loadBalancers[0]!.listeners
  assert.deepEqual([listener!.protocol, listener!.port], ['HTTPS', 8443])
  assert.equal(listener!.tls!.sslPolicy, 'ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09')
  const chosen = quickConfig({ to: ['localhost:3000'], usesLocalCertificate: true, listenPort: 4430 })
  assert.equal(chosen.ok && chosen.config.resources.loadBalancers[0]!.listeners[0]!.port, 4430)
})

test('several targets keep their ports, and the listener its own with the offset', () => {
  const result = quickConfig({ to: ['[::1]:3000', '[0:0::1]:3001'], listenPort: 80, portOffset: 8000 })
  assert.ok(result.ok)
  const { loadBalancers, targetGroups } = result.config.resources
  assert.deepEqual(targetGroups[0]!.targets, [
    { ip: '::1', port: 3000, availabilityZone: 'us-east-1a' },
    { ip: '::1', port: 3001, availabilityZone: 'us-east-1a' },
  ])
  assert.equal(loadBalancers[0]!.listeners[0]!.port, 80)
  assert.equal(loadBalancers[0]!.listeners[0]!.bindPort, 8080)
})

const form = 'must be HOST:PORT with a port from 1 to 65535, such as 127.0.0.1:3000'

for (const [to, message] of [
  ['app.internal:80', 'must be an address: targets are registered by IP address, and "app.internal" is a name'],
  ['3000', form],
  [':3000', form],
  ['127.0.0.1', form],
  ['127.0.0.1:0', form],
  ['127.0.0.1:65536', form],
  ['http://127.0.0.1:80', form],
  ['::1', 'must be HOST:PORT, with an IPv6 address in brackets: [::1]:3000'],
  ['[127.0.0.1]:80', 'must hold an IPv6 address in the brackets, not "127.0.0.1"'],
] as const) {
  test(`--to ${to} is refused`, () => assert.deepEqual(problemsOf({ to: [to] }), [`--to ${to}: ${message}`]))
}

test('every faulty argument is named at once', () => {
  assert.deepEqual(problemsOf({ to: ['a:1', '10.0.0.1:1', '10.0.0.1:1'], listenPort: 0 }), [
    '--to a:1: must be an address: targets are registered by IP address, and "a" is a name',
    '--to 10.0.0.1:1: is given twice',
    '--listen: must be a port from 1 to 65535, not 0',
  ])
  assert.deepEqual(problemsOf({ to: [] }), ['--to: must be given at least once, as HOST:PORT'])
})

test('what the rules of a file refuse is refused here too', () => {
  assert.deepEqual(problemsOf({ to: ['10.0.0.1:1', '[::1]:1'] }), [
    '--to: id is IPv6, but the group has IPv4 targets: a target group holds one family',
  ])
})
