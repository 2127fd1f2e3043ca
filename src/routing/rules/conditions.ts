/** Compiled conditions: each says whether what was read of a request meets it. */

import { assert } from '../../base/assert.ts'
import type { Condition, QueryStringValue, TextValues } from '../../model/resources.ts'
import { type Cidr, contains, parseCidr } from '../cidr.ts'
import { compileMatcher, type Matcher } from '../regex.ts'
import { compileEscapedWildcard, compileWildcard, type Wildcard } from '../wildcard.ts'
import type { Reading } from './reading.ts'

export type CompiledCondition = {
  isMet(reading: Reading): boolean
}

export function compileCondition(condition: Condition): CompiledCondition {
  switch (condition.field) {
    case 'host-header':
      return new TextCondition(true, compileTexts(condition, true))
    case 'path-pattern':
      return new TextCondition(false, compileTexts(condition, false))
    case 'http-header':
      return new HeaderCondition(condition.httpHeaderName.toLowerCase(), compileTexts(condition, true))
    case 'http-request-method':
      return new MethodCondition(condition.values)
    case 'query-string':
      return new QueryCondition(condition.values.map(compilePair))
    case 'source-ip':
      return new SourceCondition(condition.values.map(compileBlock))
  }
}

export function compileValues(values: readonly string[], ignoresCase: boolean): readonly Wildcard[] {
  return values.map(value => compileWildcard(ignoresCase ? value.toLowerCase() : value))
}

/** That expressions ignore case exactly where values do is assumed. */
function compileTexts({ values, regexValues }: TextValues, ignoresCase: boolean): readonly Matcher[] {
  return [...compileValues(values, ignoresCase), ...regexValues.map(value => compileMatcher(value, ignoresCase))]
}

function compilePair({ key, value }: QueryStringValue): PairMatcher {
  return {
    key: key === null ? null : compileEscapedWildcard(key.toLowerCase()),
    value: compileEscapedWildcard(value.toLowerCase()),
  }
}

function compileBlock(text: string): Cidr {
  const block = parseCidr(text)
  assert(block !== null, 'a source-ip value was checked when it was configured')
  return block
}

class TextCondition implements CompiledCondition {
  readonly #isHost: boolean
  readonly #values: readonly Matcher[]

  constructor(isHost: boolean, values: readonly Matcher[]) {
    this.#isHost = isHost
    this.#values = values
  }

  isMet(reading: Reading): boolean {
    return anyMatches(this.#values, this.#isHost ? reading.host : reading.path)
  }
}

class HeaderCondition implements CompiledCondition {
  readonly #name: string
  readonly #values: readonly Matcher[]

  constructor(name: string, values: readonly Matcher[]) {
    this.#name = name
    this.#values = values
  }

  isMet(reading: Reading): boolean {
    for (const text of reading.headerValues(this.#name)) if (anyMatches(this.#values, text)) return true
    return false
  }
}

class MethodCondition implements CompiledCondition {
  readonly #methods: readonly string[]

  constructor(methods: readonly string[]) {
    this.#methods = methods
  }

  isMet(reading: Reading): boolean {
    return this.#methods.includes(reading.method)
  }
}

type PairMatcher = { readonly key: Wildcard | null; readonly value: Wildcard }

class QueryCondition implements CompiledCondition {
  readonly #pairs: readonly PairMatcher[]

  constructor(pairs: readonly PairMatcher[]) {
    this.#pairs = pairs
  }

  isMet(reading: Reading): boolean {
    const { queryKeys, queryValues } = reading
    for (let i = 0; i < queryKeys.length; i++) {
      for (const { key, value } of this.#pairs) {
        if ((key === null || key.matches(queryKeys[i]!)) && value.matches(queryValues[i]!)) return true
      }
    }
    return false
  }
}

class SourceCondition implements CompiledCondition {
  readonly #blocks: readonly Cidr[]

  constructor(blocks: readonly Cidr[]) {
    this.#blocks = blocks
  }

  isMet(reading: Reading): boolean {
    for (const block of this.#blocks) if (contains(block, reading.clientWords)) return true
    return false
  }
}

function anyMatches(matchers: readonly Matcher[], text: string): boolean {
  for (let i = 0; i < matchers.length; i++) if (matchers[i]!.matches(text)) return true
  return false
}
