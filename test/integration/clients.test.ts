/** Programs that others wrote, on either side of the load balancer. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { forwardTo, forwardToPorts, openClient } from '../support/forwarding.ts'
import { freePort } from '../support/free-port.ts'
import { fieldValue } from '../support/message-reader.ts'
import { needs } from '../support/needs.ts'
import { logFields } from '../support/plane.ts'
import { startServer } from '../support/real-server.ts'
import { testFolder } from '../support/running.ts'
import { startScene } from '../support/scene.ts'
import { secureListener } from '../support/secure-listener.ts'
import { answering, echo } from '../support/target-scripts.ts'

const needsCurl = needs('curl')

/** Runs curl to its end; fails unless it succeeds. */
async function curl(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  const child = spawn('curl', ['--silent', '--show-error', '--max-time', '10', ...args])
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('latin1').on('data', text => {
    stdout += text
  })
  child.stderr.setEncoding('latin1').on('data', text => {
    stderr += text
  })
  const code = await new Promise(resolve => child.once('close', resolve))
  assert.equal(code, 0, stderr)
  return { stdout, stderr }
}

test('curl in HTTP/1.0 and 1.1', { skip: needsCurl }, async t => {
  const { plane, target } = await forwardTo(t, answering(200, 'hello'))
  const url = `http://127.0.0.1:${plane.port}/a?b=c`
  const old = await curl('--http1.0', '--include', url)
  assert.match(old.stdout, /^HTTP\/1\.1 200 Scripted\r\n[\s\S]*Connection: close\r\n\r\nhello$/)
  const current = await curl('--http1.1', '--include', url)
  assert.match(current.stdout, /^HTTP\/1\.1 200 Scripted\r\n[\s\S]*Connection: keep-alive\r\n\r\nhello$/)
  const head = await curl('--head', url)
  assert.match(head.stdout, /Content-Length: 5\r\n[\s\S]*\r\n\r\n$/)
  assert.deepEqual(
    target.requests.map(request => request.head.split('\r\n')[0]),
    ['GET /a?b=c HTTP/1.1', 'GET /a?b=c HTTP/1.1', 'HEAD /a?b=c HTTP/1.1'],
  )
})

for (const [version, args, type] of [
  ['HTTP/2', ['--http2'], 'h2'],
  ['HTTP/1.1', ['--http1.1'], 'https'],
  ['HTTP/1.0', ['--http1.0'], 'https'],
] as const) {
  test(`curl at an HTTPS listener in ${version}`, { skip: needsCurl }, async t => {
    const scene = await startScene(t, { ...secureListener, targets: [answering(200, 'hello')] })
    const authority = join(testFolder(t), 'authority.pem')
    writeFileSync(authority, secureListener.certificates[0].certificate)
    const { port } = scene.plane
    const trusting = ['--cacert', authority, '--resolve', `a.example:${port}:127.0.0.1`]
    const { stdout } = await curl(...args, ...trusting, '--write-out', ' %{http_version}', `https://a.example:${port}/`)
    assert.equal(stdout, `hello ${type === 'h2' ? '2' : '1.1'}`)
    const fields = logFields(await scene.line())
    assert.deepEqual([fields[1], fields[9], fields[19]], [type, '200', 'a.example'])
    assert.equal(fields[13], `GET https://a.example:443/ ${type === 'h2' ? 'HTTP/2.0' : version}`)
  })
}

test('curl that forgets TLS is told so', { skip: needsCurl }, async t => {
  const scene = await startScene(t, { ...secureListener, targets: [answering(200, 'hello')] })
  const { stdout } = await curl('--include', `http://127.0.0.1:${scene.plane.port}/`)
  assert.match(stdout, /^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*The plain HTTP request was sent to HTTPS port/)
  assert.equal(scene.target.connectionCount, 0)
})

test('curl uses one connection for several URLs', { skip: needsCurl }, async t => {
  const { plane } = await forwardTo(t, answering(200, 'ok'))
  const url = `http://127.0.0.1:${plane.port}/`
  const { stdout } = await curl('--write-out', ' %{num_connects}\n', url, url, `${url}empty`, `${url}fixed`)
  assert.equal(
    stdout
      .split('\n')
      .map(line => line.split(' ').at(-1))
      .filter(Boolean)
      .filter(word => /^\d$/.test(word!))
      .join(),
    '1,0,0,0',
  )
  assert.equal(plane.counters.loadBalancer(0, 'NewConnectionCount'), 1)
})

test('curl sends forms and files, and waits for 100 Continue as it should', { skip: needsCurl }, async t => {
  const { plane, target } = await forwardTo(t, answering(201, 'made'))
  const url = `http://127.0.0.1:${plane.port}/`
  const file = join(testFolder(t), 'upload')
  const bytes = Buffer.alloc(3_000_000, 'upload ')
  writeFileSync(file, bytes)
  await curl('--data', 'a=1&b=2', url)
  // Without the 100 it would wait a minute for it, and be cut off by the time limit.
  const withExpect = ['--header', 'Expect: 100-continue', '--expect100-timeout', '60', '--verbose']
  const { stderr } = await curl(...withExpect, '--upload-file', file, url)
  assert.match(stderr, /< HTTP\/1\.1 100 Continue/)
  await curl('--header', 'Transfer-Encoding: chunked', '--upload-file', file, url)
  const [form, sized, chunked] = await target.receivedRequests(3)
  assert.equal(form!.body.toString(), 'a=1&b=2')
  assert.ok(sized!.body.equals(bytes))
  assert.equal(fieldValue(sized!.headers, 'content-length'), String(bytes.length))
  assert.ok(chunked!.body.equals(bytes))
  assert.equal(fieldValue(chunked!.headers, 'transfer-encoding'), 'chunked')
})

