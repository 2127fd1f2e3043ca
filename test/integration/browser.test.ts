/** A browser in front of the whole program: what a page does all day, over HTTP/2 with TLS and over HTTP/1.1 without. */

import assert from 'node:assert/strict'
import { createHash, createPublicKey } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { EntryType } from 'node:perf_hooks'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { chromium, type Page } from 'playwright-core'
import { WebSocketServer } from 'ws'
import { findCommand } from '../../scripts/debian-packages.ts'
import { alone, makeCertificate, publicKeyOf } from '../support/certificates.ts'
import { freePort } from '../support/free-port.ts'
import { needs } from '../support/needs.ts'
import { logFields } from '../support/plane.ts'
import { type RunningProcess, startOpenAlb, testFolder } from '../support/running.ts'
import { closing } from '../support/websocket.ts'

const authority = makeCertificate({ names: ['authority.example'], keyType: 'p256', isAuthority: true })
const own = makeCertificate({ names: ['localhost'], keyType: 'p256', issuer: authority })

type Transport = {
  readonly name: string
  readonly scheme: 'https' | 'http'
  /** As browsers call what a resource came by. */
  readonly protocol: 'h2' | 'http/1.1'
  /** As the access log does, for requests and for WebSockets. */
  readonly types: readonly [request: string, webSocket: string]
  readonly listener: object
}

const transports: readonly Transport[] = [
  {
    name: 'HTTPS and HTTP/2',
    scheme: 'https',
    protocol: 'h2',
    types: ['h2', 'wss'],
    listener: {
      protocol: 'HTTPS',
      certificates: [{ certificate: alone(own), privateKey: own.privateKey, certificateChain: authority.certificate }],
    },
  },
  {
    name: 'plain HTTP/1.1',
    scheme: 'http',
    protocol: 'http/1.1',
    types: ['http', 'ws'],
    listener: { protocol: 'HTTP' },
  },
]

const redirect = { host: '#{host}', path: '/item/7', statusCode: 'HTTP_302' }
const fixedResponse = { statusCode: 418, contentType: 'text/html', messageBody: '<h1>no coffee</h1>' }
const forTarget = (path: string, action: object) => ({
  conditions: [{ field: 'path-pattern', values: [path] }],
  actions: [action],
})

function configOf({ listener }: Transport, port: number, targetPort: number): string {
  const rules = [
    forTarget('/moved', { type: 'redirect', redirect }),
    forTarget('/tea', { type: 'fixed-response', fixedResponse }),
    forTarget('/empty', { type: 'forward', targetGroup: 'empty' }),
  ]
  const defaultActions = [{ type: 'forward', targetGroup: 'app' }]
  const listeners = [
    { ...listener, port, defaultActions, rules: rules.map((rule, at) => ({ ...rule, priority: at + 1 })) },
  ]
  const targets = [{ id: '127.0.0.1', port: targetPort }]
  return JSON.stringify({
    loadBalancers: [{ name: 'web', listeners }],
    targetGroups: [
      { name: 'app', protocol: 'HTTP', port: 80, targets },
      { name: 'empty', protocol: 'HTTP', port: 80, targets: [] },
    ],
  })
}

/** Without an icon of its own, the browser would ask for one whenever it likes. */
const document = '<!doctype html><link rel="icon" href="data:,"><title>page</title>'

type Site = { readonly port: number; readonly sockets: WebSocketServer }

/** A page, what it asks for, and WebSockets that send everything back. */
async function startSite(t: TestContext): Promise<Site> {
  let events: ServerResponse | null = null
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const { url = '' } = request
    const body = await buffer(request)
    if (url === '/') response.setHeader('Content-Type', 'text/html').end(document)
    else if (url === '/events') {
      events = response.setHeader('Content-Type', 'text/event-stream')
      events.write('data: one\n\n')
    } else if (url === '/next') {
      events?.end('data: two\n\n')
      response.writeHead(204).end()
    } else response.end(body.length > 0 ? body : url)
  }
  const server = createServer(answer)
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', socket => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets.clients) socket.terminate()
    server.close()
    server.closeAllConnections()
  })
  return { port: (server.address() as AddressInfo).port, sockets }
}

/** A page of a browser that trusts the authority, and nothing else beyond what it came with. */
async function openPage(t: TestContext): Promise<Page> {
  const key = createPublicKey(publicKeyOf(authority)).export({ format: 'der', type: 'spki' })
  const browser = await chromium.launch({
    executablePath: findCommand('chromium')!,
    // Root has no sandbox, and the certificates of this machine's users are not ours to change.
    args: [
      '--no-sandbox',
      `--ignore-certificate-errors-spki-list=${createHash('sha256').update(key).digest('base64')}`,
    ],
  })
  t.after(() => browser.close())
  return browser.newPage()
}

async function stoppedLog(openalb: RunningProcess): Promise<string[][]> {
  openalb.kill('SIGTERM')
  await openalb.exited()
  return openalb.read('data/logs/access.log').trimEnd().split('\n').map(logFields)
}

