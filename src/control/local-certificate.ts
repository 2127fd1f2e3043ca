/**
 * HTTPS for development: a certificate for this machine's names, by an authority of this data folder's own. Both are
 * made when they are first needed and then kept, since trusting the authority is work for the user. Nothing outside the
 * folder is touched.
 */

import { X509Certificate } from 'node:crypto'
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join, resolve } from 'node:path'
import { dnsDomain, localRegion } from '../model/arns.ts'
import { type Certificate, type LoadBalancer, nodeIpOf, type Resources } from '../model/resources.ts'
import { buildCertificate, readPrivateKey } from './config/certificate.ts'
import {
  certificateDays,
  expiryMs,
  isIssuedBy,
  isPermitted,
  issueCertificate,
  makeAuthority,
  namesOf,
  type Pair,
  pairProblem,
} from './local-certificate/issue.ts'

export class LocalCertificateUnusable extends Error {
  override readonly name = 'LocalCertificateUnusable'
}

export type LocalCertificateOptions = {
  /** Made when missing. */
  readonly folder: string
  readonly hostName: string
  readonly nowMs: number
}

export type LocalCertificate = {
  readonly certificate: Certificate
  readonly names: readonly string[]
  readonly expiresAtMs: number
  /** What it is not for, though listeners may be asked for it: the authority does not vouch for these. */
  readonly namesLeftOut: readonly string[]
  /** PEM, to be trusted; an absolute path. */
  readonly authorityFile: string
  readonly isAuthorityNew: boolean
}

const dayMs = 24 * 60 * 60 * 1000
/** One that is used up to its last day fails whoever starts in the morning of that. */
const renewedDays = 30

/** Gives it to the listeners that need a certificate and have none. @returns `local` null when there are none */
export async function withLocalCertificate(
  resources: Resources,
  options: LocalCertificateOptions,
): Promise<{ readonly resources: Resources; readonly local: LocalCertificate | null }> {
  const served = resources.loadBalancers.filter(({ listeners }) => listeners.some(lacksCertificate))
  if (served.length === 0) return { resources, local: null }
  const local = await localCertificate(wantedNames(served, options.hostName), options)
  const loadBalancers = resources.loadBalancers.map(loadBalancer => ({
    ...loadBalancer,
    listeners: loadBalancer.listeners.map(listener =>
      lacksCertificate(listener)
        ? { ...listener, tls: { ...listener.tls!, certificates: [local.certificate] } }
        : listener,
    ),
  }))
  return { resources: { ...resources, loadBalancers }, local }
}

function lacksCertificate({ tls }: LoadBalancer['listeners'][number]): boolean {
  return tls?.certificates.length === 0
}

/**
 * This machine's, those of load balancers, and what rules ask for. Most clients take no wildcard with a single label
 * behind it, so `*.localhost` is worth little, and names below it that rules mention stand there in full.
 */
function wantedNames(loadBalancers: readonly LoadBalancer[], hostName: string): string[] {
  const listeners = loadBalancers.flatMap(({ listeners }) => listeners.filter(lacksCertificate))
  const conditions = listeners.flatMap(({ rules }) => rules.flatMap(({ conditions }) => conditions))
  const hosts = conditions.flatMap(condition => (condition.field === 'host-header' ? condition.values : []))
  const zones = loadBalancers.flatMap(({ availabilityZones }) => availabilityZones)
  const bound = zones.flatMap(({ addresses }) => addresses.map(nodeIpOf))
  const names = [
    ...['localhost', '*.localhost', `*.${dnsDomain}`, `*.${localRegion}.${dnsDomain}`],
    ...[hostName, ...hosts].map(name => name.toLowerCase()).filter(isDnsName),
    ...['127.0.0.1', '::1', ...bound],
  ]
  return [...new Set(names)]
}

