/**
 * A process of its own that opens many keep-alive connections, sends one request on each and then holds them
 * idle. Started by idle-connections.ts as `clients.ts PORT COUNT PATH`; speaks to it by messages.
 */
import { connect, type Socket } from 'node:net'

/** Sent once, when every connection has had its answer or has failed. */
export type Settled = { readonly open: number; readonly failed: number; readonly firstFailure: string }

/** As many at a time as the load cases use, so that no proxy opens more connections to its target than there. */
const openingMax = 64
/** Below the number of ports a source address has, far below what a proxy may hold against one client. */
const perSourceAddress = 500
/** Longer than any answer on loopback takes; a silent proxy is a failure, not a wait without end. */
const answerPatienceMs = 10_000

const [port = 0, count = 0] = process.argv.slice(2, 4).map(Number)
const requestBytes = Buffer.from(
  `GET ${process.argv[4]} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUser-Agent: bench\r\n\r\n`,
)

let started = 0
let open = 0
let failed = 0
let firstFailure = ''

for (let i = 0; i < openingMax; i++) openNext()
// How many are still open, for whoever asks.
process.on('message', () => process.send?.(open))
process.on('disconnect', () => process.exit())

function openNext(): void {
  if (started === count) return
  const source = 2 + Math.floor(started / perSourceAddress)
  started++
  const socket = connect({ port, host: '127.0.0.1', localAddress: `127.0.1.${source}` })
  socket.setTimeout(answerPatienceMs, () => socket.destroy(new Error('no answer within 10 s')))
  socket.once('connect', () => socket.write(requestBytes))
  // An error is followed by close, where it is counted.
  socket.once('error', error => {
    firstFailure ||= error.message
  })
  awaitAnswer(socket)
}

function awaitAnswer(socket: Socket): void {
  let received = ''
  let answered = false
  socket.on('data', bytes => {
    received += bytes.toString('latin1')
    if (answered || !isWhole(received)) return
    if (!received.startsWith('HTTP/1.1 200 ')) return void socket.destroy(new Error(received.split('\r\n', 1)[0]))
    answered = true
    received = ''
    open++
    socket.setTimeout(0)
    settle()
  })
  socket.once('close', () => {
    if (answered) {
      open--
      return
    }
    failed++
    firstFailure ||= 'connection closed before the answer'
    settle()
  })
}

function isWhole(answer: string): boolean {
  const headEnd = answer.indexOf('\r\n\r\n')
  if (headEnd < 0) return false
  const length = /\r\ncontent-length: *(\d+)/i.exec(answer)
  return length !== null && answer.length >= headEnd + 4 + Number(length[1])
}

function settle(): void {
  if (open + failed === count) process.send?.({ open, failed, firstFailure } satisfies Settled)
  else openNext()
}
