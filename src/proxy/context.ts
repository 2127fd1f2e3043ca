/** What the whole data plane of one worker shares, handed down instead of imported. */

import type { Clock } from '../base/clock.ts'
import type { FaultEvent } from '../model/fault-event.ts'
import type { FaultCode } from '../model/faults.ts'
import type { LoadBalancerAttributes, RequestHeaderNames, RoutingAction } from '../model/resources.ts'
import type { TargetStates } from '../model/target-states.ts'
import type { TlsListener } from '../net/accept-tls.ts'
import type { NetContext } from '../net/connection.ts'
import type { CounterSlab } from '../observe/counters.ts'
import type { LogWriter } from '../observe/log-writer.ts'
import type { CompiledRules } from '../routing/rules.ts'
import type { CookieSeal } from '../targets/cookie-seal.ts'
import type { TargetGroup } from '../targets/target-group.ts'
import type { Exchange } from './exchange.ts'
import type { ExchangePool } from './exchange-pool.ts'
import type { IdSource } from './ids.ts'

export type PlaneContext = {
  readonly net: NetContext
  readonly clock: Clock
  readonly states: TargetStates
  readonly counters: CounterSlab
  readonly ids: IdSource
  /** Seals and opens stickiness cookies; another one with each snapshot. */
  cookies: CookieSeal
  readonly dates: { httpDate(nowMs: number): string }
  /** Called for each exchange that ended with a fault; must be cheap. */
  readonly onFault: (exchange: Exchange, fault: FaultCode) => void
  /** The same for a connection, whatever it carried. */
  readonly onConnectionFault: (event: ConnectionFault) => void
  readonly exchanges: ExchangePool
  /** Set by a shutdown: every response says `Connection: close`. */
  isStopping: boolean
}

export type ConnectionFault = Pick<FaultEvent, 'fault' | 'detail' | 'atMs' | 'loadBalancer'> & {
  /** `ip:port` */
  readonly clientAddress: string
}

/** A load balancer as it runs at one address of a node of it. */
export type RunningLoadBalancer = {
  /** The node's. */
  readonly slot: number
  /** `app/<name>/<id>` */
  readonly resourceId: string
  readonly dnsName: string
  readonly attributes: LoadBalancerAttributes
  readonly idleTimeoutMs: number
  /** What the logs call the node. */
  readonly nodeIp: string
  readonly log: LogWriter
  readonly connectionLog: LogWriter
}

/** A listener of one snapshot, ready to serve. */
export type RunningListener = {
  readonly loadBalancer: RunningLoadBalancer
  readonly port: number
  readonly protocol: 'http' | 'https'
  /** Null on HTTP listeners. */
  readonly tls: TlsListener | null
  readonly rules: CompiledRules<RunningAction>
  readonly serverHeader: boolean
  readonly responseHeaders: RunningResponseHeaders | null
  /** Null where targets are told nothing of the client's TLS. */
  readonly requestHeaders: RunningRequestHeaders | null
}

/** Headers that tell targets of the client's TLS. */
export type RunningRequestHeaders = {
  readonly names: RequestHeaderNames
  /** Version and cipher are told, too. */
  readonly tellsTls: boolean
  /** As `reservable` has them: who is to be told by these must not get a client's own instead. */
  readonly reserved: ReadonlySet<string>
}

/** Headers that every response of a listener carries, in place of what the target says. */
export type RunningResponseHeaders = {
  /** Lower case. */
  readonly names: ReadonlySet<string>
  /** Whole lines, ready to be written. */
  readonly lines: string
  /** The same, one by one. */
  readonly fields: readonly (readonly [name: string, value: string])[]
}

export type RunningAction = Exclude<RoutingAction, { type: 'forward' }> | RunningForward

export type RunningForward = {
  readonly type: 'forward'
  readonly groups: readonly { readonly group: TargetGroup; readonly weight: number }[]
  readonly stickinessSeconds: number | null
}
