import type { ClientHello } from './client-hello.ts'
import type { Group } from './policy-options.ts'

/**
 * The group that key exchange was done with. Node tells it to clients only, so this repeats how OpenSSL decides: by the
 * server's order, among those that the client sent a key for; with none of these, among all that it named.
 *
 * @returns null where no group is involved, as with RSA key exchange
 */
export function keyExchangeGroup(
  hello: ClientHello,
  groups: readonly Group[],
  protocol: string,
  cipher: string,
): string | null {
  if (protocol === 'TLSv1.3') {
    const offered = groups.find(group => hello.keyShares.includes(group.number))
    return (offered ?? groups.find(group => hello.groups.includes(group.number)))?.name ?? null
  }
  if (!cipher.startsWith('ECDHE-')) return null
  // Hybrid groups are for TLS 1.3 only. A client that names none takes any.
  const classical = groups.filter(group => group.number < 0x100)
  return (classical.find(group => hello.groups.includes(group.number)) ?? classical[0])?.name ?? null
}
