/** What `openalb up` says when it is ready: what is served and where, and a first line to try. */

import { type Config, formatProblem } from '../../control/config.ts'
import type { LocalCertificate } from '../../control/local-certificate.ts'
import { boundPorts } from '../../control/ports.ts'
import { listenerAddresses } from '../../control/status.ts'
import { formatAddress, type Listener, type LoadBalancer, nodeIpOf, type Resources } from '../../model/resources.ts'
import { sslPolicyLimits } from '../../net/accept-tls.ts'
import { sharesPorts } from '../../proxy/workers.ts'
import { isLocal, localUrl } from './local-certificate-text.ts'

export type Announced = {
  /** As published: with `--https`, HTTPS listeners have the local certificate. */
  readonly resources: Resources
  readonly config: Pick<Config, 'warnings' | 'lab'>
  readonly local: LocalCertificate | null
  readonly certificateLines: readonly string[]
  readonly statusPort: number
  readonly dnsPort: number | null
  readonly logFolder: string
}

export function announcementLines(announced: Announced): string[] {
  const { resources, config, local, certificateLines, statusPort, dnsPort, logFolder } = announced
  const { warnings, lab } = config
  const lines: string[] = []
  for (const loadBalancer of resources.loadBalancers) {
    for (const listener of loadBalancer.listeners) {
      const at = listenerAddresses(loadBalancer, listener).join(', ')
      const own = listener.bindPort === listener.port ? '' : ` (port ${listener.port} to headers and logs)`
      const asked = isShared(loadBalancer, listener, resources) ? `, asked for as ${loadBalancer.dnsName}` : ''
      lines.push(`load balancer ${loadBalancer.name}: ${listener.protocol} on ${at}${own}${asked}`)
    }
  }
  lines.push(...certificateLines)
  lines.push(`status and API: http://127.0.0.1:${statusPort}/_openalb/status`)
  if (dnsPort !== null) lines.push(`DNS: 127.0.0.1 port ${dnsPort}${digCommand(dnsPort, resources)}`)
  lines.push(`access log: ${logFolder}/access.log`)
  if (!sharesPorts) lines.push('one worker: this platform cannot share a port between threads')
  if (lab.healthCheckIntervalSecondsMin !== null) {
    lines.push(
      `lab: health check intervals down to ${lab.healthCheckIntervalSecondsMin} s are allowed, shorter than the service's 5 s`,
    )
  }
  if (lab.timeScale !== 1) {
    lines.push(
      `lab: time passes ${lab.timeScale} times as fast: timeouts, intervals and delays are that much shorter, and logs run ahead`,
    )
  }
  for (const warning of warnings) lines.push(`warning: ${formatProblem(warning)}`)
  const [first] = resources.loadBalancers
  const [listener] = first?.listeners ?? []
  for (const limit of tlsLimits(resources)) lines.push(`note: ${limit}`)
  if (first !== undefined && listener !== undefined) {
    lines.push(`Ready. Try: ${curlCommand(first, listener, local)}`)
  }
  return lines
}

/** Whether another load balancer that comes first listens on the same address and port, and answers to all other names. */
function isShared(loadBalancer: LoadBalancer, { bindPort }: Listener, { loadBalancers }: Resources): boolean {
  const before = loadBalancers.slice(0, loadBalancers.indexOf(loadBalancer))
  const others = boundPorts({ loadBalancers: before, targetGroups: [] })
  return loadBalancer.availabilityZones.some(({ addresses }) =>
    others.some(({ ip, port }) => port === bindPort && addresses.includes(ip)),
  )
}

function digCommand(port: number, { loadBalancers: [first] }: Resources): string {
  return first === undefined ? '' : `. Try: dig @127.0.0.1 -p ${port} ${first.dnsName}`
}

/** What people should know who read that a listener is HTTPS. */
function tlsLimits({ loadBalancers }: Resources): string[] {
  return loadBalancers.flatMap(({ name, listeners }) =>
    listeners.flatMap(({ port, tls }) => {
      if (tls === null) return []
      return sslPolicyLimits(tls.sslPolicy).map(
        limit => `load balancer ${name}, port ${port}, ${tls.sslPolicy}: ${limit}`,
      )
    }),
  )
}

function curlCommand({ availabilityZones }: LoadBalancer, listener: Listener, local: LocalCertificate | null): string {
  const ip = nodeIpOf(availabilityZones[0]!.addresses[0]!)
  const at = formatAddress(ip, listener.bindPort)
  if (listener.protocol === 'HTTP') return `curl -v http://${at}/`
  const url = ip === '127.0.0.1' ? localUrl(listener) : `https://${at}/`
  const request = `${clientOptions(listener)}${url}`
  return local !== null && isLocal(listener, local)
    ? `curl -v --cacert ${local.authorityFile} ${request}`
    : `curl -vk ${request}`
}

/** What curl needs besides where clients have to show a certificate. */
function clientOptions({ tls }: Listener): string {
  return tls?.mutualAuthentication.mode === 'verify' ? '--cert client.pem --key client-key.pem ' : ''
}
