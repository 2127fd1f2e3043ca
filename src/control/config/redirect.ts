/**
 * What may stand in the parts of a redirect, and which redirects lead nowhere.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RedirectActionConfig.html
 */

import { andList } from './wording.ts'

export type RedirectPart = 'host' | 'path' | 'query'

const lengthMax = 128

/** Which placeholders a part may hold; `protocol` and `port` are one or a plain value, so the schema lists them. */
const placeholders: Record<RedirectPart, readonly string[]> = {
  host: ['#{host}'],
  path: ['#{host}', '#{path}', '#{port}'],
  query: ['#{protocol}', '#{host}', '#{port}', '#{path}', '#{query}'],
}

/**
 * The service does not encode these parts. Which characters it refuses is not published; we take what may stand in
 * a Location header unencoded.
 */
const characters: Record<RedirectPart, { readonly pattern: RegExp; readonly words: string }> = {
  host: { pattern: /[A-Za-z0-9._-]/, words: 'letters, digits, - . _ and #{host}' },
  path: { pattern: /[!-~]/, words: 'visible ASCII characters' },
  query: { pattern: /[!-~]/, words: 'visible ASCII characters' },
}

/** What is wrong with the text of a part, as a predicate; null when nothing is. */
export function redirectPartProblem(part: RedirectPart, text: string, lengthMin: number): string | null {
  if (text.length < lengthMin) return 'must not be empty'
  if (text.length > lengthMax) return `must be at most ${lengthMax} characters, not ${text.length}`
  if (part === 'path' && !text.startsWith('/')) return `must start with "/", not ${JSON.stringify(text)}`
  if (part === 'query' && text.startsWith('?')) return 'must not start with "?", which is put in for you'
  const misplaced = text.match(/#\{[^}]*\}?/g)?.find(placeholder => !placeholders[part].includes(placeholder))
  if (misplaced !== undefined) return `must not hold ${misplaced}: allowed here are ${andList(placeholders[part])}`
  const { pattern, words } = characters[part]
  const wrong = [...text.replaceAll(/#\{[^}]*\}/g, '')].find(character => !pattern.test(character))
  return wrong === undefined ? null : `must not hold ${JSON.stringify(wrong)}: allowed are ${words}`
}

type RedirectParts = {
  readonly protocol?: string | undefined
  readonly host?: string | undefined
  readonly port?: string | number | undefined
  readonly path?: string | undefined
}

type ListenerParts = { readonly protocol?: string | undefined; readonly port?: number | undefined }

/** Whether the client would be sent to where it came from; another query alone does not count as another place. */
export function isRedirectLoop(redirect: RedirectParts, listener: ListenerParts): boolean {
  const { protocol = '#{protocol}', host = '#{host}', port = '#{port}', path = '/#{path}' } = redirect
  return (
    (protocol === '#{protocol}' || protocol === listener.protocol) &&
    (port === '#{port}' || Number(port) === listener.port) &&
    host === '#{host}' &&
    path === '/#{path}'
  )
}
