import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { type TestContext, test } from 'node:test'
import { ManualClock } from '../base/clock.ts'
import { targetGroupArn } from '../model/arns.ts'
import { backendPolicy } from '../model/ssl-policies.ts'
import { liveLogPath } from '../observe/log-files.ts'
import { temporaryFolder } from '../observe/log-test-support.ts'
import { WorkerLog } from '../observe/log-writer.ts'
import { targetTlsOptions } from '../targets/target-tls.ts'
import { logHealthCheck } from './check-log.ts'
import type { ProbeReport } from './checker.ts'

const report: ProbeReport = {
  slot: 0,
  node: { loadBalancerName: 'web', loadBalancerId: '1fa8b17e4c17e7c7', nodeIp: '127.31.1.1' },
  group: { arn: targetGroupArn('HCLogsTestIPs', '0123456789abcdef'), name: 'HCLogsTestIPs', node: 0 },
  target: { ip: '172.31.20.97', port: 80 },
  request: {
    ip: '172.31.20.97',
    port: 8080,
    tls: null,
    protocolVersion: 'HTTP1',
    path: '/',
    timeoutMs: 2000,
    matcher: [{ from: 200, to: 200 }],
  },
  outcome: {
    result: 'pass',
    statusCode: 200,
    logReason: null,
    startedAtMs: Date.UTC(2025, 9, 31, 12, 44, 59, 875),
    latencyMs: 19.584011,
    ending: 'answered',
    stage: 'response',
    stageMs: { connect: 1, tls: null, firstByte: 18, response: 0.584011 },
    tlsAlert: null,
    bodyStart: '',
    detail: 'answered 200',
  },
}

async function lineOf(t: TestContext, reported: ProbeReport): Promise<string> {
  const folder = await temporaryFolder(t)
  const onError = (_: string, error: unknown) => assert.fail(error as Error)
  const log = new WorkerLog({ folder, token: 'test', worker: 0, clock: new ManualClock(), onError })
  logHealthCheck(log, reported)
  await log.close()
  return readFile(liveLogPath(folder, 'health-check'), 'latin1')
}

const start = '2025-10-31T12:44:59.875000Z'
const node = 'app/web/1fa8b17e4c17e7c7 127.31.1.1\n'

test('a health check that passed is logged as in the documentation', async t => {
  assert.equal(await lineOf(t, report), `http ${start} 0.019584011 172.31.20.97:80 HCLogsTestIPs PASS 200 - ${node}`)
})

test('one that failed has the code that came, and why', async t => {
  const outcome = { ...report.outcome, result: 'fail', statusCode: 502, logReason: 'TargetError' } as const
  const line = await lineOf(t, { ...report, outcome: { ...outcome, latencyMs: 1121.980746 } })
  assert.equal(line, `http ${start} 1.121980746 172.31.20.97:80 HCLogsTestIPs FAIL 502 TargetError ${node}`)
})

test('where no code came there is a dash', async t => {
  const outcome = { ...report.outcome, result: 'fail', statusCode: null, logReason: 'TimedOut' } as const
  assert.match(await lineOf(t, { ...report, outcome }), / FAIL - TimedOut app/)
})

test('the type is that of the probe', async t => {
  const tls = targetTlsOptions(backendPolicy([]))
  for (const [change, type] of [
    [{ tls }, 'https'],
    [{ protocolVersion: 'HTTP2' }, 'h2'],
    [{ protocolVersion: 'HTTP2', tls }, 'h2'],
    [{ protocolVersion: 'GRPC' }, 'grpc'],
  ] as const) {
    const request = { ...report.request, ...change }
    assert.equal((await lineOf(t, { ...report, request })).split(' ')[0], type)
  }
})
