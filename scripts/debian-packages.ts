/**
 * Programs of others that some tests run against. `npm test` installs the missing ones where it may (root, apt-get);
 * a test whose program is missing all the same is skipped with that reason, see `test/support/needs.ts`.
 */
import { spawn } from 'node:child_process'
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

export type DebianPackage = {
  readonly package: string
  readonly command: string
  readonly wantedBy: string
  /** Some hundred megabytes with all it needs: installed apart from the others, which it must not keep away. */
  readonly isLarge?: boolean
}

export const debianPackages = [
  { package: 'nginx', command: 'nginx', wantedBy: 'tests with a real server as target; bench peer' },
  { package: 'openssl', command: 'openssl', wantedBy: 'tests with another TLS library as client and as judge' },
  { package: 'haproxy', command: 'haproxy', wantedBy: 'tests with another proxy as client; bench peer' },
  { package: 'curl', command: 'curl', wantedBy: 'tests with another HTTP client' },
  { package: 'nghttp2-client', command: 'h2load', wantedBy: 'tests of HTTP/2 under load; bench' },
  { package: 'bind9-dnsutils', command: 'dig', wantedBy: 'tests of the DNS answers' },
  { package: 'sslscan', command: 'sslscan', wantedBy: 'tests of the security policies, as their judge' },
  { package: 'chromium', command: 'chromium', wantedBy: 'tests with a browser', isLarge: true },
] as const satisfies readonly DebianPackage[]

const installLimitSeconds = 120

export type Command = (typeof debianPackages)[number]['command']

/** Servers live in sbin, which is not on the PATH of every user. */
const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']

/** The full path of a command, or null. */
export function findCommand(command: string): string | null {
  for (const folder of folders) {
    const path = join(folder, command)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not in this folder: the next one may have it.
    }
  }
  return null
}

/** @returns one line that says what was done or why not, or null when nothing was missing */
export async function installDebianPackages(): Promise<string | null> {
  const missing: readonly DebianPackage[] = debianPackages.filter(({ command }) => findCommand(command) === null)
  if (missing.length === 0) return null
  const names = namesOf(missing).join(', ')
  if (process.env.OPENALB_NO_INSTALL === '1') return `not installing ${names}: OPENALB_NO_INSTALL is set`
  if (process.getuid?.() !== 0 || findCommand('apt-get') === null) {
    return `${names} missing: they are installed only by root, with apt-get`
  }
  return withoutStartingServices(async () => {
    const said: string[] = []
    for (const isLarge of [false, true]) {
      const names = namesOf(missing.filter(entry => (entry.isLarge ?? false) === isLarge))
      if (names.length > 0) said.push(await install(names))
    }
    return said.join('; ')
  })
}

function namesOf(packages: readonly DebianPackage[]): string[] {
  return packages.map(entry => entry.package)
}

/** Gives up after `installLimitSeconds`. @returns what it has come to */
async function install(names: readonly string[]): Promise<string> {
  const endsAt = performance.now() + installLimitSeconds * 1000
  const run = (...args: string[]) => aptGet(args, Math.max(1, Math.ceil((endsAt - performance.now()) / 1000)))
  const installNames = () => run('install', '-y', '-qq', '--no-install-recommends', ...names)
  let failure = await installNames()
  // The usual reason is that the machine has no package lists yet.
  if (failure !== null && performance.now() < endsAt) failure = (await run('update', '-qq')) ?? (await installNames())
  return failure === null
    ? `installed ${names.join(', ')} for the tests`
    : `could not install ${names.join(', ')}: ${failure}`
}

/**
 * A Debian package starts its server when it is installed, unless this script, if there is one, says no (101).
 *
 * @see https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt
 */
async function withoutStartingServices<Value>(run: () => Promise<Value>): Promise<Value> {
  const policy = '/usr/sbin/policy-rc.d'
  if (existsSync(policy)) return run() // Containers often have one that says no already; it is not ours to change.
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    return await run()
  } finally {
    rmSync(policy, { force: true })
  }
}

/** @returns null, or why it failed */
function aptGet(args: readonly string[], limitSeconds: number): Promise<string | null> {
  const child = spawn('apt-get', ['-o', 'DPkg::Lock::Timeout=60', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: limitSeconds * 1000,
  })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', text => {
    errors += text
  })
  return new Promise(resolve => {
    child.once('error', error => resolve(error.message))
    child.once('close', (code, signal) => {
      if (code === 0) resolve(null)
      else if (signal !== null) resolve(`apt-get ${args[0]} took more than ${limitSeconds} s`)
      else resolve(errors.trim().split('\n').at(-1) || `apt-get ${args[0]} ended with ${code}`)
    })
  })
}