for (const transport of transports) {
  test(`Chromium over ${transport.name}`, { skip: needs('chromium') }, async t => {
    const [site, port, folder] = [await startSite(t), await freePort(), testFolder(t)]
    writeFileSync(join(folder, 'openalb.yaml'), configOf(transport, port, site.port))
    const openalb = await startOpenAlb(t, ['openalb.yaml', '--data', 'data'], folder)
    const page = await openPage(t)
    const origin = `${transport.scheme}://localhost:${port}`

    await page.goto(`${origin}/`)
    assert.equal(await page.title(), 'page')
    const items = Array.from({ length: 20 }, (_, i) => `/item/${i}`)
    assert.deepEqual(await page.evaluate(fetchAll, items), items)
    const protocols = await page.evaluate(protocolsUsed)
    assert.deepEqual(protocols, Array(1 + items.length).fill(transport.protocol))
    assert.equal(await page.evaluate(postMegabyte), true, 'all of it comes back')
    assert.deepEqual(await page.evaluate(followRedirect), { text: '/item/7', url: `${origin}/item/7` })
    assert.deepEqual(await page.evaluate(readEvents), ['data: one\n\n', 'data: two\n\n', null])
    await talkByWebSocket(page, site, `${origin.replace('http', 'ws')}/socket`)

    const [tea, empty] = [await page.goto(`${origin}/tea`), await page.goto(`${origin}/empty`)]
    assert.equal(tea!.status(), 418)
    assert.equal(empty!.status(), 503)
    assert.equal(await page.title(), '503 Service Temporarily Unavailable')

    await page.context().browser()!.close()
    const lines = await stoppedLog(openalb)
    const [request, webSocket] = transport.types
    const uris = (type: string) => lines.filter(fields => fields[1] === type).map(fields => fields[13]!.split(' ')[1])
    const asked = ['/', ...items, '/echo', '/moved', '/item/7', '/events', '/next', '/tea', '/empty']
    const expected = asked.map(path => `${origin}${path}`).sort()
    assert.deepEqual(
      uris(request)
        .filter(uri => uri !== `${origin}/favicon.ico`)
        .sort(),
      expected,
    )
    const [tunnel, ...others] = lines.filter(fields => fields[1] === webSocket)
    assert.deepEqual(others, [])
    assert.deepEqual([tunnel![9], tunnel![10]], ['101', '101'])
    for (const bytes of [tunnel![11], tunnel![12]]) assert.ok(Number(bytes) > 2 ** 20, `${bytes} bytes`)
  })
}

// --- What the page does; these functions run in the browser ---

async function fetchAll(paths: readonly string[]): Promise<string[]> {
  return Promise.all(paths.map(async path => (await fetch(path)).text()))
}

/** What the page itself and all that it asked for came by. */
function protocolsUsed(): string[] {
  const kinds = ['navigation', 'resource'] as EntryType[] // As browsers have them; Node knows others.
  const entries = kinds.flatMap(kind => performance.getEntriesByType(kind) as unknown as { nextHopProtocol: string }[])
  return entries.map(({ nextHopProtocol }) => nextHopProtocol)
}

async function postMegabyte(): Promise<boolean> {
  const body = Uint8Array.from({ length: 2 ** 20 }, (_, i) => i % 251)
  const back = await (await fetch('/echo', { method: 'POST', body })).bytes()
  return back.length === body.length && back.every((byte, i) => byte === body[i])
}

async function followRedirect(): Promise<{ text: string; url: string }> {
  const response = await fetch('/moved')
  return { text: await response.text(), url: response.url }
}

/** The second event is sent only when the first one was read. */
async function readEvents(): Promise<(string | null)[]> {
  const reader = (await fetch('/events')).body!.getReader()
  const read = async () => {
    const { value } = await reader.read()
    return value === undefined ? null : new TextDecoder().decode(value)
  }
  const first = await read()
  await fetch('/next', { method: 'POST' })
  return [first, await read(), await read()]
}

type Spoken = { readonly text: string; readonly isSame: boolean; readonly closing: readonly [number, string, boolean] }

/** Text and a megabyte of bytes there and back, and a close. */
async function speak(url: string): Promise<Spoken> {
  const socket = new WebSocket(url)
  socket.binaryType = 'arraybuffer'
  const next = (event: 'open' | 'message' | 'close') =>
    new Promise<MessageEvent & CloseEvent>(resolve => {
      socket.addEventListener(event, e => resolve(e as MessageEvent & CloseEvent), { once: true })
    })
  await next('open')
  socket.send('grüße')
  const text: string = (await next('message')).data
  const bytes = Uint8Array.from({ length: 2 ** 20 }, (_, i) => i % 251)
  socket.send(bytes)
  const back = new Uint8Array((await next('message')).data)
  const isSame = back.length === bytes.length && back.every((byte, i) => byte === bytes[i])
  socket.close(4001, 'enough')
  const { code, reason, wasClean } = await next('close')
  return { text, isSame, closing: [code, reason, wasClean] }
}

async function talkByWebSocket(page: Page, { sockets }: Site, url: string): Promise<void> {
  const heard = once(sockets, 'connection').then(([peer]) => closing(peer))
  const spoken = await page.evaluate(speak, url)
  assert.deepEqual(await heard, { code: 4001, reason: 'enough' })
  assert.deepEqual(spoken, { text: 'grüße', isSame: true, closing: [4001, 'enough', true] })
}
