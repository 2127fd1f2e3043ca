/**
 * The proxies compared, each configured for the same work: one worker, keep-alive on both sides, Host passed,
 * X-Forwarded-For, -Proto, -Port and a trace id added, an access-log line with what an ALB's line holds. Where a
 * default would handicap a peer (temporary files, 4 KB buffers, short connection pools), a better setting is used.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { MadeCertificate } from '../../test/support/certificates.ts'
import { type Child, type Children, Core, freePort, isInstalled, waitForPort } from './children.ts'
import { nginxCommand, nginxPreamble } from './targets.ts'

export const peerNames = ['nginx', 'haproxy', 'caddy', 'openalb', 'base'] as const
export type PeerName = (typeof peerNames)[number]

export const titles: Readonly<Record<PeerName, string>> = {
  nginx: 'nginx',
  haproxy: 'HAProxy',
  caddy: 'Caddy',
  openalb: 'OpenALB',
  base: 'base',
}

/** A proxy that is up and answers on `port`. */
export type RunningPeer = {
  readonly name: PeerName
  readonly child: Child
  readonly port: number
  /** By HTTPS, over HTTP/2 as well where it can. */
  readonly tlsPort: number
  /** Its access log; null where the lines leave by socket. */
  readonly logFile: string | null
  /** Whether the file is ours to cut short between measurements. */
  readonly isLogDisposable: boolean
  readonly companions: readonly Child[]
}

export type PeerPlan = {
  readonly children: Children
  /** Empty, and this peer's alone. */
  readonly folder: string
  readonly targetPort: number
  /** Of all peers. TLS 1.3 and AES-128-GCM are what they are told to prefer, and the curve X25519. */
  readonly certificate: MadeCertificate
  readonly openalbCommand: string | null
  readonly baseCommand: string | null
  /** Of OpenALB's listener, each as YAML; most cases have none. */
  readonly rules: readonly string[]
  /** Where OpenALB writes CPU profiles; null: no profiling. */
  readonly profileFolder: string | null
}

const repository = resolve(import.meta.dirname, '../..')
const openalbDefaultCommand =
  `${repository}/node_modules/.bin/node ${repository}/src/main.ts ` +
  'up {config} --workers 1 --api-port {apiPort} --data {data}'

const targetGroupArn = 'arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/app/73e2d6bc24d8a067'
const loadBalancer = 'app/bench/50dc6c495c0c9188'
const connectionTraceId = 'TID_dd57dda8f6e2f3ab3f3c5ae4e4f0c3ab'

/** @returns its version for the report, null when it is not installed */
export function peerVersion(name: PeerName): string | null {
  if (name === 'openalb' || name === 'base') return `Node ${process.version}`
  if (!isInstalled(name)) return null
  const argument = name === 'caddy' ? 'version' : '-v'
  const said = execFileSync('sh', ['-c', '"$0" "$1" 2>&1', name, argument], { encoding: 'utf8' })
  return /\d+\.\d+\.\d+/.exec(said)?.[0] ?? said.trim()
}

export async function startPeer(name: PeerName, plan: PeerPlan): Promise<RunningPeer> {
  mkdirSync(plan.folder, { recursive: true })
  const { certificate, privateKey } = plan.certificate
  writeFileSync(join(plan.folder, 'certificate.pem'), certificate)
  writeFileSync(join(plan.folder, 'key.pem'), privateKey)
  const ports = { plain: await freePort(), tls: await freePort() }
  const peer = { ...(await starters[name](plan, ports)), port: ports.plain, tlsPort: ports.tls }
  for (const port of [ports.plain, ports.tls]) await waitForPort(peer.child, port)
  return peer
}

type Ports = { readonly plain: number; readonly tls: number }
type Started = Omit<RunningPeer, 'port' | 'tlsPort'>
type Starter = (plan: PeerPlan, ports: Ports) => Promise<Started>

const starters: Readonly<Record<PeerName, Starter>> = {
  nginx: startNginx,
  haproxy: startHaproxy,
  caddy: startCaddy,
  openalb: (plan, ports) => startOpenalb('openalb', plan.openalbCommand ?? openalbDefaultCommand, plan, ports),
  base: (plan, ports) => startOpenalb('base', plan.baseCommand ?? openalbDefaultCommand, plan, ports),
}

async function startNginx(plan: PeerPlan, ports: Ports): Promise<Started> {
  writeFileSync(join(plan.folder, 'nginx.conf'), nginxConfig(ports, plan.targetPort))
  const child = launch(plan, nginxCommand(plan.folder))
  const logFile = join(plan.folder, 'access.log')
  return { name: 'nginx', child, logFile, isLogDisposable: true, companions: [] }
}

