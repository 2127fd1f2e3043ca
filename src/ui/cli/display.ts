/**
 * The live state of a running load balancer: redrawn in place on a terminal, elsewhere a plain line whenever something
 * changes, so that a log file stays readable.
 */

import type { Clock, Timer } from '../../base/clock.ts'
import type { Status } from '../../control/status.ts'
import {
  dissentText,
  dnsText,
  failOpenText,
  faultLine,
  type Style,
  statusLines,
  styleFor,
  targetLine,
  zonesToTell,
} from './status-text.ts'

export type DisplayOptions = {
  readonly clock: Clock
  readonly stream: NodeJS.WriteStream
  readonly status: () => Status
}

const redrawMs = 1_000
/** Without a terminal, traffic is summed up this often, and only if there was any. */
const summaryMs = 10_000

export class Display {
  readonly #options: DisplayOptions
  readonly #style: Style
  #timer: Timer | null = null
  #linesDrawn = 0
  #lastAtMs = -1
  #lastExchanges = new Map<string, number>()
  #shownFault = ''
  /** What was said last, by what it was about. */
  #told: ReadonlyMap<string, string> = new Map()
  #sinceSummaryMs = 0
  #summaryExchanges = 0

  constructor(options: DisplayOptions) {
    this.#options = options
    this.#style = styleFor(options.stream)
  }

  start(): void {
    this.#tick()
  }

  /** Leaves the last state on the screen. */
  stop(): void {
    this.#timer?.cancel()
    this.#timer = null
  }

  /** Says something that must not be drawn over. */
  say(text: string): void {
    this.#erase()
    this.#options.stream.write(`${text}\n`)
  }

  #tick(): void {
    this.#timer = this.#options.clock.after(redrawMs, () => this.#tick())
    const status = this.#options.status()
    if (this.#options.stream.isTTY) this.#draw(status)
    else this.#tell(status)
  }

  #draw(status: Status): void {
    const { stream } = this.#options
    const width = stream.columns || 100
    const lines = statusLines(status, this.#style, this.#rates(status)).map(line => cut(line, width))
    this.#erase()
    stream.write(`${lines.join('\n')}\n`)
    this.#linesDrawn = lines.length
  }

  #erase(): void {
    if (this.#linesDrawn > 0) this.#options.stream.write(`\u001b[${this.#linesDrawn}A\u001b[0J`)
    this.#linesDrawn = 0
  }

  #rates(status: Status): Map<string, number> {
    const now = this.#options.clock.now()
    const seconds = (now - this.#lastAtMs) / 1000
    const isFirst = this.#lastAtMs === -1
    const rates = new Map<string, number>()
    for (const { arn, exchanges } of status.loadBalancers) {
      if (!isFirst) rates.set(arn, Math.max(0, (exchanges - (this.#lastExchanges.get(arn) ?? 0)) / seconds))
      this.#lastExchanges.set(arn, exchanges)
    }
    this.#lastAtMs = now
    return rates
  }

  #tell(status: Status): void {
    const { stream } = this.#options
    const told = new Map<string, string>()
    for (const { about, says, line } of topics(status, this.#style)) {
      told.set(about, says)
      if ((this.#told.get(about) ?? '') !== says) stream.write(`${line}\n`)
    }
    this.#told = told // Without those that left.
    this.#tellFaults(status)
    this.#tellTraffic(status)
  }

  #tellFaults(status: Status): void {
    const keys = status.faults.map(fault => `${fault.at} ${fault.traceId} ${fault.request}`)
    for (const fault of status.faults.slice(keys.indexOf(this.#shownFault) + 1)) {
      this.#options.stream.write(`fault ${faultLine(fault, this.#style)}\n`)
    }
    this.#shownFault = keys.at(-1) ?? ''
  }

  #tellTraffic(status: Status): void {
    this.#sinceSummaryMs += redrawMs
    if (this.#sinceSummaryMs < summaryMs) return
    const exchanges = status.loadBalancers.reduce((sum, { exchanges }) => sum + exchanges, 0)
    const rate = (exchanges - this.#summaryExchanges) / (this.#sinceSummaryMs / 1000)
    if (rate > 0) this.#options.stream.write(`${rate.toFixed(1)} requests/s, ${exchanges} requests so far\n`)
    this.#sinceSummaryMs = 0
    this.#summaryExchanges = exchanges
  }
}

/** What is worth a line whenever it says something else; at first it said nothing. */
type Topic = { readonly about: string; readonly says: string; readonly line: string }

function* topics(status: Status, style: Style): Generator<Topic> {
  for (const loadBalancer of status.loadBalancers) {
    for (const zone of zonesToTell(loadBalancer)) {
      const about = `load balancer ${loadBalancer.name}: ${zone.zoneName}`
      const says = dnsText(zone, status)
      yield { about, says, line: `${about} ${says || 'in DNS'}` }
    }
  }
  for (const group of status.targetGroups) {
    const about = `target group ${group.name}:`
    const says = failOpenText(group)
    yield { about, says, line: `${about} ${says || 'no longer fails open'}` }
    for (const target of group.targets) {
      yield {
        about: `${about} ${target.id} ${target.port}`,
        says: `${target.state} ${target.reason}${dissentText(target)}`,
        line: `${about} ${targetLine(target, style)}`,
      }
    }
  }
}

/** Cuts a line to the terminal's width; colours take none. */
function cut(line: string, width: number): string {
  let shown = 0
  let at = 0
  while (at < line.length) {
    if (line[at] === '\u001b') {
      at = line.indexOf('m', at) + 1
      continue
    }
    if (shown === width - 1) return `${line.slice(0, at)}\u001b[0m`
    shown++
    at++
  }
  return line
}