test('curl gets to read an answer that came before its upload was through', { skip: needsCurl }, async t => {
  const { plane } = await forwardTo(t, answering())
  const file = join(testFolder(t), 'upload')
  writeFileSync(file, Buffer.alloc(5_000_000))
  const { stdout } = await curl('--header', 'Expect:', '--upload-file', file, `http://127.0.0.1:${plane.port}/empty`)
  assert.match(stdout, /503 Service Temporarily Unavailable/)
})

test('nginx as a target: files, ranges, conditional requests and a connection that is reused', {
  skip: needs('nginx'),
}, async t => {
  const folder = testFolder(t)
  const port = await freePort()
  const file = Buffer.alloc(2_000_000, '0123456789')
  mkdirSync(join(folder, 'www'))
  writeFileSync(join(folder, 'www', 'file'), file)
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
    events {}
    http {
      access_log ${folder}/access.log; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
      fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
      log_format connections '$connection $connection_requests';
      server {
        listen 127.0.0.1:${port}; root ${folder}/www; access_log ${folder}/connections connections;
        location /chunked { add_header X-Seen $http_x_forwarded_for; return 200 "$request_method $http_host"; }
      }
    }`,
  )
  await startServer(t, 'nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')], folder, port)
  const plane = await forwardToPorts(t, [port])
  const client = await openClient(t, plane.port)
  const ask = async (request: string, more = '') => {
    await client.send(`${request} HTTP/1.1\r\nHost: a\r\n${more}\r\n`)
    return client.readResponse(request.split(' ')[0])
  }
  const whole = await ask('GET /file')
  assert.ok(whole.body.equals(file))
  const etag = fieldValue(whole.headers, 'etag')!
  const range = await ask('GET /file', 'Range: bytes=5-9\r\n')
  assert.equal(range.status, 206)
  assert.equal(range.body.toString(), '56789')
  assert.equal((await ask('GET /file', `If-None-Match: ${etag}\r\n`)).status, 304)
  assert.equal(fieldValue((await ask('HEAD /file')).headers, 'content-length'), String(file.length))
  const seen = await ask('GET /chunked')
  assert.equal(fieldValue(seen.headers, 'x-seen'), '127.0.0.1')
  assert.equal((await ask('GET /none')).status, 404)
  const connections = () => readFileSync(join(folder, 'connections'), 'utf8').trimEnd().split('\n')
  const used = new Set(connections().map(line => line.split(' ')[0]))
  assert.equal(used.size, 1, 'all requests on one connection')
  assert.deepEqual(plane.faults, [])
})

test('nginx closes a connection that it kept long enough, and the next request is not lost', {
  skip: needs('nginx'),
}, async t => {
  const folder = testFolder(t)
  const port = await freePort()
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
    events {}
    http {
      access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
      fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
      keepalive_requests 3;
      server { listen 127.0.0.1:${port}; location / { return 200 ok; } }
    }`,
  )
  await startServer(t, 'nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')], folder, port)
  const plane = await forwardToPorts(t, [port])
  const client = await openClient(t, plane.port)
  for (let i = 0; i < 10; i++) {
    await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    assert.equal((await client.readResponse()).body.toString(), 'ok')
  }
  assert.deepEqual(plane.faults, [])
  assert.equal(plane.counters.target(0, 'connectionsOpened'), 4)
})

test('HAProxy in front: requests of many clients over its own connections', { skip: needs('haproxy') }, async t => {
  const { plane, target } = await forwardTo(t, echo)
  const folder = testFolder(t)
  const port = await freePort()
  writeFileSync(
    join(folder, 'haproxy.cfg'),
    `global
  maxconn 100
defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
  option forwardfor
  http-reuse always
frontend in
  bind 127.0.0.1:${port}
  default_backend balancer
backend balancer
  server balancer 127.0.0.1:${plane.port}
`,
  )
  await startServer(t, 'haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')], folder, port)
  const clients = await Promise.all(Array.from({ length: 20 }, () => openClient(t, port)))
  for (let round = 0; round < 5; round++) {
    await Promise.all(
      clients.map(async (client, i) => {
        const body = `${round}-${i}-`.repeat(1_000)
        await client.send(`POST /${round}/${i} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
        const response = await client.readResponse()
        assert.equal(response.status, 200)
        assert.ok(response.body.toString().startsWith(`POST /${round}/${i} HTTP/1.1\r\n`))
      }),
    )
  }
  assert.equal(target.requests.length, 100)
  for (const { head, headers, body } of target.requests) {
    const [, round, i] = head.split(' ')[1]!.split('/')
    assert.equal(body.toString(), `${round}-${i}-`.repeat(1_000))
    assert.equal(fieldValue(headers, 'x-forwarded-for'), '127.0.0.1, 127.0.0.1')
  }
  assert.deepEqual(plane.faults, [])
})
