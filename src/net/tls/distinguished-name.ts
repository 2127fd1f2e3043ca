/**
 * Names of those who hold and issue certificates, as text and for comparison.
 *
 * @see https://www.rfc-editor.org/rfc/rfc2253
 */

import { DerReader, formatOid, Tag } from './der.ts'

export type DistinguishedName = {
  /** By RFC 2253, as OpenSSL writes it: visible ASCII, the last part first. */
  readonly text: string
  /** The same for two names exactly if they are one, whatever their case, spacing and kind of string. */
  readonly key: string
}

/** Short names as OpenSSL has them, by the bytes of the identifier in hex. */
const attributeNames: ReadonlyMap<string, string> = new Map([
  ['550403', 'CN'],
  ['550404', 'SN'],
  ['550405', 'serialNumber'],
  ['550406', 'C'],
  ['550407', 'L'],
  ['550408', 'ST'],
  ['550409', 'street'],
  ['55040a', 'O'],
  ['55040b', 'OU'],
  ['55040c', 'title'],
  ['55040d', 'description'],
  ['55040f', 'businessCategory'],
  ['550410', 'postalAddress'],
  ['550411', 'postalCode'],
  ['550412', 'postOfficeBox'],
  ['550413', 'physicalDeliveryOfficeName'],
  ['550414', 'telephoneNumber'],
  ['550429', 'name'],
  ['55042a', 'GN'],
  ['55042b', 'initials'],
  ['55042c', 'generationQualifier'],
  ['55042d', 'x500UniqueIdentifier'],
  ['55042e', 'dnQualifier'],
  ['550433', 'houseIdentifier'],
  ['550436', 'dmdName'],
  ['550441', 'pseudonym'],
  ['550448', 'role'],
  ['550461', 'organizationIdentifier'],
  ['550462', 'c3'],
  ['550463', 'n3'],
  ['550464', 'dnsName'],
  ['0992268993f22c640101', 'UID'],
  ['0992268993f22c640103', 'mail'],
  ['0992268993f22c640109', 'host'],
  ['0992268993f22c640119', 'DC'],
  ['0992268993f22c64012c', 'uid'],
  ['2a864886f70d010901', 'emailAddress'],
  ['2a864886f70d010902', 'unstructuredName'],
  ['2a864886f70d010908', 'unstructuredAddress'],
  ['2b0601040182373c020101', 'jurisdictionL'],
  ['2b0601040182373c020102', 'jurisdictionST'],
  ['2b0601040182373c020103', 'jurisdictionC'],
])

/** Strings of one byte a character, by their tags; where that may be above 0x7f, it is taken for Latin-1. */
const byteStringTags: ReadonlySet<number> = new Set([0x12, 0x13, 0x14, 0x16])
const utf8StringTag = 0x0c
const universalStringTag = 0x1c
const bmpStringTag = 0x1e

type Part = DistinguishedName

/** @param reader stands before a Name; a DerError says that there is none */
export function readName(reader: DerReader): DistinguishedName {
  const parts: Part[] = []
  const name = reader.enter(Tag.sequence)
  while (!name.isAtEnd) {
    const attributes: Part[] = []
    const set = name.enter(Tag.set)
    while (!set.isAtEnd) attributes.push(readAttribute(set.enter(Tag.sequence)))
    parts.push({
      text: textsOf(attributes).join('+'),
      key: attributes
        .map(({ key }) => key)
        .sort()
        .join('+'),
    })
  }
  return { text: textsOf(parts).join(','), key: parts.map(({ key }) => key).join(',') }
}

function textsOf(parts: readonly Part[]): string[] {
  return parts.map(({ text }) => text).reverse()
}

function readAttribute(reader: DerReader): Part {
  const type = reader.content(Tag.oid)
  const { tag } = reader
  const element = reader.element()
  reader.finish()
  const id = type.toString('hex')
  const name = attributeNames.get(id)
  const value = utf8Of(tag, new DerReader(element).content(tag))
  const hex = `#${element.toString('hex').toUpperCase()}`
  const isReadable = name !== undefined && value !== null
  return {
    text: isReadable ? `${name}=${escaped(value)}` : `${name ?? formatOid(type)}=${hex}`,
    // Quotes end a value, whatever is in it.
    key: `${id}=${value === null ? hex : JSON.stringify(comparable(value))}`,
  }
}

/** Null for what is no string. */
function utf8Of(tag: number, content: Buffer): Buffer | null {
  if (tag === utf8StringTag) return content
  if (byteStringTags.has(tag)) return Buffer.from(content.toString('latin1'))
  if (tag === bmpStringTag) return utf8OfUnits(content, 2)
  return tag === universalStringTag ? utf8OfUnits(content, 4) : null
}

function utf8OfUnits(content: Buffer, size: 2 | 4): Buffer | null {
  if (content.length % size !== 0) return null
  let text = ''
  for (let at = 0; at < content.length; at += size) {
    const character = content.readUIntBE(at, size)
    if (character > 0x10ffff) return null
    text += String.fromCodePoint(character)
  }
  return Buffer.from(text)
}

const escapedAnywhere = new Set(Buffer.from(',+"\\<>;'))
const space = 0x20
const numberSign = 0x23

function escaped(value: Buffer): string {
  let text = ''
  for (const [at, byte] of value.entries()) {
    const isEdgeSpace = byte === space && (at === 0 || at === value.length - 1)
    if (escapedAnywhere.has(byte) || isEdgeSpace || (byte === numberSign && at === 0)) {
      text += `\\${String.fromCharCode(byte)}`
    } else if (byte < space || byte > 0x7e) {
      text += `\\${byte.toString(16).padStart(2, '0').toUpperCase()}`
    } else {
      text += String.fromCharCode(byte)
    }
  }
  return text
}

/** @see https://www.rfc-editor.org/rfc/rfc5280#section-7.1 */
function comparable(value: Buffer): string {
  const text = value
    .toString('utf8')
    .trim()
    .replaceAll(/[\t-\r ]+/g, ' ')
  return text.replaceAll(/[A-Z]/g, letter => letter.toLowerCase())
}
