/**
 * What a target of HTTP/2 is sent of a head: the same as one of HTTP/1.1, whose tests say what that is
 * (`headers-to-target.test.ts`, `transforms.test.ts`, `stickiness.test.ts`).
 */

import assert from 'node:assert/strict'
import { type IncomingHttpHeaders, type OutgoingHttpHeaders, sensitiveHeaders } from 'node:http2'
import { type TestContext, test } from 'node:test'
import { askH2, connectH2, type H2Response, responseH2 } from '../support/h2-client.ts'
import { startH2Scene } from '../support/h2-scene.ts'
import { type SceneOptions, startScene } from '../support/scene.ts'
import { secureListener } from '../support/secure-listener.ts'
import { answering, echo } from '../support/target-scripts.ts'

/** A head as its target saw it; names in lower case, and the random part of the trace id taken out. */
type Seen = { readonly line: string; readonly fields: Readonly<Record<string, string>> }

const withoutIds = (value: string) => value.replace(/1-[0-9a-f]{8}-[0-9a-f]{24}/g, '<id>').replace(/:\d{5}$/, ':<port>')

async function overHttp1(t: TestContext, headers: OutgoingHttpHeaders, options: SceneOptions): Promise<Seen> {
  const scene = await startScene(t, { ...secureListener, ...options, targets: [echo] })
  const { body } = await askH2(await connectH2(t, scene.plane.port), headers)
  const [line = '', ...lines] = body.toString('latin1').split('\r\n')
  const fields: Record<string, string> = {}
  for (const each of lines) {
    const name = each.slice(0, each.indexOf(':')).toLowerCase()
    const value = withoutIds(each.slice(each.indexOf(':') + 2))
    if (name === 'connection' || name === 'transfer-encoding') continue
    fields[name === 'host' ? ':authority' : name] = name in fields ? `${fields[name]}, ${value}` : value
  }
  return { line: line.replace(' HTTP/1.1', ''), fields }
}

async function overHttp2(t: TestContext, headers: OutgoingHttpHeaders, options: SceneOptions): Promise<Seen> {
  const seen = Promise.withResolvers<Seen>()
  const { client } = await startH2Scene(
    t,
    (stream, { ':method': method, ':path': path, ':scheme': scheme, ...others }) => {
      assert.equal(scheme, 'http')
      const fields = Object.entries(others).map(([name, value]) => [name, withoutIds(String(value))])
      seen.resolve({ line: `${method} ${path}`, fields: Object.fromEntries(fields) })
      stream.respond()
      stream.end()
    },
    options,
  )
  await askH2(client, headers)
  return seen.promise
}

const attribute = (name: string, value: string) => ({ attributes: { [`routing.http.${name}`]: value } })
const rewriting = (transforms: readonly unknown[]) => ({
  rules: [
    {
      priority: 1,
      conditions: [{ field: 'path-pattern', values: ['/*'] }],
      actions: [{ type: 'forward', targetGroup: 'app' }],
      transforms,
    },
  ],
})
const forwarded = { 'x-forwarded-for': '10.0.0.1', 'x-forwarded-proto': 'ftp', 'x-forwarded-port': '1' }

