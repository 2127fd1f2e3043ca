/**
 * Transcripts: what came over a connection, and what the codec made of it, as text that anyone can review.
 *
 *     # a name, which states a behaviour
 *     > bytes: \r \n \t \0 \xNN \\ \{ are escapes, {ab*3} stands for ababab; several such lines are joined
 *     ? HEAD
 *     @7 event, at the offset of the byte that decided it
 *       Name: value
 *     = POST / HTTP/1.1 | Host: a
 *     more
 *
 * `? HEAD`: the responses answer a HEAD request. Indented lines under a head are all of its fields, values without the
 * white space around them; without such lines the fields are not looked at. `=`: what a target is sent of the request,
 * less what is the same for all, or the fault that refuses it; without such lines that is not looked at. `more`: the
 * bytes ended in mid-message.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export type Transcript = {
  readonly name: string
  /** `file.txt:12`, where the name stands. */
  readonly place: string
  readonly bytes: Buffer
  readonly answersHead: boolean
  readonly events: readonly string[]
}

/** @throws on a line that is none of the above, and on a transcript without a name or without bytes */
export function readTranscripts(folder: string): readonly Transcript[] {
  const files = readdirSync(folder).filter(file => file.endsWith('.txt'))
  return files.sort().flatMap(file => parseTranscripts(readFileSync(join(folder, file), 'utf8'), file))
}

export function parseTranscripts(text: string, file: string): readonly Transcript[] {
  const transcripts: { name: string; place: string; bytes: Buffer; answersHead: boolean; events: string[] }[] = []
  for (const [i, line] of text.split('\n').entries()) {
    const place = `${file}:${i + 1}`
    if (line.startsWith('# ')) {
      transcripts.push({ name: line.slice(2), place, bytes: Buffer.alloc(0), answersHead: false, events: [] })
      continue
    }
    const current = transcripts.at(-1)
    if (line === '') continue
    if (current === undefined) throw new Error(`${place}: expected "# name" first, not: ${line}`)
    if (line.startsWith('> ')) current.bytes = Buffer.concat([current.bytes, unescapeBytes(line.slice(2))])
    else if (line === '? HEAD') current.answersHead = true
    else if (/^(@\d+ |more$|= | {2})/.test(line)) current.events.push(line)
    else throw new Error(`${place}: not a line of a transcript: ${line}`)
  }
  for (const { place, bytes } of transcripts) if (bytes.length === 0) throw new Error(`${place}: no "> " line`)
  return transcripts
}

const named: Readonly<Record<string, number>> = { r: 0x0d, n: 0x0a, t: 0x09, '0': 0, '\\': 0x5c, '{': 0x7b }

export function unescapeBytes(text: string): Buffer {
  const pieces: Buffer[] = []
  for (let at = 0; at < text.length; ) {
    const repeated = text[at] === '{' ? /^\{((?:\\.|[^\\{])*?)\*(\d+)\}/.exec(text.slice(at)) : null
    if (repeated !== null) {
      const once = unescapeBytes(repeated[1]!)
      for (let i = Number(repeated[2]); i > 0; i--) pieces.push(once)
      at += repeated[0].length
    } else if (text[at] !== '\\') {
      if (text[at] === '{') throw new Error(`not a repetition such as {ab*3}: ${text.slice(at)}`)
      pieces.push(Buffer.from(text[at++]!, 'latin1'))
    } else if (text[at + 1] === 'x' && /^[0-9a-f]{2}$/.test(text.slice(at + 2, at + 4))) {
      pieces.push(Buffer.of(Number.parseInt(text.slice(at + 2, at + 4), 16)))
      at += 4
    } else {
      const byte = named[text[at + 1] ?? '']
      if (byte === undefined) throw new Error(`not an escape: ${text.slice(at, at + 2)}`)
      pieces.push(Buffer.of(byte))
      at += 2
    }
  }
  return Buffer.concat(pieces)
}

const escapes: Readonly<Record<string, string>> = {
  '\r': '\\r',
  '\n': '\\n',
  '\t': '\\t',
  '\0': '\\0',
  '\\': '\\\\',
  '{': '\\{',
}

/** The inverse of `unescapeBytes`; a run of at least 24 times the same byte becomes a repetition. */
export function escapeBytes(bytes: Uint8Array): string {
  const escaped = Buffer.from(bytes)
    .toString('latin1')
    .replace(/[^ -z|}~]|\\/g, c => escapes[c] ?? `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)
  return escaped.replace(/(\\x..|\\.|.)\1{23,}/g, (run, once: string) => `{${once}*${run.length / once.length}}`)
}
