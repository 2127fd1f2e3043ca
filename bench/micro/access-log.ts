/** What a line of the access log costs before it goes to disk. `node bench/micro/access-log.ts`; CPU, five rounds. */
import { RequestHead } from '../../src/http/h1.ts'
import { localAccount, localRegion, type TargetGroupArn } from '../../src/model/arns.ts'
import { type AccessLogRecord, writeAccessLogLine } from '../../src/observe/access-log.ts'
import type { LogWriter } from '../../src/observe/log-writer.ts'
import { IdSource } from '../../src/proxy/ids.ts'

const lines = 1_000_000
const clients = 64
const rounds = 5

/** In place of a `LogWriter`: a block that is never full. */
class Block implements Pick<LogWriter, 'block' | 'reserve' | 'commit'> {
  readonly block = Buffer.allocUnsafeSlow(256 * 1024)
  #end = 0

  reserve(bytesMax: number): number {
    if (this.block.length - this.#end < bytesMax) this.#end = 0
    return this.#end
  }

  commit(end: number): void {
    this.#end = end
  }
}

const block = new Block()
const head = new RequestHead()
const bytes = Buffer.from('GET /60B HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n')
head.read(bytes, 0, bytes.length)
const ids = new IdSource()
const connections = Array.from({ length: clients }, (_, i) => ({
  address: `127.0.0.1:${40_000 + i * 37}`,
  traceId: ids.connectionTraceId(),
}))
const beganMs = Date.UTC(2026, 10, 25)
const arn =
  `arn:aws:elasticloadbalancing:${localRegion}:${localAccount}:targetgroup/app/73e2d6bc24d8a067` as TargetGroupArn

function recordOf(i: number): AccessLogRecord {
  const { address, traceId } = connections[i % clients]!
  const timeMs = beganMs + i / 40
  return {
    type: 'http',
    timeMs,
    creationMs: timeMs - 1.4,
    loadBalancer: 'app/bench/50dc6c495c0c9188',
    clientAddress: address,
    targetAddress: '127.0.0.1:29991',
    requestProcessingMs: 0.1,
    targetProcessingMs: 1.1,
    responseProcessingMs: 0,
    statusCode: 200,
    targetStatusCode: 200,
    receivedBytes: 46,
    sentBytes: 228,
    head,
    host: '127.0.0.1',
    port: 8080,
    pathFrom: head.targetFrom,
    targetGroupArn: arn,
    traceId: ids.traceRoot(timeMs),
    rulePriority: 0,
    actions: 'forward',
    redirectUrl: '',
    errorReason: '',
    transformedHost: '',
    transformedUri: '',
    transformStatus: '',
    desync: 0,
    connectionTraceId: traceId,
    nodeIp: '127.0.0.1',
    tls: null,
  }
}

for (let round = 0; round < rounds; round++) {
  const before = process.cpuUsage()
  for (let i = 0; i < lines; i++) writeAccessLogLine(block as unknown as LogWriter, recordOf(i))
  const { user, system } = process.cpuUsage(before)
  console.log(`${((user + system) / lines).toFixed(2)} µs`)
}
