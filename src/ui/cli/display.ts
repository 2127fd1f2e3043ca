/**
 * The live state of a running load balancer: redrawn in place on a terminal, elsewhere a plain line whenever something
 * changes, so that a log file stays readable.
 */

import type { Clock, Timer } from '../../base/clock.ts'
import type { Status } from '../../control/status.ts'
import { dissentText, faultLine, type Style, statusLines, styleFor, targetLine } from './status-text.ts'

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
  #shownStates: ReadonlyMap<string, string> = new Map()
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
    const shownStates = new Map<string, string>()
    for (const group of status.targetGroups) {
      for (const target of group.targets) {
        const key = `${group.name} ${target.id} ${target.port}`
        const shown = `${target.state} ${target.reason}${dissentText(target)}`
        shownStates.set(key, shown)
        if (this.#shownStates.get(key) === shown) continue
        stream.write(`target group ${group.name}: ${targetLine(target, this.#style)}\n`)
      }
    }
    this.#shownStates = shownStates // Without those that left.
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
