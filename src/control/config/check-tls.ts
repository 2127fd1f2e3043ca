/**
 * Rules on what makes a listener one of HTTPS.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/create-https-listener.html
 */

import type { Certificates } from './certificates.ts'
import { type Found, itemsOf, type ListenerDraft, type Report } from './draft.ts'
import { checkUnique } from './unique.ts'

export function checkTls(
  { place, value }: Found<ListenerDraft>,
  certificates: Certificates,
  report: Report,
  warn: Report,
): void {
  if (value.protocol === 'HTTP') {
    for (const key of ['sslPolicy', 'certificates'] as const) {
      if (key in value) report(place.at(key), 'is for HTTPS listeners, and this one is HTTP')
    }
    return
  }
  if (value.protocol === 'HTTPS' && !('certificates' in value) && !certificates.hasLocal) {
    const orElse = 'For development, --https makes one'
    report(place.at('certificates'), `is missing: an HTTPS listener needs at least one certificate. ${orElse}`)
  }
  const checked = itemsOf(place.at('certificates'), value.certificates).map(found => ({
    place: found.place,
    value: certificates.check(found, report, warn)?.arn,
  }))
  // The default one may be in the list besides: there it can also be chosen by its name.
  checkUnique(checked.slice(1), warn, (_, first) => `has no effect: it is the same certificate as at ${first}`)
}
