/**
 * HTTP/2 on bytes, both roles: the face of the codec. A session is fed whatever arrived and tells its owner of heads,
 * pieces of data, trailers and resets; what is to be sent stands in its `out`. It knows no sockets and no load balancer.
 */

export { H2Error } from './h2/errors.ts'
export { FieldBlock, type FieldBounds } from './h2/field-block.ts'
export {
  writeContentLength,
  writeField,
  writeFieldText,
  writeKnown,
  writeKnownText,
  writeMethod,
  writePath,
  writeScheme,
  writeStatus,
} from './h2/field-writer.ts'
export type { H2Bounds, H2Handler } from './h2/handler.ts'
export { H2Session } from './h2/session.ts'
export { StaticName } from './h2/static-table.ts'
export { H2Stream } from './h2/stream.ts'
