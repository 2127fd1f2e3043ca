/**
 * Lines of the access log as real ones look, each produced by an exchange through real sockets. A template is a line
 * of the service with our names put in; every field counts.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fullListener } from '../support/full-listener.ts'
import { assertLine } from '../support/log-line.ts'
import type { Script } from '../support/misbehaving-target.ts'
import { logFields } from '../support/plane.ts'
import type { RawClient } from '../support/raw-client.ts'
import { refusedPort } from '../support/refused-port.ts'
import { type Scene, type SceneOptions, startScene } from '../support/scene.ts'
import * as scripts from '../support/target-scripts.ts'
import { caughtUp } from '../support/turns.ts'

/** 52 characters, so that curl's request has the 116 bytes of the captured lines. */
const host = 'alb-demo-1027563904.ap-southeast-2.elb.amazonaws.com'

function curl(path = '/', agent = 'curl/8.11.1'): string {
  return `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: ${agent}\r\nAccept: */*\r\n\r\n`
}

/** The parts of a line that only the scene knows. */
function parts(scene: Scene, client: RawClient) {
  return {
    elb: `app/web/${scene.loadBalancer.id}`,
    from: `127.0.0.1:${client.localPort}`,
    target: scene.targets.length > 0 ? scene.targetAddress : `127.0.0.1:${scene.group.targets[0]?.port}`,
    group: scene.group.arn,
    dnsName: scene.loadBalancer.dnsName,
  }
}

async function send(t: Parameters<typeof startScene>[0], options: SceneOptions, request: string) {
  const scene = await startScene(t, options)
  const client = await scene.client()
  await client.send(request)
  return { scene, client, ...parts(scene, client) }
}

const start = '2026-01-01T12:00:00.000000Z'

test('a success', async t => {
  const { scene, client, elb, target, group, from } = await send(t, { targets: [scripts.answering(200, 'ok')] }, curl())
  const { byteCount } = await client.readResponse()
  assertLine(
    await scene.line(),
    `http ${start} ${elb} ${from} ${target} 0.000 0.000 0.000 200 200 116 ${byteCount} "GET http://${host}:80/ HTTP/1.1" "curl/8.11.1" - - ${group} "<trace>" "-" "-" 0 ${start} "forward" "-" "-" "${target}" "200" "-" "-" <tid> "-" "-" "-" 127.0.0.1`,
  )
})

test("a target's own error, which is none of the load balancer's", async t => {
  const { scene, client, elb, target, group, from } = await send(t, { targets: [scripts.answering(504)] }, curl())
  const { byteCount } = await client.readResponse()
  assertLine(
    await scene.line(),
    `http ${start} ${elb} ${from} ${target} 0.000 0.000 0.000 504 504 116 ${byteCount} "GET http://${host}:80/ HTTP/1.1" "curl/8.11.1" - - ${group} "<trace>" "-" "-" 0 ${start} "forward" "-" "-" "${target}" "504" "-" "-" <tid> "-" "-" "-" 127.0.0.1`,
  )
  const { counters } = scene.plane
  assert.equal(counters.target(0, 'HTTPCode_Target_5XX_Count'), 1)
  assert.equal(counters.loadBalancer(0, 'HTTPCode_ELB_5XX_Count'), 0)
})

test('a refused connection', async t => {
  const port = await refusedPort()
  const options = { addresses: [{ id: '127.0.0.1', port }] }
  const { scene, client, elb, target, group, from } = await send(t, options, curl())
  await client.readResponse()
  assertLine(
    await scene.line(),
    `http ${start} ${elb} ${from} ${target} -1 -1 -1 502 - 116 277 "GET http://${host}:80/ HTTP/1.1" "curl/8.11.1" - - ${group} "<trace>" "-" "-" 0 ${start} "forward" "-" "-" "${target}" "-" "-" "-" <tid> "-" "-" "-" 127.0.0.1`,
  )
})

