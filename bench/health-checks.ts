/**
 * What health checks cost: 1,000 targets that three nodes check every 5 seconds each, as CPU of the process that does
 * nothing else, the log included. By HTTPS it is one node, since the targets, all in one process, could not keep up
 * with more handshakes. `node bench/health-checks.ts`
 */

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer as createHttp2Server } from 'node:http2'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createServer as createTlsServer } from 'node:tls'
import { systemClock } from '../src/base/clock.ts'
import { logHealthCheck } from '../src/health/check-log.ts'
import { type CheckedGroup, HealthChecker } from '../src/health/checker.ts'
import { targetGroupArn } from '../src/model/arns.ts'
import { backendPolicy } from '../src/model/ssl-policies.ts'
import { TargetStates } from '../src/model/target-states.ts'
import { WorkerLog } from '../src/observe/log-writer.ts'
import { makeCertificate } from '../test/support/certificates.ts'

const targetsPerNode = 1000
const intervalSeconds = 5
const warmUpMs = 8_000
const measuredMs = 20_000

const nodesOf = { http: 3, h2c: 3, https: 1 }
type Kind = keyof typeof nodesOf

if (process.argv[2] === 'targets') await serveTargets()
else for (const kind of ['http', 'h2c', 'https'] as const) await measure(kind)

async function measure(kind: Kind): Promise<void> {
  const targets = fork(import.meta.filename, ['targets'])
  const folder = mkdtempSync(join(tmpdir(), 'openalb-bench-'))
  try {
    const [ports] = (await once(targets, 'message')) as [Record<Kind, number>]
    console.log(await run(kind, ports[kind], folder))
  } finally {
    await end(targets)
    rmSync(folder, { recursive: true, force: true })
  }
}

async function run(kind: Kind, port: number, folder: string): Promise<string> {
  const onError = (path: string, error: Error) => console.error(`${path}: ${error.message}`)
  const log = new WorkerLog({ folder, token: 'bench', worker: 0, clock: systemClock, onError })
  let probes = 0
  let failures = 0
  const checker = new HealthChecker({
    clock: systemClock,
    states: new TargetStates(),
    onChange: () => {},
    onProbe: report => {
      probes++
      if (report.outcome.result === 'fail') failures++
      logHealthCheck(log, report)
    },
  })
  checker.apply(Array.from({ length: nodesOf[kind] }, (_, node) => groupOf(kind, node, port)))
  await sleep(warmUpMs)
  probes = failures = 0
  const [cpu, began] = [process.cpuUsage(), performance.now()]
  await sleep(measuredMs)
  const { user, system } = process.cpuUsage(cpu)
  const seconds = (performance.now() - began) / 1000
  checker.close()
  await log.close()
  const cpuSeconds = (user + system) / 1e6
  return (
    `${kind.padEnd(6)} ${(probes / seconds).toFixed(0)} checks/s, ${failures} failed: ` +
    `${((100 * cpuSeconds) / seconds).toFixed(1)} % of a core (user ${(user / 1e4 / seconds).toFixed(1)}, ` +
    `system ${(system / 1e4 / seconds).toFixed(1)}), ${((cpuSeconds * 1e6) / probes).toFixed(0)} µs each`
  )
}

function groupOf(kind: Kind, node: number, port: number): CheckedGroup {
  return {
    arn: targetGroupArn('app', '0123456789abcdef'),
    name: 'app',
    node,
    checking: {
      isOn: true,
      node: { loadBalancerName: 'web', loadBalancerId: '1fa8b17e4c17e7c7', nodeIp: `127.31.${node}.1` },
      healthCheck: {
        protocol: kind === 'https' ? 'HTTPS' : 'HTTP',
        port: 'traffic-port',
        path: '/health',
        intervalSeconds,
        timeoutSeconds: 2,
        healthyThresholdCount: 2,
        unhealthyThresholdCount: 2,
        matcher: [{ from: 200, to: 200 }],
      },
      protocolVersion: kind === 'h2c' ? 'HTTP2' : 'HTTP1',
      backendPolicy: backendPolicy([]),
      slowStartSeconds: 0,
    },
    // Each target has an address of its own, all of them this machine's.
    targets: Array.from({ length: targetsPerNode }, (_, i) => ({
      ip: `127.1.${i >> 8}.${i & 255}`,
      port,
      slot: node * targetsPerNode + i,
    })),
  }
}

async function serveTargets(): Promise<void> {
  const { certificate, privateKey } = makeCertificate({ names: ['target.example'], keyType: 'p256' })
  const answer = (socket: Socket) => {
    socket.on('error', () => {})
    socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok'))
  }
  const http2 = createHttp2Server((_, response) => response.end('ok'))
  http2.on('session', session => session.on('error', () => {}))
  const ports = {
    http: await listen(createServer(answer)),
    https: await listen(createTlsServer({ cert: certificate, key: privateKey }, answer)),
    h2c: await listen(http2),
  }
  process.on('disconnect', () => process.exit())
  process.send!(ports)
}

async function listen(server: Server): Promise<number> {
  await once(server.listen({ port: 0, host: '0.0.0.0', backlog: 4096 }), 'listening')
  return (server.address() as AddressInfo).port
}

async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit')
  child.disconnect()
  await exited
}