/** A name in full, or all those of one domain. */
function isDnsName(name: string): boolean {
  return isIP(name) === 0 && name.length <= 253 && /^(\*\.)?[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/.test(name)
}

async function localCertificate(
  wanted: readonly string[],
  { folder, hostName, nowMs }: LocalCertificateOptions,
): Promise<LocalCertificate> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const kept = await readAuthority(folder, nowMs)
  const authority = kept ?? (await saveAuthority(folder, hostName, nowMs))
  const names = wanted.filter(name => isPermitted(authority.certificate, name))
  const pair = (await readLeaf(folder, authority, names, nowMs)) ?? (await saveLeaf(folder, authority, names, nowMs))
  const certificate = buildCertificate(
    new X509Certificate(pair.certificate),
    [],
    readPrivateKey(pair.privateKey).value!,
  )
  return {
    certificate,
    names,
    expiresAtMs: expiryMs(pair),
    namesLeftOut: wanted.filter(name => !names.includes(name)),
    authorityFile: resolve(folder, files.authority.certificate),
    isAuthorityNew: kept === null,
  }
}

const files = {
  authority: { certificate: 'authority.pem', privateKey: 'authority-key.pem' },
  leaf: { certificate: 'certificate.pem', privateKey: 'key.pem' },
}

/** Null when there is none, or none that outlives what it would issue. @throws LocalCertificateUnusable */
async function readAuthority(folder: string, nowMs: number): Promise<Pair | null> {
  const pair = await readPair(folder, files.authority)
  if (pair === null) return null
  const problem = pairProblem(pair)
  // Users trust this one. Another would be none to them, and they should know why before they trust that.
  if (problem !== null) throw unusable(folder, problem)
  return expiryMs(pair) < nowMs + certificateDays * dayMs ? null : pair
}

async function saveAuthority(folder: string, hostName: string, nowMs: number): Promise<Pair> {
  const day = new Date(nowMs).toISOString().slice(0, 10)
  const host = hostName.toLowerCase()
  const names = isDnsName(host) && host !== 'localhost' ? ['localhost', host] : ['localhost']
  const pair = await makeAuthority(`OpenALB since ${day} on ${hostName}`.slice(0, 64), names, nowMs)
  await writePair(folder, files.authority, pair)
  return pair
}

/** Null when it has to be made anew. */
async function readLeaf(
  folder: string,
  authority: Pair,
  names: readonly string[],
  nowMs: number,
): Promise<Pair | null> {
  const pair = await readPair(folder, files.leaf)
  if (pair === null || pairProblem(pair) !== null || !isIssuedBy(pair, authority)) return null
  const isForAll = namesOf(pair.certificate).sort().join() === names.toSorted().join()
  return isForAll && expiryMs(pair) > nowMs + renewedDays * dayMs ? pair : null
}

async function saveLeaf(folder: string, authority: Pair, names: readonly string[], nowMs: number): Promise<Pair> {
  const pair = await issueCertificate(authority, names, nowMs)
  await writePair(folder, files.leaf, pair)
  return pair
}

type PairFiles = { readonly certificate: string; readonly privateKey: string }

/** Null when there is no certificate; its key, if that is missing, is an empty text. */
async function readPair(folder: string, { certificate, privateKey }: PairFiles): Promise<Pair | null> {
  try {
    const text = await readIfThere(join(folder, certificate))
    if (text === null) return null
    const keyFile = join(folder, privateKey)
    const key = await readIfThere(keyFile)
    if (key !== null) await chmod(keyFile, 0o600)
    return { certificate: text, privateKey: key ?? '' }
  } catch (error) {
    throw unusable(folder, (error as Error).message)
  }
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** The certificate last: with it, the pair is there. */
async function writePair(folder: string, names: PairFiles, pair: Pair): Promise<void> {
  try {
    await replaceFile(join(folder, names.privateKey), pair.privateKey, 0o600)
    await replaceFile(join(folder, names.certificate), pair.certificate, 0o644)
  } catch (error) {
    throw unusable(folder, (error as Error).message)
  }
}

async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  const draft = `${path}.new`
  await writeFile(draft, text, { mode })
  await chmod(draft, mode) // The umask may have taken some of it, or a draft may have been left behind.
  await rename(draft, path)
}

function unusable(folder: string, problem: string): LocalCertificateUnusable {
  return new LocalCertificateUnusable(
    `cannot use the local certificate authority in ${folder}: ${problem}. ` +
      'Remove that folder to begin anew; the new authority must then be trusted in place of the old one',
  )
}
