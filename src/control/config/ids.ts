import { createHash } from 'node:crypto'

/**
 * 16 hex digits that follow from what a resource is called, so that ARNs, and with them logs and metrics, stay the
 * same over reloads and restarts.
 */
export function idOf(...names: readonly (string | number)[]): string {
  return createHash('sha256').update(names.join('/')).digest('hex').slice(0, 16)
}
