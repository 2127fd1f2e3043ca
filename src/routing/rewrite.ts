/**
 * Transforms: what a rule changes of the host or of path and query before a target gets the request. The first match
 * is replaced, what stands around it stays (assumed; the documentation's examples match the whole text).
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-transforms.html
 */

import type { Rewrite } from '../model/resources.ts'
import { compileFinder, type Finder, rewriteRegexProblem } from './regex.ts'

/** Characters of a transformed path and query; the size of the service's buffer is unknown (assumed: a request line's). */
export const transformedUrlBytesMax = 16 * 1024
/** Characters of a transformed host (assumed: the longest name of the DNS). */
export const transformedHostBytesMax = 253

/** As the access log's `request_transform_status` writes them; those about compiling are for patterns that we refuse earlier. */
export type TransformStatus =
  | 'TransformSuccess'
  | 'TransformBufferTooSmall'
  | 'TransformCompileError'
  | 'TransformCompileTooBig'
  | 'TransformInvalidHost'
  | 'TransformInvalidPath'
  | 'TransformRegexSyntaxError'
  | 'TransformReplaceError'

export type RewriteOutcome = {
  /** null: nothing matched, and nothing changed. */
  readonly status: TransformStatus | null
  /** What goes to the target; as it was unless the status is success. */
  readonly text: string
}

export type CompiledRewrite = {
  readonly type: RewriteType
  readonly regex: Finder
  /** Literal text, and numbers of groups. */
  readonly replacement: readonly (string | number)[]
}

export type RewriteType = 'host-header-rewrite' | 'url-rewrite'

/** @returns null, or what is wrong, as a clause that begins with the member's name */
export function rewriteProblem({ regex, replace }: Rewrite): string | null {
  const problem = rewriteRegexProblem(regex)
  if (problem !== null) return `regex ${problem}`
  const groupCount = compileFinder(regex, false).groupCount
  for (let at = replace.indexOf('$'); at !== -1; at = replace.indexOf('$', at + 1)) {
    const reference = /^\$\d*/.exec(replace.slice(at))![0]
    // What the service makes of `$$`, `${name}`, `$0` or `$10` is not published, so none is guessed at.
    if (!/^\$[1-9]$/.test(reference))
      return `replace may use a dollar sign only in $1 to $9, not as ${replace.slice(at, at + 3)}`
    if (Number(reference[1]) > groupCount) return `replace uses ${reference}, but regex has ${groupsText(groupCount)}`
  }
  return null
}

function groupsText(count: number): string {
  if (count === 0) return 'no group'
  return count === 1 ? 'only 1 group' : `only ${count} groups`
}

/** @param rewrite one that `rewriteProblem` lets pass */
export function compileRewrite(type: RewriteType, { regex, replace }: Rewrite): CompiledRewrite {
  // Hosts arrive lower-cased, so that an expression may be written as people write hosts (assumed, as in conditions).
  const ignoresCase = type === 'host-header-rewrite'
  const replacement = replace.split(/(\$[1-9])/).filter(piece => piece !== '')
  return {
    type,
    regex: compileFinder(regex, ignoresCase),
    replacement: replacement.map(piece => (/^\$[1-9]$/.test(piece) ? Number(piece[1]) : piece)),
  }
}

/** @param text the host without a port, lower-cased; or path and query as one text */
export function applyRewrite(rewrite: CompiledRewrite, text: string): RewriteOutcome {
  const found = rewrite.regex.find(text)
  if (found === null) return { status: null, text }
  const isHost = rewrite.type === 'host-header-rewrite'
  const max = isHost ? transformedHostBytesMax : transformedUrlBytesMax
  let result = text.slice(0, found[0])
  for (const piece of rewrite.replacement) {
    if (typeof piece === 'string') result += piece
    else if (found[2 * piece] !== -1) result += text.slice(found[2 * piece], found[2 * piece + 1])
    // Checked on the way: groups may be long, and be named many times.
    if (result.length > max) return { status: 'TransformBufferTooSmall', text }
  }
  result += text.slice(found[1])
  if (result.length > max) return { status: 'TransformBufferTooSmall', text }
  if (isHost)
    return isHostText(result) ? { status: 'TransformSuccess', text: result } : { status: 'TransformInvalidHost', text }
  return isUrlText(result) ? { status: 'TransformSuccess', text: result } : { status: 'TransformInvalidPath', text }
}

/** Letters, digits, `.`, `-` and `_`: nothing that could end the line or change what the target reads. */
function isHostText(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    const lower = c | 0x20
    const isAllowed =
      (c >= 0x30 && c <= 0x39) || (lower >= 0x61 && lower <= 0x7a) || c === 0x2e || c === 0x2d || c === 0x5f
    if (!isAllowed) return false
  }
  return text !== ''
}

function isUrlText(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c <= 0x20 || c === 0x7f) return false // bytes above go on where they came raw, too
  }
  return text.charCodeAt(0) === 0x2f
}
