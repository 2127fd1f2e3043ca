/**
 * What crosses from the main thread to the workers: the configuration in force, immutable and numbered, and the
 * memory that all threads share. Everything here survives structured cloning; a worker compiles it on arrival.
 */

import type { TargetGroupArn } from './arns.ts'
import type { LoadBalancer, Target } from './resources.ts'

export type Snapshot = {
  /** Rises by one with each publication; the first is 1. */
  readonly number: number
  readonly loadBalancers: readonly SnapshotLoadBalancer[]
  readonly targetGroups: readonly SnapshotTargetGroup[]
}

/** A slot is an index into the shared memory; it stays with its resource for as long as that exists. */
export type SnapshotLoadBalancer = LoadBalancer & { readonly slot: number }

export type SnapshotTargetGroup = {
  readonly slot: number
  readonly arn: TargetGroupArn
  readonly name: string
  readonly targets: readonly SnapshotTarget[]
}

export type SnapshotTarget = Target & { readonly slot: number }
