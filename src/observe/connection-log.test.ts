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
  certificate: null,
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

const certificate = {
  subject: 'CN=amazondomains.com,O=endEntity,L=Seattle,ST=Washington,C=US',
  issuer: 'CN=root',
  validity: 'NotBefore=2023-09-21T22:43:21Z;NotAfter=2026-06-17T22:43:21Z',
  serialNumber: 'FEF257372D5C14D4',
}

test('a certificate of a client is logged with subject, validity and serial number, also of one that was refused', async t => {
  const { subject, validity, serialNumber } = certificate
  const shown = `"${subject}" ${validity} ${serialNumber}`
  const cipher = 'TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256'
  const good = { ...secure, certificate }
  assert.equal(await lineOf(t, good), `${begin} ${cipher} 4.036 ${shown} Success ${traceId} secp256r1 ${end}`)
  const bad = { ...good, handshakeMs: -1, verifyStatus: 'Failed:ClientCertUntrusted' }
  assert.equal(await lineOf(t, bad), `${begin} ${cipher} - ${shown} ${bad.verifyStatus} ${traceId} secp256r1 ${end}`)
})

test('a subject ends neither its quotes nor its line, and is cut where it is too long to show', async t => {
  const quoted = { ...secure, certificate: { ...certificate, subject: 'CN=a\\"b' } }
  assert.match(await lineOf(t, quoted), / "CN=a\\x5c\\x22b" NotBefore=/i)
  const long = { ...certificate, subject: `CN=${'"'.repeat(100_000)}`, serialNumber: 'A'.repeat(100_000) }
  const line = await lineOf(t, { ...secure, certificate: long })
  assert.match(line, / "CN=(\\x22)+" NotBefore=\S+ A+ Success /)
  assert.ok(line.length < 50_000, `${line.length}`)
})

test('a certificate without a subject has a dash for it', async t => {
  const line = await lineOf(t, { ...secure, certificate: { ...certificate, subject: '' } })
  assert.match(line, / "-" NotBefore=/)
})
