/** Targets and clients of others that speak HTTP/2, under load. What they say is theirs; that nothing is lost is ours. */

import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { findCommand } from '../../scripts/debian-packages.ts'
import { makeCertificate } from '../support/certificates.ts'
import { freePort } from '../support/free-port.ts'
import { askH2, connectH2 } from '../support/h2-client.ts'
import { overHttp2, startH2Scene } from '../support/h2-scene.ts'
import { answeringH2 } from '../support/h2-target.ts'
import { needs } from '../support/needs.ts'
import { startServer } from '../support/real-server.ts'
import { RunningProcess, testFolder } from '../support/running.ts'
import { type Scene, startScene } from '../support/scene.ts'

const megabytes = Buffer.alloc(3 * 2 ** 20, 'a file of nginx. ')
/** Then nginx goes away, which has it do so often. */
const requestsPerConnection = 50

/** @returns its port */
async function startNginx(t: TestContext, isSecure: boolean): Promise<number> {
  const folder = testFolder(t)
  const port = await freePort()
  const { certificate, privateKey } = makeCertificate({ names: ['nginx.example'], keyType: 'p256' })
  mkdirSync(join(folder, 'www'))
  writeFileSync(join(folder, 'www', 'file'), megabytes)
  writeFileSync(join(folder, 'cert.pem'), certificate)
  writeFileSync(join(folder, 'key.pem'), privateKey)
  const tls = `ssl_certificate ${folder}/cert.pem; ssl_certificate_key ${folder}/key.pem;`
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
    events {}
    http {
      access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
      fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
      keepalive_requests ${requestsPerConnection}; http2_max_concurrent_streams 16;
      server {
        listen 127.0.0.1:${port} ${isSecure ? 'ssl ' : ''}http2; root ${folder}/www; ${isSecure ? tls : ''}
        location /said { return 200 "$request_method $http_host $scheme $server_protocol"; }
      }
    }`,
  )
  await startServer(t, 'nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')], folder, port)
  return port
}

for (const isSecure of [false, true]) {
  const scheme = isSecure ? 'https' : 'http'

  test(`nginx is a target over ${scheme}, which goes away every ${requestsPerConnection} requests`, {
    skip: needs('nginx'),
  }, async t => {
    const addresses = [{ id: '127.0.0.1', port: await startNginx(t, isSecure) }]
    const groupProtocol = isSecure ? 'HTTPS' : 'HTTP'
    const scene = await startScene(t, { ...overHttp2, groupProtocol, addresses })
    const client = await connectH2(t, scene.plane.port)
    for (let round = 0; round < 10; round++) {
      const asked = Array.from({ length: 40 }, (_, i) => askH2(client, { ':path': i === 0 ? '/file' : '/said' }))
      const [file, ...others] = await Promise.all(asked)
      assert.ok(file!.body.equals(megabytes))
      for (const { body } of others) assert.equal(body.toString(), `GET a ${scheme} HTTP/2.0`)
    }
    assert.equal((await askH2(client, { ':path': '/none' })).status, 404)
    assert.deepEqual(scene.plane.faults, [])
    assert.ok(scene.plane.counters.target(0, 'connectionsOpened') >= 400 / requestsPerConnection)
  })
}

/** Every request of h2load must come through. */
async function load(t: TestContext, scene: Scene, path: string): Promise<void> {
  const url = `https://127.0.0.1:${scene.plane.port}${path}`
  const args = ['-n', '3000', '-c', '6', '-m', '20', url]
  const h2load = new RunningProcess(t, args, testFolder(t), [findCommand('h2load')!])
  await h2load.exited(25_000)
  assert.match(
    h2load.text,
    /requests: 3000 total, 3000 started, 3000 done, 3000 succeeded, 0 failed, 0 errored, 0 timeout/,
  )
  assert.match(h2load.text, /status codes: 3000 2xx, 0 3xx, 0 4xx, 0 5xx/)
  assert.equal(scene.plane.states.requestsInFlight(0), 0)
}

test('h2load loses nothing in front of nginx', { skip: needs('h2load') || needs('nginx') }, async t => {
  const addresses = [{ id: '127.0.0.1', port: await startNginx(t, false) }]
  await load(t, await startScene(t, { ...overHttp2, addresses }), '/said')
})

test('h2load loses nothing in front of Node in TLS', { skip: needs('h2load') }, async t => {
  const { scene } = await startH2Scene(t, answeringH2('x'.repeat(20_000)), { target: { isSecure: true } })
  await load(t, scene, '/')
})
