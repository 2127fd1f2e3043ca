/** Which program brings the load of a case, and whether it can. */
import { connect } from 'node:tls'
import { type Children, isInstalled } from './children.ts'
import { runH2load } from './h2load.ts'
import { startHandshaker } from './handshakes.ts'
import type { RunningPeer } from './peers.ts'
import type { LoadCase } from './targets.ts'
import { runWrk, type WrkFigures } from './wrk.ts'

export type Driver = {
  readonly run: (seconds: number) => Promise<WrkFigures>
  readonly stop: () => Promise<void>
}

const nothing = () => Promise.resolve()

export async function startDriver(
  children: Children,
  folder: string,
  { port, tlsPort }: RunningPeer,
  loadCase: LoadCase,
): Promise<Driver> {
  switch (loadCase.via) {
    case 'http':
      return { run: seconds => runWrk(children, folder, `http://127.0.0.1:${port}`, loadCase, seconds), stop: nothing }
    case 'https':
      return {
        run: seconds => runWrk(children, folder, `https://127.0.0.1:${tlsPort}`, loadCase, seconds),
        stop: nothing,
      }
    case 'http2':
      return { run: seconds => runH2load(children, folder, tlsPort, loadCase, seconds), stop: nothing }
    default: {
      const handshaker = await startHandshaker(children, folder, tlsPort, loadCase.via === 'resumed handshakes')
      return {
        run: seconds => runWrk(children, folder, `http://127.0.0.1:${handshaker.port}`, loadCase, seconds),
        stop: () => children.stop(handshaker.child),
      }
    }
  }
}

/** @returns why the case says nothing about this peer, or null */
export async function whySkipped({ tlsPort }: RunningPeer, { via }: LoadCase): Promise<string | null> {
  if (via !== 'http2') return null
  if (!isInstalled('h2load')) return 'h2load is not installed (apt install nghttp2-client)'
  return (await chosenProtocol(tlsPort)) === 'h2' ? null : 'its listener does not offer h2 by ALPN'
}

function chosenProtocol(port: number): Promise<string | false | null> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, ALPNProtocols: ['h2', 'http/1.1'], rejectUnauthorized: false }
    const socket = connect(options, () => {
      resolve(socket.alpnProtocol)
      socket.destroy()
    })
    socket.once('error', reject)
  })
}
