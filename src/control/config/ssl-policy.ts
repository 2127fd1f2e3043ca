/** The name of a security policy, and which one a misspelt name was meant to be. */

import { z } from 'zod'
import { defaultSslPolicy, sslPolicies } from '../../model/ssl-policies.ts'
import { nearest } from './nearest.ts'
import { mismatch, show } from './wording.ts'

const names = sslPolicies.map(({ name }) => name)

export const SslPolicy = z
  .enum(names, { error: issue => whyNot(issue.input) })
  .optional()
  .meta({ description: `Which versions of TLS and which ciphers clients may use; ${defaultSslPolicy} unless given.` })

function whyNot(input: unknown): string {
  if (typeof input !== 'string') return mismatch(`the name of a security policy such as ${defaultSslPolicy}`, input)
  const meant = nearest(withoutPrefix(input), names.map(withoutPrefix))
  const hint = meant === null ? `such as ${defaultSslPolicy}` : `did you mean "ELBSecurityPolicy-${meant}"?`
  return `must be a security policy of the service, not ${show(input)}; ${hint}`
}

/** All names begin alike: only the rest tells which one is near. */
function withoutPrefix(name: string): string {
  return name.replace(/^elb[a-z]*-/i, '')
}
