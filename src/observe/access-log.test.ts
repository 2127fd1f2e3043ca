import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { type TestContext, test } from 'node:test'
import { ManualClock } from '../base/clock.ts'
import { RequestHead } from '../http/h1.ts'
import { Desync, desyncReasons } from '../model/desync.ts'
import { logBlockBytes } from '../model/limits.ts'
import { type AccessLogRecord, writeAccessLogLine } from './access-log.ts'
import { liveLogPath } from './log-files.ts'
import { source, temporaryFolder } from './log-test-support.ts'
import { WorkerLog } from './log-writer.ts'

function headOf(text: string): RequestHead {
  const head = new RequestHead()
  const bytes = Buffer.from(text, 'latin1')
  head.read(bytes, 0, bytes.length)
  return head
}

/** What everything is when nothing happened: refused before it was understood. */
const nothing: AccessLogRecord = {
  type: 'http',
  timeMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  creationMs: Date.UTC(2026, 0, 2, 3, 4, 5),
  loadBalancer: 'app/web/1fa8b17e4c17e7c7',
  clientAddress: '10.0.0.9:4711',
  targetAddress: null,
  requestProcessingMs: -1,
  targetProcessingMs: -1,
  responseProcessingMs: -1,
  statusCode: 400,
  targetStatusCode: -1,
  receivedBytes: 0,
  sentBytes: 272,
  head: headOf('nonsense\r\n\r\n'),
  host: 'web-1.us-east-1.elb.localhost',
  port: 80,
  pathFrom: 0,
  targetGroupArn: null,
  traceId: '',
  rulePriority: -1,
  actions: '',
  redirectUrl: '',
  errorReason: '',
  transformedHost: '',
  transformedUri: '',
  transformStatus: '',
  desync: 0,
  connectionTraceId: 'TID_00000000000000400000000000000000',
  nodeIp: '127.0.0.1',
  tls: null,
}

async function lineOf(t: TestContext, record: AccessLogRecord): Promise<string> {
  const folder = await temporaryFolder(t)
  const onError = (_: string, error: unknown) => {
    throw error
  }
  const log = new WorkerLog({ folder, token: 'test', worker: 0, clock: new ManualClock(), onError })
  writeAccessLogLine(log.writer(source), record)
  await log.close()
  const text = await readFile(liveLogPath(folder, 'access'), 'latin1')
  assert.ok(text.endsWith('\n'))
  assert.equal(text.indexOf('\n'), text.length - 1)
  return text.slice(0, -1)
}

test('a record of which nothing is known is all dashes', async t => {
  assert.equal(
    await lineOf(t, nothing),
    'http 2026-01-02T03:04:05.006000Z app/web/1fa8b17e4c17e7c7 10.0.0.9:4711 - -1 -1 -1 400 - 0 272 "- http://web-1.us-east-1.elb.localhost:80- -" "-" - - - "-" "-" "-" - 2026-01-02T03:04:05.000000Z "-" "-" "-" "-" "-" "-" "-" TID_00000000000000400000000000000000 "-" "-" "-" 127.0.0.1',
  )
})

test('a record of which everything is known has every field in its place', async t => {
  const head = headOf('POST /a?b HTTP/1.0\r\nUser-Agent: me/1\r\n\r\n')
  const line = await lineOf(t, {
    ...nothing,
    type: 'wss',
    targetAddress: '[::1]:8080',
    requestProcessingMs: 0,
    targetProcessingMs: 11_083.9,
    responseProcessingMs: 1,
    statusCode: 101,
    targetStatusCode: 101,
    receivedBytes: 2 ** 40,
    sentBytes: 2 ** 41,
    head,
    host: 'A.example',
    port: 8443,
    pathFrom: head.targetFrom,
    targetGroupArn: 'arn:group',
    traceId: 'Root=1-2-3',
    rulePriority: 50_000,
    actions: 'redirect',
    redirectUrl: 'http://b:80/',
    errorReason: 'AWSALBTGCookieInvalid',
    transformedHost: 'b.example',
    transformedUri: '/"',
    transformStatus: 'TransformSuccess',
    desync: Desync.BadContentLength,
    tls: {
      cipher: 'ECDHE-RSA-AES128-GCM-SHA256',
      protocol: 'TLSv1.2',
      domainName: 'a.example',
      chosenCertificate: 'session-reused',
    },
  })
  assert.equal(
    line,
    'wss 2026-01-02T03:04:05.006000Z app/web/1fa8b17e4c17e7c7 10.0.0.9:4711 [::1]:8080 0.000 11.083 0.001 101 101 1099511627776 2199023255552 "POST https://A.example:8443/a?b HTTP/1.0" "me/1" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:group "Root=1-2-3" "a.example" "session-reused" 50000 2026-01-02T03:04:05.000000Z "redirect" "http://b:80/" "AWSALBTGCookieInvalid" "[::1]:8080" "101" "Severe" "BadContentLength" TID_00000000000000400000000000000000 "b.example" "/\\x22" "TransformSuccess" 127.0.0.1',
  )
})

test('every classification is written with its tier', async t => {
  for (const [index, { tier, reason }] of desyncReasons.entries()) {
    const line = await lineOf(t, { ...nothing, desync: index })
    assert.ok(line.includes(index === 0 ? '"-" "-" "-" TID_' : `"-" "${tier}" "${reason}" TID_`), line)
  }
})

test('an absolute target without a path is logged with one', async t => {
  for (const [target, path] of [
    ['http://b', '/'],
    ['http://b?q', '?q'],
  ] as const) {
    const head = headOf(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)
    const line = await lineOf(t, { ...nothing, head, host: 'b', pathFrom: head.targetFrom + 'http://b'.length })
    assert.ok(line.includes(`"GET http://b:80${path} HTTP/1.1"`), line)
  }
})

test('the longest line, every byte of it escaped, fits what is reserved', async t => {
  // Each part at its own bound: request line and field 16 K, trace id 7 K of head; hosts and paths go into redirects.
  const target = `/${'\xff'.repeat(16_384 - 15)}`
  const agent = '"'.repeat(16_384 - 'User-Agent: '.length)
  const head = headOf(`GET ${target} HTTP/1.1\r\nUser-Agent: ${agent}\r\n\r\n`)
  assert.ok(head.length > 0)
  const record: AccessLogRecord = {
    ...nothing,
    head,
    pathFrom: head.targetFrom,
    host: '"'.repeat(16_000),
    traceId: '"'.repeat(7 * 1024),
    redirectUrl: '\xff'.repeat(32 * 1024),
    targetGroupArn: `arn:${'x'.repeat(200)}`,
  }
  const line = await lineOf(t, record)
  assert.ok(line.length > logBlockBytes)
  assert.ok(line.endsWith(' "-" "-" "-" 127.0.0.1'))
})
