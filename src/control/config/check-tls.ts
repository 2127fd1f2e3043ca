/**
 * Rules on what makes a listener one of HTTPS.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/create-https-listener.html
 */

import { defaultRequestHeaderNames, type RequestHeaderNames } from '../../model/resources.ts'
import { requestHeaders } from './attributes.ts'
import type { Certificates } from './certificates.ts'
import { type Found, itemsOf, type ListenerDraft, type Report } from './draft.ts'
import { formatLabel } from './source.ts'
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
    const { attributes = {} } = value
    for (const key of Object.keys(attributes).filter(key => key.startsWith('routing.http.request.'))) {
      report(place.at('attributes', key), 'is for HTTPS listeners, and this one is HTTP')
    }
    return
  }
  checkHeaderNames({ place: place.at('attributes'), value: value.attributes ?? {} }, report)
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

/** Two that tell of different things must not be told under one name. */
function checkHeaderNames({ place, value }: Found<NonNullable<ListenerDraft['attributes']>>, report: Report): void {
  const names = Object.entries(requestHeaders).map(([member, header]) => {
    const key = `routing.http.request.${header}.header_name` as const
    const name = key in value ? value[key] : defaultRequestHeaderNames[member as keyof RequestHeaderNames]
    return { place: place.at(key), value: name?.toLowerCase() }
  })
  checkUnique(
    names,
    report,
    (name, first) => `must be a name of its own: "${name}" is also that of ${formatLabel(first.path)}`,
  )
}
