/**
 * A client that shakes hands for every request: an nginx on the load core, which wrk speaks plain HTTP to and which
 * opens a TLS connection to the proxy for each request. It either never resumes a session or always does; wrk itself
 * leaves open which, and `openssl s_time` cannot resume in TLS 1.3.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, type Children, Core, freePort, waitForPort } from './children.ts'
import { nginxCommand, nginxPreamble } from './targets.ts'

export type Handshaker = { readonly child: Child; readonly port: number }

export async function startHandshaker(
  children: Children,
  folder: string,
  tlsPort: number,
  resumes: boolean,
): Promise<Handshaker> {
  const own = join(folder, 'handshaker')
  rmSync(own, { recursive: true, force: true })
  mkdirSync(own, { recursive: true })
  const port = await freePort()
  writeFileSync(join(own, 'nginx.conf'), handshakerConfig(port, tlsPort, resumes))
  const child = children.launch(nginxCommand(own), { core: Core.load, cwd: own, outputFile: join(own, 'output') })
  await waitForPort(child, port)
  return { child, port }
}

function handshakerConfig(port: number, tlsPort: number, resumes: boolean): string {
  return `${nginxPreamble()}
  access_log off;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass https://127.0.0.1:${tlsPort};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Connection close;
      proxy_ssl_protocols TLSv1.3;
      proxy_ssl_conf_command Groups X25519;
      proxy_ssl_session_reuse ${resumes ? 'on' : 'off'};
    }
  }
}
`
}
