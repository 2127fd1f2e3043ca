/** The text of one config file as a YAML document in which every value has a position. Knows nothing of its meaning. */

import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
  type YAMLError,
} from 'yaml'

export type ConfigProblem = {
  readonly file: string
  /** From 1; 0 when the problem is not in the text, such as a file that cannot be read. */
  readonly line: number
  /** From 1; 0 as for `line`. */
  readonly column: number
  /** Such as `loadBalancers[0].listeners[1].port`; empty for the file as a whole. */
  readonly path: string
  readonly message: string
  /** The line that the problem is on, for showing it; null as for `line`. */
  readonly sourceLine: string | null
}

export type Key = string | number

export type Source = {
  readonly name: string
  /** Where the paths in it start from. */
  readonly folder: string
  readonly document: Document.Parsed
  readonly lines: readonly string[]
  readonly lineCounter: LineCounter
}

export function readSource(name: string, text: string, folder: string): Source {
  const lineCounter = new LineCounter()
  const document = parseDocument(text, { lineCounter, prettyErrors: false, logLevel: 'error' })
  return { name, folder, document, lines: maskKeys(text).split(/\r?\n/), lineCounter }
}

/** Lines are shown beside problems, and a private key must not be. */
function maskKeys(text: string): string {
  return text.replaceAll(/(?<=-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----)(?:(?!-----END ).)*/gs, key =>
    key.replaceAll(/[^\s]/g, '*'),
  )
}

/**
 * The document as plain values, with what is wrong with it as YAML. A key given twice leaves the rest readable; any
 * other error does not, and then only the first is told, because the parser's later ones follow from it.
 *
 * @returns `value` undefined when the text is not readable, null when it is empty
 */
export function readValue(source: Source): { value: unknown; problems: ConfigProblem[] } {
  const { errors, warnings } = source.document
  const repeatedKeys = errors.filter(error => error.code === 'DUPLICATE_KEY')
  const fatal = errors.find(error => error.code !== 'DUPLICATE_KEY')
  const problems = [...repeatedKeys, ...warnings, ...(fatal ? [fatal] : [])].map(error => syntaxProblem(source, error))
  const dangling = danglingAliases(source)
  problems.push(...dangling)
  if (fatal !== undefined || dangling.length > 0) return { value: undefined, problems }
  try {
    return { value: source.document.toJS(), problems }
  } catch {
    // The parser's guard against a "billion laughs": it throws for nothing else once all aliases resolve.
    return { value: undefined, problems: [...problems, problemAt(source, 0, [], 'its aliases expand beyond reason')] }
  }
}

function syntaxProblem(source: Source, { code, message, pos: [offset] }: YAMLError): ConfigProblem {
  const tell = (text: string) => problemAt(source, offset, [], text)
  if (code === 'DUPLICATE_KEY') return tell('the key is there twice in one map')
  if (code === 'MULTIPLE_DOCS') return tell('several YAML documents in one file: give each a file')
  // In a flow map the comment swallows the closing brace, and the parser complains a line later.
  const { line } = source.lineCounter.linePos(offset)
  const isAfterPlaceholder = source.lines.slice(Math.max(0, line - 2), line).some(text => text.includes(' #{'))
  const hint = isAfterPlaceholder ? ' (quote a value that starts with "#{", or it is a comment)' : ''
  return tell(`not valid YAML: ${message}${hint}`)
}

/** Host patterns such as `*.example.com` must be quoted; without, they are aliases of anchors that nobody set. */
function danglingAliases(source: Source): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  visit(source.document, {
    Alias(_, alias) {
      if (alias.resolve(source.document) !== undefined) return
      const written = `*${alias.source}`
      const message = `${written} is a YAML alias of nothing: quote a value that starts with "*", as in "${written}"`
      problems.push(problemAt(source, alias.range?.[0] ?? 0, [], message))
    },
  })
  return problems
}

function problemAt(source: Source, offset: number, path: readonly Key[], message: string): ConfigProblem {
  const { line, col } = source.lineCounter.linePos(offset)
  // An empty text has no lines for the counter; it then answers 0.
  const at = { line: Math.max(1, line), column: Math.max(1, col) }
  return { file: source.name, ...at, path: formatPath(path), message, sourceLine: source.lines[at.line - 1] ?? '' }
}

/** One value in one source. */
export class Place {
  readonly source: Source
  readonly path: readonly Key[]

  constructor(source: Source, path: readonly Key[] = []) {
    this.source = source
    this.path = path
  }

  at(...keys: readonly Key[]): Place {
    return new Place(this.source, [...this.path, ...keys])
  }

  /** At the value; where that is missing or empty, at the nearest thing around it that is there. */
  problem(message: string): ConfigProblem {
    return problemAt(this.source, this.#find().value, this.path, message)
  }

  /** At the key instead of its value: the key itself is wrong. */
  problemOfKey(message: string): ConfigProblem {
    return problemAt(this.source, this.#find().key, this.path, message)
  }

  /** `file:line:column`, for a message that points to a second place. */
  toString(): string {
    const { file, line, column } = this.problem('')
    return `${file}:${line}:${column}`
  }

  /** Whether the value is empty because an unquoted `#{…}` became a comment. */
  isPlaceholderComment(): boolean {
    const { node } = this.#find()
    return isScalar(node) && node.value === null && node.comment?.startsWith('{') === true
  }

  #find(): { key: number; value: number; node: Node | null } {
    let node: Node | null = this.source.document.contents
    let key = node?.range?.[0] ?? 0
    let value = key
    for (const part of this.path) {
      if (isAlias(node)) node = node.resolve(this.source.document) ?? null
      if (isMap<Node, Node | null>(node)) {
        const pair = node.items.find(item => isScalar(item.key) && String(item.key.value) === String(part))
        if (pair === undefined) return { key, value, node: null }
        key = pair.key.range?.[0] ?? key
        node = pair.value
      } else if (isSeq<Node>(node)) {
        node = node.items[part as number] ?? null
        key = node?.range?.[0] ?? key
      } else {
        return { key, value, node: null }
      }
      // An empty value has no characters of its own, so it is shown at its key.
      const range = node?.range
      value = range && range[1] > range[0] ? range[0] : key
    }
    return { key, value, node }
  }
}

export function formatPath(path: readonly Key[]): string {
  let text = ''
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`
    else if (/^\w+$/.test(key)) text += text === '' ? key : `.${key}`
    else text += `[${JSON.stringify(key)}]`
  }
  return text
}

/** The last key of a path with the indexes after it: `values[2]`. It opens each message. */
export function formatLabel(path: readonly Key[]): string {
  const from = path.findLastIndex(key => typeof key === 'string')
  if (from < 0) return 'the file'
  return `${path[from]}${formatPath(path.slice(from + 1))}`
}