/** Bodies are streamed, as an ALB does: no temporary files, and a request is sent on while it arrives. */
function nginxConfig(ports: Ports, targetPort: number): string {
  return `${nginxPreamble()}
  log_format alb '$scheme $time_iso8601 ${loadBalancer} $remote_addr:$remote_port $upstream_addr '
    '$upstream_connect_time $upstream_response_time $request_time $status $upstream_status $request_length $bytes_sent '
    '"$request_method $scheme://$http_host$request_uri $server_protocol" "$http_user_agent" - - ${targetGroupArn} '
    '"Root=1-$request_id" "-" "-" 0 $time_iso8601 "forward" "-" "-" "$upstream_addr" "$upstream_status" "-" "-" '
    '${connectionTraceId} "-" "-" "-"';
  access_log access.log alb buffer=64k flush=1s;
  upstream app { server 127.0.0.1:${targetPort}; keepalive 128; keepalive_requests 1000000000; keepalive_timeout 300s; }
  server {
    listen 127.0.0.1:${ports.plain} backlog=4096;
    listen 127.0.0.1:${ports.tls} ssl http2 backlog=4096;
    ssl_certificate certificate.pem; ssl_certificate_key key.pem;
    ssl_protocols TLSv1.2 TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256; ssl_ecdh_curve X25519;
    client_max_body_size 0; client_body_buffer_size 64k;
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_max_temp_file_size 0;
      proxy_buffers 8 32k; proxy_busy_buffers_size 64k;
      proxy_request_buffering off;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Port $server_port;
      proxy_set_header X-Amzn-Trace-Id "Root=1-$request_id";
    }
  }
}
`
}

/** HAProxy writes no files; its lines go to a syslog sink on the load core, which is not counted. */
async function startHaproxy(plan: PeerPlan, ports: Ports): Promise<Started> {
  const sinkPort = await freePort()
  const sinkConfig = join(plan.folder, 'sink.cfg')
  writeFileSync(sinkConfig, haproxySinkConfig(sinkPort))
  writeFileSync(join(plan.folder, 'both.pem'), plan.certificate.certificate + plan.certificate.privateKey)
  writeFileSync(join(plan.folder, 'haproxy.cfg'), haproxyConfig(ports, plan.targetPort, sinkPort))
  const sink = plan.children.launch(['haproxy', '-db', '-f', sinkConfig], {
    core: Core.load,
    cwd: plan.folder,
    outputFile: join(plan.folder, 'sink-output'),
  })
  const child = launch(plan, ['haproxy', '-db', '-f', 'haproxy.cfg'])
  return { name: 'haproxy', child, logFile: null, isLogDisposable: false, companions: [sink] }
}

/** A second HAProxy is the cheapest syslog receiver at hand: it keeps the last lines in memory, no more. */
function haproxySinkConfig(port: number): string {
  return `global
  nbthread 1
ring last
  maxlen 1200
  size 65536
log-forward sink
  dgram-bind 127.0.0.1:${port}
  log ring@last format raw local0
`
}

function haproxyConfig(ports: Ports, targetPort: number, sinkPort: number): string {
  const tls = 'ssl crt both.pem alpn h2,http/1.1 ciphersuites TLS_AES_128_GCM_SHA256 curves X25519'
  return `global
  nbthread 1
  maxconn 20000
  no strict-limits
  log 127.0.0.1:${sinkPort} len 2048 local0 info
defaults
  mode http
  log global
  option forwardfor
  option splice-auto
  http-reuse always
  timeout connect 10s
  timeout client 300s
  timeout server 300s
  timeout http-keep-alive 300s
${haproxyFrontend('http', `127.0.0.1:${ports.plain} backlog 4096`)}
${haproxyFrontend('https', `127.0.0.1:${ports.tls} backlog 4096 ${tls}`)}
backend app
  server target 127.0.0.1:${targetPort} pool-max-conn 128
`
}

