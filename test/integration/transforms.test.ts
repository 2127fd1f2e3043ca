/**
 * What rules change of a request before its target gets it, and what the log says of that.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-transforms.html
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { fieldValue } from '../support/message-reader.ts'
import { logFields } from '../support/plane.ts'
import { forwardToApp, type Scene, type SceneOptions, startScene } from '../support/scene.ts'
import { echo } from '../support/target-scripts.ts'

const url = (regex: string, replace: string) => ({
  type: 'url-rewrite',
  urlRewrite: { rewrites: [{ regex, replace }] },
})
const host = (regex: string, replace: string) => ({
  type: 'host-header-rewrite',
  hostHeaderRewrite: { rewrites: [{ regex, replace }] },
})

const transforming = (t: TestContext, transforms: readonly unknown[], options: SceneOptions = {}): Promise<Scene> =>
  startScene(t, {
    targets: [echo],
    rules: [
      { priority: 5, conditions: [{ field: 'path-pattern', values: ['/*'] }], transforms, actions: [forwardToApp] },
    ],
    ...options,
  })

async function sent(scene: Scene, uri: string, hostHeader = 'a.example.com') {
  const response = await scene.ask(`GET ${uri} HTTP/1.1\r\nHost: ${hostHeader}\r\n\r\n`)
  const [line, ...headers] = response.body.toString().split('\r\n')
  return { status: response.status, uri: line!.split(' ')[1], host: fieldValue(headers, 'host'), response }
}

/** actions_executed, transformed_host, transformed_uri, request_transform_status. */
async function logged(scene: Scene, at = 0): Promise<(string | undefined)[]> {
  const fields = logFields((await scene.plane.logLines())[at]!)
  return [fields[23], fields[31], fields[32], fields[33]]
}

test('a url-rewrite changes path and query, and the log shows both sides', async t => {
  const scene = await transforming(t, [url('^/dp/([A-Za-z0-9]+)/?$', '/product.php?id=$1')])
  assert.equal((await sent(scene, '/dp/B07/')).uri, '/product.php?id=B07')
  assert.deepEqual(await logged(scene), ['rewrite,forward', '-', '/product.php?id=B07', 'TransformSuccess'])
  const fields = logFields(await scene.line())
  assert.equal(fields[13], 'GET http://a.example.com:80/dp/B07/ HTTP/1.1', 'as the client asked')
  assert.equal(fields[21], '5')
})

test('a url-rewrite sees path and query as one text', async t => {
  const scene = await transforming(t, [url('^/old\\?(.*)$', '/new?$1&moved=1')])
  assert.equal((await sent(scene, '/old?a=b')).uri, '/new?a=b&moved=1')
})

test('a host-header-rewrite changes the host, and the port follows the listener', async t => {
  const rewrite = host('^mywebsite-(.+).com$', 'internal.dev.$1.myweb.com')
  for (const [port, expected] of [
    [80, 'internal.dev.x.myweb.com'],
    [8080, 'internal.dev.x.myweb.com:8080'],
  ] as const) {
    const scene = await transforming(t, [rewrite], { port })
    assert.equal((await sent(scene, '/', 'MyWebsite-x.com')).host, expected)
    assert.deepEqual(await logged(scene), ['rewrite,forward', 'internal.dev.x.myweb.com', '-', 'TransformSuccess'])
  }
})

test('a rewritten host outweighs a preserved one', async t => {
  const attributes = { 'routing.http.preserve_host_header.enabled': 'true' }
  const scene = await transforming(t, [host('^a\\.', 'b.')], { attributes })
  assert.equal((await sent(scene, '/', 'A.example.com:81')).host, 'b.example.com')
  const unmatched = await sent(scene, '/', 'C.example.com:81')
  assert.equal(unmatched.host, 'C.example.com:81')
})

test('both kinds work on one request', async t => {
  const scene = await transforming(t, [url('^/a', '/b'), host('^a', 'b')])
  const { uri, host: hostSent } = await sent(scene, '/a?x')
  assert.deepEqual([uri, hostSent], ['/b?x', 'b.example.com'])
  assert.deepEqual(await logged(scene), ['rewrite,forward', 'b.example.com', '/b?x', 'TransformSuccess'])
})

test('what does not match goes on as it came, an absolute target too', async t => {
  const scene = await transforming(t, [url('^/never$', '/x')])
  assert.equal((await sent(scene, '/%41b?c')).uri, '/%41b?c')
  assert.equal((await sent(scene, 'http://a.example.com')).uri, '/')
  assert.deepEqual(await logged(scene), ['forward', '-', '-', '-'])
})

test('bytes that clients send raw, an empty query and an underscore get through a rewrite', async t => {
  const scene = await transforming(t, [url('^/dp/(.*)$', '/p/$1'), host('^my', 'your')])
  const { uri, host: hostSent } = await sent(scene, '/dp/\xc3\xa9?', 'my_app.example')
  assert.deepEqual([uri, hostSent], ['/p/é?', 'your_app.example'])
})

test('a match that changes nothing is a success that the log shows no value for', async t => {
  const scene = await transforming(t, [url('^/(.*)$', '/$1')])
  assert.equal((await sent(scene, '/same')).uri, '/same')
  assert.deepEqual(await logged(scene), ['rewrite,forward', '-', '-', 'TransformSuccess'])
})

for (const [what, transform, status] of [
  ['a path without its slash', url('^/', 'x'), 'TransformInvalidPath'],
  ['a path with a space', url('^/', '/ '), 'TransformInvalidPath'],
  ['an empty path', url('^.*$', ''), 'TransformInvalidPath'],
  ['a host with a slash', host('^a', 'a/'), 'TransformInvalidHost'],
  ['an empty host', host('.*', ''), 'TransformInvalidHost'],
  ['a path that grows too long', url('^/(.*)$', `/${'$1'.repeat(9)}`), 'TransformBufferTooSmall'],
] as const) {
  test(`a transform that gives ${what} is a 500, and the target hears of nothing`, async t => {
    const scene = await transforming(t, [transform])
    const { status: code, response } = await sent(scene, `/${'y'.repeat(4000)}`)
    assert.equal(code, 500)
    assert.equal(fieldValue(response.headers, 'connection'), 'close')
    assert.equal(fieldValue(response.headers, 'content-length'), '142')
    assert.deepEqual(await logged(scene), ['rewrite', '-', '-', status])
    assert.deepEqual(scene.plane.faults, ['transformFailed'])
    assert.equal(scene.target.connectionCount, 0)
    assert.equal(logFields(await scene.line())[17], '-')
  })
}

test('rules are matched on the request as it came', async t => {
  const scene = await startScene(t, {
    targets: [echo],
    rules: [
      {
        priority: 1,
        conditions: [{ field: 'path-pattern', values: ['/new'] }],
        actions: [{ type: 'fixed-response', fixedResponse: { statusCode: 404 } }],
      },
      {
        priority: 2,
        conditions: [{ field: 'path-pattern', values: ['/old'] }],
        transforms: [url('^/old$', '/new')],
        actions: [forwardToApp],
      },
    ],
  })
  assert.equal((await sent(scene, '/old')).uri, '/new')
})
