/** Choice by weight: of a target group among those of a forward action, of a target under `weighted_random`. */

/**
 * Picks at random, each item as often as its share of the sum of all weights. Health does not matter here: a target
 * group without healthy targets keeps its share.
 *
 * @param random from 0 up to 1
 * @returns an index; -1 when all weights are 0
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-action-types.html#forward-actions
 */
export function pickWeighted(items: readonly { readonly weight: number }[], random: () => number): number {
  let weightTotal = 0
  for (let i = 0; i < items.length; i++) weightTotal += items[i]!.weight
  let left = random() * weightTotal
  for (let i = 0; i < items.length; i++) {
    left -= items[i]!.weight
    if (left < 0) return i
  }
  return -1
}
