/** What the access log is expected to say, field by field. */

import assert from 'node:assert/strict'
import { logFields } from './plane.ts'
import type { Scene } from './scene.ts'

/** Fields whose exact value nobody can know beforehand, by what the template writes instead. */
const formats: Readonly<Record<string, RegExp>> = {
  '<trace>': /^Root=1-[0-9a-f]{8}-[0-9a-f]{24}$/,
  '<tid>': /^TID_[0-9a-f]{14}4[0-9a-f][89ab][0-9a-f]{15}$/,
}

/** Compares a line with its template, of which every field counts; `<trace>` and `<tid>` stand for new identifiers. */
export function assertLine(line: string, template: string): void {
  const actual = logFields(line)
  const expected = logFields(template)
  const matched = expected.map((field, i) => (formats[field]?.test(actual[i] ?? '') ? actual[i] : field))
  assert.deepEqual(actual, matched)
  // Quotes belong to the format, too.
  assert.deepEqual(line.match(/"[^"]*"|\S+/g)?.map(isQuoted), template.match(/"[^"]*"|\S+/g)?.map(isQuoted))
}

const isQuoted = (field: string): boolean => field.startsWith('"')

export type LineShape = {
  /** Of `h2`, `grpcs` and `wss`, the listener is that of `secure-listener.ts`. */
  readonly type?: 'http' | 'https' | 'h2' | 'grpcs' | 'ws' | 'wss'
  /** By the scene's clock. */
  readonly createdMs?: number
  readonly endedMs?: number
  /** Null: none was chosen. */
  readonly target: string | null
  /** Fields 6, 7 and 8. */
  readonly times: string
  /** Fields 9 and 10. */
  readonly statuses: string
  /** Fields 11 and 12. */
  readonly bytes: string
  readonly request?: string
  readonly agent?: string
  /** `forward` unless given; '' for a request that was refused before a rule was looked up. */
  readonly action?: 'forward' | 'redirect' | 'fixed-response' | 'rewrite' | ''
  /** Null: the forward came to none. */
  readonly targetGroup?: null
  readonly transformStatus?: string
  readonly rule?: string
  readonly redirectUrl?: string
  /** Fields 28 and 29. */
  readonly classification?: readonly [tier: string, reason: string]
}

/** Compares a line of the scene with its shape. */
export function assertShape(
  line: string,
  scene: Scene,
  client: { readonly localPort: number },
  shape: LineShape,
): void {
  const { loadBalancer, group, plane } = scene
  const time = (ms: number) => new Date(plane.clock.originMs + ms).toISOString().replace('Z', '000Z')
  const { action = 'forward', classification = ['-', '-'] } = shape
  const target = shape.target ?? '-'
  const targetStatus = shape.statuses.split(' ')[1]
  const isHttp2 = shape.type === 'h2' || shape.type === 'grpcs'
  const isSecure = isHttp2 || shape.type === 'wss'
  const tls = isSecure ? 'TLS_AES_128_GCM_SHA256 TLSv1.3' : '- -'
  const served = isSecure ? `"a.example" "${loadBalancer.listeners[0]!.tls!.certificates[0]!.arn}"` : '"-" "-"'
  const usualRequest = isHttp2 ? 'GET https://a:443/ HTTP/2.0' : 'GET http://a:80/ HTTP/1.1'
  const template = [
    `${shape.type ?? 'http'} ${time(shape.endedMs ?? plane.clock.now())} app/web/${loadBalancer.id}`,
    `127.0.0.1:${client.localPort} ${target} ${shape.times} ${shape.statuses} ${shape.bytes}`,
    `"${shape.request ?? usualRequest}" "${shape.agent ?? '-'}" ${tls}`,
    `${action === 'forward' && shape.targetGroup !== null ? group.arn : '-'} "${action === '' ? '-' : '<trace>'}" ${served}`,
    `${action === '' ? '-' : (shape.rule ?? '0')} ${time(shape.createdMs ?? 0)} "${action || '-'}"`,
    `"${shape.redirectUrl ?? '-'}" "-" "${target}" "${targetStatus}"`,
    `"${classification[0]}" "${classification[1]}" <tid> "-" "-" "${shape.transformStatus ?? '-'}" 127.0.0.1`,
  ].join(' ')
  assertLine(line, template)
}
