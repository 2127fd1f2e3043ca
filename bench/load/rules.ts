/** What many rules cost: OpenALB alone, with one rule and with a thousand, every request meeting the last one. */
import type { Sample } from './measure.ts'
import { median } from './statistics.ts'
import { align } from './table.ts'
import { type LoadCase, loadCases } from './targets.ts'

export type RuleSet = {
  readonly name: string
  readonly kind: 'path' | 'host'
  readonly count: number
  /** To stand under a listener's `rules:`. */
  readonly rules: readonly string[]
  readonly loadCase: LoadCase
}

const many = 1000
const hostOf = (i: number): string => `host-${i}-`

function ruleSet(kind: RuleSet['kind'], count: number): RuleSet {
  const condition = (i: number): string => {
    const isLast = i === count - 1
    if (kind === 'host') return `{ field: host-header, values: ["${hostOf(isLast ? many : i)}*.example.com"] }`
    return `{ field: path-pattern, values: ["${isLast ? '/60B' : `/path-${i}/`}*"] }`
  }
  const rules = Array.from({ length: count }, (_, i) => {
    const actions = '[{ type: forward, targetGroup: app }]'
    return `{ priority: ${i + 1}, conditions: [${condition(i)}], actions: ${actions} }`
  })
  const loadCase = kind === 'host' ? { ...loadCases[0]!, host: `${hostOf(many)}x.example.com` } : loadCases[0]!
  return { name: `${count} ${kind}`, kind, count, rules, loadCase }
}

export const ruleSets: readonly RuleSet[] = [
  ruleSet('path', 1),
  ruleSet('path', many),
  ruleSet('host', 1),
  ruleSet('host', many),
]

/** By name of the rule set; one entry per round, null where it failed. */
export type RulesResult = ReadonlyMap<string, readonly (Sample | null)[]>

export function rulesTable(result: RulesResult): string {
  const rows = ruleSets.map(({ name, kind }) => {
    const samples = result.get(name)!
    const cpu = samples.flatMap(sample => sample?.cpuUs ?? [])
    const one = result.get(ruleSets.find(set => set.kind === kind && set.count === 1)!.name)!
    const ratios = samples.flatMap((sample, round) => {
      const base = one[round]
      return sample === null || base === null || base === undefined ? [] : [sample.cpuUs / base.cpuUs]
    })
    if (cpu.length === 0) return [name, '-', '', '']
    const spread = `(${Math.min(...cpu).toFixed(1)}–${Math.max(...cpu).toFixed(1)})`
    return [name, median(cpu).toFixed(1), spread, samples === one ? '' : `${median(ratios).toFixed(2)}×`]
  })
  return align([['rules', 'CPU µs', '(min–max)', '÷ one rule'], ...rows])
}
