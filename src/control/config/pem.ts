/**
 * PEM as a config file gives it: the path of a file, or the text itself. Knows nothing of what certificates mean.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7468
 */

import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { readErrorText } from './read-error.ts'

/** A text, or what is wrong with it as a predicate. */
export type PemText =
  | { readonly text: string; readonly problem: null }
  | { readonly text: null; readonly problem: string }

/** @throws the system's error, or one whose message says what is wrong with the file */
export type ReadPem = (path: string, bytesMax: number) => string

/** Of a file, unless something larger is expected: the longest of ACM's three parts, the chain. */
const usualBytesMax = 2_097_152

/** Reads each file once, so that all of a configuration sees the same text of it. */
export class PemTexts {
  readonly #read: ReadPem
  readonly #byPath = new Map<string, PemText>()

  constructor(read: ReadPem) {
    this.#read = read
  }

  /** Those that were asked for, found or not; absolute. */
  get files(): string[] {
    return [...this.#byPath.keys()]
  }

  /** @param folder that a relative path starts from */
  find(folder: string, pathOrText: string, bytesMax: number = usualBytesMax): PemText {
    if (pathOrText.includes('-----BEGIN ')) return { text: pathOrText, problem: null }
    if (/[\r\n\0]/.test(pathOrText)) {
      return { text: null, problem: 'must be the path of a PEM file, or PEM text, which starts with -----BEGIN' }
    }
    const path = resolve(folder, pathOrText)
    const known = this.#byPath.get(path)
    if (known !== undefined) return known
    const found = this.#readFile(path, bytesMax)
    this.#byPath.set(path, found)
    return found
  }

  #readFile(path: string, bytesMax: number): PemText {
    try {
      return { text: this.#read(path, bytesMax), problem: null }
    } catch (error) {
      return { text: null, problem: `cannot be read: ${readErrorText(error)}: ${path}` }
    }
  }
}

export function readPemFile(path: string, bytesMax: number): string {
  const stat = statSync(path)
  // Reading a pipe would wait for whoever writes to it.
  if (!stat.isFile() && !stat.isDirectory()) throw new Error('it is not a file')
  if (stat.size > bytesMax) throw new Error(`it has ${stat.size} bytes, too many for PEM`)
  return readFileSync(path, 'utf8')
}

export type PemBlock = { readonly label: string; readonly text: string }

/** What stands between blocks is explanation. */
export function pemBlocks(text: string): PemBlock[] {
  const blocks = text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----[ \t]*\r?\n(?:(?!-----BEGIN ).)*?-----END \1-----/gs)
  return [...blocks].map(([block, label]) => ({ label: label!, text: block }))
}

/** Whether something begins in it that does not end. */
export function isCutOff(text: string, blocks: readonly PemBlock[]): boolean {
  return text.split('-----BEGIN ').length - 1 > blocks.length
}

/** Why a text has no blocks, as a predicate. */
export function notPem(text: string): string {
  if (/[\0\ufffd]/.test(text)) return 'is binary, perhaps DER or PKCS #12, and must be PEM'
  if (/-----BEGIN [A-Z0-9 ]+-----[ \t]*[^\s]/.test(text)) {
    return 'is PEM that has lost its line breaks: in YAML, write the text as a block after "|"'
  }
  return 'is not PEM: it has no -----BEGIN …----- with its -----END …-----'
}
