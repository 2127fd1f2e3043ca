/**
 * The target behind every proxy: one nginx on the load core, so cheap that the proxy is what is measured. It keeps
 * no log, and its `/headers` tells which headers a proxy added.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, type Children, Core, freePort, waitForPort } from './children.ts'

/** How the load comes: handshakes are one for each request, over TLS 1.3. */
export type Via = 'http' | 'https' | 'full handshakes' | 'resumed handshakes' | 'http2'

export type LoadCase = {
  readonly name: string
  readonly via: Via
  readonly title: string
  readonly path: string
  readonly responseBytes: number
  /** 0: a GET. */
  readonly postBytes: number
  /** In place of the address that is asked. */
  readonly host?: string
}

const kb = 1024
const mb = 1024 * kb

const small = { path: '/60B', responseBytes: 60, postBytes: 0 }

export const loadCases: readonly LoadCase[] = [
  { ...small, name: '60B', via: 'http', title: 'GET, 60-byte response' },
  { name: '10KB', via: 'http', title: 'GET, 10 KB response', path: '/10KB', responseBytes: 10 * kb, postBytes: 0 },
  { name: '1MB', via: 'http', title: 'GET, 1 MB response', path: '/1MB', responseBytes: mb, postBytes: 0 },
  {
    name: 'POST64KB',
    via: 'http',
    title: 'POST of 64 KB, 60-byte response',
    path: '/post',
    responseBytes: 60,
    postBytes: 64 * kb,
  },
  { ...small, name: 'TLS60B', via: 'https', title: 'the same as 60B by HTTPS' },
  { ...small, name: 'TLSfull', via: 'full handshakes', title: 'a full handshake for each request of 60B' },
  { ...small, name: 'TLSresumed', via: 'resumed handshakes', title: 'a resumed handshake for each request of 60B' },
  { ...small, name: 'H2', via: 'http2', title: 'the same as 60B by HTTP/2, 2 streams on each of 32 connections' },
]

/** What `/headers` must answer for a proxy to count as doing the same work. */
export function expectedHeaders(scheme: 'http' | 'https'): RegExp {
  return new RegExp(
    `^host=127\\.0\\.0\\.1:(\\d+) for=127\\.0\\.0\\.1 proto=${scheme} port=\\1 trace=Root=1-[0-9a-fA-F-]{32,36}$`,
  )
}

const body60 = 'OpenALB '.repeat(8).slice(0, 60)

export async function startTarget(children: Children, folder: string): Promise<{ child: Child; port: number }> {
  const port = await freePort()
  mkdirSync(join(folder, 'files'), { recursive: true })
  for (const { name, responseBytes } of loadCases) writeFileSync(join(folder, 'files', name), 'x'.repeat(responseBytes))
  writeFileSync(join(folder, 'nginx.conf'), targetConfig(port))
  const child = children.launch(nginxCommand(folder), {
    core: Core.load,
    cwd: folder,
    outputFile: join(folder, 'output'),
  })
  await waitForPort(child, port)
  return { child, port }
}

export function nginxCommand(folder: string): string[] {
  return ['nginx', '-p', `${folder}/`, '-e', 'error.log', '-c', 'nginx.conf', '-g', 'daemon off;']
}

/** What nginx needs in order to run from a folder of its own, as whoever we are. */
export function nginxPreamble(): string {
  return `${process.getuid?.() === 0 ? 'user root root;' : ''}
worker_processes 1;
worker_rlimit_nofile 65536;
pid nginx.pid;
error_log error.log error;
events { worker_connections 32768; }
http {
  client_body_temp_path temp-client; proxy_temp_path temp-proxy; fastcgi_temp_path temp-fastcgi;
  uwsgi_temp_path temp-uwsgi; scgi_temp_path temp-scgi;
  keepalive_timeout 300s; keepalive_requests 1000000000;
  sendfile on; tcp_nodelay on;`
}

/**
 * `return` alone answers a POST before its body has come, which makes proxies drop the connection. nginx reads a
 * body whole before it proxies, so `/post` proxies an empty request to itself.
 */
function targetConfig(port: number): string {
  return `${nginxPreamble()}
  access_log off;
  open_file_cache max=16; open_file_cache_valid 600s;
  default_type text/plain;
  upstream self { server 127.0.0.1:${port}; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    root files;
    location = /60B { return 200 "${body60}"; }
    location = /headers {
      return 200 "host=$http_host for=$http_x_forwarded_for proto=$http_x_forwarded_proto port=$http_x_forwarded_port trace=$http_x_amzn_trace_id";
    }
    location = /post {
      client_max_body_size 1m; client_body_buffer_size 128k;
      proxy_pass http://self/60B; proxy_method GET; proxy_pass_request_body off;
      proxy_http_version 1.1; proxy_set_header Content-Length ""; proxy_set_header Connection "";
    }
  }
}
`
}