const cases: readonly (readonly [what: string, headers: OutgoingHttpHeaders, options?: SceneOptions])[] = [
  ['a plain request', { ':path': '/a/b?c=d&e', 'user-agent': 'curl/8', accept: '*/*' }],
  ['a path without a path', { ':path': '/?' }],
  ['what other proxies add', { ...forwarded, forwarded: 'for=b', via: '1.1 b', 'x-forwarded-host': 'b' }],
  ['addresses to be kept', forwarded, attribute('xff_header_processing.mode', 'preserve')],
  ['addresses to be removed', forwarded, attribute('xff_header_processing.mode', 'remove')],
  ["the client's port", forwarded, attribute('xff_client_port.enabled', 'true')],
  ['a trace id', { 'x-amzn-trace-id': 'Root=1-67891233-abcdef012345678912345678;CalledFrom=app' }],
  ['a host in capitals, with a port', { ':authority': 'Example.COM:443' }],
  ['a listener of another port', { ':authority': 'a' }, { port: 8443 }],
  ['a host to be kept', { ':authority': 'Example.COM:443' }, attribute('preserve_host_header.enabled', 'true')],
  ['TLS headers', { 'x-amzn-tls-version': 'SSLv2' }, attribute('x_amzn_tls_version_and_cipher_suite.enabled', 'true')],
  ['invalid names', { under_score: '1', 'd.o.t': '2', 'x-fine': '3' }],
  [
    'invalid names to be dropped',
    { under_score: '1', 'd.o.t': '2', 'x-fine': '3' },
    attribute('drop_invalid_header_fields.enabled', 'true'),
  ],
  ['an expectation', { ':method': 'POST', expect: '100-continue' }],
  ['cookies', { cookie: ['a=1', 'b=2', 'c=3'] }],
  ['bytes beyond ASCII', { 'x-latin': 'caf\xe9' }],
  ['a length', { ':method': 'POST', 'content-length': '0' }],
  [
    'a transformed path',
    { ':path': '/old/x?y' },
    rewriting([{ type: 'url-rewrite', urlRewrite: { rewrites: [{ regex: '^/old/(.*)$', replace: '/new/$1' }] } }]),
  ],
  [
    'a transformed host',
    { ':authority': 'old.example' },
    rewriting([{ type: 'host-header-rewrite', hostHeaderRewrite: { rewrites: [{ regex: '^old', replace: 'new' }] } }]),
  ],
]

for (const [what, headers, options = {}] of cases) {
  test(`${what}: targets of either version are told the same`, async t => {
    assert.deepEqual(await overHttp2(t, headers, options), await overHttp1(t, headers, options))
  })
}

test('that trailers are taken is told to targets of HTTP/2 only', async t => {
  const headers = { te: 'trailers' }
  assert.equal((await overHttp2(t, headers, {})).fields.te, 'trailers')
  assert.equal((await overHttp1(t, headers, {})).fields.te, undefined)
})

test('targets in TLS are told so in the scheme', async t => {
  let scheme: string | undefined
  const { client } = await startH2Scene(
    t,
    (stream, headers) => {
      scheme = headers[':scheme']
      stream.respond()
      stream.end()
    },
    { target: { isSecure: true } },
  )
  await askH2(client)
  assert.equal(scheme, 'https')
})

function cookiesOf({ headers }: H2Response): string[] {
  return (headers['set-cookie'] ?? []).map(cookie => cookie.slice(0, cookie.indexOf('=')))
}

test('a sticky session holds a client to its target of HTTP/2', async t => {
  const other = await startScene(t) // Holds nothing; its port refuses HTTP/2.
  const { scene, target, client } = await startH2Scene(
    t,
    stream => {
      stream.respond({ ':status': 200, 'x-from': 'target' })
      stream.end()
    },
    { groupAttributes: { 'stickiness.enabled': 'true' } },
  )
  const first = await askH2(client)
  assert.deepEqual(cookiesOf(first), ['AWSALB', 'AWSALBCORS'])
  const cookie = first.headers['set-cookie']!.map(each => each.slice(0, each.indexOf(';'))).join('; ')
  const elsewhere = { id: '127.0.0.1', port: other.plane.port }
  await scene.plane.publish(scene.config({ addresses: [target.address, elsewhere] }))
  for (let i = 0; i < 4; i++) assert.equal((await askH2(client, { cookie })).headers['x-from'], 'target')
})

test('trailers go through to a target, and back, whether its connection is open or not', async t => {
  const { client } = await startH2Scene(t, stream => {
    stream.once('trailers', trailers => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true })
      stream.once('wantTrailers', () => stream.sendTrailers({ 'x-back': trailers['x-forth'] }))
      stream.end()
    })
    stream.resume()
  })
  for (const body of ['', 'body']) {
    const stream = client.request({ ':method': 'POST', ':authority': 'a' }, { waitForTrailers: true })
    stream.once('wantTrailers', () => stream.sendTrailers({ 'x-forth': `with-${body}` }))
    const back = new Promise(resolve => stream.once('trailers', resolve))
    stream.end(body)
    stream.resume()
    assert.equal(((await back) as { 'x-back': string })['x-back'], `with-${body}`)
  }
})

// --- Fields that no table may hold (RFC 7541, section 6.2.3) ---

const secretOf = (headers: IncomingHttpHeaders) => (Reflect.get(headers, sensitiveHeaders) as string[]).toSorted()

