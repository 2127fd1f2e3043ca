/** What the rules have asked of one request so far: each thing is asked for once, and only when a rule needs it. */

import { type AddressWords, parseAddress } from '../../base/ip-address.ts'

/** What rules look at; asked only for what some rule needs. */
export type RuleSubject = {
  /** As `net.Socket` reports it, IPv4 never mapped. */
  readonly clientIp: string
  /** Lower-cased, without a port. */
  ruleHost(): string
  /** Without the query. */
  rulePath(): string
  /** Without `?`; empty when there is none. */
  ruleQuery(): string
  ruleMethod(): string
  /**
   * @param name lower-case
   * @param occurrence of that name: asked for from 0 on, one after the other, until there are no more
   * @returns its value, or null behind the last
   */
  ruleHeader(name: string, occurrence: number): string | null
}

const nobody: RuleSubject = {
  clientIp: '',
  ruleHost: () => '',
  rulePath: () => '',
  ruleQuery: () => '',
  ruleMethod: () => '',
  ruleHeader: () => null,
}

/** Reused for every request: matching is synchronous, and its texts are let go at the end. */
export class Reading {
  #subject: RuleSubject = nobody
  #host: string | null = null
  #path: string | null = null
  #method: string | null = null
  #clientWords: AddressWords | null = null
  #headerNames: string[] = []
  #headerValues: (readonly string[])[] = []
  #hasQuery = false
  #queryKeys: string[] = []
  #queryValues: string[] = []

  begin(subject: RuleSubject): void {
    this.#subject = subject
  }

  end(): void {
    this.#subject = nobody
    this.#host = this.#path = this.#method = this.#clientWords = null
    if (this.#headerNames.length > 0) {
      this.#headerNames = []
      this.#headerValues = []
    }
    if (this.#hasQuery) {
      this.#hasQuery = false
      this.#queryKeys = []
      this.#queryValues = []
    }
  }

  get host(): string {
    if (this.#host === null) this.#host = visible(this.#subject.ruleHost())
    return this.#host
  }

  get path(): string {
    if (this.#path === null) this.#path = visible(this.#subject.rulePath())
    return this.#path
  }

  get method(): string {
    if (this.#method === null) this.#method = this.#subject.ruleMethod()
    return this.#method
  }

  get clientWords(): AddressWords {
    if (this.#clientWords === null) this.#clientWords = parseAddress(this.#subject.clientIp) ?? []
    return this.#clientWords
  }

  /** In order, lower-cased. */
  headerValues(name: string): readonly string[] {
    const known = this.#headerNames.indexOf(name)
    if (known !== -1) return this.#headerValues[known]!
    const values: string[] = []
    for (;;) {
      const value = this.#subject.ruleHeader(name, values.length)
      if (value === null) break
      values.push(visible(value).toLowerCase())
    }
    this.#headerNames.push(name)
    this.#headerValues.push(values)
    return values
  }

  /** Of the query's pairs, lower-cased, in order; the values likewise. */
  get queryKeys(): readonly string[] {
    if (!this.#hasQuery) this.#readQuery()
    return this.#queryKeys
  }

  get queryValues(): readonly string[] {
    if (!this.#hasQuery) this.#readQuery()
    return this.#queryValues
  }

  /** A pair ends its key at the first `=`; without one its value is empty, and nothing between two `&` is no pair (assumed). */
  #readQuery(): void {
    this.#hasQuery = true
    const query = visible(this.#subject.ruleQuery()).toLowerCase()
    for (let from = 0; from < query.length; ) {
      const ampersand = query.indexOf('&', from)
      const to = ampersand === -1 ? query.length : ampersand
      if (to > from) {
        const pair = query.slice(from, to)
        const equals = pair.indexOf('=')
        this.#queryKeys.push(equals === -1 ? pair : pair.slice(0, equals))
        this.#queryValues.push(equals === -1 ? '' : pair.slice(equals + 1))
      }
      from = to + 1
    }
  }
}

/** Rules look at visible ASCII only: control bytes are left out of the comparison (assumed: as if they were not there). */
function visible(text: string): string {
  for (let i = 0; i < text.length; i++) if (isControl(text.charCodeAt(i))) return withoutControls(text)
  return text
}

function withoutControls(text: string): string {
  let kept = ''
  for (const c of text) if (!isControl(c.charCodeAt(0))) kept += c
  return kept
}

function isControl(code: number): boolean {
  return code < 0x20 || code === 0x7f
}
