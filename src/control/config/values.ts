/** Kinds of values that the schema is made of. */

import { isIP } from 'node:net'
import { z } from 'zod'
import { must } from './wording.ts'

type Wording = { error: (issue: z.core.$ZodRawIssue) => string }

export function wholeNumber(from: number, to: number) {
  const wording = must(`a whole number from ${from} to ${to}`)
  return z.int(wording).min(from, wording).max(to, wording)
}

export function listOf<Item extends z.ZodType>(item: Item, of: string) {
  return z.array(item, must(`a list of ${of}`))
}

/** @param of in the plural, as in `values` */
export function listOfUpTo<Item extends z.ZodType>(max: number, item: Item, of: string) {
  const be = `1 to ${max} ${of}`
  return listOf(item, be)
    .min(1, `must hold ${be}, not none`)
    .max(max, { error: issue => `must hold ${be}, not ${(issue.input as unknown[]).length}` })
}

/** @param wording for what is no text */
export function boundedText(wording: Wording, from: number, to: number) {
  return z
    .string(wording)
    .min(from, 'must not be empty')
    .max(to, { error: issue => `must be at most ${to} characters, not ${(issue.input as string).length}` })
}

/** A text whose length and characters each have a complaint of their own. */
export function limitedText(wording: Wording, from: number, to: number, allowed: RegExp, allowedWords: string) {
  return boundedText(wording, from, to).regex(new RegExp(`^(?:${allowed.source})*$`), {
    error: issue => {
      const wrong = [...(issue.input as string)].find(character => !allowed.test(character))
      return `must not hold ${JSON.stringify(wrong)}: allowed are ${allowedWords}`
    },
  })
}

/** @see https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2 */
export const tokenCharacter = /[A-Za-z0-9!#$%&'*+.^_`|~-]/
export const tokenWords = "letters, digits and ! # $ % & ' * + - . ^ _ ` | ~"

export const port = wholeNumber(1, 65535)

export const addressWording = must('an IPv4 or IPv6 address')
export const address = z.string(addressWording).refine(isPlainAddress, addressWording)

/** Without an IPv6 zone (`fe80::1%eth0`), which has no place in a log line. */
function isPlainAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes('%')
}
