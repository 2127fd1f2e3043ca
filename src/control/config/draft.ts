/**
 * Takes a source through the schema. What the schema refused is left out and the rest kept as a draft, so that the
 * rules over several values can still be checked and all problems of a file come at once.
 */

import type { z } from 'zod'
import { ConfigFile, type ConfigInput, type ConfigOutput } from './schema.ts'
import { type ConfigProblem, formatLabel, type Key, Place, readValue, type Source } from './source.ts'

/** The same with anything possibly missing. What is there has the right type, though a string may be ill-formed. */
export type Draft<T> = T extends readonly (infer Item)[]
  ? readonly (Draft<Item> | undefined)[]
  : T extends object
    ? { readonly [Name in keyof T]?: Draft<T[Name]> | undefined }
    : T

export type FileDraft = Draft<ConfigInput>
type Item<List> = NonNullable<NonNullable<List> extends readonly (infer T)[] ? T : never>
export type LoadBalancerDraft = Item<FileDraft['loadBalancers']>
export type ListenerDraft = Item<LoadBalancerDraft['listeners']>
export type CertificateDraft = Item<ListenerDraft['certificates']>
export type RuleDraft = Item<ListenerDraft['rules']>
export type ConditionDraft = Item<RuleDraft['conditions']>
export type ActionDraft = Item<ListenerDraft['defaultActions']>
export type ForwardDraft = Extract<ActionDraft, { readonly type?: 'forward' | undefined }>
export type RedirectDraft = Extract<ActionDraft, { readonly type?: 'redirect' | undefined }>
export type FixedResponseDraft = Extract<ActionDraft, { readonly type?: 'fixed-response' | undefined }>
export type ZonalShiftDraft = Item<FileDraft['zonalShifts']>
export type TargetGroupDraft = Item<FileDraft['targetGroups']>
export type TrustStoreDraft = Item<FileDraft['trustStores']>
export type RevocationListDraft = Item<TrustStoreDraft['revocationLists']>

/** A value and where it is. */
export type Found<T> = { readonly place: Place; readonly value: T }

/** What is there of a list. */
export function itemsOf<T>(place: Place, list: readonly (T | undefined)[] | undefined): Found<T>[] {
  return (list ?? []).flatMap((value, at) => (value === undefined ? [] : [{ place: place.at(at), value }]))
}

/** Whether the schema refused nothing directly in `value`. Otherwise what looks left out may have been given. */
export function isWhole(value: object): boolean {
  return !Object.values(value).includes(undefined)
}

/** @param predicate the place's key is put before it, as in `port must be …` */
export type Report = (place: Place, predicate: string) => void

export type Drafted = {
  readonly problems: readonly ConfigProblem[]
  /** null when the text could not be read at all. */
  readonly draft: FileDraft | null
  /** null when there are problems. */
  readonly output: ConfigOutput | null
}

export function draftSource(source: Source): Drafted {
  const { value, problems: syntaxProblems } = readValue(source)
  if (value === undefined) return { problems: syntaxProblems, draft: null, output: null }
  if (value === null) {
    return { problems: [new Place(source).problem('the file is empty')], draft: null, output: null }
  }
  const parsed = ConfigFile.safeParse(value)
  if (parsed.success && syntaxProblems.length === 0) {
    return { problems: [], draft: value as FileDraft, output: parsed.data }
  }
  const issues = parsed.error?.issues ?? []
  const problems = [...syntaxProblems, ...schemaProblems(new Place(source), issues)]
  return { problems, draft: salvage(value, issues), output: null }
}

function schemaProblems(root: Place, issues: readonly z.core.$ZodIssue[]): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  const seen = new Set<string>()
  for (const issue of issues) {
    const place = root.at(...(issue.path as Key[]))
    if (issue.code === 'unrecognized_keys') {
      const messages = issue.message.split('\n')
      issue.keys.forEach((key, at) => {
        problems.push(place.at(key).problemOfKey(messages[at]!))
      })
      continue
    }
    // The first complaint about a value is enough.
    const path = JSON.stringify(issue.path)
    if (seen.has(path)) continue
    seen.add(path)
    const hint = place.isPlaceholderComment() ? '; quote a value that starts with "#", or it is a comment' : ''
    problems.push(place.problem(`${formatLabel(place.path)} ${issue.message}${hint}`))
  }
  return problems
}

/** A copy of `value` without what has the wrong type or is a number out of range. */
function salvage(value: unknown, issues: readonly z.core.$ZodIssue[]): FileDraft {
  const root = { value: structuredClone(value) }
  for (const issue of issues) {
    if (isTyped(issue)) continue
    const keys = ['value', ...(issue.path as Key[])]
    let holder: unknown = root
    for (const key of keys.slice(0, -1)) holder = (holder as Record<Key, unknown> | undefined)?.[key]
    // A list keeps its length, because indexes are places.
    if (typeof holder === 'object' && holder !== null) (holder as Record<Key, unknown>)[keys.at(-1)!] = undefined
  }
  return (root.value ?? {}) as FileDraft
}

/** Whether the value is of its type all the same: a list too long, a string of the wrong form, a key too many. */
function isTyped(issue: z.core.$ZodIssue): boolean {
  switch (issue.code) {
    case 'too_small':
    case 'too_big':
      return issue.origin === 'array' || issue.origin === 'string'
    case 'invalid_format':
    case 'custom':
    case 'unrecognized_keys':
      return true
    default:
      return false
  }
}
