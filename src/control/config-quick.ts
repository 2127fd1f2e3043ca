/** `openalb up --to HOST:PORT …`: a configuration without a file. */

import { isIP, isIPv6 } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import { type ConfigOptions, type ConfigProblem, type ConfigResult, parseConfig, problemOutsideText } from './config.ts'

export type QuickOptions = ConfigOptions & {
  /** Each `HOST:PORT`. */
  readonly to: readonly string[]
  /** 8080 unless given, with `usesLocalCertificate` 8443. */
  readonly listenPort?: number | undefined
}

/**
 * One load balancer, `openalb`, whose one listener forwards everything to one group, `targets`; by HTTPS if it
 * `usesLocalCertificate`.
 */
export function quickConfig({ to, listenPort, ...options }: QuickOptions): ConfigResult {
  const isSecure = options.usesLocalCertificate === true
  const port = listenPort ?? (isSecure ? 8443 : 8080)
  const problems: ConfigProblem[] = []
  const targets: QuickTarget[] = []
  for (const text of to) {
    const target = parseTarget(text)
    const isTwice = (other: QuickTarget) => typeof target !== 'string' && isDeepStrictEqual(other, target)
    if (typeof target === 'string') problems.push(problemOutsideText(`--to ${text}`, target))
    else if (targets.some(isTwice)) problems.push(problemOutsideText(`--to ${text}`, 'is given twice'))
    else targets.push(target)
  }
  if (to.length === 0) problems.push(problemOutsideText('--to', 'must be given at least once, as HOST:PORT'))
  if (!isPort(port)) problems.push(problemOutsideText('--listen', `must be a port from 1 to 65535, not ${port}`))
  if (problems.length > 0) return { ok: false, problems, files: [] }

  // Through the same door as a file, so that there is one set of rules. JSON is YAML.
  const text = JSON.stringify(quickFile(targets, port, isSecure))
  const result = parseConfig([{ name: '--to', text }], options)
  if (result.ok) return result
  return { ...result, problems: result.problems.map(({ message }) => problemOutsideText('--to', message)) }
}

function quickFile(targets: readonly QuickTarget[], port: number, isSecure: boolean) {
  const defaultActions = [{ type: 'forward', targetGroup: 'targets' }]
  // The policy is the one that the service's console begins with; the API's default has no TLS 1.3.
  const protocol = isSecure
    ? { protocol: 'HTTPS', sslPolicy: 'ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09' }
    : { protocol: 'HTTP' }
  const listeners = [{ ...protocol, port, defaultActions }]
  // Not the service's defaults: whoever tries a server with one command has no health page, and does not want to wait
  // two and a half minutes to see it in service again. Any answer but a server error counts as healthy.
  const healthCheck = {
    path: '/',
    intervalSeconds: 5,
    timeoutSeconds: 2,
    healthyThresholdCount: 2,
    unhealthyThresholdCount: 2,
    matcher: { httpCode: '200-499' },
  }
  return {
    loadBalancers: [{ name: 'openalb', listeners }],
    targetGroups: [{ name: 'targets', protocol: 'HTTP', port: targets[0]?.port, healthCheck, targets }],
  }
}

type QuickTarget = { readonly id: string; readonly port: number }

/** A target, or what is wrong with the text. */
function parseTarget(text: string): QuickTarget | string {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  if (!isPort(port)) {
    return isIPv6(text)
      ? `must be HOST:PORT, with an IPv6 address in brackets: [${text}]:3000`
      : 'must be HOST:PORT with a port from 1 to 65535, such as 127.0.0.1:3000'
  }
  if (bracketed !== undefined) {
    return isIPv6(bracketed) ? { id: bracketed, port } : `must hold an IPv6 address in the brackets, not "${bracketed}"`
  }
  const host = plain === 'localhost' ? '127.0.0.1' : (plain ?? '')
  if (isIP(host) !== 0) return { id: host, port }
  return `must be an address: targets are registered by IP address, and "${host}" is a name`
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65535
}
