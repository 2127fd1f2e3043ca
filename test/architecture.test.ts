/** The rules of the house that a program can check: who may import whom, and what must not be committed. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join, posix } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '..')

/** From right to left: a room may import those of the lines above it, and not those it shares a line with. */
const layers: readonly (readonly string[])[] = [
  ['base'],
  ['model'],
  ['http', 'net'],
  ['routing', 'targets', 'observe'],
  ['proxy', 'health'],
  ['control', 'diagnose', 'ui/cli', 'ui/console'],
  ['main'],
]
/** Within a line, and only from `ui`: what it shows, it gets from these two. */
const exceptions: ReadonlySet<string> = new Set(
  ['cli', 'console'].flatMap(ui => ['control', 'diagnose'].map(room => `ui/${ui} → ${room}`)),
)
/** What a request passes through depends on Node alone. */
const requestPath: ReadonlySet<string> = new Set(layers.slice(0, 5).flat())
/** Parses regular expressions when they are configured; what runs them is ours. */
const pathExceptions: ReadonlySet<string> = new Set(['routing → re2js'])

/**
 * What each file imports, as written, after `type ` where only types are. Paths are relative to the root of the
 * project, with `/`.
 */
type Imports = ReadonlyMap<string, readonly string[]>
type Packages = { readonly dependencies: ReadonlySet<string>; readonly devDependencies: ReadonlySet<string> }

test('no import points left, reaches into a room, closes a cycle, or needs a package nobody declared', () => {
  assert.deepEqual(violations(readImports(), readPackages()), [])
})

test('the imports of this project are found', () => {
  const imports = readImports()
  assert.ok(imports.get('src/main.ts')?.includes('./base/clock.ts'))
  const source =
    "import a, {\n  type b,\n} from 'a'\nimport 'b'\nexport * from 'c'\nimport type { D } from 'd'\n * import e from 'e'"
  assert.deepEqual(importsOf(source), ['a', 'b', 'c', 'type d'])
  assert.deepEqual(importsOf(['const a = await import(', "'./a.ts')"].join('')), ['./a.ts'])
})

const mistakes = [
  ['an import to the left', { 'src/model/a.ts': ['../proxy/b.ts'] }, /^src\/model\/a.ts: model may not import proxy/],
  ['a type from the left', { 'src/model/a.ts': ['type ../proxy/b.ts'] }, /model may not import proxy/],
  ['one within a line', { 'src/http/a.ts': ['../net/b.ts'] }, /http may not import net/],
  ['control that uses ui', { 'src/control/a.ts': ['../ui/cli/b.ts'] }, /control may not import ui\/cli/],
  ['a room that uses main', { 'src/ui/cli/a.ts': ['../../main.ts'] }, /ui\/cli may not import main/],
  ['a room nobody planned', { 'src/utils/a.ts': [] }, /src\/utils\/a.ts: no room of the house/],
  ["another room's subfolder", { 'src/proxy/a.ts': ['../http/h1/b.ts'] }, /http\/h1\/b.ts is private to http/],
  [
    'sources that use tests',
    { 'src/proxy/a.ts': ['../../test/support/b.ts'] },
    /test\/support\/b.ts is not for sources/,
  ],
  ['a package on the request path', { 'src/proxy/a.ts': ['zod'] }, /proxy may import only what is in Node, not zod/],
  ['a built-in without node:', { 'src/control/a.ts': ['fs'] }, /fs is written node:fs/],
  ['an undeclared package', { 'src/control/a.ts': ['left-pad'] }, /left-pad is not in package.json/],
  ['a source that needs a tool', { 'src/control/a.ts': ['fast-check'] }, /fast-check is only in devDependencies/],
  [
    'a cycle',
    { 'src/base/a.ts': ['./b.ts'], 'src/base/b.ts': ['./c.ts'], 'src/base/c.ts': ['./a.ts'] },
    /^cycle: .* → /,
  ],
] as const

const somePackages = { dependencies: new Set(['zod']), devDependencies: new Set(['fast-check']) }

for (const [what, imports, complaint] of mistakes) {
  test(`the check notices ${what}`, () => {
    const found = violations(new Map(Object.entries(imports)), somePackages)
    assert.equal(found.length, 1, found.join('\n'))
    assert.match(found[0] ?? '', complaint)
  })
}

test('the check lets pass what the house allows', () => {
  const imports: Imports = new Map([
    ['src/main.ts', ['./ui/cli/a.ts', './proxy/a.ts', 'node:fs']],
    ['src/ui/cli/a.ts', ['../../control/a.ts', '../../diagnose/a.ts', './b.ts']],
    ['src/control/a.ts', ['../health/a.ts', './config/a.ts', 'zod']],
    ['src/base/a.ts', ['type ./b.ts']],
    ['src/base/b.ts', ['./a.ts']],
    ['src/health/a.ts', ['../observe/a.ts', './probe/a.ts', 'node:net']],
    ['src/health/a.test.ts', ['fast-check', './a.ts', '../../test/support/a.ts']],
    ['test/a.test.ts', ['../src/http/h1/a.ts', 'zod/v4', 'fast-check']],
  ])
  assert.deepEqual(violations(imports, somePackages), [])
})

