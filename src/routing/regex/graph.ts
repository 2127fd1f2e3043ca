/**
 * A compiled regular expression as a graph: which instructions take which bytes, and which ways lead from one to the
 * next under what conditions. Both automata are built from it.
 */

/** As `re2js` compiles it. Of its insides we use this much; the exact version is pinned, and a test compares results. */
export type Program = {
  readonly inst: readonly Instruction[]
  readonly start: number
  /** Twice the number of groups, the whole match among them. */
  readonly numCap: number
}
type Instruction = {
  readonly op: number
  readonly out: number
  readonly arg: number
  readonly runes: ArrayLike<number>
  matchRune(rune: number): boolean
}
const Op = {
  alt: 1,
  altMatch: 2,
  capture: 3,
  emptyWidth: 4,
  fail: 5,
  match: 6,
  nop: 7,
  rune: 8,
  anyNotNewline: 11,
} as const

/** Ours: steps spent on building one automaton: 25 ms, the longest that a worker does not serve while it takes over rules. */
const buildStepsMax = 500_000
/** Ours: ways through the program, of all its instructions together; only nested optional parts have many. */
const waysMax = 20_000

/** What stands beside a position; `edge` is the text's own end. */
export const Beside = { edge: 0, newline: 1, word: 2, other: 3 } as const
export type Beside = (typeof Beside)[keyof typeof Beside]

/** An instruction that is reached without consuming anything, and the group bounds that are passed on the way. */
export type Way = { readonly to: number; readonly slots: readonly number[] }
const noSlots: readonly number[] = []

/** Thrown while an automaton is built, where a bound would be exceeded. */
export class TooLarge extends Error {}

export class Graph {
  readonly program: Program
  /** Conditions such as `$` or `\b`; without them all positions are alike. */
  readonly conditions: number
  /** The instruction that ends a match; -1 where nothing can match. */
  readonly match: number
  /** Bytes that no instruction tells apart share a class. */
  readonly classOf: Uint8Array = new Uint8Array(256)
  /** What a byte of this class is to the position beside it. */
  readonly classBeside: Beside[] = []
  /** Instructions that take a byte of this class. */
  readonly takers: number[][] = []
  /** By conditions that hold and instruction. */
  readonly #ways: ((readonly Way[] | undefined)[] | undefined)[] = []
  #wayCount = 0
  #buildSteps = 0

  constructor(program: Program) {
    this.program = program
    this.conditions = program.inst.reduce((all, { op, arg }) => (op === Op.emptyWidth ? all | arg : all), 0)
    this.match = program.inst.findIndex(({ op }) => op === Op.match)
    this.#classify()
  }

  #classify(): void {
    const { inst } = this.program
    const consuming = inst.flatMap(({ op }, pc) => (op >= Op.rune && op <= Op.anyNotNewline ? [pc] : []))
    const distinct = new Map(consuming.map(pc => [`${inst[pc]!.arg} ${Array.from(inst[pc]!.runes)}`, inst[pc]!]))
    const classes = new Map<string, number>()
    for (let byte = 0; byte < 256; byte++) {
      const beside = this.#kindOf(byte)
      let key = `${beside}`
      for (const instruction of distinct.values()) key += instruction.matchRune(byte) ? 1 : 0
      let known = classes.get(key)
      if (known === undefined) {
        known = classes.size
        classes.set(key, known)
        this.classBeside.push(beside)
        this.takers.push(consuming.filter(pc => inst[pc]!.matchRune(byte)))
      }
      this.classOf[byte] = known
    }
  }

  /** Only as fine as the program's conditions need: each kind multiplies the states. */
  #kindOf(byte: number): Beside {
    if ((this.conditions & (Condition.wordBoundary | Condition.noWordBoundary)) !== 0 && isWordByte(byte)) {
      return Beside.word
    }
    if ((this.conditions & (Condition.beginLine | Condition.endLine)) !== 0 && byte === 0x0a) return Beside.newline
    return Beside.other
  }

  conditionsBetween(before: Beside, after: Beside): number {
    const atWord = (before === Beside.word) !== (after === Beside.word)
    const holding =
      (before === Beside.edge ? Condition.beginText | Condition.beginLine : 0) |
      (after === Beside.edge ? Condition.endText | Condition.endLine : 0) |
      (before === Beside.newline ? Condition.beginLine : 0) |
      (after === Beside.newline ? Condition.endLine : 0) |
      (atWord ? Condition.wordBoundary : Condition.noWordBoundary)
    return holding & this.conditions
  }

  /** The text's own end; alike to anything else where no condition asks. */
  get edge(): Beside {
    return this.conditions === 0 ? Beside.other : Beside.edge
  }

  spend(steps: number): void {
    this.#buildSteps += steps + 1
    if (this.#buildSteps > buildStepsMax) throw new TooLarge()
  }

  /** In the order in which a backtracking search would try them. */
  waysFrom(pc: number, conditions: number): readonly Way[] {
    let ways = this.#ways[conditions]
    if (ways === undefined) this.#ways[conditions] = ways = []
    let found = ways[pc]
    if (found === undefined) {
      found = waysThrough(this.program.inst, pc, conditions)
      this.#wayCount += found.length
      if (this.#wayCount > waysMax) throw new TooLarge()
      ways[pc] = found
    }
    return found
  }
}

/** The bits of `arg` in a conditional instruction. */
const Condition = { beginLine: 1, endLine: 2, beginText: 4, endText: 8, wordBoundary: 16, noWordBoundary: 32 } as const

function waysThrough(inst: readonly Instruction[], from: number, conditions: number): readonly Way[] {
  const ways: Way[] = []
  const isSeen = new Uint8Array(inst.length)
  const pending: Way[] = [{ to: from, slots: noSlots }]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { to, slots } = next
    // Coming back without having consumed anything would only go in circles.
    if (isSeen[to] === 1) continue
    isSeen[to] = 1
    const { op, out, arg } = inst[to]!
    switch (op) {
      case Op.alt:
      case Op.altMatch:
        pending.push({ to: arg, slots }, { to: out, slots })
        break
      case Op.capture:
        pending.push({ to: out, slots: [...slots, arg] })
        break
      case Op.nop:
        pending.push({ to: out, slots })
        break
      case Op.emptyWidth:
        if ((arg & ~conditions) === 0) pending.push({ to: out, slots })
        break
      case Op.fail:
        break
      default:
        ways.push(next)
    }
  }
  return ways
}

function isWordByte(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a) || byte === 0x5f
}
