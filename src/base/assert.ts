/** Assertions for our own mistakes. Never called on what a peer sent: a peer's fault is a value. */

export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/** @param message a constant, so that a passing assertion costs one comparison */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** Ends a `switch` over a union: the compiler proves that no case was forgotten. */
export function assertNever(value: never): never {
  throw new AssertionError(`unexpected value: ${JSON.stringify(value)}`)
}
