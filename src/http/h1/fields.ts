/** Fields that a load balancer acts on; every other one is `other`. */
export const Field = {
  other: 0,
  host: 1,
  connection: 2,
  contentLength: 3,
  transferEncoding: 4,
  expect: 5,
  upgrade: 6,
  userAgent: 7,
  forwardedFor: 8,
  forwardedProto: 9,
  forwardedPort: 10,
  traceId: 11,
  keepAlive: 12,
  proxyConnection: 13,
  te: 14,
  trailer: 15,
  date: 16,
  contentType: 17,
} as const
export type Field = (typeof Field)[keyof typeof Field]

const fieldNames: readonly (readonly [string, Field])[] = [
  ['host', Field.host],
  ['connection', Field.connection],
  ['content-length', Field.contentLength],
  ['transfer-encoding', Field.transferEncoding],
  ['expect', Field.expect],
  ['upgrade', Field.upgrade],
  ['user-agent', Field.userAgent],
  ['x-forwarded-for', Field.forwardedFor],
  ['x-forwarded-proto', Field.forwardedProto],
  ['x-forwarded-port', Field.forwardedPort],
  ['x-amzn-trace-id', Field.traceId],
  ['keep-alive', Field.keepAlive],
  ['proxy-connection', Field.proxyConnection],
  ['te', Field.te],
  ['trailer', Field.trailer],
  ['date', Field.date],
  ['content-type', Field.contentType],
]

type KnownName = { readonly lower: Uint8Array; readonly field: Field }
const knownNamesByLength: KnownName[][] = Array.from({ length: 18 }, () => [])
for (const [name, field] of fieldNames) knownNamesByLength[name.length]!.push({ lower: Buffer.from(name), field })

/** @param bytes hold a field name there, so every byte is a token byte and `| 0x20` only folds letters */
export function fieldOf(bytes: Uint8Array, from: number, to: number): Field {
  const length = to - from
  if (length > 17) return Field.other
  const candidates = knownNamesByLength[length]!
  for (let i = 0; i < candidates.length; i++) {
    const { lower, field } = candidates[i]!
    let k = 0
    while (k < length && (bytes[from + k]! | 0x20) === lower[k]) k++
    if (k === length) return field
  }
  return Field.other
}
