/** What a value of a config file names as PEM, read for what it is to be. */

import type { Readable } from './certificate.ts'
import type { Report } from './draft.ts'
import type { PemTexts } from './pem.ts'
import type { Place } from './source.ts'

export type PemReader<T> = {
  readonly read: (text: string) => Readable<T>
  /** Of a file; the usual bound unless given. */
  readonly bytesMax?: number
}

/** @returns null when it cannot be read, which is then reported */
export function readPem<T>(
  pems: PemTexts,
  place: Place,
  given: string | undefined,
  { read, bytesMax }: PemReader<T>,
  report: Report,
): T | null {
  // The schema has said that it is missing or no text.
  if (given === undefined || given === '') return null
  const { text, problem } = pems.find(place.source.folder, given, bytesMax)
  const readable = problem === null ? read(text) : { value: null, problem }
  if (readable.problem !== null) report(place, readable.problem)
  return readable.value
}