test('a connection that was not accepted within 10 s, asked for by a browser', async t => {
  const port = await fullListener(t)
  const agent = 'Mozilla/5.0 (Macintosh) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36'
  const request = curl('/', agent)
  const options = { addresses: [{ id: '127.0.0.1', port }] }
  const { scene, client, elb, target, group, from } = await send(t, options, request)
  await caughtUp()
  scene.plane.clock.advance(10_000)
  await client.readResponse()
  assertLine(
    await scene.line(),
    `http 2026-01-01T12:00:10.000000Z ${elb} ${from} ${target} -1 -1 -1 504 - ${request.length} 694 "GET http://${host}:80/ HTTP/1.1" "${agent}" - - ${group} "<trace>" "-" "-" 0 ${start} "forward" "-" "-" "${target}" "-" "-" "-" <tid> "-" "-" "-" 127.0.0.1`,
  )
})

test('a target that does not answer in the idle timeout', async t => {
  const options = { targets: [scripts.neverAnswers] }
  const { scene, client, elb, target, group, from } = await send(t, options, curl('/delay.php'))
  await scene.target.receivedRequests(1)
  scene.plane.clock.advance(60_000)
  await client.readResponse()
  assertLine(
    await scene.line(),
    `http 2026-01-01T12:01:00.000000Z ${elb} ${from} ${target} 0.000 -1 -1 504 - 125 292 "GET http://${host}:80/delay.php HTTP/1.1" "curl/8.11.1" - - ${group} "<trace>" "-" "-" 0 ${start} "forward" "-" "-" "${target}" "-" "-" "-" <tid> "-" "-" "-" 127.0.0.1`,
  )
})

test('a request typed by hand, whose target answers nonsense: times do not include the typing', async t => {
  const gate = Promise.withResolvers<void>()
  const nonsense: Script = async connection => {
    await connection.readRequest()
    await gate.promise
    await connection.send('nonsense\r\n\r\n')
    await connection.drain()
  }
  const { scene, client, elb, target, group, from } = await send(t, { targets: [nonsense] }, 'GET / HTTP/1.1\r\n')
  await caughtUp()
  scene.plane.clock.advance(1_680)
  await client.send('Host: 52.63.142.248\r\n\r\n')
  await scene.target.receivedRequests(1)
  scene.plane.clock.advance(11_083)
  gate.resolve()
  await client.readResponse()
  const line = await scene.line()
  assertLine(
    line,
    `http 2026-01-01T12:00:12.763000Z ${elb} ${from} ${target} 0.000 11.083 -1 502 - 39 277 "GET http://52.63.142.248:80/ HTTP/1.1" "-" - - ${group} "<trace>" "-" "-" 0 ${start} "forward" "-" "-" "${target}" "-" "-" "-" <tid> "-" "-" "-" 127.0.0.1`,
  )
  // The trace is stamped with the moment at which the head was complete.
  const second = Math.floor((scene.plane.clock.originMs + 1_680) / 1000)
  assert.equal(logFields(line)[18]!.split('-')[1], second.toString(16))
})

test('a request that outlasts the deregistration delay', async t => {
  const groupAttributes = { 'deregistration_delay.timeout_seconds': '20' }
  const options = { targets: [scripts.neverAnswers], groupAttributes }
  const { scene, client, elb, target, group, from } = await send(t, options, curl())
  await scene.target.receivedRequests(1)
  scene.plane.clock.advance(6_400)
  await scene.plane.publish(scene.config({ addresses: [] }))
  scene.plane.clock.advance(20_000)
  await client.readResponse()
  assertLine(
    await scene.line(),
    `http 2026-01-01T12:00:26.400000Z ${elb} ${from} ${target} 0.000 -1 -1 502 - 116 277 "GET http://${host}:80/ HTTP/1.1" "curl/8.11.1" - - ${group} "<trace>" "-" "-" 0 ${start} "forward" "-" "-" "${target}" "-" "-" "-" <tid> "-" "-" "-" 127.0.0.1`,
  )
})

test('a group without targets', async t => {
  const request = 'GET /.env HTTP/1.1\r\nHost: 1.2.3.4\r\nUser-Agent: Go-http-client/1.1\r\n\r\n'
  const { scene, client, elb, group, from } = await send(t, {}, request)
  await client.readResponse()
  assertLine(
    await scene.line(),
    `http ${start} ${elb} ${from} - -1 -1 -1 503 - ${request.length} 337 "GET http://1.2.3.4:80/.env HTTP/1.1" "Go-http-client/1.1" - - ${group} "<trace>" "-" "-" 0 ${start} "forward" "-" "-" "-" "-" "-" "-" <tid> "-" "-" "-" 127.0.0.1`,
  )
})

