/**
 * What `--https` says of its certificate, and how to make clients trust the authority behind it. They are told, and
 * nothing is done for them: whom a machine trusts is for its user to say.
 */

import type { LocalCertificate } from '../../control/local-certificate.ts'
import type { Listener } from '../../model/resources.ts'

/** @param waysFile where all of `waysToTrust` can be read later */
export function localCertificateLines(local: LocalCertificate, waysFile: string, ways: string): string[] {
  const { names, namesLeftOut, expiresAtMs, authorityFile, isAuthorityNew } = local
  const until = new Date(expiresAtMs).toISOString().slice(0, 10)
  const lines = [`certificate: for ${names.join(', ')}; until ${until}, by the local authority ${authorityFile}`]
  if (namesLeftOut.length > 0) {
    const reason = 'its authority vouches for localhost and for the name that this machine had when it was made'
    lines.push(`note: the certificate is not for ${namesLeftOut.join(', ')}: ${reason}`)
  }
  lines.push(isAuthorityNew ? `how to trust it, also in ${waysFile}:\n${ways}` : `how to trust it: ${waysFile}`)
  return lines
}

/** @param authority the path of its PEM file @param url of a listener with a certificate by it */
export function waysToTrust(authority: string, url: string): string {
  const file = quoted(authority)
  const ways = [
    ['curl', `curl --cacert ${file} ${url}`],
    ['Node.js', `NODE_EXTRA_CA_CERTS=${file} node …`],
    [
      'Debian, Ubuntu',
      `sudo cp ${file} /usr/local/share/ca-certificates/openalb-local.crt && sudo update-ca-certificates`,
    ],
    ['Fedora', `sudo trust anchor ${file}`],
    ['macOS', `security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db ${file}`],
    ['Windows', `certutil -user -addstore Root ${file}`],
    ['Chromium on Linux', `certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n OpenALB -i ${file}  (of libnss3-tools)`],
    ['Firefox', `Settings, Privacy & Security, View Certificates, Authorities, Import: ${file}`],
  ] as const
  const width = Math.max(...ways.map(([client]) => client.length))
  return ways.map(([client, way]) => `  ${client.padEnd(width)}  ${way}`).join('\n')
}

/** Where a listener can be reached by a name that the certificate is for. */
export function localUrl({ bindPort }: Listener): string {
  return `https://localhost:${bindPort}/`
}

/** Whether it is the certificate that a listener shows unless a name asks for another. */
export function isLocal({ tls }: Listener, { certificate }: LocalCertificate): boolean {
  return tls?.certificates[0] === certificate
}

/** For shells, where there is need. */
function quoted(path: string): string {
  return /^[\w./:\\@%+=,~-]+$/.test(path) ? path : `"${path}"`
}
