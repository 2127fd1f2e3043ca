/** Extensions as certificates, revocation lists and their entries all have them. */

import { contextTag, DerError, DerReader, Tag } from './der.ts'

export type Extension = {
  /** Its identifier in hex. */
  readonly id: string
  /** Who does not know it must not use what it stands in. */
  readonly isCritical: boolean
  readonly value: DerReader
}

/** @param reader stands before Extensions, and nothing follows; a DerError says that they are none, or twice the same */
export function* extensionsIn(reader: DerReader): Iterable<Extension> {
  const seen = new Set<string>()
  const all = reader.enter(Tag.sequence)
  reader.finish()
  while (!all.isAtEnd) {
    const extension = all.enter(Tag.sequence)
    const id = extension.content(Tag.oid).toString('hex')
    const isCritical = extension.tag === Tag.boolean && extension.boolean()
    const value = new DerReader(extension.content(Tag.octetString))
    extension.finish()
    if (seen.has(id)) throw new DerError('an extension is there twice')
    seen.add(id)
    yield { id, isCritical, value }
  }
}

/**
 * The full names of a DistributionPointName, each as its bytes in hex; none for one relative to its issuer.
 *
 * @see https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.13
 */
export function readDistributionPointName(reader: DerReader): string[] {
  const names: string[] = []
  const fullName = reader.enterIf(contextTag(0, 'constructed'))
  if (fullName === null) reader.skip()
  else while (!fullName.isAtEnd) names.push(fullName.element().toString('hex'))
  reader.finish()
  return names
}