test('what could not be read', async t => {
  const { scene, client, elb, dnsName, from } = await send(t, {}, '\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01')
  await client.readResponse()
  assertLine(
    await scene.line(),
    `http ${start} ${elb} ${from} - -1 -1 -1 400 - 0 272 "- http://${dnsName}:80- -" "-" - - - "-" "-" "-" - ${start} "-" "-" "-" "-" "-" "-" "-" <tid> "-" "-" "-" 127.0.0.1`,
  )
})

test('a client that left while its target was connected to', async t => {
  const port = await fullListener(t)
  const request = curl('/', 'curl/7.58.0')
  const options = { addresses: [{ id: '127.0.0.1', port }] }
  const { scene, client, elb, target, group, from } = await send(t, options, request)
  await caughtUp()
  scene.plane.clock.advance(5_700)
  client.reset()
  await scene.recorded(1)
  assertLine(
    await scene.line(),
    `http 2026-01-01T12:00:05.700000Z ${elb} ${from} ${target} -1 -1 -1 460 - ${request.length} 0 "GET http://${host}:80/ HTTP/1.1" "curl/7.58.0" - - ${group} "<trace>" "-" "-" 0 ${start} "forward" "-" "-" "${target}" "-" "-" "-" <tid> "-" "-" "-" 127.0.0.1`,
  )
})

test('a client that left while its target worked', async t => {
  const options = { targets: [scripts.neverAnswers] }
  const { scene, client, elb, target, group, from } = await send(t, options, curl())
  await scene.target.receivedRequests(1)
  scene.plane.clock.advance(3_000)
  client.reset()
  await scene.recorded(1)
  assertLine(
    await scene.line(),
    `http 2026-01-01T12:00:03.000000Z ${elb} ${from} ${target} 0.000 -1 -1 460 - 116 0 "GET http://${host}:80/ HTTP/1.1" "curl/8.11.1" - - ${group} "<trace>" "-" "-" 0 ${start} "forward" "-" "-" "${target}" "-" "-" "-" <tid> "-" "-" "-" 127.0.0.1`,
  )
})

test('a fixed response to HTTP/1.0', async t => {
  const defaultAction = { type: 'fixed-response', fixedResponse: { statusCode: 404 } }
  const request = 'GET / HTTP/1.0\r\nUser-Agent: scanner\r\n\r\n'
  const { scene, client, elb, dnsName, from } = await send(t, { defaultAction }, request)
  assert.equal((await client.readUntilClose()).bytes.length, 162)
  assertLine(
    await scene.line(),
    `http ${start} ${elb} ${from} - -1 -1 -1 404 - ${request.length} 162 "GET http://${dnsName}:80/ HTTP/1.0" "scanner" - - - "<trace>" "-" "-" 0 ${start} "fixed-response" "-" "-" "-" "-" "-" "-" <tid> "-" "-" "-" 127.0.0.1`,
  )
})

test('a redirect', async t => {
  const defaultAction = {
    type: 'redirect',
    redirect: { protocol: 'HTTPS', port: 443, statusCode: 'HTTP_301' },
  }
  const { scene, client, elb, from } = await send(t, { defaultAction }, curl('/a?b=c'))
  const { byteCount } = await client.readResponse()
  assertLine(
    await scene.line(),
    `http ${start} ${elb} ${from} - -1 -1 -1 301 - 121 ${byteCount} "GET http://${host}:80/a?b=c HTTP/1.1" "curl/8.11.1" - - - "<trace>" "-" "-" 0 ${start} "redirect" "https://${host}:443/a?b=c" "-" "-" "-" "-" "-" <tid> "-" "-" "-" 127.0.0.1`,
  )
})

test('an ambiguous request, served and classified', async t => {
  const request = 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab'
  const { scene, client, elb, target, group, from } = await send(t, { targets: [scripts.answering()] }, request)
  const { byteCount } = await client.readResponse()
  assertLine(
    await scene.line(),
    `http ${start} ${elb} ${from} ${target} 0.000 0.000 0.000 200 200 ${request.length} ${byteCount} "GET http://a:80/ HTTP/1.1" "-" - - ${group} "<trace>" "-" "-" 0 ${start} "forward" "-" "-" "${target}" "200" "Ambiguous" "UndefinedContentLengthSemantics" <tid> "-" "-" "-" 127.0.0.1`,
  )
})