test('whatever waits takes its time from a clock', () => {
  const own = /\b(setTimeout|setInterval)\(|\b(performance|Date)\.now\b|\bnew Date\(\)/
  const allowed = [
    'src/base/clock.ts',
    // They go easy on the processor, whatever time it is.
    'src/observe/log-delivery.ts',
    'src/observe/log-delivery/compress-thread.ts',
  ]
  const sources = globSync(['src/**/*.ts'], { cwd: root }).filter(file => !isTest(file) && !allowed.includes(file))
  const found = sources.filter(file => own.test(readFileSync(join(root, file), 'utf8')))
  assert.deepEqual(found, [])
})

test('the lock file records no download addresses', () => {
  assert.doesNotMatch(readFileSync(join(root, 'package-lock.json'), 'utf8'), /"resolved"/)
})

test('no committed file names a place that only some machine has', t => {
  const listed = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' })
  if (listed.status !== 0) return t.skip('this is not a git checkout')
  const privatePlaces = [/\/(work|farm)\//, new RegExp(['\\.\\.', 'shared'].join('/'))]
  const files = listed.stdout.split('\0').filter(file => file !== '')
  const naming = files.filter(file => {
    const text = readCommitted(file)
    return privatePlaces.some(place => place.test(text))
  })
  assert.deepEqual(naming, [])
})

function readImports(): Imports {
  const files = globSync(['{src,test,bench,scripts,examples}/**/*.ts'], { cwd: root })
  return new Map(files.sort().map(file => [file, importsOf(readFileSync(join(root, file), 'utf8'))]))
}

function importsOf(source: string): readonly string[] {
  const statement = /^(?:import|export)\s+(type\s+)?(?:[\w\s{},*$]+?\s+from\s+)?'([^']+)'/gm
  const call = /\bimport\(()\s*'([\w@./:-]+)'/g
  const matches = [...source.matchAll(statement), ...source.matchAll(call)]
  return matches.map(([, type, specifier = '']) => (type ? `type ${specifier}` : specifier))
}

function readPackages(): Packages {
  const { dependencies = {}, devDependencies = {} } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return {
    dependencies: new Set(Object.keys(dependencies)),
    devDependencies: new Set(Object.keys(devDependencies)),
  }
}

function readCommitted(file: string): string {
  try {
    return readFileSync(join(root, file), 'latin1')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '' // Removed here, and not yet committed.
    throw error
  }
}

function violations(imports: Imports, packages: Packages): readonly string[] {
  const found: string[] = []
  for (const [file, specifiers] of imports) {
    if (file.startsWith('src/') && layerOf(roomOf(file)) === -1) found.push(`${file}: no room of the house`)
    for (const written of specifiers) {
      const specifier = written.replace(/^type /, '')
      const complaint = specifier.startsWith('.')
        ? complaintAboutFile(file, posix.join(posix.dirname(file), specifier))
        : complaintAboutPackage(file, specifier, packages)
      if (complaint !== null) found.push(`${file}: ${complaint}`)
    }
  }
  return [...found, ...cycles(imports)]
}

function complaintAboutFile(from: string, to: string): string | null {
  if (!from.startsWith('src/')) return null
  if (!to.startsWith('src/')) return isTest(from) || to === 'package.json' ? null : `${to} is not for sources`
  const room = roomOf(from)
  const other = roomOf(to)
  if (room === other) return null
  if (layerOf(other) >= layerOf(room) && !exceptions.has(`${room} → ${other}`)) return `${room} may not import ${other}`
  if (other !== 'main' && posix.dirname(to) !== `src/${other}`) return `${to} is private to ${other}`
  return null
}

function complaintAboutPackage(file: string, specifier: string, packages: Packages): string | null {
  if (specifier.startsWith('node:')) return null
  if (isBuiltin(specifier)) return `${specifier} is written node:${specifier}`
  const parts = specifier.split('/')
  const name = parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/')
  const isSource = file.startsWith('src/') && !isTest(file)
  const room = roomOf(file)
  if (isSource && requestPath.has(room) && !pathExceptions.has(`${room} → ${name}`)) {
    return `${room} may import only what is in Node, not ${name}`
  }
  if (packages.dependencies.has(name)) return null
  if (!packages.devDependencies.has(name)) return `${name} is not in package.json`
  return isSource ? `${name} is only in devDependencies` : null
}

/**
 * The chains of imports by which a file reaches itself. Two files of a room may know each other's types: those imports
 * are erased, so neither waits for the other to load.
 */
function cycles(imports: Imports): readonly string[] {
  const found: string[] = []
  const finished = new Set<string>()
  const path: string[] = []
  const visit = (file: string) => {
    const start = path.indexOf(file)
    if (start !== -1) found.push(`cycle: ${[...path.slice(start), file].join(' → ')}`)
    if (start !== -1 || finished.has(file)) return
    path.push(file)
    for (const specifier of imports.get(file) ?? []) {
      // A specifier that begins with `type ` is one of types, and one without a dot is a package.
      if (specifier.startsWith('.')) visit(posix.join(posix.dirname(file), specifier))
    }
    path.pop()
    finished.add(file)
  }
  for (const file of imports.keys()) visit(file)
  return found
}

/** `main` for src/main.ts. `ui` is a house of two rooms, the command line and the console. */
function roomOf(file: string): string {
  const [, room = '', below = ''] = file.split('/')
  if (room === 'main.ts') return 'main'
  return room === 'ui' ? `ui/${below}` : room
}

function layerOf(room: string): number {
  return layers.findIndex(layer => layer.includes(room))
}

function isTest(file: string): boolean {
  return file.includes('.test') || file.endsWith('-test-support.ts')
}
