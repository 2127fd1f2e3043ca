/** What the tests of the log's way to disk share. Only for tests. */

import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { TestContext } from 'node:test'
import { gunzipSync } from 'node:zlib'
import type { LogSource } from './log-files.ts'
import type { LogWriter } from './log-writer.ts'

export const source: LogSource = {
  kind: 'access',
  loadBalancerName: 'web',
  loadBalancerId: '1fa8b17e4c17e7c7',
  nodeIp: '127.31.1.1',
}

export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'openalb-logs-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export function writeLine(writer: LogWriter, text: string): void {
  const at = writer.reserve(text.length + 1)
  commitLine(writer, at, text)
}

function commitLine(writer: LogWriter, at: number, text: string): void {
  const end = at + writer.block.write(text, at, 'latin1')
  writer.block[end] = 0x0a
  writer.commit(end + 1)
}

/** A line that shows whether it is whole: who wrote it, the how manieth it is, and so many bytes of filler. */
export function countedLine(worker: number, number: number, fillBytes: number): string {
  return `${worker} ${number} ${fillBytes} ${String.fromCharCode(0x61 + worker).repeat(fillBytes)}.`
}

/** The numbers of one worker's lines, in their order; throws on a line that is not whole. */
export function numbersOf(worker: number, lines: readonly string[]): number[] {
  const numbers: number[] = []
  for (const line of lines) {
    const [by, number, fillBytes] = line.split(' ', 3).map(Number)
    if (line !== countedLine(by!, number!, fillBytes!)) throw new Error(`not a whole line: ${line.slice(0, 80)}`)
    if (by === worker) numbers.push(number!)
  }
  return numbers
}

export const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

/** Paths of all files below a folder, relative to it and in their order; none when there is no such folder. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  const paths = entries.filter(entry => !entry.isDirectory()).map(entry => join(entry.parentPath, entry.name))
  return paths.map(path => path.slice(folder.length + 1)).sort()
}

/** The lines of all files below a folder, gzipped or not, or of those with such names. */
export async function readLogLines(folder: string, isWanted = (_name: string) => true): Promise<string[]> {
  const lines: string[] = []
  for (const path of await filesBelow(folder)) {
    if (!isWanted(basename(path))) continue
    const bytes = await readFile(join(folder, path))
    const text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('latin1')
    if (text !== '' && !text.endsWith('\n')) throw new Error(`${path} ends within a line`)
    for (const line of text.split('\n').slice(0, -1)) lines.push(line)
  }
  return lines
}
