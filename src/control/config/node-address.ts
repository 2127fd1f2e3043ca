/**
 * Addresses for the nodes that are given none: `127.31.<zone>.<load balancer>`. All of 127.0.0.0/8 is this machine, on
 * Linux; the rest of the world has some addresses of it only when someone adds them.
 */

/** All of 127.31.z.n with z and n up to this. */
const numberMax = 255

export const hasNodeAddresses = (platform: NodeJS.Platform): boolean => platform === 'linux'

/**
 * A zone has the same number for all load balancers, so that one rule of a packet filter keeps clients from it.
 *
 * @param zoneNames all of the configuration, in any order, some perhaps several times
 * @param position of the load balancer in the configuration, from 0
 * @returns null when there are too many of either
 */
export function nodeAddress(zoneNames: readonly string[], zoneName: string, position: number): string | null {
  const zone = [...new Set(zoneNames)].sort().indexOf(zoneName) + 1
  const loadBalancer = position + 1
  return zone > numberMax || loadBalancer > numberMax ? null : `127.31.${zone}.${loadBalancer}`
}
