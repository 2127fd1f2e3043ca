/**
 * What crosses from the main thread to the workers: the configuration in force, immutable and numbered, and the
 * memory that all threads share. Everything here survives structured cloning; a worker compiles it on arrival.
 */

import type { TargetGroupArn } from './arns.ts'
import type { AvailabilityZone, LoadBalancer, TargetGroup, TargetGroupAttributes } from './resources.ts'

export type Snapshot = {
  /** Rises by one with each publication; the first is 1. */
  readonly number: number
  readonly loadBalancers: readonly SnapshotLoadBalancer[]
  readonly targetGroups: readonly SnapshotTargetGroup[]
  /** Newest first: the first one seals, all of them open. */
  readonly cookieKeys: readonly CookieKey[]
  /** 48 bytes; with the same in all workers, a TLS session begun with one is resumed with any. */
  readonly tlsTicketKeys: Uint8Array
}

/** Seals stickiness cookies. */
export type CookieKey = {
  /** Rises with each key; stands in the cookie. 0 to 2^32 - 1. */
  readonly id: number
  /** 32 bytes. */
  readonly key: Uint8Array
}

/** A slot is an index into the shared memory; it stays with its owner for as long as that exists. */
export type SnapshotLoadBalancer = LoadBalancer & {
  /** One for each zone, in their order. */
  readonly nodes: readonly SnapshotNode[]
}

export type SnapshotNode = AvailabilityZone & { readonly slot: number }

/** A target group as one node has it: each decides alone, by what it sees of the targets itself. */
export type SnapshotTargetGroup = {
  readonly slot: number
  /** The node's slot; null while no listener or rule leads to the group. */
  readonly node: number | null
  readonly arn: TargetGroupArn
  readonly name: string
  readonly protocol: TargetGroup['protocol']
  readonly protocolVersion: TargetGroup['protocolVersion']
  readonly attributes: TargetGroupAttributes
  /** That the node may send requests to. */
  readonly targets: readonly SnapshotTarget[]
  /** Of other zones that the node sends no requests to; it checks their health all the same. */
  readonly targetsElsewhere: readonly SnapshotTarget[]
}

export type SnapshotTarget = {
  readonly slot: number
  readonly ip: string
  readonly port: number
}
