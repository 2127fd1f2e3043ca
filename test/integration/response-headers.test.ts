/**
 * What listener attributes set, replace or take away of response headers.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/header-modification.html
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fieldValue } from '../support/message-reader.ts'
import type { RawResponse } from '../support/raw-client.ts'
import { startScene } from '../support/scene.ts'
import { answering, closesBeforeAnswer } from '../support/target-scripts.ts'

const key = (header: string) => `routing.http.response.${header}.header_value`
const get = (path = '/') => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
const security = 'max-age=31536000; includeSubDomains'
const attributes = { [key('strict_transport_security')]: security, [key('x_frame_options')]: 'DENY' }
const rule = (path: string, action: unknown) => ({
  priority: path.length,
  conditions: [{ field: 'path-pattern', values: [path] }],
  actions: [action],
})
const fixed = rule('/fixed', { type: 'fixed-response', fixedResponse: { statusCode: 200, messageBody: 'x' } })
const redirect = rule('/redirect', { type: 'redirect', redirect: { path: '/x', statusCode: 'HTTP_301' } })

const all = ({ headers }: RawResponse, name: string) =>
  headers.filter(line => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))

test('a header is set where the target has none, and takes the place of all that it has', async t => {
  const said = ['X-FRAME-OPTIONS: SAMEORIGIN', 'X-Other: 1', 'x-frame-options: ALLOWALL']
  const scene = await startScene(t, { targets: [answering(200, 'x', said)], listenerAttributes: attributes })
  const response = await scene.ask(get())
  assert.deepEqual(all(response, 'x-frame-options'), ['X-Frame-Options: DENY'])
  assert.deepEqual(all(response, 'strict-transport-security'), [`Strict-Transport-Security: ${security}`])
  assert.deepEqual(all(response, 'x-other'), ['X-Other: 1'])
  assert.equal(response.body.toString(), 'x')
})

test('it stands on responses of every status', async t => {
  const scene = await startScene(t, { targets: [answering(503)], listenerAttributes: attributes })
  assert.equal(all(await scene.ask(get()), 'x-frame-options').length, 1)
})

test('it stands on the answers of the load balancer itself', async t => {
  const scene = await startScene(t, {
    targets: [closesBeforeAnswer],
    listenerAttributes: attributes,
    rules: [fixed, redirect],
  })
  for (const [path, status] of [
    ['/', 502],
    ['/fixed', 200],
    ['/redirect', 301],
  ] as const) {
    const response = await scene.ask(get(path))
    assert.equal(response.status, status)
    assert.deepEqual(all(response, 'x-frame-options'), ['X-Frame-Options: DENY'])
  }
  const broken = await scene.ask('nonsense\r\n\r\n')
  assert.deepEqual(all(broken, 'x-frame-options'), ['X-Frame-Options: DENY'])
})

test('an empty value sets nothing', async t => {
  const listenerAttributes = { [key('x_frame_options')]: '' }
  const scene = await startScene(t, { targets: [answering(200, '', ['X-Frame-Options: own'])], listenerAttributes })
  assert.deepEqual(all(await scene.ask(get()), 'x-frame-options'), ['X-Frame-Options: own'])
})

test('server.enabled takes the name of the load balancer off its own answers, and leaves the target its own', async t => {
  const listenerAttributes = { 'routing.http.response.server.enabled': 'false' }
  const scene = await startScene(t, {
    targets: [answering(200, '', ['Server: own'])],
    listenerAttributes,
    rules: [fixed, redirect],
  })
  assert.equal(fieldValue((await scene.ask(get())).headers, 'server'), 'own')
  for (const request of [get('/fixed'), get('/redirect'), 'nonsense\r\n\r\n']) {
    assert.equal(fieldValue((await scene.ask(request)).headers, 'server'), null)
  }
})
