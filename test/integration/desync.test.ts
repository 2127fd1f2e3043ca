/**
 * What each mitigation mode does with each tier, and what a target gets of an odd request.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html#desync-mitigation-mode
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { desyncMitigationModes } from '../../src/model/resources.ts'
import { fieldValue } from '../support/message-reader.ts'
import { errorPage } from '../support/pages.ts'
import { logFields } from '../support/plane.ts'
import { startScene } from '../support/scene.ts'
import { answering, echo, sendsAfterRequest } from '../support/target-scripts.ts'

const get = (fields: string) => `GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`
const inMode = (mode: string) => ({
  targets: [answering(200, 'ok')],
  attributes: { 'routing.http.desync_mitigation_mode': mode },
})
const badRequest = errorPage('400 Bad Request', { connection: 'close' })

type Fate = 'kept' | 'closed' | 'refused'
type Fates = readonly [monitor: Fate, defensive: Fate, strictest: Fate]

const requests: readonly (readonly [tier: string, reason: string, request: string, fates: Fates])[] = [
  ['-', '-', get(''), ['kept', 'kept', 'kept']],
  ['Acceptable', 'GetHeadZeroContentLength', get('Content-Length: 0\r\n'), ['kept', 'kept', 'refused']],
  ['Acceptable', 'NonCompliantHeader', get('X: \x01\r\n'), ['kept', 'kept', 'refused']],
  ['Ambiguous', 'SuspiciousHeader', get('Content_Length: 5\r\n'), ['kept', 'closed', 'refused']],
  ['Ambiguous', 'MultilineHeader', get('X: y\r\n z\r\n'), ['kept', 'closed', 'refused']],
  ['Severe', 'BadHeader', get('X: \0\r\n'), ['kept', 'refused', 'refused']],
  ['Severe', 'BadContentLength', get('Content-Length: +5\r\n'), ['refused', 'refused', 'refused']],
]

for (const [at, mode] of desyncMitigationModes.entries()) {
  for (const [tier, reason, request, fates] of requests) {
    test(`in ${mode} mode, a request that is ${tier} by ${reason} is ${fates[at]}`, async t => {
      const scene = await startScene(t, inMode(mode))
      const client = await scene.client()
      await client.send(request)
      const response = await client.readResponse()
      assert.deepEqual(logFields(await scene.line()).slice(28, 30), [tier, reason])
      if (fates[at] === 'refused') {
        assert.equal(response.raw.toString(), badRequest)
        assert.equal(scene.target.connectionCount, 0)
      } else assert.equal(response.body.toString(), 'ok')
      if (fates[at] === 'kept') {
        await client.send(get(''))
        assert.equal((await client.readResponse()).status, 200)
        assert.equal(scene.target.connectionCount, 1, 'the connection to the target was kept, too')
      } else assert.equal((await client.readUntilClose()).ending, 'fin')
    })
  }
}

test('an ambiguous request ends the connection to its target, too', async t => {
  const scene = await startScene(t, inMode('defensive'))
  await scene.ask(get('Content_Length: 5\r\n'))
  await scene.ask(get(''))
  assert.equal(scene.target.connectionCount, 2)
})

test('what is forwarded of odd lines are lines as they should be', async t => {
  const scene = await startScene(t, inMode('monitor'))
  const odd = [
    'X-A:  1 \n',
    'X-B : 2\r\n',
    'X-C: a\x0bb\0c\rd\r\n',
    ' folded\r\n',
    ': 3\r\n',
    'Transfer_Encoding: chunked\n',
  ]
  await scene.ask(`GET  /a b\t HTTP/1.1 \nHost: A\n${odd.join('')}a@b: 4\r\n\n`)
  const [sent] = await scene.target.receivedRequests(1)
  assert.equal(sent!.head.split('\r\n')[0], 'GET /a%20b%09 HTTP/1.1')
  const own = sent!.headers.filter(line => !/^(X-Forwarded-|X-Amzn-|Connection:)/.test(line))
  assert.deepEqual(own, ['Host: a', 'X-A: 1', 'X-C: a b c d', 'folded:', 'a@b: 4'])
  assert.equal(logFields(await scene.line())[13], 'GET http://A:80/a b\\x09 HTTP/1.1 ')
})

test('a redirect says spaces and controls of the path as it says them to a target', async t => {
  const redirect = { type: 'redirect', redirect: { statusCode: 'HTTP_301', path: '/to/#{path}', query: '#{query}' } }
  const scene = await startScene(t, { defaultAction: redirect })
  const response = await scene.ask('GET /a b\x01?c d HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.ok(
    response.headers.some(line => /^Location: .*\/a%20b%01\?c%20d$/.test(line)),
    response.headers.join('\n'),
  )
})

// --- HTTP/0.9 ---

test('an HTTP/0.9 client gets the body alone, and its target a whole request', async t => {
  const scene = await startScene(t, inMode('defensive'))
  const client = await scene.client()
  await client.send('GET /a?b\r\nHost: ignored\r\n\r\n')
  const { bytes, ending } = await client.readUntilClose()
  assert.equal(bytes.toString(), 'ok')
  assert.equal(ending, 'fin')
  const [sent] = await scene.target.receivedRequests(1)
  assert.equal(sent!.head.split('\r\n')[0], 'GET /a?b HTTP/1.1')
  const { dnsName } = scene.loadBalancer
  assert.ok(sent!.headers.includes(`Host: ${dnsName.toLowerCase()}`))
  const fields = logFields(await scene.line())
  assert.equal(fields[13], `GET http://${dnsName}:80/a?b HTTP/0.9`)
  assert.deepEqual(fields.slice(11, 13), ['10', '2'], 'what stood behind the line was not received')
  assert.deepEqual(fields.slice(28, 30), ['Acceptable', 'NonCompliantVersion'])
})

test('an HTTP/0.9 client gets the page of an error alone', async t => {
  const scene = await startScene(t, inMode('strictest'))
  const client = await scene.client()
  await client.send('GET /\n')
  const { bytes, ending } = await client.readUntilClose()
  assert.equal(bytes.toString(), badRequest.slice(badRequest.indexOf('\r\n\r\n') + 4))
  assert.equal(ending, 'fin')
})

const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'

test('a chunked response reaches an HTTP/0.9 client without its framing', async t => {
  const scene = await startScene(t, { targets: [sendsAfterRequest(() => chunked)] })
  const client = await scene.client()
  await client.send('GET /\r\n')
  assert.equal((await client.readUntilClose()).bytes.toString(), 'hello')
})

test('a coding that delimits nothing ends the connection, since others may read on until it ends', async t => {
  const scene = await startScene(t, { targets: [echo] })
  const client = await scene.client()
  await client.send(
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n',
  )
  const response = await client.readResponse()
  assert.equal(fieldValue(response.headers, 'connection'), 'close')
  assert.equal((await client.readUntilClose()).bytes.length, 0)
  assert.equal(scene.target.connectionCount, 1)
})

for (const refused of ['TRACE / HTTP/1.1\r\n', `POST / HTTP/1.1\r\nX-Forwarded-For: ${'1,'.repeat(31)}\r\n`]) {
  test(`whoever is refused and not told to go on has said all: ${refused.slice(0, 5)}`, async t => {
    const scene = await startScene(t, { targets: [echo] })
    const client = await scene.client()
    await client.send(`${refused}Host: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n`)
    assert.equal(fieldValue((await client.readResponse()).headers, 'connection'), 'close')
  })
}
