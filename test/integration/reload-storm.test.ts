/** Configurations change under load: nobody notices, and nobody gets half of one and half of another. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Crew } from '../support/crew.ts'
import { fieldValue } from '../support/message-reader.ts'
import { startTarget } from '../support/misbehaving-target.ts'
import { logFields } from '../support/plane.ts'
import { connectClient, type RawClient } from '../support/raw-client.ts'
import { tellsUri } from '../support/target-scripts.ts'

const changes = 200
const clients = 8

/** Says its number in four places: rule, transform, response header, and who the targets are. */
function configuration(number: number, port: number, targetPorts: readonly number[]): string {
  return JSON.stringify({
    loadBalancers: [
      {
        name: 'web',
        bind: '127.0.0.1',
        listeners: [
          {
            protocol: 'HTTP',
            port,
            attributes: { 'routing.http.response.x_frame_options.header_value': `${number}` },
            defaultActions: [{ type: 'fixed-response', fixedResponse: { statusCode: 404 } }],
            rules: [
              {
                priority: number,
                conditions: [{ field: 'path-pattern', values: ['/storm'] }],
                transforms: [
                  { type: 'url-rewrite', urlRewrite: { rewrites: [{ regex: '^.*$', replace: `/${number}` }] } },
                ],
                actions: [{ type: 'forward', targetGroup: 'app' }],
              },
            ],
          },
        ],
      },
    ],
    targetGroups: [
      {
        name: 'app',
        protocol: 'HTTP',
        port: 80,
        targets: targetPorts.slice(0, 1 + (number % 2)).map(each => ({ id: '127.0.0.1', port: each })),
      },
    ],
  })
}

test(`${changes} changes under load fail no request, and each request meets exactly one of them`, async t => {
  const targets = [await startTarget(tellsUri), await startTarget(tellsUri)]
  for (const target of targets) t.after(() => target.close())
  const ports = targets.map(({ port }) => port)
  const crew = await Crew.start(t, 2, port => configuration(1, port, ports))

  let isOver = false
  const seen = new Set<number>()
  let requests = 0
  const ask = async (client: RawClient): Promise<void> => {
    while (!isOver) {
      await client.send('GET /storm HTTP/1.1\r\nHost: a\r\n\r\n')
      const response = await client.readResponse()
      requests++
      assert.equal(response.status, 200)
      const number = Number(fieldValue(response.headers, 'x-frame-options'))
      assert.equal(response.body.toString(), `/${number}`, 'the transform and the header are of one configuration')
      seen.add(number)
    }
  }
  const asking = Array.from({ length: clients }, async () => ask(await connectClient(crew.port)))
  for (let number = 2; number <= changes; number++) await crew.publish(configuration(number, crew.port, ports))
  isOver = true
  await Promise.all(asking)
  await crew.stop()

  assert.ok(seen.size > changes / 10, `requests met ${seen.size} of ${changes} configurations`)
  const lines = (await readFile(join(crew.logFolder, 'access.log'), 'utf8')).split('\n').slice(0, -1)
  assert.equal(lines.length, requests)
  for (const line of lines) {
    const fields = logFields(line)
    assert.deepEqual([fields[9], fields[10], fields[32]], ['200', '200', `/${fields[21]}`], line)
  }
})
