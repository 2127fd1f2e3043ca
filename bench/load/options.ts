/** The command line of the benchmark: what may be asked, and a clear no to everything else. */
import { parseArgs } from 'node:util'
import { type PeerName, peerNames } from './peers.ts'
import { loadCases } from './targets.ts'

export const caseNames: readonly string[] = [...loadCases.map(c => c.name), 'idle', 'rules', 'flat']

export type Options = {
  readonly cases: readonly string[]
  readonly peers: readonly PeerName[]
  readonly rounds: number
  /** How long one peer is measured in one round of one case. */
  readonly measureSeconds: number
  readonly idleRounds: number
  readonly rulesRounds: number
  readonly flatRequests: number
  readonly openalbCommand: string | null
  readonly baseCommand: string | null
  readonly profile: boolean
  readonly keep: boolean
  readonly jsonFile: string | null
}

/** What the caller asked for cannot be done; the message is for the terminal. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export const help = `Usage: npm run bench -- [options]

Compares what one request costs in nginx, HAProxy, Caddy and OpenALB, one core each.

  --cases LIST    ${caseNames.join(',')} (default: all but flat)
  --flat          adds the case flat: 2 million requests through OpenALB, resident memory on the way
  --peers LIST    ${peerNames.join(',')} (default: all but base)
  --rounds N      rounds, taking turns (default 4)
  --quick         2 rounds of 1 s, one round of idle, 200,000 requests of flat
  --openalb CMD   how to start OpenALB; {config} {port} {apiPort} {data} are filled in
  --base CMD      the same for a revision to compare with; adds the peer base
  --profile       starts OpenALB with --cpu-prof; profiles stay in bench/.work/ (costs some CPU)
  --json FILE     also writes every round's figures to FILE
  --keep          keeps configurations and logs in bench/.work/
  --help

Examples:
  npm run bench                                       everything but flat, 17 minutes
  npm run bench -- --quick --cases 60B                 a first impression, under a minute
  npm run bench -- --cases 60B,POST64KB --peers nginx,openalb --rounds 9
  npm run bench -- --cases flat                        is memory flat?
  npm run bench -- --cases 60B --peers openalb --profile
  npm run bench -- --peers openalb \\
    --base 'node ../base/src/main.ts up {config} --workers 1 --api-port {apiPort} --data {data}'
`

/** @returns null when only help was asked for */
export function parseOptions(args: readonly string[]): Options | null {
  const { values } = readArguments(args)
  if (values.help) return null
  const cases = parseList('--cases', values.cases, caseNames) ?? caseNames.filter(name => name !== 'flat')
  if (values.flat && !cases.includes('flat')) cases.push('flat')
  const peers = parseList('--peers', values.peers, peerNames) ?? peerNames.filter(name => name !== 'base')
  if (values.base !== undefined && !peers.includes('base')) peers.push('base')
  if (values.base === undefined && peers.includes('base')) throw new UsageError('peer base needs --base CMD')
  const rounds = values.rounds === undefined ? (values.quick ? 2 : 4) : parseRounds(values.rounds)
  return {
    cases,
    peers,
    rounds,
    measureSeconds: values.quick ? 1 : 3,
    idleRounds: values.quick ? 1 : Math.min(rounds, 3),
    rulesRounds: values.quick ? 1 : Math.min(rounds, 2),
    flatRequests: values.quick ? 200_000 : 2_000_000,
    openalbCommand: values.openalb ?? null,
    baseCommand: values.base ?? null,
    profile: values.profile ?? false,
    keep: values.keep ?? false,
    jsonFile: values.json ?? null,
  }
}

function readArguments(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        cases: { type: 'string' },
        flat: { type: 'boolean' },
        peers: { type: 'string' },
        rounds: { type: 'string' },
        quick: { type: 'boolean' },
        openalb: { type: 'string' },
        base: { type: 'string' },
        profile: { type: 'boolean' },
        json: { type: 'string' },
        keep: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

/** Names in the order of `known`, without repeats; null when the option was not given. */
function parseList<Name extends string>(
  option: string,
  text: string | undefined,
  known: readonly Name[],
): Name[] | null {
  if (text === undefined) return null
  const asked = text.split(',').map(name => name.trim())
  const stranger = asked.find(name => !(known as readonly string[]).includes(name))
  if (stranger !== undefined) throw new UsageError(`${option}: expected some of ${known.join(',')}; got "${stranger}"`)
  return known.filter(name => asked.includes(name))
}

function parseRounds(text: string): number {
  const rounds = Number(text)
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100) {
    throw new UsageError(`--rounds: expected a whole number from 1 to 100; got "${text}"`)
  }
  return rounds
}
