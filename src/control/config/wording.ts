/**
 * How the schema complains. Each message is a predicate ("must be …, not …"); whoever shows it puts the key before it.
 * What the real service has and this one has not yet is told apart from what nobody has.
 */

import { z } from 'zod'
import { nearest } from './nearest.ts'

type RawIssue = z.core.$ZodRawIssue

/** Error option of a schema whose every fault is told in one sentence. */
export function must(be: string): { error: (issue: RawIssue) => string } {
  return { error: issue => mismatch(be, issue.input) }
}

export function mismatch(be: string, input: unknown): string {
  if (input === undefined) return `is missing: it must be ${be}`
  if (input === null) return `is empty: it must be ${be}`
  return `must be ${be}, not ${show(input)}`
}

/** One of `options`, all of which we behave as; `later` are the real service's others. */
export function choice<const Options extends readonly [string, ...string[]]>(options: Options, later: string[] = []) {
  return z.enum(options, { error: issue => choiceMismatch(options, later, issue.input) })
}

function choiceMismatch(options: readonly string[], later: readonly string[], input: unknown): string {
  return later.includes(input as string) ? `${input} is not supported yet` : mismatch(orList(options), input)
}

/** For a union of maps that `key` tells apart. */
export function noVariant(issue: RawIssue, key: string, options: readonly string[], later: string[] = []): string {
  if (issue.code !== 'invalid_union') return mismatch(`a map with ${key} ${options.join(', ')}`, issue.input)
  return choiceMismatch(options, later, (issue.input as Record<string, unknown>)[key])
}

/**
 * A map with known keys only.
 *
 * @param refused keys that are known but cannot be used, with what to say of them
 */
export function shape<Fields extends z.ZodRawShape>(fields: Fields, refused: ReadonlyMap<string, string> = new Map()) {
  const allowed = Object.keys(fields).filter(key => key !== '$schema')
  return z.strictObject(fields, {
    error: issue => {
      if (issue.code !== 'unrecognized_keys') return mismatch(`a map with ${andList(allowed)}`, issue.input)
      // One line for each key: `schemaProblems` takes them apart, since each has a place of its own.
      return issue.keys.map(key => unusableKey(key, allowed, refused)).join('\n')
    },
  })
}

/** Keys of the real service that are not implemented. */
export function notYet(...keys: readonly string[]): ReadonlyMap<string, string> {
  return new Map(keys.map(key => [key, 'is not supported yet']))
}

function unusableKey(key: string, allowed: readonly string[], refused: ReadonlyMap<string, string>): string {
  const why = refused.get(key)
  if (why !== undefined) return `${key} ${why}`
  const unknown = `unknown key ${JSON.stringify(key)}`
  const meant = nearest(key, [...allowed, ...refused.keys()])
  const all = `allowed: ${allowed.join(', ')}`
  if (meant === null) return `${unknown}; ${all}`
  const hint = `${unknown}: did you mean ${JSON.stringify(meant)}?`
  // Two dozen attribute keys would bury the one that was meant.
  return allowed.length > 12 ? hint : `${hint} (${all})`
}

export function show(input: unknown): string {
  if (Array.isArray(input)) return 'a list'
  if (typeof input === 'object' && input !== null) return 'a map'
  const text = JSON.stringify(input) ?? String(input)
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

export function andList(words: readonly string[]): string {
  return joined(words, 'and')
}

export function orList(words: readonly string[]): string {
  return joined(words, 'or')
}

function joined(words: readonly string[], last: string): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`
}
