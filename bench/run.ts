/** `npm run bench`: compares OpenALB with its peers. What is compared and how to read it: bench/README.md. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Children, isInstalled } from './load/children.ts'
import { Comparison } from './load/comparison.ts'
import { help, type Options, parseOptions, UsageError } from './load/options.ts'
import { peerVersion } from './load/peers.ts'
import { isClean, printReport, toJson } from './load/report.ts'

const workFolder = join(import.meta.dirname, '.work')
const children = new Children()
const startedAt = Date.now()

try {
  const options = parseOptions(process.argv.slice(2))
  if (options === null) process.stdout.write(help)
  else process.exitCode = (await bench(options)) ? 0 : 1
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`${error.message}\nSee npm run bench -- --help\n`)
  process.exitCode = 2
}

/** @returns whether everything was measured without an error */
async function bench(options: Options): Promise<boolean> {
  for (const needed of ['wrk', 'nginx']) {
    if (!isInstalled(needed)) throw new UsageError(`${needed} is not installed; load and target need wrk and nginx`)
  }
  const folder = join(workFolder, `run-${process.pid}`)
  mkdirSync(folder, { recursive: true })
  const cleanUp = () => {
    children.killAll()
    if (!options.keep) rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      cleanUp()
      process.exit(130)
    })
  }
  try {
    return await compare(options, folder)
  } finally {
    cleanUp()
    if (options.keep) progress(`kept ${folder}`)
  }
}

async function compare(options: Options, folder: string): Promise<boolean> {
  const versions = new Map(options.peers.map(name => [name, peerVersion(name)]))
  const peers = options.peers.filter(name => versions.get(name) !== null)
  const profileFolder = options.profile ? join(workFolder, 'profiles', `run-${process.pid}`) : null
  if (profileFolder !== null) mkdirSync(profileFolder, { recursive: true })
  const report = await new Comparison({ options, peers, children, folder, profileFolder, progress }).run()
  printReport(report, options, versions)
  if (options.jsonFile !== null) writeFileSync(options.jsonFile, toJson(report, options, versions))
  if (profileFolder !== null) progress(`${readdirSync(profileFolder).length} CPU profiles in ${profileFolder}`)
  return isClean(report)
}

function progress(text: string): void {
  process.stderr.write(`[${((Date.now() - startedAt) / 1000).toFixed(0).padStart(3)} s] ${text}\n`)
}