test('a rule is logged by its priority, the listener by its own port, the host without its port', async t => {
  const rules = [
    {
      priority: 50_000,
      conditions: [{ field: 'path-pattern', values: ['/api/*'] }],
      actions: [{ type: 'forward', targetGroup: 'app' }],
    },
  ]
  const request = 'PATCH /api/x HTTP/1.1\r\nHost: WWW.Example.com:9000\r\n\r\n'
  const options = { targets: [scripts.answering()], rules, port: 8080 }
  const { scene, client, elb, target, group, from } = await send(t, options, request)
  const { byteCount } = await client.readResponse()
  assertLine(
    await scene.line(),
    `http ${start} ${elb} ${from} ${target} 0.000 0.000 0.000 200 200 ${request.length} ${byteCount} "PATCH http://WWW.Example.com:8080/api/x HTTP/1.1" "-" - - ${group} "<trace>" "-" "-" 50000 ${start} "forward" "-" "-" "${target}" "200" "-" "-" <tid> "-" "-" "-" 127.0.0.1`,
  )
})

test('an absolute target is logged once, by its own authority', async t => {
  const request = 'GET http://Dns-Name/index.html?q HTTP/1.1\r\nHost: example.com\r\n\r\n'
  const { scene, client } = await send(t, { targets: [scripts.answering()] }, request)
  await client.readResponse()
  assert.equal(logFields(await scene.line())[13], 'GET http://Dns-Name:80/index.html?q HTTP/1.1')
})

test('what a client sends can end neither its quotes nor its line', async t => {
  const request = 'GET /"\xe4\\ HTTP/1.1\r\nHost: a\r\nUser-Agent: say "hi"\t\xff\r\nX-Amzn-Trace-Id: a="\r\n\r\n'
  const { scene, client } = await send(t, { targets: [scripts.answering()] }, request)
  await client.readResponse()
  const lines = await scene.plane.logLines()
  assert.equal(lines.length, 1)
  const fields = logFields(lines[0]!)
  assert.equal(fields.length, 35)
  assert.equal(fields[13], 'GET http://a:80/\\x22\\xE4\\x5C HTTP/1.1')
  assert.equal(fields[14], 'say \\x22hi\\x22\\x09\\xFF')
  assert.match(fields[18]!, /^Root=1-[0-9a-f]{8}-[0-9a-f]{24};a=\\x22$/)
})

test('a User-Agent is shown up to 8 KB', async t => {
  const agent = 'x'.repeat(8 * 1024 + 1)
  const { scene, client } = await send(t, { targets: [scripts.answering()] }, curl('/', agent))
  await client.readResponse()
  assert.equal(logFields(await scene.line())[14], agent.slice(1))
})

test('lines of one connection share their connection id, other connections have others', async t => {
  const { scene, client } = await send(t, { targets: [scripts.answering()] }, curl() + curl())
  await client.readResponse()
  await client.readResponse()
  await scene.ask(curl())
  const ids = (await scene.plane.logLines()).map(line => logFields(line)[30])
  assert.equal(ids.length, 3)
  assert.equal(ids[0], ids[1])
  assert.notEqual(ids[0], ids[2])
})

test('bytes count whole messages: an upload with its body, a response with its framing', async t => {
  const request = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'
  const chunks = scripts.slowBody(['abc', 'de'], async () => {})
  const { scene, client } = await send(t, { targets: [chunks] }, request)
  const { byteCount } = await client.readResponse()
  const fields = logFields(await scene.line())
  assert.equal(fields[11], String(request.length))
  assert.equal(fields[12], String(byteCount))
})

test('times are those of the three stages, cut to milliseconds', async t => {
  const gate = Promise.withResolvers<void>()
  const slow: Script = async connection => {
    await connection.readRequest()
    await gate.promise
    await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    await connection.drain()
  }
  const { scene, client } = await send(t, { targets: [slow] }, curl())
  await scene.target.receivedRequests(1)
  scene.plane.clock.advance(1234.75)
  gate.resolve()
  await client.readResponse()
  const fields = logFields(await scene.line())
  assert.deepEqual(fields.slice(6, 9), ['0.000', '1.234', '0.000'])
  assert.equal(fields[2], '2026-01-01T12:00:01.234750Z')
  assert.equal(fields[22], start)
})