function haproxyFrontend(scheme: 'http' | 'https', bind: string): string {
  const line =
    `${scheme} %tr ${loadBalancer} %ci:%cp %si:%sp %Tw %Tr %Ta %ST %ST %U %B "%HM ${scheme}://%[var(txn.host)]%HU %HV" ` +
    `"%[var(txn.agent)]" - - ${targetGroupArn} "Root=1-%ID" "-" "-" 0 %tr "forward" "-" "-" "%si:%sp" "%ST" "-" "-" ` +
    `${connectionTraceId} "-" "-" "-"`
  return `frontend ${scheme}
  bind ${bind}
  unique-id-format %[uuid(4)]
  log-format '${line}'
  http-request set-var(txn.host) req.hdr(host)
  http-request set-var(txn.agent) req.hdr(user-agent)
  http-request set-header X-Forwarded-Proto ${scheme}
  http-request set-header X-Forwarded-Port %[dst_port]
  http-request set-header X-Amzn-Trace-Id Root=1-%[unique-id]
  default_backend app`
}

async function startCaddy(plan: PeerPlan, ports: Ports): Promise<Started> {
  const logFile = join(plan.folder, 'access.log')
  writeFileSync(join(plan.folder, 'Caddyfile'), caddyConfig(ports, plan.targetPort, logFile))
  const command = ['caddy', 'run', '--config', 'Caddyfile', '--adapter', 'caddyfile']
  const child = launch(plan, command, {
    GOMAXPROCS: '1',
    HOME: plan.folder,
    XDG_CONFIG_HOME: plan.folder,
    XDG_DATA_HOME: plan.folder,
  })
  return { name: 'caddy', child, logFile, isLogDisposable: true, companions: [] }
}

/** Its JSON line, with all request headers, is about as long as an ALB's; X-Forwarded-For and -Proto it adds itself. */
function caddyConfig(ports: Ports, targetPort: number, logFile: string): string {
  return `{
  admin off
  auto_https off
  servers {
    timeouts {
      idle 300s
    }
  }
}
(proxy) {
  bind 127.0.0.1
  log {
    output file ${logFile} {
      roll_disabled
    }
    format json
  }
  reverse_proxy 127.0.0.1:${targetPort} {
    header_up X-Forwarded-Port {http.request.port}
    header_up X-Amzn-Trace-Id "Root=1-{http.request.uuid}"
    transport http {
      keepalive 300s
      keepalive_idle_conns 128
      keepalive_idle_conns_per_host 128
      compression off
    }
  }
}
http://:${ports.plain} {
  import proxy
}
https://:${ports.tls} {
  tls certificate.pem key.pem {
    curves x25519
  }
  import proxy
}
`
}

async function startOpenalb(
  name: 'openalb' | 'base',
  commandLine: string,
  plan: PeerPlan,
  ports: Ports,
): Promise<Started> {
  const config = join(plan.folder, 'openalb.yaml')
  const data = join(plan.folder, 'data')
  writeFileSync(config, openalbConfig(ports, plan.targetPort, plan.rules))
  const values = new Map([
    ['config', config],
    ['port', String(ports.plain)],
    ['apiPort', String(await freePort())],
    ['data', data],
  ])
  const filled = commandLine.replace(/\{(config|port|apiPort|data)\}/g, (_, key: string) => values.get(key) ?? '')
  // By environment, so that it reaches the workers and any command given with --openalb.
  const profiling = plan.profileFolder === null || name === 'base' ? null : plan.profileFolder
  const env = profiling === null ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profiling}` }
  const child = launch(plan, ['sh', '-c', `exec ${filled}`], env, process.cwd())
  return { name, child, logFile: join(data, 'logs', 'access.log'), isLogDisposable: false, companions: [] }
}

function openalbConfig(ports: Ports, targetPort: number, rules: readonly string[]): string {
  return `quotas: { rulesPerLoadBalancer: ${Math.max(100, rules.length)} }
loadBalancers:
  - name: bench
    bind: 127.0.0.1
    attributes: { idle_timeout.timeout_seconds: "300" }
    listeners:
      - protocol: HTTP
        port: ${ports.plain}
        defaultActions: [{ type: forward, targetGroup: app }]
        rules: [${rules.map(rule => `\n          ${rule}`).join(',')}]
      - protocol: HTTPS
        port: ${ports.tls}
        sslPolicy: ELBSecurityPolicy-TLS13-1-2-Res-2021-06
        certificates: [{ certificate: certificate.pem, privateKey: key.pem }]
        defaultActions: [{ type: forward, targetGroup: app }]
targetGroups:
  - name: app
    protocol: HTTP
    port: ${targetPort}
    healthCheck: { path: /60B }
    targets: [{ id: 127.0.0.1, port: ${targetPort} }]
`
}

function launch(
  plan: PeerPlan,
  command: readonly string[],
  env: Record<string, string> = {},
  cwd = plan.folder,
): Child {
  return plan.children.launch(command, { core: Core.proxy, cwd, env, outputFile: join(plan.folder, 'output') })
}
