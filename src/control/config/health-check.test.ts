import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ProtocolVersion } from '../../model/resources.ts'
import { buildHealthCheck, HealthCheck, parseCodes } from './health-check.ts'
import { testRefused } from './marked.test-support.ts'

function built(version: ProtocolVersion, text: unknown = {}) {
  return buildHealthCheck(HealthCheck.parse(text), version)
}

const defaults = {
  protocol: 'HTTP',
  port: 'traffic-port',
  path: '/',
  intervalSeconds: 30,
  timeoutSeconds: 5,
  healthyThresholdCount: 5,
  unhealthyThresholdCount: 2,
  matcher: [{ from: 200, to: 200 }],
}

test('the defaults are those of the service, for each protocol version', () => {
  assert.deepEqual(built('HTTP1'), defaults)
  assert.deepEqual(built('HTTP2'), defaults)
  assert.deepEqual(built('GRPC'), { ...defaults, path: '/AWS.ALB/healthcheck', matcher: [{ from: 12, to: 12 }] })
})

test('what is given takes their place', () => {
  const given = { path: '/grpc.health.v1.Health/Check', protocol: 'HTTPS', port: 8443, enabled: true }
  const matcher = [
    { from: 0, to: 0 },
    { from: 5, to: 9 },
  ]
  const { enabled: _, ...expected } = given
  assert.deepEqual(built('GRPC', { ...given, matcher: { grpcCode: '0,5-9' } }), { ...defaults, ...expected, matcher })
  assert.deepEqual(built('HTTP2', { matcher: { httpCode: 204 } }).matcher, [{ from: 204, to: 204 }])
})

test('a matcher mixes lists and ranges', () => {
  const http = { from: 200, to: 499 }
  const ranges = [
    { from: 200, to: 200 },
    { from: 300, to: 302 },
    { from: 499, to: 499 },
  ]
  assert.deepEqual(parseCodes('200,300-302,499', http), ranges)
  for (const text of ['', '200,', '200, 201', '020', '200-', '302-300', '2xx', '199', '500']) {
    assert.equal(parseCodes(text, http), null, text)
  }
  assert.deepEqual(parseCodes('0-99', { from: 0, to: 99 }), [{ from: 0, to: 99 }])
  assert.equal(parseCodes('012', { from: 0, to: 99 }), null)
})

const group = (version: string, matcher: string) => `loadBalancers: []
targetGroups:
  - { name: app, protocol: HTTP, protocolVersion: ${version}, port: 80, healthCheck: { matcher: { ${matcher} } } }`

testRefused([
  [
    'statuses of HTTP for a gRPC group',
    group('GRPC', 'httpCode: «"200"'),
    'httpCode is not for groups of protocolVersion GRPC, whose answers are matched by grpcCode',
  ],
  [
    'codes of gRPC for an HTTP/2 group',
    group('HTTP2', 'grpcCode: «0'),
    'grpcCode is not for groups of protocolVersion HTTP2, whose answers are matched by httpCode',
  ],
])

testRefused([
  [
    'a health check path with a fragment, which no request has',
    `loadBalancers: []
targetGroups:
  - { name: app, protocol: HTTP, port: 80, healthCheck: { path: «"/a#b" } }`,
    'path must not hold "#": a fragment is no part of what is asked for (RFC 9112, section 3.2)',
  ],
])
