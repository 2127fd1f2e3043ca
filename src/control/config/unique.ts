import type { Found, Report } from './draft.ts'
import type { Place } from './source.ts'

/** Reports each value that an earlier item has too, at its own place. */
export function checkUnique<T extends string | number>(
  items: readonly Found<T | undefined>[],
  report: Report,
  complaint: (value: T, first: Place) => string,
): void {
  const seen = new Map<T, Place>()
  for (const { place, value } of items) {
    if (value === undefined) continue
    const first = seen.get(value)
    if (first !== undefined) report(place, complaint(value, first))
    else seen.set(value, place)
  }
}
