/**
 * Stickiness: which target group and which target a client's cookies ask for, and the cookies that a response carries.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/sticky-sessions.html
 */

import { Field, type RequestHead, type ResponseHead } from '../http/h1.ts'
import { stickyCookieExpiresMs } from '../model/limits.ts'
import type { Stickiness } from '../model/resources.ts'
import { LoadBalancerColumn } from '../observe/counters.ts'
import type { Target, TargetGroup } from '../targets/target-group.ts'
import { pickWeighted } from '../targets/weights.ts'
import type { RunningForward } from './context.ts'
import type { Exchange } from './exchange.ts'

const appCookieShards = 4
/** What a shard says that holds nothing (assumed, from responses seen in the field). */
const noShard = '_remove_'
/** From this version on, Chromium drops a cookie of a cross-site request that does not say `SameSite=None; Secure`. */
const chromiumSameSiteVersion = 80

/** By the client's cookie, or by weight, whatever the health of its targets. Null: all weights are 0. */
export function chooseTargetGroup(exchange: Exchange, action: RunningForward, now: number): TargetGroup | null {
  const { groups } = action
  if (action.stickinessSeconds !== null) {
    const tied = tiedGroup(exchange, action, now)
    if (tied !== null) return tied
  }
  const i = pickWeighted(groups, Math.random)
  return i === -1 ? null : groups[i]!.group
}

function tiedGroup(exchange: Exchange, { groups }: RunningForward, now: number): TargetGroup | null {
  const { head, plane } = exchange
  const value = cookieOf(head, 'AWSALBTGCORS') ?? cookieOf(head, 'AWSALBTG')
  if (value === null) return null
  const ticket = plane.cookies.open(value)
  if (ticket?.kind !== 'targetGroup') {
    exchange.errorReason = 'AWSALBTGCookieInvalid'
    return null
  }
  if (ticket.expiresAtMs <= plane.clock.originMs + now) return null
  return groups.find(({ group }) => group.id === ticket.groupId)?.group ?? null
}

/** By the client's cookie where that is possible, else by the group's algorithm. Null: the group is empty. */
export function chooseTarget(exchange: Exchange, group: TargetGroup, now: number): Target | null {
  const { plane } = exchange
  const { stickiness } = group.attributes
  if (stickiness !== null) {
    const value = stickyValue(exchange.head, stickiness)
    exchange.hasStickySession = value !== null
    const tied = value === null ? null : tiedTarget(exchange, group, value, now)
    if (tied !== null) return tied
    // First requests of new clients are counted as well.
    const { slot } = exchange.listener!.loadBalancer
    plane.counters.countLoadBalancer(slot, LoadBalancerColumn.NonStickyRequestCount, 1)
  }
  return group.takeTarget(plane.states, plane.clock.originMs + now)
}

/** What the client brought back; null when it brought nothing that could tie it. */
function stickyValue(head: RequestHead, stickiness: Stickiness): string | null {
  // Of two that differ, the one for cross-site requests counts.
  if (stickiness.type === 'lb_cookie') return cookieOf(head, 'AWSALBCORS') ?? cookieOf(head, 'AWSALB')
  if (cookieOf(head, stickiness.cookieName) === null) return null
  let value = ''
  for (let i = 0; i < appCookieShards; i++) {
    const shard = cookieOf(head, `AWSALBAPP-${i}`)
    if (shard !== null && shard !== noShard) value += shard
  }
  return value === '' ? null : value
}

function tiedTarget({ plane }: Exchange, group: TargetGroup, value: string, now: number): Target | null {
  const ticket = plane.cookies.open(value)
  if (ticket?.kind !== 'target' || ticket.groupId !== group.id) return null
  if (ticket.expiresAtMs <= plane.clock.originMs + now) return null
  const target = group.findTarget(ticket.ip, ticket.port)
  return target !== null && group.takeThisTarget(plane.states, target) ? target : null
}

/**
 * The value of a cookie, the first of its name; null when it was not sent. Nothing is decoded, as in the service.
 */