/** @returns what came so marked at the target, and then at the client, in heads and in trailers */
async function secretsSeen(
  t: TestContext,
  { request = {}, response = {}, requestTrailers = {}, responseTrailers = {} }: Record<string, OutgoingHttpHeaders>,
  options: SceneOptions = {},
): Promise<readonly string[][]> {
  const seen: string[][] = []
  const { client } = await startH2Scene(
    t,
    (stream, headers) => {
      seen.push(secretOf(headers))
      stream.resume()
      stream.once('trailers', trailers => {
        seen.push(secretOf(trailers))
        stream.respond({ ':status': 200, ...response }, { waitForTrailers: true })
        stream.once('wantTrailers', () => stream.sendTrailers({ 'x-back': '1', ...responseTrailers }))
        stream.end('body')
      })
    },
    options,
  )
  const head = { ':method': 'POST', ':authority': 'a', ...request }
  const stream = client.request(head, { waitForTrailers: true })
  stream.once('wantTrailers', () => stream.sendTrailers({ 'x-forth': '1', ...requestTrailers }))
  stream.once('response', headers => seen.push(secretOf(headers)))
  stream.once('trailers', trailers => seen.push(secretOf(trailers)))
  const answered = responseH2(stream)
  stream.end('body')
  assert.equal((await answered).status, 200)
  return seen
}

const secret = (fields: OutgoingHttpHeaders, ...names: string[]) => ({ ...fields, [sensitiveHeaders]: names })

const secrets: readonly (readonly [what: string, messages: Record<string, OutgoingHttpHeaders>, seen: string[][]])[] = [
  [
    'whatever stands around them',
    {
      request: secret(
        { 'x-a': '1', authorization: 'Basic YTpi', accept: '*/*', 'x-key': 'k' },
        'authorization',
        'x-key',
      ),
      requestTrailers: secret({ 'x-plain': '1', 'x-sum': '2' }, 'x-sum'),
      response: secret({ 'x-plain': '1', 'x-token': '2', etag: '"3"' }, 'x-token', 'etag'),
      responseTrailers: secret({ 'x-plain': '1', 'x-sign': '2' }, 'x-sign'),
    },
    [['authorization', 'x-key'], ['x-sum'], ['etag', 'x-token'], ['x-sign']],
  ],
  [
    'those that the load balancer writes anew',
    {
      request: secret(
        { ':path': '/secret', 'content-length': '4', 'x-plain': '1' },
        ...[':authority', ':path', 'content-length'],
      ),
      response: secret(
        { date: 'Thu, 01 Jan 1970 00:00:00 GMT', 'content-type': 'a/b', 'content-length': '4', 'x-plain': '1' },
        ...['date', 'content-type', 'content-length'],
      ),
    },
    [[':authority', ':path', 'content-length'], [], ['content-length', 'content-type', 'date'], []],
  ],
  ['a path that is in the static table', { request: secret({ ':path': '/' }, ':path') }, [[':path'], [], [], []]],
  [
    'cookies that are one again',
    { request: { 'x-a': '1', cookie: [`long=${'x'.repeat(40)}`, 'b=2'], 'x-b': '1' } },
    [['cookie'], [], [], []],
  ],
  [
    'none',
    { request: { 'x-a': '1', cookie: `long=${'x'.repeat(40)}` }, response: { etag: '1', 'set-cookie': 'a=1' } },
    [[], [], [], []],
  ],
]

for (const [what, messages, seen] of secrets) {
  test(`fields for no table stay so on their way: ${what}`, async t => {
    assert.deepEqual(await secretsSeen(t, messages), seen)
  })
}

test('a path for no table stays so when it is transformed', async t => {
  const rewrites = [{ regex: '^/old/(.*)$', replace: '/new/$1' }]
  const options = rewriting([{ type: 'url-rewrite', urlRewrite: { rewrites } }])
  const [atTarget] = await secretsSeen(t, { request: secret({ ':path': '/old/key' }, ':path') }, options)
  assert.deepEqual(atTarget, [':path'])
})

test('what came over HTTP/1.1 is marked as nothing, behind a secret that came over HTTP/2', async t => {
  const scene = await startScene(t, { ...secureListener, targets: [answering(200, '', ['X-Key: k'])] })
  const client = await connectH2(t, scene.plane.port)
  for (const headers of [secret({ 'x-key': 'k' }, 'x-key'), {}]) {
    assert.deepEqual(secretOf((await askH2(client, headers)).headers), [])
  }
})
