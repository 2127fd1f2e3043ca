import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { type TestContext, test } from 'node:test'
import { ManualClock } from '../base/clock.ts'
import { type ConnectionLogRecord, type ConnectionTls, writeConnectionLogLine } from './connection-log.ts'
import { liveLogPath } from './log-files.ts'
import { source, temporaryFolder } from './log-test-support.ts'
import { WorkerLog } from './log-writer.ts'

const secure: ConnectionTls = {
  protocol: 'TLSv1.2',
  cipher: 'ECDHE-RSA-AES128-GCM-SHA256',
  keyExchange: 'secp256r1',
  handshakeMs: 4036.9,
  verifyStatus: 'Success',
}

async function lineOf(t: TestContext, tls: ConnectionTls | null): Promise<string> {
  const folder = await temporaryFolder(t)
  const onError = (_: string, error: unknown) => assert.fail(error as Error)
  const log = new WorkerLog({ folder, token: 'test', worker: 0, clock: new ManualClock(), onError })
  const record: ConnectionLogRecord = {
    timeMs: Date.UTC(2023, 9, 4, 17, 5, 15, 514),
    clientIp: '203.0.113.1',
    clientPort: 36280,
    listenerPort: 443,
    tls,
    connectionTraceId: 'TID_3180a73013c8ca4bac2f731159d4b0fe',
    loadBalancer: 'app/web/1fa8b17e4c17e7c7',
    nodeIp: '127.31.1.1',
  }
  writeConnectionLogLine(log.writer({ ...source, kind: 'connection' }), record)
  await log.close()
  return readFile(liveLogPath(folder, 'connection'), 'latin1')
}

const begin = '2023-10-04T17:05:15.514000Z 203.0.113.1 36280 443'
const end = 'app/web/1fa8b17e4c17e7c7 127.31.1.1\n'
const traceId = 'TID_3180a73013c8ca4bac2f731159d4b0fe'

test('a secured connection is logged with its protocol, cipher, latency and key exchange', async t => {
  const tls = 'TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256 4.036 "-" - - Success'
  assert.equal(await lineOf(t, secure), `${begin} ${tls} ${traceId} secp256r1 ${end}`)
})

test('a failed handshake has no latency, and says why', async t => {
  const failed = { ...secure, protocol: '', cipher: '', keyExchange: '', handshakeMs: -1, verifyStatus: 'Failed:X' }
  assert.equal(await lineOf(t, failed), `${begin} - - - "-" - - Failed:X ${traceId} - ${end}`)
})

test('a connection to an HTTP listener has dashes for all that TLS would say', async t => {
  assert.equal(await lineOf(t, null), `${begin} - - - "-" - - - ${traceId} - ${end}`)
})
