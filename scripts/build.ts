/** Emits the JavaScript that the npm package carries: Node does not strip types inside `node_modules`. */
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
rmSync(join(root, 'dist'), { recursive: true, force: true }) // What was renamed or removed must not be published.
const tsc = join(root, 'node_modules', '.bin', 'tsc')
const { status } = spawnSync(tsc, ['-p', join(root, 'scripts', 'tsconfig.build.json')], { cwd: root, stdio: 'inherit' })
process.exitCode = status ?? 1
