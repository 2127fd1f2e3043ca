/** Run with a low limit of open files, by `faults-balancer.test.ts`. */

import { closeSync, openSync } from 'node:fs'
import { FaultTests } from './fault-tests.ts'
import { errorPage } from './pages.ts'
import { answering } from './target-scripts.ts'

new FaultTests().provokes(
  'connectFailed',
  'without a descriptor for its connection, a request is a 502 that is not held against the target',
  { targets: [answering()] },
  async scene => {
    const client = await scene.client()
    const taken = takeAllDescriptors()
    await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await scene.recorded(1)
    for (const descriptor of taken) closeSync(descriptor)
    return {
      client,
      answer: errorPage('502 Bad Gateway'),
      connection: 'keep-alive',
      line: { target: scene.targetAddress, times: '-1 -1 -1', statuses: '502 -', bytes: '27 277' },
      counters: { RequestCount: 1, HTTPCode_ELB_5XX_Count: 1, HTTPCode_ELB_502_Count: 1 },
      targetCounters: { connectionsOpened: 1, TargetConnectionErrorCount: 1 },
    }
  },
)

function takeAllDescriptors(): readonly number[] {
  const taken: number[] = []
  for (;;) {
    try {
      taken.push(openSync('/dev/null', 'r'))
    } catch {
      return taken
    }
  }
}
