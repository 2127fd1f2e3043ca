/** Finds, in one walk over a text, everything that was filed under a beginning (or an ending) of the text. */

class Node {
  /** The characters that lead here from the parent, in reading order. */
  label: string
  /** Ascending. */
  entries: number[]
  /** By the first character of their label, less `firstCode`. */
  children: (Node | undefined)[]
  firstCode: number

  constructor(label: string, entries: number[]) {
    this.label = label
    this.entries = entries
    this.children = []
    this.firstCode = 0
  }

  child(code: number): Node | undefined {
    const at = code - this.firstCode
    return at >= 0 && at < this.children.length ? this.children[at] : undefined
  }

  setChild(child: Node): void {
    const code = child.label.charCodeAt(0)
    if (this.children.length === 0) this.firstCode = code
    while (code < this.firstCode) {
      this.children.unshift(undefined)
      this.firstCode--
    }
    while (code - this.firstCode >= this.children.length) this.children.push(undefined)
    this.children[code - this.firstCode] = child
  }
}

export class LiteralTree {
  readonly #root = new Node('', [])
  readonly #isFromEnd: boolean
  size = 0

  /** @param isFromEnd texts are read from their last character on */
  constructor(isFromEnd: boolean) {
    this.#isFromEnd = isFromEnd
  }

  /** @param entry not below any that was filed before */
  file(literal: string, entry: number): void {
    this.size++
    const rest = this.#isFromEnd ? [...literal].reverse().join('') : literal
    this.#nodeFor(this.#root, rest).entries.push(entry)
  }

  #nodeFor(parent: Node, rest: string): Node {
    if (rest === '') return parent
    const next = parent.child(rest.charCodeAt(0))
    if (next === undefined) {
      const leaf = new Node(rest, [])
      parent.setChild(leaf)
      return leaf
    }
    let shared = 1
    while (shared < next.label.length && next.label[shared] === rest[shared]) shared++
    if (shared < next.label.length) {
      const fork = new Node(next.label.slice(0, shared), [])
      parent.setChild(fork)
      next.label = next.label.slice(shared)
      fork.setChild(next)
      return this.#nodeFor(fork, rest.slice(shared))
    }
    return this.#nodeFor(next, rest.slice(shared))
  }

  /** @param found receives the entries of every literal that the text begins (ends) with, the shortest literal first */
  collect(text: string, found: (readonly number[])[]): void {
    const { length } = text
    let node: Node | undefined = this.#root
    let at = 0
    for (;;) {
      if (node.entries.length > 0) found.push(node.entries)
      if (at === length) return
      node = node.child(text.charCodeAt(this.#isFromEnd ? length - 1 - at : at))
      if (node === undefined || at + node.label.length > length) return
      const { label } = node
      for (let i = 1; i < label.length; i++) {
        if (label.charCodeAt(i) !== text.charCodeAt(this.#isFromEnd ? length - 1 - at - i : at + i)) return
      }
      at += label.length
    }
  }
}
