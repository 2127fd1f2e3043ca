/** `bin/openalb` under the Nodes a user may have, in a copy of the package's layout with a main of the test's own. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { after, test } from 'node:test'

const oldNode = findOldNode()
const skip = oldNode === null ? 'this machine has no Node older than 26' : false
const folders: string[] = []
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

/** A project that has openalb installed, as npm lays it out. */
function installed(main: string, { hasNode = true, file = 'dist/main.js' } = {}): string {
  const project = mkdtempSync(join(tmpdir(), 'openalb-launcher-'))
  folders.push(project)
  const modules = join(project, 'node_modules')
  const home = join(modules, 'openalb')
  cpSync(join(import.meta.dirname, '..', 'bin'), join(home, 'bin'), { recursive: true })
  writeFileSync(join(home, 'package.json'), '{"type":"module"}')
  mkdirSync(dirname(join(home, file)), { recursive: true })
  writeFileSync(join(home, file), main)
  mkdirSync(join(modules, '.bin'))
  symlinkSync('../openalb/bin/openalb', join(modules, '.bin', 'openalb'))
  if (hasNode) {
    mkdirSync(join(modules, 'node', 'bin'), { recursive: true })
    writeFileSync(join(modules, 'node', 'package.json'), '{"name":"node"}')
    symlinkSync(process.execPath, join(modules, 'node', 'bin', 'node'))
  }
  return join(modules, '.bin', 'openalb')
}

function run(node: string, launcher: string, ...args: string[]) {
  return spawnSync(node, [launcher, ...args], { encoding: 'utf8', env: { PATH: dirname(node) } })
}

const telling = `export async function main(argv) {
  console.log(process.version.split('.')[0] >= 'v26', argv.join(' '))
  return 7
}`

test('a new enough Node runs main itself; the arguments and the exit code are its own', () => {
  const { stdout, status } = run(process.execPath, installed(telling), 'up', '--workers', '2')
  assert.equal(stdout, 'true up --workers 2\n')
  assert.equal(status, 7)
})

test('a checkout without dist runs the TypeScript sources', () => {
  const home = dirname(dirname(installed(telling.replace('argv)', 'argv: string[])'), { file: 'src/main.ts' })))
  // Reached outside node_modules, where Node strips types.
  cpSync(join(home, 'openalb'), join(home, '..', 'checkout'), { recursive: true })
  const { stdout, status } = run(process.execPath, join(home, '..', 'checkout', 'bin', 'openalb'), 'validate')
  assert.equal(stdout, 'true validate\n')
  assert.equal(status, 7)
})

test('an old Node hands over to the one that came with the package', { skip }, () => {
  const { stdout, status } = run(oldNode ?? '', installed(telling), 'up')
  assert.equal(stdout, 'true up\n')
  assert.equal(status, 7)
})

test('an old Node with no other says what to do', { skip }, () => {
  const { stderr, status } = run(oldNode ?? '', installed(telling, { hasNode: false }))
  assert.match(stderr, /^openalb: Node 26 or newer is needed; this is v\d+/)
  assert.match(stderr, /npm rebuild node/)
  assert.equal(status, 1)
})

test('signals reach the handed-over process, and its end by a signal shows in the exit code', { skip }, async () => {
  const waiting = `export async function main() {
    process.once('SIGHUP', () => { console.log('hup'); process.kill(process.pid, 'SIGTERM') })
    console.log('ready')
    setInterval(() => {}, 1000)
    await new Promise(() => {})
  }`
  const child = spawn(oldNode ?? '', [installed(waiting)], { stdio: ['ignore', 'pipe', 'inherit'] })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    if (text.includes('ready')) child.kill('SIGHUP')
    printed += text
  })
  const code = await new Promise(resolve => child.once('close', resolve))
  assert.equal(printed, 'ready\nhup\n')
  assert.equal(code, 128 + 15)
})

test('an error of main is told in one line, without a stack trace', () => {
  const failing = "export async function main() { throw new Error('port 80 is taken') }"
  const { stderr, status } = run(process.execPath, installed(failing))
  assert.equal(stderr, 'openalb: port 80 is taken\n')
  assert.equal(status, 1)
})

test('a package without its main says that it is incomplete', () => {
  const { stderr, status } = run(process.execPath, installed('', { file: 'elsewhere.js' }))
  assert.match(stderr, /^openalb: this installation is incomplete/)
  assert.equal(status, 1)
})

function findOldNode(): string | null {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const node = join(folder, 'node')
    if (!existsSync(node)) continue
    const major = Number(/^v(\d+)/.exec(spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout)?.[1] ?? 99)
    if (major < 26) return node
  }
  return null
}
