/** Tests wait for events. This is what ends a wait for an event that never comes, and says which one it was. */

export const deadlineMs = 10_000

/** Settles as `event` does, or fails after `deadlineMs` naming `awaited`, which is asked for only then. */
export async function within<Value>(
  event: Promise<Value>,
  awaited: () => string,
  limitMs = deadlineMs,
): Promise<Value> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`waited ${limitMs} ms for ${awaited()}`)), limitMs)
  try {
    return await Promise.race([event, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
