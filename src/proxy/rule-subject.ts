/** A request as rules look at it. */

import { assert } from '../base/assert.ts'
import type { RuleSubject } from '../routing/rules.ts'
import type { Exchange } from './exchange.ts'
import { uriOf } from './request-target.ts'

/** Serves one request after the other, so that matching makes nothing anew; a subject is looked at before the next. */
class RequestSubject implements RuleSubject {
  #exchange: Exchange | null = null
  /** Where the last `ruleHeader` found something, so that a thousand fields of one name are read once. */
  #found = -1

  of(exchange: Exchange): this {
    this.#exchange = exchange
    return this
  }

  get #request(): Exchange {
    assert(this.#exchange !== null, 'a subject is of a request')
    return this.#exchange
  }

  get clientIp(): string {
    return this.#request.client!.ip
  }

  ruleHost(): string {
    return this.#request.host
  }

  rulePath(): string {
    const uri = ruleUri(this.#request)
    const query = uri.indexOf('?')
    return query === -1 ? uri : uri.slice(0, query)
  }

  ruleQuery(): string {
    const uri = ruleUri(this.#request)
    const query = uri.indexOf('?')
    return query === -1 ? '' : uri.slice(query + 1)
  }

  ruleMethod(): string {
    const { head } = this.#request
    return head.text(head.methodFrom, head.methodTo)
  }

  ruleHeader(name: string, occurrence: number): string | null {
    const { head } = this.#request
    const i = head.indexNamed(name, occurrence === 0 ? 0 : this.#found + 1)
    if (i === -1) return null
    this.#found = i
    return head.text(head.valueFrom(i), head.valueTo(i))
  }
}

/** Path and query. No client should send a fragment; one that does gets no further by it. */
function ruleUri(exchange: Exchange): string {
  const uri = uriOf(exchange)
  const fragment = uri.indexOf('#')
  return fragment === -1 ? uri : uri.slice(0, fragment)
}

const subject = new RequestSubject()

export const ruleSubject = (exchange: Exchange): RuleSubject => subject.of(exchange)
