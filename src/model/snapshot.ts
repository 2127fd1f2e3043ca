/**
 * What crosses from the main thread to the workers: the configuration in force, immutable and numbered, and the
 * memory that all threads share. Everything here survives structured cloning; a worker compiles it on arrival.
 */

import type { TargetGroupArn } from './arns.ts'
import type { LoadBalancer, Target, TargetGroup, TargetGroupAttributes } from './resources.ts'

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

/** A slot is an index into the shared memory; it stays with its resource for as long as that exists. */
export type SnapshotLoadBalancer = LoadBalancer & { readonly slot: number }

export type SnapshotTargetGroup = {
  readonly slot: number
  readonly arn: TargetGroupArn
  readonly name: string
  readonly protocol: TargetGroup['protocol']
  readonly protocolVersion: TargetGroup['protocolVersion']
  readonly attributes: TargetGroupAttributes
  readonly targets: readonly SnapshotTarget[]
}

export type SnapshotTarget = Target & { readonly slot: number }
