/**
 * Runs before `npm start` and `npm test`: installs the dependencies when they are missing or are no longer those of
 * package-lock.json. Plain JavaScript that needs no package, since it runs on whatever Node the machine has.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const nodeMajorMin = 26

const reason = whyInstall()
if (reason !== null) install(reason)
checkNode()

/** npm keeps what it installed in a lock file of its own inside node_modules, written last: that is our stamp. */
function whyInstall() {
  const stamp = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(stamp)) return 'node_modules is missing or incomplete'
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
  const installed = JSON.parse(readFileSync(stamp, 'utf8')).packages
  for (const [path, want] of Object.entries(wanted)) {
    if (path === '') continue // The project itself.
    const have = installed[path]
    // What is optional may belong to another platform; npm decided that when it installed.
    if (have === undefined && (want.optional || want.devOptional)) continue
    const isOther = want.integrity !== undefined && have?.integrity !== want.integrity
    if (isOther || have?.version !== want.version) {
      return `${path.replace('node_modules/', '')} is not the one of package-lock.json`
    }
  }
  return null
}

function install(why) {
  console.log(`openalb: ${why}; running npm ci, which takes about half a minute`)
  const args = [
    'ci',
    '--include=dev', // Also under NODE_ENV=production.
    '--prefer-offline',
    '--fetch-retries=2',
    '--fetch-retry-mintimeout=1000', // A machine without a network is told so in seconds, not minutes.
    '--fetch-retry-maxtimeout=5000',
  ]
  const npm = spawnSync('npm', args, {
    cwd: root,
    encoding: 'utf8',
    // npm removes node_modules first, so it must not itself run on the Node that lies in there.
    env: { ...process.env, PATH: pathWithoutNodeModules() },
    shell: process.platform === 'win32',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (npm.error !== undefined) fail(`npm could not be started: ${npm.error.message}`)
  if (npm.status === 0) return

  const output = `${npm.stdout}\n${npm.stderr}`.trim()
  if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ENOTCACHED/.test(output)) {
    fail('the npm registry cannot be reached, and the dependencies are needed once. Connect, then run this again.')
  }
  fail(`npm ci failed:\n${output.split('\n').slice(-30).join('\n')}`)
}

/** npm puts node_modules/.bin first on the PATH of its scripts, so `node` there is what `npm start` runs on. */
function checkNode() {
  const own = join(root, 'node_modules', '.bin', 'node')
  const probe = existsSync(own) ? spawnSync(own, ['--version'], { encoding: 'utf8' }).stdout : process.version
  const major = Number(/^v(\d+)\./.exec(probe ?? '')?.[1] ?? 0)
  if (major >= nodeMajorMin) return
  fail(
    `Node ${nodeMajorMin} is needed and npm installed none (this is ${process.version}). ` +
      'Run `npm rebuild node --ignore-scripts=false`, or install it from https://nodejs.org.',
  )
}

function pathWithoutNodeModules() {
  const isOurs = entry => entry.endsWith(`node_modules${sep}.bin`)
  return (process.env.PATH ?? '')
    .split(delimiter)
    .filter(entry => !isOurs(entry))
    .join(delimiter)
}

function fail(message) {
  console.error(`openalb: ${message}`)
  process.exit(1)
}
