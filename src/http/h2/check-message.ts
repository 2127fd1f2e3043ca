/**
 * What the fields of a message must be together (RFC 9113, section 8); each by itself is judged in `field-kind.ts`. Where
 * a fault was found before, that one stands.
 */

import type { FieldBlock } from './field-block.ts'

export const lengthText = 'content-length must be the length of the data'

/** @param isEnd whether no data follows */
export function checkRequest(fields: FieldBlock, isEnd: boolean): void {
  const breach = breachOfRequest(fields) ?? (isEnd && fields.contentLength > 0 ? lengthText : null)
  if (breach !== null) fields.fail(breach)
}

function breachOfRequest(fields: FieldBlock): string | null {
  if (fields.pseudo(':status') !== -1) return 'a request must not have :status'
  const method = fields.pseudo(':method')
  if (method === -1) return 'a request must have :method'
  const hasPath = fields.pseudo(':path') !== -1
  const hasScheme = fields.pseudo(':scheme') !== -1
  if (isConnect(fields, method)) {
    if (hasPath || hasScheme) return 'CONNECT must have neither :path nor :scheme'
    return fields.pseudo(':authority') === -1 ? 'CONNECT must have :authority' : null
  }
  if (!hasPath) return 'a request must have :path'
  return hasScheme ? null : 'a request must have :scheme'
}

const connect = Buffer.from('CONNECT')

function isConnect(fields: FieldBlock, method: number): boolean {
  const from = fields.valueFrom(method)
  return (
    fields.valueTo(method) - from === connect.length && connect.compare(fields.bytes, from, from + connect.length) === 0
  )
}

/**
 * @param isEnd whether no data follows
 * @returns the status, -1 where there is none
 */
export function checkResponse(fields: FieldBlock, isEnd: boolean): number {
  const status = statusOf(fields)
  if (status === -1) fields.fail('a response must have :status')
  if (fields.pseudoCount > 1) fields.fail('a response must have no pseudo-header but :status')
  if (status < 200 && isEnd) fields.fail('an interim response must not end the stream')
  return status
}

function statusOf(fields: FieldBlock): number {
  const at = fields.pseudo(':status')
  if (at === -1) return -1
  const { bytes } = fields
  const from = fields.valueFrom(at)
  return (bytes[from]! - 0x30) * 100 + (bytes[from + 1]! - 0x30) * 10 + (bytes[from + 2]! - 0x30)
}

export function checkTrailers(fields: FieldBlock): void {
  if (fields.pseudoCount > 0) fields.fail('trailers must have no pseudo-headers')
}