export function cookieOf(head: RequestHead, name: string): string | null {
  for (let i = 0; i < head.fieldCount; i++) {
    if (head.field(i) !== Field.cookie) continue
    const cookies = head.text(head.valueFrom(i), head.valueTo(i))
    for (let at = cookies.indexOf(name); at !== -1; at = cookies.indexOf(name, at + 1)) {
      if (cookies[at + name.length] !== '=' || !beginsCookie(cookies, at)) continue
      const end = cookies.indexOf(';', at)
      return cookies.slice(at + name.length + 1, end === -1 ? cookies.length : end).trimEnd()
    }
  }
  return null
}

function beginsCookie(cookies: string, at: number): boolean {
  let before = at - 1
  while (before >= 0 && (cookies[before] === ' ' || cookies[before] === '\t')) before--
  return before < 0 || cookies[before] === ';'
}

const noCookies: readonly string[] = []

/** What `Set-Cookie` says to tie the client from now on; each response begins the duration anew. */
export function stickyCookies(exchange: Exchange, head: ResponseHead, now: number): readonly string[] {
  const { action } = exchange.rule!
  const { stickiness } = exchange.targetGroup!.attributes
  const groupSeconds = action.type === 'forward' ? action.stickinessSeconds : null
  if (stickiness === null && groupSeconds === null) return noCookies

  const { plane } = exchange
  const nowMs = plane.clock.originMs + now
  const rest = `; Expires=${new Date(nowMs + stickyCookieExpiresMs).toUTCString()}; Path=/`
  const { id: groupId } = exchange.targetGroup!
  const isSecure = exchange.listener!.protocol === 'https'
  const cookies: string[] = []
  if (groupSeconds !== null) {
    const expiresAtMs = nowMs + groupSeconds * 1000
    cookies.push(...pair('AWSALBTG', plane.cookies.seal({ kind: 'targetGroup', groupId, expiresAtMs }), rest, isSecure))
  }
  if (stickiness === null) return cookies
  const { ip, port } = exchange.target!
  const ticket = { kind: 'target', groupId, ip, port, expiresAtMs: nowMs + stickiness.durationSeconds * 1000 } as const
  if (stickiness.type === 'lb_cookie') {
    cookies.push(...pair('AWSALB', plane.cookies.seal(ticket), rest, isSecure))
    return cookies
  }

  // A session goes on, with another target if need be, whether or not the target names its cookie again.
  const isTied = exchange.hasStickySession || setsCookie(head, stickiness.cookieName)
  const attributes = isChromiumAcrossSites(exchange.head) ? `${rest}; SameSite=None; Secure` : rest
  cookies.push(`AWSALBAPP-0=${isTied ? plane.cookies.seal(ticket) : noShard}${attributes}`)
  for (let i = 1; i < appCookieShards; i++) cookies.push(`AWSALBAPP-${i}=${noShard}${attributes}`)
  return cookies
}

/** A cookie and its twin for cross-site requests, which says `Secure` on HTTPS listeners only. */
const pair = (name: string, value: string, rest: string, isSecure: boolean): [string, string] => [
  `${name}=${value}${rest}`,
  `${name}CORS=${value}${rest}; SameSite=None${isSecure ? '; Secure' : ''}`,
]

/** Whether the target itself sets a cookie of that name; its value and age do not matter. */
function setsCookie(head: ResponseHead, name: string): boolean {
  for (let i = 0; i < head.fieldCount; i++) {
    if (head.field(i) !== Field.setCookie) continue
    const text = head.text(head.valueFrom(i), head.valueTo(i))
    if (text.startsWith(name) && text.slice(name.length).trimStart().startsWith('=')) return true
  }
  return false
}

/** A request with an Origin from a Chromium that minds the SameSite attribute. */
function isChromiumAcrossSites(head: RequestHead): boolean {
  const agentAt = head.indexOf(Field.userAgent)
  if (agentAt === -1 || head.indexNamed('origin', 0) === -1) return false
  const agent = head.text(head.valueFrom(agentAt), head.valueTo(agentAt))
  const at = agent.search(/Chrom(?:e|ium)\//)
  if (at === -1) return false
  return Number.parseInt(agent.slice(agent.indexOf('/', at) + 1), 10) >= chromiumSameSiteVersion
}
